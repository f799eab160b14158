"""The lock of images: complete, without anything too much, and quick to say which image is missing where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import image_command, image_lock, release, render_files
from ansible_collections.infn.kaap.plugins.module_utils.image_lock import Entry, Lock
from ansible_collections.infn.kaap.plugins.module_utils.image_scan import Image, Mention, parsed

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "a" * 64
RECORDS: dict[str, dict[str, Any]] = {
    "kubernetes": {
        "kind": "tool", "name": "kubernetes", "profile": "core",
        "images": [{"name": "registry.k8s.io/pause", "tag": "3", "base": "static", "files": []}],
    },
    "engine": {
        "kind": "component", "name": "engine", "profile": "full",
        "images": [
            {"name": "quay.io/acme/engine", "tag": "v1"},
            {"name": "nvcr.io/acme/driver", "tag": "1-debian", "written": "1"},
            {"name": "gcr.io/acme/queue", "digest": DIGEST},
        ],
        "signed_by": [{"images": "quay.io/acme/", "issuer": "https://example.org", "identity": "acme"}],
        "unlocked_images": [{"name": "quay.io/acme/extra", "reason": "extra is off"}],
    },
    "sample": {"kind": "component", "name": "sample", "profile": "test", "images": [{"name": "a.io/b", "tag": "1"}]},
    "sources/engine": {"kind": "source", "name": "engine"},
}  # fmt: skip


def mention(said: str, path: str = "spec.image", component: str = "engine") -> Mention:
    image = parsed(said)
    assert image is not None
    return Mention(image, component, "Deployment home/engine", path)


MENTIONS = [
    mention("quay.io/acme/engine:v1"),
    mention("nvcr.io/acme/driver:1", "spec.driver"),
    mention(f"gcr.io/acme/queue@{DIGEST}", "data.queue"),
    mention("quay.io/acme/extra:v9", "data.extra"),
]


def locked() -> Lock:
    return image_lock.located(image_lock.expected(RECORDS), MENTIONS)


def names(problems: list[str]) -> str:
    return "\n".join(problems)


def test_entries_come_from_records_and_rendered_objects() -> None:
    entries = {str(entry.image): entry for entry in locked().entries}
    assert list(entries) == [
        f"gcr.io/acme/queue@{DIGEST}",
        "nvcr.io/acme/driver:1-debian",
        "quay.io/acme/engine:v1",
        "registry.k8s.io/pause:3",
    ]
    assert entries["registry.k8s.io/pause:3"].named == ("release/tools/kubernetes.yml",)
    assert entries["registry.k8s.io/pause:3"].made_by == "kaap"
    assert entries["quay.io/acme/engine:v1"] == Entry(
        Image("quay.io/acme/engine", "v1"),
        "upstream",
        ("engine",),
        ("engine: Deployment home/engine: spec.image",),
        "",
        {"issuer": "https://example.org", "identity": "acme"},
    )
    assert entries["nvcr.io/acme/driver:1-debian"].named == ("engine: Deployment home/engine: spec.driver",)
    assert [excuse.named for excuse in locked().excuses] == [("engine: Deployment home/engine: data.extra",)]


def test_whole_lock_has_no_problem() -> None:
    assert image_lock.unlocked(locked(), MENTIONS) == []
    assert image_lock.unused(locked(), MENTIONS, ["engine"]) == []
    assert image_lock.moved(locked(), MENTIONS, ["engine"]) == []
    assert image_lock.outdated(locked(), RECORDS) == []
    assert image_lock.nameless(locked()) == []


@pytest.mark.parametrize("said", ["quay.io/acme/engine:v2", "quay.io/acme/other:v1", "quay.io/acme/engine"])
def test_image_that_is_not_locked_is_named_with_its_place(said: str) -> None:
    (problem,) = image_lock.unlocked(locked(), [*MENTIONS, mention(said)])
    assert problem.startswith(f"engine: Deployment home/engine: spec.image names {said}, which is not locked")


def test_digest_of_another_image_is_not_locked() -> None:
    other = "quay.io/acme/engine:v1@sha256:" + "b" * 64
    resolved = image_lock.with_digests(locked(), {"quay.io/acme/engine:v1": DIGEST})
    assert other in names(image_lock.unlocked(resolved, [mention(other)]))
    assert image_lock.unlocked(resolved, [mention("quay.io/acme/engine:v1")]) == []


def test_excuse_of_one_component_is_none_for_another() -> None:
    assert "names quay.io/acme/extra:v9" in names(
        image_lock.unlocked(locked(), [mention("quay.io/acme/extra:v9", component="other")])
    )


def test_image_and_excuse_that_nothing_names_go() -> None:
    problems = image_lock.unused(locked(), MENTIONS[1:3], ["engine"])
    assert "quay.io/acme/engine:v1 of engine is named by nothing" in names(problems)
    assert "quay.io/acme/extra: engine names it no more" in names(problems)
    assert image_lock.unused(locked(), [], ["other"]) == [], "components that were not rendered say nothing"


def test_place_that_is_new_or_gone() -> None:
    elsewhere = [replace(MENTIONS[0], path="spec.other"), *MENTIONS[1:]]
    problems = names(image_lock.moved(locked(), elsewhere, ["engine"]))
    assert "spec.other names quay.io/acme/engine:v1 and is not in the lock" in problems
    assert "spec.image names quay.io/acme/engine:v1 no more" in problems


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": RECORDS["engine"]["images"][1:]}, "quay.io/acme/engine:v1 is listed by no record"),
        ({"images": [*RECORDS["engine"]["images"], {"name": "a.io/b", "tag": "1"}]}, "a.io/b:1 of engine is not in it"),
        ({"signed_by": []}, "quay.io/acme/engine:v1: says"),
        ({"unlocked_images": []}, "never_run differs"),
    ],
)
def test_lock_that_the_records_left_behind(change: dict[str, Any], says: str) -> None:
    records = {**RECORDS, "engine": {**RECORDS["engine"], **change}}
    assert says in names(image_lock.outdated(locked(), records))


def test_digests_that_are_known_make_no_difference_to_the_records() -> None:
    resolved = image_lock.with_digests(locked(), {"quay.io/acme/engine:v1": DIGEST, "registry.k8s.io/pause:3": DIGEST})
    assert [entry.image.digest for entry in resolved.entries] == [DIGEST, "", DIGEST, ""]
    assert image_lock.digests(resolved) == {"quay.io/acme/engine:v1": DIGEST}
    assert image_lock.outdated(resolved, RECORDS) == []


def test_file_says_what_the_lock_says(tmp_path: Path) -> None:
    path = tmp_path / "lock.yml"
    resolved = image_lock.with_digests(locked(), {"quay.io/acme/engine:v1": DIGEST})
    path.write_text(image_lock.text_of(resolved), encoding="utf-8")
    assert image_lock.read(path) == resolved


@pytest.mark.parametrize("text", ["", "images: {", "images: [{image: a}]\nnever_run: []"])
def test_what_is_no_lock_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(image_lock.LockError, match=r"lock.yml is no lock of images .*scripts/images --write"):
        image_lock.read(path)


def test_rendered_directories_are_read_with_their_secrets(tmp_path: Path) -> None:
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"config": "image: quay.io/acme/engine:v1\n"}}
    files = {"01-01-engine.yaml": "", "secrets/01-01-engine.yaml": render_files.text_of([secret], "engine")}
    (tmp_path / "secrets").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text or render_files.text_of([], "engine"), encoding="utf-8")
    (tmp_path / "01-02-foreign.yaml").write_text("image: a.io/b:1\n", encoding="utf-8")
    mentions, components = image_lock.scan([tmp_path], locked())
    assert components == {"engine"}
    assert [each.place for each in mentions] == ["engine: Secret s: stringData.config > image"]


def test_directory_without_a_render_is_refused(tmp_path: Path) -> None:
    with pytest.raises(image_lock.LockError, match="holds nothing that scripts/render wrote"):
        image_lock.scan([tmp_path], locked())


def test_list_says_which_are_tags_only() -> None:
    lines = image_command.listed(locked())
    assert "quay.io/acme/engine:v1  [tag only]" in lines
    assert f"gcr.io/acme/queue@{DIGEST}" in lines
    assert "registry.k8s.io/pause:3  [assembled by pack]" in lines
    assert "    engine: Deployment home/engine: spec.driver" in lines
    assert lines[-1] == "4 images: 1 assembled by pack, 1 by digest, 2 by tag only; 1 are named and never run"


def test_lock_of_the_release_follows_its_records() -> None:
    """Profile full is rendered only where a mirror is: elsewhere the records stand for it."""
    lock = image_lock.read(ROOT / image_lock.LOCK)
    assert image_lock.outdated(lock, release.load(ROOT)) == []
    assert image_lock.nameless(lock) == []
    assert [excuse.name for excuse in lock.excuses if not excuse.named] == []


def test_signers_sign_something() -> None:
    """A signer whose images were renamed would verify nothing, and nobody would know."""
    entries = image_lock.expected(release.load(ROOT)).entries
    for record in release.load(ROOT).values():
        for signer in record.get("signed_by") or []:
            assert any(entry.signed and entry.image.name.startswith(signer["images"]) for entry in entries), signer
