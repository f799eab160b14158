"""One run at a time per deployment: a file lock that the kernel releases, with the name of its holder inside."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import select
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LEFTOVER_TIMEOUT = 10.0


class HeldError(Exception):
    """Another run holds the lock; the message names it and says what to do."""


def start_ticks(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot, or None when it is gone.

    Together with the process id it names one process for good: ids are used again, start times are not.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def holder_now(command: list[str]) -> dict[str, Any]:
    """Return how this process describes itself in the lock."""
    return {
        "pid": os.getpid(),
        "start_ticks": start_ticks(os.getpid()),
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "since": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "command": " ".join(command),
    }


def read_holder(path: Path) -> dict[str, Any]:
    """Return what the lock says about its holder; empty when it says nothing."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def alive(holder: dict[str, Any]) -> bool:
    """Tell whether the process that took the lock still runs."""
    return bool(holder.get("pid")) and start_ticks(int(holder["pid"])) == holder.get("start_ticks")


def refusal(path: Path, holder: dict[str, Any]) -> str:
    """Return the message for a lock that somebody holds."""
    if not holder.get("pid"):
        return f"another run works on this deployment ({path} is locked, its holder has not written its name yet)"
    return (
        f"another run works on this deployment: process {holder['pid']} of {holder.get('user')} "
        f"on {holder.get('host')} since {holder.get('since')}: {holder.get('command')}\n"
        f"Wait until it ends, or stop it with `kill {holder['pid']}`. The lock is {path}."
    )


def openers(path: Path) -> list[int]:
    """Return the processes, other than this one, that have the file open."""
    target, found = str(path.resolve()), []
    for directory in Path("/proc").glob("[0-9]*/fd"):
        pid = int(directory.parent.name)
        if pid == os.getpid():
            continue
        try:
            if any(str(link.readlink()) == target for link in directory.iterdir()):
                found.append(pid)
        except OSError:
            continue  # it ended meanwhile, or belongs to somebody else
    return found


def clear_leftovers(path: Path, timeout: float = LEFTOVER_TIMEOUT) -> list[int]:
    """End the workers that a killed run left behind: they share its lock, and each leads its own process group.

    :param timeout: how many seconds they may take to go
    :returns: the processes that were ended
    :raises HeldError: when one does not go
    """
    ended = openers(path)
    for pid in ended:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            # Ansible makes each worker the leader of a session, so its group holds only what it started.
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        gone = poll.poll(timeout * 1000)
        os.close(handle)
        if not gone:
            raise HeldError(f"process {pid}, left behind by a killed run, holds {path} and does not end")
    return ended


def acquire(path: Path, command: list[str]) -> tuple[int, list[int]]:
    """Take the lock and keep it until the file descriptor is closed or the process ends.

    :returns: the open file descriptor, and the processes of a killed run that had to be ended for it
    :raises HeldError: when another run holds it
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    ended: list[int] = []
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = read_holder(path)
            if not holder.get("pid") or alive(holder):
                raise HeldError(refusal(path, holder)) from None
            ended = clear_leftovers(path)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HeldError(refusal(path, read_holder(path))) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(holder_now(command)).encode(), 0)
    except BaseException:
        os.close(handle)
        raise
    return handle, ended


def release(handle: int) -> None:
    """Give the lock back; the name of the holder is cleared first."""
    os.ftruncate(handle, 0)
    os.close(handle)
