"""What to read after a failure: pod logs and events from the API server, journals from the nodes.

Everything is best effort: the API server, a node or podman may be what failed. What could not be had is said.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import embedded, kube, readiness

KEPT_DIRECTORIES = 5
LOG_LINES = 500
JOURNAL_LINES = 2000
COMMAND_SECONDS = 20
UNITS = ("kubelet", "containerd", "kaap-registry")


def fresh_directory(state_dir: Path) -> Path:
    """Return a new directory under logs/ named by the time; only the latest few are kept."""
    parent = state_dir / "logs"
    parent.mkdir(parents=True, exist_ok=True)
    for old in sorted(path for path in parent.iterdir() if path.is_dir())[: -(KEPT_DIRECTORIES - 1)]:
        shutil.rmtree(old)
    fresh = parent / datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%S")
    fresh.mkdir(exist_ok=True, mode=0o700)
    return fresh


def event_line(event: dict[str, Any]) -> str:
    """Return an event as one line: when, what kind, about what, why."""
    about = event.get("involvedObject") or event.get("regarding") or {}
    when = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""
    place = f"{about.get('kind', '')} {about.get('namespace', '')}/{about.get('name', '')}"
    text = " ".join(str(event.get("message") or event.get("note") or "").split())
    return f"{when} {event.get('type', '')} {place}: {event.get('reason', '')}: {text}"


def troubled(pod: dict[str, Any]) -> bool:
    """Tell whether a pod deserves a look: it is not ready, or a container of it was restarted."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return not readiness.pod(pod).ready or any(status.get("restartCount") for status in statuses)


def containers(pod: dict[str, Any]) -> list[tuple[str, bool]]:
    """Return each container that has a log, and whether an earlier run of it has one too."""
    found = []
    status = pod.get("status") or {}
    for group in ("initContainerStatuses", "containerStatuses"):
        for entry in status.get(group) or []:
            state = entry.get("state") or {}
            if "running" in state or "terminated" in state or entry.get("restartCount"):
                found.append((str(entry["name"]), bool(entry.get("restartCount"))))
    return found


def from_api(directory: Path, kubeconfig: Path) -> list[Path]:
    """Write events, the state of nodes and troubled pods, and the logs of those pods.

    :returns: the files, the most telling first
    :raises kube.KubeError: when the API server does not answer
    """
    client = kube.KubeClient.from_kubeconfig(kubeconfig)
    written = []
    pods = client.call("GET", "/api/v1/pods")["items"]
    bad = sorted((pod for pod in pods if troubled(pod)), key=lambda pod: readiness.pod(pod).ready)
    for pod in bad:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        for container, restarted in containers(pod):
            for previous in (True, False) if restarted else (False,):
                query = {"container": container, "tailLines": str(LOG_LINES), "timestamps": "true"}
                if previous:
                    query["previous"] = "true"
                status, body = client.raw(
                    "GET",
                    f"/api/v1/namespaces/{namespace}/pods/{name}/log",
                    query,
                    accept="*/*",
                    seconds=COMMAND_SECONDS,
                )
                if status != 200 or not body:
                    continue
                file = directory / "pods" / f"{namespace}.{name}.{container}{'.previous' if previous else ''}.log"
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(body)
                written.append(file)
    events = directory / "events.txt"
    lines = sorted(event_line(event) for event in client.call("GET", "/api/v1/events")["items"])
    events.write_text("\n".join(lines) + "\n", encoding="utf-8")
    state = directory / "objects.yml"
    nodes = client.call("GET", "/api/v1/nodes")["items"]
    keep = [{"metadata": {"name": node["metadata"]["name"]}, "status": node.get("status")} for node in nodes]
    text = yaml.safe_dump_all([*keep, *({**pod, "kind": "Pod"} for pod in bad)], sort_keys=False)
    state.write_text(text, encoding="utf-8")
    return [*written, events, state]


def command(arguments: list[str]) -> str:
    """Return what a command printed.

    :raises OSError: when it cannot be started, fails or takes too long
    """
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, errors="replace", timeout=COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as problem:
        raise OSError(f"{' '.join(arguments[:3])} did not end within {COMMAND_SECONDS} s") from problem
    if done.returncode:
        raise OSError(f"{' '.join(arguments[:3])}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def from_nodes(directory: Path, deployment: str, run: Callable[[list[str]], str] = command) -> list[Path]:
    """Write the journal of each embedded node, and its console where it does not run.

    :raises OSError: when podman does not answer
    """
    written = []
    listed = json.loads(
        run(["podman", "ps", "--all", "--format", "json", "--filter", f"label={embedded.LABEL}={deployment}"]) or "[]"
    )
    for container in listed:
        name = str((container.get("Names") or [container["Id"]])[0])
        units = [part for unit in UNITS for part in ("--unit", unit)]
        if container.get("State") == "running":
            wanted = ["podman", "exec", name, "journalctl", "--no-pager", "--lines", str(JOURNAL_LINES), *units]
        else:
            wanted = ["podman", "logs", "--tail", str(JOURNAL_LINES), name]
        file = directory / f"{name}.journal.log"
        try:
            file.write_text(run(wanted), encoding="utf-8")
        except OSError as problem:
            file.write_text(f"could not be read: {problem}\n", encoding="utf-8")
        written.append(file)
    return written


def collect(directory: Path, *, kubeconfig: Path, deployment: str) -> list[Path]:
    """Collect what can be had into the directory and return the files; missing.txt says what could not.

    :param deployment: name of the deployment, the label of its embedded nodes
    """
    files: list[Path] = []
    missing: list[str] = []
    if kubeconfig.is_file():
        try:
            files += from_api(directory, kubeconfig)
        except (kube.KubeError, OSError) as problem:
            missing.append(f"pod logs and events: {problem}")
    if shutil.which("podman"):
        try:
            files += from_nodes(directory, deployment)
        except (OSError, ValueError) as problem:
            missing.append(f"journals: {problem}")
    if missing:
        note = directory / "missing.txt"
        note.write_text("\n".join(missing) + "\n", encoding="utf-8")
        files.append(note)
    return files


def advice(failures: list[dict[str, Any]], phase: str, directory: Path, files: list[Path]) -> list[str]:
    """Return the last lines of a failed run: what failed, and which files to read first."""
    lines = []
    if failures:
        last = failures[-1]
        message = " ".join(last["message"].split())
        lines.append(f"Failed in phase {phase}: {last['task']} on {last['host']}: {message[:300]}")
    else:
        lines.append(f"Failed in phase {phase}")
    lines.append(f"  read first: {directory / 'failed-tasks.yml'}")
    telling = [file for file in files if file.stat().st_size]
    for file in telling[:3]:
        lines.append(f"  then:       {file}")
    if len(telling) > 3:
        lines.append(f"  and {len(telling) - 3} more files in {directory}")
    return lines
