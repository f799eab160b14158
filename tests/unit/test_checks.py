"""Judges of the verify phase: a green and a red answer for each, and checks that hang."""

from __future__ import annotations

import copy
import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import checks
from ansible_collections.infn.kaap.plugins.module_utils.checks import Check, CheckError
from ansible_collections.infn.kaap.plugins.module_utils.readiness import READY, Verdict

NOW = checks.parse_time("2026-01-01T12:00:30Z")
NODE: dict[str, Any] = {
    "metadata": {"name": "worker-1"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": "v1.36.3"},
    },
}
LEASE = {"spec": {"renewTime": "2026-01-01T12:00:25.000000Z"}}
FIGURES = [
    {"metadata": {"name": "a"}, "timestamp": "2026-01-01T12:00:00Z", "usage": {"cpu": "1n", "memory": "1Ki"}},
    {"metadata": {"name": "b"}, "timestamp": "2026-01-01T12:00:10Z", "usage": {"cpu": "2n", "memory": "2Ki"}},
]


def changed(document: Any, path: str, value: Any) -> Any:
    """Return a copy with one value changed."""
    result = copy.deepcopy(document)
    place: Any = result
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        place = place[key]
    place[last] = value
    return result


def test_a_good_node() -> None:
    """Ready, of the release's version, with a fresh lease."""
    assert checks.node(NODE, LEASE, "v1.36.3", NOW) == READY


@pytest.mark.parametrize(
    ("node", "lease", "why"),
    [
        (None, LEASE, "it is not in the cluster"),
        (changed(NODE, "status.conditions.0.status", "False"), LEASE, "condition Ready is False"),
        (changed(NODE, "status.conditions.0.status", "Unknown"), LEASE, "its kubelet stopped reporting"),
        (changed(NODE, "status.nodeInfo.kubeletVersion", "v1.35.0"), LEASE, "its kubelet is v1.35.0, wanted v1.36.3"),
        (NODE, None, "its kubelet has no lease"),
        (NODE, {"spec": {"renewTime": "2026-01-01T11:59:30.000000Z"}}, "reported 60 s ago for the last time"),
    ],
)
def test_bad_nodes(node: Any, lease: Any, why: str) -> None:
    """A stopped kubelet shows in the lease before the condition says so."""
    verdict = checks.node(node, lease, "v1.36.3", NOW)
    assert not verdict.ready and why in verdict.why


def test_figures_of_every_node() -> None:
    """Both nodes, both lately."""
    assert checks.metrics(["a", "b"], FIGURES, NOW) == READY


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        (FIGURES[:1], "there are no figures of node b"),
        (changed(FIGURES, "1.usage", {"cpu": "1n"}), "the figures of node b lack CPU or memory"),
        (changed(FIGURES, "0.timestamp", "2026-01-01T11:50:30Z"), "the figures of node a are 600 s old"),
    ],
)
def test_missing_or_old_figures(figures: Any, why: str) -> None:
    """Old figures are those of a kubelet that no longer answers."""
    verdict = checks.metrics(["a", "b"], figures, NOW)
    assert not verdict.ready and why in verdict.why


@pytest.mark.parametrize(
    ("status", "kind", "body", "why"),
    [
        (200, "text/html; charset=utf-8", "<!doctype html><HTML>", ""),
        (502, "text/html", "<html>", "it answered 502"),
        (200, "application/xml", "<html>", "which is no page"),
        (200, "text/html", "ok", "which is no page"),
    ],
)
def test_pages(status: int, kind: str, body: str, why: str) -> None:
    """An error of the store is XML, not a page."""
    verdict = checks.page(status, kind, body)
    assert verdict.ready is not bool(why) and why in verdict.why


EXPECTED = {"predictions": [{"label": "BA", "infn": True}]}


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, b'{"predictions": [{"label": "BA", "infn": true, "probability": 0.9}]}', ""),
        (
            200,
            b'{"predictions": [{"label": "NA", "infn": true}]}',
            'the answer.predictions[0].label is "NA", wanted "BA"',
        ),
        (200, b'{"predictions": [{"label": "BA", "infn": 1}]}', "the answer.predictions[0].infn is 1, wanted true"),
        (200, b'{"predictions": []}', "has 0 entries, wanted 1"),
        (200, b'{"predictions": {}}', "the answer.predictions is {}, wanted ["),
        (200, b'{"error": "x"}', "the answer has no predictions"),
        (200, b"[]", "the answer is [], wanted {"),
        (200, b"no healthy upstream", "it answered no JSON: no healthy upstream"),
        (503, b"no healthy upstream", "it answered 503: no healthy upstream"),
    ],
)
def test_answers(status: int, body: bytes, why: str) -> None:
    """Mappings may hold more than expected; everything else must be equal."""
    verdict = checks.answer(status, body, EXPECTED)
    assert verdict.ready is not bool(why) and why in verdict.why


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (400, b'{"error": "instances is empty"}', ""),
        (413, b"too large", ""),
        (400, b" ", "without a reason"),
        (500, b"oops", "it answered 500, wanted 4xx"),
        (200, b"{}", "it answered 200, wanted 4xx"),
    ],
)
def test_refusals(status: int, body: bytes, why: str) -> None:
    """A bad request gets a reason, never a 500."""
    verdict = checks.refused(status, body)
    assert verdict.ready is not bool(why) and why in verdict.why


def test_figures_with_a_lower_limit() -> None:
    """Text and truth values are no figures."""
    card = {"metrics": {"typed": {"accuracy": 0.98}, "text": "0.99", "yes": True}}
    verdicts = dict(checks.at_least(card, {"metrics.typed.accuracy": 0.97, "metrics.text": 0.5, "metrics.yes": 0.5}))
    assert {path: verdict.ready for path, verdict in verdicts.items()} == {
        "metrics.typed.accuracy": True,
        "metrics.text": False,
        "metrics.yes": False,
    }
    assert not checks.at_least(card, {"metrics.typed.accuracy": 0.99})[0][1].ready
    with pytest.raises(CheckError, match=r"there is no metrics\.real in it"):
        checks.at_least(card, {"metrics.real": 0.5})


def test_digests() -> None:
    """An overwritten object is not the one that was trained."""
    wanted = hashlib.sha256(b"model").hexdigest()
    assert checks.digest(b"model", wanted) == READY
    assert checks.digest(b"model", f"sha256:{wanted}") == READY
    assert not checks.digest(b"other", wanted).ready


def test_demands_name_what_is_wrong() -> None:
    """All of it."""
    assert checks.demand(READY, "fine") == "fine"
    with pytest.raises(CheckError, match="b: no; c: never"):
        checks.demand_all([("a", READY), ("b", Verdict(False, "no")), ("c", Verdict(False, "never"))], "fine")


def ask(function: Callable[[], str], component: str = "minio") -> Check:
    """Return a check."""
    return Check(component, "what", "asked", function)


def raising(problem: Exception) -> Callable[[], str]:
    """Return a question that ends with an exception."""

    def ask_it() -> str:
        raise problem

    return ask_it


def test_answers_come_in_order_with_their_names() -> None:
    """Passed, failed, refused by a library, and broken."""
    found = checks.run(
        [
            ask(lambda: "a  b\nc"),
            ask(raising(CheckError("no"))),
            ask(raising(OSError("gone"))),
            ask(raising(KeyError("x"))),
        ],
        5.0,
        (OSError,),
    )
    assert [each["result"] for each in found] == ["pass", "fail", "fail", "fail"]
    assert [each["answered"] for each in found] == ["a b c", "no", "gone", "KeyError: 'x'"]
    assert {each["name"] for each in found} == {"minio: what"}


def test_a_check_that_hangs_fails_alone() -> None:
    """The others still pass, and the run ends at the deadline."""
    forever = threading.Event()
    start = time.monotonic()
    found = checks.run([ask(lambda: str(forever.wait())), ask(lambda: "fine")], 0.3, ())
    assert time.monotonic() - start < 3
    assert [each["result"] for each in found] == ["fail", "pass"]
    assert found[0]["answered"] == "no answer within 0 s"
    forever.set()


def test_more_checks_than_threads_wait_for_their_turn() -> None:
    """The deadline of a check starts when it is asked."""
    pause = threading.Event()
    found = checks.run([ask(lambda: str(pause.wait(0.2))) for _ in range(6)], 0.5, (), threads=2)
    assert [each["result"] for each in found] == ["pass"] * 6


def test_long_answers_are_cut() -> None:
    """The report stays readable."""
    found = checks.run([ask(lambda: "x" * 1000)], 5.0, ())
    assert len(found[0]["answered"]) == checks.SHOWN
