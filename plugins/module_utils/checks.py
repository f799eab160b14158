"""Checks of a deployment: what is asked, what came back, and whether that is right.

The judges are pure functions over answers; `run` asks side by side, each check with a deadline of its own.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import readiness
from ansible_collections.infn.kaap.plugins.module_utils.readiness import READY, Object, Verdict

THREADS = 8
# The kubelet renews its lease every 10 s; the control plane gives up on it after 40 s.
LEASE_SECONDS = 40.0
# metrics-server asks every 15 s and keeps windows of up to 60 s.
METRICS_SECONDS = 120.0
SHOWN = 300


class CheckError(Exception):
    """A check failed; the text is what was answered instead."""


@dataclass(frozen=True)
class Check:
    """One thing to ask.

    :ivar component: whose business it is; first part of the check's name.
    :ivar what: what is checked; second part of its name, the same in every run.
    :ivar asked: what is asked, of whom.
    :ivar ask: asks, and returns the answer in words.
    """

    component: str
    what: str
    asked: str
    ask: Callable[[], str]

    @property
    def name(self) -> str:
        """Name in the report."""
        return f"{self.component}: {self.what}"


@dataclass(frozen=True)
class NotRun:
    """One thing that cannot be asked of this deployment.

    :ivar component: whose business it is
    :ivar what: what would be checked, as in the check that runs elsewhere
    :ivar reason: why it is not run, and what would let it run
    """

    component: str
    what: str
    reason: str

    def entry(self) -> dict[str, str]:
        """Return what the report keeps."""
        return {"name": f"{self.component}: {self.what}", "component": self.component, "reason": self.reason}


def run(
    checks: Sequence[Check], seconds: float, expected: tuple[type[Exception], ...], threads: int = THREADS
) -> list[dict[str, Any]]:
    """Ask everything and return what the report keeps, in the order given.

    :param seconds: how long each check may take from its start
    :param expected: exceptions that are answers; others are defects, and are told with their type
    :param threads: how many are asked at once
    """
    caught: tuple[type[Exception], ...] = (CheckError, *expected)
    slots = threading.BoundedSemaphore(threads)
    results: list[dict[str, Any] | None] = [None] * len(checks)
    started: list[float] = [0.0] * len(checks)
    ended = [threading.Event() for _ in checks]
    begun = [threading.Event() for _ in checks]

    def work(index: int) -> None:
        with slots:
            started[index] = time.monotonic()
            begun[index].set()
            check = checks[index]
            try:
                result, answered = "pass", check.ask()
            except caught as problem:
                result, answered = "fail", str(problem)
            except Exception as problem:  # one broken check must not hide the others
                result, answered = "fail", f"{type(problem).__name__}: {problem}"
            results[index] = outcome(check, result, answered, time.monotonic() - started[index])
            ended[index].set()

    for index in range(len(checks)):
        # Daemons: a check that hangs beyond its deadline does not keep the run from ending.
        threading.Thread(target=work, args=(index,), daemon=True).start()
    rounds = 1 + len(checks) // threads
    answers = []
    for index, check in enumerate(checks):
        if not begun[index].wait(seconds * rounds):
            answers.append(outcome(check, "fail", "it was not asked: other checks did not end", 0.0))
            continue
        ended[index].wait(max(0.0, started[index] + seconds - time.monotonic()))
        late = outcome(check, "fail", f"no answer within {seconds:.0f} s", seconds)
        answers.append(results[index] or late)
    return answers


def outcome(check: Check, result: str, answered: str, seconds: float) -> dict[str, Any]:
    """Return one entry of the report."""
    words = " ".join(answered.split())
    return {
        "name": check.name,
        "component": check.component,
        "result": result,
        "asked": check.asked,
        "answered": words if len(words) <= SHOWN else words[: SHOWN - 3] + "...",
        "seconds": round(seconds, 3),
    }


def demand(verdict: Verdict, answer: str) -> str:
    """Return the answer when the verdict is good.

    :raises CheckError: with what is wrong
    """
    if not verdict.ready:
        raise CheckError(verdict.why)
    return answer


def demand_all(verdicts: Iterable[tuple[str, Verdict]], answer: str) -> str:
    """Return the answer when all verdicts are good.

    :raises CheckError: naming each that is not
    """
    wrong = [f"{name}: {verdict.why}" for name, verdict in verdicts if not verdict.ready]
    if wrong:
        raise CheckError("; ".join(wrong))
    return answer


def parse_time(text: str) -> float:
    """Return a time stamp of Kubernetes in seconds since the epoch.

    :raises ValueError: when it is none
    """
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def node(obj: Object | None, lease: Object | None, version: str, now: float) -> Verdict:
    """Is a node there, ready, of this version, and has its kubelet reported lately?

    :param lease: its Lease in kube-node-lease
    :param now: seconds since the epoch by the clock of the API server
    """
    if obj is None:
        return Verdict(False, "it is not in the cluster")
    ready = readiness.node(obj)
    if not ready.ready:
        return ready
    found = ((obj.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion")
    if found != version:
        return Verdict(False, f"its kubelet is {found}, wanted {version}")
    renewed = ((lease or {}).get("spec") or {}).get("renewTime")
    if not renewed:
        return Verdict(False, "its kubelet has no lease")
    age = now - parse_time(str(renewed))
    if age > LEASE_SECONDS:
        return Verdict(False, f"its kubelet reported {age:.0f} s ago for the last time")
    return READY


def metrics(nodes: Sequence[str], items: Sequence[Object], now: float) -> Verdict:
    """Does the metrics API know the use of every node, from lately?"""
    known = {str(item["metadata"]["name"]): item for item in items}
    for name in nodes:
        if name not in known:
            return Verdict(False, f"there are no figures of node {name}")
        usage = known[name].get("usage") or {}
        if not usage.get("cpu") or not usage.get("memory"):
            return Verdict(False, f"the figures of node {name} lack CPU or memory: {dict(usage)}")
        age = now - parse_time(str(known[name]["timestamp"]))
        if age > METRICS_SECONDS:
            return Verdict(False, f"the figures of node {name} are {age:.0f} s old")
    return READY


def page(status: int, content_type: str, body: str) -> Verdict:
    """Is it a page for a browser?"""
    if status != 200:
        return Verdict(False, f"it answered {status}")
    if "text/html" not in content_type or "<html" not in body.lower():
        return Verdict(False, f"it answered {content_type or 'something without a type'}, which is no page")
    return READY


def contains(answer: Any, expected: Any) -> Verdict:
    """Does an answer hold what is expected? Mappings may hold more, lists must have the same length."""
    return next((Verdict(False, fault) for fault in differences(answer, expected, "the answer")), READY)


def differences(answer: Any, expected: Any, where: str) -> Iterator[str]:
    """Yield what of the expected an answer lacks, in words."""
    if isinstance(expected, Mapping) and isinstance(answer, Mapping):
        for key, value in expected.items():
            if key in answer:
                yield from differences(answer[key], value, f"{where}.{key}")
            else:
                yield f"{where} has no {key}: {shown(answer)}"
    elif isinstance(expected, list | tuple) and isinstance(answer, list):
        if len(answer) != len(expected):
            yield f"{where} has {len(answer)} entries, wanted {len(expected)}: {shown(answer)}"
        for index, value in enumerate(expected[: len(answer)]):
            yield from differences(answer[index], value, f"{where}[{index}]")
    elif answer != expected or isinstance(answer, bool) != isinstance(expected, bool):
        yield f"{where} is {shown(answer)}, wanted {shown(expected)}"


def shown(value: Any) -> str:
    """Return a value in a few characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def answer(status: int, body: bytes, expected: Any) -> Verdict:
    """Did a service answer 200 with JSON that holds what is expected?"""
    if status != 200:
        return Verdict(False, f"it answered {status}: {body[:200].decode(errors='replace').strip()}")
    try:
        document = json.loads(body)
    except ValueError:
        return Verdict(False, f"it answered no JSON: {body[:200].decode(errors='replace')}")
    return contains(document, expected)


def refused(status: int, body: bytes) -> Verdict:
    """Was a bad request refused with a reason?"""
    if not 400 <= status < 500:
        return Verdict(False, f"it answered {status}, wanted 4xx")
    return READY if body.strip() else Verdict(False, f"it answered {status} without a reason")


def dig(document: Any, path: str | Sequence[str]) -> Any:
    """Return what lies at a path of keys, dotted or as a list.

    :raises CheckError: when nothing lies there
    """
    keys = path.split(".") if isinstance(path, str) else list(path)
    found = document
    for key in keys:
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        else:
            raise CheckError(f"there is no {'.'.join(keys)} in it")
    return found


def at_least(document: Any, limits: Mapping[str, float]) -> list[tuple[str, Verdict]]:
    """The verdict on each figure of a document that has a lower limit."""
    found = []
    for path, limit in limits.items():
        value = dig(document, path)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        good = number and value >= limit
        found.append((path, READY if good else Verdict(False, f"it is {shown(value)}, wanted at least {limit}")))
    return found


def digest(content: bytes, wanted: str) -> Verdict:
    """Is it the content with this sha256?"""
    found = hashlib.sha256(content).hexdigest()
    if found == wanted.removeprefix("sha256:"):
        return READY
    return Verdict(False, f"its sha256 is {found[:12]}..., wanted {wanted.removeprefix('sha256:')[:12]}...")
