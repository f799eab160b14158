"""IPv4 networks in settings: written as they are meant, large enough, and apart from each other."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Mapping

Network = ipaddress.IPv4Network

NODE_POD_PREFIX = 24  # each node takes a /24 of the pod network
SERVICE_PREFIXES = (12, 24)  # Kubernetes refuses larger than /12; below /24 it runs out of addresses
NODE_PREFIX_MOST = 29


class CidrError(ValueError):
    """A network is not usable. `fault` says what is wrong with the value, `fix` what to do."""

    def __init__(self, fault: str, fix: str) -> None:
        """Keep both halves of the message."""
        super().__init__(f"{fault}; {fix}")
        self.fault = fault
        self.fix = fix


def parse(value: str) -> Network:
    """Return the network that a setting names.

    :raises CidrError: when it is no IPv4 network, or has host bits set
    """
    try:
        interface = ipaddress.ip_interface(value)
    except ValueError:
        raise CidrError("is no network", "write it as address/prefix, for example 10.244.0.0/16") from None
    if interface.version != 4:
        raise CidrError("is an IPv6 network", "give an IPv4 network: IPv6 is not supported yet")
    if "/" not in value:
        raise CidrError("has no prefix length", f"write it as address/prefix, for example {value}/16")
    if interface.ip != interface.network.network_address:
        raise CidrError("has host bits set", f"did you mean {interface.network}?")
    return interface.network


def pods_fit(network: Network, nodes: int) -> None:
    """Refuse a pod network without a /24 for each node.

    :raises CidrError: with the longest prefix that would do
    """
    longest = NODE_POD_PREFIX - math.ceil(math.log2(max(nodes, 1)))
    if network.prefixlen > longest:
        raise CidrError(
            f"is too small: each of {nodes} nodes takes a /{NODE_POD_PREFIX} of it",
            f"use a prefix of /{longest} or shorter",
        )


def services_fit(network: Network) -> None:
    """Refuse a service network that Kubernetes refuses, or that runs out.

    :raises CidrError: with the range that would do
    """
    shortest, longest = SERVICE_PREFIXES
    if network.prefixlen > longest:
        raise CidrError("is too small for services", f"use a prefix from /{shortest} to /{longest}")
    if network.prefixlen < shortest:
        raise CidrError("is larger than Kubernetes takes for services", f"use a prefix from /{shortest} to /{longest}")


def nodes_fit(network: Network, nodes: int) -> None:
    """Refuse a node network without an address for each node, the gateway, and the network's own two.

    :raises CidrError: with the longest prefix that would do
    """
    longest = min(NODE_PREFIX_MOST, 32 - math.ceil(math.log2(nodes + 3)))
    if network.prefixlen > longest:
        raise CidrError(f"is too small for {nodes} nodes and their gateway", f"use a prefix of /{longest} or shorter")


def overlaps(networks: Mapping[str, Network]) -> list[tuple[str, str]]:
    """Return each pair of names whose networks overlap; the later name first."""
    names = list(networks)
    return [
        (later, earlier)
        for position, later in enumerate(names)
        for earlier in names[:position]
        if networks[later].overlaps(networks[earlier])
    ]


def taken(network: Network, used: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """Return the first (network, owner) in use on the host that overlaps; the default route does not count."""
    for other, owner in used:
        candidate = ipaddress.ip_network(other, strict=False)
        if candidate.prefixlen and candidate.version == 4 and network.overlaps(candidate):
            return other, owner
    return None
