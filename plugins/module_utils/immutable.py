"""Refused changes of fields that cannot change any more: which field, from what, to what, and what to do now."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils.kube import ApiError
from ansible_collections.infn.kaap.plugins.module_utils.objects import ref_of

Object = Mapping[str, Any]

# Deleting and making one of these again loses nothing: a Job runs again, the others hold no state and own nothing.
RECREATABLE = frozenset({"Job", "RoleBinding", "ClusterRoleBinding", "StorageClass", "PriorityClass"})
WORDS = re.compile(
    r"immutable|may not (be )?change|cannot (be )?change|updates to .* (is|are) forbidden|Forbidden: updates",
    re.IGNORECASE,
)
# The server's own validation, that of a CRD, and webhooks that answer with a status of their choice.
STATUSES = frozenset({400, 403, 422})
LONG = 120
MISSING = object()


@dataclass(frozen=True)
class Change:
    """One field that cannot change: its path, and its value in the cluster and in the release as JSON."""

    field: str
    old: str
    new: str

    def __str__(self) -> str:
        """``spec.clusterIP is "10.96.7.7", wanted "10.96.7.8"``."""
        return f"{self.field} is {self.old}, wanted {self.new}"


def is_immutable(error: ApiError) -> bool:
    """Was a change refused because a field cannot change?"""
    texts = [error.message, *(cause.get("message", "") for cause in error.causes)]
    return error.status in STATUSES and any(WORDS.search(text) for text in texts)


def refused_changes(error: ApiError, live: Object, declared: Object) -> list[Change]:
    """The fields that a refusal is about.

    :param error: one that :func:`is_immutable`.
    :param live: the object as it is.
    :param declared: what was to be applied.
    :returns: at least one; where the server names no field, all that differ.
    """
    causes = [cause for cause in error.causes if WORDS.search(cause.get("message", ""))]
    changes: dict[str, Change] = {}
    for cause in causes or [{"field": "", "message": error.message}]:
        path, message = str(cause.get("field", "")), str(cause.get("message", ""))
        for change in _under(path, message, live, declared):
            changes.setdefault(change.field, change)
    return list(changes.values())


def _under(path: str, message: str, live: Object, declared: Object) -> Iterator[Change]:
    steps = tuple(part for part in re.split(r"\.|\[(.*?)\]", path) if part and part != "<nil>")
    old, new = _at(live, steps), _at(declared, steps)
    if new is MISSING:
        # A field that the server derives, as clusterIPs from clusterIP: only its message knows what was asked for.
        said = re.search(r"Invalid value: (.*?): [^:]*$", message)
        yield Change(path, _shown(old), said.group(1).strip() if said else "something else")
        return
    # Kubernetes lists what may change in a StatefulSet, in quotes, and refuses its spec as a whole.
    allowed = set(re.findall(r"'([^']+)'", message))
    found = [
        Change(".".join((*steps, *place)), _shown(before), _shown(after))
        for place, before, after in differences(old, new)
        if not place or place[0] not in allowed
    ]
    yield from found or [Change(path or "a field", _shown(old), _shown(new))]


def differences(live: Any, declared: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Leaves that are declared otherwise than they are: path, value now, value wanted."""
    if isinstance(declared, Mapping) and isinstance(live, Mapping):
        for key, value in declared.items():
            if place or key not in {"apiVersion", "kind", "metadata"}:
                yield from differences(live.get(key, MISSING), value, (*place, str(key)))
    elif isinstance(declared, list) and isinstance(live, list) and len(live) == len(declared):
        for index, (before, after) in enumerate(zip(live, declared, strict=True)):
            yield from differences(before, after, (*place, str(index)))
    elif live != declared:
        yield place, live, declared


def _at(obj: Any, steps: tuple[str, ...]) -> Any:
    for step in steps:
        if isinstance(obj, Mapping) and step in obj:
            obj = obj[step]
        elif isinstance(obj, list) and step.isdigit() and int(step) < len(obj):
            obj = obj[int(step)]
        else:
            return MISSING
    return obj


def _shown(value: Any) -> str:
    if value is MISSING:
        return "not set"
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= LONG else text[:LONG] + "..."


def refusal(error: ApiError, live: Object, declared: Object) -> str:
    """One paragraph: object, each field with old and new value, and what to do."""
    hidden = declared.get("kind") == "Secret"
    changes = [
        f"{change.field} (values of Secrets are not shown)" if hidden else str(change)
        for change in refused_changes(error, live, declared)
    ]
    return f"{ref_of(declared)}: {'; '.join(changes)}: this cannot be changed once it is set. {advice(declared)}"


def advice(obj: Object) -> str:
    """What a person can do about it, as a command."""
    ref = ref_of(obj)
    place = f" --namespace {ref.namespace}" if ref.namespace else ""
    resource = ref.kind.lower() + (f".{ref.group}" if ref.group else "")
    command = f"kubectl{place} delete {resource} {ref.name}"
    if ref.kind == "StatefulSet":
        return f"Its pods and volumes survive `{command} --cascade=orphan`; then deploy again, or keep the old value."
    if ref.kind == "PersistentVolumeClaim":
        return f"Keep the old value; or save its data, `{command}` (the data is lost) and deploy again."
    if ref.kind == "Secret":
        return f"Keep the old value; or `{command}` and deploy again, and restart what reads it."
    return f"Keep the old value; or, when nothing is lost by it, `{command}` and deploy again."
