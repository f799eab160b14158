"""The content-addressed cache of artefacts: one per user, shared by clones and inventories.

Layout below the cache's root::

    blobs/sha256/<hex>     every file once, by its content
    keys/<key>.json        what a step with these inputs made: names and digests of blobs
    bundles/<digest>/      trees of hard links into blobs
    go/{mod,build,toolchain}
    tmp/<random>/          work in progress of one pack
    locks/                 one file per key that is being made
    uses/, deployments/    who uses which bundle, see garbage.py

A file appears in ``blobs`` and ``keys`` by rename only, so a killed pack leaves either a whole
entry or none. Keys are hashes of inputs and hold no path, so that any clone finds the entries.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

CHUNK = 1 << 20
Outputs = dict[str, Any]


class CacheError(Exception):
    """The cache cannot be used, or waiting for another run took too long."""


def canonical(value: object) -> bytes:
    """One byte string per JSON value, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(value: object) -> str:
    """SHA-256, in hexadecimal, of a JSON value."""
    return hashlib.sha256(canonical(value)).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256, in hexadecimal, of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_tree(path: Path) -> str:
    """SHA-256 of a file or of a directory's names, kinds and contents; no absolute path, time or owner goes in."""
    if path.is_file():
        return hash_file(path)
    entries = []
    for item in sorted(path.rglob("*")):
        name = item.relative_to(path).as_posix()
        if "__pycache__" in item.parts:
            continue
        if item.is_symlink():
            entries.append([name, "link", str(item.readlink())])
        elif item.is_file():
            entries.append([name, "x" if item.stat().st_mode & 0o100 else "-", hash_file(item)])
    return digest_of(entries)


class Cache:
    """One cache directory, opened by one process.

    Args:
        root: its directory; made if missing.

    Raises:
        CacheError: when the directory cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.blobs = self.root / "blobs" / "sha256"
        self.keys = self.root / "keys"
        self.locks = self.root / "locks"
        self.temporary = self.root / "tmp"
        try:
            for directory in (self.blobs, self.keys, self.locks, self.temporary, self.root / "bundles"):
                directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(
                f"The cache {self.root} cannot be written: {error.strerror}. Set KAAP_CACHE to a directory that can."
            ) from error
        self._mutex = threading.Lock()
        self._counter = 0

    def blob(self, sha256: str) -> Path:
        """Where the content with this digest is, or will be."""
        return self.blobs / sha256

    def add(self, path: Path, *, executable: bool = False, move: bool = False) -> tuple[str, int]:
        """Takes a file in.

        Args:
            path: the file.
            executable: whether its links in a bundle must be executable.
            move: give the file to the cache instead of copying it; it must be on the same file system.

        Returns:
            SHA-256 and size in bytes.
        """
        sha256 = hash_file(path)
        size = path.stat().st_size
        target = self.blob(sha256)
        mode = 0o755 if executable else 0o644
        if target.exists() and target.stat().st_size == size:
            if executable:
                target.chmod(mode)
            if move:
                path.unlink()
            return sha256, size
        source = path
        if not move:
            source = self.scratch_name()
            shutil.copyfile(path, source)
        source.chmod(mode)
        source.replace(target)
        return sha256, size

    def add_bytes(self, content: bytes) -> tuple[str, int]:
        """Takes bytes in; returns SHA-256 and size."""
        sha256 = hashlib.sha256(content).hexdigest()
        target = self.blob(sha256)
        if not (target.exists() and target.stat().st_size == len(content)):
            source = self.scratch_name()
            source.write_bytes(content)
            source.chmod(0o644)
            source.replace(target)
        return sha256, len(content)

    def scratch_name(self) -> Path:
        """A name in ``tmp`` that nobody else uses."""
        with self._mutex:
            self._counter += 1
            return self.temporary / f"f{os.getpid()}-{threading.get_ident():x}-{self._counter}"

    def get(self, key: str) -> Outputs | None:
        """What the step with this key made, or None when it is not (or no longer) there whole."""
        try:
            entry = json.loads((self.keys / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        for sha256, size in entry["blobs"].items():
            try:
                if self.blob(sha256).stat().st_size != size:
                    return None
            except OSError:
                return None
        outputs: Outputs = entry["outputs"]
        return outputs

    def seconds(self, key: str) -> float:
        """How long making the entry took, 0 when unknown."""
        try:
            entry = json.loads((self.keys / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0.0
        return float(entry.get("seconds", 0))

    def put(self, key: str, outputs: Outputs, blobs: dict[str, int], seconds: float) -> None:
        """Records what a step made; its blobs must be in the cache already.

        Args:
            key: hash of the step's inputs.
            outputs: JSON value that later steps and the bundle read.
            blobs: SHA-256 to size of every blob the outputs name.
            seconds: wall time it took.
        """
        content = canonical({"blobs": blobs, "outputs": outputs, "seconds": round(seconds, 1)})
        source = self.scratch_name()
        source.write_bytes(content)
        source.replace(self.keys / f"{key}.json")

    @contextlib.contextmanager
    def lock(self, name: str, waiting: Callable[[str], None], timeout: float = 7200) -> Iterator[None]:
        """Holds the lock NAME among all processes; the kernel frees it when the holder dies.

        Args:
            name: file name of the lock.
            waiting: told once, with the holder's process id, when somebody else holds it.
            timeout: seconds to wait at most.

        Raises:
            CacheError: when it is still held after the timeout.
        """
        path = self.locks / name
        with path.open("a+", encoding="ascii") as stream:
            self._acquire(stream, path, waiting, timeout)
            stream.seek(0)
            stream.truncate()
            stream.write(str(os.getpid()))
            stream.flush()
            yield

    def _acquire(self, stream: IO[str], path: Path, waiting: Callable[[str], None], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        told = False
        tick = threading.Event()
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "unknown"
                if not told:
                    waiting(holder)
                    told = True
                if time.monotonic() > deadline:
                    raise CacheError(
                        f"Process {holder} has held {path} for more than {timeout:.0f} s; "
                        "end it if it hangs, then run again."
                    ) from None
                tick.wait(0.5)

    @contextlib.contextmanager
    def workspace(self) -> Iterator[Path]:
        """A directory for work in progress, removed at the end; those of dead processes are removed first."""
        self._sweep()
        name = self.scratch_name()
        lock = name.with_suffix(".lock")
        with lock.open("w", encoding="ascii") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            name.mkdir()
            try:
                yield name
            finally:
                shutil.rmtree(name, ignore_errors=True)
                lock.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Removes what killed runs left in ``tmp``."""
        for lock in self.temporary.glob("*.lock"):
            try:
                with lock.open("a", encoding="ascii") as stream:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                    lock.unlink(missing_ok=True)
            except (BlockingIOError, FileNotFoundError):
                continue
        oldest = time.time() - 86400
        for stray in self.temporary.glob("f*"):
            with contextlib.suppress(FileNotFoundError):
                if stray.suffix == ".lock" or stray.with_suffix(".lock").exists() or stray.stat().st_mtime > oldest:
                    continue
                if stray.is_dir():
                    shutil.rmtree(stray, ignore_errors=True)
                else:
                    stray.unlink()
