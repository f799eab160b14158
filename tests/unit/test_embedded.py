"""Decisions about embedded nodes; nothing here needs podman."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import embedded
from ansible_collections.infn.kaap.plugins.module_utils.embedded import Node, Observed

NODE = Node(
    deployment="lab-0a1b2c",
    host="control-1",
    image="localhost/kaap/node:0123456789ab",
    address="10.89.7.10",
    bundles="/cache/bundles",
    publish={"127.0.0.1:18000": 30080},
)


def option(arguments: list[str], name: str) -> list[str]:
    """Return the values of a repeated option."""
    return [arguments[i + 1] for i, argument in enumerate(arguments) if argument == name]


def test_addresses_follow_the_inventory() -> None:
    assert [embedded.node_address("10.89.7.0/24", i) for i in range(2)] == ["10.89.7.10", "10.89.7.11"]


def test_a_network_that_is_too_small_is_named() -> None:
    with pytest.raises(embedded.EmbeddedError, match=r"10.89.7.0/28 has no address for node 6"):
        embedded.node_address("10.89.7.0/28", 5)
    with pytest.raises(embedded.EmbeddedError, match="kaap_node_cidr"):
        embedded.node_address("10.89.7.1/24", 0)


def test_cgroup_v1_needs_runc_and_v2_takes_what_the_host_has() -> None:
    limit = {"nofile": 1, "nproc": 1}
    assert embedded.run_arguments(NODE, limit, 1)[:2] == ["--runtime", "runc"]
    assert "--runtime" not in embedded.run_arguments(NODE, limit, 2)


def test_options_of_a_node() -> None:
    arguments = embedded.run_arguments(replace(NODE, memory="6g", cpus=2.0), {"nofile": 20000, "nproc": 9}, 2)
    assert option(arguments, "--publish") == ["127.0.0.1:18000:30080"]
    assert option(arguments, "--ulimit") == ["nofile=20000:20000", "nproc=9:9"]
    assert option(arguments, "--memory") == ["6g"]
    assert option(arguments, "--cpus") == ["2.0"]
    assert option(arguments, "--ip") == ["10.89.7.10"]
    volumes = option(arguments, "--volume")
    assert "kaap-lab-0a1b2c-control-1-etcd:/var/lib/etcd" in volumes
    assert "/cache/bundles:/opt/kaap/bundles:ro" in volumes
    assert arguments[-1] == NODE.image


def test_without_the_capability_no_limit_is_raised() -> None:
    assert embedded.limits(["CAP_SYS_RESOURCE"], 20000, 96365) == {"nofile": 20000, "nproc": 32768}
    assert embedded.limits(["CAP_SYS_RESOURCE"], 20000, 500) == {"nofile": 20000, "nproc": 500}
    assert embedded.limits([], 1024, 500) == {"nofile": 1048576, "nproc": 4194304}


@pytest.mark.parametrize(
    "change",
    [
        {"image": "localhost/kaap/node:ffffffffffff"},
        {"address": "10.89.7.12"},
        {"publish": {"127.0.0.1:19000": 30080}},
        {"memory": "6g"},
        {"cpus": 1.5},
        {"bundles": "/elsewhere"},
    ],
)
def test_a_changed_definition_is_noticed(change: dict[str, object]) -> None:
    changed = replace(NODE, **change)  # type: ignore[arg-type]
    seen = Observed(status="running", definition=NODE.definition, alive=True)
    assert embedded.decide(NODE, seen) == ("keep", "")
    assert embedded.decide(changed, seen)[0] == "recreate"


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (Observed(), "create"),
        (Observed("running", NODE.definition, alive=True), "keep"),
        (Observed("running", NODE.definition, alive=False), "recreate"),
        (Observed("exited", NODE.definition), "start"),
        (Observed("created", NODE.definition), "start"),
        (Observed("stopping", NODE.definition), "recreate"),
        (Observed("exited", "older"), "recreate"),
    ],
)
def test_what_is_done_with_a_node(seen: Observed, what: str) -> None:
    assert embedded.decide(NODE, seen)[0] == what


def test_a_process_is_the_nodes_only_with_its_mark() -> None:
    assert not embedded.is_node_process(0, NODE.name)
    assert not embedded.is_node_process(os.getpid(), NODE.name)


def test_volumes_of_another_deployment_are_not_ours() -> None:
    assert embedded.belongs("kaap-lab-0a1b2c-control-1-etcd", "lab-0a1b2c")
    assert not embedded.belongs("kaap-lab-0a1b2c2-control-1-etcd", "lab-0a1b2c")
    assert not embedded.belongs("kaap-lab-0a1b2c-control-1-backup", "lab-0a1b2c")


SAVED = """*filter
:FORWARD ACCEPT [0:0]
:NETAVARK_FORWARD - [0:0]
-A NETAVARK_FORWARD -d 10.89.7.0/24 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A NETAVARK_FORWARD -s 10.89.8.0/24 -j ACCEPT
COMMIT
*nat
:NETAVARK-015372F33A73D - [0:0]
:NETAVARK-DN-015372F33A73D - [0:0]
:NETAVARK-AAAAAAAAAAAAA - [0:0]
:NETAVARK-HOSTPORT-DNAT - [0:0]
-A POSTROUTING -s 10.89.7.0/24 -j NETAVARK-015372F33A73D
-A POSTROUTING -s 10.89.8.0/24 -j NETAVARK-AAAAAAAAAAAAA
-A NETAVARK-DN-015372F33A73D -s 10.89.7.0/24 -d 127.0.0.1/32 -p tcp -m tcp --dport 18000 -j NETAVARK-HOSTPORT-SETMARK
-A NETAVARK-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: kaap-lab id: 1" -j NETAVARK-DN-015372F33A73D
COMMIT
"""


def test_only_the_rules_of_the_own_network_are_stale() -> None:
    chains = embedded.own_chains(SAVED, "10.89.7.0/24")
    assert chains == {"NETAVARK-015372F33A73D", "NETAVARK-DN-015372F33A73D"}
    rules = embedded.stale_rules(SAVED, sorted(chains), "10.89.7.0/24")
    assert not [rule for rule in rules if "10.89.8.0/24" in rule or "NETAVARK-AAAAAAAAAAAAA" in rule]
    jump = next(rule for rule in rules if "dnat name: kaap-lab id: 1" in rule)
    assert jump[:4] == ["-t", "nat", "-D", "NETAVARK-HOSTPORT-DNAT"]
    deleted = [rule[3] for rule in rules if rule[2] == "-X"]
    assert deleted == ["NETAVARK-015372F33A73D", "NETAVARK-DN-015372F33A73D"]
    kinds = [rule[2] for rule in rules]
    assert kinds == sorted(kinds, key=["-D", "-F", "-X"].index), "a chain can only be deleted when it is empty"


def test_a_chain_that_only_begins_the_same_stays() -> None:
    saved = "*nat\n:NETAVARK-1 - [0:0]\n:NETAVARK-10 - [0:0]\nCOMMIT\n"
    assert embedded.stale_rules(saved, ["NETAVARK-1"], "none") == [
        ["-t", "nat", "-F", "NETAVARK-1"],
        ["-t", "nat", "-X", "NETAVARK-1"],
    ]


MOUNTS = """1 0 8:1 / / rw - ext4 /dev/vda rw
2 1 0:40 / /run/netns/netns-1 rw - nsfs nsfs rw
3 1 0:41 / /store/overlay/abc/merged rw - overlay overlay rw
4 3 0:42 / /store/overlay/abc/merged/proc rw - proc proc rw
5 1 0:43 / /store/overlay-containers/0123/userdata/shm rw - tmpfs shm rw
6 1 0:44 / /store/overlay/abcdef/merged rw - overlay overlay rw
"""


def test_mounts_are_taken_deepest_first_and_only_below() -> None:
    assert embedded.mounts_below(MOUNTS, ["/store/overlay/abc/merged"]) == [
        "/store/overlay/abc/merged/proc",
        "/store/overlay/abc/merged",
    ]
    assert embedded.mount_points_naming(MOUNTS, "0123") == ["/store/overlay-containers/0123/userdata/shm"]


def test_cgroups_of_one_container(tmp_path: Path) -> None:
    for name in (
        "cpu/libpod_parent/libpod-aaa/kubepods",
        "cpu/libpod_parent/libpod-bbb",
        "cpu/libpod_parent/libpod-conmon-aaa",
    ):
        (tmp_path / name).mkdir(parents=True)
    found = [
        str(path.relative_to(tmp_path / "cpu/libpod_parent")) for path in embedded.cgroup_directories("aaa", tmp_path)
    ]
    assert found == ["libpod-aaa/kubepods", "libpod-aaa", "libpod-conmon-aaa"]


def test_only_low_settings_of_the_host_are_raised(tmp_path: Path) -> None:
    (tmp_path / "fs").mkdir()
    (tmp_path / "fs/a").write_text("128\n")
    (tmp_path / "fs/b").write_text("9000\n")
    wanted = {"fs.a": 8192, "fs.b": 8192, "fs.absent": 1}
    assert embedded.read_sysctls(wanted, tmp_path) == {"fs.a": 128, "fs.b": 9000}
    assert embedded.low_sysctls(wanted, tmp_path) == {"fs.a": 8192}
    embedded.write_sysctls(embedded.low_sysctls(wanted, tmp_path), tmp_path)
    assert ((tmp_path / "fs/a").read_text(), (tmp_path / "fs/b").read_text()) == ("8192", "9000\n")
    assert embedded.low_sysctls(wanted, tmp_path) == {}


def test_waiting_says_for_what() -> None:
    with pytest.raises(embedded.EmbeddedError, match="waited 0 s for the moon"):
        embedded.wait_for("the moon", 0, lambda: False, pause=0)


def test_name_spaces_that_a_reboot_took_are_found(tmp_path: Path) -> None:
    names = {"a": "kaap-lab-control-1", "b": "kaap-lab-worker-1", "c": "web"}
    for identity in names:
        space = {"type": "network", "path": f"/run/netns/netns-{identity}"}
        (tmp_path / identity / "userdata").mkdir(parents=True)
        (tmp_path / identity / "userdata/config.json").write_text(json.dumps({"linux": {"namespaces": [space]}}))
    listed = [{"id": identity, "names": [name]} for identity, name in names.items()]
    (tmp_path / "containers.json").write_text(json.dumps(listed))
    mounts = "2 1 0:40 / /run/netns/netns-a rw - nsfs nsfs rw\n"
    # Those that are there, and those of somebody else, are left alone.
    assert embedded.lost_namespaces(tmp_path, mounts) == {"kaap-lab-worker-1": "/run/netns/netns-b"}
    assert embedded.lost_namespaces(tmp_path / "absent", mounts) == {}
