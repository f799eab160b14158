"""What the machines of an inventory offer, read from their host variables, and the nodes that stand for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import quantities
from ansible_collections.infn.kaap.plugins.module_utils.settings import Problem, nearest

PREFIX = "machine_"
KEYS = (
    "machine_address", "machine_cpus", "machine_memory", "machine_disk", "machine_gpus", "machine_gpu_product",
    "machine_gpu_resource", "machine_labels", "machine_taints",
)  # fmt: skip
GPU = "nvidia.com/gpu"
PRODUCT_LABEL = "nvidia.com/gpu.product"
GPU_PRESENT_LABEL = "nvidia.com/gpu.present"
# What pods are told apart by that ask for a share of their machine.
CPUS_LABEL = "kaap.infn.it/cpus"
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
SIMULATED = "kwok.x-k8s.io/node"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# Pods that a kubelet takes unless told otherwise.
PODS = 110
# What a kubelet keeps back, as its default eviction thresholds say.
MEMORY_RESERVE = 100 * 2**20
NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
LABEL = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")


@dataclass(frozen=True)
class Shape:
    """One machine.

    :ivar cpus: cores, as a Kubernetes quantity.
    :ivar memory: bytes.
    :ivar disk: bytes for images, logs and scratch files of pods.
    :ivar gpus: number of GPUs (or slices of them) that it offers under ``gpu_resource``.
    """

    name: str
    control_plane: bool
    cpus: str
    memory: int
    disk: int
    gpus: int = 0
    gpu_product: str = ""
    gpu_resource: str = GPU
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()

    @property
    def flavour(self) -> str:
        """Which GPUs it has: the product, and the resource where that is a slice of one."""
        if not self.gpus:
            return ""
        return self.gpu_product if self.gpu_resource == GPU else f"{self.gpu_product} ({self.gpu_resource})"


def read(
    hosts: Mapping[str, Mapping[str, Any]], control_plane: Sequence[str], defaults: Mapping[str, Any]
) -> tuple[list[Shape], list[Problem]]:
    """The shapes of all machines, and everything that is wrong with them.

    :param hosts: by name of the host, its variables that begin with ``machine_``.
    :param control_plane: the hosts of the control plane.
    :param defaults: variables of a machine that says nothing, such as one that is a container on this host.
    """
    shapes: list[Shape] = []
    problems: list[Problem] = []
    for name, given in hosts.items():
        shape, wrong = _read(name, {**defaults, **given}, name in control_plane)
        problems += wrong
        if shape is not None:
            shapes.append(shape)
    return shapes, _shortened(problems)


def _shortened(problems: list[Problem]) -> list[Problem]:
    """Five hundred machines of one group make one mistake: it is told once, with the first of them."""
    once: dict[tuple[str, str, str], Problem] = {}
    count: dict[tuple[str, str, str], int] = {}
    for problem in problems:
        variable = problem.variable.partition(" of ")[0]
        key = (variable, str(problem.value), problem.fault)
        once.setdefault(key, problem)
        count[key] = count.get(key, 0) + 1
    return [
        problem
        if count[key] == 1
        else Problem(f"{problem.variable} and {count[key] - 1} more", problem.value, problem.fault, problem.fix)
        for key, problem in once.items()
    ]


def _read(name: str, given: Mapping[str, Any], control: bool) -> tuple[Shape | None, list[Problem]]:
    problems: list[Problem] = []

    def wrong(key: str, fault: str, fix: str) -> None:
        problems.append(Problem(f"{key} of {name}", given.get(key, "not set"), fault, fix))

    for key in given:
        if key not in KEYS:
            wrong(key, "is no variable of a machine", nearest(key, KEYS))
    cpus = _quantity(given, "machine_cpus", "8", wrong)
    memory = _quantity(given, "machine_memory", "32Gi", wrong)
    disk = _quantity({"machine_disk": "100Gi", **given}, "machine_disk", "100Gi", wrong)
    gpus = given.get("machine_gpus", 0)
    if not re.fullmatch(r"[0-9]+", str(gpus)) or isinstance(gpus, bool):
        wrong("machine_gpus", "is no number of GPUs", "give a whole number, 0 for none")
        gpus = 0
    product = str(given.get("machine_gpu_product") or "")
    if int(gpus) and not VALUE.match(product or "-"):
        fault = "is needed where machine_gpus is set" if not product else "is no value of a label"
        wrong("machine_gpu_product", fault, "name it as the driver does: NVIDIA-A100-SXM4-40GB")
    resource = str(given.get("machine_gpu_resource") or GPU)
    if "/" not in resource or not LABEL.match(resource):
        wrong("machine_gpu_resource", "is no resource", f"use {GPU}, or nvidia.com/mig-1g.5gb and the like")
    labels, taints = _marks(given, wrong)
    if not NAME.match(name.lower()):
        problems.append(Problem("inventory host", name, "is no name for a node", "use lower-case letters, digits, -"))
    if problems:
        return None, problems
    return Shape(
        name.lower(), control, cpus, int(quantities.parse(memory)), int(quantities.parse(disk)), int(gpus), product,
        resource, labels, taints,
    ), []  # fmt: skip


def _quantity(given: Mapping[str, Any], key: str, example: str, wrong: Any) -> str:
    value = given.get(key)
    if value in (None, ""):
        wrong(key, "is needed to rehearse", f"set it for the host or its group, as {key}: {example}")
        return "0"
    try:
        if quantities.parse(value) > 0:
            return str(value)
    except ValueError:
        pass
    wrong(key, "is no amount above 0", f"write it as Kubernetes does: {example}")
    return "0"


def _marks(given: Mapping[str, Any], wrong: Any) -> tuple[dict[str, str], list[dict[str, str]]]:
    labels = given.get("machine_labels") or {}
    if not isinstance(labels, Mapping) or not all(
        LABEL.match(str(key)) and VALUE.match(str(value)) for key, value in labels.items()
    ):
        wrong("machine_labels", "are no labels", 'give a mapping, such as {infn.it/site: "cnaf"}')
        labels = {}
    taints = given.get("machine_taints") or []
    sound = isinstance(taints, Sequence) and all(
        isinstance(taint, Mapping)
        and set(taint) <= {"key", "value", "effect"}
        and LABEL.match(str(taint.get("key", "")))
        and taint.get("effect") in EFFECTS
        for taint in taints
    )
    if not sound:
        wrong("machine_taints", "are no taints", "give a list, such as [{key: gpu, value: a100, effect: NoSchedule}]")
        taints = []
    return (
        {str(key): str(value) for key, value in labels.items()},
        [{str(key): str(value) for key, value in taint.items()} for taint in taints],
    )


def node(shape: Shape) -> dict[str, Any]:
    """The node that stands for a machine; kwok keeps it ready and runs its pods."""
    memory = str(shape.memory)
    capacity = {"cpu": shape.cpus, "memory": memory, "ephemeral-storage": str(shape.disk), "pods": str(PODS)}
    labels = {
        "kubernetes.io/hostname": shape.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64", "type": "kwok",
        CPUS_LABEL: shape.cpus,
    }  # fmt: skip
    if shape.control_plane:
        labels |= {CONTROL_PLANE_LABEL: "", "node.kubernetes.io/exclude-from-external-load-balancers": ""}
    if shape.gpus:
        capacity[shape.gpu_resource] = str(shape.gpus)
        labels |= {
            PRODUCT_LABEL: shape.gpu_product, GPU_PRESENT_LABEL: "true", "nvidia.com/gpu.count": str(shape.gpus)
        }  # fmt: skip
    allocatable = {**capacity, "memory": str(shape.memory - MEMORY_RESERVE)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": shape.name,
            "labels": {**labels, **shape.labels},
            "annotations": {SIMULATED: "fake", "node.alpha.kubernetes.io/ttl": "0"},
        },
        "spec": {"taints": [dict(taint) for taint in shape.taints]} if shape.taints else {},
        "status": {"capacity": capacity, "allocatable": allocatable, "phase": "Running"},
    }


def static_pod(mirror: Mapping[str, Any], of: str, shape: Shape) -> dict[str, Any]:
    """A pod of the control plane on a simulated machine, with the requests of the real one.

    :param mirror: what the API server shows of the real one.
    :param of: the real node's name, with which its name ends.
    """
    name = str(mirror["metadata"]["name"]).removesuffix(f"-{of}")
    containers = [
        {"name": each["name"], "image": each["image"], "resources": each.get("resources") or {}}
        for each in mirror["spec"]["containers"]
    ]
    labels = {"component": name, "tier": "control-plane"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-{shape.name}", "namespace": "kube-system", "labels": labels},
        "spec": {
            "nodeName": shape.name,
            "hostNetwork": True,
            "automountServiceAccountToken": False,
            "priorityClassName": "system-node-critical",
            "tolerations": [{"operator": "Exists"}],
            "containers": containers,
        },
    }
