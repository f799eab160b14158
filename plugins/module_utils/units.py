"""What systemctl has to do so that a unit runs with the files that it reads.

Pure functions over what systemctl prints; module infn.kaap.files runs the commands. Only the standard library: it also
runs inside a node.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Where units are described; systemd reads them again only when it is told to
UNIT_DIRECTORY = "/etc/systemd/system/"
SHOW = [
    *["systemctl", "show", "--timestamp=unix"],
    "--property=ActiveState,ActiveEnterTimestamp,UnitFileState,NeedDaemonReload",
]
# What is wanted of a unit. STARTED: it runs, and has read the files. STARTING: as soon as it can; nobody waits for it.
# LEFT: whatever it does now; somebody else starts it.
STARTED, STARTING, LEFT = "started", "starting", "left"
STATES = (STARTED, STARTING, LEFT)


@dataclass(frozen=True)
class State:
    """A unit as systemd sees it.

    :param active: ActiveState, such as active, activating, inactive
    :param since: seconds since the epoch at which it became active, None when it is not active
    :param enabled: whether it starts with the machine
    :param outdated: whether systemd knows an older description of it than the one on disk
    """

    active: str
    since: int | None
    enabled: bool
    outdated: bool


def state(properties: str) -> State:
    """Return the state of a unit; of an unknown one that it is neither active nor enabled.

    :param properties: what SHOW with the name of a unit printed
    """
    found = dict(line.split("=", 1) for line in properties.splitlines() if "=" in line)
    active = found.get("ActiveState", "inactive")
    stamp = found.get("ActiveEnterTimestamp", "").removeprefix("@")
    return State(
        active=active,
        since=int(stamp) if active == "active" and stamp.isdigit() else None,
        enabled=found.get("UnitFileState") == "enabled",
        outdated=found.get("NeedDaemonReload") == "yes",
    )


def stale(since: int | None, paths: Iterable[Path]) -> bool:
    """Tell whether one of the files was written in a later second than the unit was started in."""
    return since is not None and any(int(path.lstat().st_mtime) > since for path in paths if os.path.lexists(path))


def rereading(found: State, written: Iterable[str]) -> list[str]:
    """Return the command that makes systemd read descriptions of units again, empty where that is not needed.

    :param written: paths of files that were just written
    """
    new = any(path.startswith(UNIT_DIRECTORY) for path in written)
    return ["systemctl", "daemon-reload"] if found.outdated or new else []


def changing(name: str, found: State, *, wanted: str, enabled: bool, read_again: bool) -> list[list[str]]:
    """Return the commands that change a unit, in order; none for one that is as wanted.

    :param name: name of the unit
    :param found: its state before
    :param wanted: one of STATES
    :param enabled: whether it has to start with the machine; false leaves that as it is
    :param read_again: whether it runs with older files than those on disk
    """
    commands = []
    if enabled and not found.enabled:
        commands.append(["systemctl", "enable", "--no-reload", name])
    if wanted == STARTING and found.active not in ("active", "activating", "reloading"):
        commands.append(["systemctl", "start", "--no-block", name])
    if wanted == STARTED:
        if found.active != "active":
            # Of one that is starting already it waits for the end.
            commands.append(["systemctl", "start", name])
        elif read_again:
            commands.append(["systemctl", "restart", name])
    return commands
