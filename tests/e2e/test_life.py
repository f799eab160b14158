"""The life of a deployment, in order: made (through ten kills), run again, changed, broken, healed, taken away.

The tests share one cluster and build on each other; they run in the order of this file.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable

import pytest

from . import residue
from .conftest import (
    STATE,
    deploy,
    deploy_killed_at,
    failed_checks,
    kubectl,
    report,
    run,
    verify,
)

# Where the run is killed: a part of a task's name and the delay in seconds after its start; one per phase at least.
KILL_POINTS = [
    ("pack", "Pack the artefacts", 0.3),
    ("provision", "Create the node containers", 0.5),
]
before: dict[str, set[str]] = {}


def changed_tasks(result_changed: dict[str, int]) -> dict[str, int]:
    """Hosts on which something changed."""
    return {host: count for host, count in result_changed.items() if count}


def predict(text: str) -> dict[str, object]:
    """Asks the ReMAT endpoint of the report about one affiliation."""
    endpoint = report()["endpoints"]["remat"]
    request = urllib.request.Request(
        endpoint["url"],
        data=json.dumps({"instances": [text]}).encode(),
        headers={**endpoint["headers"], "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        prediction: dict[str, object] = json.load(answer)["predictions"][0]
    return prediction


def test_destroy_first_clears_what_an_earlier_run_left() -> None:
    """CI may find an earlier deployment of this clone half-dead."""
    assert run("scripts/destroy").code == 0
    before.update(residue.snapshot())


@pytest.mark.parametrize(("phase", "task", "delay"), KILL_POINTS)
def test_killed_run_stops_where_it_was_killed(phase: str, task: str, delay: float) -> None:
    """Each run goes on from the one before, and is killed further on; nothing of it may stand in the way."""
    result = deploy_killed_at(task, delay)
    assert result.code == -9, f"the run was not killed in phase {phase}: no task named {task!r} started"


def test_run_after_the_kills_ends_well() -> None:
    """The run that is left alone ends with every check passed and the report written."""
    result = deploy()
    assert result.code == 0, result.output[-3000:]
    assert not failed_checks()
    assert len(report()["checks"]) > 30
    assert (STATE / "kubeconfig").stat().st_mode & 0o077 == 0


def test_endpoints_work_as_they_stand() -> None:
    """A URL of the report works without a Host header, and no header holds a secret."""
    assert predict("INFN Bari, Dept Phys, Bari, Italy")["label"] == "BA"
    assert predict("Univ Siena, Dipartimento Fis, Pisa, Italy")["label"] == "Unknown"
    for name, endpoint in report()["endpoints"].items():
        assert "authorization" not in {key.lower() for key in endpoint["headers"]}, name
    console = report()["endpoints"]["minio_console"]["url"]
    with urllib.request.urlopen(console, timeout=30) as page:
        assert b"<html" in page.read().lower()


def test_second_run_changes_nothing() -> None:
    """No task of a second run reports a change."""
    result = deploy()
    assert result.code == 0
    assert result.changed and not changed_tasks(result.changed)


def test_check_mode_reports_no_change_on_a_deployed_cluster() -> None:
    """--check --diff on a deployed cluster says that nothing would change."""
    result = deploy("--check", "--diff")
    assert result.code == 0, result.output[-3000:]
    assert result.changed and not changed_tasks(result.changed)


def test_changed_variable_is_applied_and_taken_back() -> None:
    """A changed value reaches the cluster, and the next plain run takes it back."""
    override = json.dumps({"kaap_components": {"metrics-server": {"values": {"replicas": 2}}}})
    assert deploy("-e", override, "-e", "kaap_only=metrics-server", "--tags", "platform").code == 0
    query = ("-n", "kube-system", "get", "deployment", "metrics-server", "-o", "jsonpath={.spec.replicas}")
    assert kubectl(*query) == "2"
    assert deploy("-e", "kaap_only=metrics-server", "--tags", "platform").code == 0
    assert kubectl(*query) == "1"


def test_component_taken_out_is_removed_and_comes_back() -> None:
    """A component that the inventory no longer wants leaves nothing behind."""
    override = json.dumps({"kaap_components": {"metrics-server": {"enabled": False}}})
    assert deploy("-e", override, "--tags", "platform").code == 0
    left = kubectl(
        "get",
        "all,apiservice,clusterrole,clusterrolebinding,rolebinding",
        "-A",
        "-o",
        "name",
        "-l",
        "kaap.infn.it/component=metrics-server",
    )
    assert left == ""
    assert deploy("--tags", "platform").code == 0
    assert verify().code == 0


def break_component() -> Callable[[], None]:
    """Scales Kueue to nothing."""
    kubectl("-n", "kueue-system", "scale", "deployment", "kueue-controller-manager", "--replicas=0")
    return lambda: None
