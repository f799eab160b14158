"""Says how much of provision to platform is above the floor: commands that run and readiness that is waited for."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PHASES = ("provision", "cluster", "platform")
MOST = 1.5
SHOWN = 12


class UnfitError(Exception):
    """The timings are no measurement of one deployment."""


def measure(timings: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return wall time and floor of each phase and of all, in seconds, and their ratio.

    :raises UnfitError: when a phase is missing, from another run, or changed nothing
    """
    phases = timings.get("phases") or {}
    found: dict[str, dict[str, float]] = {}
    for name in PHASES:
        phase = phases.get(name) or {}
        if not (phase.get("outside") or {}).get("floor"):
            raise UnfitError(f"there is no floor of phase {name}: deploy once with this release")
        if not phase.get("changed"):
            raise UnfitError(f"phase {name} changed nothing: run scripts/destroy first, then scripts/deploy")
        if phase.get("run") != phases[PHASES[0]].get("run"):
            raise UnfitError(f"phase {name} is from another run than {PHASES[0]}: deploy once from nothing")
        found[name] = {"wall": float(phase["seconds"]), **phase["outside"]}
    found["all"] = {key: sum(each[key] for each in found.values()) for key in ("wall", "floor", "commands", "waits")}
    for each in found.values():
        each["ratio"] = each["wall"] / each["floor"]
    return found


def above(timings: Mapping[str, Any]) -> list[tuple[float, str, str]]:
    """Return (seconds above the floor, phase, task) of every task, the longest first."""
    rows = [
        (task["seconds"] - task.get("floor", 0.0), name, task["name"])
        for name in PHASES
        for play in timings["phases"][name]["plays"]
        for task in play["tasks"]
    ]
    return sorted(rows, reverse=True)


def main(arguments: list[str]) -> int:
    """Print the figures; 1 when the ratio is too high, 2 when there is none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("timings", nargs="?", type=Path, default=Path(".kaap/embedded/timings.json"))
    parser.add_argument("--most", type=float, default=MOST, help="highest ratio that is accepted (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        timings = json.loads(options.timings.read_text(encoding="utf-8"))
        figures = measure(timings)
    except (OSError, ValueError, UnfitError) as problem:
        print(f"{options.timings}: {problem}", file=sys.stderr)
        return 2
    print(f"{'phase':<12}{'wall s':>9}{'floor s':>9}{'commands':>10}{'waits':>9}{'ratio':>8}")
    for name, each in figures.items():
        numbers = f"{each['wall']:>9.1f}{each['floor']:>9.1f}{each['commands']:>10.1f}{each['waits']:>9.1f}"
        print(f"{name:<12}{numbers}{each['ratio']:>8.2f}")
    print("\nmost above the floor:")
    for spent, phase, task in above(timings)[:SHOWN]:
        print(f"{spent:>8.2f} s  {phase:<10} {task}")
    return 1 if figures["all"]["ratio"] > options.most else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
