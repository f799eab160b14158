"""What a host needs is read from its /proc and cgroups; the hosts here are ones that no test machine is."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import host_facts

GIB = 1024**3
V1 = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"
HYBRID = V1 + "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\nproc /proc proc rw 0 0\n"
ALL = "Name:\tcat\nCapEff:\t000001ffffffffff\n"
NO_RESOURCE = "Name:\tcat\nCapEff:\t000001fffeffffff\n"
MEMINFO = "MemTotal:       16384000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"


def describe(**changes: object) -> dict[str, object]:
    """Facts of a plain virtual machine, with changes."""
    values: dict[str, object] = {
        "mounts": V2,
        "status": ALL,
        "meminfo": MEMINFO,
        "cpus": 8,
        "disk_size": 100 * GIB,
        "disk_free": 80 * GIB,
        "open_files": 1048576,
        "processes": 63000,
    }
    return host_facts.describe(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("mounts", "version"), [(V1, 1), (HYBRID, 1), (V2, 2)])
def test_cgroup_version(mounts: str, version: int) -> None:
    assert host_facts.cgroup_version(mounts) == version


def test_a_host_without_cgroups_is_named() -> None:
    with pytest.raises(ValueError, match="neither cgroup nor cgroup2"):
        host_facts.cgroup_version("proc /proc proc rw 0 0\n")


def test_cgroup_v2_takes_the_systemd_driver_and_refuses_nothing() -> None:
    kubelet = describe()["kubelet"]
    assert kubelet["cgroupDriver"] == "systemd"  # type: ignore[index]
    assert kubelet["failCgroupV1"] is True  # type: ignore[index]


def test_cgroup_v1_takes_cgroupfs_and_is_allowed() -> None:
    kubelet = describe(mounts=HYBRID)["kubelet"]
    assert kubelet["cgroupDriver"] == "cgroupfs"  # type: ignore[index]
    assert kubelet["failCgroupV1"] is False  # type: ignore[index]


def test_missing_capability() -> None:
    assert host_facts.missing_capabilities(ALL) == []
    assert host_facts.missing_capabilities(NO_RESOURCE) == ["CAP_SYS_RESOURCE"]
    assert describe()["restrict_oom_score_adj"] is False
    assert describe(status=NO_RESOURCE)["restrict_oom_score_adj"] is True


def test_a_status_without_capabilities_is_an_error() -> None:
    with pytest.raises(ValueError, match="CapEff"):
        host_facts.missing_capabilities("Name:\tcat\n")


def test_memory_in_bytes() -> None:
    assert host_facts.memory(MEMINFO) == (16384000 * 1024, 8000000 * 1024)


@pytest.mark.parametrize(
    ("text", "limit"),
    [("", 1000), ("max\n", 1000), ("9223372036854771712\n", 1000), ("600\n", 600)],
)
def test_memory_limit(text: str, limit: int) -> None:
    assert host_facts.memory_limit(text, 1000) == limit


@pytest.mark.parametrize(
    ("quota", "period", "cpus"),
    [("-1\n", "100000\n", 8.0), ("max", "100000", 8.0), ("", "", 8.0), ("150000", "100000", 1.5)],
)
def test_cpu_limit(quota: str, period: str, cpus: float) -> None:
    assert host_facts.cpu_limit(quota, period, 8) == cpus


def test_a_large_disk_is_not_full_because_a_share_of_it_is_used() -> None:
    # kubelet's default would be 25 GiB and more on this disk.
    thresholds = host_facts.eviction(252 * GIB, 77 * GIB)
    assert thresholds["disk"] == 2 * GIB
    assert thresholds["image_gc_high"] == 98


def test_a_nearly_full_disk_gets_a_threshold_below_what_is_free() -> None:
    assert host_facts.eviction(252 * GIB, 2 * GIB)["disk"] == GIB // 2


def test_a_small_disk_keeps_a_share() -> None:
    thresholds = host_facts.eviction(8 * GIB, 7 * GIB)
    assert thresholds["disk"] == GIB // 2
    assert thresholds["image_gc_low"] < thresholds["image_gc_high"] < 95


def test_thresholds_stay_while_the_disk_fills() -> None:
    assert len({host_facts.eviction(252 * GIB, free * GIB)["disk"] for free in range(10, 250)}) == 1


def test_limits_of_a_container_are_reserved() -> None:
    kubelet = describe(cpu_quota="200000", cpu_period="100000", memory_limit_text=str(6 * GIB))["kubelet"]
    assert kubelet["systemReserved"] == {"cpu": "6000m", "memory": f"{(16384000 * 1024 - 6 * GIB) // 2**20}Mi"}  # type: ignore[index]
    assert "systemReserved" not in describe()["kubelet"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("filesystems", "bridge", "missing"),
    [
        ("nodev\toverlay\n", True, []),
        ("nodev\tproc\n", True, ["overlay"]),
        ("nodev\toverlay\n", False, ["br_netfilter"]),
        ("\text4\n", False, ["overlay", "br_netfilter"]),
    ],
)
def test_missing_modules(filesystems: str, bridge: bool, missing: list[str]) -> None:
    assert host_facts.missing_modules(filesystems, bridge) == missing


KUBECONFIG = "clusters:\n- cluster:\n    certificate-authority-data: QUJD\n    server: https://x\n"


@pytest.mark.parametrize(
    ("joined", "leftovers", "kubeconfig", "stage"),
    [
        (False, False, "", "empty"),
        (False, True, "", "broken"),
        (False, True, KUBECONFIG, "broken"),
        (True, True, "", "broken"),
        (True, True, KUBECONFIG, "joined"),
    ],
)
def test_how_far_kubeadm_came(joined: bool, leftovers: bool, kubeconfig: str, stage: str) -> None:
    found = host_facts.membership(joined=joined, leftovers=leftovers, kubeconfig=kubeconfig)
    assert found["stage"] == stage
    assert found["authority"] == ("QUJD" if kubeconfig else "")


def test_bundles_of_a_machine(tmp_path: Path) -> None:
    """A directory without a list of its content is none."""
    for name in ("b", "a", "begun"):
        (tmp_path / name).mkdir()
        if name != "begun":
            (tmp_path / name / "bundle.json").touch()
    assert host_facts.bundles(tmp_path) == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert host_facts.bundles(tmp_path / "nothing") == []


def test_this_host_can_be_described(tmp_path: object) -> None:
    facts = host_facts.collect(f"{tmp_path}/not/there/yet")
    assert facts["disk_size"] > facts["disk_free"] > 0
    assert facts["cgroup_version"] in (1, 2)
