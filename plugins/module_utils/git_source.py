"""The source ``git``: charts and manifests of upstream repositories, each at one commit.

A kustomization is taken with all that it leads to, and with nothing else. What it would fetch while it is built is
replaced by a local copy of what the record names instead, so that a build needs no network. In the bundle, files lie
where they lie upstream, below the name of their source::

    manifests/<record>/<name>/kustomization.yaml    leads to what was asked for
    manifests/<record>/<name>/<source>/<path>       files of that repository
    manifests/<record>/<name>/_instead/<hash>/      a file, or plain directory, that stands in for a remote base
    charts/<record>/<name>/                         the chart, with its dependencies in charts/
    licences/<source>/                              texts of each repository
"""

from __future__ import annotations

import fnmatch
import hashlib
import posixpath
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import charts, kustomizations
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache, Outputs
from ansible_collections.infn.kaap.plugins.module_utils.git_repository import (
    DamageError,
    Entry,
    GitError,
    Progress,
    Repository,
)
from ansible_collections.infn.kaap.plugins.module_utils.gobuild import LICENCE_NAME
from ansible_collections.infn.kaap.plugins.module_utils.kustomizations import KustomizationError, Reference
from ansible_collections.infn.kaap.plugins.module_utils.package_source import UnavailableError
from ansible_collections.infn.kaap.plugins.module_utils.steps import Step

Spec = Mapping[str, Any]
MANIFESTS = (".yaml", ".yml", ".json")
NOTHING = "_nothing"
INSTEAD = "_instead"
NONE = "none"
# Charts of the first generation name their dependencies in a file of its own.
DESCRIPTIONS = ("Chart.yaml", "requirements.yaml")
LOCKS = ("Chart.lock", "requirements.lock")


@dataclass
class Content:
    """What one chart or manifest of the bundle consists of.

    Attributes:
        files: path to source and id of what is taken as it is.
        texts: path to the content of what is made or changed here.
    """

    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)


class Tree:
    """A directory of one source, at its commit.

    Args:
        source: name of the source.
        repository: its repository.
        commit: its commit, fetched already.
        top: path of the directory; nothing outside of it is taken.
    """

    def __init__(self, source: str, repository: Repository, commit: str, top: str) -> None:
        self.source = source
        self.repository = repository
        self.commit = commit
        self.top = posixpath.normpath(top)
        self.files = repository.files(commit, self.top)
        self.directories = {
            "/".join(parts[:count]) or "."
            for path in self.files
            for parts in [path.split("/")]
            for count in range(len(parts))
        }
        self._texts: dict[str, bytes] = {}

    def entry(self, path: str) -> Entry:
        """A file that can be taken.

        Raises:
            GitError: when it cannot.
        """
        found = self.files.get(path)
        if found is None:
            raise GitError(f"{self.where(path)} is not there")
        if found.fault:
            raise GitError(f"{self.where(path)} {found.fault}")
        return found

    def where(self, path: str) -> str:
        """A path as messages write it."""
        return f"{self.source}: {path}"

    def below(self, path: str) -> Iterator[str]:
        """Paths of the files of a directory."""
        start = "" if path == "." else f"{path}/"
        return (name for name in self.files if name.startswith(start))

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Contents of files, fetched at once."""
        wanted = {path: self.entry(path).oid for path in paths if path not in self._texts}
        contents = self.repository.read(self.commit, {oid: path for path, oid in wanted.items()}) if wanted else {}
        self._texts |= {path: contents[oid] for path, oid in wanted.items()}
        return {path: self._texts[path] for path in paths}

    def kustomization(self, directory: str) -> str:
        """Path of a directory's kustomization, empty when it has none."""
        paths = [posixpath.normpath(posixpath.join(directory, name)) for name in kustomizations.NAMES]
        return next((path for path in paths if path in self.files), "")


class GitSource:
    """Takes charts and manifests from the repositories that source records name.

    Args:
        root: the repository of this release; not used.
        cache: where clones and results go.
        work: a directory of this pack alone; not used.
        progress: told what takes long.
    """

    name = "git"
    kinds = frozenset({"git"})

    def __init__(self, root: Path, cache: Cache, work: Path, progress: Progress) -> None:
        del root, work
        self.cache = cache
        self.progress = progress
        self._mutex = threading.Lock()
        self._repositories: dict[str, Repository] = {}
        self._found: dict[str, dict[str, Content]] = {}

    def resolve(self, step: Step) -> None:
        """Fetches what a step needs, or finds out that it cannot be had.

        Raises:
            UnavailableError: with every reason.
        """
        found = Collection(self, step.spec)
        try:
            reasons = found.collect()
        except DamageError as error:
            self.progress(f"fetching again: {error}")
            for where in step.spec["sources"].values():
                self.repository(where["repository"]).discard()
            found = Collection(self, step.spec)
            try:
                reasons = found.collect()
            except DamageError as again:
                reasons = [str(again)]
        if reasons:
            raise UnavailableError(reasons)
        with self._mutex:
            self._found[step.key] = found.contents

    def make(self, step: Step) -> tuple[Outputs, dict[str, int]]:
        """Puts what a step takes into the cache.

        Returns:
            Its outputs, and every blob they name with its size.

        Raises:
            UnavailableError: when it cannot be had.
        """
        if step.key not in self._found:
            self.resolve(step)
        blobs: dict[str, int] = {}
        outputs: Outputs = {}
        for place, content in self._found[step.key].items():
            wanted: dict[str, dict[str, str]] = {}
            for path, (source, oid) in content.files.items():
                wanted.setdefault(source, {})[oid] = path
            contents = {source: self._read(step.spec, source, oids) for source, oids in wanted.items()}
            texts = {path: contents[source][oid] for path, (source, oid) in content.files.items()} | content.texts
            outputs[place] = {}
            for path in sorted(texts):
                sha256, size = self.cache.add_bytes(texts[path])
                blobs[sha256] = size
                outputs[place][path] = [sha256, size, False]
        return outputs, blobs

    def _read(self, spec: Spec, source: str, oids: dict[str, str]) -> dict[str, bytes]:
        where = spec["sources"][source]
        try:
            return self.repository(where["repository"]).read(where["commit"], oids)
        except (GitError, DamageError) as error:
            raise UnavailableError([str(error)]) from error

    def repository(self, url: str) -> Repository:
        """The clone of a repository, one per address."""
        with self._mutex:
            return self._repositories.setdefault(url, Repository(self.cache, url, self.progress))


class Collection:
    """Everything that one record takes from git.

    Args:
        source: gives the repositories.
        spec: of the step: charts, manifests, remote_bases, sources.
    """

    def __init__(self, source: GitSource, spec: Spec) -> None:
        self.source = source
        self.spec = spec
        self.contents: dict[str, Content] = {}
        self.used: set[str] = set()
        self._reasons: list[str] = []
        self._trees: dict[tuple[str, str], Tree] = {}

    def collect(self) -> list[str]:
        """Finds and fetches everything.

        Returns:
            One sentence for each thing that cannot be had, empty when all is there.
        """
        for name, where in self.spec["sources"].items():
            try:
                self.source.repository(where["repository"]).fetch(where["commit"])
            except GitError as error:
                self._reasons.append(f"source {name}: {error}")
        if self._reasons:
            return self._reasons
        for item in self.spec["charts"]:
            self._item("charts", item, self._chart)
        for item in self.spec["manifests"]:
            self._item("manifests", item, self._manifest)
        if self.spec["manifests"] and not self._reasons:
            self._reasons += [
                f"sources.git.remote_bases names {name}, but no kustomization does; remove it"
                for name in self.spec["remote_bases"]
                if name not in self.used
            ]
        if not self._reasons:
            self._licences()
            self._fetch_all()
        return self._reasons

    def _item(self, kind: str, item: Spec, take: Any) -> None:
        content = Content()
        try:
            take(item, content)
        except (GitError, KustomizationError, charts.ChartError) as error:
            self._reasons.append(f"{kind} {item['name']}: {error}")
        self.contents[f"{kind}/{item['name']}"] = content

    def tree(self, entry: Spec, top: str = "") -> Tree:
        """The directory of a source that an entry names."""
        name = str(entry["source"])
        place = top or str(entry.get("within") or entry["path"])
        if (name, place) not in self._trees:
            where = self.spec["sources"][name]
            repository = self.source.repository(where["repository"])
            self._trees[name, place] = Tree(name, repository, where["commit"], place)
        return self._trees[name, place]

    def _licences(self) -> None:
        for name, where in self.spec["sources"].items():
            repository = self.source.repository(where["repository"])
            content = Content()
            for path, oid in repository.top_files(where["commit"]).items():
                if LICENCE_NAME.match(path):
                    content.files[f"/{path}"] = (name, oid)
            if content.files:
                self.contents[f"licences/{name}"] = content

    def _fetch_all(self) -> None:
        """Everything at once per source; making only copies."""
        wanted: dict[str, dict[str, str]] = {}
        for content in self.contents.values():
            for path, (name, oid) in content.files.items():
                wanted.setdefault(name, {})[oid] = path
        for name, oids in wanted.items():
            where = self.spec["sources"][name]
            try:
                self.source.repository(where["repository"]).read(where["commit"], oids)
            except GitError as error:
                self._reasons.append(f"source {name}: {error}")

    def _chart(self, item: Spec, content: Content) -> None:
        copied = ChartCopy(self, content, item.get("dependencies", {}))
        copied.copy(item, "")
        if unused := sorted(set(copied.given) - copied.used):
            raise charts.ChartError(f"dependencies names {', '.join(unused)}, on which no chart depends; remove it")

    def _manifest(self, item: Spec, content: Content) -> None:
        tree, path = self.tree(item), posixpath.normpath(str(item["path"]))
        patterns = item.get("include")
        if path in tree.files:
            content.files[posixpath.splitext(path)[1]] = (tree.source, tree.entry(path).oid)
        elif path not in tree.directories:
            raise GitError(f"{tree.where(path)} is not there")
        elif tree.kustomization(path) and not patterns:
            kind = self._kustomization(tree, path, content)
            place = posixpath.normpath(f"{tree.source}/{path}")
            content.texts["/kustomization.yaml"] = kustomizations.leading_to([place], kind).encode()
        else:
            for name in self._plain(tree, path, patterns):
                content.files[f"/{posixpath.relpath(name, path)}"] = (tree.source, tree.entry(name).oid)

    def _plain(self, tree: Tree, path: str, patterns: list[str] | None = None) -> list[str]:
        """Manifests of a directory without a kustomization."""
        found = [
            name
            for name in tree.below(path)
            if name.endswith(MANIFESTS)
            and posixpath.basename(name) not in kustomizations.NAMES
            and (not patterns or any(fnmatch.fnmatch(posixpath.relpath(name, path), p) for p in patterns))
        ]
        if not found:
            raise GitError(f"{tree.where(path)} holds no manifest")
        return sorted(found)

    def _kustomization(self, tree: Tree, path: str, content: Content) -> str:
        """Takes a kustomization with all that it leads to; returns its kind."""
        tree.read([p for p in tree.files if posixpath.basename(p) in kustomizations.NAMES and not tree.files[p].fault])
        first = ""
        waiting, seen = [path], {path}
        while waiting:
            directory = waiting.pop()
            described = tree.kustomization(directory)
            text = tree.read([described])[described].decode("utf-8-sig", errors="replace")
            try:
                kind, references = kustomizations.read(text)
            except KustomizationError as error:
                raise KustomizationError(f"{tree.where(described)}: {error}") from error
            first = first or kind
            content.files[f"/{tree.source}/{described}"] = (tree.source, tree.entry(described).oid)
            changes: dict[Reference, str] = {}
            for reference in references:
                if reference.remote:
                    changes[reference] = self._instead(tree, directory, reference, content)
                    continue
                place = self._local(tree, directory, described, reference)
                if place in tree.files:
                    content.files[f"/{tree.source}/{place}"] = (tree.source, tree.entry(place).oid)
                elif place not in seen:
                    seen.add(place)
                    waiting.append(place)
            if changes:
                del content.files[f"/{tree.source}/{described}"]
                content.texts[f"/{tree.source}/{described}"] = kustomizations.rewrite(text, changes).encode()
        return first

    def _local(self, tree: Tree, directory: str, described: str, reference: Reference) -> str:
        """Path of something that a kustomization refers to: a file, or a directory with a kustomization."""
        place = posixpath.normpath(posixpath.join(directory, reference.value))
        says = f"{tree.where(described)}: {reference.field} names {reference.value}"
        if reference.value.startswith("/") or place == ".." or place.startswith("../"):
            raise KustomizationError(f"{says}, which is outside of the repository")
        if tree.top not in {".", place} and not place.startswith(f"{tree.top}/"):
            common = posixpath.commonpath([tree.top, place]) or "."
            raise KustomizationError(f"{says}, which is outside of {tree.top}; set within to {common}")
        if place in tree.files:
            return place
        if place not in tree.directories:
            raise KustomizationError(f"{says}, which is not there")
        if not reference.base or not tree.kustomization(place):
            raise KustomizationError(f"{says}, a directory without a kustomization")
        return place

    def _instead(self, tree: Tree, directory: str, reference: Reference, content: Content) -> str:
        """Brings what stands in for something remote; returns the path that leads there."""
        described = tree.where(tree.kustomization(directory))
        given = self.spec["remote_bases"].get(reference.value)
        if given is None:
            raise KustomizationError(
                f"{described}: {reference.field} names {reference.value}, which would be fetched while it is built; "
                "say under sources.git.remote_bases what stands in for it"
            )
        self.used.add(reference.value)
        here = posixpath.normpath(f"{tree.source}/{directory}")
        if not reference.base:
            return self._instead_of_file(described, here, reference, given, content)
        if given == NONE:
            kind = "Component" if reference.field == "components" else "Kustomization"
            place = f"{NOTHING}/{kind.lower()}"
            content.texts[f"/{place}/kustomization.yaml"] = kustomizations.nothing(kind).encode()
            return kustomizations.relative(place, here)
        other, path = self.tree(given), posixpath.normpath(str(given["path"]))
        if path not in other.files and other.kustomization(path):
            self._kustomization(other, path, content)
            return kustomizations.relative(posixpath.normpath(f"{other.source}/{path}"), here)
        # Kustomize takes no single file from outside of its directory, and no directory without a kustomization.
        place = f"{INSTEAD}/{hashlib.sha256(reference.value.encode()).hexdigest()[:12]}"
        names = [path] if path in other.files else self._plain(other, path)
        for number, name in enumerate(names):
            content.files[f"/{place}/{number}.yaml"] = (other.source, other.entry(name).oid)
        listed = [f"{number}.yaml" for number in range(len(names))]
        content.texts[f"/{place}/kustomization.yaml"] = kustomizations.leading_to(listed).encode()
        return kustomizations.relative(place, here)

    def _instead_of_file(self, described: str, here: str, reference: Reference, given: Any, content: Content) -> str:
        """A patch, or another file that no base can stand in for, is copied beside its kustomization."""
        other = self.tree(given) if given != NONE else None
        path = posixpath.normpath(str(given["path"])) if other else ""
        if other is None or path not in other.files:
            raise KustomizationError(
                f"{described}: {reference.field} names {reference.value}; only a file can stand in for it"
            )
        name = f"{INSTEAD}-{hashlib.sha256(reference.value.encode()).hexdigest()[:12]}{posixpath.splitext(path)[1]}"
        content.files[f"/{here}/{name}"] = (other.source, other.entry(path).oid)
        return name


class ChartCopy:
    """Copies a chart with those that it depends on.

    Args:
        collection: knows the sources.
        content: what is added to.
        given: name of a dependency to where it is, or to ``none``.
    """

    def __init__(self, collection: Collection, content: Content, given: Spec) -> None:
        self.collection = collection
        self.content = content
        self.given = given
        self.used: set[str] = set()

    def copy(self, entry: Spec, place: str) -> str:
        """Copies one chart to a place in the bundle's chart.

        Returns:
            Its version.

        Raises:
            ChartError: when it is no chart, or one that it depends on is not given or has the wrong version.
        """
        tree, top = self.collection.tree(entry), posixpath.normpath(str(entry["path"]))
        start = "" if top == "." else f"{top}/"
        if f"{start}Chart.yaml" not in tree.files:
            raise charts.ChartError(f"{tree.where(top)} is no chart: it has no Chart.yaml")
        for path in tree.below(top):
            self.content.files[f"{place}/{path.removeprefix(start)}"] = (tree.source, tree.entry(path).oid)
        names = [name for name in DESCRIPTIONS if start + name in tree.files]
        texts = tree.read([start + name for name in names])
        for name in names:
            document = charts.parse(texts[start + name], tree.where(start + name))
            wanted = charts.dependencies(document)
            for dependency in wanted:
                self._depend(tree, top, place, dependency)
            left_out = {dependency.name for dependency in wanted if self.given.get(dependency.name) == NONE}
            if left_out:
                self.content.texts[f"{place}/{name}"] = charts.without(document, left_out)
                del self.content.files[f"{place}/{name}"]
                for lock in LOCKS:
                    self.content.files.pop(f"{place}/{lock}", None)
        chart = charts.parse(texts[f"{start}Chart.yaml"], tree.where(f"{start}Chart.yaml"))
        return str(chart.get("version", ""))

    def _depend(self, tree: Tree, top: str, place: str, dependency: charts.Dependency) -> None:
        """Brings one chart that another depends on."""
        says = f"{tree.where(top)} depends on {dependency.name} {dependency.version}".rstrip()
        below = f"{place}/charts/{dependency.name}"
        carried = [path for path in self.content.files if path.startswith((f"{below}/", f"{below}-"))]
        other = self.given.get(dependency.name)
        if other is None:
            if not carried:
                raise charts.ChartError(
                    f"{says} ({dependency.repository or 'no repository'}), which is not given; "
                    f"name it under dependencies"
                )
            return
        self.used.add(dependency.name)
        for path in carried:
            del self.content.files[path]
        if other == NONE:
            return
        version = self.copy(other, below)
        if not charts.satisfies(version, dependency.version):
            found = f"{other['source']}: {other['path']}"
            raise charts.ChartError(f"{says}, but {found} is version {version}; take another commit of it")
