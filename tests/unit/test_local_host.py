"""What preflight knows of the machine."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import local_host

ROUTES = [
    {"dst": "default", "dev": "eth0", "gateway": "10.0.2.2"},
    {"dst": "10.0.2.0/24", "dev": "eth0"},
    {"dst": "10.90.1.0/24", "dev": "podman1"},
    {"dst": "10.244.0.0/24", "dev": "podman1"},
    {"dst": "192.168.7.7", "dev": "tun0"},
]
PODMAN = [
    {"name": "kaap-mine", "network_interface": "podman1", "subnets": [{"subnet": "10.90.1.0/24"}]},
    {"name": "other", "network_interface": "podman2", "subnets": [{"subnet": "10.91.0.0/16"}]},
]


def test_networks_in_use_are_those_of_others() -> None:
    """Neither the default route nor what belongs to the deployment counts."""
    assert local_host.used_networks(ROUTES, PODMAN, "kaap-mine") == [
        ("10.91.0.0/16", "podman network other"),
        ("10.0.2.0/24", "the route through eth0"),
        ("192.168.7.7", "the route through tun0"),
    ]
    assert ("10.90.1.0/24", "podman network kaap-mine") in local_host.used_networks(ROUTES, PODMAN, "kaap-other")


def test_a_listener_makes_a_port_busy_and_is_named() -> None:
    """Unless the deployment's own containers publish it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        busy = local_host.busy_ports("127.0.0.1", [port], set())
        assert list(busy) == [port] and "(process " in busy[port]
        assert local_host.busy_ports("127.0.0.1", [port], {port}) == {}
    assert local_host.busy_ports("127.0.0.1", [port], set()) == {}


def test_published_ports_come_as_single_ones_and_ranges() -> None:
    """Podman joins neighbours."""
    listed: list[dict[str, Any]] = [
        {"Ports": [{"host_port": 18000, "range": 1}, {"host_port": 18001, "range": 2}]},
        {"Ports": None},
    ]
    assert local_host.published(listed) == {18000, 18001, 18002}


def test_listening_sockets_of_the_kernel() -> None:
    """Connected ones do not listen."""
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:4650 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n"
        "   1: 0100007F:4651 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n"
    )
    assert local_host.listeners(table) == {18000: "4711"}


def test_directories_on_one_disk_need_room_together() -> None:
    """Each alone may fit where both do not."""
    needed = {"/cache": 5, "/var/lib/containers": 7, "/data": 1}
    devices = {"/cache": 1, "/var/lib/containers": 1, "/data": 2}
    assert local_host.add_up(needed, devices) == {"/cache": 12, "/data": 1}


def test_a_directory_that_is_not_there_counts_as_its_parent(tmp_path: Path) -> None:
    """The cache may not have been made yet."""
    free = local_host.free_disk([str(tmp_path), str(tmp_path / "a" / "b")])
    assert free[str(tmp_path)] > 0 and len(free) == 2


def test_the_go_registry_is_asked_only_with_a_go_tool(tmp_path: Path) -> None:
    """It is a wheel: pip's registry has to be reached first."""
    assert set(local_host.probes(["pip"], tmp_path / "go", tmp_path)) == {"pip", "apt"}
    (tmp_path / "go").touch()
    assert set(local_host.probes(["pip"], tmp_path / "go", tmp_path)) == {"pip", "apt", "go"}


PIP_REFUSED = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('Connection refused')': /simple/six/
ERROR: Could not find a version that satisfies the requirement six (from versions: none)
ERROR: No matching distribution found for six
"""
APT_LATE = """\
E: Failed to fetch http://mirror/InRelease  Connection timed out [IP: 192.0.2.1 80]
E: Some index files failed to download.
"""
PIP_SAID_NO = "ERROR: HTTP error 403 while getting /simple/six/\nERROR: No matching distribution found for six\n"


def test_who_came_late_who_never_connected_and_who_said_no() -> None:
    """Three faults with three fixes; the line that tells is quoted, not the last one."""
    fault, fix = local_host.explain("apt", APT_LATE)
    assert fault.startswith("timed out (load ") and "Connection timed out" in fault and "less busy" in fix
    fault, fix = local_host.explain("pip", PIP_REFUSED)
    assert fault.startswith("cannot be reached: WARNING: Retrying") and "check the network" in fix
    fault, fix = local_host.explain("pip", PIP_SAID_NO)
    assert fault == "said no: ERROR: No matching distribution found for six" and "to which users" in fix


def test_a_probe_that_does_not_end_says_how_long_it_had(tmp_path: Path) -> None:
    """It is ended, and called late."""
    answer = local_host.ask("go", ["sleep", "20"], tmp_path, {"PATH": "/usr/bin:/bin"}, 0.2)
    assert answer and answer[0].startswith("timed out (load ") and answer[0].endswith("no answer within 0 s")
    assert local_host.ask("go", ["true"], tmp_path, {"PATH": "/usr/bin:/bin"}, 20) is None
    answer = local_host.ask("go", ["no-such-program"], tmp_path, {"PATH": "/usr/bin:/bin"}, 20)
    assert answer == ("cannot be asked: no-such-program is not installed", "install no-such-program")


def test_probes_have_time_under_load_and_try_a_lost_connection_once_more(tmp_path: Path) -> None:
    """What a probe may take in all leaves room for both tries of its connection."""
    (tmp_path / "go").touch()
    wanted = local_host.probes(["pip"], tmp_path / "go", tmp_path)
    assert wanted["pip"][wanted["pip"].index("--retries") + 1] == "1"
    assert "Acquire::Retries=1" in wanted["apt"]
    assert 2 * local_host.CONNECTION_SECONDS < local_host.PROBE_SECONDS
    seconds = str(local_host.CONNECTION_SECONDS)
    assert wanted["pip"][wanted["pip"].index("--timeout") + 1] == seconds
    assert {f"Acquire::http::Timeout={seconds}", f"Acquire::https::Timeout={seconds}"} < set(wanted["apt"])


def test_the_reason_of_a_failure_is_its_last_error() -> None:
    """Warnings and progress are no reasons."""
    output = "Get:1 x\nE: Failed to fetch y\nE: Some index files failed to download.\nReading\n"
    assert local_host.last_words(output) == "E: Some index files failed to download."
    assert local_host.last_words("") == "it failed without a word"
