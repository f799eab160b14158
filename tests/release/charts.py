"""Helm over our own charts: what their tests share."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).resolve().parents[2] / "charts"
Values = dict[str, Any]
Objects = dict[tuple[str, str], dict[str, Any]]
Template = Callable[..., Objects]

RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "fsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def run(helm: Path, values: Values, scratch: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Helm with these values, written to a file in ``scratch``."""
    file = scratch / "values.json"
    file.write_text(json.dumps(values))
    return subprocess.run([helm, *command, "--values", file], capture_output=True, text=True, check=False)


def rendered(helm: Path, scratch: Path, chart: str, release: str, values: Values) -> Objects:
    """The objects of a chart by kind and name; every one is in the release's namespace."""
    done = run(helm, values, scratch, "template", release, str(CHARTS / chart), "--namespace", "home")
    assert done.returncode == 0, done.stderr
    objects = [obj for obj in yaml.safe_load_all(done.stdout) if obj]
    assert {obj["metadata"]["namespace"] for obj in objects} == {"home"}
    return {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}


def merged(base: Values, change: Values) -> Values:
    """One tree of values over another, as Helm lays them."""
    return {
        **base,
        **{
            key: merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
            for key, value in change.items()
        },
    }


def notes(helm: Path, scratch: Path, chart: str, release: str, values: Values) -> str:
    """What an installation says at its end."""
    command = ("install", release, str(CHARTS / chart), "--namespace", "home", "--dry-run=client", "--debug")
    return run(helm, values, scratch, *command).stdout.partition("NOTES:")[2]


def namespaces(rule: dict[str, Any], side: str) -> list[str]:
    """Names of the namespaces that a rule of a NetworkPolicy lets in (``from``) or out to (``to``)."""
    return [
        name
        for peer in rule[side]
        if "namespaceSelector" in peer
        for expression in peer["namespaceSelector"].get("matchExpressions", [])
        for name in expression["values"]
    ]
