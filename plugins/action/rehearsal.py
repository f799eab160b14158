"""Controller side of infn.kaap.rehearsal: the simulated machines, and the report on the platform there."""

from __future__ import annotations

import concurrent.futures
import itertools
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.infn.kaap.plugins.module_utils import (
    embedded,
    fit,
    pack,
    quantities,
    readiness,
    rehearsal,
    rehearsing,
    shapes,
    waiting,
)
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, KubeError, Resource
from ansible_collections.infn.kaap.plugins.module_utils.readiness import Verdict
from ansible_collections.infn.kaap.plugins.module_utils.timings import write_json

ROOT = Path(__file__).resolve().parents[2]
NODES = Resource("", "v1", "Node", "nodes", False)
NAMESPACES = Resource("", "v1", "Namespace", "namespaces", False)
CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", True)
# What owns pods, directly or not.
WORKLOADS = (
    ("apps/v1", "Deployment"), ("apps/v1", "ReplicaSet"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"), ("batch/v1", "CronJob"),
)  # fmt: skip
MIRROR = "kubernetes.io/config.mirror"


class ActionModule(ActionBase):  # type: ignore[misc]
    """Thin over module_utils/{shapes,rehearsing,fit}.py; its options are documented in plugins/modules/rehearsal.py."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task.

        :raises AnsibleActionFail: for machines without a shape and for a cluster that does not answer.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, self.arguments = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "choices": ["shapes", "machines", "report"], "required": True},
                "kubeconfig": {"type": "path"},
                "timeout": {"type": "int", "default": 600},
                "state_dir": {"type": "path"},
                "deployment": {"type": "str"},
                "inventory": {"type": "str"},
                "profile": {"type": "str"},
                "times": {"type": "dict", "default": {}},
            },
            required_if=[
                ("state", "machines", ["kubeconfig"]),
                ("state", "report", ["kubeconfig", "state_dir", "deployment", "inventory", "profile"]),
            ],
        )
        self.shapes, problems = rehearsal.shapes_of(task_vars or {}, self._templar)
        if problems:
            raise AnsibleActionFail("\n".join(str(problem) for problem in problems))
        self.deadline = time.monotonic() + self.arguments["timeout"]
        try:
            result.update(getattr(self, f"_{self.arguments['state']}")())
        except (KubeError, embedded.EmbeddedError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        return result

    def _shapes(self) -> dict[str, Any]:
        control = [quantities.parse(shape.cpus) for shape in self.shapes if shape.control_plane]
        return {"changed": False, "machines": len(self.shapes), "control_plane_cpus": float(min(control))}

    def _client(self) -> KubeClient:
        client = KubeClient.from_kubeconfig(Path(self.arguments["kubeconfig"]))
        client.discover()
        return client

    def _say(self, text: str) -> None:
        self._display.display(f"    {text}")

    # Machines

    def _machines(self) -> dict[str, Any]:
        client = self._client()
        real = rehearsal.CONTROL_PLANE_HOST
        mirrors: dict[str, dict[str, Any]] = {}

        def look() -> Verdict:
            pods, _ = client.list(rehearsing.PODS, "kube-system", fields=f"spec.nodeName={real}")
            found = {p["metadata"]["name"]: p for p in pods if MIRROR in (p["metadata"].get("annotations") or {})}
            mirrors.update(found)
            return Verdict(len(mirrors) >= 4, f"{len(mirrors)} of 4 are reported")

        waiting.poll(look, "the pods of the control plane", self.deadline, self._say)
        # Its kubelet goes on running the control plane; without the node nothing of the platform can come there.
        client.delete(NODES, "", real)
        made = [shapes.node(shape) for shape in self.shapes]
        made += [
            shapes.static_pod(mirror, real, shape)
            for shape in self.shapes
            if shape.control_plane
            for mirror in mirrors.values()
        ]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda obj: create(client, obj), made[: len(self.shapes)]))
            list(pool.map(lambda obj: create(client, obj), made[len(self.shapes) :]))

        def ready() -> Verdict:
            nodes, _ = client.list(NODES)
            waits = [node["metadata"]["name"] for node in nodes if not usable(node)]
            return Verdict(not waits, f"{len(waits)} of {len(nodes)} are not, among them {', '.join(waits[:3])}")

        waiting.poll(ready, "the simulated machines", self.deadline, self._say)
        return {"changed": True, "machines": len(self.shapes)}

    # Report

    def _report(self) -> dict[str, Any]:
        client = self._client()
        state = Path(self.arguments["state_dir"])
        outcomes = {
            path.stem: json.loads(path.read_text(encoding="utf-8"))
            for path in sorted((state / rehearsing.OUTCOMES).glob("*.json"))
        }
        self._later(client, outcomes)
        self._settled(client)
        times = {name: float(value) for name, value in self.arguments["times"].items()}
        times["end"] = time.time()
        names = list(times)
        seconds = {after: round(times[after] - times[before], 1) for before, after in itertools.pairwise(names)}
        seconds["report"] = seconds.pop("end")
        seconds["all"] = round(times["end"] - times[names[0]], 1)
        workloads = []
        for api_version, kind in WORKLOADS:
            resource = client.catalogue.need(api_version, kind)
            workloads += client.list(resource)[0]
        claims, _ = client.list(CLAIMS)
        rehearsing.judged_again(outcomes, [*workloads, *claims])
        content = fit.report(
            about={
                "inventory": self.arguments["inventory"],
                "profile": self.arguments["profile"],
                "release": pack.version(ROOT),
                "taken": datetime.now(tz=UTC).isoformat(timespec="seconds"),
                "seconds": seconds,
                "memory": self._memory(),
            },
            shapes=self.shapes,
            outcomes=outcomes,
            nodes=client.list(NODES)[0],
            pods=client.list(rehearsing.PODS)[0],
            workloads=workloads,
            claims=claims,
        )
        files = {kind: state.parent / f"rehearsal.{kind}" for kind in ("json", "md")}
        write_json(files["json"], content)
        files["md"].write_text(fit.markdown(content), encoding="utf-8")
        return {"changed": True, "summary": fit.summary(content, files["md"]), "fits": content["fits"]}

    def _later(self, client: KubeClient, outcomes: dict[str, Any]) -> None:
        made = [
            obj
            for name, outcome in outcomes.items()
            for obj in fit.later_objects(name, outcome.get("later") or [], self.shapes)
        ]
        if made:
            client.apply(
                NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": fit.LATER_NAMESPACE}}
            )
        for obj in made:
            client.apply(client.catalogue.need(obj["apiVersion"], obj["kind"]), obj)

    def _settled(self, client: KubeClient) -> None:
        """Wait until the scheduler has judged every pod and its controllers have made all of theirs."""

        def look() -> dict[str, Verdict]:
            pods, _ = client.list(rehearsing.PODS)
            open_ = [pod for pod in pods if not pod["spec"].get("nodeName") and not rehearsing.unschedulable(pod)]
            found = {"all": Verdict(not open_, f"{len(open_)} of {len(pods)} pods are not judged")}
            for api_version, kind in WORKLOADS[:4]:
                for obj in client.list(client.catalogue.need(api_version, kind))[0]:
                    missing = not_made(obj)
                    if missing:
                        found[str(obj["metadata"]["uid"])] = Verdict(False, missing)
            return found

        rehearsing.settle(look, lambda: False, self.deadline)

    def _memory(self) -> dict[str, Any]:
        podman = embedded.Podman(self.arguments["deployment"])
        found = podman.inspect(embedded.container_name(self.arguments["deployment"], rehearsal.CONTROL_PLANE_HOST))
        return embedded.memory_peaks(str(found["Id"])) if found else {}


def create(client: KubeClient, obj: dict[str, Any]) -> None:
    """Make an object with its status, which only a plain creation takes; one that is there already is fine."""
    resource = client.catalogue.need(obj["apiVersion"], obj["kind"])
    place = resource.path(obj["metadata"].get("namespace", ""))
    status, data = client.raw("POST", place, {"fieldManager": "kaap"}, json.dumps(obj).encode())
    if status >= 300 and status != 409:
        raise KubeError(f"{obj['kind']} {obj['metadata']['name']}: {data.decode(errors='replace')[:500]}")


def usable(node: dict[str, Any]) -> bool:
    """Is a node ready, and has Kubernetes taken its own first taints away?"""
    taints = [taint["key"] for taint in node["spec"].get("taints") or []]
    return readiness.node(node).ready and not any(key.startswith("node.kubernetes.io/") for key in taints)


def not_made(obj: dict[str, Any]) -> str:
    """Which pods a workload's controller still has to make; empty when it has made all."""
    spec, status = obj["spec"], obj.get("status") or {}
    if obj["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        return "its controller has not seen it yet"
    if obj["kind"] == "DaemonSet":
        wanted, made = status.get("desiredNumberScheduled", 0), status.get("currentNumberScheduled", 0)
    elif obj["kind"] == "StatefulSet":
        # One after the other, each when the one before is ready: what does not fit holds the others up.
        return ""
    else:
        wanted, made = spec.get("replicas", 1), status.get("replicas", 0)
    return f"{made} of {wanted} pods are made" if made < wanted else ""
