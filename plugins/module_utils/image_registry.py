"""Asks registries for the digests of images, and cosign for their signatures."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.infn.kaap.plugins.module_utils import outside
from ansible_collections.infn.kaap.plugins.module_utils.image_lock import UPSTREAM, Entry
from ansible_collections.infn.kaap.plugins.module_utils.image_scan import Image

SKOPEO, COSIGN = "skopeo", "cosign"
# Registries answer slowly and refuse those who ask for much at once.
THREADS = 4
SECONDS = 60
FLAGS = {
    "issuer": "--certificate-oidc-issuer",
    "identity": "--certificate-identity",
    "identity_regexp": "--certificate-identity-regexp",
}

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[bytes]"]


class MissingToolError(Exception):
    """A command that asks registries is not installed; the text says which and where it comes from."""


@dataclass(frozen=True)
class Answer:
    """What came of asking for one image.

    :ivar digest: of the manifest, or of the list of manifests for all architectures; empty when there was no answer.
    :ivar fault: what the command said.
    """

    image: Image
    digest: str = ""
    fault: str = ""


def find(command: str, package: str) -> str:
    """The path of a command.

    :raises MissingToolError: when it is not installed.
    """
    path = shutil.which(command)
    if path is None:
        raise MissingToolError(f"{command} is not installed; {package}")
    return path


def run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a command; one that does not end has failed."""
    try:
        return outside.run(command, capture_output=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(list(command), 124, b"", f"no answer within {SECONDS} s".encode())


def last_line(text: bytes) -> str:
    """What a command said last, without Go's log prefix."""
    lines = text.decode(errors="replace").strip().splitlines() or ["it said nothing"]
    _, _, message = lines[-1].partition("msg=")
    return (message or lines[-1]).strip('" ')


def resolve(entries: Sequence[Entry], options: Sequence[str] = (), execute: Run = run) -> list[Answer]:
    """Ask the registries which digest each tag of upstream has now.

    :param options: more options of ``skopeo inspect``, such as ``--tls-verify=false``.
    """

    def ask(entry: Entry) -> Answer:
        image = Image(entry.image.name, entry.image.tag)
        if not image.tag:
            return Answer(image, entry.image.digest)
        done = execute([SKOPEO, "inspect", "--raw", *options, f"docker://{image}"])
        if done.returncode:
            return Answer(image, fault=last_line(done.stderr))
        try:
            known = json.loads(done.stdout).get("schemaVersion") == 2
        except (ValueError, AttributeError):
            known = False
        if not known:
            return Answer(image, fault="the registry answered with something that is no manifest")
        return Answer(image, f"sha256:{hashlib.sha256(done.stdout).hexdigest()}")

    return _side_by_side([entry for entry in entries if entry.made_by == UPSTREAM], ask)


def changed(entries: Sequence[Entry], answers: Sequence[Answer]) -> list[str]:
    """Tags that lead to another image than the locked one: upstream, or somebody in between, moved them."""
    locked = {Image(entry.image.name, entry.image.tag): entry.image.digest for entry in entries}
    return [
        f"{answer.image} is {answer.digest} now, and {locked[answer.image]} in the lock; see what changed, then take "
        "that digest out to accept it"
        for answer in answers
        if answer.digest and locked.get(answer.image) and answer.digest != locked[answer.image]
    ]


def verify(entries: Sequence[Entry], execute: Run = run) -> list[Answer]:
    """Ask cosign whether the signatures of images are those of their signers; a digest in the answer means yes."""

    def ask(entry: Entry) -> Answer:
        if not entry.image.digest:
            return Answer(entry.image, fault="it has no digest yet; run scripts/images --resolve first")
        done = execute(command(entry.image, entry.signed))
        if done.returncode:
            return Answer(entry.image, fault=last_line(done.stderr))
        return Answer(entry.image, entry.image.digest)

    return _side_by_side([entry for entry in entries if entry.signed], ask)


def command(image: Image, signed: Mapping[str, str]) -> list[str]:
    """How cosign is asked about one image, always by digest: a tag may lead elsewhere a moment later."""
    verb = ["verify-attestation", "--type", signed["attestation"]] if "attestation" in signed else ["verify"]
    flags = [word for key, flag in FLAGS.items() if key in signed for word in (flag, signed[key])]
    return [COSIGN, *verb, *flags, f"{image.name}@{image.digest}"]


def _side_by_side(entries: Sequence[Entry], ask: Callable[[Entry], Answer]) -> list[Answer]:
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(ask, entries))
