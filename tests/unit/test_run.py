"""A run as a whole, for real but without machines: refused settings, the lock, what is written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import run_lock

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Inventory:
    """A copy of the default inventory, and the state of its deployment."""

    path: Path
    state: Path

    def play(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one playbook."""
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self.path)]
        return subprocess.run(
            [*command, str(ROOT / "playbooks" / f"{name}.yml"), *arguments],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    """Return an inventory of its own; its state is removed afterwards."""
    path = tmp_path / f"unit-test-{os.getpid()}"
    shutil.copytree(ROOT / "inventories/embedded", path)
    state = ROOT / ".kaap" / path.name
    yield Inventory(path, state)
    shutil.rmtree(state, ignore_errors=True)


@pytest.mark.parametrize("playbook", ["site", "pack", "provision", "cluster", "platform", "use_cases", "verify"])
def test_every_phase_refuses_what_cannot_work(inventory: Inventory, playbook: str) -> None:
    """All problems, each with its fix, and nothing is touched."""
    settings = inventory.path / "group_vars/all"
    settings.mkdir(exist_ok=True)
    (settings / "test.yml").write_text("kaap_pod_cidr: 10.0.0.5/16\n")
    (inventory.path / "host_vars").mkdir()
    (inventory.path / "host_vars/worker-1.yml").write_text("kaap_node_memroy: 6g\n")
    # Without the registries: a unit test asks nobody.
    done = inventory.play(playbook, "-e", "kaap_profile=ful", "-e", '{"preflight_packing": false}')
    assert done.returncode == 2, done.stdout + done.stderr
    for line in (
        "kaap_pod_cidr: `10.0.0.5/16` has host bits set; did you mean 10.0.0.0/16?",
        "kaap_node_memroy: `6g` is not a setting of KaaP; did you mean kaap_node_memory?",
        "kaap_profile: `ful` is not possible; did you mean full?",
    ):
        assert line in done.stdout
    assert "nothing was touched" in done.stdout
    assert sorted(path.name for path in inventory.state.iterdir()) == ["lock", "timings.json"]


def test_a_host_given_twice_is_refused(inventory: Inventory) -> None:
    """The inventory is not read at all."""
    hosts = inventory.path / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("worker-1:", "worker-1:\n            worker-1:"))
    done = inventory.play("preflight")
    assert done.returncode != 0
    assert "duplicate" in (done.stdout + done.stderr).lower()


def test_a_second_run_is_refused_while_the_first_works(inventory: Inventory) -> None:
    """It says who holds the deployment."""
    handle, _ = run_lock.acquire(inventory.state / "lock", ["ansible-playbook", "playbooks/site.yml"])
    try:
        done = inventory.play("preflight")
    finally:
        run_lock.release(handle)
    assert done.returncode == 2
    assert f"process {os.getpid()} of" in done.stderr + done.stdout
    assert "TASK" not in done.stdout


def test_times_are_written(inventory: Inventory) -> None:
    """Also those of a run that was refused, but not those of check mode."""
    inventory.play("preflight", "--check", "-e", "kaap_profile=ful", "-e", '{"preflight_packing": false}')
    assert not (inventory.state / "timings.json").exists()
    inventory.play("preflight", "-e", "kaap_profile=ful", "-e", '{"preflight_packing": false}')
    written = json.loads((inventory.state / "timings.json").read_text("utf-8"))
    phase = written["phases"]["preflight"]
    assert phase["seconds"] > 0 and phase["roles"]["infn.kaap.preflight"] > 0
    assert run_lock.read_holder(inventory.state / "lock") == {}
