"""Rotating the generated secrets of a deployment, so that a rotation that was cut off is finished and not begun again.

``rotation.yml`` in the state directory, readable by its owner only, holds old and new value of all that is rotated. It
is written whole before anything else is touched, and deleted when every old value is proven to be of no use. What lies
between can be done any number of times, because the new values are fixed from the start.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import secrets

FILE = "rotation.yml"
# The secret of the object store's first user.
ROOT = "minio-root"
# Old and new value by secret and key.
Values = dict[str, dict[str, dict[str, str]]]


class RotationError(Exception):
    """A rotation cannot go on; the text says why and what to do, and holds no value."""


def draw(present: Mapping[str, Mapping[str, str]], wanted: secrets.Wanted) -> tuple[Values, dict[str, str]]:
    """Old and new values of all that is generated, and why some is left as it is.

    What is not there yet has no old value and is left to be generated.

    :returns: values, and the reason by ``secret.key`` of what a record calls ``unrotated``
    """
    values: Values = {}
    left: dict[str, str] = {}
    for name, keys in sorted(wanted.items()):
        for key, rule in sorted(keys.items()):
            old = present.get(name, {}).get(key)
            if "length" not in rule or not old:
                continue
            if rule.get("unrotated"):
                left[f"{name}.{key}"] = str(rule["unrotated"])
                continue
            values.setdefault(str(name), {})[str(key)] = {"old": old, "new": secrets.generate(int(rule["length"]))}
    return values, left


def load(state_dir: str) -> Values:
    """The rotation that is under way; empty when there is none.

    :raises RotationError: when its file cannot be read
    """
    path = Path(state_dir) / FILE
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {
            str(name): {str(key): {"old": str(pair["old"]), "new": str(pair["new"])} for key, pair in keys.items()}
            for name, keys in content.items()
        }
    except FileNotFoundError:
        return {}
    except (AttributeError, KeyError, TypeError, yaml.YAMLError) as problem:
        raise RotationError(
            f"{path} is not what a rotation writes; remove it to begin another one, whatever became of that"
        ) from problem


def begin(state_dir: str, wanted: secrets.Wanted, *, dry: bool = False) -> tuple[list[str], bool]:
    """Write new values over the stored secrets.

    :param dry: only say what would be rotated
    :returns: names of the secrets, and whether an earlier rotation goes on
    :raises RotationError: when the file of an earlier one cannot be read
    """
    values = load(state_dir)
    resumed = bool(values)
    present = secrets.read_all(state_dir)
    if not resumed:
        values, _ = draw(present, wanted)
    if not dry and values:
        secrets.write(Path(state_dir) / FILE, values, private_directory=False)
        for name, keys in values.items():
            # What has changed or gone since the rotation began is not touched: somebody may have left a tenant.
            new = {key: pair["new"] for key, pair in keys.items() if present.get(name, {}).get(key) == pair["old"]}
            if new:
                secrets.write(secrets.directory(state_dir) / f"{name}.yml", {**present[name], **new})
    return sorted(values), resumed


def end(state_dir: str) -> None:
    """Forget the old values."""
    (Path(state_dir) / FILE).unlink(missing_ok=True)


def old_values(values: Values) -> dict[str, str]:
    """Where each old value came from, as ``secret.key``."""
    return {pair["old"]: f"{name}.{key}" for name, keys in values.items() for key, pair in keys.items()}


def store_logins(values: Values, present: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, str]]:
    """Old and present password of each user of the object store that is rotated, root included."""
    users = {
        name: ("access_key", "secret_key", present[name])
        for name in values
        if name.startswith("minio-user-") and name in present
    }
    if ROOT in values and ROOT in present:
        users[ROOT] = ("rootUser", "rootPassword", present[ROOT])
    return {
        now[user]: (values[name][password]["old"], now[password])
        for name, (user, password, now) in users.items()
        if password in values[name]
    }


def still_there(values: Values, found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Secrets of the cluster in which an old value is left, with where it came from.

    :param found: all Secrets, as the API returns them
    """
    old = {value.encode(): where for value, where in old_values(values).items()}
    lines = []
    for secret in found:
        for key, encoded in sorted((secret.get("data") or {}).items()):
            try:
                content = base64.b64decode(encoded)
            except (binascii.Error, ValueError):
                continue
            metadata = secret["metadata"]
            lines += [
                f"Secret {metadata['namespace']}/{metadata['name']}, key {key}: the old {where}"
                for value, where in old.items()
                if value in content
            ]
    return lines
