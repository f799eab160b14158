"""What the cluster of a deployment was made with, as far as nothing can change it afterwards: its networks.

kubeadm writes the pod and the service network into certificates, manifests and etcd, podman the node network into
every container. Nodes that are stopped tell as well as running ones: what they were made with is in their volumes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import host_facts
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, KubeError, Resource

# By setting: the static pod of the control plane that knows it, and its option
OPTIONS = {
    "kaap_pod_cidr": ("kube-controller-manager", "--cluster-cidr"),
    "kaap_service_cidr": ("kube-apiserver", "--service-cluster-ip-range"),
}
# By setting: key of the ClusterConfiguration that kubeadm leaves in the cluster
KEYS = {"kaap_pod_cidr": "podSubnet", "kaap_service_cidr": "serviceSubnet"}
# What role cni leaves in the control plane's volume
NETWORK_MARK = "kaap-pod-network"
NODE = Resource("", "v1", "Node", "nodes", False)
DAEMON_SET = Resource("apps", "v1", "DaemonSet", "daemonsets", True)
CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps", True)


def of_manifests(manifests: Mapping[str, str]) -> dict[str, str]:
    """Return the networks by setting that the static pods of a control plane were given.

    :param manifests: text of the manifests by name of the pod
    """
    found = {}
    for setting, (pod, option) in OPTIONS.items():
        match = re.search(rf"^\s*- {option}=(\S+)\s*$", manifests.get(pod, ""), re.MULTILINE)
        if match:
            found[setting] = match[1]
    return found


def of_control_plane(directory: Path) -> dict[str, str]:
    """Return the networks by setting of a control plane; none where kubeadm did not end well: it is reset anyway.

    :param directory: its /etc/kubernetes
    """
    if not (directory / Path(host_facts.JOINED_MARK).name).exists():
        return {}
    paths = {pod: directory / "manifests" / f"{pod}.yaml" for pod, _ in OPTIONS.values()}
    found = of_manifests({pod: path.read_text(encoding="utf-8") for pod, path in paths.items() if path.is_file()})
    mark = directory / NETWORK_MARK
    return {**found, "kaap_cni": mark.read_text(encoding="utf-8").strip()} if mark.is_file() else found


def of_configuration(config_map: Mapping[str, Any]) -> dict[str, str]:
    """Return the networks by setting that kubeadm's own ConfigMap tells."""
    text = str((config_map.get("data") or {}).get("ClusterConfiguration", ""))
    networking = (yaml.safe_load(text) or {}).get("networking") or {}
    return {setting: str(networking[key]) for setting, key in KEYS.items() if networking.get(key)}


def of_nodes(nodes: Iterable[Mapping[str, Any]], calico: bool) -> dict[str, str]:
    """Return the pod network; none where no node has one yet, because a run was stopped before.

    :param nodes: the cluster's nodes
    :param calico: whether Calico is there
    """
    conditions = [each for node in nodes for each in (node.get("status") or {}).get("conditions") or []]
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    if calico:
        return {"kaap_cni": "calico"}
    return {"kaap_cni": "reference"} if ready else {}


def of_cluster(kubeconfig: Path) -> dict[str, str]:
    """Return the networks by setting of the cluster that a kubeconfig leads to; none where there is no answer."""
    if not kubeconfig.is_file():
        return {}
    try:
        client = KubeClient.from_kubeconfig(kubeconfig)
        found = of_configuration(client.get(CONFIG_MAP, "kube-system", "kubeadm-config") or {})
        calico = client.get(DAEMON_SET, "kube-system", "calico-node") is not None
        return {**found, **of_nodes(client.list(NODE)[0], calico)} if found else {}
    except (KubeError, OSError, yaml.YAMLError):
        return {}
