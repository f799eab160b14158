"""Does the pod network enforce the NetworkPolicies? One allowed and one denied flow, tried from inside of a pod.

Both flows go from a namespace of people's programs to the object store, so that the only difference between them is
what release/namespaces.yml says: its S3 port is allowed, its console's port is not. Everything here is pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils.checks import CheckError
from ansible_collections.infn.kaap.plugins.module_utils.readiness import READY, Object, Verdict

COMPONENT = "network-policies"
WHAT = "an allowed flow gets through and a denied one does not"
LABEL = "kaap.infn.it/flow-check"
STORE = "minio"
ALLOWED_PORT = 9000
DENIED_PORT = 9001
# The image whose Python tries the flows: it is on the nodes of every deployment that serves models.
IMAGE_OF = "kserve"
IMAGE = "storage-initializer"
CONNECTED = "connected"
UNRESOLVED = "unresolved"
# A network may take a moment to know a new pod; TCP and the resolver repeat what got lost within this.
ALLOWED_SECONDS = 20
DENIED_SECONDS = 5
POD_SECONDS = 90
SCRIPT = f"""
import json, socket, sys
def ask(port, seconds):
    try:
        socket.create_connection((sys.argv[1], port), timeout=seconds).close()
        return "{CONNECTED}"
    except socket.gaierror as problem:
        return f"{UNRESOLVED}: {{problem}}"
    except OSError as problem:
        return str(problem) or type(problem).__name__
answers = {{"allowed": ask({ALLOWED_PORT}, {ALLOWED_SECONDS}), "denied": ask({DENIED_PORT}, {DENIED_SECONDS})}}
open("/dev/termination-log", "w").write(json.dumps(answers))
"""


def obstacle(enforced: bool, records: Mapping[str, Mapping[str, Any]], workloads: Sequence[str]) -> str:
    """Why the flows cannot be tried here; empty when they can.

    :param enforced: whether the pod network enforces NetworkPolicies
    :param records: wanted components by name
    :param workloads: namespaces in which people's programs run
    """
    if not enforced:
        return (
            "the policies are applied, but the pod network enforces none (kaap_cni is reference); "
            "a cluster made with kaap_cni calico enforces them"
        )
    if STORE not in records:
        return f"the flows are tried between a program and the object store, and {STORE} is not installed by KaaP"
    if not image(records):
        return f"the flows are tried with the image {IMAGE} of {IMAGE_OF}, which is not installed by KaaP"
    if not workloads:
        return "there is no namespace for people's programs: neither a tenant nor a local queue is declared"
    return ""


def workloads(tenants: Iterable[str], queues: Mapping[str, Any], records: Mapping[str, Any]) -> list[str]:
    """Namespaces in which people's programs run, tenants' first."""
    queued = [str(entry["namespace"]) for entry in queues.get("local_queues") or []] if "kueue" in records else []
    return list(dict.fromkeys([*tenants, *queued]))


def image(records: Mapping[str, Mapping[str, Any]]) -> str:
    """The image that tries the flows, with its tag; empty when it is not installed."""
    for entry in (records.get(IMAGE_OF) or {}).get("images") or []:
        if str(entry["name"]).endswith(f"/{IMAGE}"):
            return f"{entry['name']}:{entry['tag']}"
    return ""


def pod(namespace: str, name: str, reference: str) -> dict[str, Any]:
    """The pod that tries both flows and says in its termination message what came of them.

    :param reference: the image
    """
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    resources = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            # A sidecar would answer in the store's place, and would keep the pod from ending.
            "labels": {LABEL: "true", "sidecar.istio.io/inject": "false"},
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": POD_SECONDS,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "flows",
                    "image": reference,
                    "command": ["python3", "-c", SCRIPT, f"{STORE}.{STORE}.svc"],
                    "resources": resources,
                    "securityContext": security,
                }
            ],
        },
    }


def answers(obj: Object) -> dict[str, str] | None:
    """What the pod said of each flow; None while it has not ended.

    :raises CheckError: when it ended without an answer
    """
    status = obj.get("status") or {}
    if status.get("phase") not in {"Succeeded", "Failed"}:
        return None
    states = [each.get("state") or {} for each in status.get("containerStatuses") or []]
    message = next((str(state["terminated"].get("message", "")) for state in states if "terminated" in state), "")
    try:
        said = json.loads(message)
        return {"allowed": str(said["allowed"]), "denied": str(said["denied"])}
    except (ValueError, KeyError, TypeError) as problem:
        reason = message or status.get("message") or status.get("reason") or "no word"
        raise CheckError(f"the pod that tries the flows ended with: {reason}") from problem


def judge(said: Mapping[str, str], namespace: str) -> Verdict:
    """Did the allowed flow get through, and the denied one not?

    A refused connection counts as denied, as some networks reject instead of dropping: that the console listens
    is a check of the object store's.
    """
    flows = {
        "allowed": f"from {namespace} to {STORE} on port {ALLOWED_PORT}",
        "denied": f"from {namespace} to {STORE} on port {DENIED_PORT}",
    }
    for kind, flow in flows.items():
        if said[kind].startswith(UNRESOLVED):
            return Verdict(False, f"the flow {flow} could not be tried, the name is {said[kind]}; is DNS allowed?")
    if said["allowed"] != CONNECTED:
        return Verdict(False, f"the flow {flows['allowed']} is allowed and did not get through: {said['allowed']}")
    if said["denied"] == CONNECTED:
        return Verdict(False, f"the flow {flows['denied']} is denied and got through: policies are not enforced")
    return READY
