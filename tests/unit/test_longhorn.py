"""Longhorn's copies and backup target, from settings."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import longhorn

LOGIN = {"access_key": "who", "secret_key": "what"}


@pytest.mark.parametrize(
    ("wanted", "nodes", "copies"), [(0, 1, 1), (0, 2, 2), (0, 3, 3), (0, 500, 3), (0, 0, 1), (2, 10, 2), (1, 3, 1)]
)
def test_replicas(wanted: int, nodes: int, copies: int) -> None:
    """One on one node; else as many as nodes, three at most, unless the inventory says."""
    assert longhorn.replicas(wanted, nodes) == copies


def target(**changes: Any) -> dict[str, Any]:
    """A backup target."""
    return {"bucket": "backups", "endpoint": "", "region": "eu-south-1", **changes}


def test_backup() -> None:
    """The target names bucket and region, the Secret the service and the keys."""
    found = longhorn.backup(target(endpoint="https://s3.example"), LOGIN)
    (secret,) = found["objects"]
    assert found["store"]["backupTarget"] == "s3://backups@eu-south-1/"
    assert found["store"]["backupTargetCredentialSecret"] == secret["metadata"]["name"]
    assert secret["metadata"]["namespace"] == "longhorn-system"
    assert secret["stringData"] == {
        "AWS_ACCESS_KEY_ID": "who",
        "AWS_SECRET_ACCESS_KEY": "what",
        "AWS_ENDPOINTS": "https://s3.example",
        "VIRTUAL_HOSTED_STYLE": "false",
    }


def test_backup_to_the_platforms_store() -> None:
    """Without an endpoint it is MinIO."""
    (secret,) = longhorn.backup(target(), LOGIN)["objects"]
    assert secret["stringData"]["AWS_ENDPOINTS"] == "http://minio.minio.svc:9000"


def test_no_backup() -> None:
    """Without a bucket nothing is set, and no login is needed."""
    assert longhorn.backup(target(bucket=""), {}) == {"store": {}, "objects": []}
