"""The wrapper modules pin what upstream tested: a main module's own requirements and replacements do not travel."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import release

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^\s*(?:require\s+)?(\S+\.\S+/\S+|\S+\.\S+)\s+(v\S+)", re.MULTILINE)
REPLACE = re.compile(r"^\s*(?:replace\s+)?(\S+)(?:\s+v\S+)?\s+=>\s+(\S+)\s+(v\S+)", re.MULTILINE)
# A record without a wrapper of its own (gateway-api) is pinned by another's, and has nothing to compare.
WRAPPERS = {
    name: go
    for name, record in release.load(ROOT).items()
    if (go := record.get("sources", {}).get("packages", {}).get("go")) and go["module"] != "local" and go["dir"] == name
}
# What Kubernetes requires of its own staging modules, which it replaces by directories.
STAGING = "v0.0.0"


def upstream(module: str, version: str) -> str:
    """The module's own go.mod, from the module cache; capitals are written as ! and the letter."""
    escaped = re.sub("[A-Z]", lambda m: "!" + m[0].lower(), module)
    cache = Path(os.environ.get("KAAP_CACHE") or "~/.cache/kaap").expanduser() / "go/mod/cache/download"
    return (cache / escaped / "@v" / f"{version}.mod").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", WRAPPERS)
def test_requirements_are_upstream_s(name: str) -> None:
    """Each module that both name has the same version in both."""
    go = WRAPPERS[name]
    wrapper = (ROOT / "release/go" / go["dir"] / "go.mod").read_text(encoding="utf-8")
    theirs = dict(LINE.findall(upstream(go["module"], go["version"])))
    ours = dict(LINE.findall(wrapper))
    assert ours[go["module"]] == go["version"]
    assert {m: v for m, v in ours.items() if theirs.get(m, v) not in {v, STAGING}} == {}


@pytest.mark.parametrize("name", WRAPPERS)
def test_replacements_are_upstream_s(name: str) -> None:
    """A replacement that upstream builds with is repeated."""
    go = WRAPPERS[name]
    wrapper = (ROOT / "release/go" / go["dir"] / "go.mod").read_text(encoding="utf-8")
    theirs = REPLACE.findall(upstream(go["module"], go["version"]))
    assert set(theirs) <= set(REPLACE.findall(wrapper))
