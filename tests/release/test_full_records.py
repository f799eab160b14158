"""The records whose sources are real repositories: packed and rendered from a mirror, one check a trap.

KAAP_TEST_GIT_CONFIG names a git configuration whose url.<base>.insteadOf leads to clones of the repositories in
release/sources/. Where it is unset these tests are listed as not run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import (
    constants,
    deployment,
    image_scan,
    openapi,
    release,
    validation,
    waves,
)
from ansible_collections.infn.kaap.plugins.module_utils.render import Renderer

from tests.release import mirror, rendering

Object = dict[str, Any]

pytestmark = mirror.NEEDED
RECORDS = release.load(rendering.ROOT)
COMPONENTS = {name: record for name, record in RECORDS.items() if record["kind"] == "component"}
# Every component of profile full with those that are optional; only one pod network and one way to log in can be had.
OPTIONAL = {name: {"enabled": True} for name, record in COMPONENTS.items() if record["profile"] == "optional"}
SELECTION = waves.select(list(COMPONENTS.values()), "full", OPTIONAL)
FROM_GIT = sorted(name for name in SELECTION.names if release.git(COMPONENTS[name]))
ISSUER = "https://iam.example.org/"


def context() -> dict[str, Any]:
    """What the records' templates read: the settings' defaults, an identity provider, and made-up secrets."""
    settings = yaml.safe_load((rendering.ROOT / "roles/kaap/defaults/main.yml").read_text("utf-8"))
    secrets = {
        # Letters and digits, as those are that an installation generates.
        name: {key: str(rule.get("value", re.sub(r"[\W_]", "", f"made{name}{key}"))) for key, rule in keys.items()}
        for record in COMPONENTS.values()
        for name, keys in (record.get("secrets") or {}).items()
    }
    users = ("pipelines", "longhorn", "llm", "kotaemon")
    secrets |= {f"minio-user-{name}": {"access_key": name, "secret_key": f"made{name}"} for name in users}
    found = {
        **settings,
        **rendering.CONTEXT,
        "component_enabled": SELECTION.enabled,
        "component_namespaces": {name: COMPONENTS[name]["namespace"] for name in SELECTION.names},
        "component_secrets": {**rendering.SECRETS, **secrets},
        "_kaap_tls": settings["kaap_tls"],
        "_kaap_oidc": {**settings["kaap_oidc"], "issuer": ISSUER, "client_id": "kaap"},
        "_kaap_oidc_client_secret": "generated-client-secret",
        "_kaap_longhorn_replicas": 1,
        "_kaap_longhorn_backup_login": {"access_key": "longhorn", "secret_key": "generated-longhorn"},
        "kaap_dex": {"users": []},
        "kaap_cni": "calico",
    }
    variables = yaml.safe_load((rendering.ROOT / "playbooks/vars/platform.yml").read_text("utf-8"))
    return {**found, **{name: rendering.templated(variables[name], found) for name in STORES}}


STORES = ("component_database", "component_store")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Object]]]:
    """The objects of every component, by name, in the order of their waves: what does not match has failed by now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", mirror.MIRROR)
        wanted = {name: record for name, record in RECORDS.items() if record["kind"] == "source"}
        wanted |= {name: COMPONENTS[name] for name in SELECTION.names}
        cache = Path(deployment.describe([str(rendering.ROOT / "inventories/embedded")])["cache"])
        place = rendering.packed(rendering.ROOT, cache, wanted, tmp_path_factory.mktemp("mirror") / "rendering")
        # What is rendered takes nothing from the network.
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        renderer = Renderer(place, rendering.ROOT, "v1.36.0", openapi.catalogue(rendering.swagger()))
        values = context()
        done = {}
        for wave in waves.order(SELECTION):
            for name in wave:
                rendered = renderer.render(rendering.templated(COMPONENTS[name], values))
                done[name] = [*rendered.objects, *rendered.resources]
        yield done


def test_every_object_is_strictly_valid(parts: dict[str, list[Object]]) -> None:
    validator = validation.Validator(rendering.swagger())
    for objects in parts.values():
        validator.learn(objects)
    wrong = [
        f"{name}: {obj['kind']} {obj['metadata']['name']}: {problem}"
        for name, objects in parts.items()
        for obj in objects
        for problem in validator.problems(obj)
    ]
    assert wrong == []
    assert all(parts[name] for name in FROM_GIT)


def test_all_images_of_istio_have_one_version(parts: dict[str, list[Object]]) -> None:
    registry = "gcr.io/istio-release/"
    named = {mention.image for name, objects in parts.items() for mention in image_scan.scan(objects, name)}
    tags = {
        image.name.removeprefix(registry): image.tag for image in named if image.tag and image.name.startswith(registry)
    }
    assert {"pilot", "proxyv2", "install-cni"} <= set(tags)
    (locked,) = {image["tag"] for image in COMPONENTS["istio"]["images"]}
    # Upstream's images come plain and without a shell.
    assert {tag.removesuffix("-distroless") for tag in tags.values()} == {locked}


def test_node_ports_of_the_ingress_gateway_survive_kustomize(parts: dict[str, list[Object]]) -> None:
    (service,) = (
        obj for obj in parts["istio"] if obj["kind"] == "Service" and obj["metadata"]["name"] == "istio-ingressgateway"
    )
    settings = context()["kaap_ingress"]
    ports = {port["port"]: port.get("nodePort") for port in service["spec"]["ports"]}
    assert service["spec"]["type"] == settings["service_type"] == "NodePort"
    assert (ports[80], ports[443]) == (settings["http_node_port"], settings["https_node_port"])


def test_nothing_is_left_that_upstream_gives_everybody(parts: dict[str, list[Object]]) -> None:
    known = constants.read(rendering.ROOT / "release/constants.yml")
    assert [
        f"{name}: {found}" for name, objects in parts.items() for found in constants.survivors(objects, known)
    ] == []


def test_records_name_the_definitions_that_others_use(parts: dict[str, list[Object]]) -> None:
    assert rendering.undeclared(parts, COMPONENTS) == []


def test_kserve_serves_models_both_ways(parts: dict[str, list[Object]]) -> None:
    (settings,) = (
        obj
        for obj in parts["kserve"]
        if obj["kind"] == "ConfigMap" and obj["metadata"]["name"] == "inferenceservice-config"
    )
    ingress = yaml.safe_load(settings["data"]["ingress"])
    assert (ingress["ingressGateway"], ingress["kserveIngressGateway"]) == (
        "kubeflow/kubeflow-gateway",
        "kaap-gateway/kaap",
    )


def test_gateways_of_people_speak_tls(parts: dict[str, list[Object]]) -> None:
    listeners = [
        (obj["metadata"]["name"], each.get("port"), each.get("tls"))
        for objects in parts.values()
        for obj in objects
        if obj["kind"] == "Gateway" and obj["apiVersion"].startswith("gateway.networking.k8s.io/")
        for each in obj["spec"]["listeners"]
    ]
    # Port 80 redirects, and answers an ACME server.
    assert {(name, port) for name, port, tls in listeners if not tls} == {("kaap-http", 80)}
    (kubeflow,) = (
        obj
        for obj in parts["kubeflow-gateway"]
        if obj["kind"] == "Gateway" and obj["apiVersion"].startswith("networking.istio.io/")
    )
    assert [server["port"]["protocol"] for server in kubeflow["spec"]["servers"]] == ["HTTPS"]
