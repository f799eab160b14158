"""The chart minio: lint, a closed schema, and what each option changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.release.charts import CHARTS, Objects, Template, Values, run

CHART = CHARTS / "minio"
NEEDED = {"rootCredentials": {"existingSecret": "root"}}


@pytest.fixture
def template(helm: Path, tmp_path: Path) -> Template:
    """Renders the chart; returns the objects by kind and name."""

    def render(**values: Any) -> Objects:
        done = run(helm, {**NEEDED, **values}, tmp_path, "template", "store", str(CHART), "--namespace", "data")
        assert done.returncode == 0, done.stderr
        objects = [obj for obj in yaml.safe_load_all(done.stdout) if obj]
        assert {obj["metadata"]["namespace"] for obj in objects} == {"data"}
        return {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}

    return render


def container(objects: Objects) -> dict[str, Any]:
    """The server's container."""
    found: dict[str, Any] = objects["Deployment", "store"]["spec"]["template"]["spec"]["containers"][0]
    return found


def test_lint(helm: Path, tmp_path: Path) -> None:
    """Strict lint, with the one value that has no default."""
    done = run(helm, NEEDED, tmp_path, "lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


def test_defaults(template: Template) -> None:
    """One server, one volume, nothing else that listens."""
    assert set(template()) == {
        ("ServiceAccount", "store"),
        ("PersistentVolumeClaim", "store"),
        ("Service", "store"),
        ("Deployment", "store"),
        ("NetworkPolicy", "store"),
        ("PodDisruptionBudget", "store"),
    }


def test_pod_is_restricted(template: Template) -> None:
    """Accepted by the restricted Pod Security Standard, with a root file system that cannot be written."""
    pod = template()["Deployment", "store"]["spec"]["template"]["spec"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False


def test_one_server_at_a_time(template: Template) -> None:
    """A rolling update would start a second one on the same volume."""
    spec = template()["Deployment", "store"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_probes_and_limits(template: Template) -> None:
    """Each probe asks MinIO's own health endpoint."""
    server = container(template())
    assert server["startupProbe"]["httpGet"]["path"] == "/minio/health/ready"
    assert server["readinessProbe"]["httpGet"]["path"] == "/minio/health/ready"
    assert server["livenessProbe"]["httpGet"]["path"] == "/minio/health/live"
    assert set(server["resources"]) == {"requests", "limits"}


def test_image(template: Template) -> None:
    """Repository, tag and pull policy; no tag means the chart's."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert container(template())["image"] == f"docker.io/minio/minio:{version}"
    server = container(template(image={"repository": "a.example/b", "tag": "c", "pullPolicy": "Never"}))
    assert (server["image"], server["imagePullPolicy"]) == ("a.example/b:c", "Never")


def test_credentials(template: Template) -> None:
    """They come from the Secret that is named, never from values."""
    server = container(template(rootCredentials={"existingSecret": "other", "userKey": "u", "passwordKey": "p"}))
    env = {entry["name"]: entry for entry in server["env"]}
    assert env["MINIO_ROOT_USER"]["valueFrom"]["secretKeyRef"] == {"name": "other", "key": "u"}
    assert env["MINIO_ROOT_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "other", "key": "p"}


def test_region(template: Template) -> None:
    """The server is told its region."""
    env = {entry["name"]: entry.get("value") for entry in container(template(region="infn"))["env"]}
    assert env["MINIO_SITE_REGION"] == "infn"


def test_persistence(template: Template) -> None:
    """Size and class of the claim; the default class is not named."""
    claim = template(persistence={"size": "3Gi", "storageClass": "fast"})["PersistentVolumeClaim", "store"]["spec"]
    assert claim["resources"]["requests"]["storage"] == "3Gi"
    assert claim["storageClassName"] == "fast"
    assert "storageClassName" not in template()["PersistentVolumeClaim", "store"]["spec"]


def test_existing_claim(template: Template) -> None:
    """Its claim is mounted and none is made."""
    objects = template(persistence={"size": "1Gi", "existingClaim": "mine"})
    assert ("PersistentVolumeClaim", "store") not in objects
    volumes = objects["Deployment", "store"]["spec"]["template"]["spec"]["volumes"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}} in volumes


def test_service_ports(template: Template) -> None:
    """Ports of the Service; the container's stay."""
    ports = template(service={"s3Port": 80, "consolePort": 81})["Service", "store"]["spec"]["ports"]
    assert [(port["name"], port["port"], port["targetPort"]) for port in ports] == [
        ("s3", 80, "s3"),
        ("console", 81, "console"),
    ]


ROUTES = {"enabled": True, "gateway": {"name": "g", "namespace": "n"}}


def test_without_console(template: Template) -> None:
    """No port, no route, no rule, and the server is told so."""
    objects = template(console={"enabled": False}, routes=ROUTES)
    server = container(objects)
    assert [port["name"] for port in server["ports"]] == ["s3"]
    assert not [argument for argument in server["args"] if argument.startswith("--console-address")]
    assert {"name": "MINIO_BROWSER", "value": "off"} in server["env"]
    assert ("HTTPRoute", "store-console") not in objects
    assert len(objects["NetworkPolicy", "store"]["spec"]["ingress"]) == 1


def test_routes(template: Template) -> None:
    """One per listener, none rewritten, none with a timeout that an object could exceed."""
    objects = template(routes=ROUTES)
    for name, listener, port in (("store-s3", "s3", 9000), ("store-console", "console", 9001)):
        spec = objects["HTTPRoute", name]["spec"]
        assert spec["parentRefs"] == [{"name": "g", "namespace": "n", "sectionName": listener}]
        assert spec["rules"] == [{"backendRefs": [{"name": "store", "port": port}], "timeouts": {"request": "0s"}}]


def test_network_policy(template: Template) -> None:
    """S3 for all, the console for the gateway's namespaces, no way out."""
    spec = template(networkPolicy={"enabled": True, "consoleNamespaces": ["gate"]})["NetworkPolicy", "store"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["egress"] == []
    assert spec["ingress"][0] == {"ports": [{"port": "s3"}]}
    assert spec["ingress"][1]["from"][0]["namespaceSelector"]["matchExpressions"][0]["values"] == ["gate"]
    assert ("NetworkPolicy", "store") not in template(networkPolicy={"enabled": False})


def test_disruption_budget(template: Template) -> None:
    """0 forbids to drain the node of the only server."""
    budget = template(podDisruptionBudget={"enabled": True, "maxUnavailable": 0})["PodDisruptionBudget", "store"]
    assert budget["spec"]["maxUnavailable"] == 0
    assert ("PodDisruptionBudget", "store") not in template(podDisruptionBudget={"enabled": False})


def test_placement(template: Template) -> None:
    """Node selector, tolerations and annotations reach the pod."""
    toleration = {"key": "k", "operator": "Exists"}
    pod = template(nodeSelector={"a": "b"}, tolerations=[toleration], podAnnotations={"x": "y"})["Deployment", "store"][
        "spec"
    ]["template"]
    assert pod["spec"]["nodeSelector"] == {"a": "b"}
    assert pod["spec"]["tolerations"] == [toleration]
    assert pod["metadata"]["annotations"] == {"x": "y"}


def test_resources(template: Template) -> None:
    """What is given is used."""
    server = container(template(resources={"limits": {"memory": "2Gi"}}))
    assert server["resources"]["limits"]["memory"] == "2Gi"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "existingSecret"),
        ({**NEEDED, "rootPassword": "x"}, "rootPassword"),
        ({**NEEDED, "image": {"name": "x"}}, "name"),
        ({**NEEDED, "persistence": {"size": "ten"}}, "size"),
        ({**NEEDED, "service": {"s3Port": "9000", "consolePort": 1}}, "s3Port"),
        ({**NEEDED, "routes": {"enabled": True}}, "name"),
        ({**NEEDED, "podDisruptionBudget": {"enabled": True, "maxUnavailable": 2}}, "maxUnavailable"),
    ],
)
def test_wrong_values_are_refused(helm: Path, tmp_path: Path, values: Values, named: str) -> None:
    """By the schema, and the message names the value."""
    done = run(helm, values, tmp_path, "template", "store", str(CHART))
    assert done.returncode != 0
    assert named in done.stderr


def test_notes_say_how_to_diagnose(helm: Path, tmp_path: Path) -> None:
    """The commands name this release's own objects."""
    values = {**NEEDED, "routes": ROUTES}
    done = run(
        helm, values, tmp_path, "install", "store", str(CHART), "--namespace", "data", "--dry-run=client", "--debug"
    )
    notes = done.stdout.partition("NOTES:")[2]
    assert "kubectl -n data describe pvc store" in notes
    assert "kubectl -n data logs deploy/store" in notes
    assert "the gateway n/g has no listener" in notes


def test_console_below_a_path(template: Template) -> None:
    """The server knows its path, and the route takes it off."""
    routes = {"enabled": True, "gateway": {"name": "way-in", "namespace": "gateways"}}
    objects = template(console={"url": "https://example.org/minio/"}, routes=routes)
    env = {each["name"]: each.get("value") for each in container(objects)["env"]}
    assert env["MINIO_BROWSER_REDIRECT_URL"] == "https://example.org/minio/"
    below, root = objects["HTTPRoute", "store-console"]["spec"]["rules"]
    assert below["matches"] == [{"path": {"type": "PathPrefix", "value": "/minio"}}]
    assert below["filters"][0]["urlRewrite"]["path"] == {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    assert "matches" not in root
    assert len(objects["HTTPRoute", "store-s3"]["spec"]["rules"]) == 1


def test_console_at_the_root_by_default(template: Template) -> None:
    routes = {"enabled": True, "gateway": {"name": "way-in", "namespace": "gateways"}}
    objects = template(routes=routes)
    assert "MINIO_BROWSER_REDIRECT_URL" not in {each["name"] for each in container(objects)["env"]}
    assert len(objects["HTTPRoute", "store-console"]["spec"]["rules"]) == 1
