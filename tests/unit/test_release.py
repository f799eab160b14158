"""Records that are wrong are refused with file, key and fix; the repository's own are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import release

from tests.unit.release_tree import ROOT, component, make


def problems(tmp_path: Path, *records: dict[str, Any]) -> list[str]:
    """Problems that loading these records reports."""
    with pytest.raises(release.ReleaseError) as caught:
        release.load(make(tmp_path, *records))
    return caught.value.problems


def test_own_release_is_valid() -> None:
    records = release.load(ROOT)
    assert {"kubernetes", "etcd", "coredns", "cni", "helm", "kustomize", "registry", "node"} <= set(records)


def test_good_record_loads(tmp_path: Path) -> None:
    assert release.load(make(tmp_path))["hello"]["version"] == "1.2.3"


def test_unknown_key_is_refused_with_file_and_known_keys(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, component(namspace="x"))
    assert problem.startswith("release/components/hello.yml: the record: unknown key 'namspace'")
    assert "namespace" in problem


def test_unknown_key_deep_inside_is_named_with_its_path(tmp_path: Path) -> None:
    record = component()
    record["images"][0]["entrypiont"] = ["/x"]
    (problem,) = problems(tmp_path, record)
    assert "images[0]: unknown key 'entrypiont'" in problem


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": None}, "version: None is not of type string"),
        ({"profile": "cor"}, "profile: 'cor' is not one of 'core', 'full', 'test'"),
        ({"homepage": "example.org"}, "homepage: 'example.org' does not match ^https://"),
        ({"needs": ["nothere"]}, "needs: there is no component 'nothere'"),
        ({"name": "other"}, ""),
        ({"kind": "tool"}, "this key belongs to components"),
        ({"render": {"charts": [{"name": "nochart", "release": "x"}]}}, "render.charts[0]: 'nochart' is not in"),
        ({"render": {"overlay": "kustomize/none"}}, "render.overlay: 'kustomize/none' holds no kustomization.yaml"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    if changes == {"name": "other"}:
        root = make(tmp_path, component(name="other"))
        (root / "release/components/other.yml").rename(root / "release/components/hello.yml")
        with pytest.raises(release.ReleaseError, match=r"differs from the file's name; make it 'hello'"):
            release.load(root)
        return
    assert any(text in problem for problem in problems(tmp_path, component(**changes)))


def test_image_user_must_be_a_number(tmp_path: Path) -> None:
    record = component()
    record["images"][0]["user"] = "nonroot"
    assert problems(tmp_path, record) == [
        "release/components/hello.yml: images[0].user: 'nonroot' is not of type integer"
    ]


def test_root_image_needs_a_reason(tmp_path: Path) -> None:
    record = component()
    record["images"][0]["user"] = 0
    (problem,) = problems(tmp_path, record)
    assert "images[0]: key 'root_reason' is missing; add it" in problem


def test_file_of_an_image_must_have_one_origin(tmp_path: Path) -> None:
    record = component()
    record["images"][0]["files"] = [{"path": "/x", "binary": "hellod", "link": "y"}]
    assert any("exactly one of binary, wheels" in problem for problem in problems(tmp_path, record))


def test_agpl_image_needs_an_offer_of_source(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, component(licence="AGPL-3.0-only"))
    assert "images[0].files: the AGPL wants an offer of source; add one as /licenses/SOURCE-OFFER.txt" in problem


def test_image_names_a_binary_that_is_not_built(tmp_path: Path) -> None:
    record = component()
    record["images"][0]["files"][0]["binary"] = "helod"
    (problem,) = problems(tmp_path, record)
    assert "images[0].files[0].binary: 'helod' is not in sources.packages.go.binaries" in problem


def test_version_must_be_the_one_that_the_wrapper_pins(tmp_path: Path) -> None:
    record = component()
    record["sources"]["packages"]["go"]["version"] = "v1.2.4"
    (problem,) = problems(tmp_path, record)
    assert "'v1.2.4' but release/go/hello/go.mod requires v1.2.3; make them equal" in problem


def test_paths_cannot_leave_the_repository(tmp_path: Path) -> None:
    record = component()
    record["sources"]["packages"]["charts"][0]["local"] = "../secrets"
    assert problems(tmp_path, record)


def test_broken_yaml_is_named_with_every_other_problem(tmp_path: Path) -> None:
    root = make(tmp_path, component(namspace="x"))
    (root / "release/tools/bad.yml").write_text("a: {{ b }}\n")
    with pytest.raises(release.ReleaseError) as caught:
        release.load(root)
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].startswith("release/tools/bad.yml: not valid YAML")


def test_image_made_twice_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, component(), component(name="hello2"))
    assert any("docker.io/example/hello:v1.2.3 is made by hello too; keep one" in problem for problem in found)


def test_select_takes_profile_names_and_exclusions() -> None:
    records: dict[str, Any] = {
        "t": {"kind": "tool", "profile": "core"},
        "check": {"kind": "tool", "profile": "test"},
        "a": {"kind": "component", "profile": "core"},
        "b": {"kind": "component", "profile": "full"},
    }
    assert list(release.select(records, "core")) == ["t", "a"]
    assert list(release.select(records, "full")) == ["t", "a", "b"]
    assert list(release.select(records, "core", ["b", "check"])) == ["t", "check", "b"]
    assert list(release.select(records, "full", disabled=["a"])) == ["t", "b"]
    with pytest.raises(release.ReleaseError, match="no record for nope"):
        release.select(records, "core", ["nope"])
