"""The steps of scripts/test, in order, with a time for each and a count at the end.

A pytest step counts each of its tests; any other step counts as one. What does not run here is listed as
not run, never as passed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Step:
    """One step.

    :ivar fast: whether it belongs to the part that needs no root and little time
    :ivar pytest: whether it is a pytest run, of which each test counts
    :ivar lock: the environment it runs in, as scripts/environment names it; empty for that of the tests
    """

    name: str
    command: list[str]
    fast: bool = True
    pytest: bool = False
    lock: str = ""


@dataclass
class Outcome:
    """What a step came to: counts of checks, seconds, and names of failed and of not-run checks."""

    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)


PYTHON_SOURCES = ["plugins", "tests", "use_cases", "benchmarks"]
SHELL_SCRIPTS = [str(p.relative_to(ROOT)) for p in sorted((ROOT / "scripts").iterdir())] + [".ci/run"]

STEPS = [
    Step("ruff", ["ruff", "check", "."]),
    Step("ruff format", ["ruff", "format", "--check", "."]),
    Step("mypy", ["mypy", *PYTHON_SOURCES]),
    Step("yamllint", ["yamllint", "--strict", "."]),
    Step("ansible-lint", ["ansible-lint", "--strict"]),
    Step("shellcheck", ["shellcheck", *SHELL_SCRIPTS]),
    Step("unit", ["pytest", "tests/unit"], pytest=True),
    Step(
        "remat server",
        ["pytest", "use_cases/remat/tests"],
        fast=False,
        pytest=True,
        lock="use_cases/remat/requirements/test",
    ),
    Step("pack", ["scripts/play", "pack"], fast=False),
    Step("release", ["pytest", "tests/release"], fast=False, pytest=True),
    Step("integration", ["pytest", "tests/integration"], fast=False, pytest=True),
    Step("rehearsal", ["pytest", "--capture=no", "tests/rehearsal"], fast=False, pytest=True),
    Step("molecule", ["molecule", "test"], fast=False),
    Step(
        "end to end",
        ["pytest", "-x", "--capture=no", "--durations=0", "--durations-min=1", "tests/e2e"],
        fast=False,
        pytest=True,
    ),
]


def read_junit(path: Path, outcome: Outcome) -> None:
    """Adds the counts of a JUnit file that pytest wrote."""
    # The file is pytest's own, written a moment ago.
    for case in ET.parse(path).getroot().iter("testcase"):  # noqa: S314
        name = f"{case.get('classname')}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
            outcome.failures.append(name)
        elif skipped is not None:
            outcome.not_run.append(f"{name}: {skipped.get('message', '')}")
        else:
            outcome.passed += 1


def environment(lock: str) -> dict[str, str]:
    """The variables of a step: this process's, or with another environment first on the PATH."""
    if not lock:
        return dict(os.environ)
    place = subprocess.run(["scripts/environment", lock], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    path = place.stdout.strip()
    return {**os.environ, "VIRTUAL_ENV": path, "PATH": f"{path}/bin:{os.environ['PATH']}"}


def run(step: Step) -> Outcome:
    """Runs one step, its output going straight to the terminal."""
    outcome = Outcome()
    print(f"\n=== {step.name}: {' '.join(step.command)}", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        junit = Path(scratch) / "junit.xml"
        extra = [f"--junit-xml={junit}"] if step.pytest else []
        code = subprocess.run([*step.command, *extra], cwd=ROOT, env=environment(step.lock), check=False).returncode
        if junit.exists():
            read_junit(junit, outcome)
    outcome.seconds = time.monotonic() - start
    if code != 0 and outcome.failed == 0:
        outcome.failed, outcome.failures = 1, [f"{step.name} ended with {code}"]
    elif code == 0 and not step.pytest:
        outcome.passed = 1
    elif code == 0 and outcome.passed == 0:
        outcome.failed, outcome.failures = 1, [f"{step.name} ran no test"]
    print(f"=== {step.name}: {outcome.seconds:.0f} s, {'failed' if outcome.failed else 'ok'}", flush=True)
    return outcome


def main(arguments: list[str]) -> int:
    """Runs the chosen steps and prints the table; 1 if a check failed."""
    parser = argparse.ArgumentParser(prog="scripts/test", description="Runs KaaP's checks.")
    parser.add_argument("--fast", action="store_true", help="only what needs no root and takes under 3 minutes")
    parser.add_argument("--list", action="store_true", help="name the steps and stop")
    parser.add_argument("steps", nargs="*", metavar="STEP", help="only these steps")
    options = parser.parse_args(arguments)
    unknown = set(options.steps) - {step.name for step in STEPS}
    if unknown:
        parser.error(f"no step named {', '.join(sorted(unknown))}; --list names them")
    chosen = [
        step for step in STEPS if (step.name in options.steps if options.steps else step.fast or not options.fast)
    ]
    if options.list:
        print("\n".join(f"{step.name}{'' if step.fast else ' (not in --fast)'}" for step in STEPS))
        return 0
    outcomes = {step.name: run(step) for step in chosen}
    print(f"\n{'step':<16}{'passed':>8}{'failed':>8}{'not run':>9}{'seconds':>9}")
    for name, outcome in outcomes.items():
        print(f"{name:<16}{outcome.passed:>8}{outcome.failed:>8}{len(outcome.not_run):>9}{outcome.seconds:>9.0f}")
    for outcome in outcomes.values():
        for failure in outcome.failures:
            print(f"FAILED {failure}")
        for missing in outcome.not_run:
            print(f"NOT RUN {missing}")
    passed = sum(outcome.passed for outcome in outcomes.values())
    failed = sum(outcome.failed for outcome in outcomes.values())
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
