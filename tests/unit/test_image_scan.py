"""The search for image names sees them wherever upstream hides them, and says where."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import image_scan
from ansible_collections.infn.kaap.plugins.module_utils.image_scan import Image, parsed

DIGEST = "sha256:" + "0" * 64
AGENT = "docker.io/kserve/agent:v1"


def scan(content: dict[str, Any], kind: str = "ConfigMap") -> list[tuple[str, str]]:
    obj = {"kind": kind, "metadata": {"name": "it", "namespace": "home"}, **content}
    mentions = image_scan.scan([obj], "part", ["kserve"])
    assert {mention.where for mention in mentions} <= {f"{kind} home/it"}
    return [(str(mention.image), mention.path) for mention in mentions]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("busybox", Image("docker.io/library/busybox")),
        ("kserve/agent:v1", Image("docker.io/kserve/agent", "v1")),
        ("registry:5000/a/b:c", Image("registry:5000/a/b", "c")),
        (f"ghcr.io/a/b@{DIGEST}", Image("ghcr.io/a/b", "", DIGEST)),
        (f"ghcr.io/a/b:v1@{DIGEST}", Image("ghcr.io/a/b", "v1", DIGEST)),
        ("https://example.org/logo.svg", None),
        ("{{ .Values.image }}", None),
        ("", None),
    ],
)
def test_names_are_completed_as_container_runtimes_do(reference: str, expected: Image | None) -> None:
    assert parsed(reference) == expected


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ({"spec": {"containers": [{"name": "main", "image": "kserve/agent:v1"}]}}, "spec.containers[main].image"),
        ({"spec": {"initContainers": [{"image": "kserve/agent:v1"}]}}, "spec.initContainers[0].image"),
        ({"data": {"agent": '{"image" : "kserve/agent:v1", "cpu": 1}'}}, "data.agent > image"),
        ({"data": {"a.yaml": "agent:\n  image: kserve/agent:v1\n"}}, "data.a.yaml > agent.image"),
        ({"data": {"run.sh": "exec start --image=kserve/agent:v1 {{ more }}\n"}}, "data.run.sh"),
        ({"spec": {"args": ["--agent-image", "kserve/agent:v1"]}}, "spec.args[1]"),
        ({"spec": {"args": ["--agent-image=kserve/agent:v1"]}}, "spec.args[0]"),
        ({"spec": {"env": [{"name": "AGENT", "value": "kserve/agent:v1"}]}}, "spec.env[AGENT].value"),
        ({"spec": {"env": [{"name": "IMAGES", "value": "1=kserve/agent:v1"}]}}, "spec.env[IMAGES].value"),
        ({"spec": {"deep": {"defaultImage": "kserve/agent:v1"}}}, "spec.deep.defaultImage"),
        ({"spec": {"runtime": {"image": {"value": "kserve/agent:v1"}}}}, "spec.runtime.image.value"),
        ({"spec": {"imageGroup": {"options": ["kserve/agent:v1"]}}}, "spec.imageGroup.options[0]"),
        ({"data": {"queue-sidecar-image": "kserve/agent:v1"}}, "data.queue-sidecar-image"),
    ],
)
def test_image_is_found_with_its_place(place: dict[str, Any], path: str) -> None:
    """In containers, ConfigMaps, arguments, environment, custom resources, runtimes and notebooks."""
    assert scan(place) == [(AGENT, path)]


@pytest.mark.parametrize(
    ("parts", "image"),
    [
        ({"repository": "nvcr.io/nvidia", "image": "driver", "version": "1.2"}, "nvcr.io/nvidia/driver:1.2"),
        ({"repository": "nvcr.io/nvidia", "image": "driver", "version": DIGEST}, f"nvcr.io/nvidia/driver@{DIGEST}"),
        ({"repository": "quay.io/a/b", "tag": 1.2}, "quay.io/a/b:1.2"),
        ({"registry": "quay.io", "repository": "a/b", "tag": "1"}, "quay.io/a/b:1"),
        ({"hub": "gcr.io/mesh", "tag": "1.9", "proxy": {"image": "proxyv2"}}, "gcr.io/mesh/proxyv2:1.9"),
    ],
)
def test_parts_that_a_table_keeps_apart_are_joined(parts: dict[str, Any], image: str) -> None:
    """As ClusterPolicy of the GPU operator, Helm's values and Istio's injector have them, in text too."""
    assert [found for found, _ in scan({"spec": {"driver": parts}}, "ClusterPolicy")] == [image]
    assert [found for found, _ in scan({"data": {"values": json.dumps(parts)}})] == [image]
    assert [found for found, _ in scan({"data": {"values": yaml.safe_dump({"global": parts})}})] == [image]


def test_image_without_tag_is_found_where_it_is_called_one() -> None:
    """`kserve/art-explainer` alone would otherwise look like any path."""
    data = {"explainers": '{"art": {"image": "kserve/art-explainer"}}'}
    assert scan({"data": data}) == [("docker.io/kserve/art-explainer", "data.explainers > art.image")]


def test_image_of_an_organisation_that_nobody_knows_needs_a_registry() -> None:
    assert scan({"data": {"a": "starts acme/agent:v1"}}) == []
    assert scan({"data": {"a": "starts docker.io/acme/agent:v1"}}) == [("docker.io/acme/agent:v1", "data.a")]


def test_paths_labels_policies_and_examples_are_no_images() -> None:
    """A search that cries wolf would be turned off."""
    obj = {
        "data": {
            "a": "/var/lib/kserve/agent",
            "b": "serving.kserve.io/agent: x",
            "c": "http://docker.example/kserve",
            "d": "minio.minio.svc.cluster.local:9000/bucket",
            "_example": "queue-sidecar-image: gcr.io/example/queue:v1",
        },
        "spec": {"imagePullPolicy": "IfNotPresent", "image": {"pullPolicy": "Always", "logo": "/assets/logo.svg"}},
    }
    assert scan(obj) == []


def test_definitions_are_left_out() -> None:
    assert scan({"spec": {"description": "such as docker.io/kserve/agent:v1"}}, "CustomResourceDefinition") == []


def test_means() -> None:
    locked = Image("a.io/b", "v1", DIGEST)
    for said in ("a.io/b:v1", f"a.io/b@{DIGEST}", f"a.io/b:v1@{DIGEST}"):
        image = parsed(said)
        assert image is not None
        assert image.means(locked), said
    for said in ("a.io/b", "a.io/b:v2", "a.io/c:v1", "a.io/b:v1@sha256:" + "1" * 64):
        image = parsed(said)
        assert image is not None
        assert not image.means(locked), said
