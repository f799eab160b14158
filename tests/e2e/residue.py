"""What a deployment may leave on the host: containers, networks, mounts, routes, links, rules, processes, ports."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def _lines(*command: str) -> set[str]:
    result = subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)
    return {line.strip() for line in result.stdout.splitlines() if line.strip()}


def _processes() -> set[str]:
    """Command lines of processes that belong to containers (in another mount namespace, or their monitors)."""
    own = Path("/proc/self/ns/mnt").readlink()
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            foreign = (entry / "ns" / "mnt").readlink() != own
        except OSError:
            continue  # ended while we looked
        if command and (foreign or re.search(r"conmon|aardvark|netavark|podman", command)):
            found.add(command)
    return found


def snapshot() -> dict[str, set[str]]:
    """Everything that a deployment could leave behind, by kind, without counters that change by themselves."""
    rules = {re.sub(r"\[\d+:\d+\]", "", line) for line in _lines("iptables-save") if not line.startswith("#")}
    return {
        "containers": _lines("podman", "ps", "-a", "--format", "{{.Names}}"),
        "volumes": _lines("podman", "volume", "ls", "--format", "{{.Name}}"),
        "networks": _lines("podman", "network", "ls", "--format", "{{.Name}}"),
        "mounts": _lines("findmnt", "-rno", "TARGET"),
        "links": {re.sub(r"@.*", "", line.split()[1].rstrip(":")) for line in _lines("ip", "-o", "link")},
        "routes": _lines("ip", "route", "show", "table", "all"),
        "ports": {" ".join(line.split()[3:4]) for line in _lines("ss", "-Hltn")},
        "rules": rules,
        "processes": _processes(),
        "network namespaces": _lines("ip", "netns", "list"),
    }


def difference(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    """What `after` has and `before` had not, by kind; empty when nothing was left."""
    return {kind: after[kind] - before[kind] for kind in before if after[kind] - before[kind]}
