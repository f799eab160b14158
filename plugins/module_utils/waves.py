"""Which components are wanted, and in which order they can be installed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Selection:
    """What a deployment wants.

    :ivar records: the wanted records, in the order given.
    :ivar provided: names of components that the cluster has already; they are not installed.
    :ivar needs: name of a wanted component to the wanted components that come first.
    :ivar unmet: ``(name, need)`` of each need that is neither wanted nor provided.
    """

    records: list[Any] = field(default_factory=list)
    provided: tuple[str, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unmet: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the wanted components."""
        return [str(record["name"]) for record in self.records]

    @property
    def enabled(self) -> list[str]:
        """Names of the components that are there for others: wanted or provided."""
        return sorted({*self.names, *self.provided})


def choose(
    records: Sequence[Mapping[str, Any]],
    profile: str,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Selection:
    """The components that a deployment wants, whether or not they fit together.

    :param records: all components of the release; of each only name, profile, needs, after, last and replaced_by are
        read.
    :param profile: ``core`` or ``full``.
    :param overrides: per component ``{enabled: bool, provided: bool}``; more keys are allowed and ignored here.
    :raises WaveError: for an unknown profile or component, and for one that is provided and switched off.
    """
    if profile not in PROFILES:
        raise WaveError(f"profile {profile!r} is unknown; take one of {', '.join(sorted(PROFILES))}")
    changes = {name: change or {} for name, change in (overrides or {}).items()}
    _known(changes, {str(record["name"]) for record in records}, "kaap_components")
    provided = {name for name, change in changes.items() if is_on(change.get("provided", False))}
    asked = {name: is_on(change["enabled"]) for name, change in changes.items() if "enabled" in change}
    if off := sorted(name for name in provided if not asked.get(name, True)):
        raise WaveError(f"kaap_components.{off[0]}: is both provided and switched off; take out one of the two keys")
    first = {
        str(record["name"])
        for record in records
        if record["name"] not in provided and asked.get(record["name"], record.get("profile") in PROFILES[profile])
    }
    # Who asks for a component by name gets it, beside the one that would replace it.
    replaced = {
        str(record["name"]): str(record["replaced_by"])
        for record in records
        if record.get("replaced_by") in first | provided and not asked.get(record["name"], False)
    }
    wanted = [record for record in records if record["name"] in first and record["name"] not in replaced]
    there = first - set(replaced) | provided
    needs: dict[str, tuple[str, ...]] = {}
    unmet = []
    for record in wanted:
        name = str(record["name"])
        needed = [replaced.get(need, need) for need in record.get("needs") or []]
        unmet += [(name, need) for need in needed if need not in there]
        later = ({replaced.get(other, other) for other in record.get("after") or []} & there) - {name}
        if record.get("last"):
            later |= {str(other["name"]) for other in wanted if not other.get("last")}
        needs[name] = tuple(sorted({*needed, *later} - provided))
    return Selection(wanted, tuple(sorted(provided)), needs, tuple(unmet))


def is_on(value: Any) -> bool:
    """Whether a switch is on; values given on the command line are text."""
    return str(value).lower() in {"true", "yes", "on", "y", "t", "1"}


def select(
    records: Sequence[Mapping[str, Any]],
    profile: str,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Selection:
    """Like :func:`choose`, for components that fit together.

    :raises WaveError: also for a wanted component whose need is switched off.
    """
    selection = choose(records, profile, overrides)
    for name, need in selection.unmet:
        raise WaveError(
            f"component {name} needs {need}, which is not enabled; "
            f"enable {need} or disable {name} in kaap_components, or say there that {need} is provided"
        )
    return selection


def order(selection: Selection, names: Sequence[str] = ()) -> list[list[str]]:
    """Names of the wanted components, in waves.

    :param names: limits the result to these; what they need counts as there already. Empty means all.
    :raises WaveError: when a name is not wanted, and for a circle.
    """
    limited = only(selection.records, names)
    entries = [{"name": record["name"], "needs": selection.needs[str(record["name"])]} for record in limited]
    present = set(selection.names) - {entry["name"] for entry in entries}
    return [[str(entry["name"]) for entry in wave] for wave in waves(entries, present)]


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
