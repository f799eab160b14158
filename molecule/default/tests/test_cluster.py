"""What the cluster roles must have made of the machines, asked through podman and not through Ansible."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import testinfra
from ansible_collections.infn.kaap.plugins.module_utils import deployment, embedded
from testinfra.host import Host

FACTS = deployment.describe([str(Path(__file__).parents[1] / "inventories/molecule")])
CONTROL_PLANE, WORKER = "control-1", "worker-1"
KUBECTL = "/usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf"


def machine(name: str) -> Host:
    """Return a connection to a machine of the scenario."""
    return testinfra.get_host(f"podman://{embedded.container_name(FACTS['deployment'], name)}")


@pytest.fixture(params=[CONTROL_PLANE, WORKER])
def host(request: pytest.FixtureRequest) -> Host:
    """Each machine in turn."""
    return machine(request.param)


@pytest.fixture
def control_plane() -> Host:
    """The control plane."""
    return machine(CONTROL_PLANE)


def test_systemd_started_everything(host: Host) -> None:
    assert host.check_output("systemctl is-system-running") == "running"


@pytest.mark.parametrize("name", ["containerd", "kubelet", "kaap-pod-network"])
def test_services_run_and_come_back(host: Host, name: str) -> None:
    service = host.service(name)
    assert service.is_running
    assert service.is_enabled


def test_the_registry_listens_on_the_inner_address_only(control_plane: Host) -> None:
    address = embedded.node_address(FACTS["node_cidr"], 0)
    assert control_plane.service("kaap-registry").is_running
    assert control_plane.socket(f"tcp://{address}:5000").is_listening
    assert not control_plane.socket("tcp://127.0.0.1:5000").is_listening
    process = control_plane.process.get(comm="registry")
    assert process.user == "kaap-registry"


def test_keys_are_their_owners_only(control_plane: Host) -> None:
    key = control_plane.file("/etc/kaap/registry/tls.key")
    assert (key.user, key.mode) == ("kaap-registry", 0o400)
    key = control_plane.file("/etc/kaap/kubelet.key")
    assert (key.user, key.mode) == ("root", 0o600)


def test_no_token_stays_behind() -> None:
    assert not machine(WORKER).file("/etc/kaap/kubeadm/config.yaml").exists


def test_the_cgroup_driver_is_the_same_for_both(host: Host) -> None:
    systemd = "SystemdCgroup = true" in host.file("/etc/containerd/config.toml").content_string
    kubelet = host.file("/etc/kaap/kubelet.d/10-kaap.conf").content_string
    assert ("cgroupDriver: systemd" in kubelet) == systemd


def test_names_of_all_machines_resolve(host: Host) -> None:
    for index, name in enumerate([CONTROL_PLANE, WORKER]):
        assert embedded.node_address(FACTS["node_cidr"], index) in host.check_output(f"getent hosts {name}")


def test_forwarding_is_on(host: Host) -> None:
    assert host.sysctl("net.ipv4.ip_forward") == 1
    assert host.sysctl("net.bridge.bridge-nf-call-iptables") == 1


@pytest.mark.parametrize("name", ["kube-scheduler", "kube-controller-manager"])
def test_a_control_plane_alone_elects_no_leader(control_plane: Host, name: str) -> None:
    assert "--leader-elect=false" in control_plane.file(f"/etc/kubernetes/manifests/{name}.yaml").content_string
    leases = control_plane.check_output(f"{KUBECTL} -n kube-system get leases -o name").splitlines()
    assert f"lease.coordination.k8s.io/{name}" not in leases


def test_nodes_are_ready(control_plane: Host) -> None:
    nodes = json.loads(control_plane.check_output(f"{KUBECTL} get nodes -o json"))["items"]
    ready = {
        node["metadata"]["name"]: condition["status"]
        for node in nodes
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready"
    }
    assert ready == {CONTROL_PLANE: "True", WORKER: "True"}


def test_kubelets_serve_a_certificate_that_verifies(control_plane: Host) -> None:
    for index in range(2):
        address = embedded.node_address(FACTS["node_cidr"], index)
        answer = control_plane.run(
            f"openssl s_client -connect {address}:10250 -CAfile /etc/kaap/ca.crt"
            f" -verify_return_error -verify_ip {address} </dev/null"
        )
        assert answer.rc == 0, answer.stderr


def test_an_image_that_the_bundle_lacks_is_refused_at_once(host: Host) -> None:
    answer = host.run(
        "ctr --namespace k8s.io images pull --hosts-dir /etc/containerd/certs.d registry.k8s.io/not/there:1"
    )
    assert answer.rc != 0
    assert "not found" in answer.stderr


def test_a_route_to_the_pods_of_the_other_machine(host: Host) -> None:
    routes = host.check_output("ip route show proto 107").splitlines()
    assert len(routes) == 1
    assert re.match(r"10\.244\.\d+\.0/24 via 10\.", routes[0])


def test_the_kubeconfig_is_private() -> None:
    mode = Path(FACTS["kubeconfig"]).stat().st_mode & 0o777
    assert mode == 0o600


def test_pods_reach_each_other_and_names_across_machines(control_plane: Host) -> None:
    """CoreDNS answers the worker's own name service query through the service network."""
    control_plane.check_output(f"{KUBECTL} -n kube-system rollout status deployment/coredns --timeout=120s")
    answer = machine(WORKER).run(
        'python3 -c "import socket,struct;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.settimeout(5);'
        "n=b''.join(bytes([len(p)])+p.encode() for p in 'kubernetes.default.svc.cluster.local'.split('.'))+b'\\\\0';"
        "s.sendto(struct.pack('>6H',1,256,1,0,0,0)+n+struct.pack('>2H',1,1),('10.96.0.10',53));"
        "r=s.recv(512);print('.'.join(map(str,r[-4:])))\""
    )
    assert answer.stdout.strip() == "10.96.0.1", answer.stderr
