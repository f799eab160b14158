"""Rendering with the bundle's own helm and kustomize."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import render
from ansible_collections.infn.kaap.plugins.module_utils.kube import Catalogue, Resource

from tests.integration.control_plane import packed_bundle

TEMPLATE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data:
  value: {{ .Values.deep.value | quote }}
  namespace: {{ .Release.Namespace }}
  kube: {{ .Capabilities.KubeVersion.Version }}
  monitored: {{ .Capabilities.APIVersions.Has "monitoring.example.org/v1" | quote }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: hook, annotations: {helm.sh/hook: pre-install}}
"""
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    },
}
OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [all.yaml]
components: [../common]
"""
COMPONENT = """
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - target: {kind: ConfigMap}
    patch: |-
      - {op: add, path: /data/patched, value: "yes"}
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A bundle with one chart, and an overlay beside it."""
    bundle = packed_bundle()
    if bundle is None:
        pytest.skip("nothing is packed: run playbooks/pack.yml first")
    (tmp_path / "bin").symlink_to(bundle / "bin")
    chart = tmp_path / "charts" / "part" / "chart"
    for folder in (
        chart / "templates",
        chart / "crds",
        tmp_path / "kustomize" / "part",
        tmp_path / "kustomize" / "common",
    ):
        folder.mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: chart\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text("deep: {value: default}\n")
    (chart / "templates" / "all.yaml").write_text(TEMPLATE)
    (chart / "crds" / "all.yaml").write_text(yaml.safe_dump(DEFINITION))
    (tmp_path / "kustomize" / "part" / "kustomization.yaml").write_text(OVERLAY)
    (tmp_path / "kustomize" / "common" / "kustomization.yaml").write_text(COMPONENT)
    return tmp_path


def rendered(house: Path, **recipe: Any) -> dict[str, dict[str, Any]]:
    known = Catalogue()
    known.add([Resource("", "v1", "ConfigMap", "configmaps", True)])
    chart = {"name": "chart", "release": "first", **recipe.pop("chart", {})}
    record = {"name": "part", "namespace": "home", "render": {"charts": [chart], **recipe}}
    made = render.Renderer(house, house, "v1.36.3", known).render(record).objects
    return {obj["kind"]: obj for obj in made}


def test_chart_knows_its_release_namespace_values_and_cluster(house: Path) -> None:
    made = rendered(house, chart={"values": {"deep": {"value": "ours"}}})
    assert made["ConfigMap"]["data"] == {"value": "ours", "namespace": "home", "kube": "v1.36.3", "monitored": "false"}
    assert made["ConfigMap"]["metadata"] == {"name": "first", "namespace": "home"}, "or the hook took its place"
    assert made["CustomResourceDefinition"] == DEFINITION


def test_chart_may_have_another_namespace_no_definitions_and_more_apis(house: Path) -> None:
    chart = {"namespace": "other", "include_crds": False, "api_versions": ["monitoring.example.org/v1"]}
    made = rendered(house, chart=chart)
    assert made["ConfigMap"]["metadata"]["namespace"] == made["ConfigMap"]["data"]["namespace"] == "other"
    assert made["ConfigMap"]["data"]["monitored"] == "true"
    assert set(made) == {"ConfigMap"}


def test_overlay_patches_what_was_rendered_and_leaves_schemas_whole(house: Path) -> None:
    made = rendered(house, overlay="kustomize/part")
    assert made["ConfigMap"]["data"]["patched"] == "yes"
    assert made["ConfigMap"]["metadata"]["namespace"] == "home"
    assert made["CustomResourceDefinition"] == DEFINITION
    assert not (house / "kustomize" / "part" / "all.yaml").exists(), "the overlay itself was written to"


def test_broken_values_are_quoted(house: Path) -> None:
    with pytest.raises(render.RenderError, match=r"(?s)part: .*template first .*failed: .*nil pointer"):
        rendered(house, chart={"values": {"deep": None}})


PATCH = {"target": {"kind": "ConfigMap", "name": "first"}, "patch": {"data": {"value": "merged", "kube": None}}}
STEPS = {"target": {"kind": "ConfigMap"}, "patch": [{"op": "add", "path": "/data/stepped", "value": "yes"}]}


@pytest.mark.parametrize("overlay", [{}, {"overlay": "kustomize/part"}], ids=["alone", "after an overlay"])
def test_patches_of_the_record(house: Path, overlay: dict[str, str]) -> None:
    made = rendered(house, patches=[PATCH, STEPS], **overlay)
    data = made["ConfigMap"]["data"]
    assert (data["value"], data["stepped"], "kube" in data) == ("merged", "yes", False)
    assert data.get("patched") == ("yes" if overlay else None)
    assert made["CustomResourceDefinition"] == DEFINITION


def test_patch_of_the_record_that_matches_nothing(house: Path) -> None:
    gone = {**PATCH, "target": {"kind": "ConfigMap", "name": "renamed"}}
    with pytest.raises(
        render.RenderError,
        match=r"part: release/components/part.yml: render.patches\[1\]: target ConfigMap renamed matches nothing; .*",
    ):
        rendered(house, patches=[STEPS, gone])


def test_patch_of_an_overlay_that_matches_nothing(house: Path) -> None:
    text = COMPONENT.replace("{kind: ConfigMap}", "{kind: ConfigMap, name: renamed}")
    (house / "kustomize" / "common" / "kustomization.yaml").write_text(text)
    with pytest.raises(
        render.RenderError, match=r"part: kustomize/common/kustomization.yaml: patches\[0\]: target ConfigMap renamed"
    ):
        rendered(house, overlay="kustomize/part")
