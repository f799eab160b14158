"""The interface of every role says what its defaults are, and the defaults agree in value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).parents[2] / "roles").iterdir() if path.is_dir())


def load(path: Path) -> dict[str, Any]:
    """Return a YAML file, empty when there is none."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.is_file() else {}


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_defaults_are_what_the_interface_says(role: Path) -> None:
    options = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    said = {name: option["default"] for name, option in options.items() if "default" in option}
    assert load(role / "defaults/main.yml") == said


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_what_has_no_default_is_required(role: Path) -> None:
    options = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert [n for n, o in options.items() if "default" not in o and not o.get("required")] == []
    assert [name for name in options if not name.startswith(f"{role.name}_")] == []
