"""What a kustomization refers to: files and directories beside it, and things that it would fetch while it is built."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
# Each entry is a file, a directory with a kustomization, or something remote.
BASES = frozenset({"resources", "bases", "components", "transformers", "generators", "validators"})
FILES = frozenset({"crds", "configurations", "patchesStrategicMerge"})
# Mappings, each of which may name a file.
WITH_PATH = frozenset({"patches", "patchesJson6902", "replacements"})
GENERATED = frozenset({"configMapGenerator", "secretGenerator"})
INFLATED = frozenset({"helmCharts", "helmChartInflationGenerator", "helmGlobals"})
REMOTE = re.compile(r"^(git::|git@|gh:|github\.com[/:]|[A-Za-z][A-Za-z0-9+.-]*://|[\w.-]+@[\w.-]+:)", re.IGNORECASE)


class KustomizationError(Exception):
    """A kustomization cannot be read or does what no offline build can do."""


@dataclass(frozen=True)
class Reference:
    """One thing that a kustomization names.

    Attributes:
        field: top-level key that names it.
        value: as it is written.
        start: place of the scalar in the text.
        end: place after it.
        prefix: of the scalar, such as ``key=`` of a generated file.
    """

    field: str
    value: str
    start: int
    end: int
    prefix: str = ""

    @property
    def remote(self) -> bool:
        """Whether kustomize would fetch it."""
        return REMOTE.match(self.value) is not None

    @property
    def base(self) -> bool:
        """Whether it may be a directory with a kustomization of its own."""
        return self.field in BASES


def read(text: str) -> tuple[str, list[Reference]]:
    """Kind of a kustomization, and all that it refers to.

    Args:
        text: its YAML.

    Raises:
        KustomizationError: when it is not YAML, or fetches charts while it is built.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise KustomizationError(f"it is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(root, yaml.MappingNode):
        raise KustomizationError("it is no mapping")
    kind, found = "Kustomization", []
    for key, value in root.value:
        name = str(key.value)
        if name == "kind":
            kind = str(value.value)
        if name in INFLATED:
            raise KustomizationError(
                f"{name} fetches charts while it is built; take the chart with sources.git.charts instead"
            )
        found += list(_references(name, value))
    return kind, found


def _references(field: str, node: yaml.Node) -> Iterator[Reference]:
    if field == "openapi":
        yield from _scalars(field, _get(node, "path"))
    for item in node.value if isinstance(node, yaml.SequenceNode) else []:
        if field in BASES or field in FILES:
            yield from _scalars(field, item)
        elif field in WITH_PATH:
            yield from _scalars(field, _get(item, "path"))
        elif field in GENERATED:
            for key in ("files", "envs"):
                entries = _get(item, key)
                for entry in entries.value if isinstance(entries, yaml.SequenceNode) else []:
                    yield from _scalars(field, entry, keyed=key == "files")
            yield from _scalars(field, _get(item, "env"))


def _get(node: yaml.Node, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _scalars(field: str, node: yaml.Node | None, *, keyed: bool = False) -> Iterator[Reference]:
    """The reference that a scalar is, if it is one: patches and transformers may also stand in the text itself."""
    if not isinstance(node, yaml.ScalarNode) or not node.value:
        return
    value = str(node.value)
    if "\n" in value or value.startswith("{"):
        return
    key, equals, path = value.partition("=") if keyed else ("", "", value)
    if keyed and not equals:
        key, path = "", value
    yield Reference(field, path, node.start_mark.index, node.end_mark.index, f"{key}=" if equals else "")


def rewrite(text: str, changes: Mapping[Reference, str]) -> str:
    """A kustomization in which some references lead elsewhere; all else stays as it is written."""
    for reference in sorted(changes, key=lambda each: each.start, reverse=True):
        # JSON's strings are YAML's, whatever they hold. A scalar at the end of a file carries its line break.
        written = text[reference.start : reference.end]
        space = written[len(written.rstrip()) :]
        new = json.dumps(reference.prefix + changes[reference]) + space
        text = text[: reference.start] + new + text[reference.end :]
    return text


def leading_to(places: list[str], kind: str = "Kustomization") -> str:
    """A kustomization that only takes in others.

    Args:
        places: relative paths of directories or files.
        kind: of what the places hold.
    """
    field = "components" if kind == "Component" else "resources"
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", f"{field}:"]
    return "\n".join([*lines, *(f"  - {json.dumps(place)}" for place in places)]) + "\n"


def nothing(kind: str) -> str:
    """A kustomization (or component) without objects: kustomize takes no empty one."""
    version = "v1alpha1" if kind == "Component" else "v1beta1"
    head = f"apiVersion: kustomize.config.k8s.io/{version}\nkind: {kind}\n"
    return head + "generatorOptions:\n  disableNameSuffixHash: true\n"


def relative(place: str, directory: str) -> str:
    """A path as a kustomization in some directory writes it."""
    return posixpath.relpath(place, directory or ".")
