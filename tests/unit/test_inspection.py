"""The checks of a site, asked for real of small servers: what passes, what fails, and under which name."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import checks, inspection, object_store

MODEL = b"the model that was trained"
CARD = {"metrics": {"accuracy": 0.98}, "files": {"model.npz": hashlib.sha256(MODEL).hexdigest()}}
NOW = "2026-01-01T00:00:00Z"
CASE = yaml.safe_load("""
component: remat
endpoint: {name: remat, listener: http, path: /predict}
ready:
  - {api: serving.kserve.io/v1beta1, kind: InferenceService, name: remat, namespace: remat, condition: Ready}
credentials: {secret: remat-s3, namespace: remat, access_key: KEY, secret_key: SECRET}
answers:
  - what: predicts BA
    body: {instances: [INFN Bari]}
    expect: {predictions: [{label: BA}]}
  - what: answers elsewhere
    path: /elsewhere
    body: {instances: [INFN Bari]}
    expect: {predictions: [{label: BA}]}
refused:
  - what: refuses text
    text: no json
  - what: refuses 10 MB
    big: 10000000
""")


class Handler(BaseHTTPRequestHandler):
    """Plays the API server, the predictor and a console, from one table of answers."""

    table: dict[str, tuple[int, str, Any]] = {}  # noqa: RUF012  (each test gives its own)
    asked: list[str] = []  # noqa: RUF012

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(length)
        path, _, query = self.path.partition("?")
        key = f"{self.command} {path}" + ("?watch" if "watch=true" in query else "")
        self.asked.append(key)
        if self.command == "POST" and self.path == "/predict" and not sent.startswith(b'{"instances": ["INFN'):
            key = "POST bad"
        status, kind, content = self.table.get(key, (404, "application/json", {"message": f"no {key}"}))
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Answer from the table."""
        self._answer()

    def do_POST(self) -> None:
        """Answer from the table."""
        self._answer()

    def do_PATCH(self) -> None:
        """Answer from the table."""
        self._answer()

    def do_DELETE(self) -> None:
        """Answer from the table."""
        self._answer()

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


JSON = "application/json"
RESOURCES = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {"name": "serving.kserve.io"},
            "versions": [
                {
                    "version": "v1beta1",
                    "resources": [
                        {
                            "resource": "inferenceservices",
                            "responseKind": {"kind": "InferenceService"},
                            "scope": "Namespaced",
                        }
                    ],
                }
            ],
        },
        {
            "metadata": {"name": "trainer.kubeflow.org"},
            "versions": [
                {
                    "version": "v1alpha1",
                    "resources": [
                        {"resource": "trainjobs", "responseKind": {"kind": "TrainJob"}, "scope": "Namespaced"}
                    ],
                }
            ],
        },
    ],
}
PREDICTED = {"predictions": [{"label": "BA", "probability": 0.9}]}
GOOD: dict[str, tuple[int, str, Any]] = {
    "GET /api": (200, JSON, {"kind": "APIGroupDiscoveryList", "items": []}),
    "GET /apis": (200, JSON, RESOURCES),
    "GET /readyz": (200, "text/plain", b"ok"),
    "GET /version": (200, JSON, {"gitVersion": "v1.36.3"}),
    "GET /api/v1/namespaces/kube-system/pods": (
        200,
        JSON,
        {"metadata": {}, "items": [{"metadata": {"name": "dns"}, "status": {"phase": "Succeeded"}}]},
    ),
    "GET /api/v1/nodes/n1/proxy/healthz": (200, "text/plain", b"ok"),
    "GET /apis/serving.kserve.io/v1beta1/namespaces/remat/inferenceservices/remat": (
        200,
        JSON,
        {"metadata": {"name": "remat"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
    ),
    "GET /predict": (200, "text/html", b"<html>try it</html>"),
    "POST /predict": (200, JSON, PREDICTED),
    "POST /elsewhere": (200, JSON, PREDICTED),
    "POST bad": (400, JSON, {"error": "no"}),
}


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Return a server whose answers are good at first."""
    Handler.table = dict(GOOD)
    Handler.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening
        listening.shutdown()


def site(tmp_path: Path, port: int, **changes: Any) -> inspection.Site:
    """Return a site behind the server."""
    kubeconfig = tmp_path / "kubeconfig"
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    kubeconfig.write_text(yaml.safe_dump(content))
    facts: dict[str, Any] = {
        "records": {},
        "nodes": ["n1"],
        "kubernetes": "v1.36.3",
        "kubeconfig": kubeconfig,
        "address": "127.0.0.1",
        "ports": {"http": port, "s3": port, "console": port},
        "secrets": {},
        "cases": {"remat": {key: value for key, value in CASE.items() if key != "credentials"}},
    }
    return inspection.Site(**{**facts, **changes})


def ask(wanted: inspection.Site) -> dict[str, tuple[str, str]]:
    """Return result and answer of each check."""
    found = checks.run(inspection.Inspector(wanted).checks(), 20.0, inspection.EXPECTED)
    return {each["name"]: (each["result"], each["answered"]) for each in found}


def failed(answers: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Return the answers of the failed checks, but for the node, whose Lease the server does not play."""
    return {
        name: said
        for name, (result, said) in answers.items()
        if result == "fail" and name != "kubernetes: node n1 is Ready"
    }


def test_a_good_site_passes(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    """Cluster and use case, each under its name."""
    answers = ask(site(tmp_path, server.server_port))
    assert failed(answers) == {}
    assert list(answers) == [
        "kubernetes: API server is ready",
        "kubernetes: pods of kube-system are ready",
        "kubernetes: node n1 is Ready",
        "kubernetes: kubelet of n1 answers",
        "remat: InferenceService remat is Ready",
        "remat: address opens in a browser",
        "remat: predicts BA",
        "remat: answers elsewhere",
        "remat: refuses text",
        "remat: refuses 10 MB",
    ]


@pytest.mark.parametrize(
    ("key", "answer", "name", "said"),
    [
        ("GET /readyz", (500, "text/plain", b"etcd failed"), "kubernetes: API server is ready", "etcd failed"),
        ("GET /version", (200, JSON, {"gitVersion": "v1.35.0"}), "kubernetes: API server is ready", "wanted v1.36.3"),
        (
            "GET /api/v1/nodes/n1/proxy/healthz",
            (503, JSON, {"message": "connection refused"}),
            "kubernetes: kubelet of n1 answers",
            "connection refused",
        ),
        (
            "GET /api/v1/namespaces/kube-system/pods",
            (200, JSON, {"metadata": {}, "items": [{"metadata": {"name": "dns"}, "status": {"phase": "Failed"}}]}),
            "kubernetes: pods of kube-system are ready",
            "dns: it failed",
        ),
        ("GET /predict", (405, JSON, {}), "remat: address opens in a browser", "it answered 405"),
        (
            "POST /predict",
            (200, JSON, {"predictions": [{"label": "NA"}]}),
            "remat: predicts BA",
            'label is "NA", wanted "BA"',
        ),
        (
            "POST /elsewhere",
            (503, "text/plain", b"no healthy upstream"),
            "remat: answers elsewhere",
            "no healthy upstream",
        ),
    ],
)
def test_a_fault_turns_its_own_check_red(
    request: pytest.FixtureRequest, key: str, answer: tuple[int, str, Any], name: str, said: str
) -> None:
    """And no other."""
    port = request.getfixturevalue("server").server_port
    Handler.table[key] = answer
    found = failed(ask(site(request.getfixturevalue("tmp_path"), port)))
    assert list(found) == [name]
    assert said in found[name]


def test_a_server_error_on_bad_input_is_a_fault(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    """Bad input gets 4xx."""
    Handler.table["POST bad"] = (500, JSON, {})
    assert set(failed(ask(site(tmp_path, server.server_port)))) == {"remat: refuses text", "remat: refuses 10 MB"}


def test_without_a_cluster_every_check_says_so(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    """The predictor is still asked: each check stands alone."""
    record = {"name": "minio", "version": "1", "namespace": "minio"}
    gone = site(tmp_path, server.server_port, kubeconfig=tmp_path / "none", records={"minio": record})
    found = ask(gone)
    assert found["remat: predicts BA"][0] == "pass"
    for name in ("kubernetes: API server is ready", "minio: all it consists of is ready"):
        assert found[name][0] == "fail" and "there is no kubeconfig" in found[name][1]
    assert "root password is not among the stored secrets" in found["minio: root logs in with its password"][1]


class FakeStore:
    """An object store with one user and some objects."""

    objects: dict[str, bytes] = {}  # noqa: RUF012  (each test gives its own)

    def __init__(self, *_login: str, trust: Any = None) -> None:
        """Take any login."""

    def login(self, user: str, secret: str) -> bool:
        """Know one user."""
        return (user, secret) == ("remat", "right")

    def read(self, bucket: str, name: str) -> bytes:
        """Return an object."""
        if name not in self.objects:
            raise object_store.StoreError(f"get {bucket}/{name}: NoSuchKey")
        return self.objects[name]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Return the objects of a store that holds model and card."""
    FakeStore.objects = {"m/model.npz": MODEL, "m/card.json": json.dumps(CARD).encode()}
    monkeypatch.setattr(object_store, "Store", FakeStore)
    return FakeStore.objects


STORE = {
    "bucket": "remat",
    "card": "m/card.json",
    "at_least": {"metrics.accuracy": 0.97},
    "digests": {"m/model.npz": ["files", "model.npz"]},
}
TRAINED = "remat: model.npz in the bucket is the one that was trained"
SAYS = "remat: model card says what the model can do"


def with_store(tmp_path: Path, port: int) -> inspection.Site:
    """Return a site with a use case that keeps a model."""
    root = {"minio-root": {"rootUser": "r", "rootPassword": "p"}}
    return site(tmp_path, port, secrets=root, cases={"remat": {"store": STORE, "credentials": CASE["credentials"]}})


def secret(password: str) -> tuple[int, str, Any]:
    """Return the Secret that the predictor uses."""
    data = {"KEY": "remat", "SECRET": password}
    return 200, JSON, {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


def test_models_cards_and_secrets(tmp_path: Path, server: ThreadingHTTPServer, stored: dict[str, bytes]) -> None:
    """Green first, then each break under its own name."""
    place = "GET /api/v1/namespaces/remat/secrets/remat-s3"
    opens = "remat: credentials in the cluster open the object store"
    Handler.table[place] = secret("right")
    wanted = with_store(tmp_path, server.server_port)
    assert failed(ask(wanted)) == {}
    Handler.table[place] = secret("wrong")
    assert list(failed(ask(wanted))) == [opens]
    Handler.table[place] = (404, JSON, {})
    assert failed(ask(wanted)) == {opens: "Secret remat/remat-s3 does not exist"}
    Handler.table[place] = secret("right")
    stored["m/model.npz"] = b"no model"
    assert list(failed(ask(wanted))) == [TRAINED]
    stored["m/model.npz"] = MODEL
    stored["m/card.json"] = json.dumps({**CARD, "metrics": {"accuracy": 0.9}}).encode()
    assert failed(ask(wanted)) == {SAYS: "metrics.accuracy: it is 0.9, wanted at least 0.97"}
    stored.clear()
    assert set(failed(ask(wanted))) == {SAYS, TRAINED}


def test_the_model_is_looked_for_where_serving_takes_it_from(
    tmp_path: Path, server: ThreadingHTTPServer, stored: dict[str, bytes]
) -> None:
    """A wrong path, a job of another queue or one that failed are each found."""
    service = "GET /apis/serving.kserve.io/v1beta1/namespaces/remat/inferenceservices/remat"
    job = "GET /apis/trainer.kubeflow.org/v1alpha1/namespaces/remat/trainjobs/remat-m"
    trained = "remat: model was trained by a job from the queue"

    def served(uri: str) -> tuple[int, str, Any]:
        return 200, JSON, {"metadata": {}, "spec": {"predictor": {"model": {"storageUri": uri}}}}

    def ran(queue: str, status: str) -> tuple[int, str, Any]:
        labels = {"kueue.x-k8s.io/queue-name": queue}
        conditions = [{"type": "Complete", "status": status}]
        return 200, JSON, {"metadata": {"labels": labels}, "status": {"conditions": conditions}}

    Handler.table[service], Handler.table[job] = served("s3://remat/m"), ran("kaap", "True")
    store = {**STORE, "card": "card.json", "digests": {"model.npz": ["files", "model.npz"]}}
    case = {
        "store": {**store, "served_by": {"namespace": "remat", "name": "remat"}},
        "trained_by": {"namespace": "remat", "prefix": "remat-", "queue": "kaap"},
    }
    root = {"minio-root": {"rootUser": "r", "rootPassword": "p"}}
    wanted = site(tmp_path, server.server_port, secrets=root, cases={"remat": case})
    assert failed(ask(wanted)) == {}
    for answer, said in (
        (ran("other", "True"), "queue other, wanted kaap"),
        (ran("kaap", "False"), "Complete is False"),
    ):
        Handler.table[job] = answer
        found = failed(ask(wanted))
        assert list(found) == [trained] and said in found[trained]
    Handler.table[service] = served("s3://elsewhere/m")
    assert set(failed(ask(wanted))) == {trained, SAYS, TRAINED}


PODS = "/api/v1/namespaces/remat/pods"
FLOWS = "network-policies: an allowed flow gets through and a denied one does not"


def with_policies(tmp_path: Path, port: int, **changes: Any) -> inspection.Site:
    """Return a site with NetworkPolicies and all that it takes to try a flow; its store is never asked."""
    images = [{"name": "docker.io/kserve/storage-initializer", "tag": "v1"}]
    records = {
        name: {"name": name, "version": "1", "images": images}
        for name in ("network-policies", "minio", "kserve", "kueue")
    }
    queues = {"local_queues": [{"name": "kaap", "namespace": "remat", "cluster_queue": "kaap"}]}
    facts = {"records": records, "queues": queues, "policies_enforced": True}
    return site(tmp_path, port, **{**facts, **changes})


def test_flows_that_cannot_be_tried_are_listed_as_not_run(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    """They are no check then; and there is nothing to say of policies that nobody wants."""
    unenforced = inspection.Inspector(with_policies(tmp_path, server.server_port, policies_enforced=False))
    (entry,) = (each.entry() for each in unenforced.not_run())
    assert entry["name"] == FLOWS and entry["component"] == "network-policies"
    assert "kaap_cni is reference" in entry["reason"]
    assert FLOWS not in {each.name for each in unenforced.checks()}
    enforced = inspection.Inspector(with_policies(tmp_path, server.server_port))
    assert enforced.not_run() == [] and FLOWS in {each.name for each in enforced.checks()}
    unwanted = inspection.Inspector(with_policies(tmp_path, server.server_port, records={}, policies_enforced=False))
    assert unwanted.not_run() == [] and FLOWS not in {each.name for each in unwanted.checks()}


@pytest.mark.parametrize(
    ("denied", "phase", "result", "words"),
    [
        ("timed out", "Succeeded", "pass", "connected; the denied one: timed out"),
        ("connected", "Succeeded", "fail", "policies are not enforced"),
        ("timed out", "Running", "fail", "did not end within 90 s: container flows ImagePullBackOff"),
    ],
)
def test_a_pod_tries_the_flows_and_is_taken_away(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, denied: str, phase: str, result: str, words: str
) -> None:
    """Also when it fails, and together with what a killed run had left behind."""
    monkeypatch.setattr(uuid, "uuid4", lambda: type("Fixed", (), {"hex": "0" * 32}))
    port = request.getfixturevalue("server").server_port
    name = "flow-check-00000000"
    state: dict[str, Any] = {"waiting": {"reason": "ImagePullBackOff"}}
    if phase == "Succeeded":
        state = {"terminated": {"exitCode": 0, "message": json.dumps({"allowed": "connected", "denied": denied})}}
    status = {"phase": phase, "containerStatuses": [{"name": "flows", "state": state}]}
    event = {"type": "MODIFIED", "object": {"metadata": {"name": name}, "status": status}}
    made = {"metadata": {"name": name, "resourceVersion": "7"}}
    left = [{"metadata": {"name": "flow-check-old"}}]
    Handler.table |= {
        f"GET {PODS}": (200, JSON, {"metadata": {}, "items": left}),
        f"GET {PODS}?watch": (200, JSON, json.dumps(event).encode() + b"\n"),
        f"PATCH {PODS}/{name}": (201, JSON, made),
        f"DELETE {PODS}/{name}": (200, JSON, {}),
        f"DELETE {PODS}/flow-check-old": (200, JSON, {}),
    }
    inspector = inspection.Inspector(with_policies(request.getfixturevalue("tmp_path"), port))
    (said,) = checks.run(inspector.flows(), 20.0, inspection.EXPECTED)
    assert (said["name"], said["result"]) == (FLOWS, result)
    assert words in said["answered"]
    asked = [key for key in Handler.asked if key.startswith("DELETE")]
    assert asked == [f"DELETE {PODS}/flow-check-old", f"DELETE {PODS}/{name}"]


def test_requests_are_told_in_a_few_characters() -> None:
    """The report stays small, whatever is sent."""
    assert inspection.shown_request({"big": 10_000_000}) == "with one instance of 10000000 letters"
    assert len(inspection.request_body({"big": 10_000_000})) > 10_000_000
    assert inspection.request_body({"text": "x"}) == b"x"
    assert re.fullmatch(r'\{"instances": \["a"\]\}', inspection.shown_request({"body": {"instances": ["a"]}}))


DOMAIN = "kaap.example.org"
FULL: dict[str, Any] = {
    "gateway-istio": {},
    "kubeflow-gateway": {},
    "dashboard": {"endpoints": {"dashboard": {"listener": "https", "path": "/"}}},
    "minio": {
        "endpoints": {
            "minio": {"listener": "s3", "path": "/ready"},
            "minio_in_dashboard": {"listener": "https", "path": "/minio/", "needs": ["dashboard"]},
        }
    },
}
LOGIN = f"client_id=kaap&redirect_uri=https%3A%2F%2F{DOMAIN}%2Foauth2%2Fcallback&response_type=code"
KEPT_OUT: dict[tuple[str, str], tuple[int, dict[str, str], bytes]] = {
    ("http", "/nowhere"): (403, {}, b"RBAC: access denied"),
    ("http", "/serving/m/predict"): (403, {}, b"RBAC: access denied"),
    ("https", "/"): (302, {"Location": "/oauth2/start"}, b""),
    ("https", "/minio/"): (403, {}, b"<html>"),
    ("https", "/oauth2/start?rd=%2F"): (302, {"Location": f"https://iam.example.org/authorize?{LOGIN}"}, b""),
}


def full(tmp_path: Path, port: int, **changes: Any) -> inspection.Inspector:
    """Return the inspector of a site of profile full."""
    case = {**CASE, "endpoint": {**CASE["endpoint"], "path": "/serving/m/predict", "service": SERVICE_BEHIND}}
    kept = {key: value for key, value in case.items() if key in {"endpoint", "answers", "refused"}}
    kept["answers"] = [{key: value for key, value in CASE["answers"][0].items() if key != "path"}]
    facts = {"records": FULL, "domain": DOMAIN, "issuer": "https://iam.example.org/", "client": "kaap"}
    return inspection.Inspector(site(tmp_path, port, **{**facts, "cases": {"remat": kept}, **changes}))


SERVICE_BEHIND = {"namespace": "remat", "name": "m-predictor", "port": 80, "prefix": "/serving/m"}


def asked_of(inspector: inspection.Inspector, table: dict[tuple[str, str], Any]) -> dict[str, tuple[str, str]]:
    """Return what the gateways' checks and those of the use case say; the gateways answer from a table."""

    def request(method: str, listener: str, path: str, body: bytes | None = None) -> Any:
        return table[listener, path]

    inspector.request = request  # type: ignore[method-assign]
    todo = [*inspector.programs(), *inspector.people(), *inspector.use_case("remat", inspector.site.cases["remat"])]
    todo = [check for check in todo if check.what != "HTTP redirects to HTTPS"]
    return {each["name"]: (each["result"], each["answered"]) for each in checks.run(todo, 20.0, inspection.EXPECTED)}


BEHIND = "/api/v1/namespaces/remat/services/http:m-predictor:80/proxy/predict"


def test_full_asks_gateways_without_a_login_and_models_through_the_api_server(
    tmp_path: Path, server: ThreadingHTTPServer
) -> None:
    """Green, and each break under its own name."""
    Handler.table[f"GET {BEHIND}"] = (200, JSON, {"name": "remat"})
    Handler.table[f"POST {BEHIND}"] = (200, JSON, PREDICTED)
    inspector = full(tmp_path, server.server_port)
    said = asked_of(inspector, KEPT_OUT)
    # The handler behind the API server predicts whatever it is asked.
    good = {name: result for name, (result, _) in said.items() if not name.startswith("remat: refuses")}
    assert set(good.values()) == {"pass"}, said
    assert {
        "gateway-istio: asks for a token",
        "kubeflow-gateway: a login leads to the issuer",
        "kubeflow-gateway: dashboard is closed",
        "kubeflow-gateway: minio_in_dashboard is closed",
        "remat: address asks for a token",
        "remat: address opens in a browser",
    } <= set(good)
    open_page: Any = (200, {}, b"<html>")
    for (listener, path), name in {
        ("http", "/nowhere"): "gateway-istio: asks for a token",
        ("http", "/serving/m/predict"): "remat: address asks for a token",
        ("https", "/minio/"): "kubeflow-gateway: minio_in_dashboard is closed",
        ("https", "/oauth2/start?rd=%2F"): "kubeflow-gateway: a login leads to the issuer",
    }.items():
        broken = asked_of(inspector, {**KEPT_OUT, (listener, path): open_page})
        assert {key for key in good if broken[key][0] == "fail"} == {name}
        assert "it answered 200" in broken[name][1]


def test_addresses_of_full_are_those_of_its_certificate(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    """By name, over HTTPS, and only where there is a gateway for them."""
    port = server.server_port
    inspector = full(tmp_path, port)
    assert inspector.url("https", "/minio/") == f"https://{DOMAIN}/minio/"
    assert inspector.url("s3", "/ready") == f"https://{DOMAIN}:{port}/ready"
    assert [name for name, _ in inspection.endpoints(FULL)] == ["dashboard", "minio", "minio_in_dashboard"]
    for without in ("kubeflow-gateway", "dashboard"):
        rest = {name: record for name, record in FULL.items() if name != without}
        assert "minio_in_dashboard" not in dict(inspection.endpoints(rest))
    assert inspection.Inspector(site(tmp_path, port)).url("s3", "/ready") == f"http://127.0.0.1:{port}/ready"
