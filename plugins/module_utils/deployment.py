"""Where a deployment lives: its name, directories, ports and node network.

Everything follows from the clone and the inventory, so that two clones or two inventories run side by side.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
from pathlib import Path
from typing import Any

# Ports of the gateway's listeners on every node (Kubernetes NodePorts), by endpoint.
NODE_PORTS = {"http": 30080, "s3": 30900, "console": 30901}
# Each deployment has ten host ports; the endpoints take the first of them in this order.
PORT_ORDER = ("http", "s3", "console")
PORT_FLOOR, PORT_BLOCKS, PORTS_PER_BLOCK = 18000, 200, 10
# 10.88.0.0/16 is podman's own default network; 10.96.0.0/16 is the service network.
NODE_NETWORKS = ipaddress.IPv4Network("10.88.0.0/13")
FIRST_NODE_NETWORK = 256  # 10.89.0.0/24


class NotPackedError(Exception):
    """The deployment has no bundle yet."""


def repository_root() -> Path:
    """Return the clone that this file belongs to; the collection link inside the clone is followed."""
    return Path(__file__).resolve().parents[2]


def inventory_directory(sources: list[str]) -> Path:
    """Return the directory of the last inventory source (a directory, or a file inside one).

    The last one has the last word on variables, too. Molecule puts an inventory of its own before ours.

    :raises ValueError: when there is no source, or it is a comma separated host list
    """
    if not sources or sources[-1].rstrip().endswith(","):
        raise ValueError("KaaP needs an inventory directory: use -i inventories/embedded, for example")
    path = Path(sources[-1]).expanduser().absolute()
    return path.parent if path.is_file() else path


def digest_number(root: Path, inventory: str) -> int:
    """Return a number that differs between clones and inventories and stays the same between runs."""
    return int.from_bytes(hashlib.sha256(f"{root}\n{inventory}".encode()).digest()[:8], "big")


def deployment_name(root: Path, inventory: str) -> str:
    """Return `<inventory>-<6 hex digits of the clone>`, fit for a container, host or network name."""
    label = re.sub(r"[^a-z0-9]+", "-", inventory.lower()).strip("-") or "kaap"
    return f"{label}-{hashlib.sha256(str(root).encode()).hexdigest()[:6]}"


def host_port_base(number: int) -> int:
    """Return the first of the ten TCP ports that the deployment publishes on the host."""
    return PORT_FLOOR + PORTS_PER_BLOCK * (number % PORT_BLOCKS)


def node_cidr(number: int) -> str:
    """Return the /24 of the embedded nodes inside 10.88.0.0/13, never in podman's default network."""
    count = 2 ** (24 - NODE_NETWORKS.prefixlen) - FIRST_NODE_NETWORK
    index = FIRST_NODE_NETWORK + number % count
    return f"{ipaddress.ip_address(int(NODE_NETWORKS.network_address) + 256 * index)}/24"


def cache_directory(environ: dict[str, str]) -> Path:
    """Return the cache: `KAAP_CACHE`, or ~/.cache/kaap. scripts/environment and scripts/destroy agree."""
    return Path(environ.get("KAAP_CACHE") or "~/.cache/kaap").expanduser().absolute()


def describe(
    sources: list[str], *, root: Path | None = None, environ: dict[str, str] | None = None, purpose: str = ""
) -> dict[str, Any]:
    """Return what follows from the clone and the inventory alone.

    :param sources: the inventory sources of the run (`-i`)
    :param purpose: what a deployment beside the inventory's own is for, such as `rehearsal`; it shares nothing with it
    :returns: root, inventory_name, deployment, state_dir, cache, kubeconfig, node_cidr, host_port_base
    :raises ValueError: without an inventory directory
    """
    root = root or repository_root()
    inventory = inventory_directory(sources).name
    number = digest_number(root, f"{inventory}/{purpose}" if purpose else inventory)
    state = root / ".kaap" / inventory / purpose
    return {
        "root": str(root),
        "inventory_name": inventory,
        "deployment": f"{deployment_name(root, inventory)}{f'-{purpose}' if purpose else ''}",
        "state_dir": str(state),
        "cache": str(cache_directory(dict(os.environ) if environ is None else environ)),
        "kubeconfig": str(state / "kubeconfig"),
        "node_cidr": node_cidr(number),
        "host_port_base": host_port_base(number),
    }


def host_ports(base: int) -> dict[str, int]:
    """Return the host port of each endpoint."""
    return {name: base + offset for offset, name in enumerate(PORT_ORDER)}


def bundle_manifest(state_dir: str) -> dict[str, Any]:
    """Return the manifest of the bundle that this deployment was packed with.

    :raises NotPackedError: when nothing was packed yet
    """
    path = Path(state_dir) / "bundle.json"
    if not path.is_file():
        raise NotPackedError(f"{path} is not there: nothing was packed yet; run playbooks/pack.yml first")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest
