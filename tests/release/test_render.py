"""scripts/render: the platform of the default inventory as files, without a network, the same bytes every time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import image_command, image_lock

from tests.release.rendering import ROOT

# A network namespace of its own has no interface but a loopback that is down: nothing can be asked of anybody.
CUT_OFF = ["unshare", "--net"]


def render(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs scripts/render with the network cut off."""
    command = [*CUT_OFF, str(ROOT / "scripts" / "render"), *options, str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def files(folder: Path) -> dict[str, bytes]:
    """Every file by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def rendered_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A render of the default inventory."""
    folder = tmp_path_factory.mktemp("platform")
    done = render(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_network_is_cut_off() -> None:
    probe = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    done = subprocess.run([*CUT_OFF, "python3", "-c", probe], capture_output=True, text=True, check=False)
    assert "unreachable" in done.stderr


def test_two_renders_are_equal_and_a_component_less_is_a_file_less(rendered_files: Path, tmp_path: Path) -> None:
    first = files(rendered_files)
    assert render(tmp_path).returncode == 0
    assert files(tmp_path) == first
    done = render(tmp_path, "-e", '{"kaap_components": {"metrics-server": {"enabled": false}}}')
    assert done.returncode == 0, done.stdout
    gone = {name for name in first if name.endswith("metrics-server.yaml")}
    assert gone and not gone & set(files(tmp_path))


def test_every_component_has_a_file_and_every_document_a_kind(rendered_files: Path) -> None:
    names = {path.stem.split("-", 2)[2] for path in rendered_files.glob("*.yaml")}
    assert {"kserve", "kueue", "minio", "trainer"} <= names
    for path in rendered_files.rglob("*.yaml"):
        for document in yaml.load_all(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            assert document["kind"] and (document["kind"] == "Secret") == (path.parent.name == "secrets")


def test_a_misspelt_value_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    """Through the whole way: a chart takes the value, and the object is not valid."""
    values = '{"kaap_components": {"metrics-server": {"values": {"podLabels": {"a": {"not": "text"}}}}}}'
    done = render(tmp_path, "-e", values)
    assert done.returncode != 0
    assert "metrics-server: Deployment kube-system/metrics-server: spec.template.metadata.labels.a" in done.stdout
    assert files(tmp_path) == {}


def test_a_known_constant_is_refused(tmp_path: Path) -> None:
    """One put back, as a chart's value, fails the render."""
    values = '{"kaap_components": {"metrics-server": {"values": {"args": ["--password=minio123"]}}}}'
    done = render(tmp_path, "-e", values)
    assert done.returncode != 0
    assert "secret key of Pipelines' object store" in done.stdout
    assert files(tmp_path) == {}


def test_directory_is_needed() -> None:
    done = subprocess.run([ROOT / "scripts" / "render", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage: scripts/render" in done.stderr


def test_images_are_those_of_the_lock_in_the_places_that_it_has(rendered_files: Path) -> None:
    """An image of no record would be pulled from the Internet, or never; one that nothing names, packed for nothing."""
    lock = image_lock.read(ROOT / image_lock.LOCK)
    assert image_command.problems(ROOT, lock, [rendered_files]) == []


def test_known_password_that_comes_back_stops_the_render(tmp_path: Path) -> None:
    """Somebody's values bring one of upstream's constants back: nothing is written, and its place is named."""
    values = '{"kaap_components": {"envoy-gateway": {"values": {"config": {"envoyGateway": {"note": "minio123"}}}}}}'
    done = render(tmp_path, "-e", values)
    assert done.returncode != 0
    where = "envoy-gateway: ConfigMap envoy-gateway-system/envoy-gateway-config: data.envoy-gateway.yaml"
    assert f"{where}: secret key of Pipelines' object store" in " ".join(done.stdout.split())
    assert list(tmp_path.iterdir()) == []
