"""Longhorn's settings, from what an inventory says: replicas, and where backups go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMESPACE = "longhorn-system"
SECRET = "kaap-backup-target"  # noqa: S105  (the name of an object)
PLATFORM_STORE = "http://minio.minio.svc:9000"
MOST_REPLICAS = 3


def replicas(wanted: int, nodes: int) -> int:
    """How many copies of a volume there are.

    :param wanted: what the inventory says; 0 leaves it to the number of nodes.
    :param nodes: nodes that hold volumes. On a single one there is one copy: a second would never find a place, and
        every volume would count as degraded.
    """
    return wanted or max(1, min(MOST_REPLICAS, nodes))


def backup(target: Mapping[str, Any], login: Mapping[str, str]) -> dict[str, Any]:
    """The backup target, as the chart's values and as the Secret that opens it.

    :param target: kaap_longhorn_backup: ``bucket``, ``endpoint``, ``region``. Without a bucket there is no target.
    :param login: ``access_key`` and ``secret_key``.
    :returns: ``store``: values of ``defaultBackupStore``; ``objects``: the Secret, in a list.
    """
    if not target["bucket"]:
        return {"store": {}, "objects": []}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": NAMESPACE},
        "type": "Opaque",
        "stringData": {
            "AWS_ACCESS_KEY_ID": login["access_key"],
            "AWS_SECRET_ACCESS_KEY": login["secret_key"],
            "AWS_ENDPOINTS": target["endpoint"] or PLATFORM_STORE,
            # A bucket's name in the host part would want a DNS name per bucket.
            "VIRTUAL_HOSTED_STYLE": "false",
        },
    }
    store = {
        "backupTarget": f"s3://{target['bucket']}@{target['region']}/",
        "backupTargetCredentialSecret": SECRET,
        "pollInterval": 300,
    }
    return {"store": store, "objects": [secret]}
