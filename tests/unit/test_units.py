"""What systemctl has to do so that a unit runs with the files that it reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import units


def unit(active: str = "inactive", *, enabled: bool = True, outdated: bool = False) -> units.State:
    """A unit in a state."""
    return units.State(active, 1700000000 if active == "active" else None, enabled, outdated)


@pytest.mark.parametrize(
    ("printed", "since"),
    [
        ("ActiveState=active\nActiveEnterTimestamp=@1700000000\n", 1700000000),
        ("ActiveState=inactive\nActiveEnterTimestamp=@1700000000\n", None),
        ("ActiveState=activating\nActiveEnterTimestamp=@1700000000\n", None),
        ("ActiveState=inactive\nActiveEnterTimestamp=\n", None),
        ("", None),
    ],
)
def test_start_of_a_unit_is_read(printed: str, since: int | None) -> None:
    assert units.state(printed).since == since


def test_whether_a_unit_is_enabled_and_known_as_it_is_described() -> None:
    found = units.state("UnitFileState=enabled\nNeedDaemonReload=yes\n")
    assert (found.active, found.enabled, found.outdated) == ("inactive", True, True)
    found = units.state("UnitFileState=disabled\nNeedDaemonReload=no\n")
    assert (found.enabled, found.outdated) == (False, False)


def test_a_unit_that_runs_with_older_files_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("new\n")
    written = int(path.stat().st_mtime)
    assert units.stale(written - 1, [path])
    assert not units.stale(written, [path])
    assert not units.stale(None, [path]), "a unit that does not run reads them when it starts"
    assert not units.stale(written - 1, [tmp_path / "not there in check mode"])


def test_systemd_reads_descriptions_again_only_when_one_changed() -> None:
    again = ["systemctl", "daemon-reload"]
    assert units.rereading(unit(), ["/etc/systemd/system/service.service", "/etc/service.conf"]) == again
    assert units.rereading(unit(outdated=True), []) == again
    assert units.rereading(unit(), ["/etc/service.conf"]) == []


@pytest.mark.parametrize(
    ("wanted", "active", "read_again", "commands"),
    [
        ("started", "inactive", False, ["start service"]),
        ("started", "failed", True, ["start service"]),
        ("started", "activating", True, ["start service"]),
        ("started", "active", False, []),
        ("started", "active", True, ["restart service"]),
        ("starting", "inactive", True, ["start --no-block service"]),
        ("starting", "activating", True, []),
        ("starting", "active", True, []),
        ("left", "inactive", True, []),
        ("left", "active", True, []),
    ],
)
def test_only_what_is_missing_is_done(wanted: str, active: str, read_again: bool, commands: list[str]) -> None:
    found = units.changing("service", unit(active), wanted=wanted, enabled=True, read_again=read_again)
    assert [" ".join(command[1:]) for command in found] == commands


def test_a_unit_is_enabled_where_that_is_wanted() -> None:
    found = unit("active", enabled=False)
    enable = [["systemctl", "enable", "--no-reload", "service"]]
    assert units.changing("service", found, wanted="left", enabled=True, read_again=False) == enable
    assert units.changing("service", found, wanted="left", enabled=False, read_again=False) == []
