"""Every rendered object is valid, strictly, for the API server and the CRDs of the same release."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import pack, release
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache
from ansible_collections.infn.kaap.plugins.module_utils.deployment import cache_directory
from ansible_collections.infn.kaap.plugins.module_utils.render import Rendered

from tests.release import rendering, schemas

RECORDS = dict(rendering.components())


@pytest.fixture(scope="session")
def kubeconform(rendered: dict[str, Rendered], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command, packed for the tests alone, with the schemas of this release."""
    records = release.select(release.load(rendering.ROOT), "core", only=["kubeconform"])
    packer = pack.Packer(rendering.ROOT, Cache(cache_directory(dict(os.environ))), ["packages"], print)
    made = packer.run({"kubeconform": records["kubeconform"]}, None)
    everything = [obj for part in rendered.values() for obj in [*part.objects, *part.resources]]
    crds = [obj for obj in everything if obj["kind"] == "CustomResourceDefinition"]
    location = schemas.write(tmp_path_factory.mktemp("schemas"), rendering.swagger(), crds)
    return [f"{made.bundle_dir}/bin/kubeconform", "-strict", "-output", "json", "-schema-location", location]


def refused(command: list[str], objects: list[dict[str, Any]], place: Path) -> list[str]:
    """What kubeconform has against the objects, one line each; an object without a schema is refused too."""
    manifest = place / "objects.json"
    # JSON is YAML: one document per line.
    manifest.write_text("\n---\n".join(json.dumps(obj) for obj in objects))
    done = subprocess.run([*command, str(manifest)], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout).get("resources") or []
    return [f"{entry['kind']} {entry['name']}: {entry['msg']}" for entry in found]


@pytest.mark.parametrize("name", RECORDS)
def test_component_is_valid(rendered: dict[str, Rendered], kubeconform: list[str], name: str, tmp_path: Path) -> None:
    assert refused(kubeconform, [*rendered[name].objects, *rendered[name].resources], tmp_path) == []


@pytest.mark.parametrize(
    ("component", "kind", "path"),
    [("minio", "Deployment", ["spec", "replica"]), ("kueue", "ClusterQueue", ["spec", "resourceGroup"])],
)
def test_a_misspelt_field_is_refused(
    rendered: dict[str, Rendered], kubeconform: list[str], tmp_path: Path, component: str, kind: str, path: list[str]
) -> None:
    """Of a kind of the API server's and of a CRD's: the schemas are closed."""
    part = rendered[component]
    obj = next(obj for obj in [*part.objects, *part.resources] if obj["kind"] == kind)
    wrong = {**obj, path[0]: {**obj[path[0]], path[1]: 1}}
    assert len(refused(kubeconform, [wrong], tmp_path)) == 1
