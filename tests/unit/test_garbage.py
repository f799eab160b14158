"""Garbage collection: what somebody uses stays whole, what nobody uses goes, and nobody is disturbed at work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import bundle as bundles
from ansible_collections.infn.kaap.plugins.module_utils import garbage, git_repository, gobuild
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache
from ansible_collections.infn.kaap.plugins.module_utils.git_repository import Repository

ROOT = Path(__file__).resolve().parents[2]
DAY = 86400
PACKER = """
import sys, time
from pathlib import Path
from ansible_collections.infn.kaap.plugins.module_utils import garbage, gobuild
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache
with garbage.packing(Cache(Path(sys.argv[1]))):
    print("packing", flush=True)
    time.sleep(60)
"""


def later(days: float = 2) -> float:
    """A time when nothing that the tests made is new any more."""
    return time.time() + days * DAY


def make_root(path: Path) -> Path:
    """A clone with nothing but its locks."""
    (path / "requirements").mkdir(parents=True)
    (path / "requirements/kaap.txt").write_text(f"of {path.name}")
    (path / "requirements/go.txt").write_text("go")
    return path


class House:
    """A cache, a clone, and what was packed there."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.cache = Cache(place / "cache")
        self.root = make_root(place / "clone")

    def pack(self, release: str, contents: dict[str, bytes], state: Path | None = None, age: float = 0) -> str:
        """Makes one step per content and a bundle of them; returns its digest."""
        bundle = bundles.Bundle()
        keys = []
        for name, content in contents.items():
            sha256, size = self.cache.add_bytes(content)
            keys.append(f"{name}-{sha256[:8]}")
            self.cache.put(keys[-1], {"x": sha256}, {sha256: size}, 1.0)
            bundle.files[f"bin/{name}"] = (sha256, True)
        with self.cache.workspace() as work:
            path, manifest, _ = bundles.write(self.cache, bundle, release, work)
        digest = str(manifest["digest"])
        if state:
            bundles.save_manifest(manifest, state)
        garbage.record(self.cache, digest, keys, state)
        for touched in (path, self.cache.root / "uses" / f"{digest}.json"):
            os.utime(touched, (time.time() - age, time.time() - age))
        return digest

    def collect(self, newest: int = 0, now: float | None = None) -> garbage.Collected:
        """Collects as if days had passed."""
        found = garbage.Collector(self.cache, self.root, newest, later() if now is None else now).run()
        assert found is not None
        return found

    def trees(self) -> set[str]:
        """Digests of the bundles that are there."""
        return {path.name for path in (self.cache.root / "bundles").iterdir()}


@pytest.fixture
def house(tmp_path: Path) -> House:
    """An empty one."""
    return House(tmp_path)


OLD = {"shared": b"s" * 100, "tool": b"old" * 50}
NEW = {"shared": b"s" * 100, "tool": b"new" * 50}


def test_of_two_bundles_that_share_a_blob_the_unused_goes_and_the_blob_stays(house: House) -> None:
    old = house.pack("1", OLD)
    new = house.pack("2", NEW, house.root / ".kaap/embedded")
    only_old = house.cache.add_bytes(OLD["tool"])[0]
    shared = house.cache.add_bytes(OLD["shared"])[0]
    done = house.collect()
    assert house.trees() == {new} and old != new
    assert not house.cache.blob(only_old).exists()
    assert house.cache.blob(shared).read_bytes() == OLD["shared"]
    assert (house.cache.root / "bundles" / new / "bin/shared").read_bytes() == OLD["shared"]
    assert (done.bundles, done.steps, done.files) == (1, 1, 1)
    # The blob, and the manifest in the tree that was removed
    assert done.freed_bytes > 150
    assert done.kept_bytes == 100 + 150
    assert {path.stem.partition("-")[0] for path in house.cache.keys.iterdir()} == {"shared", "tool"}
    assert house.cache.get(f"shared-{shared[:8]}") == {"x": shared}
    assert not (house.cache.root / "uses" / f"{old}.json").exists()


def test_what_a_step_made_stays_though_no_tree_holds_it(house: House) -> None:
    """A command is in a layer of an image; it is there for the next version of the image."""
    sha256, size = house.cache.add_bytes(b"a command")
    house.cache.put("inner", {"x": sha256}, {sha256: size}, 1.0)
    digest = house.pack("1", OLD, house.root / ".kaap/embedded")
    garbage.record(house.cache, digest, ["inner"], None)
    house.collect()
    assert house.cache.get("inner") == {"x": sha256}


def test_collecting_again_finds_nothing(house: House) -> None:
    house.pack("1", OLD)
    house.pack("2", NEW, house.root / ".kaap/embedded")
    house.collect()
    done = house.collect()
    assert (done.bundles, done.steps, done.files, done.freed_bytes) == (0, 0, 0, 0)
    assert str(done) == "artefacts in the cache: 0.0 GB"


def test_a_bundle_stays_as_long_as_the_state_of_its_deployment(house: House) -> None:
    state = make_root(house.place / "other") / ".kaap/embedded"
    old = house.pack("1", OLD, state, age=30 * DAY)
    house.pack("2", NEW, age=10 * DAY)
    house.collect()
    assert house.trees() == {old}
    # scripts/destroy takes bundle.json away.
    (state / "bundle.json").unlink()
    assert "1 bundle," in str(house.collect())
    assert house.trees() == set()
    assert list(house.cache.blobs.iterdir()) == []
    assert list((house.cache.root / "deployments").iterdir()) == []


def test_a_deployment_that_moved_on_gives_its_old_bundle_free(house: House) -> None:
    state = house.root / ".kaap/embedded"
    house.pack("1", OLD, state)
    new = house.pack("2", NEW, state)
    house.collect()
    assert house.trees() == {new}


def test_the_newest_that_nobody_uses_stay() -> None:
    last = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 50.0}
    assert garbage.kept(last, ["a", "gone"], 2, since=9.0) == {"a", "d", "e"}
    assert garbage.kept(last, [], 0, since=9.0) == {"e"}
    assert garbage.kept(last, [], 0, since=99.0) == set()


def test_what_was_touched_within_a_day_stays(house: House) -> None:
    digest = house.pack("1", OLD)
    house.cache.add_bytes(b"a step that is being made has put this here")
    done = house.collect(now=time.time())
    assert house.trees() == {digest}
    assert (done.bundles, done.steps, done.files) == (0, 0, 0)


def test_a_tree_without_a_record_keeps_its_blobs(house: House) -> None:
    digest = house.pack("1", OLD)
    (house.cache.root / "uses" / f"{digest}.json").unlink()
    house.collect(newest=1)
    assert house.trees() == {digest}
    assert len(list(house.cache.blobs.iterdir())) == 2


def test_nothing_is_removed_while_somebody_packs(house: House) -> None:
    digest = house.pack("1", OLD)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    command = [sys.executable, "-c", PACKER, str(house.cache.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as packer:
        assert packer.stdout and packer.stdout.readline() == "packing\n"
        assert garbage.Collector(house.cache, house.root, 0, later()).run() is None
        assert house.trees() == {digest}
        packer.kill()
    house.collect()
    assert house.trees() == set()


def test_two_may_pack_at_once(house: House) -> None:
    with garbage.packing(house.cache), garbage.packing(house.cache):
        assert garbage.Collector(house.cache, house.root, 0, later()).run() is None


def test_it_is_due_once_a_day(house: House) -> None:
    assert garbage.due(house.cache, time.time())
    house.collect()
    assert not garbage.due(house.cache, time.time())
    assert garbage.due(house.cache, later())


def make_environment(house: House, name: str) -> Path:
    """An environment as scripts/environment leaves it."""
    path = house.cache.root / "env" / name
    path.mkdir(parents=True)
    (path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.2\n")
    (path / ".complete").touch()
    (path / "module").write_bytes(b"x" * 1000)
    path.with_name(f"{name}.lock").touch()
    return path


def test_environments_stay_while_a_known_clone_has_their_lock(house: House) -> None:
    other = make_root(house.place / "other")
    house.pack("1", OLD, other / ".kaap/embedded")
    wanted = [
        make_environment(house, f"kaap-{garbage.environment_key(root / 'requirements/kaap.txt', '3.11.2')}")
        for root in (house.root, other)
    ]
    stale = make_environment(house, "kaap-0123456789abcdef")
    other_python = make_environment(
        house, f"kaap-{garbage.environment_key(house.root / 'requirements/kaap.txt', '3.12.1')}"
    )
    done = house.collect()
    assert all((path / ".complete").exists() for path in wanted)
    assert not stale.exists() and not stale.with_name(stale.name + ".lock").exists()
    assert not other_python.exists()
    assert done.environments == 2 and done.freed_bytes > 2000


def test_the_key_of_an_environment_is_the_one_of_scripts_environment() -> None:
    """The script that makes environments prints their path."""
    place = subprocess.run(
        [ROOT / "scripts/environment", "test"], check=True, capture_output=True, text=True
    ).stdout.strip()
    version = garbage._python_version(Path(place))
    key = garbage.environment_key(ROOT / "requirements/test.txt", version)
    assert Path(place).name == f"test-{key}"
    assert time.time() - (Path(place) / ".complete").stat().st_mtime < 60


def test_toolchains_that_no_known_clone_asks_for_go(house: House) -> None:
    for name in (gobuild.toolchain_key(house.root), "0123"):
        (house.cache.root / "go/toolchain" / name).mkdir(parents=True)
    assert house.collect().toolchains == 1
    assert not (house.cache.root / "go/toolchain/0123").exists()


def make_clone(house: House, name: str) -> Path:
    """A clone of a repository of upstream, with its lock, as a pack leaves them."""
    path = house.cache.root / "git" / f"{name}.git"
    (path / "objects").mkdir(parents=True)
    (path / "objects/pack").write_bytes(b"x" * 1000)
    (house.cache.locks / f"git-{name}").touch()
    return path


def name_repository(root: Path, name: str, url: str) -> Path:
    """A source record of a clone."""
    path = root / "release/sources" / f"{name}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"kind: source\ngit:\n  repository: {url}\n")
    return path


def test_clones_of_repositories_that_no_known_release_names_go(house: House) -> None:
    other = make_root(house.place / "other")
    house.pack("1", OLD, other / ".kaap/embedded")
    name_repository(house.root, "here", "https://example.org/a/here.git")
    name_repository(other, "there", "https://example.org/a/there")
    wanted = [make_clone(house, f"example.org+a+{name}") for name in ("here", "there")]
    gone = make_clone(house, "example.org+a+gone")
    assert house.collect(now=time.time()).clones == 0, "somebody used it just now"
    done = house.collect()
    assert all(path.is_dir() for path in wanted)
    assert not gone.exists() and not (house.cache.locks / "git-example.org+a+gone").exists()
    assert done.clones == 1 and done.freed_bytes >= 1000
    assert "1 clone " in str(done)


def test_clones_stay_while_a_record_cannot_be_read(house: House) -> None:
    path = name_repository(house.root, "here", "https://example.org/a/here")
    path.write_text("git: [")
    unknown = make_clone(house, "example.org+a+here")
    assert house.collect().clones == 0
    assert unknown.is_dir()


def test_a_clone_is_collected_under_the_name_that_it_was_made_with(house: House) -> None:
    """The record of this release, and the clone that packing it makes."""
    (url, *_) = sorted(garbage.repositories(ROOT) or ())
    assert Repository(house.cache, url, print).path.stem == git_repository.clone_name(url)


def test_a_collection_that_was_killed_leaves_no_half_tree(house: House) -> None:
    """A tree is renamed before it is removed; the next pack sweeps what is left of it."""
    doomed = house.cache.scratch_name()
    (doomed / "bin").mkdir(parents=True)
    os.utime(doomed, (0, 0))
    with house.cache.workspace() as work:
        assert work.exists() and not doomed.exists()


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    """scripts/destroy --purge of a clone in which nothing was deployed, over the house's cache."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/destroy", tmp_path / "scripts/destroy")
    (tmp_path / "scripts/play").write_text("#!/bin/sh\n")
    (tmp_path / "scripts/play").chmod(0o755)
    return [str(tmp_path / "scripts/destroy"), "--purge"]


def test_purge_takes_the_cache_only_when_nobody_else_uses_it(house: House, script: list[str]) -> None:
    environment = {**os.environ, "KAAP_CACHE": str(house.cache.root)}
    state = make_root(house.place / "other") / ".kaap/embedded"
    house.pack("1", OLD, state)
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and f"the deployment of {state} uses it" in done.stderr
    (state / "bundle.json").unlink()
    with garbage.packing(house.cache):
        done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 3 and "another run is packing" in done.stderr
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Removing the cache" in done.stdout
    assert not house.cache.root.exists()


def test_purge_leaves_no_empty_directory_of_states(house: House, script: list[str]) -> None:
    environment = {**os.environ, "KAAP_CACHE": str(house.cache.root)}
    other = house.place / ".kaap/other"
    other.mkdir(parents=True)
    subprocess.run(script, env=environment, check=True)
    assert other.is_dir(), "the state of another inventory stays"
    other.rmdir()
    subprocess.run(script, env=environment, check=True)
    assert not other.parent.exists()


def test_what_a_pack_recorded_is_json_that_the_script_reads(house: House) -> None:
    """One string in quotes."""
    house.pack("1", OLD, house.root / ".kaap/embedded")
    (path,) = (house.cache.root / "deployments").iterdir()
    assert json.loads(path.read_text()) == str(house.root / ".kaap/embedded")
