"""A real API server with its etcd, and nothing else: enough for everything that needs no kubelet.

The programs come from the bundle of the default deployment, or from KAAP_TEST_BIN. Without either these tests are
listed as not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient

from tests.integration import control_plane


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with etcd and the control plane's programs."""
    found = control_plane.programs(tmp_path_factory.mktemp("bin"))
    if found is None:
        pytest.skip("nothing is packed: run playbooks/pack.yml first")
    return found


@pytest.fixture(scope="session")
def kubeconfig(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kubeconfig of an administrator; the servers behind it live as long as the test session."""
    with control_plane.running(programs, tmp_path_factory.mktemp("control-plane")) as path:
        yield path


@pytest.fixture
def client(kubeconfig: Path) -> KubeClient:
    """A client that has discovered the served kinds."""
    fresh = KubeClient.from_kubeconfig(kubeconfig)
    fresh.discover()
    return fresh
