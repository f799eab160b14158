"""Kueue's objects from the queues that a deployment declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils.namespaces import WORKLOADS_LABEL

API = "kueue.x-k8s.io/v1beta2"
# An object with this annotation outlives the component that made it: people put their own things into it.
KEEP = "kaap.infn.it/keep"


class QueueError(Exception):
    """The declared queues do not fit together; the text names the key, the value and the fix."""


def queue_objects(queues: Mapping[str, Any]) -> list[dict[str, Any]]:
    """ResourceFlavors, ClusterQueues, the namespaces of LocalQueues, and LocalQueues.

    :param queues: ``resource_flavors`` (name, node_labels, tolerations), ``cluster_queues`` (name, flavor, quotas,
        cohort) and ``local_queues`` (name, namespace, cluster_queue).
    :raises QueueError: when a queue names a flavor or a cluster queue that is not declared.
    """
    flavors: list[dict[str, Any]] = [_flavor(entry) for entry in queues.get("resource_flavors") or []]
    known_flavors = [flavor["metadata"]["name"] for flavor in flavors]
    clusters: list[dict[str, Any]] = []
    for entry in queues.get("cluster_queues") or []:
        _known(entry["flavor"], known_flavors, f"cluster_queues.{entry['name']}.flavor", "resource_flavors")
        clusters.append(cluster_queue(entry))
    known_clusters = [queue["metadata"]["name"] for queue in clusters]
    locals_: list[dict[str, Any]] = []
    for entry in queues.get("local_queues") or []:
        _known(entry["cluster_queue"], known_clusters, f"local_queues.{entry['name']}.cluster_queue", "cluster_queues")
        locals_.append(
            {
                "apiVersion": API,
                "kind": "LocalQueue",
                "metadata": {"name": entry["name"], "namespace": entry["namespace"]},
                "spec": {"clusterQueue": entry["cluster_queue"]},
            }
        )
    namespaces = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {WORKLOADS_LABEL: "true"}, "annotations": {KEEP: "true"}},
        }
        for name in sorted({queue["metadata"]["namespace"] for queue in locals_})
    ]
    return [*namespaces, *flavors, *clusters, *locals_]


def _known(name: str, known: list[str], key: str, section: str) -> None:
    if name not in known:
        raise QueueError(f"kaap_queues: {key} is {name!r}; declare it in {section} or take one of {known}")


def _flavor(entry: Mapping[str, Any]) -> dict[str, Any]:
    spec = {
        key: entry[source]
        for key, source in (("nodeLabels", "node_labels"), ("tolerations", "tolerations"))
        if entry.get(source)
    }
    return {"apiVersion": API, "kind": "ResourceFlavor", "metadata": {"name": entry["name"]}, "spec": spec}


def cluster_queue(entry: Mapping[str, Any]) -> dict[str, Any]:
    quotas = entry["quotas"]
    spec: dict[str, Any] = {
        "namespaceSelector": {},
        "resourceGroups": [
            {
                "coveredResources": list(quotas),
                "flavors": [
                    {
                        "name": entry["flavor"],
                        "resources": [{"name": name, "nominalQuota": str(quota)} for name, quota in quotas.items()],
                    }
                ],
            }
        ],
    }
    if entry.get("cohort"):
        spec["cohortName"] = entry["cohort"]
    return {"apiVersion": API, "kind": "ClusterQueue", "metadata": {"name": entry["name"]}, "spec": spec}
