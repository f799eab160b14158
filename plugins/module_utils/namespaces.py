"""What holds for namespaces: default-deny NetworkPolicies with the allowed flows, and Pod Security labels.

Both come from ``release/namespaces.yml``. A flow is written once and becomes two rules, one on each side.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

FILE = Path(__file__).resolve().parents[2] / "release" / "namespaces.yml"
NAME_LABEL = "kubernetes.io/metadata.name"
MANAGED_LABEL = "app.kubernetes.io/managed-by"
WORKLOADS_LABEL = "kaap.infn.it/workloads"
LEVEL_LABEL = "pod-security.kubernetes.io/enforce"
LEVELS = ("privileged", "baseline", "restricted")
# Namespaces that belong to the cluster: KaaP neither closes nor labels them.
SYSTEM = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
PLACES = frozenset({"owned", "workloads", "same", "anywhere", "internet", "dns", "api-server"})
# Where clouds hand out machines' credentials; no program of a tenant's has business there.
LINK_LOCAL = "169.254.0.0/16"
API_PORTS = (443, 6443)


class NamespaceError(Exception):
    """release/namespaces.yml cannot be used; the text names the key, the value and the fix."""


@dataclass(frozen=True)
class Networks:
    """IPv4 networks of the cluster, as CIDR; empty when not known."""

    pods: str = ""
    services: str = ""
    nodes: str = ""


@dataclass(frozen=True)
class Flow:
    """Who may talk to whom.

    :ivar sources: namespaces and places of :data:`PLACES`
    :ivar targets: the same
    :ivar ports: (port, protocol) of the pods that are talked to; empty means all
    :ivar why: the reason, for people
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    ports: tuple[tuple[int, str], ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Rules:
    """The content of the file.

    :ivar exceptions: Pod Security level of namespaces that need another one than the others
    :ivar further: namespaces of a component beside its own
    """

    flows: tuple[Flow, ...] = ()
    system_level: str = "restricted"
    workloads_level: str = "baseline"
    exceptions: Mapping[str, str] = field(default_factory=dict)
    further: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def level(self, namespace: str) -> str:
        """Pod Security level of a component's namespace."""
        return self.exceptions.get(namespace, self.system_level)


@functools.cache
def load(path: Path = FILE) -> Rules:
    """Read the file.

    :raises NamespaceError: when it is not as it should be
    """
    return parse(yaml.safe_load(path.read_text("utf-8")))


def parse(content: Mapping[str, Any]) -> Rules:
    """Check the content of the file.

    :raises NamespaceError: for an unknown key, a place or port that is none, a level that is none, a missing reason
    """
    _keys(content, {"flows", "further", "pod_security"}, "it")
    security = content.get("pod_security") or {}
    _keys(security, {"system", "workloads", "exceptions"}, "pod_security")
    exceptions = {}
    for name, entry in (security.get("exceptions") or {}).items():
        where = f"pod_security.exceptions.{name}"
        _keys(entry, {"level", "reason"}, where)
        if not entry.get("reason"):
            raise NamespaceError(f"release/namespaces.yml: {where} has no reason; say why it needs another level")
        exceptions[str(name)] = _level(entry.get("level"), f"{where}.level")
    return Rules(
        flows=tuple(_flow(entry, f"flows[{index}]") for index, entry in enumerate(content.get("flows") or [])),
        system_level=_level(security.get("system"), "pod_security.system"),
        workloads_level=_level(security.get("workloads"), "pod_security.workloads"),
        exceptions=exceptions,
        further={str(name): tuple(map(str, names)) for name, names in (content.get("further") or {}).items()},
    )


def _keys(entry: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(entry) - known)
    if unknown:
        raise NamespaceError(
            f"release/namespaces.yml: {where} has the key {unknown[0]}; the keys are {', '.join(sorted(known))}"
        )


def _level(value: Any, where: str) -> str:
    if value not in LEVELS:
        raise NamespaceError(f"release/namespaces.yml: {where} is {value!r}; take one of {', '.join(LEVELS)}")
    return str(value)


def _flow(entry: Mapping[str, Any], where: str) -> Flow:
    _keys(entry, {"from", "to", "ports", "why"}, where)
    if not entry.get("from") or not entry.get("to") or not entry.get("why"):
        raise NamespaceError(f"release/namespaces.yml: {where} needs from, to and why; it has {sorted(entry)}")
    sides = [
        tuple(str(name) for name in (value if isinstance(value, list) else [value]))
        for value in (entry["from"], entry["to"])
    ]
    ports = []
    for value in entry.get("ports") or []:
        number, _, protocol = str(value).partition("/")
        if not number.isdigit() or not 0 < int(number) < 65536 or (protocol or "TCP") not in {"TCP", "UDP", "SCTP"}:
            raise NamespaceError(
                f"release/namespaces.yml: {where}.ports has {value!r}; write a port such as 443 or 53/UDP"
            )
        ports.append((int(number), protocol or "TCP"))
    if "api-server" in sides[1] and (ports or len(sides[1]) > 1):
        raise NamespaceError(f"release/namespaces.yml: {where} goes to api-server, which stands alone, without ports")
    return Flow(sides[0], sides[1], tuple(ports), str(entry["why"]))


# Pod Security


def pod_security_labels(level: str) -> dict[str, str]:
    """The labels of a namespace in which a level is enforced."""
    return {LEVEL_LABEL: level}


def secured(namespace: Mapping[str, Any], rules: Rules) -> dict[str, str]:
    """The labels of a component's namespace, with its Pod Security level.

    What the object itself says wins: tenants' namespaces bring their own level.
    """
    metadata = namespace["metadata"]
    labels = metadata.get("labels") or {}
    if metadata["name"] in SYSTEM:
        return dict(labels)
    workloads = labels.get(WORKLOADS_LABEL) == "true"
    level = rules.workloads_level if workloads else rules.level(str(metadata["name"]))
    return {**pod_security_labels(level), **labels}


# NetworkPolicies


def network_policies(
    components: Mapping[str, str], workloads: Iterable[str], rules: Rules, networks: Networks
) -> list[Object]:
    """The policies of all namespaces that are not the cluster's own.

    :param components: namespace by name of the component
    :param workloads: namespaces in which people's programs run
    """
    system = {*components.values(), *(name for key in components for name in rules.further.get(key, ()))}
    programs = set(workloads) - SYSTEM
    return [
        policy
        for name in sorted((system | programs) - SYSTEM)
        for policy in policies(name, rules, networks, workloads=name in programs)
    ]


def policies(namespace: str, rules: Rules, networks: Networks, *, workloads: bool) -> list[Object]:
    """Two policies: one closes the namespace in both directions, the other opens what the flows allow."""
    ingress: list[Object] = []
    egress: list[Object] = []
    for flow in rules.flows:
        if _concerns(flow.targets, namespace, workloads) or "same" in flow.targets:
            same = "same" in flow.targets
            peers = _peers(("same",) if same else flow.sources, networks)
            ingress.append(_rule("from", peers, flow.ports))
        if _concerns(flow.sources, namespace, workloads):
            if flow.targets == ("api-server",):
                egress += _api_server(networks)
            else:
                egress.append(_rule("to", _peers(flow.targets, networks), flow.ports))
    spec: Object = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    return [
        _policy("default-deny", namespace, spec),
        _policy("allowed-flows", namespace, {**spec, "ingress": ingress, "egress": egress}),
    ]


def _policy(name: str, namespace: str, spec: Object) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def _concerns(side: Sequence[str], namespace: str, workloads: bool) -> bool:
    return namespace in side or "owned" in side or (workloads and "workloads" in side)


def _rule(key: str, peers: list[Object], ports: Sequence[tuple[int, str]]) -> Object:
    """A rule without peers is for everybody, one without ports for all ports."""
    rule: Object = {key: peers} if peers else {}
    if ports:
        rule["ports"] = [{"port": port, "protocol": protocol} for port, protocol in ports]
    return rule


def _peers(side: Sequence[str], networks: Networks) -> list[Object]:
    """The peers of one side of a flow; empty for everybody."""
    if "anywhere" in side:
        return []
    fixed: dict[str, Object] = {
        "owned": {"namespaceSelector": {"matchLabels": {MANAGED_LABEL: "kaap"}}},
        "workloads": {"namespaceSelector": {"matchLabels": {WORKLOADS_LABEL: "true"}}},
        "same": {"podSelector": {}},
        "dns": {
            "namespaceSelector": {"matchLabels": {NAME_LABEL: "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        },
        "internet": {"ipBlock": {"cidr": "0.0.0.0/0", "except": _inside(networks)}},
    }
    return [fixed.get(name) or {"namespaceSelector": {"matchLabels": {NAME_LABEL: name}}} for name in side]


def _inside(networks: Networks) -> list[str]:
    return [network for network in (networks.pods, networks.services, networks.nodes, LINK_LOCAL) if network]


def _api_server(networks: Networks) -> list[Object]:
    """Its service, for CNIs that look before the address is translated, and the control plane, for the others."""
    https, secure = API_PORTS
    control_plane = _rule("to", [{"ipBlock": {"cidr": networks.nodes or "0.0.0.0/0"}}], [(secure, "TCP")])
    if not networks.services:
        return [control_plane]
    service = next(ipaddress.ip_network(networks.services).hosts())
    return [_rule("to", [{"ipBlock": {"cidr": f"{service}/32"}}], [(https, "TCP")]), control_plane]
