"""What the records render to is complete: namespaces set, nothing left to a tool that is not there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils.render import Rendered

from tests.release import rendering

RECORDS = dict(rendering.components())


def objects_of(part: Rendered) -> list[dict[str, Any]]:
    """All objects of a component."""
    return [*part.objects, *part.resources]


@pytest.mark.parametrize("name", RECORDS)
def test_nothing_is_asked_of_cert_manager(rendered: dict[str, Rendered], name: str) -> None:
    """There is none: an object of its kinds would be refused, an annotation for it would wait for ever."""
    for obj in objects_of(rendered[name]):
        assert not obj["apiVersion"].startswith("cert-manager.io/")
        annotations = (obj["metadata"].get("annotations") or {}).keys()
        assert not [key for key in annotations if key.startswith("cert-manager.io/")]


@pytest.mark.parametrize("name", RECORDS)
def test_services_of_webhooks_are_rendered_and_certified(rendered: dict[str, Rendered], name: str) -> None:
    """The API server can reach what it is told to call, and it trusts the certificate."""
    home = RECORDS[name]["namespace"]
    services = {
        (obj["metadata"]["namespace"], obj["metadata"]["name"])
        for obj in rendered[name].objects
        if obj["kind"] == "Service"
    }
    certified = {
        (entry.get("namespace", home), entry["service"]) for entry in RECORDS[name].get("serving_certificates", [])
    }
    called = set()
    for obj in rendered[name].objects:
        spec = obj.get("spec") or {}
        clients = [hook["clientConfig"] for hook in obj.get("webhooks") or []]
        if obj["kind"] == "APIService":
            clients.append(spec)
        if obj["kind"] == "CustomResourceDefinition":
            conversion = spec.get("conversion") or {}
            clients += [conversion["webhook"]["clientConfig"]] if conversion.get("webhook") else []
        called |= {(client["service"]["namespace"], client["service"]["name"]) for client in clients}
    assert called <= services
    assert called <= certified


@pytest.mark.parametrize("name", RECORDS)
def test_subjects_are_in_a_namespace(rendered: dict[str, Rendered], name: str) -> None:
    """A chart rendered without a namespace puts its service account into `default`."""
    for obj in objects_of(rendered[name]):
        assert obj["metadata"].get("namespace") != "default"
        for subject in obj.get("subjects") or []:
            if subject["kind"] == "ServiceAccount":
                own = {RECORDS[name]["namespace"], obj["metadata"].get("namespace")}
                assert subject["namespace"] in own


@pytest.mark.parametrize("name", RECORDS)
def test_workloads_are_small_and_pull_once(rendered: dict[str, Rendered], name: str) -> None:
    """Upstream's requests fill two cores; `Always` asks the registry again at each start."""
    for obj in rendered[name].objects:
        if obj["kind"] != "Deployment":
            continue
        for container in obj["spec"]["template"]["spec"]["containers"]:
            assert container["imagePullPolicy"] == "IfNotPresent"
            assert container["resources"]["requests"]["cpu"] in {"10m", "20m", "50m"}
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", RECORDS)
def test_pods_are_restricted(rendered: dict[str, Rendered], name: str) -> None:
    """Non-root, no new privileges, no capabilities, the runtime's seccomp profile."""
    for obj in rendered[name].objects:
        if obj["kind"] != "Deployment":
            continue
        pod = obj["spec"]["template"]["spec"]
        for container in pod["containers"]:
            both = {**(pod.get("securityContext") or {}), **container["securityContext"]}
            assert both["runAsNonRoot"] is True
            assert both["allowPrivilegeEscalation"] is False
            assert both["capabilities"]["drop"] == ["ALL"]
            assert both["seccompProfile"]["type"] == "RuntimeDefault"


def test_records_name_the_definitions_that_others_use(rendered: dict[str, Rendered]) -> None:
    records = dict(rendering.components())
    parts = {name: [*each.objects, *each.resources] for name, each in rendered.items()}
    assert rendering.undeclared(parts, records) == []
    records["trainer"] = {**records["trainer"], "definitions": ["somethings.trainer.kubeflow.org"]}
    assert rendering.undeclared(parts, records)[-1] == "trainer: does not define somethings.trainer.kubeflow.org"
