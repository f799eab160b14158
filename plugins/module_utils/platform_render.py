"""The whole platform, rendered without a cluster: every wanted component as an installation would apply it, checked.

Nothing is asked of the network, and two renders of the same release, inventory and state give the same objects:
generated secrets are stored already, and serving certificates are kept here beside them.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import assembly, certificates, constants, openapi, secrets
from ansible_collections.infn.kaap.plugins.module_utils.objects import ref_of
from ansible_collections.infn.kaap.plugins.module_utils.render import (
    SYSTEM_NAMESPACES,
    Object,
    Record,
    Rendered,
    Renderer,
    RenderError,
)
from ansible_collections.infn.kaap.plugins.module_utils.validation import Validator

SERVING = "serving"


@dataclass
class Part:
    """One component of a rendered platform.

    :ivar record: its release record, templated.
    :ivar wave: the number of its wave, from 1.
    :ivar position: its number among all components, from 1.
    :ivar needs: components that come before it.
    :ivar rendered: what is applied.
    """

    record: Record
    wave: int
    position: int
    needs: tuple[str, ...] = ()
    rendered: Rendered = field(default_factory=Rendered)

    @property
    def name(self) -> str:
        """The component's name."""
        return str(self.record["name"])

    @property
    def objects(self) -> list[Object]:
        """Everything that is applied of it, in the order in which it is applied."""
        return [*self.rendered.objects, *self.rendered.resources]


class Certificates:
    """Serving certificates of a deployment without a cluster, kept in its state directory, mode 0600."""

    def __init__(self, state_dir: Path) -> None:
        """Remember the place; nothing is read or made yet."""
        self.state_dir = state_dir
        self._authority: certificates.Authority | None = None

    def _path(self, namespace: str, name: str) -> Path:
        return self.state_dir / SERVING / f"{namespace}.{name}.yml"

    def authority(self) -> certificates.Authority:
        """The deployment's authority; made when it is not there."""
        if self._authority is None:
            self._authority = certificates.ensure_authority(self.state_dir)
        return self._authority

    def secret(self, namespace: str, name: str) -> Mapping[str, str]:
        """What the Secret held the last time."""
        path = self._path(namespace, name)
        return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}

    def keep(self, part: Part) -> None:
        """Write down the certificates of a component."""
        home = str(part.record["namespace"])
        wanted = {
            (str(entry.get("namespace") or home), str(entry["secret"]))
            for entry in part.record.get("serving_certificates") or []
        }
        for obj in part.rendered.objects:
            place = (str(obj["metadata"].get("namespace")), str(obj["metadata"]["name"]))
            if obj["kind"] == "Secret" and place in wanted:
                content = assembly.decoded(obj)
                if content != self.secret(*place):
                    secrets.write(self._path(*place), content)

    @property
    def keeping(self) -> assembly.Keeping:
        """For an assembly."""
        return assembly.Keeping(self.authority, self.secret)


def build(
    records: Sequence[Record],
    waves: Sequence[Sequence[str]],
    needs: Mapping[str, Sequence[str]],
    renderer: Renderer,
    kept: Certificates,
) -> list[Part]:
    """Render all components; charts and manifests side by side.

    :param waves: names of components in the order of their installation.
    :raises RenderError: naming everything that cannot be rendered, one fault a line.
    """
    by_name = {str(record["name"]): record for record in records}
    names = [(number, name) for number, wave in enumerate(waves, 1) for name in wave]
    parts = [
        Part(by_name[name], wave, position, tuple(needs.get(name) or ()))
        for position, (wave, name) in enumerate(names, 1)
    ]
    loaded = _side_by_side(parts, lambda part: renderer.load(part.record))
    finished = _side_by_side(parts, lambda part: renderer.finish(part.record, loaded[part.name]))
    faults = []
    for part in parts:
        foreign = {
            str(obj["metadata"]["name"])
            for other in _before(part, parts)
            for obj in other.rendered.objects
            if obj["kind"] == "Namespace"
        }
        try:
            part.rendered = assembly.assemble(part.record, finished[part.name], kept.keeping, foreign)
        except RenderError as error:
            faults.append(str(error))
            continue
        kept.keep(part)
    if faults:
        raise RenderError("\n".join(faults))
    return parts


def _side_by_side(parts: Sequence[Part], work: Callable[[Part], Any]) -> dict[str, Any]:
    done: dict[str, Any] = {}
    faults = []
    with concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        for part, future in [(part, pool.submit(work, part)) for part in parts]:
            try:
                done[part.name] = future.result()
            except RenderError as error:
                faults.append(str(error))
    if faults:
        raise RenderError("\n".join(faults))
    return done


def _before(part: Part, parts: Iterable[Part]) -> list[Part]:
    """The components that a component needs, directly or not."""
    by_name = {other.name: other for other in parts}
    todo, seen = list(part.needs), dict[str, Part]()
    while todo:
        name = todo.pop()
        if name in by_name and name not in seen:
            seen[name] = by_name[name]
            todo += by_name[name].needs
    return list(seen.values())


def check(
    parts: Sequence[Part],
    description: Mapping[str, Any],
    known: Sequence[constants.Constant],
    provided: Sequence[str] = (),
) -> tuple[list[str], list[str]]:
    """What is wrong with a rendered platform.

    :param description: OpenAPI description of the Kubernetes it is for.
    :param known: credentials that must not be left.
    :param provided: components that the cluster has already; what they define is not at hand.
    :return: problems, and what could not be validated because its definition is a provided component's.
    """
    validator = Validator(description)
    for part in parts:
        validator.learn(part.objects)
    problems = [*_twice(parts), *_order(parts, openapi.kinds(description), provided)]
    unvalidated = []
    for part in parts:
        for obj in part.objects:
            where = f"{part.name}: {ref_of(obj)}"
            if provided and not validator.knows(obj):
                unvalidated.append(f"{where}: {obj['apiVersion']} is defined by what is provided")
                continue
            problems += [f"{where}: {text}" for text in validator.problems(obj)]
        problems += [f"{part.name}: {finding}" for finding in constants.survivors(part.objects, known)]
    return problems, unvalidated


def _twice(parts: Sequence[Part]) -> list[str]:
    owners: dict[tuple[str, str, str, str], str] = {}
    problems = []
    for part in parts:
        for obj in part.objects:
            ref = ref_of(obj)
            owner = owners.setdefault(ref.identity, part.name)
            # A namespace may be several components' home; it goes when the last of them goes.
            if owner != part.name and obj["kind"] != "Namespace":
                problems.append(f"{part.name}: {ref} is {owner}'s already: only one of them can have it")
    return problems


def _order(parts: Sequence[Part], builtin: Iterable[Any], provided: Sequence[str]) -> list[str]:
    """Kinds and namespaces that are used before they are there."""
    served = {(resource.group, resource.kind) for resource in builtin}
    defines: dict[tuple[str, str], str] = {}
    spaces: dict[str, set[str]] = {}
    for part in parts:
        for obj in part.objects:
            if obj["kind"] == "CustomResourceDefinition":
                defines[obj["spec"]["group"], obj["spec"]["names"]["kind"]] = part.name
            elif obj["kind"] == "Namespace":
                spaces.setdefault(str(obj["metadata"]["name"]), set()).add(part.name)
    problems = []
    for part in parts:
        before = {part.name, *(other.name for other in _before(part, parts))}
        for obj in part.objects:
            ref = ref_of(obj)
            owner = defines.get((ref.group, ref.kind))
            if owner and owner not in before and (ref.group, ref.kind) not in served:
                problems.append(f"{part.name}: {ref}: its kind is defined by {owner}, which {part.name} does not need")
            makers = spaces.get(ref.namespace, set())
            if ref.namespace and ref.namespace not in SYSTEM_NAMESPACES and not makers & before and not provided:
                says = f"made by {', '.join(sorted(makers))}, which {part.name} does not need" if makers else "nobody's"
                problems.append(f"{part.name}: {ref}: its namespace is {says}")
    return problems
