"""Timings: per phase, play, role, task and component; phases of earlier runs stay."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.infn.kaap.plugins.module_utils import timings


def recorded() -> timings.Recorder:
    """Return a run of two phases."""
    recorder = timings.Recorder()
    recorder.play("pack", "Pack", 0.0)
    recorder.task("look", None, 1.0)
    recorder.task("make", "infn.kaap.pack", 2.0)
    recorder.changed()
    recorder.changed()
    recorder.play("cluster", "Cluster", 10.0)
    recorder.task("a", "infn.kaap.cni", 10.0)
    recorder.task("b", "infn.kaap.cni", 11.5)
    recorder.component("minio", 4.0)
    recorder.end(20.0)
    return recorder


def test_durations_add_up() -> None:
    """Tasks end when the next starts, plays when the next starts."""
    phases = recorded().phases
    assert phases["pack"]["seconds"] == 10.0 and phases["cluster"]["seconds"] == 10.0
    assert [task["seconds"] for task in phases["pack"]["plays"][0]["tasks"]] == [1.0, 8.0]
    assert phases["cluster"]["roles"] == {"infn.kaap.cni": 10.0}
    assert phases["pack"]["changed"] == 1 and phases["cluster"]["changed"] == 0


def test_phases_of_this_run_replace_theirs_and_the_others_stay() -> None:
    """A second run of one phase keeps what the first run measured of the others."""
    before = {
        "schema": 1,
        "phases": {"pack": {"seconds": 99.0}, "verify": {"seconds": 3.0}},
        "components": {"kueue": 5.0},
    }
    after = recorded().merged(before)
    assert after["phases"]["pack"]["seconds"] == 10.0
    assert after["phases"]["verify"] == {"seconds": 3.0}
    assert after["components"] == {"kueue": 5.0, "minio": 4.0}


def test_a_phase_that_tags_left_out_keeps_its_times() -> None:
    """Ansible's own look at the arguments is no work of a phase."""
    recorder = timings.Recorder()
    recorder.play("verify", "Verify", 0.0)
    recorder.task(f"infn.kaap.kaap : {timings.ARGUMENTS} 'main'", "infn.kaap.kaap", 1.0)
    recorder.end(2.0)
    assert not recorder.worked("verify")
    assert recorder.merged({"phases": {"verify": {"seconds": 3.0}}})["phases"] == {"verify": {"seconds": 3.0}}
    assert recorded().worked("cluster")


def test_the_file_is_whole_or_absent(tmp_path: Path) -> None:
    """What cannot be read counts as nothing."""
    path = tmp_path / "state" / "timings.json"
    assert timings.read(path)["phases"] == {}
    timings.write_json(path, recorded().merged({}))
    assert timings.read(path)["components"] == {"minio": 4.0}
    assert [each.name for each in path.parent.iterdir()] == ["timings.json"]
    path.write_text("{")
    assert timings.read(path)["phases"] == {}
    path.write_text(json.dumps({"schema": 99}))
    assert timings.read(path)["phases"] == {}
