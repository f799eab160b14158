"""Embedded nodes: machines of a deployment as podman containers that run systemd, on one bridge network.

What is decided (addresses, options of podman, what a difference asks for, what is left over from a killed
deployment) are pure functions; `Podman` runs the commands. Everything carries the deployment's name, and nothing
that does not is ever touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import host_facts, outside

# Data of a node that outlives its container, so that a changed image or port gives a node and keeps its cluster.
DATA = {
    "containerd": "/var/lib/containerd",
    "kubelet": "/var/lib/kubelet",
    "etcd": "/var/lib/etcd",
    "kubernetes": "/etc/kubernetes",
    "cni": "/var/lib/cni",
    "storage": "/opt/local-path-provisioner",
}
BUNDLES = "/opt/kaap/bundles"
# What this host keeps about all embedded deployments: process ids, and settings to put back.
RUN = Path("/run/kaap")
FIRST_ADDRESS = 10
# Where podman keeps the containers of root
CONTAINERS = Path("/var/lib/containers/storage/overlay-containers")
LABEL = "kaap.deployment"
LABEL_DEFINITION = "kaap.definition"
# The process that a container started carries its name: a number alone may have been given to another one.
MARK = "KAAP_NODE"
# Nodes share the kernel's limits with the host; its defaults are too small for several nodes.
HOST_SYSCTLS = {"fs.inotify.max_user_instances": 8192, "fs.inotify.max_user_watches": 524288}
# Settings of the one kernel that podman and kubelets change; they are put back with the last deployment.
SHARED_SYSCTLS = (
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "kernel.panic",
    "kernel.panic_on_oops",
    "net.ipv4.ip_forward",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    *HOST_SYSCTLS,
)
WANTED_OPEN_FILES = 1048576
WANTED_PROCESSES = 4194304
# podman 4.3 lowers its own limit of processes to this before it starts a container.
PODMAN_PROCESSES = 32768
BOOTED = ("running", "degraded")


class EmbeddedError(Exception):
    """Something about an embedded node cannot be done; the text says what and why."""


@dataclass(frozen=True)
class Node:
    """What a node must be."""

    deployment: str
    host: str
    image: str
    address: str
    bundles: str
    publish: dict[str, int] = field(default_factory=dict)  # "127.0.0.1:18000" -> port of the node
    memory: str = ""
    cpus: float = 0.0

    @property
    def name(self) -> str:
        """Name of the container."""
        return container_name(self.deployment, self.host)

    @property
    def definition(self) -> str:
        """Digest of everything that, when changed, needs another container."""
        text = json.dumps([asdict(self), DATA, MARK, OWN_HIERARCHY], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def network_name(deployment: str) -> str:
    """Return the name of the deployment's podman network."""
    return f"kaap-{deployment}"


def container_name(deployment: str, host: str) -> str:
    """Return the name of a node's container."""
    return f"kaap-{deployment}-{host}"


def image_name(digest: str) -> str:
    """Return the local image name of a node root file system with this sha256."""
    return f"localhost/kaap/node:{digest.removeprefix('sha256:')[:12]}"


def node_address(cidr: str, index: int) -> str:
    """Return the address of the node at this place of the inventory, from 0.

    :raises EmbeddedError: when the network is not one, or too small
    """
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError as problem:
        raise EmbeddedError(f"kaap_node_cidr: {problem}") from problem
    if FIRST_ADDRESS + index >= network.num_addresses - 1:
        raise EmbeddedError(
            f"kaap_node_cidr {cidr} has no address for node {index + 1}; give a larger network, such as a /24"
        )
    return str(network[FIRST_ADDRESS + index])


def limits(missing: Iterable[str], open_files: int, processes: int) -> dict[str, int]:
    """Return the limits of a node's processes.

    :param missing: capabilities that this host lacks. Without CAP_SYS_RESOURCE no limit can be raised, and podman
        fails at its own default unless a value within the hard limit is given.
    """
    if "CAP_SYS_RESOURCE" in missing:
        return {"nofile": open_files, "nproc": min(processes, PODMAN_PROCESSES)}
    return {"nofile": max(open_files, WANTED_OPEN_FILES), "nproc": max(processes, WANTED_PROCESSES)}


# On cgroup v1 podman lays the host's whole named hierarchy (name=systemd) over the container's own view of it: every
# node's systemd would then manage the same root, and stop the services of the others. The view below it is right.
OWN_HIERARCHY = (
    "if grep -q ' /[.][.]/.* /sys/fs/cgroup/systemd ' /proc/self/mountinfo; then "
    "umount /sys/fs/cgroup/systemd/release_agent; umount /sys/fs/cgroup/systemd || exit 1; fi; exec /sbin/init"
)


def run_arguments(node: Node, limit: dict[str, int], cgroup_version: int) -> list[str]:
    """Return the arguments of `podman` that make the container and start it."""
    arguments = [
        # crun refuses cgroup v1 in "hybrid" mode; with v2 the host's own runtime serves.
        *(["--runtime", "runc"] if cgroup_version == 1 else []),
        *["run", "--detach", "--name", node.name, "--hostname", node.host],
        *["--network", network_name(node.deployment), "--ip", node.address],
        *["--label", f"{LABEL}={node.deployment}", "--label", f"{LABEL_DEFINITION}={node.definition}"],
        *["--env", f"{MARK}={node.name}", "--pidfile", str(RUN / f"{node.name}.pid")],
        *["--privileged", "--systemd=always", "--cgroupns=private", "--pids-limit=-1"],
        # The node's own /etc/hosts must survive a restart.
        "--no-hosts",
        *["--tmpfs", "/run", "--tmpfs", "/tmp"],  # noqa: S108  (a path inside the node)
    ]
    if cgroup_version == 1:
        arguments += ["--entrypoint", json.dumps(["/bin/sh", "-c", OWN_HIERARCHY])]
    for name, value in sorted(limit.items()):
        arguments += ["--ulimit", f"{name}={value}:{value}"]
    for name, directory in DATA.items():
        arguments += ["--volume", f"{node.name}-{name}:{directory}"]
    arguments += ["--volume", f"{node.bundles}:{BUNDLES}:ro"]
    for published, port in sorted(node.publish.items()):
        arguments += ["--publish", f"{published}:{port}"]
    if node.memory:
        arguments += ["--memory", node.memory, "--memory-swap", node.memory]
    if node.cpus:
        arguments += ["--cpus", str(node.cpus)]
    return [*arguments, node.image]


@dataclass(frozen=True)
class Observed:
    """What is there of a node."""

    status: str = ""  # podman's word: running, exited, created, ...; empty: no container
    definition: str = ""
    alive: bool = False  # its systemd and its monitor are really processes


def decide(node: Node, seen: Observed) -> tuple[str, str]:
    """Return (what to do, why): keep, start, create or recreate."""
    if not seen.status:
        return "create", "it does not exist"
    if seen.definition != node.definition:
        return "recreate", "its definition changed"
    if seen.status == "running":
        if seen.alive:
            return "keep", ""
        return "recreate", "podman lists it as running, but its processes are gone"
    if seen.status in ("exited", "stopped", "created", "configured", "initialized"):
        return "start", f"it is {seen.status}"
    return "recreate", f"it is {seen.status}"


def stale_rules(saved: str, chains: Iterable[str], cidr: str) -> list[list[str]]:
    """Return iptables arguments that delete what netavark left behind for one network.

    :param saved: text of `iptables-save`
    :param chains: chains that belong to this network alone; rules that lead to them are deleted, then they are
    :param cidr: the network; rules that name it are deleted
    """
    rules: list[list[str]] = []
    flushed: list[list[str]] = []
    deleted: list[list[str]] = []
    table = ""
    doomed = {cidr, *chains}
    for line in saved.splitlines():
        words = _shell_words(line)
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":") and words[0][1:] in doomed:
            flushed.append(["-t", table, "-F", words[0][1:]])
            deleted.append(["-t", table, "-X", words[0][1:]])
        elif line.startswith("-A ") and doomed & set(words):
            rules.append(["-t", table, "-D", *words[1:]])
    return rules + flushed + deleted


def _shell_words(line: str) -> list[str]:
    """Split a rule of iptables-save, whose comments are quoted."""
    return [match[1] or match[0] for match in re.findall(r'("([^"]*)"|\S+)', line)] if '"' in line else line.split()


def own_chains(saved: str, cidr: str) -> set[str]:
    """Return the netavark chains of the network with this CIDR, found by the rules that lead to or lie in them."""
    found: set[str] = set()
    for line in saved.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "-A" or cidr not in words:
            continue
        found.update(word for word in (words[1], words[-1]) if re.fullmatch(r"NETAVARK-(DN-)?[0-9A-F]{13}", word))
    return found


def mounts_below(mountinfo: str, prefixes: Iterable[str]) -> list[str]:
    """Return the mount points at or below the given paths, deepest first.

    :param mountinfo: text of /proc/self/mountinfo
    """
    wanted = tuple(prefixes)
    points = [line.split()[4].replace("\\040", " ") for line in mountinfo.splitlines() if len(line.split()) > 4]
    return sorted(
        {p for p in points if any(p == w or p.startswith(w.rstrip("/") + "/") for w in wanted)},
        key=lambda point: (-point.count("/"), point),
    )


class Podman:
    """Runs podman and looks at what it left, for one deployment.

    :param deployment: name of the deployment
    :param timeout: seconds that one command may take
    """

    def __init__(self, deployment: str, timeout: int = 120) -> None:
        self.deployment = deployment
        self.timeout = timeout
        self.network = network_name(deployment)

    def call(self, *arguments: str, check: bool = True) -> str:
        """Run podman and return its standard output.

        :raises EmbeddedError: when podman is missing, fails, or hangs
        """
        try:
            done = outside.run(
                ["podman", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=self.timeout,
                check=False,
            )
        except FileNotFoundError as problem:
            raise EmbeddedError("podman is not installed; scripts/deploy installs it") from problem
        except subprocess.TimeoutExpired as problem:
            raise EmbeddedError(f"podman {arguments[0]} did not end within {self.timeout} s") from problem
        if check and done.returncode:
            raise EmbeddedError(f"podman {' '.join(arguments[:3])}: {done.stderr.strip() or done.stdout.strip()}")
        return str(done.stdout)

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return podman's view of the deployment's containers by name."""
        listed = json.loads(
            self.call("ps", "--all", "--format", "json", "--filter", f"label={LABEL}={self.deployment}") or "[]"
        )
        return {entry["Names"][0]: entry for entry in listed or []}

    def inspect(self, name: str) -> dict[str, Any] | None:
        """Return the description of a container, None when there is none."""
        text = self.call("container", "inspect", name, check=False)
        found = json.loads(text) if text.strip() else []
        return dict(found[0]) if found else None

    def observe(self, name: str) -> Observed:
        """Return what is there of a node."""
        found = self.inspect(name)
        if found is None:
            return Observed()
        state = found["State"]
        alive = (
            is_node_process(int(state.get("Pid") or 0), name) and Path(f"/proc/{state.get('ConmonPid') or 0}").is_dir()
        )
        return Observed(
            status=str(state["Status"]),
            definition=str((found["Config"].get("Labels") or {}).get(LABEL_DEFINITION, "")),
            alive=alive,
        )

    def create(self, node: Node) -> None:
        """Make and start the container of a node."""
        RUN.mkdir(mode=0o755, parents=True, exist_ok=True)
        facts = host_facts.collect("/var/lib/containers")
        limit = limits(facts["missing_capabilities"], facts["open_files_limit"], facts["processes_limit"])
        self.call(*run_arguments(node, limit, facts["cgroup_version"]))

    def remove(self, name: str, *, data: bool) -> None:
        """Remove a container whatever state it is in, and its volumes when `data`."""
        found = self.inspect(name)
        if found is not None:
            identity = str(found["Id"])
            if found["State"]["Status"] == "running" and not self.observe(name).alive:
                kill_cgroup(identity)
            try:
                # Podman gives the address free only while it still has the name space: it goes first.
                # A node that keeps its data is shut down properly, one that loses it need not be.
                self.call("rm", "--force", "--time", "0" if data else "20", name)
            except EmbeddedError:
                # Its own record disagrees with what is there: take away what it trips over, then once more.
                self._sweep(found)
                self.call("rm", "--force", "--time", "0", name)
            self._sweep(found)
        (RUN / f"{name}.pid").unlink(missing_ok=True)
        if data:
            for key in DATA:
                self.call("volume", "rm", "--force", f"{name}-{key}", check=False)

    def _sweep(self, found: dict[str, Any]) -> None:
        """Take away what is left of a container: processes, the runtime's record, mounts, name space, cgroups."""
        identity = str(found["Id"])
        kill_cgroup(identity)
        runtime = shutil.which(str(found.get("OCIRuntime") or "runc"))
        if runtime:
            subprocess.run([runtime, "delete", "--force", identity], capture_output=True, check=False, timeout=30)
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
        merged = (found.get("GraphDriver") or {}).get("Data", {}).get("MergedDir")
        sandbox = sandbox_path(found)
        places = [place for place in (merged, sandbox) if place]
        places += mount_points_naming(mounts, identity)
        for point in mounts_below(mounts, places):
            unmount(point)
        if sandbox:
            Path(sandbox).unlink(missing_ok=True)
        remove_cgroups(identity)

    def network_cidr(self) -> str:
        """Return the CIDR of the deployment's network, empty when there is none."""
        text = self.call("network", "inspect", self.network, check=False)
        found = json.loads(text) if text.strip() else []
        return str(found[0]["subnets"][0]["subnet"]) if found else ""

    def network_interface(self) -> str:
        """Return the name of the network's bridge, empty when there is no network."""
        text = self.call("network", "inspect", self.network, check=False)
        found = json.loads(text) if text.strip() else []
        return str(found[0].get("network_interface", "")) if found else ""

    def volumes(self) -> list[str]:
        """Return the volumes of the deployment's nodes."""
        names = self.call("volume", "ls", "--quiet").split()
        return [name for name in names if belongs(name, self.deployment)]

    def image_exists(self, image: str) -> bool:
        """Tell whether the image is in podman's store."""
        return image in self.images()

    def images(self) -> list[str]:
        """Return the names of all node images."""
        return self.call(
            "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=localhost/kaap/node"
        ).split()

    def remove_network(self, cidr: str, interface: str) -> None:
        """Remove the network, its bridge and its rules also where podman forgot them."""
        self.call("network", "rm", "--force", self.network, check=False)
        if interface and Path("/sys/class/net", interface).is_dir():
            subprocess.run(["ip", "link", "delete", interface], capture_output=True, check=False, timeout=30)
        if cidr:
            saved = _output(["iptables-save"])
            for rule in stale_rules(saved, sorted(own_chains(saved, cidr)), cidr):
                _output(["iptables", "--wait", *rule])


def belongs(name: str, deployment: str) -> bool:
    """Tell whether a volume's name is one that a node of the deployment would have."""
    pattern = rf"{re.escape(network_name(deployment))}-.+-({'|'.join(DATA)})"
    return re.fullmatch(pattern, name) is not None


def lost_namespaces(containers: Path, mountinfo: str) -> dict[str, str]:
    """Return the network name spaces that nodes should have and that are not there any more, by container.

    A reboot takes them. Where /run survives it, podman still believes in them, and cannot even list its containers.

    :param containers: podman's directory of containers
    :param mountinfo: text of /proc/self/mountinfo
    """
    lost: dict[str, str] = {}
    try:
        listed = json.loads((containers / "containers.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return lost
    for entry in listed:
        name = next((name for name in entry.get("names") or [] if name.startswith("kaap-")), "")
        try:
            text = (containers / entry["id"] / "userdata" / "config.json").read_text(encoding="utf-8")
            spaces = json.loads(text)["linux"]["namespaces"]
        except (OSError, ValueError, KeyError):
            continue
        path = next((str(space.get("path", "")) for space in spaces if space.get("type") == "network"), "")
        if name and path.startswith("/run/netns/") and path not in mounts_below(mountinfo, [path]):
            lost[name] = path
    return lost


def mend_namespaces(containers: Path = CONTAINERS) -> list[str]:
    """Put an empty network name space where a node's was lost, so that podman can list and remove the container.

    Only then does podman also give its address free.

    :returns: names of the containers
    :raises EmbeddedError: when it cannot be made
    """
    lost = lost_namespaces(containers, Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    for name, path in lost.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
        done = subprocess.run(
            ["unshare", f"--net={path}", "true"], capture_output=True, text=True, check=False, timeout=30
        )
        if done.returncode:
            raise EmbeddedError(f"{name} lost its network and podman cannot remove it: {done.stderr.strip()}")
    return sorted(lost)


def sandbox_path(found: dict[str, Any]) -> str:
    """Return the path of a container's network name space, empty when it has none."""
    path = str((found.get("NetworkSettings") or {}).get("SandboxKey") or "")
    return path if path.startswith(("/run/netns/", "/var/run/netns/")) else ""


def is_node_process(pid: int, name: str) -> bool:
    """Tell whether the process is alive and was started as the first one of this node."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes() if pid > 0 else b""
    except OSError:
        return False
    return f"{MARK}={name}".encode() in environment.split(b"\0")


def mount_points_naming(mountinfo: str, identity: str) -> list[str]:
    """Return mount points of podman whose path names the container."""
    return [
        point for line in mountinfo.splitlines() if len(fields := line.split()) > 4 and identity in (point := fields[4])
    ]


def cgroup_directories(identity: str, root: Path = Path("/sys/fs/cgroup")) -> list[Path]:
    """Return the cgroups of a container and of its monitor in all hierarchies, deepest first."""
    # os.walk goes on where a directory vanishes meanwhile.
    paths = [Path(directory) for directory, _, _ in os.walk(root)]
    found = [path for path in paths if any("libpod-" in part and identity in part for part in path.parts)]
    return sorted(found, key=lambda path: (-len(path.parts), str(path)))


# Where the kernel keeps the largest amount of memory that a cgroup ever had, version 1 and 2.
PEAK_FILES = ("memory.max_usage_in_bytes", "memory.peak")


def memory_peaks(identity: str, root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")) -> dict[str, Any]:
    """Return how much memory a container had at most, in bytes.

    :returns: `peak_bytes` of the whole, cached files included, 0 where the kernel does not keep it; `processes`, by
        command the largest resident set of each added up; `processes_bytes`, their sum
    """
    processes: dict[str, int] = {}
    peak = 0
    seen: set[str] = set()
    for directory in cgroup_directories(identity, root):
        for name in PEAK_FILES:
            with contextlib.suppress(OSError, ValueError):
                peak = max(peak, int((directory / name).read_text(encoding="ascii")))
        with contextlib.suppress(OSError):
            for pid in (directory / "cgroup.procs").read_text(encoding="ascii").split():
                if pid in seen:
                    continue
                seen.add(pid)
                with contextlib.suppress(OSError):
                    lines = (proc / pid / "status").read_text(encoding="utf-8", errors="replace").splitlines()
                    fields = dict(line.split(":", 1) for line in lines if ":" in line)
                    size = int(fields.get("VmHWM", "0").split()[0]) * 1024
                    command = fields.get("Name", "").strip()
                    processes[command] = processes.get(command, 0) + size
    processes = dict(sorted(processes.items(), key=lambda item: -item[1]))
    return {"peak_bytes": peak, "processes": processes, "processes_bytes": sum(processes.values())}


def kill_cgroup(identity: str) -> None:
    """Kill every process that still runs in the cgroups of a container."""
    for directory in cgroup_directories(identity):
        with contextlib.suppress(OSError):
            for line in (directory / "cgroup.procs").read_text(encoding="ascii").split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(line), signal.SIGKILL)


def remove_cgroups(identity: str) -> None:
    """Remove the empty cgroups of a container; one that still holds a process stays."""
    for directory in cgroup_directories(identity):
        with contextlib.suppress(OSError):
            directory.rmdir()


def unmount(point: str) -> None:
    """Detach a mount point; one that is gone already is fine."""
    subprocess.run(["umount", "--lazy", point], capture_output=True, check=False, timeout=30)


def _output(command: list[str]) -> str:
    """Return the standard output of a command that may fail or be missing."""
    try:
        return str(outside.run(command, capture_output=True, text=True, check=False, timeout=60).stdout)
    except FileNotFoundError:
        return ""


@outside.span(outside.WAIT)
def wait_for(what: str, timeout: int, ready: Callable[[], bool], pause: float = 0.2) -> None:
    """Wait until `ready` says so.

    :param timeout: seconds
    :raises EmbeddedError: naming what did not come
    """
    end = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > end:
            raise EmbeddedError(f"waited {timeout} s for {what}")
        time.sleep(pause)


def boot_state(name: str) -> str:
    """Return what systemd in the node says about itself: starting, running, degraded, offline or nothing."""
    pid = node_pid(name)
    if not pid:
        return ""
    command = ["nsenter", "--target", str(pid), "--all", "systemctl", "is-system-running"]
    return _output(command).strip()


def node_pid(name: str) -> int:
    """Return the process id of the node's systemd, 0 when the node does not run."""
    try:
        pid = int((RUN / f"{name}.pid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
    return pid if is_node_process(pid, name) else 0


def wait_booted(name: str, timeout: int) -> None:
    """Wait until the node's systemd has started everything.

    :raises EmbeddedError: when it does not
    """
    wait_for(f"systemd in {name} to have started", timeout, lambda: boot_state(name) in BOOTED)


def read_sysctls(names: Iterable[str], root: Path = Path("/proc/sys")) -> dict[str, int]:
    """Return the kernel settings that this host has, by name."""
    paths = {name: root / name.replace(".", "/") for name in names}
    return {name: int(path.read_text(encoding="ascii")) for name, path in paths.items() if path.is_file()}


def write_sysctls(values: dict[str, int], root: Path = Path("/proc/sys")) -> None:
    """Set those kernel settings that differ."""
    for name, value in values.items():
        if read_sysctls([name], root) not in ({}, {name: value}):
            (root / name.replace(".", "/")).write_text(str(value), encoding="ascii")


def low_sysctls(values: dict[str, int], root: Path = Path("/proc/sys")) -> dict[str, int]:
    """Return those of the wanted kernel settings that are lower on this host."""
    present = read_sysctls(values, root)
    return {name: wanted for name, wanted in values.items() if present.get(name, wanted) < wanted}


def load_module(name: str) -> None:
    """Load a kernel module that the nodes, which share this kernel, need.

    :raises EmbeddedError: when it cannot be loaded
    """
    try:
        done = subprocess.run(["modprobe", name], capture_output=True, text=True, check=False, timeout=60)
        problem = done.stderr.strip() if done.returncode else ""
    except FileNotFoundError:
        problem = "modprobe is not installed"
    if problem:
        raise EmbeddedError(f"this host's kernel needs the module {name}, which cannot be loaded: {problem}")
