"""Secrets: generated once, different everywhere, readable by their owner only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import secrets

WANTED: secrets.Wanted = {"minio-root": {"rootUser": {"value": "kaap-root"}, "rootPassword": {"length": 40}}}


def mode(path: Path) -> int:
    """Return the permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_made_once_and_kept(tmp_path: Path) -> None:
    """The second run changes nothing."""
    assert secrets.ensure(str(tmp_path), WANTED) == ["minio-root"]
    first = secrets.read_all(str(tmp_path))
    assert first["minio-root"]["rootUser"] == "kaap-root"
    assert len(first["minio-root"]["rootPassword"]) == 40
    assert secrets.ensure(str(tmp_path), WANTED) == []
    assert secrets.read_all(str(tmp_path)) == first


def test_two_installs_share_none(tmp_path: Path) -> None:
    """Each makes its own."""
    for name in ("a", "b"):
        secrets.ensure(str(tmp_path / name), WANTED)
    one, two = (secrets.read_all(str(tmp_path / name))["minio-root"]["rootPassword"] for name in ("a", "b"))
    assert one != two


def test_only_the_owner_can_read(tmp_path: Path) -> None:
    """Directory 0700, files 0600; a file that was opened up is a change."""
    secrets.ensure(str(tmp_path), WANTED)
    file = tmp_path / "secrets" / "minio-root.yml"
    assert mode(file) == 0o600 and mode(file.parent) == 0o700
    before = secrets.read_all(str(tmp_path))
    file.chmod(0o644)
    assert secrets.ensure(str(tmp_path), WANTED) == ["minio-root"]
    assert mode(file) == 0o600 and secrets.read_all(str(tmp_path)) == before
    assert [path.name for path in file.parent.iterdir()] == ["minio-root.yml"]


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    """It says what would be made."""
    assert secrets.ensure(str(tmp_path), WANTED, dry=True) == ["minio-root"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_wanted_any_more_goes(tmp_path: Path) -> None:
    """Only under the prefix."""
    everything: secrets.Wanted = {**WANTED, "minio-user-a": {"secret_key": {"length": 12}}}
    secrets.ensure(str(tmp_path), everything)
    assert secrets.ensure(str(tmp_path), WANTED, prune_prefix="minio-user-") == ["minio-user-a"]
    assert set(secrets.read_all(str(tmp_path))) == {"minio-root"}


def test_a_broken_file_is_named_without_its_content(tmp_path: Path) -> None:
    """A secret never lands in an error."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "x.yml").write_text("hunter2")
    with pytest.raises(ValueError, match=r"x\.yml does not hold a mapping") as caught:
        secrets.read_all(str(tmp_path))
    assert "hunter2" not in str(caught.value)


def test_who_leaves_takes_no_key_along(tmp_path: Path) -> None:
    """One who comes may have the key that there is; when one goes, the others get a new one."""

    def key(*holders: str) -> str:
        secrets.ensure(str(tmp_path), {"tenant": {"secret_key": {"length": 40, "holders": holders}}})
        return secrets.read_all(str(tmp_path))["tenant"]["secret_key"]

    first = key("owner", "member")
    assert key("member", "owner") == first
    assert key("owner", "member", "group /x y") == first
    second = key("owner", "group /x y")
    assert second != first and key("owner", "group /x y") == second
