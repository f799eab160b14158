"""pack: brings the artefacts of a release into the cache and makes a bundle of them.

First everything is looked for (and downloaded), then everything is built: what cannot be had is
named at once, all of it, and before any machine is touched.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import bundle as bundles
from ansible_collections.infn.kaap.plugins.module_utils import gobuild
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache, Outputs
from ansible_collections.infn.kaap.plugins.module_utils.git_source import GitSource
from ansible_collections.infn.kaap.plugins.module_utils.package_source import PackageSource, UnavailableError
from ansible_collections.infn.kaap.plugins.module_utils.registry_clients import CommandError
from ansible_collections.infn.kaap.plugins.module_utils.release import Record
from ansible_collections.infn.kaap.plugins.module_utils.steps import CONTENT, TOOLS, Planner, Step

Progress = Callable[[str], None]
# Of a record without measured figures.
UNMEASURED = {"seconds": 120, "build_bytes": 1_000_000_000, "output_bytes": 150_000_000, "memory_bytes": 2_000_000_000}
BASE = {"seconds": 40, "build_bytes": 500_000_000, "output_bytes": 120_000_000, "memory_bytes": 300_000_000}
TOOLCHAIN_BYTES = 350_000_000
# Kinds of steps that download and build; the others copy.
EXPENSIVE = {"go", "wheels", "rootfs"}
# Kinds of steps that ask no package registry.
ELSEWHERE = {"git", "upstream"}
# Charts and manifests of one record.
TEXT_BYTES = 5_000_000
# Why a step cannot be made when no source of kaap_sources knows its kind.
NOBODY = {
    "git": "it comes from a git repository; add git to kaap_sources",
    "upstream": (
        "KaaP does not assemble this image and no source of kaap_sources fetches images; set kaap_images to upstream, "
        "so that nodes pull it themselves, or pack only charts and manifests (kaap_pack_only)"
    ),
}
WORKERS = 2


class PackError(Exception):
    """Something cannot be had or made.

    Attributes:
        problems: one sentence each.
    """

    def __init__(self, what: str, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__(what + "\n" + "\n".join(f"  - {p}" for p in self.problems))


class Source(Protocol):
    """A place that artefacts come from; kaap_sources names them in the order in which they are tried.

    Attributes:
        name: as in kaap_sources.
        kinds: kinds of steps that it makes.
    """

    name: str
    kinds: frozenset[str]

    def resolve(self, step: Step) -> None:
        """Finds out, downloading what is needed, whether a step can be made; raises UnavailableError."""

    def make(self, step: Step) -> tuple[Outputs, dict[str, int]]:
        """Makes a step; returns its outputs and the blobs they name with their sizes."""


SOURCES: dict[str, Callable[[Path, Cache, Path, Progress], Source]] = {"packages": PackageSource, "git": GitSource}


@dataclass
class Result:
    """What pack did.

    Attributes:
        changed: whether anything was made or the deployment's bundle is another one now.
        bundle_dir: path of the bundle's tree, empty in check mode when it is not there.
        digest: of the bundle.
        made: titles of the steps that were made, or would be in check mode.
        seconds: title to wall time, of those made now.
        artefacts: the bundle's artefacts.
        keys: of the steps that the bundle is made of.
    """

    changed: bool = False
    bundle_dir: str = ""
    digest: str = ""
    made: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    artefacts: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Estimate:
    """What packing still needs.

    Attributes:
        disk_bytes: room needed in the cache while packing.
        memory_bytes: memory needed at once.
        seconds: wall time on two cores.
        missing: titles of what the cache lacks.
        registries: whether some of it comes from package registries.
    """

    disk_bytes: int
    memory_bytes: int
    seconds: int
    missing: list[str]
    registries: bool = False


def plan(
    root: Path, records: Mapping[str, Record], only: set[str] | None = None, *, pulled: bool = False
) -> tuple[dict[str, Step], dict[str, list[str]]]:
    """All steps of some records.

    Args:
        root: the repository.
        records: what is wanted, with the sources that it refers to.
        only: kinds of content, all when empty.
        pulled: nodes pull images of upstream themselves.

    Returns:
        Key to step in an order in which they can be made, and name of record to keys of its own steps.

    Raises:
        PackError: for an unknown kind of content.
    """
    if wrong := sorted((only or set()) - {*CONTENT, TOOLS}):
        known = ", ".join(sorted({*CONTENT, TOOLS}))
        raise PackError("kaap_pack_only is wrong:", [f"{', '.join(wrong)}: known are {known}"])
    planner = Planner(root, only, records, pulled=pulled)
    steps: dict[str, Step] = {}
    owned: dict[str, list[str]] = {}
    for name, record in records.items():
        own = planner.plan(record)
        owned[name] = [s.key for s in own]
        for step in own:
            steps.setdefault(step.key, step)
    return steps, owned


def estimate(
    root: Path, records: Mapping[str, Record], cache: Cache, only: set[str] | None = None, *, pulled: bool = False
) -> Estimate:
    """Disk, memory and time that packing needs for what the cache lacks; builds and downloads nothing.

    Args:
        root: the repository.
        records: those that the deployment uses, see release.select.
        cache: the user's cache.
        only: kinds of content, all when empty.
        pulled: nodes pull images of upstream themselves.
    """
    steps, _ = plan(root, records, only, pulled=pulled)
    missing = [s for s in steps.values() if cache.get(s.key) is None]
    disk = seconds = memory = 0
    for name in dict.fromkeys(step.record for step in missing):
        own = [step for step in missing if step.record == name]
        figures: Mapping[str, int]
        if not name:
            figures = {key: value * len(own) for key, value in BASE.items()}
        else:
            figures = records[name].get("measured", UNMEASURED)
            if not any(step.kind in EXPENSIVE for step in own):
                cheap = {"seconds": len(own), "build_bytes": 0, "memory_bytes": BASE["memory_bytes"]}
                if all(step.kind in ELSEWHERE for step in own):
                    cheap["output_bytes"] = TEXT_BYTES
                figures = {**figures, **cheap}
        disk += figures["build_bytes"] + figures["output_bytes"]
        seconds += figures["seconds"]
        memory = max(memory, figures["memory_bytes"])
    if any(s.kind == "go" for s in missing) and not toolchain_there(root, cache):
        disk += TOOLCHAIN_BYTES
    registries = any(step.kind not in ELSEWHERE for step in missing)
    return Estimate(disk, memory, seconds, [s.title for s in missing], registries)


def toolchain_there(root: Path, cache: Cache) -> bool:
    """Whether the Go toolchain is in the cache."""
    return (cache.root / "go" / "toolchain" / gobuild.toolchain_key(root)).is_dir()


def version(root: Path) -> str:
    """Version of the release, that of the collection."""
    return str(yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["version"])


class Packer:
    """One run of pack.

    Args:
        root: the repository.
        cache: the user's cache.
        order: names of sources, tried in this order.
        progress: told one line per event.
    """

    def __init__(self, root: Path, cache: Cache, order: Sequence[str], progress: Progress) -> None:
        unknown = [name for name in order if name not in SOURCES]
        if unknown or not order:
            raise PackError(
                "kaap_sources is wrong:",
                [f"{', '.join(unknown) or 'an empty list'}: this release knows the sources {', '.join(SOURCES)}"],
            )
        self.root = root
        self.cache = cache
        self.order = list(order)
        self.progress = progress

    def run(
        self,
        records: Mapping[str, Record],
        state_dir: Path | None,
        *,
        only: set[str] | None = None,
        pulled: bool = False,
        check: bool = False,
    ) -> Result:
        """Makes what is missing and writes the bundle.

        Args:
            records: what is wanted.
            state_dir: directory of the deployment that gets bundle.json; None for none.
            only: kinds of content, all when empty.
            pulled: nodes pull images of upstream themselves.
            check: only say what would be done.

        Raises:
            PackError: with everything that cannot be had, or the first thing that could not be made.
        """
        steps, owned = plan(self.root, records, only, pulled=pulled)
        missing = [s for s in steps.values() if self.cache.get(s.key) is None]
        result = Result(made=[s.title for s in missing], keys=list(steps))
        if check and missing:
            result.changed = True
            return result
        with self.cache.workspace() as work:
            used = self._make_all(missing, records, work, result)
            bundle = bundles.Bundle()
            collector = bundles.Collector(bundle)
            for name, keys in owned.items():
                for key in keys:
                    outputs = self.cache.get(key)
                    if outputs is None:
                        raise PackError("The cache lost entries while packing:", [steps[key].title])
                    collector.add(records[name], steps[key], outputs, used.get(key) or self._usual(steps[key]))
            if check:
                manifest = bundle.manifest(version(self.root))
                path = self.cache.root / "bundles" / manifest["digest"]
                new = not (path / "bundle.json").is_file()
            else:
                path, manifest, new = bundles.write(self.cache, bundle, version(self.root), work)
        result.bundle_dir, result.digest = str(path), manifest["digest"]
        result.artefacts = manifest["artefacts"]
        result.changed = bool(missing) or new
        if state_dir and not check and bundles.save_manifest(manifest, state_dir):
            result.changed = True
        return result

    def _usual(self, step: Step) -> str:
        """Name of the source that makes such a step, of one that is in the cache already."""
        makers = [name for name in self.order if step.kind in getattr(SOURCES[name], "kinds", {step.kind})]
        return next(iter(makers), self.order[0])

    def _make_all(
        self, missing: list[Step], records: Mapping[str, Record], work: Path, result: Result
    ) -> dict[str, str]:
        """Resolves, then makes; returns key to name of the source used."""
        if not missing:
            return {}
        sources = [SOURCES[name](self.root, self.cache, work, self.progress) for name in self.order]
        chosen = self._resolve_all(missing, sources)
        Schedule(self, missing, records, chosen, result).run()
        return {key: source.name for key, source in chosen.items()}

    def _resolve_all(self, missing: list[Step], sources: Sequence[Source]) -> dict[str, Source]:
        self.progress(f"{len(missing)} artefacts are not in the cache; looking for them in the registries")
        chosen: dict[str, Source] = {}
        lacking: dict[str, list[str]] = {}

        def look(step: Step) -> None:
            reasons = []
            makers = [source for source in sources if step.kind in source.kinds]
            if not makers:
                reasons.append(NOBODY.get(step.kind, f"no source of {', '.join(self.order)} makes it"))
            for source in makers:
                try:
                    source.resolve(step)
                except UnavailableError as error:
                    reasons += [f"{source.name}: {reason}" for reason in error.reasons]
                else:
                    chosen[step.key] = source
                    return
            for reason in reasons:
                lacking.setdefault(reason, []).append(step.title)

        with ThreadPoolExecutor(WORKERS) as pool:
            for done in [pool.submit(look, step) for step in missing]:
                done.result()
        if lacking:
            titles = {title for found in lacking.values() for title in found}
            problems = sorted(f"{', '.join(sorted(found))}: {reason}" for reason, found in lacking.items())
            raise PackError(f"{len(titles)} of {len(missing)} artefacts cannot be had:", problems)
        return chosen


class Schedule:
    """Makes steps, two at a time; Go builds one after the other, because one fills both cores and much memory."""

    def __init__(
        self,
        packer: Packer,
        missing: list[Step],
        records: Mapping[str, Record],
        chosen: Mapping[str, Source],
        result: Result,
    ) -> None:
        self.packer = packer
        self.records = records
        self.chosen = chosen
        self.result = result
        self.waiting = list(missing)
        self.total = len(missing)
        self.begun = 0
        self.mutex = threading.Lock()

    def run(self) -> None:
        """Makes them all.

        Raises:
            PackError: for the first that fails; what was made until then stays in the cache.
        """
        running: dict[Future[None], Step] = {}
        with ThreadPoolExecutor(WORKERS) as pool:
            while self.waiting or running:
                while len(running) < WORKERS and (step := self._next(list(running.values()))):
                    running[pool.submit(self._make, step)] = step
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    step = running.pop(future)
                    try:
                        future.result()
                    except (CommandError, UnavailableError, ValueError, OSError) as error:
                        self.waiting.clear()
                        raise PackError("Packing failed:", [f"{step.title}: {error}"]) from error

    def _next(self, running: list[Step]) -> Step | None:
        open_keys = {s.key for s in (*self.waiting, *running)}
        building = any(s.kind == "go" for s in running)
        for step in self.waiting:
            if not open_keys.intersection(step.needs) and not (building and step.kind == "go"):
                self.waiting.remove(step)
                return step
        return None

    def _make(self, step: Step) -> None:
        cache = self.packer.cache
        with self.mutex:
            self.begun += 1
            place = f"[{self.begun}/{self.total}]"

        def waiting(pid: str) -> None:
            self.packer.progress(f"{place} waiting for process {pid}, which makes {step.title}")

        with cache.lock(step.key, waiting):
            if cache.get(step.key) is not None:
                return
            record = self.records.get(step.record, {})
            about = record.get("measured", {}).get("seconds", 0) if step.kind == "go" else 0
            hint = f" (about {about} s)" if about else ""
            self.packer.progress(f"{place} making {step.title}{hint}")
            start = time.monotonic()
            outputs, blobs = self.chosen[step.key].make(step)
            seconds = time.monotonic() - start
            cache.put(step.key, outputs, blobs, seconds)
            self.result.seconds[step.title] = round(seconds, 1)


def clean(cache: Cache) -> int:
    """Removes Go's module and build cache, which only speed up the next build of another version.

    Returns:
        Bytes freed.
    """
    freed = 0
    for name in ("mod", "build"):
        directory = cache.root / "go" / name
        for path in directory.rglob("*"):
            if path.is_file() and not path.is_symlink():
                freed += path.stat().st_size
            elif path.is_dir():
                # The module cache is read-only where an older Go made it.
                path.chmod(0o755)
        shutil.rmtree(directory, ignore_errors=True)
    return freed
