"""The sidebar shows what is there, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.filter import kubeflow
from ansible_collections.infn.kaap.plugins.module_utils import sidebar

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / sidebar.LINKS).read_text("utf-8")
LINKS: dict[str, list[dict[str, Any]]] = json.loads(TEXT)
COMPONENTS = sorted({entry["component"] for entries in LINKS.values() for entry in entries if "component" in entry})


def texts(enabled: list[str]) -> list[str]:
    return [entry["text"] for entry in json.loads(sidebar.sidebar(TEXT, enabled))["menuLinks"]]


def test_with_everything_it_is_the_sidebar_of_kaap() -> None:
    """Home and Manage Contributors are the dashboard's own, first and last."""
    assert texts(COMPONENTS) == [
        "Notebooks",
        "TensorBoards",
        "Volumes",
        "Katib Experiments",
        "KServe Endpoints",
        "Kotaemon (RAG)",
        "Model Registry",
        "MinIO",
        "Pipelines",
    ]
    section = json.loads(sidebar.sidebar(TEXT, COMPONENTS))["menuLinks"][-1]
    assert [entry["text"] for entry in section["items"]] == [
        "Pipelines",
        "Experiments",
        "Runs",
        "Recurring Runs",
        "Artifacts",
        "Executions",
    ]


@pytest.mark.parametrize("gone", COMPONENTS)
def test_what_is_switched_off_has_no_link(gone: str) -> None:
    kept = json.loads(sidebar.sidebar(TEXT, [name for name in COMPONENTS if name != gone]))
    for kind, entries in LINKS.items():
        wanted = [entry["text"] for entry in entries if entry.get("component") != gone]
        assert [entry["text"] for entry in kept[kind]] == wanted


def test_with_nothing_only_what_needs_nothing_stays() -> None:
    assert texts([]) == []
    assert set(json.loads(sidebar.sidebar(TEXT, []))) == set(LINKS)


def test_the_dashboard_is_not_told_of_components() -> None:
    assert "component" not in sidebar.sidebar(TEXT, COMPONENTS).replace("/docs/components/", "")


def test_every_link_is_to_a_component_that_exists() -> None:
    records = {path.stem for path in (ROOT / "release/components").glob("*.yml")}
    # Made in this release under these names; a rename must be followed here.
    assert set(COMPONENTS) - records <= {"kserve-models-web-app", "kotaemon"}


def test_the_filter_reads_the_list_of_the_kustomize_component() -> None:
    filters = kubeflow.FilterModule().filters()
    assert json.loads(filters["sidebar"](["minio"]))["menuLinks"][0]["text"] == "MinIO"
    component = yaml.safe_load((ROOT / sidebar.LINKS).with_name("kustomization.yaml").read_text("utf-8"))
    assert component["kind"] == "Component"
    (generator,) = component["configMapGenerator"]
    assert generator["files"] == ["links=links.json"]


@pytest.mark.parametrize(
    ("enabled", "external", "wanted"), [(["pipelines"], {}, 1), ([], {}, 0), (["pipelines"], {"host": "x"}, 0)]
)
def test_the_object_store_holds_what_pipelines_needs_only_where_it_is_used(
    enabled: list[str], external: dict[str, str], wanted: int
) -> None:
    filters = kubeflow.FilterModule().filters()
    for kind in ("buckets", "policies", "users"):
        assert len(filters["pipelines_contents"](kind, enabled, external)) == wanted
