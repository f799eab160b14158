"""Profile full through the playbooks, out of a mirror of upstream's repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.release.rendering import ROOT
from tests.release.test_render import CUT_OFF

# Names a git configuration whose url.<base>.insteadOf leads to clones of the repositories in release/sources/.
MIRROR = os.environ.get("KAAP_TEST_GIT_CONFIG", "")
# Without it a test is listed as not run.
NEEDED = pytest.mark.skipif(not MIRROR, reason="KAAP_TEST_GIT_CONFIG names no git configuration that leads to a mirror")


def play(*command: str, cut_off: bool = False) -> subprocess.CompletedProcess[str]:
    """A command of the repository, which finds upstream's commits in the mirror, or nobody at all."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull if cut_off else MIRROR}
    whole = [*(CUT_OFF if cut_off else []), *command]
    return subprocess.run(whole, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def pack(inventory: Path, *options: str) -> None:
    """Packs what rendering needs."""
    done = play("scripts/play", "pack", "-i", str(inventory), *options, "-e", "kaap_pack_only=charts,manifests")
    assert done.returncode == 0, done.stdout + done.stderr


def rendered(inventory: Path, folder: Path, *options: str) -> Path:
    """Renders what was packed, with the network cut off; the folder it went to."""
    done = play("scripts/render", "-i", str(inventory), *options, str(folder), cut_off=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not validated" not in done.stdout + done.stderr
    return folder
