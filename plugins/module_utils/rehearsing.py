"""Apply components to a cluster whose nodes are simulated: sent and waited for as usual, and told where others fail.

The API server, the controllers and the scheduler are real; what runs in pods is not. So what would need such a server
to answer is left out and listed: webhooks, aggregated APIs, conversions of custom resources, and conditions that only
a component's own controller sets.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import copy
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import apply, readiness, waiting
from ansible_collections.infn.kaap.plugins.module_utils.kube import (
    ApiError,
    KubeClient,
    KubeError,
    Resource,
    describe,
    remaining,
)
from ansible_collections.infn.kaap.plugins.module_utils.objects import BUILT_IN_GROUPS, WEBHOOKS, ref_of
from ansible_collections.infn.kaap.plugins.module_utils.readiness import Verdict
from ansible_collections.infn.kaap.plugins.module_utils.render import group_of

Object = dict[str, Any]

# Seconds without any change after which waiting is given up: soon when the scheduler said why, else with patience.
IDLE_UNSCHEDULABLE = 5.0
IDLE = 30.0
TICK = 0.5
# What an API server says that does not get round to a request.
BUSY = (429, 503, 504)
PODS = Resource("", "v1", "Pod", "pods", True)
STORAGE_CLASS = Resource("storage.k8s.io", "v1", "StorageClass", "storageclasses", False)
SELECTED_NODE = "volume.kubernetes.io/selected-node"
SIMULATED_CLASS = "rehearsal"
OUTCOMES = "outcomes"


def without_servers(objects: Iterable[Object]) -> tuple[list[Object], list[dict[str, str]]]:
    """Take out what calls a server that is only simulated.

    :returns: what is left, and what was left out with the reason.
    """
    kept: list[Object] = []
    left_out = []
    for obj in objects:
        kind, group = str(obj["kind"]), group_of(obj)
        if kind in WEBHOOKS and group == "admissionregistration.k8s.io":
            count = len(obj.get("webhooks") or [])
            why = (
                f"its server is only simulated; {count} webhook{'s' if count != 1 else ''} would refuse what they cover"
            )
            left_out.append({"object": describe(obj), "why": why})
        elif kind == "APIService" and (obj.get("spec") or {}).get("service"):
            why = "its server is only simulated; the API server would answer for it with an error"
            left_out.append({"object": describe(obj), "why": why})
        elif kind == "CustomResourceDefinition" and (obj["spec"].get("conversion") or {}).get("strategy") == "Webhook":
            kept.append({**obj, "spec": {**obj["spec"], "conversion": {"strategy": "None"}}})
            why = "the server that converts between its versions is only simulated; versions are served unconverted"
            left_out.append({"object": f"conversion of {describe(obj)}", "why": why})
        else:
            kept.append(obj)
    return kept, left_out


def is_judged(api_version: str, kind: str) -> bool:
    """Can an object of this kind become ready here: by Kubernetes' own controllers, or by being there?"""
    return group_of({"apiVersion": api_version}) in BUILT_IN_GROUPS or readiness.predicate(api_version, kind) is None


class RehearsedComponent(apply.Component):
    """A component on its way into a rehearsal.

    :ivar outcome: ``refused``, ``not_ready`` and ``left_out``, lists of mappings with ``object`` and ``why``.
    """

    def __init__(self, cluster: apply.Cluster, record: Mapping[str, Any]) -> None:
        """Start with nothing to tell."""
        super().__init__(cluster, record)
        self.outcome: dict[str, list[dict[str, str]]] = {"refused": [], "not_ready": [], "left_out": []}

    def _tell(self, what: str, name: str, why: str) -> None:
        with self._lock:
            self.outcome[what].append({"object": name, "why": why})

    def _render(self) -> tuple[list[Object], list[Object]]:
        objects, resources = super()._render()
        parts = []
        for part in (objects, resources):
            kept, left_out = without_servers(part)
            parts.append(kept)
            self.outcome["left_out"] += left_out
        return parts[0], parts[1]

    def _apply(self, obj: Object) -> Object:
        """Apply one object. That the server had no time is no answer: it is asked again until the deadline."""
        applied: list[Object] = []

        def ask() -> Verdict:
            try:
                applied.append(super(RehearsedComponent, self)._apply(obj))
            except ApiError as error:
                if error.status not in BUSY or not remaining(self.deadline):
                    raise
                return Verdict(False, str(error))
            return readiness.READY

        waiting.poll(ask, f"an answer about {describe(obj)}", self.deadline, self._say)
        return applied[0]

    def _apply_all(self, members: Sequence[Object]) -> list[Object]:
        """Apply objects of one stage; what is refused is told, and the rest goes on."""
        with concurrent.futures.ThreadPoolExecutor(apply.THREADS) as pool:
            futures = [(obj, pool.submit(self._apply, obj)) for obj in members]
        applied = []
        for obj, future in futures:
            try:
                applied.append(future.result())
            except KubeError as error:
                self._tell("refused", describe(obj), str(error))
        return applied

    def _resources(self, resources: list[Object]) -> None:
        with self._timed("apply"):
            applied = [done for obj in resources for done in self._apply_all([obj])]
        with self._timed("ready"):
            self._await(applied)

    def _await_served(self, definitions: Iterable[Object]) -> list[Object]:
        left = []
        for obj in definitions:
            try:
                left += super()._await_served([obj])
            except waiting.NotReadyError as error:
                self._tell("not_ready", describe(obj), str(error))
        return left

    def _await(self, applied: Iterable[Object]) -> None:
        targets = []
        for obj in applied:
            ref = ref_of(obj)
            if apply.starts_asleep(obj) or not is_judged(ref.api_version, ref.kind):
                continue
            if not readiness.judge(obj).ready:
                resource = self.client.catalogue.need(ref.api_version, ref.kind)
                targets.append(waiting.Target(resource, ref.namespace, ref.name, waiting.judge_there))
        self._watch(targets)

    def _rules(self) -> None:
        targets = []
        for rule in self.record.get("ready") or []:
            api, kind, name = str(rule["api"]), str(rule["kind"]), str(rule["name"])
            resource = self.client.catalogue.find(api, kind)
            own = group_of({"apiVersion": api}) in BUILT_IN_GROUPS and kind != "APIService"
            if resource is None or not own:
                self._tell("left_out", f"readiness of {kind} {name}", "the controller that sets it is only simulated")
                continue
            place = str(rule.get("namespace") or self.record["namespace"]) if resource.namespaced else ""
            if not self._is_declared(kind, place, name) and self.client.get(resource, place, name) is None:
                self._tell("left_out", f"readiness of {kind} {name}", "the controller that makes it is only simulated")
                continue
            judge = lambda obj, rule=rule: readiness.judge_rule(rule, obj)  # noqa: E731 - one per rule
            targets.append(waiting.Target(resource, place, name, judge))
        with self._timed("ready"):
            self._watch(targets)

    def _is_declared(self, kind: str, namespace: str, name: str) -> bool:
        """Does the component itself bring an object?"""
        return any(
            (ref.kind, ref.namespace, ref.name) == (kind, namespace, name)
            for ref in map(ref_of, (*self.plan.objects, *self.plan.resources))
        )

    def _watch(self, targets: Sequence[waiting.Target]) -> None:
        """Wait until all are ready, or until nothing changes any more; those that are not are told with the reason."""

        def look() -> dict[waiting.Target, Verdict]:
            return {
                target: target.judge(self.client.get(target.resource, target.namespace, target.name))
                for target in targets
            }

        verdicts = settle(look, lambda: self._stuck(targets), self.deadline)
        for target, verdict in verdicts.items():
            if not verdict.ready:
                live = self.client.get(target.resource, target.namespace, target.name)
                why = "; ".join([verdict.why, *waiting.explain(self.client, live)[:2]])
                self._tell("not_ready", str(target), why)

    def _stuck(self, targets: Sequence[waiting.Target]) -> bool:
        """Has the scheduler said of a pod in one of their namespaces that it fits nowhere?"""
        for namespace in {target.namespace for target in targets if target.namespace}:
            pods, _ = self.client.list(PODS, namespace, fields="status.phase=Pending")
            if any(unschedulable(pod) for pod in pods):
                return True
        return False


def unschedulable(pod: Mapping[str, Any]) -> str:
    """Why the scheduler finds no node for a pod; empty when it has not said so."""
    found = readiness.condition_of(pod, "PodScheduled") or {}
    if found.get("status") == "False" and found.get("reason") == "Unschedulable":
        return str(found.get("message") or "no reason given")
    return ""


def settle(
    look: Callable[[], dict[Any, Verdict]],
    stuck: Callable[[], bool],
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> dict[Any, Verdict]:
    """Look until all is ready, or until nothing changes any more.

    :param stuck: whether somebody has said that it cannot go on; then a shorter standstill is enough.
    :param deadline: by ``clock``.
    :returns: the last verdicts.
    """
    since = clock()
    before: dict[Any, Verdict] = {}
    while True:
        verdicts = look()
        now = clock()
        if verdicts != before:
            before, since = verdicts, now
        idle = now - since
        if all(verdict.ready for verdict in verdicts.values()) or now >= deadline or idle >= IDLE:
            return verdicts
        if idle >= IDLE_UNSCHEDULABLE and stuck():
            return verdicts
        pause(TICK)


def judged_again(outcomes: Mapping[str, dict[str, Any]], objects: Iterable[Object]) -> None:
    """Forget, at the end, what was told as not ready and became so after nobody waited for it any more.

    :param outcomes: by component; changed in place.
    :param objects: workloads and claims as they are now.
    """
    ready = {describe(obj) for obj in objects if readiness.judge(obj).ready}
    for outcome in outcomes.values():
        outcome["not_ready"] = [entry for entry in outcome["not_ready"] if entry["object"] not in ready]


class Volumes:
    """A provisioner for claims: the volume that each wants, at once, with nothing behind it.

    Claims of any class are served, also of one that only a component's controller would make. Kubernetes' own
    controller binds them, and its scheduler picks the node where a class waits for the first consumer.
    """

    def __init__(self, client: KubeClient) -> None:
        """Start nothing yet."""
        self.client = client
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Volumes:
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        # Older than any other default class, of which Kubernetes takes the youngest.
        made = {
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "kaap.infn.it/rehearsal",
            "metadata": {"name": SIMULATED_CLASS, "annotations": default}, "volumeBindingMode": "WaitForFirstConsumer",
        }  # fmt: skip
        self.client.apply(STORAGE_CLASS, made)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(TICK):
            # A claim that goes away meanwhile, or a server that is busy: the next round sees.
            with contextlib.suppress(KubeError):
                self.provide()

    def provide(self) -> None:
        """One round: a volume for each claim that wants one now."""
        claims, _ = self.client.list(apply.CLAIM)
        waits = [claim for claim in claims if (claim.get("status") or {}).get("phase") != "Bound"]
        if not waits:
            return
        classes, _ = self.client.list(STORAGE_CLASS)
        late = {one["metadata"]["name"] for one in classes if one.get("volumeBindingMode") == "WaitForFirstConsumer"}
        for claim in waits:
            if wants_volume(claim, late):
                self.client.apply(apply.VOLUME, volume_for(claim))


def wants_volume(claim: Mapping[str, Any], late: Iterable[str]) -> bool:
    """Is it time to make the volume of a claim?

    :param late: storage classes that wait for the node of the first pod.
    """
    spec, metadata = claim["spec"], claim["metadata"]
    if spec.get("volumeName") or spec.get("selector") or metadata.get("deletionTimestamp"):
        return False
    chosen = (metadata.get("annotations") or {}).get(SELECTED_NODE)
    return bool(chosen) or spec.get("storageClassName", "") not in set(late)


def volume_for(claim: Mapping[str, Any]) -> Object:
    """A volume that only this claim can take."""
    spec, metadata = claim["spec"], claim["metadata"]
    taker = {key: metadata[key] for key in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"pvc-{metadata['uid']}"},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": list(spec["accessModes"]),
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "storageClassName": spec.get("storageClassName", ""),
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **taker},
            "hostPath": {"path": "/var/lib/kaap-rehearsal"},
        },
    }


class Rehearsal(apply.Cluster):
    """A cluster of simulated nodes; what happened to each component is kept in files of ``state_dir/outcomes``."""

    def make(self, record: Mapping[str, Any]) -> apply.Component:
        """One component on its way in."""
        return RehearsedComponent(self, record)

    def install(self, records: Sequence[Mapping[str, Any]]) -> list[apply.Result]:
        """Apply components side by side. A result has an error only for what is no answer of the rehearsal."""
        with Volumes(self.client):
            return super().install(records)

    def finished(self, component: apply.Component) -> None:
        """Write down what there is to tell about a component."""
        outcome: dict[str, Any] = copy.deepcopy(getattr(component, "outcome", {}))
        result = component.result
        if result.error:
            outcome["refused"].append({"object": f"component {component.name}", "why": result.error})
            result.error = ""
        outcome |= {
            "version": result.version, "objects": result.objects, "phases": result.phases,
            "later": component.record.get("later"),
        }  # fmt: skip
        outcome["suggests_pods"] = suggests_pods(component.plan.objects if hasattr(component, "plan") else [])
        path = self.state_dir / OUTCOMES / f"{component.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")


def suggests_pods(objects: Iterable[Mapping[str, Any]]) -> list[str]:
    """Kinds defined here whose objects make a controller run pods, as far as their schema shows.

    A schema shows it by a pod's containers, or by a number of replicas.
    """
    found = []
    for obj in objects:
        if obj["kind"] != "CustomResourceDefinition":
            continue
        for version in obj["spec"]["versions"]:
            schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
            spec = (schema.get("properties") or {}).get("spec") or {}
            if "scale" in (version.get("subresources") or {}) or _runs_pods(spec):
                found.append(str(obj["spec"]["names"]["kind"]))
                break
    return sorted(found)


def _runs_pods(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return False
    properties = schema.get("properties") or {}
    containers = (properties.get("containers") or {}).get("items") or {}
    if "image" in (containers.get("properties") or {}) or (properties.get("replicas") or {}).get("type") == "integer":
        return True
    parts = [*properties.values(), schema.get("items"), schema.get("additionalProperties")]
    return any(_runs_pods(part) for part in parts)
