"""The report of a rehearsal: counted as Kubernetes counts, and red where something does not fit."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.infn.kaap.plugins.module_utils import fit, shapes

Object = dict[str, Any]
GIB = 2**30
SCHEMA = json.loads((Path(__file__).parents[2] / "release/rehearsal.schema.json").read_text(encoding="utf-8"))
ABOUT: Object = {
    "inventory": "small", "profile": "core", "release": "0.1.0", "taken": "2026-11-21T12:00:00+00:00",
    "seconds": {"control_plane": 30.0, "all": 60.0},
    "memory": {"peak_bytes": 2 * GIB, "processes": {"etcd": GIB}, "processes_bytes": GIB},
}  # fmt: skip


def container(cpu: str = "", memory: str = "", **more: Any) -> Object:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"name": "c", "resources": {"requests": requests}, **more}


@pytest.mark.parametrize(
    ("spec", "cpu", "memory"),
    [
        ({"containers": [container("100m", "1Gi"), container("200m", "1Gi")]}, "0.3", 2 * GIB),
        # An init container counts where it needs more than all that runs after it.
        ({"containers": [container("100m")], "initContainers": [container("1"), container("500m")]}, "1", 0),
        ({"containers": [container("2")], "initContainers": [container("1")]}, "2", 0),
        # A sidecar runs beside the containers, and beside the init containers that follow it.
        ({"containers": [container("1")], "initContainers": [container("200m", restartPolicy="Always")]}, "1.2", 0),
        (
            {
                "containers": [container("100m")],
                "initContainers": [container("200m", restartPolicy="Always"), container("1")],
            },
            "1.2", 0,
        ),
        ({"containers": [container("100m", "1Gi")], "overhead": {"cpu": "50m"}}, "0.15", GIB),
        ({"containers": [container("100m")], "resources": {"requests": {"cpu": "3"}}}, "3", 0),
        ({"containers": [{"name": "c", "resources": {"limits": {"cpu": "4"}}}]}, "4", 0),
        ({"containers": [{"name": "c"}]}, "0", 0),
    ],
)  # fmt: skip
def test_requests_of_a_pod(spec: Object, cpu: str, memory: int) -> None:
    found = fit.requests_of(spec)
    assert found.get("cpu", Decimal(0)) == Decimal(cpu)
    assert found.get("memory", Decimal(0)) == Decimal(memory)


def shape(name: str, control: bool = False, gpus: int = 0) -> shapes.Shape:
    return shapes.Shape(name, control, "4", 8 * GIB, 100 * GIB, gpus, "A100" if gpus else "")


def owner(kind: str, name: str, uid: str, component: str = "", by: str = "", **annotations: str) -> Object:
    metadata: Object = {"name": name, "namespace": "here", "uid": uid, "annotations": annotations}
    if component:
        metadata["labels"] = {"kaap.infn.it/component": component}
    if by:
        metadata["ownerReferences"] = [{"uid": by}]
    return {"kind": kind, "metadata": metadata}


def pod(name: str, by: str, node: str = "", cpu: str = "1", memory: str = "1Gi", **more: Any) -> Object:
    status: Object = {"phase": "Running" if node else "Pending"}
    if not node:
        said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient cpu."}
        status["conditions"] = [said]
    metadata = {"name": name, "namespace": more.get("namespace", "here"), "ownerReferences": [{"uid": by}]}
    one = {"metadata": metadata, "spec": {"containers": [container(cpu, memory)]}, "status": status}
    if node:
        one["spec"]["nodeName"] = node
    return one


WORKLOADS = [
    owner("Deployment", "server", "d1", "kueue"),
    owner("ReplicaSet", "server-1", "r1", by="d1"),
    owner("DaemonSet", "kueue-0", "l1", "kueue", **{fit.LATER_ANNOTATION: "workers of a kind"}),
]


def report(pods: list[Object], outcomes: Object | None = None, *, gpus: int = 0) -> Object:
    machines = [shape("control-1", True), shape("worker-1", gpus=gpus), shape("worker-2", gpus=gpus)]
    content = fit.report(
        about=ABOUT, shapes=machines, outcomes=outcomes if outcomes is not None else {"kueue": {"version": "1"}},
        nodes=[shapes.node(one) for one in machines], pods=pods, workloads=WORKLOADS, claims=[],
    )  # fmt: skip
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    return content


def test_green_everything_fits() -> None:
    content = report([pod("a", "r1", "worker-1"), pod("b", "r1", "worker-2", cpu="500m")])
    assert content["fits"] is True
    assert content["components"]["kueue"]["requests"] == {"cpu": 1.5, "memory": 2 * GIB}
    assert content["nodes"]["worker-1"]["requested"] == {"cpu": 1.0, "memory": GIB, "pods": 1.0}
    assert content["nodes"]["worker-1"]["free"]["cpu"] == 3.0
    # Users get what the workers have left; the largest pod is what one of them still takes.
    assert content["left_for_users"]["free"]["cpu"] == 6.5
    assert content["left_for_users"]["largest_pod"]["cpu"] == 3.5
    text = fit.markdown(content)
    assert "It fits." in text and "6.5 CPUs" in text
    assert "it fits" in fit.summary(content, "x.md")[-1]


def test_red_a_pod_that_no_machine_takes() -> None:
    content = report([pod("a", "r1", "worker-1"), pod("b", "r1"), pod("c", "r1")])
    assert content["fits"] is False
    (entry,) = content["unschedulable"]
    assert entry == {
        "component": "kueue", "object": "Deployment here/server", "pods": 2, "why": "Insufficient cpu.",
        "requests": {"cpu": 1.0, "memory": GIB},
    }  # fmt: skip
    # It is asked for, whether it fits or not, and takes nothing from a machine.
    assert content["components"]["kueue"]["requests"]["cpu"] == 3.0
    assert content["components"]["kueue"]["pods_scheduled"] == 1
    text = fit.markdown(content)
    assert "does not fit" in text and "Deployment here/server | 2 |" in text
    assert any("fits nowhere: Insufficient cpu." in line for line in fit.summary(content, "x.md"))


@pytest.mark.parametrize("key", ["refused", "not_ready"])
def test_red_an_object_that_was_refused_or_is_not_ready(key: str) -> None:
    content = report([], {"kueue": {key: [{"object": "Thing here/one", "why": "spec.size: Invalid value"}]}})
    assert content["fits"] is False
    assert content[key] == [{"component": "kueue", "object": "Thing here/one", "why": "spec.size: Invalid value"}]
    assert "Thing here/one" in fit.markdown(content)


def test_what_is_left_out_is_listed_and_no_fault() -> None:
    content = report([], {"kueue": {"left_out": [{"object": "ValidatingWebhookConfiguration x", "why": "simulated"}]}})
    assert content["fits"] is True
    assert "ValidatingWebhookConfiguration x" in fit.markdown(content)


def test_pods_that_come_later_count_and_are_named_as_such() -> None:
    content = report([pod("a", "l1", namespace=fit.LATER_NAMESPACE)])
    assert content["components"]["kueue"]["pods_later"] == 1
    assert content["unschedulable"][0]["object"] == "workers of a kind (comes later)"


@pytest.mark.parametrize(
    ("outcome", "marked"),
    [
        ({"suggests_pods": ["TrainJob"], "later": None}, True),
        ({"suggests_pods": ["TrainJob"], "later": []}, False),
        ({"suggests_pods": [], "later": None}, False),
    ],
)
def test_lower_bound_where_a_record_is_silent(outcome: Object, marked: bool) -> None:
    content = report([], {"kueue": outcome})
    assert bool(content["components"]["kueue"]["lower_bound"]) is marked
    assert ("kueue (at least)" in fit.markdown(content)) is marked


def test_gpus_by_flavour() -> None:
    taken = pod("a", "r1", "worker-1")
    taken["spec"]["containers"][0]["resources"]["limits"] = {"nvidia.com/gpu": "3"}
    content = report([taken], gpus=8)
    assert content["gpus"] == {"A100": {"machines": 2, "total": 16, "requested": 3, "free": 13}}
    assert "13 of 16 A100" in fit.markdown(content)


def test_pods_that_ended_hold_nothing() -> None:
    ended = pod("a", "r1", "worker-1")
    ended["status"]["phase"] = "Succeeded"
    assert report([ended])["components"]["kueue"]["pods"] == 0


def test_pods_of_kubernetes_itself_are_its_own() -> None:
    static = pod("etcd-control-1", "nobody", "control-1", cpu="100m", namespace="kube-system")
    content = report([static])
    assert content["components"]["kubernetes"]["pods"] == 1
    # A pod that nobody can be found for is no component's, and still takes room.
    stray = pod("stray", "nobody", "worker-1")
    content = report([stray])
    assert content["components"]["kubernetes"]["pods"] == 0 and content["nodes"]["worker-1"]["pods"] == 1


def test_one_machine_is_all_that_users_have() -> None:
    machine = shape("only-1", True)
    content = fit.report(
        about=ABOUT, shapes=[machine], outcomes={}, nodes=[shapes.node(machine)], pods=[], workloads=[], claims=[]
    )
    assert content["left_for_users"]["machines"] == "all"
    assert content["left_for_users"]["free"]["cpu"] == 4.0


def test_volumes() -> None:
    claim = {
        "metadata": {"namespace": "here", "name": "data"}, "status": {"phase": "Bound"},
        "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "10Gi"}}},
    }  # fmt: skip
    later = [{"what": "stores", "count": 3, "cpu": "1", "memory": "1Gi", "storage": "5Gi"}]
    content = fit.report(
        about=ABOUT, shapes=[], outcomes={"x": {"later": later}}, nodes=[], pods=[], workloads=[], claims=[claim]
    )
    assert content["volumes"]["bytes"] == 10 * GIB
    assert content["volumes"]["later"] == [{"component": "x", "what": "stores", "count": 3, "bytes": 5 * GIB}]


def test_workloads_that_stand_for_later_pods() -> None:
    entries = [
        {"what": "gateway", "count": 2, "cpu": "100m", "memory": "128Mi"},
        {"what": "agent", "count": "per node", "cpu": "1", "memory": "1Gi", "gpus": 1},
    ]
    gateway, agent = fit.later_objects("istio", entries, [])
    assert (gateway["kind"], gateway["spec"]["replicas"]) == ("Deployment", 2)
    assert agent["kind"] == "DaemonSet" and "replicas" not in agent["spec"]
    limits = agent["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"nvidia.com/gpu": "1"}
    assert agent["spec"]["template"]["spec"]["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_later_pods_that_go_with_gpus_or_with_the_size_of_their_machine() -> None:
    entries = [
        {"what": "driver", "count": "per GPU node", "cpu": "0", "memory": "0"},
        {"what": "engine", "count": "per node", "cpu": "5%", "memory": "64Mi"},
    ]
    machines = [dataclasses.replace(shape(name), cpus=cpus) for name, cpus in (("a", "128"), ("b", "8"), ("c", "8"))]
    driver, *engines = fit.later_objects("x", entries, machines)
    pod = driver["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"} and "tolerations" in pod
    assert shapes.node(shape("gpu", gpus=8))["metadata"]["labels"].items() >= pod["nodeSelector"].items()
    found = {}
    for engine in engines:
        (selector,) = engine["spec"]["template"]["spec"]["nodeSelector"].items()
        (container,) = engine["spec"]["template"]["spec"]["containers"]
        found[selector] = container["resources"]["requests"]
        assert any(selector in shapes.node(machine)["metadata"]["labels"].items() for machine in machines)
    assert found == {
        (shapes.CPUS_LABEL, "8"): {"cpu": "400m", "memory": "64Mi"},
        (shapes.CPUS_LABEL, "128"): {"cpu": "6400m", "memory": "64Mi"},
    }
    assert len({engine["metadata"]["name"] for engine in engines}) == 2


def test_machines_of_one_shape_share_a_line() -> None:
    groups = fit.machines([shape("control-1", True), *(shape(f"worker-{n}") for n in range(500))])
    assert [(group["role"], group["count"]) for group in groups] == [("control plane", 1), ("worker", 500)]
