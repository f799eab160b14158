"""When is an object ready? Pure predicates: an object as the API server shows it goes in, a verdict comes out.

The platform phase waits with them and the verify phase judges with them, so both mean the same by "ready".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """The answer of a predicate.

    :ivar ready: whether the condition holds.
    :ivar why: what is missing, in words; empty when ready.
    :ivar hopeless: True when waiting cannot change it (a Job that failed).
    """

    ready: bool
    why: str = ""
    hopeless: bool = False


READY = Verdict(True)


def missing(kind: str, name: str) -> Verdict:
    """The verdict on an object that is not there."""
    return Verdict(False, f"{kind} {name} does not exist")


def condition_of(obj: Object, name: str) -> Mapping[str, Any] | None:
    """The status condition of one type, or None."""
    for condition in (obj.get("status") or {}).get("conditions") or []:
        if condition.get("type") == name:
            return dict(condition)
    return None


def condition(obj: Object, name: str, wanted: str = "True") -> Verdict:
    """Is a status condition at the wanted status, for the generation at hand?"""
    found = condition_of(obj, name)
    if found is None:
        return Verdict(False, f"condition {name} is not reported yet")
    generation = (obj.get("metadata") or {}).get("generation", 0)
    if found.get("observedGeneration", generation) < generation:
        return Verdict(False, f"condition {name} is about an older version of the object")
    if found.get("status") == wanted:
        return READY
    words = ": ".join(str(found[key]) for key in ("reason", "message") if found.get(key))
    return Verdict(False, f"condition {name} is {found.get('status')}" + (f" ({words})" if words else ""))


def field(obj: Object, path: str, value: Any) -> Verdict:
    """Does a field, given by a dotted path such as ``status.phase``, have the value?"""
    found: Any = obj
    for part in path.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return Verdict(False, f"{path} is not set yet, wanted {value!r}")
    if found == value:
        return READY
    return Verdict(False, f"{path} is {found!r}, wanted {value!r}")


def _observed(obj: Object) -> Verdict:
    generation = (obj.get("metadata") or {}).get("generation", 0)
    if (obj.get("status") or {}).get("observedGeneration", 0) < generation:
        return Verdict(False, "its controller has not seen the latest change yet")
    return READY


def _all(count: int, wanted: int, what: str) -> Verdict:
    return READY if count >= wanted else Verdict(False, f"{count} of {wanted} replicas are {what}")


def _first(*verdicts: Verdict) -> Verdict:
    return next((verdict for verdict in verdicts if not verdict.ready), READY)


def _wanted_replicas(obj: Object) -> int:
    replicas = (obj.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def deployment(obj: Object) -> Verdict:
    """Every replica runs the latest template and is available, and none of an older template is left."""
    status = obj.get("status") or {}
    wanted = _wanted_replicas(obj)
    if wanted == 0:
        return Verdict(False, "it is scaled to zero replicas")
    stalled = condition_of(obj, "Progressing")
    if stalled and stalled.get("reason") == "ProgressDeadlineExceeded" and _observed(obj).ready:
        return Verdict(False, f"its rollout does not progress: {stalled.get('message', '')}")
    old = int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))
    return _first(
        _observed(obj),
        _all(int(status.get("updatedReplicas", 0)), wanted, "of the latest version"),
        Verdict(old <= 0, f"{old} replicas of the previous version are still there"),
        _all(int(status.get("availableReplicas", 0)), wanted, "available"),
    )


def stateful_set(obj: Object) -> Verdict:
    """Every replica runs the latest revision and is ready."""
    status = obj.get("status") or {}
    wanted = _wanted_replicas(obj)
    if wanted == 0:
        return Verdict(False, "it is scaled to zero replicas")
    rolling = ((obj.get("spec") or {}).get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
    same = status.get("currentRevision") == status.get("updateRevision") or not rolling
    return _first(
        _observed(obj),
        _all(int(status.get("readyReplicas", 0)), wanted, "ready"),
        Verdict(same, "some replicas are still of the previous revision"),
        _all(int(status.get("availableReplicas", status.get("readyReplicas", 0))), wanted, "available"),
    )


def daemon_set(obj: Object) -> Verdict:
    """It is up to date and available on every node it belongs on; no such node is in order."""
    status = obj.get("status") or {}
    wanted = int(status.get("desiredNumberScheduled", 0))
    return _first(
        _observed(obj),
        _all(int(status.get("updatedNumberScheduled", 0)), wanted, "of the latest version"),
        _all(int(status.get("numberAvailable", 0)), wanted, "available"),
    )


def job(obj: Object) -> Verdict:
    """It completed; a failed Job stays failed."""
    failed = condition_of(obj, "Failed")
    if failed and failed.get("status") == "True":
        words = ": ".join(str(failed[key]) for key in ("reason", "message") if failed.get(key))
        return Verdict(False, f"it failed ({words})", hopeless=True)
    complete = condition_of(obj, "Complete")
    if complete and complete.get("status") == "True":
        return READY
    status = obj.get("status") or {}
    counts = ", ".join(f"{status.get(key, 0)} {key}" for key in ("active", "succeeded", "failed"))
    return Verdict(False, f"it has not completed ({counts})")


def pod(obj: Object) -> Verdict:
    """It is ready, or it ran to its end."""
    status = obj.get("status") or {}
    if status.get("phase") == "Succeeded":
        return READY
    if status.get("phase") == "Failed":
        return Verdict(
            False, f"it failed ({status.get('reason') or status.get('message') or 'no reason'})", hopeless=True
        )
    verdict = condition(obj, "Ready")
    waiting = pod_waits(obj)
    return verdict if verdict.ready or not waiting else Verdict(False, "; ".join(waiting))


def pod_waits(obj: Object) -> list[str]:
    """Why the containers of a pod do not run, one line each."""
    status = obj.get("status") or {}
    lines = []
    for group in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(group) or []:
            state = container.get("state") or {}
            waiting, ended = state.get("waiting"), state.get("terminated")
            if waiting and waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
                last = (container.get("lastState") or {}).get("terminated") or {}
                exit_code = f", last exit code {last['exitCode']}" if "exitCode" in last else ""
                message = f": {waiting['message']}" if waiting.get("message") else ""
                lines.append(f"container {container.get('name')} {waiting['reason']}{exit_code}{message}")
            elif ended and ended.get("exitCode"):
                lines.append(f"container {container.get('name')} ended with exit code {ended['exitCode']}")
    scheduled = condition_of(obj, "PodScheduled")
    if scheduled and scheduled.get("status") == "False":
        lines.append(f"not scheduled: {scheduled.get('message', scheduled.get('reason', ''))}")
    return lines


def crd(obj: Object) -> Verdict:
    """The API server accepted its names and serves it."""
    return _first(condition(obj, "NamesAccepted"), condition(obj, "Established"))


def api_service(obj: Object) -> Verdict:
    """The API server reaches the server behind it."""
    return condition(obj, "Available")


def namespace(obj: Object) -> Verdict:
    """It takes objects."""
    return field(obj, "status.phase", "Active")


def node(obj: Object) -> Verdict:
    """The kubelet reports, and no pressure or missing network is known."""
    verdict = condition(obj, "Ready")
    found = condition_of(obj, "Ready") or {}
    if not verdict.ready and found.get("status") == "Unknown":
        return Verdict(False, f"its kubelet stopped reporting ({found.get('message', 'no message')})")
    return verdict


def volume_claim(obj: Object) -> Verdict:
    """It has a volume."""
    return field(obj, "status.phase", "Bound")


def webhook_configuration(obj: Object) -> Verdict:
    """Every webhook that calls a service knows the authority that signed the service's certificate."""
    for webhook in obj.get("webhooks") or []:
        client = webhook.get("clientConfig") or {}
        if client.get("service") and not has_bundle(client):
            return Verdict(False, f"webhook {webhook.get('name')} has no caBundle yet")
    return READY


def has_bundle(client: Mapping[str, Any]) -> bool:
    """Does a clientConfig (or APIService spec) hold a certificate, and not just a placeholder?"""
    try:
        decoded = base64.b64decode(str(client.get("caBundle") or ""))
    except binascii.Error:
        return False
    return b"BEGIN CERTIFICATE" in decoded


def admission_review(uid: str, version: str = "v1") -> dict[str, Any]:
    """The smallest AdmissionReview that a webhook server has to answer; it describes an object of no kind of ours.

    :param version: one that the webhook understands.
    """
    return {
        "apiVersion": f"admission.k8s.io/{version}",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "resource": {"group": "", "version": "v1", "resource": "configmaps"},
            "requestKind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "requestResource": {"group": "", "version": "v1", "resource": "configmaps"},
            "name": "kaap-probe",
            "namespace": "kaap-system",
            "operation": "CREATE",
            "userInfo": {"username": "kaap"},
            "object": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "kaap-probe", "namespace": "kaap-system"},
            },
            "oldObject": None,
            "dryRun": True,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions", "dryRun": ["All"]},
        },
    }


def admission_answer(uid: str, status: int, body: bytes) -> Verdict:
    """Did a webhook server answer our AdmissionReview? Its decision does not matter, that it is one does.

    :param status: HTTP status of the answer, as the API server's proxy passed it on.
    """
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if isinstance(document, dict) and document.get("kind") == "AdmissionReview":
        answered = (document.get("response") or {}).get("uid")
        if answered == uid:
            return READY
        return Verdict(False, f"it answered with uid {answered!r} instead of {uid!r}")
    words = document.get("message") if isinstance(document, dict) else None
    text = str(words or body[:200].decode(errors="replace")).strip()
    return Verdict(False, f"it answered {status} and no AdmissionReview: {text or 'nothing'}")


def certificate(obj: Object) -> Verdict:
    """A Certificate or an issuer of cert-manager, for the generation at hand."""
    return condition(obj, "Ready")


PREDICATES: dict[tuple[str, str], Callable[[Object], Verdict]] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): crd,
    ("apps", "Deployment"): deployment,
    ("apps", "StatefulSet"): stateful_set,
    ("apps", "DaemonSet"): daemon_set,
    ("batch", "Job"): job,
    ("trainer.kubeflow.org", "TrainJob"): job,
    ("apiregistration.k8s.io", "APIService"): api_service,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): webhook_configuration,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): webhook_configuration,
    ("cert-manager.io", "Certificate"): certificate,
    ("cert-manager.io", "Issuer"): certificate,
    ("cert-manager.io", "ClusterIssuer"): certificate,
    ("", "Namespace"): namespace,
    ("", "Pod"): pod,
    ("", "Node"): node,
}


def predicate(api_version: str, kind: str) -> Callable[[Object], Verdict] | None:
    """The rule that holds for every object of a kind, or None when such objects are ready by being there."""
    group = api_version.rpartition("/")[0]
    return PREDICATES.get((group, kind))


def judge(obj: Object) -> Verdict:
    """The verdict on an object by the rule of its kind."""
    rule = predicate(str(obj.get("apiVersion", "")), str(obj.get("kind", "")))
    return rule(obj) if rule else READY


def judge_rule(rule: Mapping[str, Any], obj: Object | None) -> Verdict:
    """The verdict on one entry of ``ready`` in a release record.

    :param rule: ``api``, ``kind``, ``name``, perhaps ``namespace``; and ``condition`` (with ``status``) or ``field``.
        Without either, the rule of the object's kind is asked.
    :param obj: the object as it is, or None when it is not there.
    """
    if obj is None:
        return missing(str(rule["kind"]), str(rule["name"]))
    if rule.get("condition"):
        return condition(obj, str(rule["condition"]), str(rule.get("status", "True")))
    if rule.get("field"):
        return field(obj, str(rule["field"]["path"]), rule["field"]["value"])
    return judge(obj)
