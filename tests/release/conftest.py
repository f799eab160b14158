"""What the tests of the packed release share."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils.render import Rendered

from tests.release import rendering


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The packed bundle of the default deployment."""
    return rendering.bundle()


@pytest.fixture(scope="session")
def helm(bundle: Path) -> Path:
    """The helm of the bundle."""
    return bundle / "bin/helm"


@pytest.fixture(scope="session")
def rendered(bundle: Path) -> dict[str, Rendered]:
    """Every component of profile core, rendered from the bundle."""
    return rendering.render_all(bundle)
