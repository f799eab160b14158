"""Targets of patches and drops: what they match, and which of them match nothing.

kustomize passes over a patch whose target matches nothing, so that a patch that upstream's next release outruns
is lost without a word. Here that is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
Target = Mapping[str, Any]

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
REQUIREMENT = re.compile(
    r"^(?P<key>[^\s!=]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>\S*)|\s(?P<set>in|notin)\s*\((?P<values>.*)\))?$"
)


class TargetError(Exception):
    """A target cannot be read, or matches nothing; the text names the component, the file and the target."""


def _whole(pattern: object, value: str) -> bool:
    """Does the pattern match all of the value? As in kustomize, an empty pattern matches everything."""
    return not pattern or re.fullmatch(str(pattern), value) is not None


def selects(selector: str, values: Mapping[str, Any]) -> bool:
    """Does a label selector (``a=b,c!=d,e,!f,g in (h,i)``) match labels or annotations?

    :raises TargetError: when it is no selector.
    """
    for part in filter(None, (text.strip() for text in re.split(r",(?![^(]*\))", selector))):
        negated = part.startswith("!")
        found = REQUIREMENT.match(part.removeprefix("!").strip())
        if not found:
            raise TargetError(f"{selector!r} is no selector; write key=value, key, !key or key in (a, b)")
        value = values.get(found["key"])
        if found["set"]:
            inside = value in {text.strip() for text in found["values"].split(",")}
            fits = inside == (found["set"] == "in")
        elif found["op"]:
            fits = (value == found["value"]) == (found["op"] != "!=")
        else:
            fits = (found["key"] in values) != negated
        if not fits:
            return False
    return True


def matches(target: Target, obj: Mapping[str, Any]) -> bool:
    """Does the target match the object, by kustomize's rules?

    Group, version, kind, name and namespace are regular expressions that match the whole; what is not said matches all.
    """
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    metadata = obj.get("metadata") or {}
    return (
        _whole(target.get("group"), group)
        and _whole(target.get("version"), version)
        and _whole(target.get("kind"), str(obj.get("kind", "")))
        and _whole(target.get("name"), str(metadata.get("name", "")))
        and _whole(target.get("namespace"), str(metadata.get("namespace") or ""))
        and selects(str(target.get("labelSelector") or ""), metadata.get("labels") or {})
        and selects(str(target.get("annotationSelector") or ""), metadata.get("annotations") or {})
    )


def describe(target: Target) -> str:
    """``Deployment kubeflow/minio``, with whatever else the target asks for.

    >>> describe({"group": "apps", "kind": "Deployment", "name": "minio", "namespace": "kubeflow"})
    'Deployment.apps kubeflow/minio'
    """
    kind = str(target.get("kind") or "any kind") + (f".{target['group']}" if target.get("group") else "")
    place = f"{target['namespace']}/" if target.get("namespace") else ""
    rest = [f"{key} {target[key]}" for key in ("version", "labelSelector", "annotationSelector") if target.get(key)]
    return " ".join([kind, f"{place}{target.get('name') or '*'}", *(f"({text})" for text in rest)])


def _near(target: Target, objects: Sequence[Object]) -> str:
    """What of the target's kind there is, to see a new name at a glance."""
    names = sorted(
        {str(obj["metadata"].get("name")) for obj in objects if _whole(target.get("kind"), str(obj["kind"]))}
    )
    if not names:
        return f"there is no {target.get('kind') or 'object'}"
    return f"there are {', '.join(names[:8])}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def need(target: Target, objects: Sequence[Object], where: str) -> None:
    """Refuse a target that matches nothing.

    :param where: component and file, for the error.
    :raises TargetError: when nothing matches.
    """
    try:
        if any(matches(target, obj) for obj in objects):
            return
    except (TargetError, re.error) as error:
        raise TargetError(f"{where}: target {describe(target)}: {error}") from error
    raise TargetError(
        f"{where}: target {describe(target)} matches nothing; {_near(target, objects)}: mend or remove it"
    )


def drop(targets: Iterable[Target], objects: Sequence[Object], where: str) -> list[Object]:
    """The objects without those that a target matches.

    :raises TargetError: for a target that matches nothing.
    """
    wanted = list(targets)
    for number, target in enumerate(wanted):
        need(target, objects, f"{where}: render.drop[{number}]")
    return [obj for obj in objects if not any(matches(target, obj) for target in wanted)]


def patches_of(folder: Path, root: Path) -> Iterator[tuple[str, Target]]:
    """Targets of all patches and replacements of a kustomization and of the local ones it takes in.

    :param folder: where the kustomization is.
    :param root: what file names are relative to.
    :return: pairs of place (file and key) and target. Patches without a target are left out: kustomize itself
        refuses one that matches nothing.
    """
    path = next((folder / name for name in KUSTOMIZATIONS if (folder / name).is_file()), None)
    if path is None:
        return
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    name = path.relative_to(root)
    for key in ("patches", "patchesJson6902"):
        for number, patch in enumerate(content.get(key) or []):
            if patch.get("target"):
                yield f"{name}: {key}[{number}]", patch["target"]
    for number, entry in enumerate(content.get("replacements") or []):
        for target in entry.get("targets") or []:
            yield f"{name}: replacements[{number}]", target["select"]
    for key in ("resources", "components", "bases"):
        for entry in content.get(key) or []:
            below = (folder / str(entry)).resolve()
            if "://" not in str(entry) and below.is_dir():
                yield from patches_of(below, root)


def check_overlay(folder: Path, root: Path, objects: Sequence[Object], component: str) -> None:
    """Refuse an overlay of which a patch matches nothing.

    :param folder: the overlay; ``root`` is the directory that holds it and its components.
    :param objects: what went into the overlay and what came out of it.
    :raises TargetError: naming the component, the file and the target.
    """
    for where, target in patches_of(folder.resolve(), root.resolve()):
        need(target, objects, f"{component}: {where}")
