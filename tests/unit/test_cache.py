"""The cache: whole entries or none, whoever is killed, and one maker per entry."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache, CacheError, digest_of, hash_tree

ROOT = Path(__file__).resolve().parents[2]
VICTIM = """
import sys, time
from pathlib import Path
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache
cache = Cache(Path(sys.argv[1]))
with cache.workspace() as work, cache.lock("key", print):
    (work / "half").write_text("half")
    cache.scratch_name().write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_same_content_is_kept_once_and_never_half(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (tmp_path / "a").write_text("x")
    first = cache.add(tmp_path / "a")
    assert cache.add_bytes(b"x") == first
    assert [p.name for p in cache.blobs.iterdir()] == [first[0]]
    assert not list(cache.temporary.iterdir())


def test_executable_content_stays_executable(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (tmp_path / "a").write_text("x")
    sha256, _ = cache.add(tmp_path / "a")
    cache.add(tmp_path / "a", executable=True)
    cache.add_bytes(b"x")
    assert cache.blob(sha256).stat().st_mode & 0o111 == 0o111


def test_entry_with_a_lost_or_cut_blob_is_no_entry(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    sha256, size = cache.add_bytes(b"content")
    cache.put("k", {"x": sha256}, {sha256: size}, 1.0)
    assert cache.get("k") == {"x": sha256}
    cache.blob(sha256).write_bytes(b"cont")
    assert cache.get("k") is None
    cache.add_bytes(b"content")
    assert cache.get("k") == {"x": sha256}
    cache.blob(sha256).unlink()
    assert cache.get("k") is None


def test_unwritable_place_is_named_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="Set KAAP_CACHE"):
        Cache(tmp_path / "file")


def test_killed_holder_leaves_a_usable_cache(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    victim = subprocess.Popen([sys.executable, "-c", VICTIM, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env)
    assert victim.stdout is not None
    assert victim.stdout.readline() == "ready\n"
    cache = Cache(tmp_path)
    left = [p for p in cache.temporary.iterdir() if p.is_dir()]
    assert left
    with pytest.raises(CacheError, match=rf"Process {victim.pid} has held"), cache.lock("key", lambda _: None, 0):
        pass
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    with cache.workspace(), cache.lock("key", lambda pid: pytest.fail(f"still held by {pid}"), timeout=0):
        assert not left[0].exists()
    assert cache.get("key") is None


def test_second_maker_waits_and_is_told_for_whom(tmp_path: Path) -> None:
    cache, order, told = Cache(tmp_path), [], threading.Event()
    inside = threading.Event()

    def first() -> None:
        with cache.lock("k", lambda _: None):
            inside.set()
            told.wait(10)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(10)
    with Cache(tmp_path).lock("k", lambda pid: told.set() if pid == str(os.getpid()) else None, timeout=10):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_hash_of_a_tree_ignores_place_time_and_bytecode(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "__pycache__").mkdir(parents=True)
        (tmp_path / name / "f").write_text("x")
        (tmp_path / name / "__pycache__" / "f.pyc").write_text(name)
    os.utime(tmp_path / "b" / "f", (0, 0))
    assert hash_tree(tmp_path / "a") == hash_tree(tmp_path / "b")
    before = hash_tree(tmp_path / "a")
    (tmp_path / "a" / "f").chmod(0o755)
    assert hash_tree(tmp_path / "a") != before


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
