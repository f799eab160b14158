"""Looks for credentials that upstream ships in every install, in rendered objects and all that is embedded in them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# KEY=value and KEY: value lines, and options of a command.
ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?-{0,2}([\w.-]+)\s*[=:]\s*[\"']?([^\"'\s]*)[\"']?\s*,?$", re.MULTILINE)
# What YAML would make of most texts is the text itself; only these can be more.
STRUCTURED = re.compile(r"[\n{\[]|: ")
# Shorter ones would be found in the base64 of anything.
LEAST_ENCODED = 8


@dataclass(frozen=True)
class Constant:
    """One known credential.

    :ivar name: what it is.
    :ivar value: the credential; empty for "no password".
    :ivar origin: where upstream ships it.
    :ivar key: given, only a value under such a key counts, and only as a whole.
    :ivar kinds: given, only objects of these kinds are looked at.
    """

    name: str
    value: str
    origin: str
    key: re.Pattern[str] | None = None
    kinds: frozenset[str] = frozenset()

    def is_in(self, key: str, text: str) -> bool:
        """Is it this text, which stands under this key?"""
        if self.key is not None:
            return text.strip() == self.value and self.key.search(key) is not None
        if self.value in text and re.search(rf"(?<![\w.@-]){re.escape(self.value)}(?![\w@-])", text):
            return True
        return len(self.value) >= LEAST_ENCODED and encoded(self.value) in text


@dataclass(frozen=True)
class Finding:
    """A constant that is left: where, and which."""

    where: str
    constant: Constant

    def __str__(self) -> str:
        """One line."""
        return f"{self.where}: {self.constant.name} (from {self.constant.origin})"


def encoded(value: str) -> str:
    """Base64 as it begins, whatever follows the value."""
    raw = value.encode()
    return base64.b64encode(raw[: len(raw) // 3 * 3]).decode()


def read(path: Path) -> list[Constant]:
    """The constants of a data file."""
    return [
        Constant(
            str(entry["name"]),
            str(entry["value"]),
            str(entry["from"]),
            re.compile(str(entry["key"]), re.IGNORECASE) if entry.get("key") else None,
            frozenset(entry.get("kinds") or ()),
        )
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]


def _structure(text: str) -> Any:
    """What a text holds when it is YAML or JSON; None when it is plain text."""
    if not STRUCTURED.search(text):
        return None
    try:
        # Ansible's strings are a subclass, which libyaml refuses.
        content = yaml.load(str(text), Loader=LOADER)  # noqa: S506 - it is a safe loader
    except (yaml.YAMLError, ValueError):
        return None
    return content if isinstance(content, dict | list) else None


def values(value: Any, key: str = "", path: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text in a value: its path, the key it stands under, and itself.

    An environment variable's key is its name; texts that hold YAML, JSON or assignments are opened.
    """
    if isinstance(value, Mapping):
        named = isinstance(value.get("name"), str) and "value" in value
        for name, item in value.items():
            under = str(value["name"]) if named and name == "value" else str(name)
            yield from values(item, under, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from values(item, key, f"{path}[{number}]")
            # --password, test: two words of a command.
            if isinstance(item, str) and item.startswith("--") and "=" not in item and number + 1 < len(value):
                yield f"{path}[{number + 1}]", item.lstrip("-"), str(value[number + 1])
    elif value is not None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield path, key, text
        yield from ((path, match[1], match[2]) for match in ASSIGNMENT.finditer(text))
        content = _structure(text) if isinstance(value, str) else None
        if content is not None:
            yield from values(content, key, path)


def opened(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Secret with its data decoded; anything else as it is. What is no text is left out."""
    if obj.get("kind") != "Secret" or not obj.get("data"):
        return obj
    data: dict[str, str] = {}
    for key, value in obj["data"].items():
        try:
            data[key] = base64.b64decode(str(value or ""), validate=True).decode()
        except (binascii.Error, ValueError):
            data[key] = str(value)
    return {**obj, "data": data}


def survivors(objects: Iterable[Mapping[str, Any]], constants: Iterable[Constant]) -> list[Finding]:
    """Constants that are left in some objects, each place once."""
    known = list(constants)
    found: dict[tuple[str, str], Finding] = {}
    for obj in objects:
        if obj["kind"] == "CustomResourceDefinition":
            continue  # Schemas and descriptions; nothing in them is a value.
        metadata = obj["metadata"]
        name = f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])
        wanted = [constant for constant in known if not constant.kinds or obj["kind"] in constant.kinds]
        for path, key, text in values(opened(obj)):
            for constant in wanted:
                where = f"{obj['kind']} {name}: {path}"
                if (where, constant.name) not in found and constant.is_in(key, text):
                    found[where, constant.name] = Finding(where, constant)
    return list(found.values())
