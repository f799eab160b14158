"""Objects that several tests against the API server make."""

from __future__ import annotations

from typing import Any


def definition(group: str, plural: str, kind: str, scope: str, versions: tuple[str, ...] = ("v1",)) -> dict[str, Any]:
    """A kind that takes any fields; the first of its versions is stored."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {"name": name, "served": True, "storage": name == versions[0], "schema": {"openAPIV3Schema": schema}}
                for name in versions
            ],
        },
    }
