"""Files of a render: one for each component, Secrets apart, nothing of anybody else's touched."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import platform_render, render, render_files

Object = dict[str, Any]


def obj(kind: str, name: str, **more: Any) -> Object:
    return {"kind": kind, "apiVersion": "v1", "metadata": {"name": name, "namespace": "n"}, **more}


def parts() -> list[platform_render.Part]:
    one = render.Rendered([obj("ConfigMap", "b", data={"text": "two\nlines\n"}), obj("ConfigMap", "a")])
    two = render.Rendered([obj("Secret", "s", data={"p": "eA=="}), obj("Namespace", "n")], [obj("ConfigMap", "late")])
    return [
        platform_render.Part({"name": "one", "version": "1.0"}, 1, 1, (), one),
        platform_render.Part({"name": "two", "version": "2.0"}, 1, 2, (), two),
        platform_render.Part({"name": "three", "version": "3.0"}, 2, 3, ("one",), render.Rendered([])),
    ]


def written(folder: Path, which: slice = slice(None)) -> render_files.Written:
    return render_files.write(folder, render_files.contents(parts()[which], {"Release": "0.1.0"}))


def test_a_file_for_each_component_in_the_order_of_waves(tmp_path: Path) -> None:
    result = written(tmp_path)
    names = ["01-01-one.yaml", "01-02-two.yaml", "02-01-three.yaml", "index.md", "secrets/01-02-two.yaml"]
    assert result.files == [".gitignore", *names] == sorted(result.changed)
    two = list(yaml.safe_load_all((tmp_path / "01-02-two.yaml").read_text()))
    assert [(each["kind"], each["metadata"]["name"]) for each in two] == [("Namespace", "n"), ("ConfigMap", "late")]
    one = (tmp_path / "01-01-one.yaml").read_text()
    assert one.index("name: a") < one.index("name: b")
    assert "  text: |\n    two\n    lines\n" in one
    index = (tmp_path / "index.md").read_text()
    assert "- Release: 0.1.0\n" in index
    assert "| 2 | [three](02-01-three.yaml) | 3.0 | 0 |  | one |" in index


def test_secrets_lie_apart_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    written(tmp_path)
    secret = tmp_path / "secrets" / "01-02-two.yaml"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    assert "/secrets/\n" in (tmp_path / ".gitignore").read_text()
    assert "kind: Secret" not in "".join(path.read_text() for path in tmp_path.glob("*.yaml"))
    secret.chmod(0o644)
    assert written(tmp_path).changed == ["secrets/01-02-two.yaml"]
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_second_render_writes_nothing(tmp_path: Path) -> None:
    written(tmp_path)
    again = written(tmp_path)
    assert (again.changed, again.removed) == ([], [])


def test_files_of_what_is_not_wanted_any_more_are_removed_and_those_of_others_are_not(tmp_path: Path) -> None:
    written(tmp_path)
    for name in ("03-01-mine.yaml", "README.md", "secrets/99-01-mine.yaml"):
        (tmp_path / name).write_text("kind: ConfigMap\n")
    result = written(tmp_path, slice(0, 1))
    assert result.removed == ["01-02-two.yaml", "02-01-three.yaml", "secrets/01-02-two.yaml"]
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == [
        ".gitignore", "01-01-one.yaml", "03-01-mine.yaml", "README.md", "index.md", "secrets/99-01-mine.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize("name", [".gitignore", "index.md", "01-01-one.yaml"])
def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(render.RenderError, match=f"{name} was not made by scripts/render"):
        written(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
