"""Where containerd pulls from: the mirrors first; upstream afterwards only where that is wanted."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jinja2
import pytest

TEMPLATE = Path(__file__).parents[2] / "roles/container_runtime/templates/hosts.toml.j2"
MIRRORS = ["https://10.0.0.1:5000/v2", "https://10.0.0.2:5000/v2"]


def hosts(registry: str, *, upstream: bool) -> dict[str, Any]:
    """The file of one registry."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)  # noqa: S701
    text = environment.from_string(TEMPLATE.read_text("utf-8")).render(
        ansible_managed="managed",
        container_runtime_mirrors=MIRRORS,
        container_runtime_upstream=upstream,
        _container_runtime_registry=registry,
    )
    return tomllib.loads(text)


@pytest.mark.parametrize("upstream", [False, True])
def test_mirrors_come_first(*, upstream: bool) -> None:
    assert list(hosts("quay.io", upstream=upstream)["host"]) == [f"{mirror}/quay.io" for mirror in MIRRORS]


def test_without_upstream_nobody_else_is_asked() -> None:
    found = hosts("quay.io", upstream=False)
    assert (found["server"], found["override_path"]) == (f"{MIRRORS[-1]}/quay.io", True)


@pytest.mark.parametrize(
    ("registry", "server"), [("quay.io", "https://quay.io"), ("docker.io", "https://registry-1.docker.io")]
)
def test_upstream_is_asked_as_itself(registry: str, server: str) -> None:
    found = hosts(registry, upstream=True)
    assert (found["server"], "override_path" in found, "ca" in found) == (server, False, False)
