"""The search for image names sees them wherever upstream hides them."""

from __future__ import annotations

import pytest

from tests.release import images

KNOWN = ("docker.io/", "kserve/", "ghcr.io/")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("busybox", ("docker.io/library/busybox", "")),
        ("kserve/agent:v1", ("docker.io/kserve/agent", "v1")),
        ("registry:5000/a/b:c", ("registry:5000/a/b", "c")),
        ("ghcr.io/a/b@sha256:" + "0" * 64, ("ghcr.io/a/b", "sha256:" + "0" * 64)),
    ],
)
def test_names_are_normalised(reference: str, expected: tuple[str, str]) -> None:
    """As containerd does: no registry means docker.io, no organisation means library."""
    assert images.normalised(reference) == expected


@pytest.mark.parametrize(
    "place",
    [
        {"spec": {"containers": [{"image": "kserve/agent:v1"}]}},
        {"data": {"agent": '{"image" : "kserve/agent:v1", "cpu": 1}'}},
        {"data": {"config.yaml": "agent:\n  image: kserve/agent:v1\n"}},
        {"spec": {"args": ["--agent-image", "kserve/agent:v1"]}},
        {"spec": {"args": ["--agent-image=kserve/agent:v1"]}},
        {"spec": {"env": [{"name": "AGENT", "value": "kserve/agent:v1"}]}},
        {"spec": {"deep": {"defaultImage": "kserve/agent:v1"}}},
    ],
)
def test_an_image_is_found(place: dict[str, object]) -> None:
    """In containers, ConfigMaps, arguments, environment and custom resources."""
    assert images.mentioned([{"kind": "Any", **place}], KNOWN) == {("docker.io/kserve/agent", "v1")}


def test_an_image_without_tag_is_found_where_it_is_called_one() -> None:
    """`kserve/art-explainer` alone would otherwise look like any path."""
    data = {"explainers": '{"art": {"image": "kserve/art-explainer"}}'}
    assert images.mentioned([{"kind": "ConfigMap", "data": data}], KNOWN) == {("docker.io/kserve/art-explainer", "")}


def test_paths_and_labels_are_no_images() -> None:
    """A search that cries wolf would be turned off."""
    obj = {
        "kind": "ConfigMap",
        "data": {"a": "/var/lib/kserve/agent", "b": "serving.kserve.io/agent: x", "c": "http://docker.example/kserve"},
        "metadata": {"labels": {"helm.sh/chart": "kserve-1"}},
    }
    assert images.mentioned([obj], KNOWN) == set()
