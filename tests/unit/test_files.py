"""Module infn.kaap.files: one call keeps many small files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.modules import files


def item(dest: Path, **given: Any) -> dict[str, Any]:
    """One file as the module's argument parser hands it over."""
    base = {"dest": str(dest), "content": None, "secret": None, "link": None, "mode": "0644", "owner": None}
    return base | given


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
    ("printed", "since"),
    [
        ("ActiveState=active\nActiveEnterTimestamp=@1700000000\n", 1700000000),
        ("ActiveState=inactive\nActiveEnterTimestamp=@1700000000\n", None),
        ("ActiveState=inactive\nActiveEnterTimestamp=\n", None),
        ("", None),
    ],
)
def test_start_of_a_unit_is_read(printed: str, since: int | None) -> None:
    assert files.started(printed) == since


def test_a_unit_that_runs_with_older_files_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("new\n")
    written = int(path.stat().st_mtime)
    assert files.stale(written - 1, [path])
    assert not files.stale(written, [path])
    assert not files.stale(None, [path]), "a unit that does not run reads them when it starts"
    assert not files.stale(written - 1, [tmp_path / "not there in check mode"])
