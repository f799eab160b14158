"""The lock of images against objects of another version, and against a registry: the bundle's own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import image_command, image_lock, image_scan
from ansible_collections.infn.kaap.plugins.module_utils.image_lock import Entry, Lock
from ansible_collections.infn.kaap.plugins.module_utils.image_scan import Image, Mention
from ansible_collections.infn.kaap.plugins.module_utils.render import Rendered

from tests.integration.control_plane import free_ports
from tests.release import rendering

LOCK = image_lock.read(rendering.ROOT / image_lock.LOCK)
ORGANISATIONS = image_scan.organisations(entry.image for entry in LOCK.entries)
START_SECONDS = 30


def mentions(rendered: dict[str, Rendered]) -> list[Mention]:
    return [
        mention
        for name, part in rendered.items()
        for mention in image_scan.scan([*part.objects, *part.resources], name, ORGANISATIONS)
    ]


def test_image_of_another_version_is_seen(rendered: dict[str, Rendered]) -> None:
    """The same objects with one image changed, as an upgrade that forgot the record would have them."""
    text = json.dumps(rendered["kueue"].objects)
    locked = next(entry.image for entry in LOCK.entries if entry.image.name.endswith("/kueue"))
    assert str(locked) in text
    changed = {"kueue": Rendered(json.loads(text.replace(str(locked), f"{locked.name}:v0.0.1")))}
    assert f"names {locked.name}:v0.0.1, which is not locked" in str(image_lock.unlocked(LOCK, mentions(changed)))
    assert f"{locked} of kueue is named by nothing that is rendered" in str(
        image_lock.unused(LOCK, mentions(changed), ["kueue"])
    )


@pytest.fixture(scope="module")
def registry(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a registry that serves the bundle's images over HTTP."""
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("registry")
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(bundle / "registry")},
            "maintenance": {"readonly": {"enabled": True}},
        },
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "config.yml").write_text(json.dumps(config), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([bundle / "bin/registry", "serve", folder / "config.yml"], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not answers(f"http://127.0.0.1:{port}/v2/"):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, f"the registry did not answer within {START_SECONDS} s"
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def answers(address: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@pytest.fixture(scope="module")
def skopeo() -> None:
    subprocess.run(["scripts/prerequisites", "test"], cwd=rendering.ROOT, check=True)


@pytest.mark.usefixtures("skopeo")
def test_digests_are_those_of_the_registry(registry: str, bundle: Path, tmp_path: Path) -> None:
    """Asked with the real client: an image gets the digest that the bundle has of it, a missing one stays a tag."""
    manifest = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    images = {each["name"]: each["digest"] for each in manifest["artefacts"] if each["kind"] == "image"}
    path = tmp_path / "lock.yml"
    entries = []
    for reference in images:
        name, _, tag = reference.rpartition(":")
        entries.append(Entry(Image(f"{registry}/{name}", tag)))
    gone = Entry(Image(f"{registry}/registry.k8s.io/pause", "never-made"))
    path.write_text(image_lock.text_of(Lock((*entries, gone))), encoding="utf-8")
    (problem,) = image_command.resolve(path, ["--tls-verify=false"])
    assert problem.startswith(f"{gone.image}: tag only: ")
    assert "manifest unknown" in problem
    found = image_lock.digests(image_lock.read(path))
    assert found == {f"{registry}/{reference}": digest for reference, digest in images.items()}


@pytest.mark.usefixtures("skopeo")
def test_registry_that_is_not_there_leaves_tags_only(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    image = Image(f"127.0.0.1:{port}/a/b", "1")
    path = tmp_path / "lock.yml"
    path.write_text(image_lock.text_of(Lock((Entry(image),))), encoding="utf-8")
    (problem,) = image_command.resolve(path, ["--tls-verify=false"])
    assert problem.startswith(f"{image}: tag only: ")
    assert "connection refused" in problem
    assert image_lock.digests(image_lock.read(path)) == {}
