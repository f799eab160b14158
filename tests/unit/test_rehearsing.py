"""What a rehearsal leaves out, when it stops waiting, which claims get volumes, what suggests pods that come later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import apply, kube, rehearsing
from ansible_collections.infn.kaap.plugins.module_utils.readiness import Verdict

Object = dict[str, Any]
CRD = "apiextensions.k8s.io/v1"


def obj(api: str, kind: str, name: str = "one", **rest: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **rest}


def definition(spec_schema: Object, **version: Any) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec_schema}}}
    one = {"name": "v1", "served": True, "storage": True, "schema": schema, **version}
    return obj(CRD, "CustomResourceDefinition", spec={"names": {"kind": "Thing"}, "versions": [one]})


def test_webhooks_and_aggregated_apis_are_left_out_and_listed() -> None:
    objects = [
        obj("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "a", webhooks=[{}, {}]),
        obj("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "b", webhooks=[{}]),
        obj("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "policy"),
        obj("apiregistration.k8s.io/v1", "APIService", "v1.metrics.k8s.io", spec={"service": {"name": "x"}}),
        obj("apps/v1", "Deployment", "server"),
    ]
    kept, left_out = rehearsing.without_servers(objects)
    assert [one["metadata"]["name"] for one in kept] == ["policy", "server"]
    assert [entry["object"] for entry in left_out] == [
        "ValidatingWebhookConfiguration a", "MutatingWebhookConfiguration b", "APIService v1.metrics.k8s.io",
    ]  # fmt: skip
    assert "2 webhooks would refuse what they cover" in left_out[0]["why"]


def test_a_definition_stays_without_its_conversion() -> None:
    converted = definition({"type": "object"})
    converted["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {}}
    (kept,), (told,) = rehearsing.without_servers([converted])
    assert kept["spec"]["conversion"] == {"strategy": "None"}
    assert told["object"] == "conversion of CustomResourceDefinition one"
    assert converted["spec"]["conversion"]["strategy"] == "Webhook", "what was rendered was changed"


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("look", "stuck", "expected"),
    [
        (lambda now: Verdict(now >= 3, f"{now}"), False, 3),
        # Said to fit nowhere: a short standstill is enough. Nobody said so: patience.
        (lambda now: Verdict(False, "0 of 1"), True, rehearsing.IDLE_UNSCHEDULABLE),
        (lambda now: Verdict(False, "0 of 1"), False, rehearsing.IDLE),
        # Slow is not stuck: as long as something changes it goes on, until the deadline.
        (lambda now: Verdict(False, f"{now} of 500"), True, 100),
    ],
)
def test_waiting_ends(look: Any, stuck: bool, expected: float) -> None:
    clock = Clock()
    rehearsing.settle(lambda: {"one": look(clock.now)}, lambda: stuck, 100, clock, clock.wait)
    assert clock.now == expected


def claim(**more: Any) -> Object:
    metadata = {"name": "data", "namespace": "here", "uid": "u", "annotations": more.pop("annotations", {})}
    resources = {"requests": {"storage": "1Gi"}}
    return {"metadata": metadata, "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources, **more}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (claim(storageClassName="now"), True),
        (claim(storageClassName="nobody-made-it-yet"), True),
        (claim(storageClassName="late"), False),
        (claim(storageClassName="late", annotations={rehearsing.SELECTED_NODE: "worker-1"}), True),
        (claim(storageClassName="now", volumeName="pv"), False),
    ],
)
def test_claims_that_get_a_volume(given: Object, expected: bool) -> None:
    assert rehearsing.wants_volume(given, ["late"]) is expected


def test_a_volume_is_for_one_claim() -> None:
    volume = rehearsing.volume_for(claim(storageClassName="now"))
    assert volume["spec"]["claimRef"]["uid"] == "u" and volume["spec"]["capacity"] == {"storage": "1Gi"}


IMAGE = {"image": {"type": "string"}, "name": {"type": "string"}}
CONTAINERS = {"type": "array", "items": {"type": "object", "properties": IMAGE}}


@pytest.mark.parametrize(
    ("defined", "expected"),
    [
        (definition({"properties": {"template": {"properties": {"containers": CONTAINERS}}}}), ["Thing"]),
        (definition({"properties": {"jobs": {"items": {"properties": {"containers": CONTAINERS}}}}}), ["Thing"]),
        (definition({"properties": {"replicas": {"type": "integer"}}}), ["Thing"]),
        (definition({"properties": {}}, subresources={"scale": {}}), ["Thing"]),
        (definition({"properties": {"quota": {"type": "string"}}}), []),
        (obj("v1", "ConfigMap"), []),
    ],
)
def test_definitions_whose_objects_run_pods(defined: Object, expected: list[str]) -> None:
    assert rehearsing.suggests_pods([defined]) == expected


def test_only_what_the_scheduler_said_counts() -> None:
    def pod(**said: str) -> Object:
        return {"status": {"conditions": [{"type": "PodScheduled", **said}]}}

    assert rehearsing.unschedulable(pod(status="False", reason="Unschedulable", message="no room")) == "no room"
    assert rehearsing.unschedulable(pod(status="False", reason="SchedulingGated", message="later")) == ""
    assert rehearsing.unschedulable(pod(status="True")) == ""
    assert rehearsing.unschedulable({"status": {}}) == ""


@pytest.mark.parametrize(
    ("available", "told"), [(1, ["Job here/gone"]), (0, ["Deployment here/slow", "Job here/gone"])]
)
def test_what_became_ready_late_is_not_told(available: int, told: list[str]) -> None:
    status = {"updatedReplicas": 1, "replicas": 1, "availableReplicas": available}
    slow = obj("apps/v1", "Deployment", "slow", spec={"replicas": 1}, status=status)
    slow["metadata"]["namespace"] = "here"
    entries = [{"object": name, "why": "0 of 1"} for name in ("Deployment here/slow", "Job here/gone")]
    outcomes: Object = {"one": {"not_ready": entries}}
    rehearsing.judged_again(outcomes, [slow])
    assert [entry["object"] for entry in outcomes["one"]["not_ready"]] == told


@pytest.mark.parametrize(
    ("kind", "replicas", "asleep"), [("Deployment", 0, True), ("Deployment", 1, False), ("DaemonSet", 0, False)]
)
def test_nobody_waits_for_a_workload_that_is_declared_without_replicas(kind: str, replicas: int, asleep: bool) -> None:
    assert apply.starts_asleep(obj("apps/v1", kind, spec={"replicas": replicas})) is asleep


@pytest.mark.parametrize(("status", "asked"), [(504, 2), (422, 1)])
def test_a_server_without_time_is_asked_again_and_one_that_refuses_is_not(
    monkeypatch: pytest.MonkeyPatch, status: int, asked: int
) -> None:
    given = obj("v1", "ConfigMap")
    answers: Iterator[kube.ApiError | Object] = iter([kube.ApiError(status, {"message": "said so"}, "apply"), given])
    count = []

    def answer(_component: object, _obj: Object) -> Object:
        count.append(1)
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(apply.Component, "_apply", answer)
    component = object.__new__(rehearsing.RehearsedComponent)
    component.deadline = time.monotonic() + 60
    component.cluster = SimpleNamespace(say=lambda *said: None)  # type: ignore[assignment]
    component.name = "one"
    if status in rehearsing.BUSY:
        assert component._apply(given) is given
    else:
        with pytest.raises(kube.ApiError):
            component._apply(given)
    assert len(count) == asked
