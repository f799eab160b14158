"""Namespaces: who may talk to whom, and how much a pod may do."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import namespaces, release, render
from ansible_collections.infn.kaap.plugins.module_utils.namespaces import NamespaceError, Networks

from tests.unit.network import Pod, allowed

NETWORKS = Networks("10.244.0.0/16", "10.96.0.0/16", "10.89.7.0/24")
RULES = namespaces.load()
WORKLOADS = {"kaap.infn.it/workloads": "true", "app.kubernetes.io/managed-by": "kaap"}
OURS = {"app.kubernetes.io/managed-by": "kaap"}
POLICIES = namespaces.network_policies(
    dict(zip("abcde", ["minio", "kserve", "kueue-system", "envoy-gateway-system", "kube-system"], strict=True)),
    ["astro", "bio"],
    RULES,
    NETWORKS,
)

astro, bio = (Pod(name, namespace_labels=WORKLOADS, address="10.244.1.5") for name in ("astro", "bio"))
minio, kserve, kueue, gateway = (
    Pod(name, namespace_labels=OURS, address="10.244.1.6")
    for name in ("minio", "kserve", "kueue-system", "envoy-gateway-system")
)
dns = Pod("kube-system", {"k8s-app": "kube-dns"}, address="10.244.0.2")
other_of_kube_system = Pod("kube-system", {"k8s-app": "metrics-server"}, address="10.244.0.3")
node = Pod(address="10.89.7.10")
api_service = Pod(address="10.96.0.1")
outside = Pod(address="192.0.2.7")
credentials_of_the_cloud = Pod(address="169.254.169.254")


@pytest.mark.parametrize(
    ("source", "target", "port", "protocol"),
    [
        (astro, dns, 53, "UDP"),
        (kserve, dns, 53, "TCP"),
        (kserve, node, 6443, "TCP"),
        (kserve, api_service, 443, "TCP"),
        (astro, astro, 12345, "TCP"),
        (kserve, kserve, 9443, "TCP"),
        (astro, minio, 9000, "TCP"),
        (astro, outside, 443, "TCP"),
        (gateway, astro, 8080, "TCP"),
        (gateway, minio, 9001, "TCP"),
        (outside, gateway, 8080, "TCP"),
        (node, kserve, 9443, "TCP"),
        (node, kueue, 9443, "TCP"),
    ],
)
def test_what_the_platform_needs_gets_through(source: Pod, target: Pod, port: int, protocol: str) -> None:
    assert allowed(POLICIES, source, target, port, protocol)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (astro, bio, 8080),
        (bio, astro, 8080),
        (astro, kserve, 8443),
        (astro, minio, 9001),
        (astro, other_of_kube_system, 10250),
        (astro, dns, 9153),
        (astro, node, 10250),
        (astro, api_service, 80),
        (astro, credentials_of_the_cloud, 80),
        (kserve, minio, 9000),
        (kserve, outside, 443),
        (minio, astro, 8080),
        (outside, minio, 9000),
        (outside, astro, 8080),
    ],
)
def test_what_nobody_needs_does_not(source: Pod, target: Pod, port: int) -> None:
    assert not allowed(POLICIES, source, target, port)


def test_without_policies_all_of_it_gets_through() -> None:
    """The evaluator tells the policies' doing from its own."""
    assert allowed([], astro, bio, 8080) and allowed([], outside, minio, 9000)


def test_every_namespace_is_closed_in_both_directions_and_the_clusters_own_are_left_alone() -> None:
    closed = {
        policy["metadata"]["namespace"]
        for policy in POLICIES
        if policy["metadata"]["name"] == "default-deny"
        and policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    }
    assert closed == {"minio", "kserve", "kueue-system", "envoy-gateway-system", "astro", "bio"}


def test_without_known_networks_the_api_server_is_reached_and_the_cloud_is_not() -> None:
    policies = namespaces.network_policies({"kserve": "kserve"}, ["astro"], RULES, Networks())
    assert allowed(policies, kserve, outside, 6443)
    assert not allowed(policies, kserve, outside, 443)
    assert not allowed(policies, astro, credentials_of_the_cloud, 80)


def test_further_namespaces_of_a_component_are_closed_with_it() -> None:
    rules = namespaces.Rules(further={"kubeflow": ("kubeflow-system",)})
    for components, wanted in (
        ({"kubeflow": "kubeflow"}, {"kubeflow", "kubeflow-system"}),
        ({"x": "minio"}, {"minio"}),
    ):
        policies = namespaces.network_policies(components, [], rules, NETWORKS)
        assert {policy["metadata"]["namespace"] for policy in policies} == wanted


def flow(**changes: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"from": "owned", "to": "dns", "ports": ["53/UDP"], "why": "names"}
    entry.update(changes)
    return {"flows": [entry], "pod_security": {"system": "restricted", "workloads": "baseline"}}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({**flow(), "flow": []}, r"it has the key flow; the keys are flows, further, pod_security"),
        (flow(port=53), r"flows\[0\] has the key port; the keys are from, ports, to, why"),
        (flow(why=""), r"flows\[0\] needs from, to and why"),
        (flow(ports=["dns"]), r"flows\[0\]\.ports has 'dns'; write a port such as 443 or 53/UDP"),
        (flow(ports=[70000]), r"flows\[0\]\.ports has 70000"),
        (flow(ports=["53/ICMP"]), r"flows\[0\]\.ports has '53/ICMP'"),
        (flow(to="api-server"), r"flows\[0\] goes to api-server, which stands alone, without ports"),
        ({"pod_security": {"system": "strict", "workloads": "baseline"}}, r"pod_security\.system is 'strict'"),
        (
            {
                "pod_security": {
                    "system": "restricted",
                    "workloads": "baseline",
                    "exceptions": {"x": {"level": "baseline"}},
                }
            },
            r"pod_security\.exceptions\.x has no reason",
        ),
    ],
)
def test_a_file_with_faults_is_refused(content: dict[str, Any], text: str) -> None:
    with pytest.raises(NamespaceError, match=text):
        namespaces.parse(content)


def test_levels_of_namespaces() -> None:
    """Restricted, but for the exceptions; people's programs have their own; what an object says wins."""
    rules = namespaces.Rules((), "restricted", "baseline", {"local-path-storage": "privileged"})

    def level(name: str, **labels: str) -> str | None:
        metadata = {"name": name, "labels": {key.replace("__", "/"): value for key, value in labels.items()}}
        return namespaces.secured({"metadata": metadata}, rules).get("pod-security.kubernetes.io/enforce")

    assert level("minio") == "restricted"
    assert level("local-path-storage") == "privileged"
    assert level("astro", **{"kaap.infn.it/workloads": "true"}) == "baseline"
    assert level("istio-system", **{"pod-security.kubernetes.io/enforce": "privileged"}) == "privileged"
    assert level("kube-system") is None


def test_rendering_labels_namespaces() -> None:
    """Whoever renders a namespace gives it its level."""
    level = namespaces.load().system_level
    made = render.clean({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "minio"}}, "minio")
    assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == level
    other = render.clean({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "minio"}}, "minio")
    assert "pod-security.kubernetes.io/enforce" not in other["metadata"]["labels"]


def test_names_in_the_file_are_namespaces_of_the_release() -> None:
    """A flow of a namespace that is called otherwise would allow nothing."""
    records = release.load(namespaces.FILE.parents[1])
    known = {str(record["namespace"]) for record in records.values() if record["kind"] == "component"}
    known |= {name for names in RULES.further.values() for name in names}
    assert set(RULES.further) <= set(records)
    named = {name for each in RULES.flows for name in (*each.sources, *each.targets)} - namespaces.PLACES
    assert named | set(RULES.exceptions) <= known
