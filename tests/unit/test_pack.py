"""pack: looks for everything first, makes what is missing once, and survives being killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import bundle as bundles
from ansible_collections.infn.kaap.plugins.module_utils import pack, release
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache, Outputs
from ansible_collections.infn.kaap.plugins.module_utils.package_source import UnavailableError
from ansible_collections.infn.kaap.plugins.module_utils.registry_clients import CommandError
from ansible_collections.infn.kaap.plugins.module_utils.steps import Step

from tests.unit.release_tree import ROOT, component, from_git, make, source


class FakeSource:
    """Makes the outputs of a step out of its key; asks nobody."""

    name = "packages"
    kinds = frozenset({"go", "carried", "base", "image"})

    def __init__(self, cache: Cache, lacks: str = "", fails: str = "") -> None:
        self.cache, self.lacks, self.fails = cache, lacks, fails
        self.made: list[str] = []
        self.mutex = threading.Lock()

    def resolve(self, step: Step) -> None:
        if self.lacks and self.lacks in step.title:
            raise UnavailableError([f"{step.kind} is not there (looked here)"])

    def make(self, step: Step) -> tuple[Outputs, dict[str, int]]:
        with self.mutex:
            self.made.append(step.title)
        if self.fails and self.fails in step.title:
            raise CommandError("compiler says no", "")
        sha256, size = self.cache.add_bytes(f"{step.kind} {step.title}".encode())
        one = [sha256, size]
        outputs: dict[str, Outputs] = {
            "go": {"binaries": dict.fromkeys(step.spec.get("names", []), one), "licences": {}},
            "carried": {item["as"]: {"/f": [*one, False]} for item in step.spec.get("items", [])},
            "base": {"layers": [one], "packages": []},
            "image": {"manifest": one, "config": one, "layers": [one]},
        }
        return outputs[step.kind], {sha256: size}


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, FakeSource]]:
    """Replaces the sources; returns what was built, by name."""

    def replace(**sources: dict[str, str]) -> dict[str, FakeSource]:
        built: dict[str, FakeSource] = {}

        def factory(name: str, options: dict[str, str]) -> Any:
            def build(root: Path, cache: Cache, work: Path, progress: pack.Progress) -> FakeSource:
                built[name] = FakeSource(cache, **options)
                built[name].name = name
                return built[name]

            return build

        monkeypatch.setattr(pack, "SOURCES", {n: factory(n, o) for n, o in sources.items()})
        return built

    return replace


def run(root: Path, cache: Path, order: tuple[str, ...] = ("packages",), **more: Any) -> pack.Result:
    """One pack of the repository."""
    packer = pack.Packer(root, Cache(cache), order, lambda _: None)
    return packer.run(release.load(root), root / "state", **more)


def test_first_pack_makes_all_and_second_nothing(tmp_path: Path, use: Callable[..., dict[str, FakeSource]]) -> None:
    built = use(packages={})
    root = make(tmp_path / "a")
    first = run(root, tmp_path / "cache")
    assert first.changed
    assert sorted(first.made) == sorted(built["packages"].made) == sorted(first.seconds)
    manifest = json.loads((root / "state/bundle.json").read_text())
    assert manifest == json.loads((Path(first.bundle_dir) / "bundle.json").read_text())
    assert {(a["kind"], a["name"]) for a in manifest["artefacts"]} == {
        ("binary", "hello"),
        ("chart", "hello"),
        ("image", "docker.io/example/hello:v1.2.3"),
    }
    for artefact in manifest["artefacts"]:
        assert (Path(first.bundle_dir) / artefact["path"]).exists()
        assert artefact["licence"] == "Apache-2.0"
        assert artefact["source"] == "packages"
    assert os.access(Path(first.bundle_dir) / "bin/hello", os.R_OK)
    built.clear()
    second = run(root, tmp_path / "cache")
    assert (second.changed, second.made, built) == (False, [], {})
    assert second.digest == first.digest


def test_another_clone_finds_everything(tmp_path: Path, use: Callable[..., dict[str, FakeSource]]) -> None:
    use(packages={})
    first = run(make(tmp_path / "a"), tmp_path / "cache")
    second = run(make(tmp_path / "b"), tmp_path / "cache")
    assert second.made == []
    assert second.bundle_dir == first.bundle_dir
    assert (tmp_path / "b/state/bundle.json").is_file()


def test_everything_missing_is_named_before_anything_is_made(
    tmp_path: Path, use: Callable[..., dict[str, FakeSource]]
) -> None:
    built = use(packages={"lacks": "hello 1.2.3"})
    with pytest.raises(pack.PackError) as caught:
        run(make(tmp_path), tmp_path / "cache")
    assert str(caught.value).startswith("3 of 6 artefacts cannot be had:")
    assert caught.value.problems == [
        "hello 1.2.3: charts, hello 1.2.3: files and licences of images: packages: carried is not there (looked here)",
        "hello 1.2.3: commands hello, hellod: packages: go is not there (looked here)",
    ]
    assert built["packages"].made == []
    assert not (tmp_path / "state").exists()


def test_sources_are_tried_in_the_given_order(tmp_path: Path, use: Callable[..., dict[str, FakeSource]]) -> None:
    built = use(upstream={"lacks": "commands"}, packages={})
    result = run(make(tmp_path), tmp_path / "cache", ("upstream", "packages"))
    assert built["packages"].made == ["hello 1.2.3: commands hello, hellod"]
    assert {a["name"]: a["source"] for a in result.artefacts}["hello"] in {"packages", "upstream"}
    by_kind = {a["kind"]: a["source"] for a in result.artefacts}
    assert by_kind == {"binary": "packages", "chart": "upstream", "image": "upstream"}


def test_unknown_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pack.PackError, match="nowhere: this release knows the sources packages"):
        pack.Packer(tmp_path, Cache(tmp_path), ["nowhere"], lambda _: None)
    with pytest.raises(pack.PackError, match="an empty list"):
        pack.Packer(tmp_path, Cache(tmp_path), [], lambda _: None)


def test_check_mode_says_and_does_nothing(tmp_path: Path, use: Callable[..., dict[str, FakeSource]]) -> None:
    built = use(packages={})
    root = make(tmp_path / "a")
    result = run(root, tmp_path / "cache", check=True)
    assert result.changed
    assert len(result.made) == 6
    assert not built
    assert not (root / "state").exists()
    run(root, tmp_path / "cache")
    assert run(root, tmp_path / "cache", check=True).changed is False


def test_what_was_made_before_a_failure_stays(tmp_path: Path, use: Callable[..., dict[str, FakeSource]]) -> None:
    root = make(tmp_path / "a")
    use(packages={"fails": "image docker.io"})
    with pytest.raises(pack.PackError, match="compiler says no"):
        run(root, tmp_path / "cache")
    assert not (root / "state").exists()
    use(packages={})
    assert run(root, tmp_path / "cache").made == ["image docker.io/example/hello:v1.2.3"]


def test_two_packs_side_by_side_make_each_thing_once(tmp_path: Path, use: Callable[..., dict[str, FakeSource]]) -> None:
    made: list[str] = []
    use(packages={})
    original = FakeSource.make

    def count(self: FakeSource, step: Step) -> tuple[Outputs, dict[str, int]]:
        made.append(step.title)
        return original(self, step)

    roots = [make(tmp_path / name) for name in "ab"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeSource, "make", count)
        results: list[pack.Result] = []
        threads = [threading.Thread(target=lambda r=r: results.append(run(r, tmp_path / "cache"))) for r in roots]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(results) == 2
    assert sorted(made) == sorted(set(made))
    assert results[0].bundle_dir == results[1].bundle_dir


def test_damaged_bundle_is_made_again(tmp_path: Path, use: Callable[..., dict[str, FakeSource]]) -> None:
    use(packages={})
    root = make(tmp_path / "a")
    first = run(root, tmp_path / "cache")
    (Path(first.bundle_dir) / "bin/hello").unlink()
    assert run(root, tmp_path / "cache").changed
    assert (Path(first.bundle_dir) / "bin/hello").exists()


def test_bundle_that_another_pack_wrote_meanwhile_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "cache")
    content = bundles.Bundle(texts={"a": "x"})
    link = bundles._parents

    def overtaken(path: Path, made: set[Path]) -> Path:
        monkeypatch.setattr(bundles, "_parents", link)
        bundles.write(cache, content, "1", tmp_path / "faster")
        return link(path, made)

    monkeypatch.setattr(bundles, "_parents", overtaken)
    tree, manifest, _ = bundles.write(cache, content, "1", tmp_path / "slower")
    assert (tree / "a").read_text() == "x"
    assert tree.name == manifest["digest"]


def test_only_charts_makes_charts(tmp_path: Path, use: Callable[..., dict[str, FakeSource]]) -> None:
    use(packages={})
    result = run(make(tmp_path), tmp_path / "cache", only={"charts"})
    assert [a["kind"] for a in result.artefacts] == ["chart"]
    with pytest.raises(pack.PackError, match="known are binaries, charts"):
        run(make(tmp_path), tmp_path / "cache", only={"imagse"})


def test_estimate_counts_what_the_cache_lacks(tmp_path: Path, use: Callable[..., dict[str, FakeSource]]) -> None:
    use(packages={})
    figures = {"seconds": 10, "build_bytes": 5_000, "output_bytes": 500, "memory_bytes": 7}
    root = make(tmp_path / "a", component(measured=figures))
    cache = Cache(tmp_path / "cache")
    before = pack.estimate(root, release.load(root), cache)
    assert before.disk_bytes == 5_500 + pack.TOOLCHAIN_BYTES + 2 * sum(
        pack.BASE[k] for k in ("build_bytes", "output_bytes")
    )
    assert before.seconds == 10 + 2 * pack.BASE["seconds"]
    assert len(before.missing) == 6
    run(root, tmp_path / "cache")
    assert pack.estimate(root, release.load(root), cache) == pack.Estimate(0, 0, 0, [])
    (root / "charts/hello/Chart.yaml").write_text("name: other\n")
    changed = pack.estimate(root, release.load(root), cache)
    assert (changed.seconds, changed.disk_bytes) == (1, 500), "nothing has to be built for a chart"


VICTIM = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.unit import test_pack
from ansible_collections.infn.kaap.plugins.module_utils import pack
def make(self, step):
    if step.kind == "image":
        print("making", flush=True)
        time.sleep(60)
    return test_pack.FakeSource.original(self, step)
test_pack.FakeSource.original = test_pack.FakeSource.make
test_pack.FakeSource.make = make
pack.SOURCES = {{"packages": lambda root, cache, work, progress: test_pack.FakeSource(cache)}}
test_pack.run(Path({tree!r}), Path({cache!r}))
"""


def test_killed_in_the_middle_the_next_run_goes_on(tmp_path: Path, use: Callable[..., dict[str, FakeSource]]) -> None:
    root = make(tmp_path / "a")
    text = VICTIM.format(root=str(ROOT), tree=str(root), cache=str(tmp_path / "cache"))
    env = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    victim = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, env=env)
    assert victim.stdout is not None
    assert victim.stdout.readline() == "making\n"
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not (root / "state").exists()
    use(packages={})
    result = run(root, tmp_path / "cache")
    assert result.made == ["image docker.io/example/hello:v1.2.3"]
    assert not list((tmp_path / "cache/tmp").iterdir())


def test_clean_removes_go_caches_only(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    module = tmp_path / "go/mod/m@v1"
    module.mkdir(parents=True)
    (module / "f").write_bytes(b"12345")
    module.chmod(0o555)
    (tmp_path / "go/toolchain").mkdir()
    assert pack.clean(cache) == 5
    assert not (tmp_path / "go/mod").exists()
    assert (tmp_path / "go/toolchain").is_dir()


def test_charts_bring_the_commands_that_render_and_tools_come_whole(
    tmp_path: Path, use: Callable[..., dict[str, FakeSource]]
) -> None:
    use(packages={})
    record = component()
    record["sources"]["packages"]["go"]["binaries"][0]["renders"] = True
    tool = {
        key: value for key, value in component(name="tool", images=[]).items() if key not in {"namespace", "render"}
    }
    root = make(tmp_path / "a", record, {**tool, "kind": "tool"})
    result = run(root, tmp_path / "cache", only={"charts"})
    assert {(a["component"], a["kind"]) for a in result.artefacts} == {
        ("hello", "chart"),
        ("hello", "binary"),
        ("tool", "chart"),
    }
    result = run(root, tmp_path / "cache", only={"tools"})
    assert {(a["component"], a["kind"]) for a in result.artefacts} == {("tool", "chart"), ("tool", "binary")}


def test_command_keeps_its_key_when_it_is_marked_as_rendering(tmp_path: Path) -> None:
    record = component()
    before = set(pack.plan(make(tmp_path / "a", record), {"hello": record})[0])
    record["sources"]["packages"]["go"]["binaries"][0]["renders"] = True
    assert set(pack.plan(make(tmp_path / "b", record), {"hello": record})[0]) == before


UPSTREAM: dict[str, Any] = {"name": "docker.io/acme/other", "tag": "v1"}


def test_image_of_upstream_cannot_be_had_unless_nodes_pull_it(
    tmp_path: Path, use: Callable[..., dict[str, FakeSource]]
) -> None:
    use(packages={})
    root = make(tmp_path / "a", component(images=[UPSTREAM]))
    with pytest.raises(pack.PackError) as caught:
        run(root, tmp_path / "cache")
    (problem,) = caught.value.problems
    assert problem.startswith("image docker.io/acme/other:v1: KaaP does not assemble this image")
    assert "set kaap_images to upstream" in problem
    assert {a["kind"] for a in run(root, tmp_path / "cache", pulled=True).artefacts} == {"binary", "chart"}


def test_image_that_another_record_assembles_is_not_upstreams(
    tmp_path: Path, use: Callable[..., dict[str, FakeSource]]
) -> None:
    use(packages={})
    same = {"name": "docker.io/example/hello", "tag": "v1.2.3"}
    root = make(tmp_path / "a", component(), component(name="user", images=[same]))
    images = [a for a in run(root, tmp_path / "cache").artefacts if a["kind"] == "image"]
    assert [image["component"] for image in images] == ["hello"]


def test_what_comes_from_git_asks_no_package_registry_and_takes_little(tmp_path: Path) -> None:
    made = from_git(images=[])
    made["sources"].pop("packages")
    made["render"] = {"manifests": ["all"]}
    root = make(tmp_path / "a", made, source())
    found = pack.estimate(root, release.load(root), Cache(tmp_path / "cache"))
    assert found == pack.Estimate(pack.TEXT_BYTES, pack.BASE["memory_bytes"], 1, found.missing, registries=False)
    assert pack.estimate(make(tmp_path / "b"), release.load(tmp_path / "b"), Cache(tmp_path / "c")).registries


def test_source_that_is_not_asked_for_is_named(tmp_path: Path) -> None:
    root = make(tmp_path / "a", from_git(images=[]), source())
    with pytest.raises(pack.PackError, match="it comes from a git repository; add git to kaap_sources"):
        run(root, tmp_path / "cache", only={"manifests"})
