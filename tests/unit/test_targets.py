"""What targets of patches and drops match, and that one that matches nothing is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import targets

Object = dict[str, Any]


def deployment(name: str = "minio", **metadata: Any) -> Object:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "store", **metadata}}


@pytest.mark.parametrize(
    "target",
    [
        {"kind": "Deployment"},
        {"kind": "(Deployment|StatefulSet)", "name": "min.*"},
        {"group": "apps", "version": "v1", "kind": "Deployment", "name": "minio", "namespace": "store"},
        {"kind": "Deployment", "labelSelector": "app=a,!gone"},
        {"annotationSelector": "x.org/y in (1, 2)"},
    ],
)
def test_match(target: Object) -> None:
    assert targets.matches(target, deployment(labels={"app": "a"}, annotations={"x.org/y": "2"}))


@pytest.mark.parametrize(
    "target",
    [
        {"kind": "Deploy"},
        {"kind": "Deployment", "name": "min"},
        {"kind": "Deployment", "name": "inio"},
        {"kind": "Deployment", "namespace": "other"},
        {"kind": "Deployment", "group": "extensions"},
        {"kind": "Deployment", "version": "v1beta1"},
        {"kind": "Deployment", "labelSelector": "app!=a"},
        {"kind": "Deployment", "labelSelector": "!app"},
        {"kind": "Deployment", "labelSelector": "app notin (a,b)"},
        {"kind": "Deployment", "annotationSelector": "app=a"},
    ],
)
def test_no_match(target: Object) -> None:
    assert not targets.matches(target, deployment(labels={"app": "a"}))


def test_what_is_no_selector_is_refused() -> None:
    with pytest.raises(targets.TargetError, match=r"part: target Deployment \* \(labelSelector a b\): 'a b' is no sel"):
        targets.need({"kind": "Deployment", "labelSelector": "a b"}, [deployment()], "part")


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(targets.TargetError, match=r"part: target Deployment \(: .*unterminated"):
        targets.need({"kind": "Deployment", "name": "("}, [deployment()], "part")


def test_drop_takes_what_matches_and_refuses_what_matches_nothing() -> None:
    two = [deployment(), deployment("mysql")]
    assert targets.drop([{"kind": "Deployment", "name": "minio"}], two, "part") == [two[1]]
    with pytest.raises(
        targets.TargetError,
        match=r"part: file: render.drop\[1\]: target Deployment.apps store/seaweedfs matches nothing; there are minio",
    ):
        gone = {"group": "apps", "kind": "Deployment", "name": "seaweedfs", "namespace": "store"}
        targets.drop([{"kind": "Deployment", "name": "minio"}, gone], two, "part: file")
    with pytest.raises(targets.TargetError, match="there is no Job"):
        targets.drop([{"kind": "Job"}], two, "part")


@pytest.fixture
def overlays(tmp_path: Path) -> Path:
    """kustomize/ with an overlay, a component beside it and a base below it, each with one patch."""
    contents: dict[str, Object] = {
        "overlay": {
            "resources": ["all.yaml", "base"],
            "components": ["../shared"],
            "patches": [
                {"path": "own.yaml"},
                {"target": {"kind": "Deployment", "name": "one"}, "patch": "[]"},
            ],
            "replacements": [{"source": {}, "targets": [{"select": {"kind": "Deployment", "name": "two"}}]}],
        },
        "overlay/base": {"patchesJson6902": [{"target": {"kind": "Deployment", "name": "three"}}]},
        "shared": {"kind": "Component", "patches": [{"target": {"kind": "Deployment", "name": "four"}}]},
    }
    for name, content in contents.items():
        folder = tmp_path / "kustomize" / name
        folder.mkdir(parents=True)
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


@pytest.mark.parametrize(
    ("missing", "where"),
    [
        ("one", r"overlay/kustomization.yaml: patches\[1\]"),
        ("two", r"overlay/kustomization.yaml: replacements\[0\]"),
        ("three", r"overlay/base/kustomization.yaml: patchesJson6902\[0\]"),
        ("four", r"shared/kustomization.yaml: patches\[0\]"),
    ],
)
def test_every_patch_of_an_overlay_must_match(overlays: Path, missing: str, where: str) -> None:
    folder = overlays / "kustomize" / "overlay"
    whole = [deployment(name) for name in ("one", "two", "three", "four")]
    targets.check_overlay(folder, overlays, whole, "part")
    rest = [obj for obj in whole if obj["metadata"]["name"] != missing]
    with pytest.raises(targets.TargetError, match=f"part: kustomize/{where}: target Deployment {missing} matches"):
        targets.check_overlay(folder, overlays, rest, "part")
