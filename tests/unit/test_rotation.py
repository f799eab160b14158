"""Rotating secrets: what is drawn, what a run that was cut off leaves, and what counts as old."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import rotation, secrets

WANTED: secrets.Wanted = {
    "minio-root": {"rootUser": {"value": "kaap-root"}, "rootPassword": {"length": 40}},
    "minio-user-remat": {"access_key": {"value": "remat"}, "secret_key": {"length": 40}},
    "disk": {"key": {"length": 32, "unrotated": "What is on the disk is encrypted with it."}},
}


@pytest.fixture
def state(tmp_path: Path) -> str:
    secrets.ensure(str(tmp_path), WANTED)
    return str(tmp_path)


def test_everything_generated_is_rotated_and_nothing_else(state: str) -> None:
    before = secrets.read_all(state)
    assert rotation.begin(state, WANTED) == (["minio-root", "minio-user-remat"], False)
    after = secrets.read_all(state)
    assert after["minio-root"]["rootUser"] == "kaap-root" and after["disk"] == before["disk"]
    for name, key in (("minio-root", "rootPassword"), ("minio-user-remat", "secret_key")):
        assert after[name][key] != before[name][key] and len(after[name][key]) == 40


def test_what_stays_says_why(state: str) -> None:
    _, left = rotation.draw(secrets.read_all(state), WANTED)
    assert left == {"disk.key": "What is on the disk is encrypted with it."}


def test_a_rotation_that_was_cut_off_goes_on_with_the_same_values(state: str) -> None:
    before = secrets.read_all(state)
    rotation.begin(state, WANTED)
    after = secrets.read_all(state)
    # As if the run had been killed between two files.
    secrets.write(secrets.directory(state) / "minio-user-remat.yml", before["minio-user-remat"])
    assert rotation.begin(state, WANTED)[1] is True
    assert secrets.read_all(state) == after
    rotation.end(state)
    assert rotation.begin(state, WANTED)[1] is False
    assert secrets.read_all(state) != after


def test_what_changed_meanwhile_is_left_alone(state: str) -> None:
    """Somebody left a tenant, or a tenant was taken out, between the two runs."""
    rotation.begin(state, WANTED)
    newer = {"access_key": "remat", "secret_key": "newer"}
    secrets.write(secrets.directory(state) / "minio-user-remat.yml", newer)
    (secrets.directory(state) / "minio-root.yml").unlink()
    rotation.begin(state, WANTED)
    assert secrets.read_all(state)["minio-user-remat"] == newer
    assert "minio-root" not in secrets.read_all(state)
    values = rotation.load(state)
    assert rotation.store_logins(values, secrets.read_all(state)) == {
        "remat": (values["minio-user-remat"]["secret_key"]["old"], "newer")
    }


def test_old_values_are_for_the_owner_only_and_are_forgotten(state: str) -> None:
    rotation.begin(state, WANTED)
    path = Path(state) / rotation.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rotation.end(state)
    assert not path.exists() and rotation.load(state) == {}


def test_a_look_changes_nothing(state: str) -> None:
    before = secrets.read_all(state)
    assert rotation.begin(state, WANTED, dry=True)[0]
    assert secrets.read_all(state) == before and not (Path(state) / rotation.FILE).exists()


def test_a_broken_file_is_named_and_no_value_is_shown(state: str) -> None:
    (Path(state) / rotation.FILE).write_text("minio-root: {rootPassword: s3cr3t}\n")
    with pytest.raises(rotation.RotationError, match=r"rotation\.yml is not what a rotation writes") as found:
        rotation.load(state)
    assert "s3cr3t" not in str(found.value)


def test_root_and_users_of_the_object_store_are_asked_with_both(state: str) -> None:
    rotation.begin(state, WANTED)
    values, present = rotation.load(state), secrets.read_all(state)
    logins = rotation.store_logins(values, present)
    assert set(logins) == {"kaap-root", "remat"}
    assert logins["kaap-root"] == (
        values["minio-root"]["rootPassword"]["old"], present["minio-root"]["rootPassword"],
    )  # fmt: skip


def test_an_old_value_in_the_cluster_is_found_wherever_it_is() -> None:
    """Also within a larger text, such as the address of a database."""
    values = {"mysql": {"root": {"old": "old-value", "new": "new-value"}}}

    def secret(text: bytes) -> dict[str, object]:
        return {"metadata": {"namespace": "kubeflow", "name": "db"}, "data": {"dsn": base64.b64encode(text).decode()}}

    assert rotation.still_there(values, [secret(b"mysql://root:old-value@mysql")]) == [
        "Secret kubeflow/db, key dsn: the old mysql.root"
    ]
    assert rotation.still_there(values, [secret(b"mysql://root:new-value@mysql"), secret(b"")]) == []
