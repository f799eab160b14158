"""What a run spends outside KaaP: in commands that it starts, and in waiting until something is ready.

Together they are the floor of a run: no change to KaaP makes it faster than what it calls and waits for. Action plugins
return their spans under ``outside`` in their result; the callback puts them into timings.json.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

COMMAND, WAIT = "command", "wait"
KINDS = (COMMAND, WAIT)
# (kind, seconds since the epoch at which it began, and ended)
Span = tuple[str, float, float]

_spans: list[Span] = []
_lock = threading.Lock()


@contextlib.contextmanager
def span(kind: str) -> Iterator[None]:
    """Notes how long a block takes that runs a command or waits.

    :param kind: one of KINDS
    """
    start = time.time()
    try:
        yield
    finally:
        with _lock:
            _spans.append((kind, start, time.time()))


def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run a command like :func:`subprocess.run`, and note how long it took."""
    with span(COMMAND):
        return subprocess.run(command, **options)  # noqa: PLW1510  (the caller says what a failure means)


def taken() -> list[Span]:
    """Return the spans that this process noted since it was last asked."""
    with _lock:
        found = list(_spans)
        _spans.clear()
    return found


def of_result(result: Mapping[str, Any], now: float) -> list[Span]:
    """Return the spans of one task's result on one host: its own, or those of the commands that it ran.

    :param result: what the task returned; of a loop, its items count
    :param now: when it returned, in seconds since the epoch
    """
    found: list[Span] = []
    end = now
    # Items of a loop run one after the other.
    for item in (result, *reversed(result.get("results") or [])):
        if not isinstance(item, Mapping):
            continue
        given = item.get("outside")
        if isinstance(given, list):
            found += [(str(kind), float(start), float(end)) for kind, start, end in given]
        elif item.get("cmd") and item.get("delta"):
            start = end - seconds(str(item["delta"]))
            found.append((COMMAND, start, end))
            end = start
    return found


def seconds(delta: str) -> float:
    """Return the seconds of a duration as Ansible's command module writes it, such as 0:00:07.250000."""
    hours, minutes, rest = delta.rpartition(" ")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def covered(spans: Iterable[Span]) -> float:
    """Return the seconds during which at least one of the spans ran: what runs side by side counts once."""
    total, until = 0.0, float("-inf")
    for _, start, end in sorted(spans, key=lambda each: each[1]):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def summary(spans: Iterable[Span]) -> dict[str, float]:
    """Return the seconds of the floor, and of commands and waits alone, each counted once where they overlap."""
    known = list(spans)
    figures = {"floor": covered(known)}
    for kind in KINDS:
        figures[f"{kind}s"] = covered(each for each in known if each[0] == kind)
    return {name: round(value, 3) for name, value in figures.items()}
