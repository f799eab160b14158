"""Finds the names of container images in objects, also those in ConfigMaps, arguments and custom resources."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# repository[:tag][@digest], with at least one slash; a host part has a dot, a port, or is localhost.
REFERENCE = re.compile(
    r"(?<![\w./:@-])((?:[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d+)?/)?[a-z0-9_.-]+(?:/[a-z0-9_.-]+)+)"
    r"(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(@sha256:[0-9a-f]{64})?(?![\w/])"
)
# What follows one of these is an image, with a tag or without.
SAID = re.compile(r"""(?:\bimage["']?\s*[:=]\s*["']?|--[a-z-]*image[= ]+)(?P<image>[^\s"',}]+)""", re.IGNORECASE)


def normalised(reference: str) -> tuple[str, str]:
    """Repository with its registry, and tag (empty when there is none).

    >>> normalised("kserve/agent:v1")
    ('docker.io/kserve/agent', 'v1')
    """
    name, _, digest = reference.partition("@")
    head, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    name = f"{head}/{last}" if head else last
    first = name.partition("/")[0]
    if "/" not in name:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    return name, tag or digest


def strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a value, with the key it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from strings(item, str(name))
    elif isinstance(value, list):
        flags = [item for item in value if isinstance(item, str)]
        for flag, item in itertools.pairwise(flags):
            if re.fullmatch(r"--[a-z-]*image", flag):
                yield "image", item
        for item in value:
            yield from strings(item, key)


def mentioned(objects: Iterable[Mapping[str, Any]], registries: Iterable[str]) -> set[tuple[str, str]]:
    """Images that the objects name: repository and tag.

    A string is taken for an image where it stands as one (``image``, ``--x-image``), and anywhere else when it starts
    with a registry or an organisation that we know images of.

    :param registries: such beginnings, ``registry.k8s.io/`` or ``kserve/``.
    """
    found: set[tuple[str, str]] = set()
    known = tuple(registries)
    for obj in objects:
        if obj["kind"] == "CustomResourceDefinition":
            continue  # Descriptions only.
        for key, text in strings(obj):
            if key.lower() == "image" or key.lower().endswith("image"):
                found.add(normalised(text))
                continue
            for match in SAID.finditer(text):
                found.add(normalised(match["image"]))
            for match in REFERENCE.finditer(text):
                if match[1].startswith(known) and match[2]:
                    found.add(normalised(match[0]))
    return found
