"""Readiness rules, each with an object that is ready and objects that are not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import readiness

Object = dict[str, Any]


def conditions(**status: str) -> list[Object]:
    return [{"type": name, "status": value, "reason": "Because"} for name, value in status.items()]


DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "generation": 2},
    "spec": {"replicas": 2},
    "status": {
        "observedGeneration": 2,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
    },
}
STATEFUL_SET: Object = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "s", "generation": 1},
    "spec": {"replicas": 1},
    "status": {
        "observedGeneration": 1, "readyReplicas": 1, "availableReplicas": 1, "currentRevision": "a",
        "updateRevision": "a",
    },
}  # fmt: skip
DAEMON_SET: Object = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "s", "generation": 1},
    "status": {
        "observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2,
    },
}  # fmt: skip
CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "c"},
    "status": {"conditions": conditions(NamesAccepted="True", Established="True")},
}
CERTIFICATE: Object = {
    "apiVersion": "cert-manager.io/v1",
    "kind": "Certificate",
    "metadata": {"name": "c", "generation": 2},
    "status": {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}]},
}
JOB: Object = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "j"},
    "status": {"succeeded": 1, "conditions": conditions(Complete="True")},
}
API_SERVICE: Object = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1.x"},
    "status": {"conditions": conditions(Available="True")},
}
NODE: Object = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n"},
    "status": {"conditions": conditions(Ready="True")},
}
POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "status": {"phase": "Running", "conditions": conditions(Ready="True")},
}
BUNDLE = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
WEBHOOK: Object = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "w"},
    "webhooks": [{"name": "a", "clientConfig": {"service": {"name": "s", "namespace": "n"}, "caBundle": BUNDLE}}],
}
NAMESPACE: Object = {
    "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}, "status": {"phase": "Active"},
}  # fmt: skip


def changed(obj: Object, path: str, value: Any) -> Object:
    """A copy with one field set, or taken away when the value is None."""
    copied = copy.deepcopy(obj)
    *parents, last = path.split(".")
    place: Any = copied
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return copied


@pytest.mark.parametrize(
    "obj",
    [DEPLOYMENT, STATEFUL_SET, DAEMON_SET, CRD, JOB, CERTIFICATE, API_SERVICE, NODE, POD, WEBHOOK, NAMESPACE],
    ids=lambda obj: str(obj["kind"]),
)
def test_ready_object_is_ready(obj: Object) -> None:
    assert readiness.judge(obj) == readiness.READY


@pytest.mark.parametrize(
    ("obj", "path", "value", "why"),
    [
        (DEPLOYMENT, "status", None, "has not seen the latest change"),
        (DEPLOYMENT, "spec.replicas", 0, "scaled to zero"),
        (DEPLOYMENT, "status.observedGeneration", 1, "has not seen the latest change"),
        (DEPLOYMENT, "status.updatedReplicas", 1, "1 of 2 replicas are of the latest version"),
        (DEPLOYMENT, "status.replicas", 3, "1 replicas of the previous version"),
        (DEPLOYMENT, "status.availableReplicas", 1, "1 of 2 replicas are available"),
        (DEPLOYMENT, "status.availableReplicas", None, "0 of 2 replicas are available"),
        (
            DEPLOYMENT, "status.conditions",
            [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}],
            "does not progress: timed out",
        ),
        (STATEFUL_SET, "spec.replicas", 0, "scaled to zero"),
        (STATEFUL_SET, "status.readyReplicas", 0, "0 of 1 replicas are ready"),
        (STATEFUL_SET, "status.updateRevision", "b", "previous revision"),
        (STATEFUL_SET, "status.availableReplicas", 0, "0 of 1 replicas are available"),
        (DAEMON_SET, "status.observedGeneration", None, "has not seen"),
        (DAEMON_SET, "status.updatedNumberScheduled", 1, "1 of 2 replicas are of the latest"),
        (DAEMON_SET, "status.numberAvailable", 1, "1 of 2 replicas are available"),
        (CERTIFICATE, "status", None, "Ready is not reported"),
        (CERTIFICATE, "status.conditions", conditions(Ready="False"), "Ready is False"),
        (CERTIFICATE, "metadata.generation", 3, "Ready is about an older version"),
        (CRD, "status", None, "NamesAccepted is not reported"),
        (CRD, "status.conditions", conditions(NamesAccepted="True", Established="False"), "Established is False"),
        (CRD, "status.conditions", conditions(NamesAccepted="False", Established="True"), "NamesAccepted is False"),
        (JOB, "status", {"active": 1}, "has not completed (1 active"),
        (API_SERVICE, "status.conditions", conditions(Available="False"), "Available is False (Because)"),
        (NODE, "status.conditions", conditions(Ready="False"), "Ready is False"),
        (NODE, "status.conditions", conditions(Ready="Unknown"), "its kubelet stopped reporting"),
        (POD, "status.conditions", conditions(Ready="False"), "Ready is False"),
        (WEBHOOK, "webhooks.0.clientConfig.caBundle", None, "webhook a has no caBundle"),
        (WEBHOOK, "webhooks.0.clientConfig.caBundle", "Cg==", "webhook a has no caBundle"),
        (NAMESPACE, "status.phase", "Terminating", "status.phase is 'Terminating'"),
    ],
)  # fmt: skip
def test_broken_object_is_not_ready_and_says_why(obj: Object, path: str, value: Any, why: str) -> None:
    verdict = readiness.judge(changed(obj, path, value))
    assert not verdict.ready and not verdict.hopeless
    assert why in verdict.why


@pytest.mark.parametrize(
    "obj",
    [changed(JOB, "status", {"conditions": conditions(Failed="True")}), changed(POD, "status", {"phase": "Failed"})],
    ids=["Job", "Pod"],
)
def test_failed_object_is_hopeless(obj: Object) -> None:
    verdict = readiness.judge(obj)
    assert verdict.hopeless and not verdict.ready and "failed" in verdict.why


def test_daemon_set_without_a_node_to_run_on_is_in_order() -> None:
    nowhere = changed(DAEMON_SET, "status", {"observedGeneration": 1, "desiredNumberScheduled": 0})
    assert readiness.judge(nowhere).ready


def test_condition_about_an_older_generation_does_not_count() -> None:
    gateway = {
        "metadata": {"generation": 3},
        "status": {"conditions": [{"type": "Programmed", "status": "True", "observedGeneration": 2}]},
    }
    assert "older version" in readiness.condition(gateway, "Programmed").why
    gateway["status"]["conditions"][0]["observedGeneration"] = 3  # type: ignore[index]
    assert readiness.condition(gateway, "Programmed").ready


def test_rule_with_a_field() -> None:
    rule = {"kind": "X", "name": "x", "field": {"path": "status.list.0.phase", "value": "Bound"}}
    assert readiness.judge_rule(rule, {"status": {"list": [{"phase": "Bound"}]}}).ready
    assert readiness.judge_rule(rule, {"status": {"list": [{"phase": "Lost"}]}}).why.startswith(
        "status.list.0.phase is"
    )
    assert "not set yet" in readiness.judge_rule(rule, {"status": {"list": []}}).why
    assert readiness.judge_rule(rule, None).why == "X x does not exist"


def test_rule_with_a_wanted_status() -> None:
    rule = {"kind": "X", "name": "x", "condition": "Degraded", "status": "False"}
    assert readiness.judge_rule(rule, {"status": {"conditions": conditions(Degraded="False")}}).ready
    assert not readiness.judge_rule(rule, {"status": {"conditions": conditions(Degraded="True")}}).ready


def test_rule_without_either_asks_the_rule_of_the_kind() -> None:
    assert readiness.judge_rule({"kind": "Deployment", "name": "d"}, DEPLOYMENT).ready
    assert not readiness.judge_rule({"kind": "Deployment", "name": "d"}, changed(DEPLOYMENT, "spec.replicas", 0)).ready


def test_waiting_containers_and_unscheduled_pods_are_told() -> None:
    pod = {
        "status": {
            "containerStatuses": [
                {"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}},
                {
                    "name": "b",
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 3}},
                },
                {"name": "c", "state": {"running": {}}},
                {"name": "d", "state": {"waiting": {"reason": "ContainerCreating"}}},
            ],
            "conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}],
        }
    }
    assert readiness.pod_waits(pod) == [
        "container a ImagePullBackOff: no such image",
        "container b CrashLoopBackOff, last exit code 3",
        "not scheduled: Insufficient cpu",
    ]


def answer(**response: Any) -> bytes:
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).encode()


def test_webhook_answer_counts_whatever_it_decides() -> None:
    assert readiness.admission_answer("u", 200, answer(uid="u", allowed=True)).ready
    assert readiness.admission_answer("u", 200, answer(uid="u", allowed=False)).ready


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, answer(uid="other", allowed=True), "uid 'other' instead of 'u'"),
        (200, answer(), "uid None"),
        (
            503,
            b'{"kind":"Status","message":"no endpoints available"}',
            "answered 503 and no AdmissionReview: no endpoints",
        ),
        (404, b"404 page not found\n", "404 page not found"),
        (200, b"", "nothing"),
        (200, b'"AdmissionReview"', "no AdmissionReview"),
    ],
)
def test_other_answers_do_not_count(status: int, body: bytes, why: str) -> None:
    verdict = readiness.admission_answer("u", status, body)
    assert not verdict.ready and why in verdict.why


def test_question_to_a_webhook_is_a_dry_run_in_its_version() -> None:
    review = readiness.admission_review("u", "v1beta1")
    assert review["apiVersion"] == "admission.k8s.io/v1beta1"
    assert review["request"]["uid"] == "u" and review["request"]["dryRun"]
