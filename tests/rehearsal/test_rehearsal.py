"""A rehearsal as its user runs it: killed half-way, run again, and its report against faults that were put in.

It needs root, as all that makes machines does, and takes about two minutes on two cores.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import deployment

from tests.e2e import residue
from tests.e2e.conftest import CALLBACKS, ROOT, Run, run

INVENTORY = ROOT / "tests" / "rehearsal" / "inventories" / "faults"

Object = dict[str, Any]


def rehearse(**env: str) -> Run:
    """Runs the playbook."""
    return run("scripts/play", "rehearse", "-i", str(INVENTORY), env=env)


def state() -> Path:
    """The state directory of the inventory's own deployment, in which the report is."""
    return Path(deployment.describe([str(INVENTORY)], root=ROOT)["state_dir"])


def there() -> set[str]:
    """What this host holds of the rehearsal: its containers, volumes, networks and mounts."""
    name = deployment.describe([str(INVENTORY)], root=ROOT, purpose="rehearsal")["deployment"]
    found = residue.snapshot()
    return {each for kind in ("containers", "volumes", "networks", "mounts") for each in found[kind] if name in each}


@pytest.fixture(scope="module")
def report() -> Object:
    """The report of a rehearsal after another one was killed with its machine made; nothing of either is left."""
    assert os.geteuid() == 0, "a rehearsal makes a machine: run it as root"
    killed = rehearse(
        ANSIBLE_CALLBACK_PLUGINS=str(CALLBACKS),
        ANSIBLE_CALLBACKS_ENABLED="kill_at,infn.kaap.run",
        KAAP_KILL_AT="Look at it",
    )
    assert killed.code != 0 and there(), "it was not killed with its machine made"
    done = rehearse()
    assert done.code == 0, "the rehearsal failed"
    assert not there(), "a rehearsal leaves something"
    found: Object = json.loads((state() / "rehearsal.json").read_text())
    return found


def test_its_control_plane_is_forgotten_and_nothing_of_the_deployment_made(report: Object) -> None:
    assert not (state() / "kubeconfig").exists() and not (state() / "secrets").exists()
    assert {path.name for path in (state() / "rehearsal").iterdir()} <= {"bundle.json", "lock", "timings.json"}


def test_a_pod_that_fits(report: Object) -> None:
    minio = report["components"]["minio"]
    assert (minio["pods"], minio["pods_scheduled"]) == (1, 1)
    assert minio["requests"]["cpu"] > 0 and minio["lower_bound"] == ""
    # Its claim got a volume, although the provisioner of its class is only simulated.
    (claim,) = [claim for claim in report["volumes"]["claims"] if claim["claim"] == "minio/minio"]
    assert claim["bound"] and claim["bytes"] > 0
    gateway = report["components"]["gateway"]
    assert (gateway["pods_later"], gateway["pods_scheduled"]) == (1, 1), "pods that come later are not judged"


def test_a_pod_that_fits_nowhere_and_why(report: Object) -> None:
    (entry,) = report["unschedulable"]
    assert (entry["component"], entry["pods"], entry["requests"]["cpu"]) == ("local-path", 1, 64)
    assert "2 Insufficient cpu" in entry["why"], entry["why"]
    assert report["fits"] is False


def test_an_object_that_is_refused_and_why(report: Object) -> None:
    (entry,) = report["refused"]
    assert entry["component"] == "metrics-server" and entry["object"].startswith("Deployment ")
    assert "must be less than or equal to memory limit" in entry["why"], entry["why"]


def test_webhooks_of_simulated_servers_are_left_out_and_listed(report: Object) -> None:
    left_out = {(entry["component"], entry["object"].partition(" ")[0]) for entry in report["left_out"]}
    for component in ("jobset", "kserve", "kueue", "trainer"):
        assert (component, "ValidatingWebhookConfiguration") in left_out, component
    # Custom resources were sent all the same, and the API server took them.
    assert report["components"]["kueue"]["objects"] > 0
    assert not [entry for entry in report["refused"] if entry["component"] == "kueue"]


def test_machines_and_what_is_left(report: Object) -> None:
    nodes = report["nodes"]
    assert set(nodes) == {"control-1", "worker-1"}
    assert nodes["control-1"]["requested"]["cpu"] > 0.2, "the pods of the control plane are not counted"
    asked = sum(node["requested"]["cpu"] for node in nodes.values())
    bound = sum(part["requests"].get("cpu", 0) for name, part in report["components"].items() if name != "local-path")
    assert asked == pytest.approx(bound)
    assert report["left_for_users"]["free"]["cpu"] == pytest.approx(nodes["worker-1"]["free"]["cpu"])
    assert "local-path" in (state() / "rehearsal.md").read_text()
