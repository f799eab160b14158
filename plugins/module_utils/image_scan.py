"""Finds every image that objects name: in workloads, ConfigMaps, arguments, environment and custom resources."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DIGEST = r"sha256:[0-9a-f]{64}"
NAME = r"(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d+)?/)?[a-z0-9_.-]+(?:/[a-z0-9_.-]+)*"
# A whole text that can be an image.
WHOLE = re.compile(rf"(?P<name>{NAME})(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?(?:@(?P<digest>{DIGEST}))?")
# One inside of a longer text, with at least one slash.
INSIDE = re.compile(
    r"(?<![\w./:@-])(?P<name>(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d+)?/)?[a-z0-9_.-]+(?:/[a-z0-9_.-]+)+)"
    rf"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?(?:@(?P<digest>{DIGEST}))?(?![\w/])"
)
# What follows one of these is an image, with a tag or without.
SAID = re.compile(r"""(?:\bimage["']?\s*[:=]\s*["']?|--[a-z-]*image[= ]+)(?P<image>[^\s"',}]+)""", re.IGNORECASE)
FLAG = re.compile(r"--?[a-z-]*image")
# What YAML would make of most texts is the text itself; only these can be more.
STRUCTURED = re.compile(r"[\n{\[]|: ")
# Where tables keep the parts of an image apart: where it lies, its own name, its version.
PLACES = ("registry", "hub", "repository")
VERSIONS = ("version", "tag")


@dataclass(frozen=True, order=True)
class Image:
    """One image.

    :ivar name: repository with its registry, such as ``docker.io/library/busybox``.
    :ivar tag: empty when none is given.
    :ivar digest: ``sha256:...``; empty when none is given.
    """

    name: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        """As manifests write it."""
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def means(self, other: Image) -> bool:
        """Is this, as somebody wrote it, that image?"""
        if self.name != other.name or not (self.tag or self.digest):
            return False
        return (not self.tag or self.tag == other.tag) and (not self.digest or self.digest == other.digest)


@dataclass(frozen=True, order=True)
class Mention:
    """A place that names an image.

    :ivar component: whose objects it is in.
    :ivar where: kind, namespace and name of the object.
    :ivar path: keys down to it; ``>`` leads into a text that is YAML or JSON.
    """

    image: Image
    component: str
    where: str
    path: str

    @property
    def place(self) -> str:
        """In one line."""
        return f"{self.component}: {self.where}: {self.path}"


@dataclass(frozen=True)
class _Spot:
    """Where the search is: keys down to it, the key that counts, and what tables further out say."""

    path: str = ""
    key: str = ""
    table: Mapping[str, str] = field(default_factory=dict)

    def below(self, name: str, key: str | None = None, table: Mapping[str, str] | None = None) -> _Spot:
        """One step down."""
        dot = "" if not self.path or name.startswith("[") or self.path.endswith("> ") else "."
        return _Spot(
            f"{self.path}{dot}{name}", self.key if key is None else key, self.table if table is None else table
        )


def parsed(reference: str) -> Image | None:
    """An image with its registry, as container runtimes complete it; None for a text that is none.

    >>> str(parsed("kserve/agent:v1"))
    'docker.io/kserve/agent:v1'
    """
    match = WHOLE.fullmatch(reference.strip())
    if match is None:
        return None
    name = match["name"]
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not _registry(first):
        name = f"docker.io/{name}"
    return Image(name, match["tag"] or "", match["digest"] or "")


def _registry(first: str) -> bool:
    """Is the first part of a name a registry?"""
    return "." in first or ":" in first or first == "localhost"


def scan(objects: Iterable[Mapping[str, Any]], component: str, organisations: Iterable[str] = ()) -> list[Mention]:
    """Every image that some objects name, with the places.

    A text is taken for an image where it is called one (a key, a variable or an option with ``image`` in its name),
    where a table keeps its parts apart (``repository``, ``image`` and ``version``; ``hub`` and ``tag`` further out),
    and anywhere else when it has a registry, or one of Docker Hub's organisations that we know, and a tag or digest.

    :param component: whose objects these are.
    :param organisations: such as ``kserve``.
    """
    known = frozenset(organisations)
    found: dict[Mention, None] = {}
    for obj in objects:
        if obj["kind"] == "CustomResourceDefinition":
            continue  # Descriptions and examples; nothing in them runs.
        metadata = obj["metadata"]
        name = f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])
        for path, image in _images(obj, _Spot(), known):
            found[Mention(image, component, f"{obj['kind']} {name}", path)] = None
    return list(found)


def _images(value: Any, spot: _Spot, known: frozenset[str]) -> Iterator[tuple[str, Image]]:
    if isinstance(value, Mapping):
        yield from _of_table(value, spot, known)
    elif isinstance(value, list):
        words = [item if isinstance(item, str) else "" for item in value]
        for number, item in enumerate(value):
            label = item.get("name") if isinstance(item, Mapping) else None
            said = number > 0 and FLAG.fullmatch(words[number - 1].lower())
            step = f"[{label if isinstance(label, str) and label else number}]"
            yield from _images(item, spot.below(step, "image" if said else None), known)
    elif isinstance(value, str):
        yield from _of_text(value, spot, known)


def _of_table(value: Mapping[str, Any], spot: _Spot, known: frozenset[str]) -> Iterator[tuple[str, Image]]:
    own = {key: str(value[key]) for key in (*PLACES, *VERSIONS) if isinstance(value.get(key), str | int | float)}
    table = {**spot.table, **{key: text for key, text in own.items() if text}}
    joined = _joined(value, own, table)
    if joined is not None:
        yield spot.path, joined
    named = isinstance(value.get("name"), str) and "value" in value
    for key, item in value.items():
        # Knative's ConfigMaps carry a commented example of themselves, which nothing reads.
        if key == "_example" or (joined is not None and key in {"image", *PLACES, *VERSIONS}):
            continue
        under = str(value["name"]) if named and key == "value" else str(key)
        # image: {value: ..., options: [...]} are images all the way down.
        if "image" in spot.key.lower() and key not in {"name", "imagePullPolicy"} and not isinstance(item, Mapping):
            under = f"{spot.key}.{under}" if "image" not in under.lower() else under
        yield from _images(item, spot.below(str(key), under, table), known)


def _joined(value: Mapping[str, Any], own: Mapping[str, str], table: Mapping[str, str]) -> Image | None:
    """The image whose parts a table keeps apart, here or further out; None when it has none."""
    image = value.get("image")
    if isinstance(image, str) and image and "/" not in image and ":" not in image:
        repository = own.get("repository") or table.get("hub")
        version = own.get("version") or own.get("tag") or (table.get("tag") if not own.get("repository") else None)
        if repository and version:
            mark = "@" if version.startswith("sha256:") else ":"
            return parsed(f"{repository}/{image}{mark}{version}")
    repository, version = own.get("repository", ""), own.get("tag", "")
    if not isinstance(image, str) and "/" in repository and version:
        registry = f"{own['registry']}/" if own.get("registry") else ""
        return parsed(f"{registry}{repository}:{version}")
    return None


def _of_text(text: str, spot: _Spot, known: frozenset[str]) -> Iterator[tuple[str, Image]]:
    key = spot.key.lower()
    called = key.endswith("image")
    whole = parsed(text)
    if whole is not None and (called or ("image" in key and "/" in text and (whole.tag or whole.digest))):
        yield spot.path, whole
        return
    content = _structure(text)
    if content is not None:
        yield from _images(content, _Spot(f"{spot.path} > ", spot.key), known)
        return
    for match in SAID.finditer(text):
        image = parsed(match["image"])
        if image is not None:
            yield spot.path, image
    for match in INSIDE.finditer(text):
        first = match["name"].partition("/")[0]
        if (match["tag"] or match["digest"]) and (_registry(first) or first in known):
            image = parsed(match[0])
            if image is not None:
                yield spot.path, image


def _structure(text: str) -> Any:
    """What a text holds when it is YAML or JSON; None when it is plain text."""
    if not STRUCTURED.search(text):
        return None
    try:
        documents = [each for each in yaml.load_all(text, Loader=LOADER) if each is not None]
    except (yaml.YAMLError, ValueError):
        return None
    if not documents or not all(isinstance(each, Mapping | list) for each in documents):
        return None
    return documents[0] if len(documents) == 1 else documents


def organisations(images: Iterable[Image]) -> set[str]:
    """Docker Hub's organisations among some images; manifests may leave the registry out."""
    parts = [image.name.split("/") for image in images]
    return {found[1] for found in parts if found[0] == "docker.io" and len(found) > 2 and found[1] != "library"}


def by_image(mentions: Iterable[Mention]) -> dict[Image, list[Mention]]:
    """Mentions of each image, both sorted."""
    whole = sorted(mentions)
    return {image: list(each) for image, each in itertools.groupby(whole, key=lambda mention: mention.image)}
