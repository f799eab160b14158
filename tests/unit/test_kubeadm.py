"""The configuration that kubeadm gets: what depends on the size of the control plane."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

ROLE = Path(__file__).parents[2] / "roles/kubernetes"
ARGUMENTS: dict[str, Any] = {
    **yaml.safe_load((ROLE / "defaults/main.yml").read_text("utf-8")),
    "inventory_hostname": "control-1",
    "kubernetes_version": "v1.36.3",
    "kubernetes_etcd_tag": "3.6.9-0",
    "kubernetes_coredns_tag": "v1.14.2",
    "kubernetes_address": "10.90.1.10",
    "kubernetes_endpoint": "10.90.1.10",
    "kubernetes_pod_cidr": "10.244.0.0/16",
    "kubernetes_service_cidr": "10.96.0.0/16",
    "kubernetes_kubelet": {"cgroupDriver": "systemd", "failCgroupV1": True},
}


def configuration(**changes: Any) -> dict[str, Any]:
    """The ClusterConfiguration that kubeadm init reads."""
    # It makes YAML, no HTML; autoescape would break its quotes.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)  # noqa: S701
    environment.filters["to_json"] = lambda value: json.dumps(value, default=list)
    template = environment.from_string((ROLE / "templates/init.yaml.j2").read_text("utf-8"))
    documents = yaml.safe_load_all(template.render({**ARGUMENTS, **changes}))
    found: dict[str, Any] = next(document for document in documents if document["kind"] == "ClusterConfiguration")
    return found


@pytest.mark.parametrize("component", ["controllerManager", "scheduler"])
def test_a_control_plane_alone_elects_no_leader(component: str) -> None:
    """With more than one, kubeadm's own default (to elect) stands."""
    alone = configuration(kubernetes_leader_election=False)[component]
    assert alone == {"extraArgs": [{"name": "leader-elect", "value": "false"}]}
    assert component not in configuration(kubernetes_leader_election=True)


@pytest.mark.parametrize("election", [True, False])
def test_arguments_of_the_controller_manager_come_on_top(election: bool) -> None:
    """A rehearsal gives some; the election stays what it is."""
    given = {"node-monitor-grace-period": "24h", "kube-api-qps": 200}
    found = configuration(kubernetes_leader_election=election, kubernetes_controller_manager_args=given)
    arguments = {entry["name"]: entry["value"] for entry in found["controllerManager"]["extraArgs"]}
    wanted = {"node-monitor-grace-period": "24h", "kube-api-qps": "200"}
    assert arguments == (wanted if election else {**wanted, "leader-elect": "false"})


def test_the_play_counts_the_control_planes() -> None:
    """The switch follows from the inventory alone."""
    variables = yaml.safe_load((ROLE.parents[1] / "playbooks/vars/cluster.yml").read_text("utf-8"))
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)  # noqa: S701
    switch = environment.from_string(variables["kubernetes_leader_election"])
    assert switch.render(groups={"kaap_control_plane": ["a"]}) == "False"
    assert switch.render(groups={"kaap_control_plane": ["a", "b"]}) == "True"
