"""What NetworkPolicies allow: a small evaluator, to ask policies the way a CNI does."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """One end of a connection; a namespace of its own name label, and an address for what is no pod."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""


def matches(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Does a selector of matchLabels take these labels? An absent selector takes all."""
    return all(labels.get(key) == value for key, value in ((selector or {}).get("matchLabels") or {}).items())


def is_peer(peer: Object, other: Pod, namespace: str) -> bool:
    """Is the other end meant by a peer of a policy in this namespace?"""
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        address = ipaddress.ip_address(other.address) if other.address else None
        return bool(
            address
            and address in ipaddress.ip_network(block["cidr"])
            and not any(address in ipaddress.ip_network(network) for network in block.get("except", []))
        )
    if not other.namespace:
        return False
    if "namespaceSelector" in peer:
        labels = {"kubernetes.io/metadata.name": other.namespace, **other.namespace_labels}
        if not matches(peer["namespaceSelector"], labels):
            return False
    elif other.namespace != namespace:
        return False
    return matches(peer.get("podSelector"), other.labels)


def side(policies: Sequence[Object], pod: Pod, other: Pod, direction: str, port: int, protocol: str) -> bool:
    """Do the policies of one end let the connection through?"""
    mine = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == pod.namespace
        and direction in policy["spec"]["policyTypes"]
        and matches(policy["spec"]["podSelector"], pod.labels)
    ]
    key, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    return not mine or any(
        any(is_peer(peer, other, pod.namespace) for peer in rule[peers]) if peers in rule else True
        for spec in mine
        for rule in spec.get(key, [])
        if not rule.get("ports") or {"port": port, "protocol": protocol} in rule["ports"]
    )


def allowed(policies: Iterable[Object], source: Pod, target: Pod, port: int, protocol: str = "TCP") -> bool:
    """Does a connection get through, out of the one end and into the other?"""
    known = list(policies)
    return side(known, source, target, "Egress", port, protocol) and side(
        known, target, source, "Ingress", port, protocol
    )
