"""Whether NetworkPolicies are enforced: when that can be tried, by what pod, and what its answers mean."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import flow_check, namespaces, release
from ansible_collections.infn.kaap.plugins.module_utils.checks import CheckError
from ansible_collections.infn.kaap.plugins.module_utils.namespaces import Networks

from tests.pod_security import violations
from tests.unit.network import Pod, allowed

ROOT = Path(__file__).parents[2]
RECORDS: dict[str, dict[str, Any]] = {name: {"name": name, "images": []} for name in ("minio", "kueue")}
RECORDS["kserve"] = {"name": "kserve", "images": [{"name": "docker.io/kserve/storage-initializer", "tag": "v1"}]}
QUEUES = {"local_queues": [{"name": "a", "namespace": "remat"}, {"name": "b", "namespace": "remat"}]}


def without(name: str) -> dict[str, Any]:
    """Return the records but for one."""
    return {key: record for key, record in RECORDS.items() if key != name}


@pytest.mark.parametrize(
    ("enforced", "records", "spaces", "reason"),
    [
        (True, RECORDS, ["remat"], ""),
        (False, RECORDS, ["remat"], "kaap_cni is reference"),
        (True, without("minio"), ["remat"], "minio is not installed"),
        (True, without("kserve"), ["remat"], "storage-initializer of kserve, which is not installed"),
        (True, RECORDS, [], "neither a tenant nor a local queue"),
    ],
)
def test_what_keeps_it_from_being_tried(enforced: bool, records: Any, spaces: list[str], reason: str) -> None:
    """One reason each, and none where it can be tried."""
    said = flow_check.obstacle(enforced, records, spaces)
    assert (reason in said) if reason else said == ""


def test_it_is_tried_where_programs_run() -> None:
    """Tenants first; a local queue needs Kueue."""
    assert flow_check.workloads(["bari"], QUEUES, RECORDS) == ["bari", "remat"]
    assert flow_check.workloads([], QUEUES, without("kueue")) == []


def test_the_image_and_the_ports_are_those_of_the_release() -> None:
    """The flows that it tries are really allowed and denied by release/namespaces.yml."""
    records = release.load(ROOT)
    assert flow_check.image(records).startswith("docker.io/kserve/storage-initializer:v")
    workload = {namespaces.WORKLOADS_LABEL: "true"}
    policies = namespaces.network_policies({"minio": "minio"}, ["remat"], namespaces.load(), Networks("10.244.0.0/16"))
    program = Pod("remat", namespace_labels=workload)
    assert allowed(policies, program, Pod("minio"), flow_check.ALLOWED_PORT)
    assert not allowed(policies, program, Pod("minio"), flow_check.DENIED_PORT)


def test_the_pod_fits_the_strictest_level_and_any_quota() -> None:
    """It runs in namespaces of tenants."""
    spec = flow_check.pod("remat", "flow-check-1", "a/b:1")["spec"]
    assert violations(spec, "restricted") == []
    assert set(spec["containers"][0]["resources"]) == {"requests", "limits"}


@pytest.mark.parametrize(("listening", "words"), [(True, flow_check.CONNECTED), (False, "refused")])
def test_its_program_says_what_came_of_a_connection(tmp_path: Path, listening: bool, words: str) -> None:
    """The real program, on ports of this machine."""
    out = tmp_path / "message"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()[1]
        gone.close()
        port = server.getsockname()[1] if listening else closed
        program = flow_check.SCRIPT.replace("/dev/termination-log", str(out))
        program = program.replace(str(flow_check.ALLOWED_PORT), str(port)).replace(
            str(flow_check.DENIED_PORT), str(closed)
        )
        subprocess.run([sys.executable, "-c", program, "127.0.0.1"], check=True)
    said = json.loads(out.read_text("utf-8"))
    assert words in said["allowed"] and "refused" in said["denied"]


def test_its_program_tells_a_name_that_is_none(tmp_path: Path) -> None:
    """A name without DNS is no denied flow."""
    program = flow_check.SCRIPT.replace("/dev/termination-log", str(tmp_path / "message"))
    subprocess.run([sys.executable, "-c", program, "nowhere.invalid"], check=True)
    said = json.loads((tmp_path / "message").read_text("utf-8"))
    assert said["denied"].startswith(flow_check.UNRESOLVED)
    assert "is DNS allowed?" in flow_check.judge(said, "remat").why


@pytest.mark.parametrize(
    ("allowed_said", "denied_said", "why"),
    [
        ("connected", "timed out", ""),
        ("connected", "[Errno 111] Connection refused", ""),
        ("connected", "connected", "port 9001 is denied and got through: policies are not enforced"),
        ("timed out", "timed out", "port 9000 is allowed and did not get through: timed out"),
        ("connected", "unresolved: no name", "port 9001 could not be tried"),
        ("unresolved: no name", "unresolved: no name", "port 9000 could not be tried"),
    ],
)
def test_what_the_answers_mean(allowed_said: str, denied_said: str, why: str) -> None:
    """Both flows must be as the policies say."""
    verdict = flow_check.judge({"allowed": allowed_said, "denied": denied_said}, "remat")
    assert verdict.ready is (why == "") and why in verdict.why


def ended(message: str, phase: str = "Succeeded", **status: Any) -> dict[str, Any]:
    """Return a pod that ended with this message."""
    state = {"terminated": {"exitCode": 0, "message": message}}
    return {"status": {"phase": phase, "containerStatuses": [{"state": state}], **status}}


def test_the_answers_of_a_pod() -> None:
    """None while it runs; a pod without an answer is a fault of its own."""
    assert flow_check.answers({"status": {"phase": "Running"}}) is None
    said = {"allowed": "connected", "denied": "timed out"}
    assert flow_check.answers(ended(json.dumps(said))) == said
    for pod, words in (
        (ended("Traceback", "Failed"), "ended with: Traceback"),
        (ended("{}"), "ended with: {}"),
        ({"status": {"phase": "Failed", "reason": "DeadlineExceeded"}}, "ended with: DeadlineExceeded"),
    ):
        with pytest.raises(CheckError, match=words):
            flow_check.answers(pod)
