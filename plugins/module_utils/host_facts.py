"""Facts of a host that decide how Kubernetes must be set up there.

Pure functions over the text of /proc and the numbers of the file systems, so that hosts which are not at hand
(cgroup v2, all capabilities, little disk) are tested from fixtures. `collect` reads the host it runs on.
Only the standard library: it also runs inside a node.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
GIB = 1024 * MIB
# Linux capability numbers, include/uapi/linux/capability.h
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_MODULE": 16, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24}
# Programs that Kubernetes needs on a host, and the Debian packages that bring them
PROGRAMS = {
    "conntrack": "conntrack",
    "containerd": "containerd",
    "ip": "iproute2",
    "iptables": "iptables",
    "mount": "mount",
    "nsenter": "util-linux",
    "runc": "runc",
    "sysctl": "procps",
}
# Kernel modules, and the paths below /proc/sys that appear with them
BRIDGE_MODULE, BRIDGE_PATH = "br_netfilter", "/proc/sys/net/bridge"
# Where a machine has bundles. A directory with a bundle's name is whole: copies get it last.
BUNDLES = Path("/opt/kaap/bundles")
JOINED_MARK = "/etc/kubernetes/kaap-joined"
# kubelet's own defaults, https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
DEFAULT_EVICTION_SHARE = 0.10
MOST_EVICTION_DISK = 2 * GIB
LEAST_EVICTION_DISK = 64 * MIB
EVICTION_MEMORY = 100 * MIB


def _text(*paths: str) -> str:
    """Return the content of the first of the files that can be read, else an empty string."""
    for path in paths:
        try:
            return Path(path).read_text(encoding="utf-8")
        except OSError:
            continue
    return ""


def cgroup_version(mounts: str) -> int:
    """Return 1 or 2: which cgroup hierarchy the container runtimes will use.

    :param mounts: text of /proc/mounts. A host with any cgroup v1 controller (also "hybrid") counts as 1.
    :raises ValueError: when no cgroup file system is mounted at all
    """
    kinds = {fields[2] for line in mounts.splitlines() if len(fields := line.split()) > 3}
    if "cgroup" in kinds:
        return 1
    if "cgroup2" in kinds:
        return 2
    raise ValueError("no cgroup file system is mounted: /proc/mounts lists neither cgroup nor cgroup2")


def missing_capabilities(status: str) -> list[str]:
    """Return the names of the capabilities that a process lacks.

    :param status: text of /proc/self/status
    :raises ValueError: when the text has no CapEff line
    """
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    if not found:
        raise ValueError("/proc/self/status has no CapEff line")
    mask = int(found.group(1), 16)
    return sorted(name for name, bit in CAPABILITIES.items() if not mask >> bit & 1)


def memory(meminfo: str) -> tuple[int, int]:
    """Return (total, available) bytes from the text of /proc/meminfo."""
    values = {m[1]: int(m[2]) * 1024 for m in re.finditer(r"^(\w+):\s+(\d+) kB$", meminfo, re.MULTILINE)}
    return values["MemTotal"], values.get("MemAvailable", values.get("MemFree", 0))


def memory_limit(text: str, total: int) -> int:
    """Return the bytes a cgroup may use: the host's total where the limit is absent, "max" or larger.

    :param text: content of memory.limit_in_bytes (v1) or memory.max (v2); may be empty
    """
    text = text.strip()
    return min(int(text), total) if text.isdigit() else total


def cpu_limit(quota: str, period: str, cpus: int) -> float:
    """Return the CPUs that a cgroup may use.

    :param quota: microseconds per period; empty, "max" or negative means all of them
    """
    quota, period = quota.strip(), period.strip()
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:
        return float(cpus)
    return min(float(cpus), int(quota) / int(period))


def floor_power_of_two(value: int) -> int:
    """Return the largest power of two not above `value`, at least 1."""
    return 1 << max(value, 1).bit_length() - 1


def eviction(size: int, free: int) -> dict[str, Any]:
    """Return thresholds at which the kubelet may act on a full disk of this size.

    kubelet's defaults are shares of the size (15% of a 250 GB disk is 38 GB), which a quota or other people's data
    on the same disk pass from the start. So: at most 2 GiB, at most a quarter of what is free now, and rounded
    down to a power of two, so that the answer does not change from run to run.

    :param size: bytes of the file system
    :param free: bytes available to root
    :returns: `disk` in bytes, and `image_gc_high` and `image_gc_low` in percent of the size
    """
    wanted = min(size * DEFAULT_EVICTION_SHARE, MOST_EVICTION_DISK, free / 4)
    disk = max(LEAST_EVICTION_DISK, floor_power_of_two(int(wanted)))
    # Images are collected just before pods would be evicted: they can be pulled again.
    high = max(50, min(99, int(100 - 100 * disk / max(size, 1)) - 1))
    return {"disk": disk, "image_gc_high": high, "image_gc_low": high - 5}


def kubelet(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a KubeletConfiguration that depends on the host.

    :param facts: what `describe` found out about host, memory, CPUs and disk
    """
    thresholds = eviction(facts["disk_size"], facts["disk_free"])
    disk = f"{thresholds['disk'] // MIB}Mi"
    settings: dict[str, Any] = {
        "cgroupDriver": facts["cgroup_driver"],
        "failCgroupV1": facts["cgroup_version"] != 1,
        "evictionHard": {
            "memory.available": f"{EVICTION_MEMORY // MIB}Mi",
            "nodefs.available": disk,
            "imagefs.available": disk,
            "nodefs.inodesFree": "1%",
        },
        "imageGCHighThresholdPercent": thresholds["image_gc_high"],
        "imageGCLowThresholdPercent": thresholds["image_gc_low"],
    }
    # The kubelet sees the whole machine, not the limits of the container it may run in.
    reserved = {}
    if facts["cpu_limit"] < facts["cpus"]:
        reserved["cpu"] = f"{round(1000 * (facts['cpus'] - facts['cpu_limit']))}m"
    if facts["memory_limit"] < facts["memory_total"]:
        reserved["memory"] = f"{(facts['memory_total'] - facts['memory_limit']) // MIB}Mi"
    if reserved:
        settings["systemReserved"] = reserved
    return settings


def missing_modules(filesystems: str, bridge_netfilter: bool) -> list[str]:
    """Return the kernel modules that must be loaded.

    :param filesystems: text of /proc/filesystems, which lists overlay when it is loaded or built in
    :param bridge_netfilter: whether net.bridge.* exists
    """
    wanted = [] if "overlay" in filesystems.split() else ["overlay"]
    return wanted if bridge_netfilter else [*wanted, BRIDGE_MODULE]


def missing_modules_here() -> list[str]:
    """Return the kernel modules that the host this runs on must load."""
    return missing_modules(_text("/proc/filesystems"), Path(BRIDGE_PATH).is_dir())


def cluster_authority(kubeconfig: str) -> str:
    """Return the base64 certificate of the authority that a kubeconfig trusts, empty when there is none."""
    found = re.search(r"^\s*certificate-authority-data:\s*(\S+)\s*$", kubeconfig, re.MULTILINE)
    return found.group(1) if found else ""


def membership(*, joined: bool, leftovers: bool, kubeconfig: str) -> dict[str, Any]:
    """Return how far a host is on its way into a cluster.

    :param joined: kubeadm ended well here
    :param leftovers: kubeadm has begun here
    :param kubeconfig: text of the kubelet's kubeconfig
    :returns: `stage` (empty, broken, joined) and `authority`, the certificate of the cluster's authority
    """
    stage = "joined" if joined and kubeconfig else "broken" if leftovers or joined else "empty"
    return {"stage": stage, "authority": cluster_authority(kubeconfig)}


def describe(
    *,
    mounts: str,
    status: str,
    meminfo: str,
    cpus: int,
    memory_limit_text: str = "",
    cpu_quota: str = "",
    cpu_period: str = "",
    disk_size: int,
    disk_free: int,
    open_files: int,
    processes: int,
) -> dict[str, Any]:
    """Return all facts from what was read on the host; sizes in bytes."""
    version = cgroup_version(mounts)
    missing = missing_capabilities(status)
    total, available = memory(meminfo)
    facts: dict[str, Any] = {
        "cgroup_version": version,
        # The systemd driver does not work inside a container on cgroup v1 ("kubepods has some missing paths").
        "cgroup_driver": "systemd" if version == 2 else "cgroupfs",
        "missing_capabilities": missing,
        # Lowering oom_score_adj needs CAP_SYS_RESOURCE.
        "restrict_oom_score_adj": "CAP_SYS_RESOURCE" in missing,
        "cpus": cpus,
        "cpu_limit": cpu_limit(cpu_quota, cpu_period, cpus),
        "memory_total": total,
        "memory_available": available,
        "memory_limit": memory_limit(memory_limit_text, total),
        "disk_size": disk_size,
        "disk_free": disk_free,
        "open_files_limit": open_files,
        "processes_limit": processes,
    }
    facts["kubelet"] = kubelet(facts)
    return facts


def bundles(directory: Path) -> list[str]:
    """Return the paths of the bundles in a directory that may be missing."""
    return sorted(str(path.parent) for path in directory.glob("*/bundle.json"))


def hard_limit(kind: int) -> int:
    """Return the hard limit of a resource.RLIMIT_*; a very large number where there is none."""
    limit = resource.getrlimit(kind)[1]
    return 2**31 - 1 if limit == resource.RLIM_INFINITY else limit


def collect(directory: str) -> dict[str, Any]:
    """Return the facts of the host this runs on.

    :param directory: where kubelet and containerd keep their data; its file system counts
    :raises ValueError: when the host tells neither its cgroups nor its capabilities
    """
    path = Path(directory)
    while not path.exists():
        path = path.parent
    disk = os.statvfs(path)
    quota, period = (
        _text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
        _text("/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    )
    if not quota:
        quota, _, period = _text("/sys/fs/cgroup/cpu.max").partition(" ")
    facts = describe(
        mounts=_text("/proc/mounts"),
        status=_text("/proc/self/status"),
        meminfo=_text("/proc/meminfo"),
        cpus=os.cpu_count() or 1,
        memory_limit_text=_text("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max"),
        cpu_quota=quota,
        cpu_period=period,
        disk_size=disk.f_frsize * disk.f_blocks,
        disk_free=disk.f_frsize * disk.f_bavail,
        open_files=hard_limit(resource.RLIMIT_NOFILE),
        processes=hard_limit(resource.RLIMIT_NPROC),
    )
    facts["hostname"] = os.uname().nodename
    facts["container"] = Path("/run/systemd/container").exists()
    facts["bundles"] = bundles(BUNDLES)
    facts["missing_packages"] = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name)})
    facts["missing_modules"] = missing_modules_here()
    facts["kubernetes"] = membership(
        joined=Path(JOINED_MARK).exists(),
        leftovers=any(
            path.exists() and any(path.iterdir())
            for path in map(Path, ("/etc/kubernetes/manifests", "/etc/kubernetes/pki", "/var/lib/etcd/member"))
        )
        or Path("/etc/kubernetes/kubelet.conf").exists()
        or Path("/etc/kubernetes/bootstrap-kubelet.conf").exists(),
        kubeconfig=_text("/etc/kubernetes/kubelet.conf"),
    )
    return facts
