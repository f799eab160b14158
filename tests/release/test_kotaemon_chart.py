"""The chart kotaemon: each option, and values that its schema refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.release import charts
from tests.release.charts import Objects, Template, Values

NEEDED: Values = {
    "admin": {"existingSecret": "admin"},
    "models": {
        "existingSecret": "key",
        "chat": {"url": "http://chat.llm.svc/v1", "model": "q"},
        "embedding": {"url": "http://embedding.llm.svc/v1", "model": "e"},
    },
}


@pytest.fixture
def template(helm: Path, tmp_path: Path) -> Template:
    """Renders the chart; returns the objects by kind and name."""

    def render(**values: Any) -> Objects:
        return charts.rendered(helm, tmp_path, "kotaemon", "docs", charts.merged(NEEDED, values))

    return render


def pod(objects: Objects) -> dict[str, Any]:
    """The pod's specification."""
    found: dict[str, Any] = objects["Deployment", "docs"]["spec"]["template"]["spec"]
    return found


def container(objects: Objects) -> dict[str, Any]:
    """The server's container."""
    found: dict[str, Any] = pod(objects)["containers"][0]
    return found


def env(objects: Objects) -> dict[str, Any]:
    """Variables of the server."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(objects)["env"]}


def test_lint(helm: Path, tmp_path: Path) -> None:
    """Strict lint, with the values that have no default."""
    done = charts.run(helm, NEEDED, tmp_path, "lint", "--strict", str(charts.CHARTS / "kotaemon"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_defaults(template: Template) -> None:
    """One server, one volume, no way in from outside."""
    kinds = (
        "ServiceAccount",
        "ConfigMap",
        "PersistentVolumeClaim",
        "Service",
        "Deployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
    )
    assert set(template()) == {(kind, "docs") for kind in kinds}


def test_pod_is_restricted(template: Template) -> None:
    """Accepted by the restricted Pod Security Standard, with a root file system that cannot be written."""
    objects = template()
    assert pod(objects)["securityContext"] == {**charts.RESTRICTED, "fsGroupChangePolicy": "OnRootMismatch"}
    assert pod(objects)["automountServiceAccountToken"] is False
    assert container(objects)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_one_server_at_a_time(template: Template) -> None:
    """A rolling update would start a second one on the same files."""
    spec = template()["Deployment", "docs"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_probes_and_limits(template: Template) -> None:
    """The page tells that it is ready; a slow answer does not kill it."""
    server = container(template())
    assert server["startupProbe"]["httpGet"] == {"path": "/", "port": "http"}
    assert server["readinessProbe"]["httpGet"] == {"path": "/", "port": "http"}
    assert server["livenessProbe"]["tcpSocket"] == {"port": "http"}
    assert set(server["resources"]) == {"requests", "limits"}


def test_image(template: Template) -> None:
    """Repository, tag and pull policy; no tag means the chart's."""
    version = yaml.safe_load((charts.CHARTS / "kotaemon/Chart.yaml").read_text())["appVersion"]
    assert container(template())["image"] == f"ghcr.io/cinnamon/kotaemon:{version}"
    server = container(template(image={"repository": "a.example/b", "tag": "c", "pullPolicy": "Never"}))
    assert (server["image"], server["imagePullPolicy"]) == ("a.example/b:c", "Never")


def test_first_account(template: Template) -> None:
    """From the Secret that is named, never upstream's admin/admin; nobody comes in without an account."""
    found = env(template(admin={"existingSecret": "other", "usernameKey": "u", "passwordKey": "p"}))
    assert found["KH_FEATURE_USER_MANAGEMENT"] == "true"
    assert found["KH_FEATURE_USER_MANAGEMENT_ADMIN"] == {"secretKeyRef": {"name": "other", "key": "u"}}
    assert found["KH_FEATURE_USER_MANAGEMENT_PASSWORD"] == {"secretKeyRef": {"name": "other", "key": "p"}}


def test_models(template: Template) -> None:
    """Endpoints and key reach the settings module, which Kotaemon is told to read."""
    objects = template(
        models={
            "existingSecret": "k2",
            "key": "k",
            "chat": {"contextLength": 4096, "timeoutSeconds": 5},
            "embedding": {"timeoutSeconds": 6},
            "reranker": {"url": "http://r.llm.svc/rerank"},
        }
    )
    found = env(objects)
    assert found["KAAP_MODELS_KEY"] == {"secretKeyRef": {"name": "k2", "key": "k"}}
    assert {name: value for name, value in found.items() if name.startswith("KAAP_") and isinstance(value, str)} == {
        "KAAP_CHAT_URL": "http://chat.llm.svc/v1",
        "KAAP_CHAT_MODEL": "q",
        "KAAP_CHAT_CONTEXT": "4096",
        "KAAP_CHAT_TIMEOUT": "5",
        "KAAP_EMBEDDING_URL": "http://embedding.llm.svc/v1",
        "KAAP_EMBEDDING_MODEL": "e",
        "KAAP_EMBEDDING_TIMEOUT": "6",
        "KAAP_RERANKER_URL": "http://r.llm.svc/rerank",
    }
    module = found["THEFLOW_SETTINGS_MODULE"]
    settings = objects["ConfigMap", "docs"]["data"][f"{module}.py"]
    assert settings.strip() == (charts.CHARTS / f"kotaemon/files/{module}.py").read_text().strip()
    mounts = {mount["name"]: mount["mountPath"] for mount in container(objects)["volumeMounts"]}
    assert mounts["settings"] == found["PYTHONPATH"]


def test_settings_read_only_what_the_chart_sets(template: Template) -> None:
    """Every KAAP_ variable of the settings module is set by the chart, and no other."""
    settings = (charts.CHARTS / "kotaemon/files/kaap_settings.py").read_text()
    for name in env(template()):
        if name.startswith("KAAP_"):
            assert f'"{name}"' in settings
    read = {word.split('"')[0] for word in settings.split('"KAAP_')[1:]}
    assert {f"KAAP_{name}" for name in read} <= set(env(template()))


def test_nothing_is_fetched(template: Template) -> None:
    """No hub, no telemetry, no index that asks public services."""
    found = env(template())
    for name in ("KH_ENABLE_FIRST_SETUP", "USE_MS_GRAPHRAG", "USE_NANO_GRAPHRAG", "USE_LIGHTRAG"):
        assert found[name] == "false"
    assert found["HF_HUB_OFFLINE"] == "1"
    assert (found["GRADIO_ANALYTICS_ENABLED"], found["ANONYMIZED_TELEMETRY"]) == ("False", "False")


def test_persistence(template: Template) -> None:
    """Size and class of the claim; what Kotaemon writes is on it."""
    objects = template(persistence={"size": "3Gi", "storageClass": "fast"})
    claim = objects["PersistentVolumeClaim", "docs"]["spec"]
    assert claim["resources"]["requests"]["storage"] == "3Gi"
    assert claim["storageClassName"] == "fast"
    assert "storageClassName" not in template()["PersistentVolumeClaim", "docs"]["spec"]
    assert {"name": "data", "mountPath": "/app/ktem_app_data"} in container(objects)["volumeMounts"]


def test_existing_claim(template: Template) -> None:
    """Its claim is mounted and none is made."""
    objects = template(persistence={"existingClaim": "mine"})
    assert ("PersistentVolumeClaim", "docs") not in objects
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}} in pod(objects)["volumes"]


def test_service(template: Template) -> None:
    """Port of the Service; the container's stays."""
    ports = template(service={"port": 8000})["Service", "docs"]["spec"]["ports"]
    assert [(port["port"], port["targetPort"]) for port in ports] == [(8000, "http")]


ROUTE = {"enabled": True, "gateway": {"name": "g", "namespace": "n", "listener": "l"}, "hostnames": ["k.example"]}


def test_route(template: Template) -> None:
    """To the listener and names that are given, without a limit of time."""
    spec = template(route=ROUTE)["HTTPRoute", "docs"]["spec"]
    assert spec["parentRefs"] == [{"name": "g", "namespace": "n", "sectionName": "l"}]
    assert spec["hostnames"] == ["k.example"]
    assert spec["rules"] == [{"backendRefs": [{"name": "docs", "port": 80}], "timeouts": {"request": "0s"}}]


def test_base_path(template: Template) -> None:
    """The pages know it, and the route takes it away; without one nothing is said."""
    objects = template(route=ROUTE, basePath="/ask")
    assert (env(objects)["GRADIO_ROOT_PATH"], env(objects)["GR_FILE_ROOT_PATH"]) == ("/ask", "/ask")
    (rule,) = objects["HTTPRoute", "docs"]["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/ask"}}]
    assert rule["filters"][0]["urlRewrite"]["path"] == {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    assert "GRADIO_ROOT_PATH" not in env(template())


def test_network_policy(template: Template) -> None:
    """In from the gateway, out to names and models: documents go nowhere else."""
    objects = template(networkPolicy={"clients": ["gate"], "models": ["llm"], "modelsPort": 8081})
    spec = objects["NetworkPolicy", "docs"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = spec["ingress"]
    assert rule["ports"] == [{"port": "http"}]
    assert charts.namespaces(rule, "from") == ["gate"]
    names, models = spec["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert models["ports"] == [{"port": 8081}]
    assert charts.namespaces(models, "to") == ["llm"]
    assert ("NetworkPolicy", "docs") not in template(networkPolicy={"enabled": False})


def test_disruption_budget(template: Template) -> None:
    """0 forbids to drain the node of the only server."""
    budget = template(podDisruptionBudget={"maxUnavailable": 0})["PodDisruptionBudget", "docs"]
    assert budget["spec"]["maxUnavailable"] == 0
    assert ("PodDisruptionBudget", "docs") not in template(podDisruptionBudget={"enabled": False})


def test_placement(template: Template) -> None:
    """Node selector, tolerations and annotations reach the pod."""
    objects = template(
        nodeSelector={"a": "b"}, tolerations=[{"key": "k", "operator": "Exists"}], podAnnotations={"x": "y"}
    )
    assert pod(objects)["nodeSelector"] == {"a": "b"}
    assert pod(objects)["tolerations"] == [{"key": "k", "operator": "Exists"}]
    assert objects["Deployment", "docs"]["spec"]["template"]["metadata"]["annotations"]["x"] == "y"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "existingSecret"),
        (charts.merged(NEEDED, {"admin": {"password": "x"}}), "password"),
        (charts.merged(NEEDED, {"models": {"chat": {"url": "chat.llm"}}}), "url"),
        (charts.merged(NEEDED, {"models": {"chat": {"model": ""}}}), "model"),
        (charts.merged(NEEDED, {"models": {"reranker": {"url": "http://r.llm.svc"}}}), "reranker"),
        (charts.merged(NEEDED, {"persistence": {"size": "ten"}}), "size"),
        (charts.merged(NEEDED, {"route": {"enabled": True}}), "listener"),
        (charts.merged(NEEDED, {"podDisruptionBudget": {"maxUnavailable": 2}}), "maxUnavailable"),
    ],
)
def test_wrong_values_are_refused(helm: Path, tmp_path: Path, values: Values, named: str) -> None:
    """By the schema, and the message names the value."""
    done = charts.run(helm, values, tmp_path, "template", "docs", str(charts.CHARTS / "kotaemon"))
    assert done.returncode != 0
    assert named in done.stderr


def test_notes_say_how_to_diagnose(helm: Path, tmp_path: Path) -> None:
    """The commands name this release's own objects."""
    text = charts.notes(helm, tmp_path, "kotaemon", "docs", charts.merged(NEEDED, {"route": ROUTE}))
    assert "kubectl -n home describe pvc docs" in text
    assert "kubectl -n home logs deploy/docs" in text
    assert "the gateway n/g has no listener l" in text
