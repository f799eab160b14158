"""Secrets of a deployment: generated once, kept in one place, readable by their owner only."""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ALPHABET = string.ascii_letters + string.digits

# A wanted secret maps each key to {"value": x}, which is fixed, or {"length": n}, which is generated. A generated one
# may name its "holders", the people who know it: when one of them is not among them any more, it is generated anew.
# One that cannot be rotated says why in "unrotated". Release records write their `secrets` this way.
Wanted = Mapping[str, Mapping[str, Mapping[str, Any]]]


def directory(state_dir: str) -> Path:
    """Return where the secrets of a deployment lie."""
    return Path(state_dir) / "secrets"


def read_all(state_dir: str) -> dict[str, dict[str, str]]:
    """Return every stored secret by name; none when nothing was generated yet.

    :raises ValueError: when a file does not hold a mapping, naming the file and not its content
    """
    found: dict[str, dict[str, str]] = {}
    for path in sorted(directory(state_dir).glob("*.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"{path} does not hold a mapping of keys to secrets")
        found[path.stem] = {str(key): str(value) for key, value in content.items()}
    return found


def complete(present: Mapping[str, str], wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the wanted secret: fixed values as given, generated ones as they were or new.

    Keys that are no longer wanted are dropped. Holders are kept beside their key, in ``<key>_holders``.
    """
    result = {}
    for key, rule in wanted.items():
        known = present.get(key)
        if "holders" in rule:
            holders = sorted(str(holder) for holder in rule["holders"])
            if set(filter(None, present.get(f"{key}_holders", "").split("\n"))) - set(holders):
                known = None
            result[f"{key}_holders"] = "\n".join(holders)
        # str(): Ansible's strings carry tags, which YAML cannot write.
        if "value" in rule:
            result[str(key)] = str(rule["value"])
        else:
            result[str(key)] = known or generate(int(rule["length"]))
    return result


def generate(length: int) -> str:
    """Return so many random letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def write(path: Path, content: Mapping[str, Any], *, private_directory: bool = True) -> None:
    """Write a secret so that nobody else can read it at any moment, and never half of it.

    :param private_directory: nobody else may look into its directory either
    """
    if private_directory:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.chmod(0o700)
    text = yaml.safe_dump(dict(content), sort_keys=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    temporary.replace(path)


def ensure(state_dir: str, wanted: Wanted, *, prune_prefix: str | None = None, dry: bool = False) -> list[str]:
    """Make the wanted secrets and return the names of those that were made, changed or removed.

    :param prune_prefix: secrets whose name starts with it and that are not wanted are removed
    :param dry: only say what would change
    """
    present = read_all(state_dir)
    changed = []
    for name, keys in sorted(wanted.items()):
        path = directory(state_dir) / f"{name}.yml"
        content = complete(present.get(name, {}), keys)
        loose = path.is_file() and path.stat().st_mode & 0o077
        if content != present.get(name) or loose:
            changed.append(name)
            if not dry:
                write(path, content)
    for name in sorted(present):
        if prune_prefix and name.startswith(prune_prefix) and name not in wanted:
            changed.append(name)
            if not dry:
                (directory(state_dir) / f"{name}.yml").unlink()
    return changed
