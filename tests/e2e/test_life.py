"""The life of a deployment, in order: made (through ten kills), run again, changed, broken, healed, taken away.

The tests share one cluster and build on each other; they run in the order of this file.
"""

from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from minio import Minio

from . import residue
from .conftest import (
    STATE,
    deploy,
    deploy_killed_at,
    failed_checks,
    kubectl,
    node_container,
    podman,
    report,
    run,
    until_verified,
    verify,
)

# Where the run is killed: a part of a task's name and the delay in seconds after its start; one per phase at least.
KILL_POINTS = [
    ("pack", "Pack the artefacts", 0.3),
    ("provision", "Make the machine", 0.5),
    ("cluster", "Configure containerd", 0.1),
    ("cluster", "Wait for kubeadm", 1.0),
    ("cluster", "Get a token", 0.2),
    ("platform", "Install gateway-api", 2.0),
    ("platform", "Install envoy-gateway", 6.0),
    ("platform", "Set up buckets", 0.2),
    ("use_cases", "Train ReMAT", 15.0),
    ("use_cases", "Serve ReMAT", 5.0),
    ("verify", "Ask the whole deployment", 0.5),
]
before: dict[str, set[str]] = {}


def changed_tasks(result_changed: dict[str, int]) -> dict[str, int]:
    """Hosts on which something changed."""
    return {host: count for host, count in result_changed.items() if count}


def predict(text: str) -> dict[str, object]:
    """Asks the ReMAT endpoint of the report about one affiliation."""
    endpoint = report()["endpoints"]["remat"]
    request = urllib.request.Request(
        endpoint["url"],
        data=json.dumps({"instances": [text]}).encode(),
        headers={**endpoint["headers"], "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        prediction: dict[str, object] = json.load(answer)["predictions"][0]
    return prediction


def test_destroy_first_clears_what_an_earlier_run_left() -> None:
    """CI may find an earlier deployment of this clone half-dead."""
    assert run("scripts/destroy").code == 0
    before.update(residue.snapshot())


@pytest.mark.parametrize(("phase", "task", "delay"), KILL_POINTS)
def test_killed_run_stops_where_it_was_killed(phase: str, task: str, delay: float) -> None:
    """Each run goes on from the one before, and is killed further on; nothing of it may stand in the way."""
    result = deploy_killed_at(task, delay)
    assert result.code == -9, f"the run was not killed in phase {phase}: no task named {task!r} started"


def test_run_after_the_kills_ends_well() -> None:
    """The run that is left alone ends with every check passed and the report written."""
    result = deploy()
    assert result.code == 0, result.output[-3000:]
    assert not failed_checks()
    assert len(report()["checks"]) > 30
    assert (STATE / "kubeconfig").stat().st_mode & 0o077 == 0


def test_endpoints_work_as_they_stand() -> None:
    """A URL of the report works without a Host header, and no header holds a secret."""
    assert predict("INFN Bari, Dept Phys, Bari, Italy")["label"] == "BA"
    assert predict("Univ Siena, Dipartimento Fis, Pisa, Italy")["label"] == "Unknown"
    for name, endpoint in report()["endpoints"].items():
        assert "authorization" not in {key.lower() for key in endpoint["headers"]}, name
    console = report()["endpoints"]["minio_console"]["url"]
    with urllib.request.urlopen(console, timeout=30) as page:
        assert b"<html" in page.read().lower()


def test_second_run_changes_nothing() -> None:
    """No task of a second run reports a change."""
    result = deploy()
    assert result.code == 0
    assert result.changed and not changed_tasks(result.changed)


def test_check_mode_reports_no_change_on_a_deployed_cluster() -> None:
    """--check --diff on a deployed cluster says that nothing would change."""
    result = deploy("--check", "--diff")
    assert result.code == 0, result.output[-3000:]
    assert result.changed and not changed_tasks(result.changed)


def test_changed_variable_is_applied_and_taken_back() -> None:
    """A changed value reaches the cluster, and the next plain run takes it back."""
    override = json.dumps({"kaap_components": {"metrics-server": {"values": {"replicas": 2}}}})
    assert deploy("-e", override, "-e", "kaap_only=metrics-server", "--tags", "platform").code == 0
    query = ("-n", "kube-system", "get", "deployment", "metrics-server", "-o", "jsonpath={.spec.replicas}")
    assert kubectl(*query) == "2"
    assert deploy("-e", "kaap_only=metrics-server", "--tags", "platform").code == 0
    assert kubectl(*query) == "1"


def test_component_taken_out_is_removed_and_comes_back() -> None:
    """A component that the inventory no longer wants leaves nothing behind."""
    override = json.dumps({"kaap_components": {"metrics-server": {"enabled": False}}})
    assert deploy("-e", override, "--tags", "platform").code == 0
    left = kubectl(
        "get",
        "all,apiservice,clusterrole,clusterrolebinding,rolebinding",
        "-A",
        "-o",
        "name",
        "-l",
        "kaap.infn.it/component=metrics-server",
    )
    assert left == ""
    assert deploy("--tags", "platform").code == 0
    assert verify().code == 0


def minio_client() -> Minio:
    """A client of the deployment's object store, as root."""
    endpoint = report()["endpoints"]["minio"]
    login = yaml.safe_load(Path(endpoint["credentials_file"]).read_text())
    return Minio(urlsplit(endpoint["url"]).netloc, login["access_key"], login["secret_key"], secure=False)


def model_objects(client: Minio) -> list[str]:
    """Names of the objects that serving reads."""
    return [str(item.object_name) for item in client.list_objects("remat", prefix="models/", recursive=True)]


def scale_kueue_to_zero() -> None:
    kubectl("-n", "kueue-system", "scale", "deployment", "kueue-controller-manager", "--replicas=0")
    kubectl("-n", "kueue-system", "wait", "pod", "--all", "--for=delete", "--timeout=120s")


def write_a_wrong_secret() -> None:
    wrong = json.dumps({"stringData": {"AWS_SECRET_ACCESS_KEY": "not-the-one-that-the-store-knows"}})
    kubectl("-n", "remat", "patch", "secret", "remat-s3", "--type=merge", "-p", wrong)


def overwrite_the_model() -> None:
    client = minio_client()
    model = next(name for name in model_objects(client) if name.endswith("model.npz"))
    client.put_object("remat", model, io.BytesIO(b"no model"), 8)


def delete_the_bucket() -> None:
    client = minio_client()
    for item in client.list_objects("remat", recursive=True, include_version=True):
        client.remove_object("remat", str(item.object_name), version_id=item.version_id)
    client.remove_bucket("remat")


def stop_the_kubelet() -> None:
    podman("exec", node_container("worker-1"), "systemctl", "stop", "kubelet")


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (scale_kueue_to_zero, "kueue: all it consists of is ready"),
        (write_a_wrong_secret, "remat: credentials in the cluster open the object store"),
        (overwrite_the_model, "remat: model.npz in the bucket is the one that was trained"),
        (delete_the_bucket, "minio: bucket remat keeps objects"),
        (stop_the_kubelet, "kubernetes: kubelet of worker-1 answers"),
    ],
)
def test_break_turns_verify_red_with_the_right_name(damage: Callable[[], None], check: str) -> None:
    """Each break is found by the check that is there for it."""
    assert check not in failed_checks()
    damage()
    result = verify()
    assert result.code != 0
    assert check in failed_checks()


def test_one_run_heals_the_five_breaks() -> None:
    """The same command that made the deployment repairs it, the lost model included."""
    result = deploy()
    assert result.code == 0, result.output[-3000:]
    assert not failed_checks()
    assert predict("INFN Bari, Dept Phys, Bari, Italy")["label"] == "BA"


def test_deleted_pods_of_every_component_come_back() -> None:
    """Controllers bring back what is lost; nothing of ours lives in a bare pod."""
    namespaces = {
        entry["metadata"]["namespace"]
        for entry in json.loads(kubectl("get", "pods", "-A", "-o", "json"))["items"]
        if not entry["metadata"]["name"].endswith("control-1")
    }
    for namespace in sorted(namespaces):
        selector = "--selector=tier!=control-plane"
        kubectl("-n", namespace, "delete", "pods", selector, "--field-selector=status.phase=Running", "--wait=false")
    until_verified("after deleting the pods")


def test_nodes_that_stop_and_start_come_back() -> None:
    """All machines stop and start, as after a power cut; everything answers again without a deployment run."""
    podman("stop", "--time=20", node_container("worker-1"), node_container("control-1"))
    podman("start", node_container("control-1"), node_container("worker-1"))
    until_verified("after stopping and starting the nodes")


def test_killed_worker_heals() -> None:
    """A worker that dies without a word comes back when it is started."""
    podman("kill", "--signal=KILL", node_container("worker-1"))
    podman("start", node_container("worker-1"))
    until_verified("after killing the worker")


def test_destroy_leaves_nothing() -> None:
    """No container, network, mount, route, link, rule, process or listening port is left; the report is kept."""
    assert run("scripts/destroy").code == 0
    assert before, "the host was not looked at before the deployment"
    assert residue.difference(before, residue.snapshot()) == {}
    assert (STATE / "report.json").exists()
