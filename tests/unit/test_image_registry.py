"""What registries and cosign are asked, and what is made of their answers."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import image_command, image_lock, image_registry
from ansible_collections.infn.kaap.plugins.module_utils.image_lock import Entry, Lock
from ansible_collections.infn.kaap.plugins.module_utils.image_scan import Image

MANIFEST = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()
OTHER = "sha256:" + "b" * 64
SIGNED = {"issuer": "https://example.org", "identity": "acme"}
ENGINE = Entry(Image("quay.io/acme/engine", "v1"), signed=SIGNED)
OURS = Entry(Image("quay.io/acme/ours", "v1"), "kaap")
DIGEST_ONLY = Entry(Image("quay.io/acme/queue", "", OTHER))


def says(
    output: bytes = b"", error: bytes = b"", code: int = 0
) -> tuple[list[list[str]], Callable[[Sequence[str]], subprocess.CompletedProcess[bytes]]]:
    asked: list[list[str]] = []

    def run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        asked.append(list(command))
        return subprocess.CompletedProcess(list(command), code, output, error)

    return asked, run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "lock.yml"
    place.write_text(image_lock.text_of(Lock((ENGINE, OURS, DIGEST_ONLY))), encoding="utf-8")
    return place


def engine(path: Path) -> Image:
    return next(entry.image for entry in image_lock.read(path).entries if entry.image.name.endswith("engine"))


def test_digest_is_that_of_the_whole_answer(path: Path) -> None:
    """Of the list for all architectures: what a node asks for by digest."""
    asked, run = says(MANIFEST)
    assert image_command.resolve(path, ["--tls-verify=false"], run) == []
    assert engine(path).digest == DIGEST
    assert asked == [["skopeo", "inspect", "--raw", "--tls-verify=false", "docker://quay.io/acme/engine:v1"]]
    assert next(entry for entry in image_lock.read(path).entries if entry.made_by == "kaap") == OURS


def test_registry_that_cannot_be_reached_leaves_tags_and_says_so(path: Path) -> None:
    error = b'time="2026" level=info msg="trying"\ntime="2026" level=fatal msg="pinging: no such host"\n'
    _, run = says(error=error, code=1)
    assert image_command.resolve(path, [], run) == ["quay.io/acme/engine:v1: tag only: pinging: no such host"]
    assert engine(path).digest == ""


@pytest.mark.parametrize("answer", [b"<html>Log in</html>", b"[]", b'{"schemaVersion": 1}'])
def test_page_of_a_proxy_is_no_manifest(path: Path, answer: bytes) -> None:
    _, run = says(answer)
    (problem,) = image_command.resolve(path, [], run)
    assert "something that is no manifest" in problem
    assert engine(path).digest == ""


def test_tag_that_moved_is_told_and_not_written(path: Path) -> None:
    before = image_lock.with_digests(image_lock.read(path), {"quay.io/acme/engine:v1": OTHER})
    path.write_text(image_lock.text_of(before), encoding="utf-8")
    _, run = says(MANIFEST)
    (problem,) = image_command.resolve(path, [], run)
    assert problem.startswith(f"quay.io/acme/engine:v1 is {DIGEST} now, and {OTHER} in the lock")
    assert engine(path).digest == OTHER


def test_signature_is_asked_for_by_digest_and_signer(path: Path) -> None:
    lock = image_lock.with_digests(image_lock.read(path), {"quay.io/acme/engine:v1": DIGEST})
    path.write_text(image_lock.text_of(lock), encoding="utf-8")
    asked, run = says()
    assert image_command.verify(path, run) == []
    flags = ["--certificate-oidc-issuer", "https://example.org", "--certificate-identity", "acme"]
    assert asked == [["cosign", "verify", *flags, f"quay.io/acme/engine@{DIGEST}"]]


def test_attestation_and_regular_expression() -> None:
    signed = {"issuer": "https://e.org", "identity_regexp": "^acme", "attestation": "slsaprovenance02"}
    command = image_registry.command(Image("a.io/b", "1", DIGEST), signed)
    assert command[1:4] == ["verify-attestation", "--type", "slsaprovenance02"]
    assert command[-3:] == ["--certificate-identity-regexp", "^acme", f"a.io/b@{DIGEST}"]


def test_signature_of_another_and_image_without_digest_fail(path: Path) -> None:
    asked, run = says(error=b"Error: no matching signatures\n", code=1)
    assert image_command.verify(path, run) == [
        "quay.io/acme/engine:v1: it has no digest yet; run scripts/images --resolve first"
    ]
    assert asked == []
    lock = image_lock.with_digests(image_lock.read(path), {"quay.io/acme/engine:v1": DIGEST})
    path.write_text(image_lock.text_of(lock), encoding="utf-8")
    assert image_command.verify(path, run) == [f"quay.io/acme/engine:v1@{DIGEST}: Error: no matching signatures"]


def test_command_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(image_registry.MissingToolError, match="skopeo is not installed; Debian has it"):
        image_registry.find("skopeo", "Debian has it")
