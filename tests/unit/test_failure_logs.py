"""What is kept after a failure, and which of it to read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import failure_logs

CRASHING = {
    "metadata": {"name": "p"},
    "status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "initContainerStatuses": [{"name": "init", "state": {"terminated": {"exitCode": 0}}}],
        "containerStatuses": [
            {"name": "app", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
            {"name": "new", "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}},
        ],
    },
}
HEALTHY = {
    "metadata": {"name": "q"},
    "status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "app", "restartCount": 0, "state": {"running": {}}}],
    },
}


def test_troubled_pods_and_their_logs() -> None:
    """A restarted container has an earlier log too; one that never started has none."""
    assert failure_logs.troubled(CRASHING) and not failure_logs.troubled(HEALTHY)
    assert failure_logs.containers(CRASHING) == [("init", False), ("app", True)]


def test_events_are_one_line_each() -> None:
    """When, about what, why."""
    event = {
        "metadata": {},
        "type": "Warning",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "involvedObject": {"kind": "Pod", "namespace": "minio", "name": "p"},
        "reason": "Failed",
        "message": "no\nroom",
    }
    assert failure_logs.event_line(event) == "2026-01-01T00:00:00Z Warning Pod minio/p: Failed: no room"


def test_only_the_latest_directories_are_kept(tmp_path: Path) -> None:
    """Logs do not fill the disk."""
    for number in range(9):
        (tmp_path / "logs" / f"2026010{number}T000000").mkdir(parents=True)
    fresh = failure_logs.fresh_directory(tmp_path)
    kept = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert len(kept) == failure_logs.KEPT_DIRECTORIES and kept[-1] == fresh.name and "20260108T000000" in kept


def test_journals_of_running_nodes_and_the_console_of_stopped_ones(tmp_path: Path) -> None:
    """A node that does not run has no journal to ask for."""
    asked = []

    def run(arguments: list[str]) -> str:
        asked.append(arguments[:2])
        if arguments[1] == "ps":
            return json.dumps([{"Names": ["n1"], "State": "running"}, {"Names": ["n2"], "State": "exited"}])
        if "n2" in arguments:
            raise OSError("gone")
        return "a journal"

    files = failure_logs.from_nodes(tmp_path, "d", run)
    assert asked == [["podman", "ps"], ["podman", "exec"], ["podman", "logs"]]
    assert [file.read_text() for file in files] == ["a journal", "could not be read: gone\n"]


def test_a_cluster_that_does_not_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is still collected."""
    monkeypatch.setenv("PATH", str(tmp_path))
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\nusers: [{name: u, user: {token: t}}]\n"
    )
    files = failure_logs.collect(tmp_path, kubeconfig=kubeconfig, deployment="d")
    assert [file.name for file in files] == ["missing.txt"]
    assert "pod logs and events: http://127.0.0.1:9 does not answer" in files[0].read_text()


def test_the_last_lines_say_what_failed_and_what_to_read(tmp_path: Path) -> None:
    """Empty files are not worth reading."""
    for name, text in (("a.log", "x"), ("b.log", ""), ("c.log", "x"), ("d.log", "x"), ("e.log", "x")):
        (tmp_path / name).write_text(text)
    failures = [{"host": "localhost", "task": "Install", "message": "first\nsecond", "result": {}}]
    lines = failure_logs.advice(failures, "platform", tmp_path, sorted(tmp_path.iterdir()))
    assert lines[0] == "Failed in phase platform: Install on localhost: first second"
    assert lines[1].endswith("failed-tasks.yml")
    assert [line.rpartition("/")[2] for line in lines[2:5]] == ["a.log", "c.log", "d.log"]
    assert lines[5].strip().startswith("and 1 more files in")
