"""Callback: what belongs to a run as a whole: its lock, its timings, its table, and the logs when it fails."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import yaml
from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible_collections.infn.kaap.plugins.module_utils import (
    deployment,
    failure_logs,
    outside,
    report,
    run_lock,
    timings,
)

DOCUMENTATION = r"""
name: run
type: aggregate
short_description: Lock, timings, final table and failure logs of a run
description:
  - Takes the lock of the deployment when a playbook of this project starts, or ends the run naming the holder.
  - Writes C(timings.json) into the state directory.
  - Prints the table of the report at the end of a run that verified.
  - When the run fails, collects pod logs, events and journals and says which to read.
requirements: [to be enabled in ansible.cfg]
author: KaaP maintainers
"""

EXIT_HELD = 2
COMPONENT_ACTION = "components"


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """See DOCUMENTATION. Idle for playbooks that lie outside this clone's playbooks/ directory."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "infn.kaap.run"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._facts: dict[str, Any] | None = None
        self._lock: int | None = None
        self._times = timings.Recorder()
        self._before: dict[str, Any] = {}
        self._failures: list[dict[str, Any]] = []

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Take the lock, or end the run before it touches anything."""
        root = deployment.repository_root()
        if Path(playbook._file_name).resolve().parent != root / "playbooks":
            return
        try:
            sources = [str(source) for source in context.CLIARGS.get("inventory") or []]
            # A rehearsal has a lock, timings and logs of its own: it may run beside the inventory's deployment.
            purpose = "rehearsal" if Path(playbook._file_name).stem == "rehearse" else ""
            self._facts = deployment.describe(sources, purpose=purpose)
            state = Path(self._facts["state_dir"])
            self._lock, ended = run_lock.acquire(state / "lock", sys.argv)
        except (ValueError, run_lock.HeldError) as problem:
            self._display.error(str(problem), wrap_text=False)
            sys.exit(EXIT_HELD)
        if ended:
            self._display.display(f"Ended what a killed run had left behind: processes {', '.join(map(str, ended))}")
        self._before = timings.read(state / "timings.json")

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Count the play under the phase that its playbook is named after."""
        if self._facts is None:
            return
        phase = Path(play.get_path().rpartition(":")[0]).stem
        self._times.play(phase, play.get_name().strip(), time.monotonic())
        self._save()

    def _task_start(self, task: Any) -> None:
        if self._facts is not None:
            role = task._role.get_name() if task._role else None
            self._times.task(task.get_name().strip(), role, time.monotonic())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Start counting a task."""
        self._task_start(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Start counting a handler."""
        self._task_start(task)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Note a change, and what the components engine measured."""
        if self._facts is None:
            return
        self._times.outside(outside.of_result(result.result, time.time()))
        if result.result.get("changed"):
            self._times.changed()
        self._components(result)

    def _components(self, result: Any) -> None:
        if result.task.action.rpartition(".")[2] != COMPONENT_ACTION:
            return
        for name, entry in (result.result.get("components") or {}).items():
            if isinstance(entry, dict) and "seconds" in entry:
                self._times.component(str(name), entry["seconds"])

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Remember the first words of a failure."""
        if self._facts is None or ignore_errors:
            return
        self._components(result)
        # A loop's own message only says that some of its items failed.
        items = [item for item in result.result.get("results") or [] if item.get("failed")]
        message = "; ".join(str(item.get("msg", "")) for item in items) or str(result.result.get("msg", ""))
        self._failures.append(
            {
                "host": result.host.get_name(),
                "task": result.task.get_name(),
                "message": message,
                "result": result.result,
            }
        )

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Remember a host that could not be reached."""
        self.v2_runner_on_failed(result)

    def _save(self) -> None:
        # What a run in check mode takes says nothing about the deployment.
        if self._facts is not None and not context.CLIARGS.get("check"):
            path = Path(self._facts["state_dir"]) / "timings.json"
            timings.write_json(path, self._times.merged(self._before))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """End the run: timings, then the table, then what to read when it failed."""
        if self._facts is None:
            return
        self._times.end(time.monotonic())
        state = Path(self._facts["state_dir"])
        gone = not state.is_dir()
        if not gone:
            self._save()
        if self._times.worked("verify") and (state / "report.json").is_file():
            self._display.display("\n" + self._table(state))
        failed = any(
            stats.summarize(host)["failures"] or stats.summarize(host)["unreachable"] for host in stats.processed
        )
        if failed and not gone and not context.CLIARGS.get("check"):
            self._collect(state)
        if self._lock is not None:
            run_lock.release(self._lock)
            self._lock = None

    def _table(self, state: Path) -> str:
        """Return the final table; the report gets the times of the phases that were still running when it was made."""
        try:
            content = report.timed(report.load(state / "report.json"), timings.read(state / "timings.json"))
        except report.ReportError as problem:
            return str(problem)
        if not context.CLIARGS.get("check"):
            report.write(content, state)
        return report.table(content)

    def _collect(self, state: Path) -> None:
        phase = next(reversed(self._times.phases), "")
        if phase == "preflight":
            return  # nothing was touched: the problems it printed are the whole story
        facts = self._facts or {}
        logs = failure_logs.fresh_directory(state)
        text = yaml.safe_dump(_plain(self._failures), sort_keys=False, allow_unicode=True, width=120)
        (logs / "failed-tasks.yml").write_text(text, encoding="utf-8")
        self._display.display("\nCollecting pod logs, events and journals ...")
        found = failure_logs.collect(logs, kubeconfig=Path(facts["kubeconfig"]), deployment=facts["deployment"])
        self._display.display("\n".join(failure_logs.advice(self._failures, phase, logs, found)))


def _plain(value: Any) -> Any:
    """Return the value in types that YAML can write: Ansible's own carry tags."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return type(value)(value)
    return str(value)
