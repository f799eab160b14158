"""Kueue's objects from declared queues."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import queues


def declared() -> dict[str, Any]:
    return {
        "resource_flavors": [{"name": "default", "node_labels": {"disk": "fast"}}],
        "cluster_queues": [
            {"name": "shared", "flavor": "default", "quotas": {"cpu": 2, "memory": "4Gi"}, "cohort": "all"}
        ],
        "local_queues": [
            {"name": "a", "namespace": "team", "cluster_queue": "shared"},
            {"name": "b", "namespace": "team", "cluster_queue": "shared"},
        ],
    }


def test_objects_of_declared_queues() -> None:
    made = queues.queue_objects(declared())
    assert [(obj["kind"], obj["metadata"]["name"]) for obj in made] == [
        ("Namespace", "team"), ("ResourceFlavor", "default"), ("ClusterQueue", "shared"),
        ("LocalQueue", "a"), ("LocalQueue", "b"),
    ]  # fmt: skip
    flavor, cluster, local = made[1]["spec"], made[2]["spec"], made[3]
    assert flavor == {"nodeLabels": {"disk": "fast"}}
    assert cluster["cohortName"] == "all"
    assert cluster["resourceGroups"][0]["coveredResources"] == ["cpu", "memory"]
    assert cluster["resourceGroups"][0]["flavors"][0]["resources"][0] == {"name": "cpu", "nominalQuota": "2"}
    assert local["spec"] == {"clusterQueue": "shared"} and local["metadata"]["namespace"] == "team"


def test_namespace_of_a_queue_outlives_kueue() -> None:
    assert queues.queue_objects(declared())[0]["metadata"]["annotations"] == {"kaap.infn.it/keep": "true"}


@pytest.mark.parametrize(
    ("section", "key", "text"),
    [
        ("cluster_queues", "flavor", r"cluster_queues\.shared\.flavor is 'ghost'; declare it in resource_flavors"),
        ("local_queues", "cluster_queue", r"local_queues\.a\.cluster_queue is 'ghost'; declare it in cluster_queues"),
    ],
)
def test_name_that_is_not_declared_is_refused(section: str, key: str, text: str) -> None:
    wrong = declared()
    wrong[section][0][key] = "ghost"
    with pytest.raises(queues.QueueError, match=text):
        queues.queue_objects(wrong)
