"""The life of a deployment, in order: made (through a dozen kills), run again, changed, broken, healed, taken away.

The tests share one cluster and build on each other; they run in the order of this file.
"""

from __future__ import annotations

import io
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import yaml
from minio import Minio

from . import browser, residue, tenants
from .conftest import (
    STATE,
    deploy,
    deploy_killed_at,
    failed_checks,
    killed_at,
    kubectl,
    kubectl_run,
    node_container,
    podman,
    report,
    run,
    until_verified,
    verify,
)


def nothing_else() -> None:
    """The machines live on."""


def kill_kubeadm_half_way() -> None:
    """As when the power fails: kubeadm, which outlives a killed run, dies too, with its manifests written."""
    name = f"{node_container('control-1')}-kubernetes"
    directory = Path(podman("volume", "inspect", "--format", "{{.Mountpoint}}", name).strip())
    deadline = time.monotonic() + 60
    while not (directory / "manifests" / "etcd.yaml").exists():
        assert time.monotonic() < deadline, "kubeadm wrote no manifests"
        time.sleep(0.05)
    podman("exec", node_container("control-1"), "systemctl", "kill", "--signal=KILL", "kaap-kubeadm")
    assert not (directory / "kaap-joined").exists(), "kubeadm was faster than the kill"


# Where the run is killed: a part of a task's name, the delay in seconds after its start, and what dies with it; one per
# phase at least.
KILL_POINTS: list[tuple[str, str, float, Callable[[], None]]] = [
    ("pack", "Pack the artefacts", 0.3, nothing_else),
    ("provision", "Make the machine", 0.5, nothing_else),
    ("cluster", "Configure containerd", 0.1, nothing_else),
    ("cluster", "Wait for kubeadm", 0.0, kill_kubeadm_half_way),
    ("cluster", "Wait for kubeadm", 1.0, nothing_else),
    ("cluster", "Get a token", 0.2, nothing_else),
    ("platform", "Install gateway-api", 2.0, nothing_else),
    ("platform", "Install envoy-gateway", 6.0, nothing_else),
    ("platform", "Set up buckets", 0.2, nothing_else),
    ("use_cases", "Train ReMAT", 15.0, nothing_else),
    ("use_cases", "Serve ReMAT", 5.0, nothing_else),
    ("verify", "Ask the whole deployment", 0.5, nothing_else),
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


@pytest.mark.parametrize(("phase", "task", "delay", "also"), KILL_POINTS)
def test_killed_run_stops_where_it_was_killed(phase: str, task: str, delay: float, also: Callable[[], None]) -> None:
    """Each run goes on from the one before, and is killed further on; nothing of it may stand in the way."""
    result = deploy_killed_at(task, delay)
    assert result.code == -9, f"the run was not killed in phase {phase}: no task named {task!r} started"
    also()


def test_run_after_the_kills_ends_well() -> None:
    """The run that is left alone ends with every check passed and the report written."""
    result = deploy()
    assert result.code == 0, result.output[-3000:]
    assert not failed_checks()
    assert len(report()["checks"]) > 30
    (left_out,) = report()["not_run"]
    assert left_out["component"] == "network-policies" and "NOT RUN  " + left_out["name"] in result.output
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


@pytest.fixture
def page() -> Iterator[browser.Page]:
    """A browser's tab."""
    assert run("scripts/prerequisites", "test").code == 0
    with browser.chromium() as tab:
        yield tab


def test_every_endpoint_opens_in_a_browser(page: browser.Page) -> None:
    """Each URL as it stands; pictures of them are kept beside the report."""
    endpoints = report()["endpoints"]
    assert {"remat", "minio", "minio_console"} <= set(endpoints)
    for name, endpoint in endpoints.items():
        answer = page.open(endpoint["url"])
        assert answer.status == 200, f"{name}: {answer}"
        page.screenshot(STATE / "screenshots" / f"{name}.png")


def test_remat_answers_to_a_person_in_a_browser(page: browser.Page) -> None:
    """The page at the address that programs post to asks the model itself."""
    page.open(report()["endpoints"]["remat"]["url"])
    page.run("document.getElementById('text').value = 'INFN Bari, Dept Phys, Bari, Italy'")
    page.click("button")
    page.until("document.getElementById('answer').textContent !== ''", "an answer of the model")
    assert page.run("document.getElementById('answer').textContent").startswith("BA ")
    page.screenshot(STATE / "screenshots" / "remat-answered.png")


def test_the_console_of_the_object_store_opens_with_the_credentials_file(page: browser.Page) -> None:
    """Whoever logs in with what the file says sees the bucket; whoever does not, does not."""
    endpoint = report()["endpoints"]["minio_console"]
    login = yaml.safe_load(Path(endpoint["credentials_file"]).read_text())
    log_in(page, endpoint["url"], login["access_key"], "not the key")
    page.until("document.body.innerText.toLowerCase().includes('invalid login')", "the console to refuse a wrong key")
    log_in(page, endpoint["url"], login["access_key"], login["secret_key"])
    page.until("location.pathname !== '/login'", "the console to let its root in")
    page.open(urljoin(endpoint["url"], "/browser"))
    page.until("document.body.innerText.includes('remat')", "the bucket remat in the console")
    page.screenshot(STATE / "screenshots" / "minio_console-buckets.png")


def log_in(page: browser.Page, url: str, user: str, key: str) -> None:
    """Fill in the console's form."""
    page.open(url)
    page.type("#accessKey", user)
    page.type("#secretKey", key)
    page.click("#do-login")


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


def test_tenants_have_what_the_inventory_says_and_no_more() -> None:
    """Rights, quota, queue and key of each, in the cluster and in the object store."""
    result = tenants.declare(tenants.ASTRO, tenants.BIO)
    assert result.code == 0, result.output[-3000:]
    asked = {
        person: tenants.rights(person) for person in (tenants.OWNER, tenants.MEMBER, tenants.VIEWER, tenants.GROUPED)
    }
    assert asked == {
        tenants.OWNER: [True, True, True, True],
        tenants.MEMBER: [True, True, True, False],
        tenants.VIEWER: [True, False, False, False],
        tenants.GROUPED: [True, True, True, False],
    }
    assert tenants.rights(tenants.NEIGHBOUR) == [False] * 4 and tenants.rights(tenants.STRANGER) == [False] * 4
    assert "exceeded quota: kaap-quota" in tenants.create(tenants.MEMBER, tenants.claim("large", "2Gi"))
    for obj in (tenants.claim("data", "1Mi"), tenants.job("endless")):
        assert tenants.create(tenants.MEMBER, obj) == ""
    tenants.running("endless")
    assert kubectl("-n", "astro", "get", "workloads", "-o", "jsonpath={.items[*].status.admission.clusterQueue}")
    mine, other = (
        tenants.store(*tenants.key("astro", tenants.MEMBER)),
        tenants.store(*tenants.key("bio", tenants.NEIGHBOUR)),
    )
    assert tenants.put(mine, "astro") == "" and tenants.put(other, "bio-raw") == ""
    assert tenants.put(mine, "bio-raw") == tenants.put(other, "astro") == "AccessDenied"


def test_second_run_with_tenants_changes_nothing() -> None:
    """A tenant that works in its namespace is no change."""
    result = tenants.declare(tenants.ASTRO, tenants.BIO)
    assert result.code == 0 and not changed_tasks(result.changed), result.output[-3000:]


taken_along: list[tuple[str, str]] = []


def test_who_leaves_a_tenant_loses_all_of_it() -> None:
    """Also what the owner gave by hand, and the key that they knew, with the one that they made with it."""
    assert tenants.create(tenants.OWNER, tenants.binding("member-too", tenants.MEMBER)) == ""
    assert tenants.create(tenants.OWNER, tenants.binding("stranger", tenants.STRANGER)) == ""
    known = tenants.key("astro", tenants.MEMBER)
    taken_along.extend([known, tenants.own_key(*known)])
    assert [tenants.put(tenants.store(*pair), "astro") for pair in taken_along] == ["", ""]
    result = tenants.declare({**tenants.ASTRO, "members": []}, tenants.BIO)
    assert result.code == 0, result.output[-3000:]
    assert tenants.rights(tenants.MEMBER) == [False] * 4
    assert tenants.can(tenants.STRANGER, "list", "pods"), "whom the owner lets in is the owner's business"
    refused = [tenants.put(tenants.store(*pair), "astro") for pair in taken_along]
    assert refused == ["SignatureDoesNotMatch", "InvalidAccessKeyId"]
    assert tenants.put(tenants.store(*tenants.key("astro", tenants.OWNER)), "astro") == ""


def test_a_tenant_that_is_taken_out_is_closed() -> None:
    """Nobody has access, nothing runs or can be started, the key is refused; the data stays."""
    known = tenants.key("astro", tenants.OWNER)
    result = tenants.declare(tenants.BIO)
    assert result.code == 0, result.output[-3000:]
    for person in (tenants.OWNER, tenants.VIEWER, tenants.GROUPED, tenants.STRANGER):
        assert tenants.rights(person) == [False] * 4, person
    assert tenants.put(tenants.store(*known), "astro") == "InvalidAccessKeyId"
    assert kubectl("-n", "astro", "get", "pods,rolebindings", "-o", "name") == ""
    refused = kubectl_run("-n", "astro", "run", "late", f"--image={tenants.image()}").stderr
    assert "exceeded quota: kaap-closed" in refused
    assert kubectl("-n", "astro", "get", "networkpolicy", "-o", "name").split() == [
        "networkpolicy.networking.k8s.io/default-deny"
    ]
    assert kubectl("-n", "astro", "get", "pvc", "data", "-o", "jsonpath={.status.phase}") == "Bound"
    assert minio_client().stat_object("astro", "kept").size == 4
    again = tenants.declare(tenants.BIO)
    assert again.code == 0 and not changed_tasks(again.changed), again.output[-3000:]


def test_a_tenant_that_comes_back_finds_its_data() -> None:
    """With its own people and a new key; its job goes on, and whom the owner had let in stays out."""
    result = tenants.declare(tenants.ASTRO, tenants.BIO)
    assert result.code == 0, result.output[-3000:]
    assert tenants.rights(tenants.OWNER) == [True] * 4 and tenants.rights(tenants.STRANGER) == [False] * 4
    client = tenants.store(*tenants.key("astro", tenants.OWNER))
    assert [item.object_name for item in client.list_objects("astro")] == ["kept"]
    tenants.running("endless")


def test_data_of_closed_tenants_goes_when_that_is_asked_for() -> None:
    """Namespaces and buckets; others' buckets stay."""
    assert tenants.declare(delete_data=True).code == 0
    assert kubectl("get", "namespace", "astro", "bio", "--ignore-not-found", "-o", "name") == ""
    assert {bucket.name for bucket in minio_client().list_buckets()} == {"remat"}
    assert verify().code == 0


def minio_client() -> Minio:
    """A client of the deployment's object store, as root."""
    endpoint = report()["endpoints"]["minio"]
    login = yaml.safe_load(Path(endpoint["credentials_file"]).read_text())
    return Minio(urlsplit(endpoint["url"]).netloc, login["access_key"], login["secret_key"], secure=False)


def model_objects(client: Minio) -> list[str]:
    """Names of the objects that serving reads."""
    return [str(item.object_name) for item in client.list_objects("remat", prefix="models/", recursive=True)]


def stored(name: str) -> dict[str, str]:
    """A generated secret, from the state directory."""
    content: dict[str, str] = yaml.safe_load((STATE / "secrets" / f"{name}.yml").read_text())
    return content


def test_rotation_that_is_cut_off_is_finished_and_old_secrets_are_refused() -> None:
    """Killed with new values in place that the object store does not know yet; the next run goes on with the same."""
    root, user = stored("minio-root"), stored("minio-user-remat")
    hmac = stored("envoy-oidc-hmac")
    assert killed_at("Install envoy-gateway", 0.2, "scripts/play", "rotate").code == -9
    half = stored("minio-root")["rootPassword"]
    assert half != root["rootPassword"] and (STATE / "rotation.yml").stat().st_mode & 0o077 == 0
    result = run("scripts/play", "rotate")
    assert result.code == 0, result.output[-3000:]
    assert stored("minio-root")["rootPassword"] == half, "the rotation was begun anew"
    assert not (STATE / "rotation.yml").exists() and stored("envoy-oidc-hmac") != hmac
    old = [(root["rootUser"], root["rootPassword"]), (user["access_key"], user["secret_key"])]
    assert [tenants.put(tenants.store(*pair), "remat", "probe") for pair in old] == ["SignatureDoesNotMatch"] * 2
    new = stored("minio-user-remat")
    assert tenants.put(tenants.store(new["access_key"], new["secret_key"]), "remat", "models/probe") == ""
    minio_client().remove_object("remat", "models/probe")
    assert not failed_checks()
    assert predict("INFN Bari, Dept Phys, Bari, Italy")["label"] == "BA"
    again = deploy()
    assert again.code == 0 and not changed_tasks(again.changed), again.output[-3000:]


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
