"""Shapes of machines: what is right becomes a node, what is wrong is named with host, value and fix."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import shapes

GOOD: dict[str, Any] = {"machine_cpus": 8, "machine_memory": "32Gi"}


def read(**hosts: dict[str, Any]) -> tuple[list[shapes.Shape], list[str]]:
    named = {name.replace("_", "-"): given for name, given in hosts.items()}
    found, problems = shapes.read(named, ["control-1"], {})
    return found, [str(problem) for problem in problems]


def test_a_machine_with_gpus_becomes_a_node() -> None:
    gpus = {"machine_gpus": 8, "machine_gpu_product": "NVIDIA-A100-SXM4-40GB"}
    marks = {
        "machine_labels": {"infn.it/site": "cnaf"},
        "machine_taints": [{"key": "gpu", "value": "a100", "effect": "NoSchedule"}],
    }
    (control, worker), problems = read(control_1=GOOD, worker_1=GOOD | gpus | marks)
    assert problems == []
    assert control.control_plane and not worker.control_plane
    node = shapes.node(worker)
    assert node["status"]["capacity"] == {
        "cpu": "8", "memory": str(32 * 2**30), "ephemeral-storage": str(100 * 2**30), "pods": "110",
        "nvidia.com/gpu": "8",
    }  # fmt: skip
    assert int(node["status"]["allocatable"]["memory"]) == 32 * 2**30 - 100 * 2**20
    labels = node["metadata"]["labels"]
    assert labels["nvidia.com/gpu.product"] == "NVIDIA-A100-SXM4-40GB"
    assert labels["infn.it/site"] == "cnaf" and shapes.CONTROL_PLANE_LABEL not in labels
    assert node["spec"]["taints"] == [{"key": "gpu", "value": "a100", "effect": "NoSchedule"}]
    assert shapes.CONTROL_PLANE_LABEL in shapes.node(control)["metadata"]["labels"]
    assert "nvidia.com/gpu" not in shapes.node(control)["status"]["capacity"]


def test_slices_of_a_gpu_are_a_flavour_of_their_own() -> None:
    sliced = {"machine_gpus": 56, "machine_gpu_product": "A100", "machine_gpu_resource": "nvidia.com/mig-1g.5gb"}
    (machine,), _ = read(worker_1=GOOD | sliced)
    assert machine.flavour == "A100 (nvidia.com/mig-1g.5gb)"
    assert shapes.node(machine)["status"]["capacity"]["nvidia.com/mig-1g.5gb"] == "56"


def test_defaults_are_for_machines_that_say_nothing() -> None:
    hosts = {"one": {}, "two": {"machine_cpus": 2}}
    (one, two), problems = shapes.read(hosts, [], {"machine_cpus": 16, "machine_memory": "64Gi"})
    assert problems == [] and (one.cpus, two.cpus) == ("16", "2")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"machine_cpus": None}, "machine_cpus of worker-1: `None` is needed to rehearse; set it for the host"),
        ({"machine_memory": "32GB"}, "machine_memory of worker-1: `32GB` is no amount above 0; write it as Kuber"),
        ({"machine_cpus": 0}, "machine_cpus of worker-1: `0` is no amount above 0"),
        ({"machine_cpu": 4}, "machine_cpu of worker-1: `4` is no variable of a machine; did you mean machine_cpus?"),
        ({"machine_gpus": "eight"}, "machine_gpus of worker-1: `eight` is no number of GPUs"),
        ({"machine_gpus": 8}, "machine_gpu_product of worker-1: `not set` is needed where machine_gpus is set"),
        ({"machine_gpu_resource": "gpu"}, "machine_gpu_resource of worker-1: `gpu` is no resource; use nvidia.com/gpu"),
        ({"machine_labels": ["a"]}, "machine_labels of worker-1: `['a']` are no labels"),
        ({"machine_taints": [{"key": "a", "effect": "Never"}]}, "are no taints; give a list"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], text: str) -> None:
    found, problems = read(worker_1=GOOD | given)
    assert found == []
    assert any(text in problem for problem in problems), problems


def test_one_mistake_of_five_hundred_machines_is_told_once() -> None:
    hosts = {f"worker-{number}": {"machine_memory": "32Gi"} for number in range(500)}
    _, problems = shapes.read(hosts, [], {})
    (problem,) = problems
    assert problem.variable == "machine_cpus of worker-0 and 499 more"


def test_pods_of_the_control_plane_ask_for_what_the_real_ones_do() -> None:
    (control,), _ = read(control_1=GOOD)
    mirror = {
        "metadata": {"name": "etcd-real", "annotations": {}},
        "spec": {"containers": [{"name": "etcd", "image": "x", "resources": {"requests": {"cpu": "100m"}}, "env": []}]},
    }
    pod = shapes.static_pod(mirror, "real", control)
    assert pod["metadata"]["name"] == "etcd-control-1" and pod["spec"]["nodeName"] == "control-1"
    assert pod["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "100m"}}
