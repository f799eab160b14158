"""What a chart depends on, and whether a chart that is at hand will do."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

OPERATOR = re.compile(r"^(>=|=>|<=|=<|!=|~>|[=<>~^])?\s*v?(\S+)$")
NUMBERS = re.compile(r"^(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$")
SPACED = re.compile(r"(>=|=>|<=|=<|!=|~>|[=<>~^])\s+")
HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")

Rank = tuple[int, list[tuple[int, int, str]]]
Place = tuple[list[int], Rank, int]


class ChartError(Exception):
    """A chart cannot be read; the text says why."""


@dataclass(frozen=True)
class Dependency:
    """One entry of a chart's dependencies.

    Attributes:
        name: the chart's name.
        version: range of versions that will do, empty for any.
        repository: where upstream takes it from.
    """

    name: str
    version: str = ""
    repository: str = ""


def parse(content: bytes, what: str) -> dict[str, Any]:
    """Chart.yaml or requirements.yaml.

    Raises:
        ChartError: when it is no mapping in YAML.
    """
    try:
        found = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ChartError(f"{what} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ChartError(f"{what} is no mapping")
    return found


def dependencies(document: Mapping[str, Any]) -> list[Dependency]:
    """The charts that Chart.yaml or requirements.yaml names, each once."""
    found = (
        Dependency(str(entry["name"]), str(entry.get("version") or ""), str(entry.get("repository") or ""))
        for entry in document.get("dependencies") or []
    )
    return list(dict.fromkeys(found))


def without(document: Mapping[str, Any], names: set[str]) -> bytes:
    """Chart.yaml or requirements.yaml without some dependencies: Helm wants all that are named, used or not."""
    left = [entry for entry in document.get("dependencies") or [] if entry["name"] not in names]
    changed = {key: value for key, value in document.items() if key != "dependencies"}
    if left:
        changed["dependencies"] = left
    return yaml.safe_dump(changed, sort_keys=False, allow_unicode=True).encode()


def satisfies(version: str, constraint: str) -> bool:
    """Whether a version lies in a range, as Helm reads it.

    Args:
        version: such as ``v1.2.3``.
        constraint: such as ``1.2.x``, ``^1.2``, ``>=1.2 <2``, ``1 - 2`` or ``1.2.3 || 1.4``; empty for any.

    Raises:
        ChartError: for what is no version or no range.
    """
    if not constraint:
        return True
    return any(_all(version, part) for part in constraint.split("||"))


def _all(version: str, constraint: str) -> bool:
    text = SPACED.sub(r"\1", HYPHEN.sub(r">=\1 <=\2", constraint))
    terms = text.replace(",", " ").split()
    # Each is read, so that what is no range is found behind one that does not hold.
    held = [_holds(version, term) for term in terms]
    return bool(held) and all(held)


def _holds(version: str, term: str) -> bool:
    match = OPERATOR.match(term)
    if match is None:
        raise ChartError(f"{term!r} is no range of versions")
    operator = {"": "=", "=>": ">=", "=<": "<=", "~>": "~"}.get(match.group(1) or "", match.group(1) or "")
    ours, ours_prerelease = _numbers(version)
    numbers, prerelease = _numbers(match.group(2))
    if ours_prerelease and not prerelease:
        # Who does not speak of pre-releases does not want one.
        return False
    given = [number for number in numbers if number is not None]
    here: Place = ([number or 0 for number in ours], _rank(ours_prerelease), 0)
    # What the range leaves open is a range itself: 1.2 begins at 1.2.0 and ends before 1.3.0.
    low: Place = ([*given, 0, 0, 0][:3], _rank(prerelease), 0)
    end = (low[0], low[1], 1) if len(given) == 3 else _after(given)
    if operator in {"^", "~"}:
        return low <= here < _after(given[: _kept(operator, given)])
    within = {"=": low <= here < end, "!=": not low <= here < end}
    return {**within, ">=": here >= low, "<": here < low, ">": here >= end, "<=": here < end}[operator]


def _after(given: list[int]) -> Place:
    """Where all versions that begin with these numbers end."""
    if not given:
        return ([sys.maxsize], _rank(""), 0)
    return ([*given[:-1], given[-1] + 1, 0, 0][:3], (-1, []), 0)


def _kept(operator: str, given: list[int]) -> int:
    """How many leading numbers ``^`` or ``~`` keep as they are."""
    if operator == "^":
        return next((place for place, number in enumerate(given) if number), len(given) - 1) + 1
    return min(len(given), 2)


def _numbers(text: str) -> tuple[list[int | None], str]:
    """The three numbers of a version, None where it leaves one open, and its pre-release."""
    match = NUMBERS.match(text.removeprefix("v"))
    if match is None:
        raise ChartError(f"{text!r} is no version")
    parts = [part if part and part.isdigit() else "" for part in match.groups()[:3]]
    whole = parts[: parts.index("")] if "" in parts else parts
    return [*(int(part) for part in whole), None, None, None][:3], match.group(4) or ""


def _rank(prerelease: str) -> Rank:
    """Order of pre-releases: none comes last."""
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in prerelease.split(".") if part]
    return (0 if prerelease else 1, parts)
