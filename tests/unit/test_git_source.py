"""Charts and manifests of upstream repositories: what is taken, what is refused, and what a second pack costs."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import charts, git_repository, kustomizations, pack, release
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache
from ansible_collections.infn.kaap.plugins.module_utils.git_repository import GitError, Repository

from tests import git_repositories
from tests.git_repositories import Link, Upstream
from tests.unit.release_tree import make

ONLY = {"charts", "manifests"}


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """The repositories of an imaginary project, and git configured to find them."""
    made = git_repositories.upstream(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(made.gitconfig))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return made


def run(place: Path, records: list[dict[str, Any]], lines: list[str] | None = None) -> pack.Result:
    """Packs charts and manifests of some records into a cache beside them."""
    root = make(place / "repository", *records)
    chosen = release.select(release.load(root), "full")
    told = lines if lines is not None else []
    return pack.Packer(root, Cache(place / "cache"), ["packages", "git"], told.append).run(chosen, None, only=ONLY)


def refusal(place: Path, records: list[dict[str, Any]]) -> str:
    """Why these records cannot be packed."""
    with pytest.raises(pack.PackError) as caught:
        run(place, records)
    return str(caught.value)


def single(upstream: Upstream, files: dict[str, Any], **manifest: Any) -> list[dict[str, Any]]:
    """Records of a component with one manifest, of a repository with these files."""
    upstream.commit("one", files)
    item = {"name": "all", "source": "one", "path": "top", **manifest}
    remote = item.pop("remote_bases", None)
    git = {"manifests": [item], **({"remote_bases": remote} if remote else {})}
    record = git_repositories.component("one", {"sources": {"git": git}, "render": {"manifests": ["all"]}})
    return [upstream.source("one"), record]


def tree(result: pack.Result, place: str) -> dict[str, str]:
    """Text of every file of the bundle below a place."""
    top = Path(result.bundle_dir) / place
    return {path.relative_to(top).as_posix(): path.read_text() for path in sorted(top.rglob("*")) if path.is_file()}


def test_kustomization_is_taken_with_all_it_leads_to_and_nothing_else(tmp_path: Path, upstream: Upstream) -> None:
    found = tree(run(tmp_path, upstream.records()), "manifests/widgets/all")
    assert list(found) == [
        "_nothing/kustomization/kustomization.yaml",
        "engine/deploy/deployment.yaml",
        "engine/deploy/kustomization.yaml",
        "kustomization.yaml",
        "widgets/config/base/controller.yaml",
        "widgets/config/base/engine-settings.yaml",
        "widgets/config/base/images.json",
        "widgets/config/base/kustomization.yaml",
        "widgets/config/base/widget.yaml",
        "widgets/config/crd/kustomization.yaml",
        "widgets/config/crd/widgets.yaml",
        "widgets/config/overlays/site/kustomization.yaml",
    ]
    assert yaml.safe_load(found["kustomization.yaml"])["resources"] == ["widgets/config/overlays/site"]
    base = git_repositories.widgets(1)["config/base/kustomization.yaml"]
    base = base.replace(git_repositories.RELEASE_FILE, '"../../../_nothing/kustomization"')
    base = base.replace(f'"{git_repositories.ENGINE_BASE}"', '"../../../engine/deploy"')
    assert found["widgets/config/base/kustomization.yaml"] == base, "only the remote bases may change"


def test_bundle_says_which_commits_it_holds_and_keeps_licences(tmp_path: Path, upstream: Upstream) -> None:
    result = run(tmp_path, upstream.records())
    (artefact,) = [each for each in result.artefacts if each["component"] == "widgets"]
    commits = {name: upstream.source(name, 0)["git"]["commit"] for name in ("engine", "widgets")}
    assert (artefact["source"], artefact["commits"]) == ("git", commits)
    texts = tree(result, "licences")
    assert texts == dict.fromkeys(("charts/LICENSE", "engine/LICENSE", "widgets/LICENSE"), git_repositories.LICENCE)


def test_chart_gets_its_dependencies_and_loses_what_is_left_out(tmp_path: Path, upstream: Upstream) -> None:
    found = tree(run(tmp_path, upstream.records()), "charts/gadget/gadget")
    assert list(found) == [
        "Chart.yaml",
        "charts/common/Chart.yaml",
        "charts/common/templates/configmap.yaml",
        "templates/deployment.yaml",
        "values.yaml",
    ]
    chart = yaml.safe_load(found["Chart.yaml"])
    assert [entry["name"] for entry in chart["dependencies"]] == ["common"]
    assert chart["appVersion"] == "1.10"


def test_second_pack_asks_nobody(tmp_path: Path, upstream: Upstream) -> None:
    first = run(tmp_path, upstream.records())
    shutil.rmtree(upstream.folder)
    shutil.rmtree(tmp_path / "cache/git")
    second = run(tmp_path, upstream.records())
    assert (second.made, second.changed, second.digest) == ([], False, first.digest)


def test_only_wanted_files_are_fetched_and_a_second_record_fetches_only_its_own(
    tmp_path: Path, upstream: Upstream
) -> None:
    run(tmp_path, upstream.records())
    clone = tmp_path / "cache/git/git.example.org+acme+widgets.git"
    held = git_repositories.git(clone, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectsize)")
    assert "blob 5000" not in held
    lines: list[str] = []
    record = git_repositories.component(
        "docs",
        {
            "sources": {
                "git": {"manifests": [{"name": "crd", "source": "widgets", "path": "config/crd/widgets.yaml"}]}
            },
            "render": {"manifests": ["crd"]},
        },
    )
    result = run(tmp_path, [*upstream.records(), record], lines)
    assert not [line for line in lines if line.startswith("fetching")], "the commit is in the cache already"
    assert (Path(result.bundle_dir) / "manifests/docs/crd.yaml").read_text() == git_repositories.CRD


def test_server_without_filters_will_do(tmp_path: Path, upstream: Upstream) -> None:
    text = upstream.gitconfig.read_text().replace("allowFilter = true", "allowFilter = false")
    upstream.gitconfig.write_text(text)
    assert tree(run(tmp_path, upstream.records()), "manifests/widgets/all")


def test_key_is_of_content_not_of_the_address(tmp_path: Path, upstream: Upstream) -> None:
    first = run(tmp_path, upstream.records())
    records = upstream.records()
    for record in records:
        if record["kind"] == "source":
            record["git"]["repository"] = f"https://other.example.org/{record['name']}"
    assert run(tmp_path, records).made == []
    records = upstream.records(version=1)
    assert [title.partition(" ")[0] for title in run(tmp_path, records).made] == ["widgets"]
    assert first.digest != run(tmp_path, records).digest


def test_commit_that_is_not_there_is_named_with_where_it_was_looked_for(tmp_path: Path, upstream: Upstream) -> None:
    records = upstream.records()
    records[0]["git"]["commit"] = "12" * 20
    said = refusal(tmp_path, records)
    assert "widgets 1.0.0: manifests of engine at" in said
    where = f"source widgets: https://git.example.org/acme/widgets at {'12' * 20} cannot be had"
    assert f"{where} (looked at file://{upstream.folder}/widgets, as git is configured here)" in said
    assert "not our ref" in said


def test_repository_that_cannot_be_reached_is_named_and_nobody_is_asked_for_a_login(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.gitconfig.write_text('[url "https://localhost:9/"]\n\tinsteadOf = https://git.example.org/\n')
    said = refusal(tmp_path, upstream.records())
    assert "https://git.example.org/acme/engine at" in said
    assert "looked at https://localhost:9/acme/engine" in said
    assert "check git's configuration" in said
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "git is not installed on this host; install the package git" in refusal(tmp_path, upstream.records())


def test_everything_wrong_of_a_record_is_named_at_once(tmp_path: Path, upstream: Upstream) -> None:
    records = upstream.records()
    git = records[-2]["sources"]["git"]
    git["manifests"].append({"name": "more", "source": "widgets", "path": "nothing/here"})
    git["manifests"][0]["path"] = "config/overlays/sight"
    said = refusal(tmp_path, records)
    assert "git: manifests all: widgets: config/overlays/sight is not there" in said
    assert (
        f"manifests more: https://git.example.org/acme/widgets at {upstream.commits['widgets'][0]} has no path" in said
    )


def test_undeclared_remote_base_is_refused_by_name(tmp_path: Path, upstream: Upstream) -> None:
    records = upstream.records()
    del records[-2]["sources"]["git"]["remote_bases"][git_repositories.RELEASE_FILE]
    said = refusal(tmp_path, records)
    where = f"manifests all: widgets: config/base/kustomization.yaml: resources names {git_repositories.RELEASE_FILE}"
    assert f"{where}, which would be fetched while it is built" in said


def test_remote_base_of_a_stand_in_is_found_too(tmp_path: Path, upstream: Upstream) -> None:
    files = {
        **git_repositories.ENGINE,
        "deploy/kustomization.yaml": "resources: [github.com/acme/x, deployment.yaml]\n",
    }
    upstream.commit("engine", files)
    assert "engine: deploy/kustomization.yaml: resources names github.com/acme/x" in refusal(
        tmp_path, upstream.records()
    )


def test_remote_base_that_nobody_names_any_more_is_refused(tmp_path: Path, upstream: Upstream) -> None:
    records = upstream.records()
    records[-2]["sources"]["git"]["remote_bases"]["https://git.example.org/old"] = "none"
    said = refusal(tmp_path, records)
    assert "sources.git.remote_bases names https://git.example.org/old, but no kustomization does; remove it" in said


REMOTE = [
    "https://x.example.org/a.yaml",
    "git::https://x.example.org/a",
    "git@x.example.org:a/b",
    "ssh://git@x.example.org/a",
    "github.com/a/b//c?ref=v1",
    "file:///etc",
    "gh:a/b",
]


@pytest.mark.parametrize("address", REMOTE)
@pytest.mark.parametrize(
    "text",
    [
        "resources: ['{}']",
        "bases: ['{}']",
        "components: ['{}']",
        "crds: ['{}']",
        "transformers: ['{}']",
        "generators: ['{}']",
        "validators: ['{}']",
        "configurations: ['{}']",
        "patchesStrategicMerge: ['{}']",
        "patches: [{{path: '{}'}}]",
        "patchesJson6902: [{{target: {{kind: x}}, path: '{}'}}]",
        "replacements: [{{path: '{}'}}]",
        "openapi: {{path: '{}'}}",
        "configMapGenerator: [{{name: x, files: ['key={}']}}]",
        "secretGenerator: [{{name: x, envs: ['{}']}}]",
        "secretGenerator: [{{name: x, env: '{}'}}]",
    ],
)
def test_every_way_to_name_something_remote_is_seen(address: str, text: str) -> None:
    _, (reference,) = kustomizations.read(text.format(address))
    assert (reference.value, reference.remote) == (address, True)


def test_inflated_charts_are_refused(tmp_path: Path, upstream: Upstream) -> None:
    files = {"top/kustomization.yaml": "helmCharts:\n- {name: x, repo: https://charts.example.org}\n"}
    said = refusal(tmp_path, single(upstream, files))
    assert "one: top/kustomization.yaml: helmCharts fetches charts while it is built" in said


OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("resources: [../other]", "names ../other, which is outside of top; set within to ."),
        ("resources: [../../other]", "names ../../other, which is outside of the repository"),
        ("resources: [/etc/passwd]", "names /etc/passwd, which is outside of the repository"),
        ("resources: [nothing]", "names nothing, which is not there"),
        ("resources: [plain]", "names plain, a directory without a kustomization"),
        ("patches: [{path: more}]", "names more, a directory without a kustomization"),
        ("resources: [out.yaml]", "one: top/out.yaml is a symbolic link that leads out of top"),
        ("resources: [gone.yaml]", "one: top/gone.yaml is a symbolic link that leads to nothing in top"),
        ("resources: [", "one: top/kustomization.yaml: it is not YAML"),
        ("- resources", "one: top/kustomization.yaml: it is no mapping"),
    ],
)
def test_what_leads_out_of_the_tree_or_nowhere_is_refused(
    tmp_path: Path, upstream: Upstream, text: str, reason: str
) -> None:
    files = {
        "top/kustomization.yaml": text,
        "top/plain/x.yaml": OBJECT,
        "top/more/kustomization.yaml": "resources: []",
        "top/out.yaml": Link("../../../etc/passwd"),
        "top/gone.yaml": Link("never.yaml"),
        "other/kustomization.yaml": "resources: []",
    }
    assert reason in refusal(tmp_path, single(upstream, files))


def test_links_inside_the_tree_are_followed(tmp_path: Path, upstream: Upstream) -> None:
    files = {
        "top/kustomization.yaml": "resources: [linked.yaml, folder/x.yaml]",
        "top/linked.yaml": Link("real/x.yaml"),
        "top/folder": Link("real"),
        "top/real/x.yaml": OBJECT,
    }
    found = tree(run(tmp_path, single(upstream, files)), "manifests/one/all/one/top")
    assert found["linked.yaml"] == found["folder/x.yaml"] == OBJECT


def test_within_lets_references_go_up(tmp_path: Path, upstream: Upstream) -> None:
    files = {
        "top/deep/kustomization.yaml": "resources:\n- ../base\ncomponents: [../part]\n"
        "patches:\n- patch: |-\n    a: b\n",
        "top/base/kustomization.yml": "resources: [x.yaml, ../deep/../base/y.yaml]",
        "top/base/x.yaml": OBJECT,
        "top/base/y.yaml": OBJECT,
        "top/part/Kustomization": "kind: Component\nresources: [z.yaml]",
        "top/part/z.yaml": OBJECT,
    }
    found = tree(run(tmp_path, single(upstream, files, path="top/deep", within="top")), "manifests/one/all")
    assert sorted(found) == sorted(["kustomization.yaml", *(f"one/{path}" for path in files)])


def test_component_is_led_to_as_a_component(tmp_path: Path, upstream: Upstream) -> None:
    files = {"top/kustomization.yaml": "kind: Component\nresources: [x.yaml]", "top/x.yaml": OBJECT}
    found = tree(run(tmp_path, single(upstream, files)), "manifests/one/all")
    assert yaml.safe_load(found["kustomization.yaml"])["components"] == ["one/top"]


def test_file_and_plain_directory_stand_in_as_kustomizations(tmp_path: Path, upstream: Upstream) -> None:
    files = {
        "top/kustomization.yaml": "resources:\n- https://x.example.org/a.yaml\n- https://x.example.org/b?ref=1\n"
        "components: [https://x.example.org/c]\npatches:\n- path: https://x.example.org/d.yaml\n",
        "else/a.yaml": OBJECT,
        "else/b/1.yaml": OBJECT,
        "else/b/2.yaml": OBJECT,
        "else/b/README.md": "",
    }
    remote: dict[str, Any] = {
        "https://x.example.org/a.yaml": {"source": "one", "path": "else/a.yaml"},
        "https://x.example.org/b?ref=1": {"source": "one", "path": "else/b"},
        "https://x.example.org/c": "none",
        "https://x.example.org/d.yaml": {"source": "one", "path": "else/a.yaml"},
    }
    found = tree(run(tmp_path, single(upstream, files, remote_bases=remote)), "manifests/one/all")
    text = yaml.safe_load(found["one/top/kustomization.yaml"])
    assert text["components"] == ["../../_nothing/component"]
    assert yaml.safe_load(found["_nothing/component/kustomization.yaml"])["kind"] == "Component"
    counts = []
    for place in text["resources"]:
        listed = yaml.safe_load(found[place.removeprefix("../../") + "/kustomization.yaml"])["resources"]
        assert all(found[f"{place.removeprefix('../../')}/{name}"] == OBJECT for name in listed)
        counts.append(len(listed))
    assert counts == [1, 2]
    assert found[f"one/top/{text['patches'][0]['path']}"] == OBJECT
    remote["https://x.example.org/d.yaml"] = "none"
    said = refusal(tmp_path / "again", single(upstream, files, remote_bases=remote))
    assert "patches names https://x.example.org/d.yaml; only a file can stand in for it" in said


def test_plain_directory_is_taken_as_it_is(tmp_path: Path, upstream: Upstream) -> None:
    files = {"top/a.yaml": OBJECT, "top/sub/b.yml": OBJECT, "top/README.md": "", "top/sub/kustomization.yaml": "x: y"}
    assert list(tree(run(tmp_path, single(upstream, files)), "manifests/one/all")) == ["a.yaml", "sub/b.yml"]
    records = single(upstream, files, include=["sub/*"])
    assert list(tree(run(tmp_path, records), "manifests/one/all")) == ["sub/b.yml"]
    assert "one: top holds no manifest" in refusal(tmp_path, single(upstream, files, include=["*.json"]))


def gadget(upstream: Upstream, **dependencies: Any) -> list[dict[str, Any]]:
    """Records with other dependencies of the chart."""
    records = upstream.records()
    given = records[-1]["sources"]["git"]["charts"][0]["dependencies"]
    given.update(dependencies)
    for name in [name for name, value in given.items() if value is None]:
        del given[name]
    return records


def test_dependency_that_is_not_given_is_named(tmp_path: Path, upstream: Upstream) -> None:
    said = refusal(tmp_path, gadget(upstream, common=None))
    assert (
        "charts gadget: charts: charts/gadget depends on common 1.x (https://charts.example.org), which is not" in said
    )


def test_dependency_of_another_version_is_refused(tmp_path: Path, upstream: Upstream) -> None:
    files = {**git_repositories.CHARTS, "charts/common/Chart.yaml": "apiVersion: v2\nname: common\nversion: 2.0.0\n"}
    upstream.commit("charts", files)
    said = refusal(tmp_path, upstream.records())
    assert "depends on common 1.x, but charts: charts/common is version 2.0.0; take another commit of it" in said


def test_dependency_that_no_chart_has_is_refused(tmp_path: Path, upstream: Upstream) -> None:
    said = refusal(tmp_path, gadget(upstream, extra="none"))
    assert "dependencies names extra, on which no chart depends; remove it" in said


def test_dependency_that_the_chart_carries_need_not_be_given(tmp_path: Path, upstream: Upstream) -> None:
    files = dict(git_repositories.CHARTS)
    for path in [path for path in files if path.startswith("charts/common")]:
        files[f"charts/gadget/{path}"] = files.pop(path)
    files["charts/gadget/charts/database-2.0.1.tgz"] = "packed"
    upstream.commit("charts", files)
    found = tree(run(tmp_path, gadget(upstream, common=None, database=None)), "charts/gadget/gadget")
    assert {"charts/common/Chart.yaml", "charts/database-2.0.1.tgz", "Chart.lock"} <= set(found)


def test_what_is_no_chart_is_refused(tmp_path: Path, upstream: Upstream) -> None:
    records = gadget(upstream)
    records[-1]["sources"]["git"]["charts"][0]["path"] = "charts"
    assert "charts gadget: charts: charts is no chart: it has no Chart.yaml" in refusal(tmp_path, records)


@pytest.mark.parametrize(
    ("constraint", "inside", "outside"),
    [
        ("", "0.0.1 9.9.9", ""),
        ("1.2.3", "1.2.3 v1.2.3 1.2.3+build", "1.2.4 1.2.2 1.2.3-rc.1"),
        ("=1.2.3", "1.2.3", "1.2.4"),
        ("1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"),
        ("0.12.*", "0.12.0 0.12.99", "0.13.0 0.11.9"),
        ("1.x", "1.0.0 1.9.0", "2.0.0 0.9.0"),
        ("*", "0.0.0 12.1.0", "1.0.0-rc.1"),
        ("^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
        ("~1", "1.0.0 1.9.9", "2.0.0"),
        (">= 1.0.0, < 2", "1.0.0 1.9.9", "2.0.0 0.9.9"),
        (">=1.0.0 <1.5.0", "1.4.9", "1.5.0"),
        (">1.2", "1.3.0", "1.2.5"),
        ("<=1.2", "1.2.5", "1.3.0"),
        ("1.2 - 1.4.5", "1.2.0 1.4.5", "1.4.6 1.1.9"),
        ("1.0.0 || 2.x", "1.0.0 2.5.0", "1.0.1 3.0.0"),
        ("!=1.2.3", "1.2.4", "1.2.3"),
        (">=1.0.0-0", "1.0.0-rc.1 1.0.0 2.0.0", "0.9.0"),
        (">=1.0.0-rc.2", "1.0.0-rc.2 1.0.0-rc.10 1.0.0", "1.0.0-rc.1 1.0.0-beta"),
    ],
)
def test_ranges_are_read_as_helm_reads_them(constraint: str, inside: str, outside: str) -> None:
    assert [v for v in inside.split() if not charts.satisfies(v, constraint)] == []
    assert [v for v in outside.split() if charts.satisfies(v, constraint)] == []


@pytest.mark.parametrize("constraint", ["latest", "1.2.3.4", ">>1", "1 2 -"])
def test_what_is_no_range_is_refused(constraint: str) -> None:
    with pytest.raises(charts.ChartError, match="is no"):
        charts.satisfies("1.0.0", constraint)


def repository(upstream: Upstream, cache: Path, name: str = "widgets") -> tuple[Repository, str]:
    """A repository with its first commit fetched."""
    found = Repository(Cache(cache), f"{git_repositories.HOST}/acme/{name}", lambda _: None)
    commit = upstream.commits[name][0]
    found.fetch(commit)
    return found, commit


def test_damage_in_the_cache_is_found_and_mended(tmp_path: Path, upstream: Upstream) -> None:
    clone, _ = repository(upstream, tmp_path / "cache")
    for packed in clone.path.glob("objects/pack/*.pack"):
        packed.chmod(0o644)
        content = bytearray(packed.read_bytes())
        content[len(content) // 2] ^= 0xFF
        packed.write_bytes(bytes(content))
    lines: list[str] = []
    assert tree(run(tmp_path, upstream.records(), lines), "manifests/widgets/all")
    assert [line for line in lines if line.startswith("fetching again: git cat-file failed")]


def test_object_whose_content_is_not_its_id_is_refused(tmp_path: Path, upstream: Upstream) -> None:
    found, commit = repository(upstream, tmp_path / "cache")
    original = found._git

    def lie(*arguments: str, data: bytes = b"") -> bytes:
        return original(*arguments, data=data).replace(b"tree ", b"tree 0", 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(found, "_git", lie)
        with pytest.raises(git_repository.DamageError):
            found._root(commit)


def test_locks_of_a_killed_fetch_do_not_stop_the_next(tmp_path: Path, upstream: Upstream) -> None:
    first, _ = repository(upstream, tmp_path / "cache")
    (first.path / "shallow.lock").touch()
    other = Repository(Cache(tmp_path / "cache"), first.url, lambda _: None)
    other.fetch(upstream.commits["widgets"][1])
    assert not (first.path / "shallow.lock").exists()


def test_two_packs_side_by_side_fetch_one_after_the_other(tmp_path: Path, upstream: Upstream) -> None:
    results: list[Any] = []

    def fetch() -> None:
        found, commit = repository(upstream, tmp_path / "cache")
        results.append(found.read(commit, {e.oid: p for p, e in found.files(commit, "config").items()}))

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 4
    assert all(result == results[0] for result in results)


def test_file_that_the_mirror_lacks_is_named(tmp_path: Path, upstream: Upstream) -> None:
    found, commit = repository(upstream, tmp_path / "cache")
    path = "config/crd/widgets.yaml"
    oid = found.files(commit, "config")[path].oid
    (upstream.folder / "widgets/objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(GitError, match=rf"at {commit}: {path} cannot be had \(looked at file://"):
        found.read(commit, {oid: path})


def test_variables_of_a_git_that_calls_us_do_no_harm(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    subprocess.run(["git", "init", "--quiet", str(victim)], check=True)
    before = sorted((victim / ".git").iterdir())
    monkeypatch.setenv("GIT_DIR", str(victim / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(victim / ".git/index"))
    repository(upstream, tmp_path / "cache")
    assert sorted((victim / ".git").iterdir()) == before
