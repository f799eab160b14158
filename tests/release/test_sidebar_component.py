"""The kustomize component with the sidebar, on a configuration such as upstream's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import yaml

from tests.release.rendering import ROOT

CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "centraldashboard-config", "namespace": "kubeflow"},
    "data": {"links": "upstream's", "settings": '{"DASHBOARD_FORCE_IFRAME": true}'},
}


def test_the_component_puts_our_links_in_place_of_upstreams_and_leaves_the_rest(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "kustomize/sidebar", tmp_path / "sidebar")
    base = tmp_path / "dashboard"
    base.mkdir()
    (base / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (base / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": ["config.yaml"], "components": ["../sidebar"]})
    )
    done = subprocess.run([bundle / "bin/kustomize", "build", base], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = yaml.safe_load_all(done.stdout)
    assert built["metadata"] == CONFIG["metadata"]
    assert built["data"]["settings"] == '{"DASHBOARD_FORCE_IFRAME": true}'
    assert json.loads(built["data"]["links"]) == json.loads((ROOT / "kustomize/sidebar/links.json").read_text("utf-8"))
