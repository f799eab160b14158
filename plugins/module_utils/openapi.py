"""What the API server serves without any CRD, from the OpenAPI description that the bundle carries."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils.kube import Catalogue, Resource

COLLECTION_PATH = re.compile(
    r"^/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)/(?P<space>namespaces/\{[^/]+\}/)?[^/]+$"
)


class OpenapiError(Exception):
    """The bundle holds no API description; the text says what to do."""


def read(bundle: Path) -> dict[str, Any]:
    """The API description of the bundle's Kubernetes.

    :raises OpenapiError: when it is not there or not JSON.
    """
    path = bundle / "manifests" / "kubernetes" / "openapi.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OpenapiError(f"{path}: {error}; pack the manifests of this release first") from error
    return document


def kinds(document: Mapping[str, Any]) -> list[Resource]:
    """Kinds that the API server serves without any CRD, as its discovery would list them."""
    found: dict[tuple[str, str, str], Resource] = {}
    for path, operations in document["paths"].items():
        match = COLLECTION_PATH.match(path)
        kind = (operations.get("post") or {}).get("x-kubernetes-group-version-kind")
        if match and kind:
            key = (kind["group"], kind["version"], kind["kind"])
            # A namespaced kind has a collection over all namespaces, too; that one cannot be posted to.
            found[key] = Resource(*key, path.rpartition("/")[2], bool(match["space"]))
    return list(found.values())


def catalogue(document: Mapping[str, Any]) -> Catalogue:
    """What discovery would say on an empty cluster."""
    known = Catalogue()
    known.add(kinds(document))
    return known
