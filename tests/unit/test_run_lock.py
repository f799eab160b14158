"""One run at a time: held, released, left behind by a killed run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import run_lock

ROOT = Path(__file__).parents[2]
# A run that forks a worker, as Ansible does: the worker leads a session of its own and shares the lock.
RUN = """
import os, signal, sys
sys.path.insert(0, {collections!r})
from pathlib import Path
from ansible_collections.infn.kaap.plugins.module_utils import run_lock
run_lock.acquire(Path({lock!r}), ["ansible-playbook", "site.yml"])
if os.fork() == 0:
    os.setsid()
    print(os.getpid(), flush=True)
    signal.pause()
signal.pause()
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Return a path for a lock."""
    return tmp_path / "state" / "lock"


def start(lock: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a run that holds the lock; return it and its worker's process id."""
    code = RUN.format(collections=str(ROOT / "collections"), lock=str(lock))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_taken_and_given_back(lock: Path) -> None:
    """After the release the next run gets it, and the file names nobody."""
    handle, ended = run_lock.acquire(lock, ["a"])
    assert ended == [] and run_lock.alive(run_lock.read_holder(lock))
    run_lock.release(handle)
    assert run_lock.read_holder(lock) == {}
    handle, _ = run_lock.acquire(lock, ["b"])
    run_lock.release(handle)


def test_a_second_run_is_refused_with_the_name_of_the_first(lock: Path) -> None:
    """Process, user, command, and how to stop it."""
    process, worker = start(lock)
    try:
        with pytest.raises(run_lock.HeldError) as caught:
            run_lock.acquire(lock, ["b"])
        text = str(caught.value)
        assert f"process {process.pid} of " in text
        assert "ansible-playbook site.yml" in text and f"kill {process.pid}" in text
        assert run_lock.start_ticks(worker) is not None, "the worker of a living run must not be touched"
    finally:
        process.kill()
        process.wait()
        run_lock.clear_leftovers(lock)


def test_what_a_killed_run_left_is_ended(lock: Path) -> None:
    """`kill -9` of the run leaves its worker with the lock; the next run ends it and goes on."""
    process, worker = start(lock)
    process.kill()
    process.wait()
    assert run_lock.start_ticks(worker) is not None
    handle, ended = run_lock.acquire(lock, ["b"])
    try:
        assert ended == [worker]
        assert run_lock.start_ticks(worker) is None
        assert run_lock.read_holder(lock)["pid"] == os.getpid()
    finally:
        run_lock.release(handle)


def test_a_process_id_that_was_given_away_again_is_nobody(lock: Path) -> None:
    """Ids are used again, start times are not."""
    own = run_lock.holder_now(["x"])
    assert run_lock.alive(own)
    assert not run_lock.alive({**own, "start_ticks": own["start_ticks"] - 1})
    assert not run_lock.alive({})
