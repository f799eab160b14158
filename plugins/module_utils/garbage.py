"""Garbage collection in the cache: bundles that nobody uses, and what only they needed.

Beside the layout that cache.py describes, the cache holds::

    uses/<digest>.json        keys of the steps that a bundle was made of; its time is that of the last pack
    deployments/<hash>.json   where the state of a deployment is that was packed from here

Whoever packs holds a shared lock; collecting takes it alone, or does nothing. What was touched within a day stays in
any case: a run of an older KaaP holds no lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import git_repository, gobuild
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache, canonical, digest_of

GRACE_SECONDS = 86400.0
LOCK = "collecting"
STAMP = "collected"


@dataclass
class Collected:
    """What was removed, in numbers, and what the cache holds now besides Go's caches and environments; bytes."""

    bundles: int = 0
    steps: int = 0
    files: int = 0
    environments: int = 0
    toolchains: int = 0
    clones: int = 0
    freed_bytes: int = 0
    kept_bytes: int = 0

    def __str__(self) -> str:
        """Return it as one line."""
        parts = {name: count for name, count in asdict(self).items() if count and not name.endswith("_bytes")}
        gone = ", ".join(f"{count} {name if count > 1 else name[:-1]}" for name, count in parts.items())
        size = f"artefacts in the cache: {self.kept_bytes / 1e9:.1f} GB"
        return f"{size}; removed what nobody uses: {gone} ({self.freed_bytes / 1e9:.2f} GB)" if gone else size


@contextlib.contextmanager
def packing(cache: Cache) -> Iterator[None]:
    """Keeps everything in the cache where it is; waits while somebody collects, which takes about a second."""
    with (cache.locks / LOCK).open("a", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def _alone(cache: Cache) -> Iterator[bool]:
    """Tells whether nobody packs, and keeps it so."""
    with (cache.locks / LOCK).open("a", encoding="ascii") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def record(cache: Cache, digest: str, keys: Iterable[str], state_dir: Path | None) -> None:
    """Notes that a bundle was packed just now, what it was made of, and whose it is.

    Args:
        cache: where it is.
        digest: of the bundle.
        keys: of the steps it was made of.
        state_dir: directory of the deployment that holds its bundle.json; None for none.
    """
    entries: dict[Path, Any] = {cache.root / "uses" / f"{digest}.json": sorted(keys)}
    if state_dir:
        name = digest_of(str(state_dir.absolute()))[:32]
        entries[cache.root / "deployments" / f"{name}.json"] = str(state_dir.absolute())
    for path, content in entries.items():
        path.parent.mkdir(exist_ok=True)
        scratch = cache.scratch_name()
        scratch.write_bytes(canonical(content))
        scratch.replace(path)


def _json(path: Path) -> Any:
    """Returns what a JSON file holds, None when it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def deployments(cache: Cache) -> dict[Path, str]:
    """Returns the states of deployments that still have a bundle from here, and its digest."""
    found = {}
    for path in sorted((cache.root / "deployments").glob("*.json")):
        state = Path(str(_json(path)))
        manifest = _json(state / "bundle.json")
        if isinstance(manifest, dict) and manifest.get("digest"):
            found[state] = str(manifest["digest"])
    return found


def kept(last_use: Mapping[str, float], used: Iterable[str], newest: int, since: float) -> set[str]:
    """Returns the bundles that stay.

    Args:
        last_use: digest to the time of its last pack, in seconds since the epoch.
        used: digests of those that deployments use.
        newest: how many of the others stay, the last used first.
        since: what was used after this time stays, too.
    """
    stay = {digest for digest in used if digest in last_use}
    others = sorted((d for d in last_use if d not in stay), key=lambda d: (-last_use[d], d))
    return stay | set(others[:newest]) | {d for d in others if last_use[d] > since}


def repositories(root: Path) -> set[str] | None:
    """Returns the addresses of git repositories that a clone's records name; None when one cannot be read."""
    found = set()
    for path in (root / "release/sources").glob("*.yml"):
        try:
            found.add(str(yaml.safe_load(path.read_text(encoding="utf-8"))["git"]["repository"]))
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
            return None
    return found


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def due(cache: Cache, now: float) -> bool:
    """Whether nobody collected for a day."""
    return now - _mtime(cache.root / STAMP) > GRACE_SECONDS


class Collector:
    """One collection.

    Args:
        cache: the user's cache.
        root: the repository that collects; its environments and toolchain stay, like those of all deployments.
        newest: how many bundles stay that no deployment uses.
        now: seconds since the epoch.
    """

    def __init__(self, cache: Cache, root: Path, newest: int, now: float | None = None) -> None:
        self.cache = cache
        self.newest = newest
        self.since = (time.time() if now is None else now) - GRACE_SECONDS
        self.deployments = deployments(cache)
        # The state of a deployment is in .kaap/<inventory> of its clone.
        self.roots = {root, *(state.parents[1] for state in self.deployments)}
        self.done = Collected()

    def run(self) -> Collected | None:
        """Removes what is not needed; returns None and removes nothing while somebody packs."""
        with _alone(self.cache) as alone:
            if not alone:
                return None
            self._bundles()
            steps = self._steps()
            self._blobs(steps)
            self._deployments()
            self._environments()
            self._toolchains()
            self._clones()
            (self.cache.root / STAMP).touch()
        return self.done

    def _old(self, path: Path) -> bool:
        return _mtime(path) <= self.since

    def _bundles(self) -> None:
        """Removes trees, and the records of those that are gone."""
        trees = {path.name: path for path in (self.cache.root / "bundles").iterdir()}
        uses = {path.stem: path for path in (self.cache.root / "uses").glob("*.json")}
        last = {digest: max(_mtime(path), _mtime(uses.get(digest, path))) for digest, path in trees.items()}
        self.bundles = kept(last, self.deployments.values(), self.newest, self.since)
        for digest in sorted(set(trees) - self.bundles):
            # By rename first: a tree that is there is whole, also when this is killed.
            doomed = self.cache.scratch_name()
            trees[digest].rename(doomed)
            self.done.freed_bytes += _own_bytes(doomed)
            shutil.rmtree(doomed)
            self.done.bundles += 1
        for digest in sorted(set(uses) - self.bundles):
            uses[digest].unlink()

    def _steps(self) -> set[str]:
        """Removes the entries of steps that no bundle is made of, with their locks; returns the blobs of the others."""
        wanted: set[str] = set()
        for digest in self.bundles:
            wanted.update(_json(self.cache.root / "uses" / f"{digest}.json") or [])
        blobs: set[str] = set()
        for path in list(self.cache.keys.glob("*.json")):
            if path.stem in wanted or not self._old(path):
                blobs.update((_json(path) or {}).get("blobs", {}))
                continue
            path.unlink()
            (self.cache.locks / path.stem).unlink(missing_ok=True)
            self.done.steps += 1
        return blobs

    def _blobs(self, wanted: set[str]) -> None:
        """Removes blobs that no step names; one that a tree holds would free nothing."""
        for path in list(self.cache.blobs.iterdir()):
            about = path.stat()
            if path.name in wanted or about.st_nlink > 1 or about.st_mtime > self.since:
                self.done.kept_bytes += about.st_size
                continue
            path.unlink()
            self.done.files += 1
            self.done.freed_bytes += about.st_size

    def _deployments(self) -> None:
        """Forgets deployments that are gone."""
        for path in list((self.cache.root / "deployments").glob("*.json")):
            if Path(str(_json(path))) not in self.deployments and self._old(path):
                path.unlink()

    def _environments(self) -> None:
        """Removes Python environments that no lock of a known clone asks for."""
        for path in sorted((self.cache.root / "env").glob("*-*")):
            # scripts/environment touches the mark at every use.
            mark = path / ".complete"
            if not path.is_dir() or not self._old(mark if mark.exists() else path):
                continue
            version = _python_version(path)
            if any(path.name.endswith(f"-{environment_key(lock, version)}") for lock in self._locks()):
                continue
            lock = path.with_name(path.name + ".lock")
            with lock.open("a", encoding="ascii") as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                mark.unlink(missing_ok=True)
                self._remove(path)
                lock.unlink()
            self.done.environments += 1

    def _locks(self) -> Iterator[Path]:
        for root in self.roots:
            yield from root.glob("requirements/*.txt")
            yield from root.glob("*/*/requirements/*.txt")

    def _toolchains(self) -> None:
        wanted = {gobuild.toolchain_key(root) for root in self.roots if (root / gobuild.LOCK).is_file()}
        for path in sorted((self.cache.root / "go" / "toolchain").glob("*")):
            if path.is_dir() and path.name not in wanted and self._old(path):
                self._remove(path)
                self.done.toolchains += 1

    def _clones(self) -> None:
        """Removes clones of repositories that no record of a known release names."""
        named = [repositories(root) for root in self.roots]
        if None in named:
            return
        wanted = {git_repository.clone_name(url) for urls in named for url in urls or ()}
        for path in sorted((self.cache.root / git_repository.CLONES).glob("*.git")):
            lock = self.cache.locks / git_repository.clone_lock(path.stem)
            if path.stem in wanted or not self._old(lock if lock.exists() else path):
                continue
            # By rename first: a clone that is there is whole, also when this is killed.
            doomed = self.cache.scratch_name()
            path.rename(doomed)
            self._remove(doomed)
            lock.unlink(missing_ok=True)
            self.done.clones += 1

    def _remove(self, tree: Path) -> None:
        self.done.freed_bytes += _own_bytes(tree)
        shutil.rmtree(tree)


def _own_bytes(tree: Path) -> int:
    """Returns the bytes of the files that have no other name than that in the tree."""
    files = (path.lstat() for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(about.st_size for about in files if about.st_nlink == 1)


def _python_version(environment: Path) -> str:
    """Returns the version of Python that an environment was made with, empty when it does not say."""
    try:
        lines = (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    pairs = [line.partition("=") for line in lines]
    return next((value.strip() for name, _, value in pairs if name.strip() == "version"), "")


def environment_key(lock: Path, version: str) -> str:
    """Returns what scripts/environment calls the environment of a lock under a version of Python."""
    return hashlib.sha256(lock.read_bytes() + version.encode()).hexdigest()[:16]
