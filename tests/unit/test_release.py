"""Records that are wrong are refused with file, key and fix; the repository's own are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import release

from tests.unit.release_tree import ROOT, component, from_git, make, source


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
        ({"profile": "cor"}, "profile: 'cor' is not one of 'core', 'full', 'optional', 'test', 'rehearsal'"),
        ({"homepage": "example.org"}, "homepage: 'example.org' does not match ^https://"),
        ({"needs": ["nothere"]}, "needs: there is no component 'nothere'"),
        ({"name": "other"}, ""),
        ({"secrets": {"s": {"k": {"length": 8, "value": "x"}}}}, "secrets.s.k"),
        ({"secrets": {"s": {"k": {"value": "x", "unrotated": "It is no secret at all."}}}}, "secrets.s.k"),
        ({"secrets": {"s": {"k": {"length": 8, "unrotated": "no"}}}}, "secrets.s.k.unrotated"),
        ({"kind": "tool"}, "a record of this kind has no such key; remove it"),
        ({"git": {"repository": "https://x/y/z", "commit": "0" * 40}}, "git: a record of this kind has no such key"),
        ({"after": ["nothere"]}, "after: there is no component 'nothere'"),
        ({"replaced_by": "nothere"}, "replaced_by: there is no other component 'nothere'"),
        ({"replaced_by": "hello"}, "replaced_by: there is no other component 'hello'"),
        ({"needs": ["hello"]}, "profile core: components need each other in a circle: hello -> hello"),
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


def test_select_takes_profile_changes_and_names() -> None:
    records: dict[str, Any] = {
        "t": {"kind": "tool", "profile": "core"},
        "check": {"kind": "tool", "profile": "test"},
        "sources/upstream": {"kind": "source"},
        "a": {"name": "a", "kind": "component", "profile": "core"},
        "b": {
            "name": "b",
            "kind": "component",
            "profile": "full",
            "sources": {"git": {"manifests": [{"name": "x", "source": "upstream", "path": "x"}]}},
        },
    }
    assert list(release.select(records, "core")) == ["t", "a"]
    assert list(release.select(records, "full")) == ["t", "sources/upstream", "a", "b"]
    assert list(release.select(records, "core", {"b": {"enabled": True}})) == ["t", "sources/upstream", "a", "b"]
    assert list(release.select(records, "core", only=["b", "check"])) == ["t", "check", "sources/upstream", "b"]
    assert list(release.select(records, "full", {"a": {"enabled": False}})) == ["t", "sources/upstream", "b"]
    with pytest.raises(release.ReleaseError, match="no record for nope"):
        release.select(records, "core", only=["nope"])
    with pytest.raises(release.ReleaseError, match="kaap_components: nope is no component"):
        release.select(records, "core", {"nope": {}})


def test_git_sources_are_admitted(tmp_path: Path) -> None:
    records = release.load(make(tmp_path, from_git(), source()))
    assert release.sources_of(records["hello"]) == {"sources/upstream"}
    assert [where for where, _ in release.git_trees(records["hello"])] == [
        "sources.git.charts[0]",
        "sources.git.charts[0].dependencies.lib",
        "sources.git.manifests[0]",
        "sources.git.remote_bases.https://example.org/a//b?ref=v1",
    ]


def test_source_and_component_may_have_one_name(tmp_path: Path) -> None:
    record = from_git()
    for _, entry in release.git_trees(record):
        entry["source"] = "hello"  # type: ignore[index]
    assert list(release.load(make(tmp_path, record, source("hello")))) == ["sources/hello", "hello"]


def test_source_that_nobody_refers_to_is_found(tmp_path: Path) -> None:
    records = release.load(make(tmp_path, component(), source()))
    assert release.unused(records) == ["release/sources/upstream.yml: no record refers to this source; remove it"]
    assert release.unused(release.load(make(tmp_path, from_git(), source()))) == []


def test_source_that_does_not_exist_is_named_with_every_place(tmp_path: Path) -> None:
    found = problems(tmp_path, from_git())
    assert len(found) == 4
    assert found[2] == (
        "release/components/hello.yml: sources.git.manifests[0].source: there is no source 'upstream'; "
        "write release/sources/upstream.yml"
    )


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("commit", "d68ebc7", "git.commit: 'd68ebc7' does not match ^[0-9a-f]{40}$: The whole id of a commit."),
        ("repository", "git@example.org:a/b", "git.repository: 'git@example.org:a/b' does not match ^https://"),
        ("repository", "https://user:word@example.org/a", "git.repository: 'https://user:word@example.org/a'"),
        ("repository", "https://example.org/a/", "git.repository: 'https://example.org/a/' does not match"),
        ("branch", "main", "git: unknown key 'branch'; known keys are commit, repository"),
    ],
)
def test_wrong_sources_are_named(tmp_path: Path, key: str, value: str, text: str) -> None:
    broken = source()
    broken["git"][key] = value
    assert any(text in problem for problem in problems(tmp_path, from_git(), broken))


def test_source_holds_nothing_that_is_installed(tmp_path: Path) -> None:
    broken = {**source(), "profile": "full", "images": []}
    found = problems(tmp_path, from_git(), broken)
    assert [problem.split(": ", 1)[1] for problem in found if "sources/upstream" in problem] == [
        "images: a record of this kind has no such key; remove it",
        "profile: a record of this kind has no such key; remove it",
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"within": "config/other"}, "manifests[0].within: 'config/base' is not below 'config/other'"),
        ({"within": "config", "include": ["*.yaml"]}, "manifests[0].within: a record of this kind has no such key"),
        ({"path": "../up"}, "manifests[0].path"),
        ({"path": "/etc"}, "manifests[0].path: '/etc' does not match"),
        ({"ref": "v1"}, "manifests[0]: unknown key 'ref'"),
    ],
)
def test_wrong_manifests_are_named(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    record = from_git()
    record["sources"]["git"]["manifests"][0].update(change)
    assert any(text in problem for problem in problems(tmp_path, record, source()))


def test_path_is_not_below_a_directory_whose_name_only_begins_alike(tmp_path: Path) -> None:
    record = from_git()
    record["sources"]["git"]["manifests"][0].update(path="config/base2", within="config/base")
    assert any("is not below 'config/base'" in problem for problem in problems(tmp_path, record, source()))


def test_manifest_of_both_sources_needs_two_names(tmp_path: Path) -> None:
    record = from_git()
    record["sources"]["packages"]["manifests"] = [{"name": "all", "path": "config"}]
    assert "release/components/hello.yml: sources: manifests 'all' is there twice; rename one" in problems(
        tmp_path, record, source()
    )


def test_image_of_upstream_needs_a_tag_or_a_digest_and_no_more(tmp_path: Path) -> None:
    digest = "sha256:" + "0" * 64
    good = [{"name": "docker.io/x/y", "tag": "v1", "digest": digest}, {"name": "docker.io/x/z", "digest": digest}]
    record = release.load(make(tmp_path / "good", component(images=good)))["hello"]
    assert [release.reference(image) for image in record["images"]] == [
        f"docker.io/x/y:v1@{digest}",
        f"docker.io/x/z@{digest}",
    ]
    (problem,) = problems(tmp_path / "none", component(images=[{"name": "docker.io/x/y"}]))
    assert problem.endswith("images[0]: at least one of tag, digest is needed")
    found = problems(tmp_path / "half", component(images=[{"name": "docker.io/x/y", "tag": "v1", "user": 1}]))
    assert any("images[0]: key 'base', 'files' is missing; add it" in problem for problem in found)


def test_two_components_may_run_one_image_of_upstream(tmp_path: Path) -> None:
    image = {"name": "docker.io/x/y", "tag": "v1"}
    release.load(make(tmp_path, component(images=[image]), component(name="hello2", images=[image])))


def test_replacement_that_is_replaced_itself_is_refused(tmp_path: Path) -> None:
    records = [
        component(replaced_by="b"),
        component(name="b", images=[], replaced_by="c"),
        component(name="c", images=[]),
    ]
    assert problems(tmp_path, *records) == [
        "release/components/hello.yml: replaced_by: 'b' is replaced by 'c' itself; name 'c' here"
    ]


def test_circle_through_after_is_found_in_the_profile_that_has_it(tmp_path: Path) -> None:
    records = [component(needs=["b"]), component(name="b", images=[], profile="full", after=["hello"])]
    found = problems(tmp_path, *records)
    assert "release/components: profile full: components need each other in a circle: b -> hello -> b" in found


def test_keys_of_rendering_are_admitted(tmp_path: Path) -> None:
    render = {
        "objects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}, "{{ more }}"],
        "drop": [{"kind": "Secret", "name": "default"}],
        "patches": [{"target": {"kind": "Deployment", "name": "x"}, "patch": {"spec": {"replicas": 1}}}],
    }
    release.load(make(tmp_path / "good", component(render=render)))
    found = problems(tmp_path / "bad", component(render={"drop": [{"kind": "Secret"}], "patches": [{"patch": {}}]}))
    assert [problem.partition("render.")[2] for problem in found] == [
        "drop[0]: at least one of name, labelSelector, annotationSelector is needed",
        "patches[0]: key 'target' is missing; add it",
    ]


def test_pods_that_come_later_are_admitted(tmp_path: Path) -> None:
    good = [{"what": "proxies", "count": "per node", "cpu": "100m", "memory": "1.5Gi", "gpus": 1, "storage": "10Gi"}]
    good += [{"what": "engines", "count": "per GPU node", "cpu": "12%", "memory": "0"}]
    release.load(make(tmp_path / "good", component(later=good)))
    # A share of a machine needs to be the share of one.
    wrong = [{**good[0], "count": 0}, {**good[0], "cpu": "12q"}, {**good[1], "count": 1}]
    found = problems(tmp_path / "bad", component(later=wrong))
    assert len(found) == 3 and "later[2].count" in "".join(found), found
