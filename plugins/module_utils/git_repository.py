"""One repository of upstream in the cache: a bare clone of single commits, with only the files that were asked for.

Git does the talking with the user's own configuration: ``url.<base>.insteadOf`` may point at a mirror, proxies and
certificates are those of ``http.*``, logins come from credential helpers; nobody is ever asked for one. What arrives is
checked here once more: the commit has the id that the release names, and so has everything below it.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache
from ansible_collections.infn.kaap.plugins.module_utils.registry_clients import CONFIGURATION, guarded

Progress = Callable[[str], None]
# Seconds that one conversation with a server may take.
TIMEOUT = 900
# A connection that gives less than this many bytes in a second, for a minute, is dead.
SLOW = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60")
# Git would work on the repository that it was called from, as in a hook.
INHERITED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")
REGULAR = {"100644": False, "100664": False, "100755": True}
LINK = "120000"
# Directory of the clones in the cache
CLONES = "git"
DIRECTORY = "40000"


class GitError(Exception):
    """A repository, commit or path cannot be had; the text names it and where it was looked for."""


class DamageError(Exception):
    """A clone in the cache cannot be read, or holds an object that is not what its id says."""


def clone_name(url: str) -> str:
    """Return what the clone of an address is called in the cache, without its ``.git``."""
    return re.sub(r"[^A-Za-z0-9.-]+", "+", url.partition("://")[2]).strip("+").removesuffix(".git")


def clone_lock(name: str) -> str:
    """Return the name of a clone's lock, which is written at every use."""
    return f"git-{name}"


@dataclass(frozen=True)
class Entry:
    """A file of a commit.

    Attributes:
        oid: id of its content.
        executable: whether it is a program.
        fault: why it cannot be taken, empty when it can.
    """

    oid: str
    executable: bool = False
    fault: str = ""


class Repository:
    """A repository of upstream.

    Args:
        cache: where the clone is kept.
        url: the address that the release names.
        progress: told what takes long.
    """

    def __init__(self, cache: Cache, url: str, progress: Progress) -> None:
        self.cache = cache
        self.url = url
        self.progress = progress
        self.name = clone_name(url)
        self.path = cache.root / CLONES / f"{self.name}.git"
        self._commits: dict[str, str] = {}

    def fetch(self, commit: str) -> None:
        """Makes sure that a commit and its trees, but not its files, are in the cache.

        Raises:
            GitError: when it cannot be had.
            DamageError: when the clone cannot be used; as from every method here.
        """
        if commit in self._commits:
            return
        with self._locked():
            self._fetch_commit(commit)
        self._commits[commit] = self._root(commit)

    def discard(self) -> None:
        """Removes the clone: in a damaged one nothing is worth keeping."""
        with self._locked():
            self._commits.clear()
            shutil.rmtree(self.path, ignore_errors=True)

    def files(self, commit: str, path: str) -> dict[str, Entry]:
        """Files of a directory, or the one file, by their paths in the repository.

        Symbolic links that stay below ``path`` are followed; others carry a fault. What belongs to another repository
        (a submodule) is left out.

        Args:
            commit: one that was fetched.
            path: relative to the repository; ``.`` is all of it.

        Raises:
            GitError: when the commit has no such path.
        """
        oid, mode = self._commits[commit], DIRECTORY
        wanted = "" if path == "." else path.strip("/")
        for part in filter(None, wanted.split("/")):
            found = self._trees([oid])[oid].get(part) if mode == DIRECTORY else None
            if found is None:
                raise GitError(f"{self._at(commit)} has no path {path}")
            mode, oid = found
        if mode != DIRECTORY:
            fault = "is a symbolic link; name what it points to" if mode == LINK else ""
            return {wanted: Entry(oid, REGULAR.get(mode, False), fault)}
        links: dict[str, str] = {}
        files: dict[str, Entry] = {}
        level = {wanted: oid}
        while level:
            trees = self._trees(level.values())
            below: dict[str, str] = {}
            for place, tree in level.items():
                for name, (kind, child) in trees[tree].items():
                    full = f"{place}/{name}" if place else name
                    if kind == DIRECTORY:
                        below[full] = child
                    elif kind == LINK:
                        links[full] = child
                    elif kind in REGULAR:
                        files[full] = Entry(child, REGULAR[kind])
            level = below
        return {**files, **self._followed(commit, wanted, links, files)}

    def _followed(self, commit: str, top: str, links: dict[str, str], files: dict[str, Entry]) -> dict[str, Entry]:
        """What symbolic links stand for."""
        found: dict[str, Entry] = {}
        contents = self.read(commit, {oid: path for path, oid in links.items()}) if links else {}
        for path, oid in links.items():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), contents[oid].decode(errors="replace")))
            inside = not target.startswith(("/", "../")) and (not top or target.startswith(f"{top}/"))
            below = {name: entry for name, entry in files.items() if name.startswith(f"{target}/")} if inside else {}
            if inside and target in files:
                found[path] = files[target]
            elif below:
                found |= {path + name.removeprefix(target): entry for name, entry in below.items()}
            else:
                what = "leads out of" if not inside else "leads to nothing in"
                found[path] = Entry(oid, fault=f"is a symbolic link that {what} {top or 'the repository'}")
        return found

    def top_files(self, commit: str) -> dict[str, str]:
        """Name to id of the files at the top of a commit."""
        root = self._commits[commit]
        return {name: oid for name, (mode, oid) in self._trees([root])[root].items() if mode in REGULAR}

    def read(self, commit: str, wanted: dict[str, str]) -> dict[str, bytes]:
        """Contents of files; what the cache lacks is fetched at once.

        Args:
            commit: the commit they belong to, for messages.
            wanted: id of each to its path, for messages.

        Raises:
            GitError: when one cannot be had.
        """
        lacking = set(wanted) - self._held()
        if lacking:
            with self._locked():
                missing = sorted(lacking - self._held())
                if missing:
                    self._fetch(missing, f"{self._at(commit)}: {_some([wanted[oid] for oid in missing])}")
        return self._objects(wanted, "blob")

    # Talking to git

    def _at(self, commit: str) -> str:
        return f"{self.url} at {commit}"

    def _locked(self) -> _Lock:
        return _Lock(self.cache, clone_lock(self.name), self.progress, self.url)

    def _fetch_commit(self, commit: str) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self._git("init", "--bare", "--quiet", "--template=", str(self.path))
        # Whoever held the lock before may have been killed.
        for stale in (*self.path.glob("*.lock"), *self.path.glob("objects/pack/tmp_*")):
            stale.unlink(missing_ok=True)
        self._git("config", "remote.origin.url", self.url)
        if commit not in self._held():
            self.progress(f"fetching {self._at(commit)}")
            self._fetch([commit], self._at(commit), "--depth=1")

    def _fetch(self, oids: list[str], what: str, *options: str) -> None:
        """Fetches objects by their ids; a server that knows no filters sends more than was asked for."""
        done = self._run(
            *SLOW, "-c", "fetch.negotiationAlgorithm=noop", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none",
            *options, "--stdin", "origin",
            data="".join(f"{oid}\n" for oid in oids).encode(), timeout=TIMEOUT,
        )  # fmt: skip
        if done.returncode or set(oids) - self._held():
            said = " ".join(done.stderr.decode(errors="replace").split())[-600:] or "the server sent something else"
            place = self._run("ls-remote", "--get-url", self.url).stdout.decode(errors="replace").strip()
            raise GitError(
                f"{what} cannot be had (looked at {place}, as git is configured here): {said}; "
                f"check {CONFIGURATION['git']}"
            )

    def _held(self) -> set[str]:
        """Ids of all objects in the cache."""
        done = self._git("cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)")
        return set(done.decode().split())

    def _root(self, commit: str) -> str:
        """Id of the tree of a commit, whose own id is checked."""
        header = self._objects([commit], "commit")[commit].split(b"\n", 1)[0]
        return header.removeprefix(b"tree ").decode()

    def _trees(self, oids: Iterable[str]) -> dict[str, dict[str, tuple[str, str]]]:
        """Trees by id: name to mode and id."""
        found: dict[str, dict[str, tuple[str, str]]] = {}
        for oid, content in self._objects(oids, "tree").items():
            found[oid] = {}
            rest = content
            while rest:
                head, _, rest = rest.partition(b"\0")
                mode, _, name = head.partition(b" ")
                text = os.fsdecode(name)
                if text in {"", ".", ".."} or "/" in text:
                    raise GitError(f"{self.url}: a directory holds the name {text!r}, which leads out of it")
                found[oid][text] = (mode.decode(), rest[:20].hex())
                rest = rest[20:]
        return found

    def _objects(self, oids: Iterable[str], kind: str) -> dict[str, bytes]:
        """Contents of objects that are in the cache, each checked against its id.

        Raises:
            DamageError: when one is not what its id says.
        """
        wanted = list(dict.fromkeys(oids))
        output = self._git("cat-file", "--batch", "--buffer", data="".join(f"{oid}\n" for oid in wanted).encode())
        found: dict[str, bytes] = {}
        for oid in wanted:
            header, _, output = output.partition(b"\n")
            words = header.decode(errors="replace").split()
            if len(words) != 3 or words[1] != kind:
                raise DamageError(f"{oid} is no {kind}, but {' '.join(words[1:2]) or 'nothing'}")
            size = int(words[2])
            content, output = output[:size], output[size + 1 :]
            # Git's ids are SHA-1.
            if hashlib.sha1(f"{kind} {size}\0".encode() + content, usedforsecurity=False).hexdigest() != oid:
                raise DamageError(f"the {kind} {oid} is damaged in {self.path}")
            found[oid] = content
        return found

    def _git(self, *arguments: str, data: bytes = b"") -> bytes:
        """Standard output of a command that only reads or writes the clone.

        Raises:
            DamageError: when it fails.
        """
        done = self._run(*arguments, data=data)
        if done.returncode:
            said = " ".join(done.stderr.decode(errors="replace").split())[-400:]
            raise DamageError(f"git {arguments[0]} failed in {self.path}: {said}")
        return done.stdout

    def _run(self, *arguments: str, data: bytes = b"", timeout: float = 300) -> subprocess.CompletedProcess[bytes]:
        environment = {name: value for name, value in os.environ.items() if name not in INHERITED}
        environment |= {"GIT_DIR": str(self.path), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        if shutil.which("git") is None:
            raise GitError("git is not installed on this host; install the package git")
        try:
            return subprocess.run(
                guarded(["git", *arguments]),
                input=data,
                env=environment,
                capture_output=True,
                timeout=timeout,
                check=False,
                # Without a terminal, ssh cannot ask for a password either.
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise GitError(f"{self.url}: git {arguments[0]} took longer than {timeout:.0f} s") from error


class _Lock:
    """The lock of one repository, among all processes of this user."""

    def __init__(self, cache: Cache, name: str, progress: Progress, url: str) -> None:
        self._held = cache.lock(name, lambda pid: progress(f"waiting for process {pid}, which fetches {url}"))

    def __enter__(self) -> None:
        self._held.__enter__()

    def __exit__(self, *reason: object) -> None:
        self._held.__exit__(None, None, None)


def _some(names: list[str]) -> str:
    """A few names, and how many more there are."""
    return ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
