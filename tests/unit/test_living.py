"""What a cluster was made with is told by its control plane, running or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import living, local_host

API_SERVER = """\
spec:
  containers:
  - command:
    - kube-apiserver
    - --service-account-issuer=https://kubernetes.default.svc.cluster.local
    - --service-cluster-ip-range=10.96.0.0/16
"""
CONTROLLER_MANAGER = """\
spec:
  containers:
  - command:
    - kube-controller-manager
    - --cluster-cidr=10.244.0.0/16
    - --service-cluster-ip-range=10.96.0.0/16
"""
NETWORKS = {"kaap_pod_cidr": "10.244.0.0/16", "kaap_service_cidr": "10.96.0.0/16"}


@pytest.fixture
def kubernetes(tmp_path: Path) -> Path:
    """The /etc/kubernetes of a control plane."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "kube-apiserver.yaml").write_text(API_SERVER)
    (tmp_path / "manifests" / "kube-controller-manager.yaml").write_text(CONTROLLER_MANAGER)
    (tmp_path / "kaap-joined").touch()
    return tmp_path


def test_the_manifests_of_the_control_plane_tell_its_networks(kubernetes: Path) -> None:
    """Each from the pod that is given it."""
    assert living.of_control_plane(kubernetes) == NETWORKS


def test_an_unfinished_control_plane_binds_nobody(kubernetes: Path) -> None:
    """Kubeadm killed half-way with its manifests written is reset: it may be made with other networks."""
    (kubernetes / "kaap-joined").unlink()
    assert living.of_control_plane(kubernetes) == {}


def test_what_is_not_there_is_not_told(kubernetes: Path) -> None:
    """No manifest, no network; no directory, none at all."""
    (kubernetes / "manifests" / "kube-apiserver.yaml").unlink()
    assert living.of_control_plane(kubernetes) == {"kaap_pod_cidr": "10.244.0.0/16"}
    assert living.of_control_plane(kubernetes / "nothing") == {}


def test_kubeadm_s_own_config_map_tells_them_too() -> None:
    """This is how machines that are not on this host are asked."""
    text = yaml.safe_dump({"networking": {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/16"}})
    assert living.of_configuration({"data": {"ClusterConfiguration": text}}) == NETWORKS
    assert living.of_configuration({"data": {}}) == {} == living.of_configuration({})


def test_the_pod_network_is_remembered_with_the_control_plane(kubernetes: Path) -> None:
    """Role cni writes it there, under this name."""
    tasks = Path(__file__).parents[2] / "roles/cni/vars/main.yml"
    assert yaml.safe_load(tasks.read_text())["_cni_mark"] == f"/etc/kubernetes/{living.NETWORK_MARK}"
    (kubernetes / living.NETWORK_MARK).write_text("calico\n")
    assert living.of_control_plane(kubernetes) == {**NETWORKS, "kaap_cni": "calico"}


def test_the_pod_network_of_machines_elsewhere() -> None:
    """Calico shows itself; where no node is ready, a stopped run had not come to it yet."""
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    waiting = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    assert living.of_nodes([ready], calico=True) == {"kaap_cni": "calico"}
    assert living.of_nodes([waiting], calico=True) == {"kaap_cni": "calico"}
    assert living.of_nodes([waiting, ready], calico=False) == {"kaap_cni": "reference"}
    assert living.of_nodes([waiting, {}], calico=False) == {}


def test_a_cluster_that_does_not_answer_tells_nothing(tmp_path: Path) -> None:
    """Neither a missing kubeconfig nor a broken one stops a run here: the phase cluster says what is wrong."""
    assert living.of_cluster(tmp_path / "kubeconfig") == {}
    (tmp_path / "kubeconfig").write_text("{}")
    assert living.of_cluster(tmp_path / "kubeconfig") == {}


def test_volumes_and_network_of_the_embedded_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that was never made has no volume."""
    known = {
        "volume kaap-d-control-1-kubernetes": [{"Mountpoint": "/volumes/k"}],
        "network kaap-d": [{"subnets": [{"subnet": "10.90.1.0/24"}]}],
    }
    monkeypatch.setattr(local_host, "_json", lambda command: known.get(f"{command[1]} {command[3]}", []))
    assert local_host.node_directories("d", ["control-1", "new"], "kubernetes") == [Path("/volumes/k")]
    assert local_host.own_network("d") == {"kaap_node_cidr": "10.90.1.0/24"}
    assert local_host.own_network("other") == {}
