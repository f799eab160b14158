"""Which components are wanted, and in which order they can be installed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = dict[str, Any]

PROFILES = {"core": ("core",), "full": ("core", "full")}


class WaveError(Exception):
    """The wanted components do not fit together; the text names the component and what to change."""


def waves(records: Iterable[Mapping[str, Any]], present: Iterable[str] = ()) -> list[list[Any]]:
    """Group records so that each comes after all it needs; records of one wave can be installed side by side.

    :param records: mappings with ``name`` and perhaps ``needs``.
    :param present: names that are installed already and need not be among the records.
    :returns: lists of the records, each sorted by name.
    :raises WaveError: for an unknown need, a need for itself, a circle, or a name given twice.
    """
    todo: dict[str, Mapping[str, Any]] = {}
    for record in records:
        name = str(record["name"])
        if name in todo:
            raise WaveError(f"component {name} is there twice")
        todo[name] = record
    done = set(present)
    for name, record in todo.items():
        unknown = sorted(set(record.get("needs") or []) - set(todo) - done)
        if unknown:
            raise WaveError(f"component {name} needs {', '.join(unknown)}, which is not among the wanted components")
    result = []
    while todo:
        wave = sorted(name for name, record in todo.items() if not set(record.get("needs") or []) - done)
        if not wave:
            raise WaveError(f"components need each other in a circle: {' -> '.join(_circle(todo))}")
        result.append([todo.pop(name) for name in wave])
        done.update(wave)
    return result


def _circle(todo: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One circle among records that all wait for another of them."""
    path = [min(todo)]
    while True:
        following = min(need for need in todo[path[-1]].get("needs") or [] if need in todo)
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)


def select(
    records: Sequence[Mapping[str, Any]],
    profile: str,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Any]:
    """The records that a deployment wants.

    :param records: all records of the release.
    :param profile: ``core`` or ``full``.
    :param overrides: per component ``{enabled: bool}``; more keys are allowed and ignored here.
    :returns: the wanted records, in the order given.
    :raises WaveError: for an unknown profile or component, or a wanted component whose need is switched off.
    """
    if profile not in PROFILES:
        raise WaveError(f"profile {profile!r} is unknown; take one of {', '.join(sorted(PROFILES))}")
    changes = overrides or {}
    names = {str(record["name"]) for record in records}
    _known(changes, names, "kaap_components")
    wanted = [
        record
        for record in records
        if changes.get(record["name"], {}).get("enabled", record.get("profile") in PROFILES[profile])
    ]
    enabled = {str(record["name"]) for record in wanted}
    for record in wanted:
        for need in record.get("needs") or []:
            if need in names - enabled:
                raise WaveError(
                    f"component {record['name']} needs {need}, which is not enabled; "
                    f"enable {need} or disable {record['name']} in kaap_components"
                )
    return wanted


def only(records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Any]:
    """Limit wanted records to some names; all of them when no name is given.

    :raises WaveError: when a name is not among the records.
    """
    _known(names, {str(record["name"]) for record in records}, "kaap_only")
    return [record for record in records if not names or record["name"] in names]


def _known(names: Iterable[str], known: set[str], variable: str) -> None:
    unknown = sorted(set(names) - known)
    if unknown:
        raise WaveError(f"{variable}: {', '.join(unknown)} is no component; there are {', '.join(sorted(known))}")


def merge(base: Any, change: Any) -> Any:
    """Lay one tree of values over another: mappings are merged, everything else is replaced."""
    if not isinstance(base, Mapping) or not isinstance(change, Mapping):
        return copy.deepcopy(change)
    merged = {key: copy.deepcopy(value) for key, value in base.items()}
    for key, value in change.items():
        merged[key] = merge(merged[key], value) if key in merged else copy.deepcopy(value)
    return merged


def with_values(record: Mapping[str, Any], values: Mapping[str, Any] | None) -> Record:
    """A record whose first chart gets further values.

    :raises WaveError: when there are values but no chart to give them to.
    """
    settled = copy.deepcopy(dict(record))
    if values:
        charts = (settled.get("render") or {}).get("charts") or []
        if not charts:
            raise WaveError(f"kaap_components.{record['name']}.values: this component has no chart that takes values")
        charts[0]["values"] = merge(charts[0].get("values") or {}, values)
    return settled
