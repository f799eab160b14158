"""What comes from git renders offline with the packed tools; real repositories are read where a mirror is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import openapi, pack, release, targets
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache
from ansible_collections.infn.kaap.plugins.module_utils.render import Rendered, Renderer, RenderError

from tests import git_repositories
from tests.release import mirror, rendering
from tests.unit.release_tree import make

RECORDS = release.load(rendering.ROOT)


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> git_repositories.Upstream:
    made = git_repositories.upstream(tmp_path / "upstream")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(made.gitconfig))
    return made


def rendered(tmp_path: Path, upstream: git_repositories.Upstream, monkeypatch: Any, version: int) -> Rendered:
    """The component ``widgets`` at one of its commits; git finds nothing while it is rendered."""
    root = make(tmp_path / "repository", *upstream.records(version))
    records = release.select(release.load(root), "full")
    place = rendering.packed(root, tmp_path / "cache", records)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    renderer = Renderer(place, root, "v1.36.0", openapi.catalogue(rendering.swagger()))
    names = {obj["metadata"]["name"] for obj in renderer.render(records["gadget"]).objects}
    assert names == {"gadget-gadget", "gadget-common"}
    return renderer.render(records["widgets"])


def test_repositories_with_traps_render_offline(
    tmp_path: Path, upstream: git_repositories.Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {(obj["kind"], obj["metadata"]["name"]) for obj in rendered(tmp_path, upstream, monkeypatch, 0).objects}
    assert found == {
        ("ConfigMap", "images"),
        ("CustomResourceDefinition", "widgets.acme.example.org"),
        ("Deployment", "engine"),
        ("Deployment", "widgets-controller"),
        ("Job", "migrate"),
        ("Service", "widgets"),
        ("Widget", "first"),
    }


def test_patch_that_the_next_version_no_longer_matches_fails(
    tmp_path: Path, upstream: git_repositories.Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((RenderError, targets.TargetError), match=r"widgets-controller matches nothing"):
        rendered(tmp_path, upstream, monkeypatch, 1)


@mirror.NEEDED
@pytest.mark.parametrize("name", [name for name, record in RECORDS.items() if release.git(record)])
def test_record_can_be_packed_from_the_real_repositories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", mirror.MIRROR)
    record = RECORDS[name]
    records = {key: RECORDS[key] for key in release.sources_of(record)} | {name: record}
    packer = pack.Packer(rendering.ROOT, Cache(tmp_path), ["git"], lambda _: None)
    steps, _ = pack.plan(rendering.ROOT, records, {"charts", "manifests"})
    from_git = [step for step in steps.values() if step.kind == "git"]
    sources = [pack.SOURCES["git"](rendering.ROOT, packer.cache, tmp_path, lambda _: None)]
    assert from_git
    for step in from_git:
        sources[0].resolve(step)
        assert sources[0].make(step)[0]


def test_every_source_is_used() -> None:
    assert release.unused(RECORDS) == []
