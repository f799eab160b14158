"""How long each phase, play, role, task and component took, and the file that keeps it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import outside

SCHEMA = 1
# Ansible runs these tasks of its own whatever tags are asked for.
ARGUMENTS = "Validating arguments against arg spec"


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file that is never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def read(path: Path) -> dict[str, Any]:
    """Return what the file holds; an empty record when it is missing or of another schema."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        return {"schema": SCHEMA, "phases": {}, "components": {}}
    return content


class Recorder:
    """Collects the durations of one run. Times are seconds of a monotonic clock, given by the caller."""

    def __init__(self) -> None:
        # Tells the phases of one run from those that an earlier run left in the file.
        self.run = datetime.now(tz=UTC).isoformat(timespec="milliseconds")
        self.phases: dict[str, dict[str, Any]] = {}
        self.components: dict[str, float] = {}
        self._phase: str | None = None
        self._play: dict[str, Any] | None = None
        self._task: dict[str, Any] | None = None
        self._play_start = self._task_start = 0.0
        self._outside: dict[str, list[outside.Span]] = {}
        self._task_outside: list[outside.Span] = []

    def play(self, phase: str, name: str, now: float) -> None:
        """A play of a phase starts; the one before it ends."""
        self.end(now)
        started = datetime.now(tz=UTC).isoformat(timespec="seconds")
        record = self.phases.setdefault(
            phase, {"run": self.run, "started": started, "seconds": 0.0, "changed": 0, "roles": {}, "plays": []}
        )
        self._phase, self._play_start = phase, now
        self._play = {"name": name, "seconds": 0.0, "tasks": []}
        record["plays"].append(self._play)

    def task(self, name: str, role: str | None, now: float) -> None:
        """A task starts; the one before it ends."""
        self._end_task(now)
        self._task_start = now
        self._task = {"name": name, "role": role, "seconds": 0.0, "changed": False}

    def changed(self) -> None:
        """The running task changed something."""
        if self._task is not None and self._phase is not None:
            self.phases[self._phase]["changed"] += not self._task["changed"]
            self._task["changed"] = True

    def outside(self, spans: list[outside.Span]) -> None:
        """The running task spent this time in commands and in waiting."""
        if self._task is not None and self._phase is not None:
            self._task_outside += spans
            self._outside.setdefault(self._phase, []).extend(spans)

    def component(self, name: str, seconds: float) -> None:
        """A component took so long."""
        self.components[name] = round(float(seconds), 3)

    def _end_task(self, now: float) -> None:
        if self._task is None or self._play is None or self._phase is None:
            return
        self._task["seconds"] = round(now - self._task_start, 3)
        if self._task_outside:
            # No longer than the task: its clock starts and stops in another process.
            self._task["floor"] = min(self._task["seconds"], outside.summary(self._task_outside)["floor"])
            self._task_outside = []
        self._play["tasks"].append(self._task)
        if self._task["role"]:
            roles = self.phases[self._phase]["roles"]
            roles[self._task["role"]] = round(roles.get(self._task["role"], 0.0) + self._task["seconds"], 3)
        self._task = None

    def end(self, now: float) -> None:
        """The play ends, and its task with it."""
        self._end_task(now)
        if self._play is None or self._phase is None:
            return
        self._play["seconds"] = round(now - self._play_start, 3)
        record = self.phases[self._phase]
        record["seconds"] = round(sum(play["seconds"] for play in record["plays"]), 3)
        record["outside"] = outside.summary(self._outside.get(self._phase, []))
        self._play = None

    def worked(self, phase: str) -> bool:
        """Tell whether a task of the phase ran: tags leave plays with nothing but Ansible's own look at arguments."""
        plays = self.phases.get(phase, {}).get("plays", [])
        return any(ARGUMENTS not in task["name"] for play in plays for task in play["tasks"])

    def merged(self, before: dict[str, Any]) -> dict[str, Any]:
        """Return the file's new content: phases that worked in this run replace theirs, the others stay."""
        worked = {phase: record for phase, record in self.phases.items() if self.worked(phase)}
        return {
            "schema": SCHEMA,
            "phases": {**before.get("phases", {}), **worked},
            "components": {**before.get("components", {}), **self.components},
        }
