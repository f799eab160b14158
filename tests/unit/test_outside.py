"""The floor of a run: noted where commands and waits happen, counted once where they overlap, and benchmarked."""

from __future__ import annotations

import copy
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import embedded, outside, timings, waiting
from ansible_collections.infn.kaap.plugins.module_utils.readiness import READY

from benchmarks import floor

C, W = outside.COMMAND, outside.WAIT


@pytest.fixture(autouse=True)
def nothing_noted() -> None:
    """Each test notes its own."""
    outside.taken()


def test_what_runs_side_by_side_counts_once() -> None:
    spans = [(C, 0.0, 4.0), (W, 3.0, 6.0), (W, 3.5, 5.0), (C, 10.0, 11.0)]
    assert outside.covered(spans) == 7.0
    assert outside.summary(spans) == {"floor": 7.0, "commands": 5.0, "waits": 3.0}
    assert outside.summary([]) == {"floor": 0.0, "commands": 0.0, "waits": 0.0}


def test_commands_and_waits_are_noted_also_when_they_fail() -> None:
    outside.run([sys.executable, "-c", "raise SystemExit(3)"], check=False)
    with pytest.raises(embedded.EmbeddedError):
        embedded.wait_for("what never comes", 0, lambda: False, pause=0.01)
    waiting.poll(lambda: READY, "something", time.monotonic() + 5, print)
    assert [kind for kind, _, _ in outside.taken()] == [C, W, W]
    assert outside.taken() == []


def test_threads_note_their_own() -> None:
    def work() -> None:
        with outside.span(W):
            time.sleep(0.05)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = outside.taken()
    assert len(spans) == 4 and 0.05 <= outside.covered(spans) < 0.19


def test_spans_of_results() -> None:
    """Of our own actions as they say, of commands by their duration, of loops by their items."""
    own = {"outside": [["wait", 5.0, 6.0]]}
    command = {"cmd": ["kubectl"], "delta": "0:01:02.500000"}
    assert outside.of_result(own, 9.0) == [(W, 5.0, 6.0)]
    assert outside.of_result(command, 100.0) == [(C, 37.5, 100.0)]
    loop = outside.of_result({"results": [own, command, {"skipped": True}]}, 100.0)
    assert sorted(loop) == [(C, 37.5, 100.0), (W, 5.0, 6.0)]
    assert outside.of_result({"changed": True, "delta": None}, 1.0) == []
    assert outside.seconds("1 day, 1:00:00.5") == 3600.5


def test_items_of_a_loop_run_one_after_the_other() -> None:
    """So that both count, and neither of them twice."""
    items = [{"cmd": ["ctr"], "delta": "0:00:03"}, {"cmd": ["ctr"], "delta": "0:00:01"}]
    spans = outside.of_result({"results": items}, 100.0)
    assert sorted(spans) == [(C, 96.0, 99.0), (C, 99.0, 100.0)]
    assert outside.covered(spans) == 4.0


def measured() -> dict[str, Any]:
    """Timings of a run from nothing."""
    recorder = timings.Recorder()
    for start, phase in ((0.0, "provision"), (10.0, "cluster"), (40.0, "platform")):
        recorder.play(phase, phase.title(), start)
        recorder.task(f"prepare {phase}", None, start)
        recorder.task(f"make {phase}", None, start + 1)
        recorder.changed()
        recorder.outside([(C, start, start + 5), (W, start + 4, start + 6)])
    recorder.end(60.0)
    return recorder.merged({})


def test_the_recorder_keeps_floor_and_run_of_each_phase() -> None:
    phase = measured()["phases"]["cluster"]
    assert phase["outside"] == {"floor": 6.0, "commands": 5.0, "waits": 2.0}
    assert [task.get("floor") for task in phase["plays"][0]["tasks"]] == [None, 6.0]
    assert len({each["run"] for each in measured()["phases"].values()}) == 1


def test_the_benchmark_divides_wall_time_by_the_floor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = floor.measure(measured())
    assert figures["all"] == {"wall": 60.0, "floor": 18.0, "commands": 15.0, "waits": 6.0, "ratio": 60 / 18}
    assert figures["cluster"]["ratio"] == 5.0
    path = tmp_path / "timings.json"
    path.write_text(json.dumps(measured()))
    assert floor.main([str(path)]) == 1
    assert floor.main([str(path), "--most", "4"]) == 0
    assert "make cluster" in capsys.readouterr().out.partition("most above the floor:")[2].splitlines()[1]


@pytest.mark.parametrize(
    ("phase", "change", "why"),
    [
        ("cluster", {"run": "another"}, "phase cluster is from another run"),
        ("platform", {"changed": 0}, "phase platform changed nothing"),
        ("provision", {"outside": {}}, "there is no floor of phase provision"),
    ],
)
def test_what_is_no_measurement_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], phase: str, change: dict[str, Any], why: str
) -> None:
    """A second run, or phases of several runs, would give a fine ratio that means nothing."""
    content = copy.deepcopy(measured())
    content["phases"][phase].update(change)
    path = tmp_path / "timings.json"
    path.write_text(json.dumps(content))
    assert floor.main([str(path)]) == 2
    assert why in capsys.readouterr().err


def test_without_timings_there_is_no_figure(tmp_path: Path) -> None:
    assert floor.main([str(tmp_path / "none.json")]) == 2
