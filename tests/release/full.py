"""Profile full as the playbooks render it, out of a mirror of upstream's repositories."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import pod_network, release, render_files

ROOT = Path(__file__).resolve().parents[2]
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def every_component() -> dict[str, dict[str, Any]]:
    """Every component of the release."""
    return {name: record for name, record in release.load(ROOT).items() if record["kind"] == "component"}


def render_full(directory: Path, git_configuration: Path) -> dict[str, list[dict[str, Any]]]:
    """Objects of each component of profile full and of each optional one, as the playbooks render INFN Cloud.

    :param directory: where the files go
    :param git_configuration: leads git to a mirror of the repositories
    """
    names = (name for name, record in every_component().items() if record["profile"] == "optional")
    # The pod network has a setting of its own, which the inventory makes.
    optional = {name: {"enabled": True} for name in names if name != pod_network.COMPONENT}
    inventory = ["-i", str(ROOT / "inventories/infn-cloud"), "-e", json.dumps({"kaap_components": optional})]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": str(git_configuration)}
    for command in (["play", "pack", *inventory, "-e", "kaap_pack_only=charts,manifests"], ["render", *inventory]):
        last = [str(directory)] if command[0] == "render" else []
        done = subprocess.run(
            [str(ROOT / "scripts" / command[0]), *command[1:], *last],
            cwd=ROOT,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    found: dict[str, list[dict[str, Any]]] = {}
    for path in (*sorted(directory.glob("*.yaml")), *sorted((directory / render_files.SECRETS).glob("*.yaml"))):
        name = path.stem.split("-", 2)[2]
        documents = yaml.load_all(path.read_text(encoding="utf-8"), Loader=LOADER)
        found.setdefault(name, []).extend(document for document in documents if document)
    return found
