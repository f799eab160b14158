"""What the end-to-end tests share: running the product's own commands and reading what they leave."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils.deployment import describe

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".kaap" / "embedded"
CALLBACKS = Path(__file__).parent / "callback"
RUN_TIMEOUT = 3600


@dataclass(frozen=True)
class Run:
    """A finished command: its exit status, output and wall time in seconds."""

    code: int
    output: str
    seconds: float

    @property
    def changed(self) -> dict[str, int]:
        """Changed tasks per host, from the recap."""
        return {host: int(n) for host, n in re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", self.output, re.M)}


def run(*command: str, env: dict[str, str] | None = None, timeout: float = RUN_TIMEOUT) -> Run:
    """Runs a command of the project in a process group of its own; its output is also shown."""
    clean = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "ANSIBLE_CONFIG"}}
    start = time.monotonic()
    print(f"$ {' '.join(command)}", flush=True)
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**clean, **(env or {})},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        output += f"\nkilled by the test after {timeout} s"
    print(output, flush=True)
    return Run(process.returncode, output, time.monotonic() - start)


def deploy(*arguments: str, **kwargs: Any) -> Run:
    """Runs scripts/deploy with more ansible-playbook options."""
    return run("scripts/deploy", *arguments, **kwargs)


def killed_at(task: str, delay: float, *command: str) -> Run:
    """Runs a command and kills it, SIGKILL to all its processes, `delay` seconds after a task starts."""
    return run(
        *command,
        env={
            "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
            "ANSIBLE_CALLBACKS_ENABLED": "kill_at,infn.kaap.run",
            "KAAP_KILL_AT": task,
            "KAAP_KILL_DELAY": str(delay),
        },
    )


def deploy_killed_at(task: str, delay: float = 0.0) -> Run:
    """Runs scripts/deploy and kills it after a task starts."""
    return killed_at(task, delay, "scripts/deploy")


def verify() -> Run:
    """Runs the verify playbook alone."""
    return run("scripts/play", "verify")


def report() -> dict[str, Any]:
    """The last report.json."""
    result: dict[str, Any] = json.loads((STATE / "report.json").read_text())
    return result


def failed_checks() -> set[str]:
    """Names of the failed checks of the last report."""
    return {check["name"] for check in report()["checks"] if check["result"] != "pass"}


def kubectl_run(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the bundle's kubectl against the deployment; `given` goes to its standard input."""
    cache = Path(os.environ.get("KAAP_CACHE", Path.home() / ".cache" / "kaap"))
    digest = json.loads((STATE / "bundle.json").read_text())["digest"]
    return subprocess.run(
        [str(cache / "bundles" / digest / "bin" / "kubectl"), f"--kubeconfig={STATE}/kubeconfig", *arguments],
        text=True,
        input=given,
        capture_output=True,
        check=False,
        timeout=300,
    )


def kubectl(*arguments: str, check: bool = True) -> str:
    """Runs the bundle's kubectl against the deployment and returns its standard output."""
    result = kubectl_run(*arguments)
    assert not check or result.returncode == 0, f"kubectl {' '.join(arguments)}: {result.stderr}"
    return result.stdout


def podman(*arguments: str) -> str:
    """Runs podman and returns its standard output."""
    result = subprocess.run(["podman", *arguments], text=True, capture_output=True, check=False, timeout=120)
    assert result.returncode == 0, f"podman {' '.join(arguments)}: {result.stderr}"
    return result.stdout


def node_container(host: str) -> str:
    """The container of an embedded node of this clone's deployment."""
    deployment = describe([str(ROOT / "inventories" / "embedded")], root=ROOT)["deployment"]
    return f"kaap-{deployment}-{host}"


def until_verified(when: str, timeout: float = 420) -> None:
    """Asks verify until every check passes: what heals by itself takes its time, and nothing else is done to it."""
    deadline = time.monotonic() + timeout
    while verify().code != 0:
        assert time.monotonic() < deadline, f"{when}, these checks still fail: {sorted(failed_checks())}"


@pytest.fixture(scope="session", autouse=True)
def _root_and_podman() -> Iterator[None]:
    """End-to-end tests need root: without it they fail loudly rather than pass unseen."""
    assert os.geteuid() == 0, "the end-to-end tests create nodes: run them as root"
    yield
