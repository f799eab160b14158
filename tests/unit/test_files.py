"""Module infn.kaap.files: one call keeps many small files, and the unit that reads them."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import outside
from ansible_collections.infn.kaap.plugins.modules import files


def item(dest: Path, **given: Any) -> dict[str, Any]:
    """One file as the module's argument parser hands it over."""
    texts = {"content": None, "secret": None, "block": None, "link": None}
    return {"dest": str(dest), **texts, "mode": "0644", "owner": None, "restart": True} | given


def test_a_file_is_made_with_its_directories_and_then_left_alone(tmp_path: Path) -> None:
    wanted = item(tmp_path / "a/b/c.conf", content="text\n", mode="0600")
    assert files.differs(wanted)
    files.write(wanted)
    path = Path(wanted["dest"])
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("text\n", 0o600)
    assert path.parent.stat().st_mode & 0o777 == 0o755
    assert not files.differs(wanted)
    assert list(path.parent.iterdir()) == [path], "no scratch file stays"


@pytest.mark.parametrize("change", [{"content": "other\n"}, {"mode": "0640"}, {"link": "/x", "content": None}])
def test_a_change_is_noticed(tmp_path: Path, change: dict[str, Any]) -> None:
    wanted = item(tmp_path / "f", content="text\n")
    files.write(wanted)
    assert files.differs(wanted | change)


def test_a_link_is_made_and_pointed_elsewhere(tmp_path: Path) -> None:
    first, second = item(tmp_path / "l", link="/one"), item(tmp_path / "l", link="/two")
    files.write(first)
    assert not files.differs(first)
    assert files.differs(second)
    files.write(second)
    assert Path(second["dest"]).readlink() == Path("/two")


def test_a_file_takes_the_place_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("keep\n")
    (tmp_path / "f").symlink_to(tmp_path / "target")
    wanted = item(tmp_path / "f", content="text\n")
    assert files.differs(wanted)
    files.write(wanted)
    assert not (tmp_path / "f").is_symlink()
    assert (tmp_path / "target").read_text() == "keep\n"


def test_a_secret_is_written_and_never_shown(tmp_path: Path) -> None:
    wanted = item(tmp_path / "key", secret="hush", mode="0400")
    assert "hush" not in str(files.difference(wanted))
    files.write(wanted)
    assert (tmp_path / "key").read_text() == "hush"
    assert "hush" not in str(files.difference(wanted | {"secret": "other"}))


def test_a_text_is_shown(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old\n")
    shown = files.difference(item(tmp_path / "f", content="new\n"))
    assert (shown["before"], shown["after"]) == ("old\n", "new\n")


def test_an_unknown_owner_is_named(tmp_path: Path) -> None:
    wanted = item(tmp_path / "f", content="x", owner="nobody-has-this-name")
    assert files.differs(wanted)
    with pytest.raises(KeyError, match="nobody-has-this-name"):
        files.write(wanted)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "# BEGIN KaaP\nours\n# END KaaP\n"),
        ("theirs\n", "theirs\n# BEGIN KaaP\nours\n# END KaaP\n"),
        ("theirs", "theirs\n# BEGIN KaaP\nours\n# END KaaP\n"),
        ("a\n# BEGIN KaaP\nold\nolder\n# END KaaP\nb\n", "a\n# BEGIN KaaP\nours\n# END KaaP\nb\n"),
    ],
)
def test_a_block_leaves_what_others_wrote(tmp_path: Path, before: str, after: str) -> None:
    (tmp_path / "hosts").write_text(before)
    wanted = item(tmp_path / "hosts", block="ours\n")
    assert files.differs(wanted)
    assert files.difference(wanted)["after"] == after
    files.write(wanted)
    assert (tmp_path / "hosts").read_text() == after
    assert not files.differs(wanted)


class Machine:
    """A machine with one unit and the files in a directory, as the module meets it."""

    check_mode = False

    def __init__(self, **properties: str) -> None:
        self.properties = {"ActiveState": "inactive", "ActiveEnterTimestamp": "", "UnitFileState": "disabled"}
        self.properties |= properties
        self.ran: list[str] = []
        self.failing = ""
        self.result: dict[str, Any] = {}

    def run_command(self, command: list[str], check_rc: bool = False) -> tuple[int, str, str]:
        """Shows the unit, or notes the command."""
        if command[1] == "show":
            return 0, "".join(f"{name}={value}\n" for name, value in self.properties.items()), ""
        self.ran.append(" ".join(command))
        return (1, "", "no such thing") if self.failing and self.failing in self.ran[-1] else (0, "", "")

    def exit_json(self, **result: Any) -> None:
        """Keeps the result."""
        self.result = result

    def fail_json(self, msg: str) -> None:
        """Ends with a message."""
        raise SystemExit(msg)


def unit(**given: Any) -> dict[str, Any]:
    """A unit as the module's argument parser hands it over."""
    return {"name": "service", "state": "started", "enabled": True, "listens": None, "timeout": 0} | given


def keep(machine: Machine, wanted: list[dict[str, Any]], service: dict[str, Any] | None, load: Any = None) -> None:
    """Call the module."""
    files.keep(machine, wanted, service, load)


RUNNING = {"ActiveState": "active", "ActiveEnterTimestamp": "@4000000000", "UnitFileState": "enabled"}


def test_a_unit_that_does_not_run_is_started_with_its_files(tmp_path: Path) -> None:
    machine = Machine()
    keep(machine, [item(tmp_path / "f", content="x")], unit())
    assert machine.ran == ["systemctl enable --no-reload service", "systemctl start service"]
    assert machine.result["changed"]


def test_a_unit_that_runs_with_these_files_is_left_alone(tmp_path: Path) -> None:
    wanted = [item(tmp_path / "f", content="x")]
    files.write(wanted[0])
    machine = Machine(**RUNNING)
    keep(machine, wanted, unit())
    assert (machine.ran, machine.result["changed"]) == ([], False)
    assert "cmd" not in machine.result


def test_a_changed_file_restarts_the_unit_and_one_that_it_reads_at_each_use_does_not(tmp_path: Path) -> None:
    machine = Machine(**RUNNING)
    keep(machine, [item(tmp_path / "f", content="x")], unit())
    assert machine.ran == ["systemctl restart service"]
    machine = Machine(**RUNNING)
    keep(machine, [item(tmp_path / "g", content="x", restart=False)], unit())
    assert (machine.ran, machine.result["changed"]) == ([], True)


def test_a_unit_that_runs_since_before_its_files_were_written_is_restarted(tmp_path: Path) -> None:
    wanted = [item(tmp_path / "f", content="x")]
    files.write(wanted[0])
    machine = Machine(**RUNNING | {"ActiveEnterTimestamp": "@1000000000"})
    keep(machine, wanted, unit())
    assert machine.ran == ["systemctl restart service"]
    assert (machine.result["changed"], machine.result["stale"]) == (True, True)


def test_check_mode_says_what_would_be_done_and_does_nothing(tmp_path: Path) -> None:
    machine = Machine()
    machine.check_mode = True
    keep(machine, [item(tmp_path / "f", content="x")], unit(), ["load"])
    assert (machine.ran, machine.result["changed"]) == ([], True)
    assert not (tmp_path / "f").exists()


def test_files_are_loaded_at_every_call_without_a_change(tmp_path: Path) -> None:
    wanted = [item(tmp_path / "f", content="x")]
    files.write(wanted[0])
    machine = Machine()
    keep(machine, wanted, None, ["load", "f"])
    assert (machine.ran, machine.result["changed"]) == (["load f"], False)


def test_a_command_that_fails_is_named_with_the_journal(tmp_path: Path) -> None:
    machine = Machine()
    machine.failing = "start"
    with pytest.raises(
        SystemExit, match="`systemctl start service` failed: no such thing; see journalctl --unit service"
    ):
        keep(machine, [item(tmp_path / "f", content="x")], unit())


def test_a_started_unit_is_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        keep(Machine(), [item(tmp_path / "f", content="x")], unit(listens=address, timeout=30))
    with pytest.raises(SystemExit, match=f"service does not listen on {address} after 0 s"):
        keep(Machine(), [item(tmp_path / "f", content="x")], unit(listens=address))


def test_what_the_commands_take_counts_as_floor(tmp_path: Path) -> None:
    """The callback finds it as it finds that of Ansible's own command module."""
    machine = Machine()
    keep(machine, [item(tmp_path / "f", content="x")], unit())
    [(kind, start, end)] = outside.of_result(machine.result, 1000.0)
    assert (kind, end) == (outside.COMMAND, 1000.0)
    assert 0 <= end - start < 60
