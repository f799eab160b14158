"""Go, pip and apt: what KaaP hands to them, takes from the host, and says when they fail."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import debian, gobuild, package_source, wheels
from ansible_collections.infn.kaap.plugins.module_utils.registry_clients import CommandError, advice, run

ROOT = Path(__file__).resolve().parents[2]
DEB822 = """Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/other
Suites: stable
Components: main

Types: deb
Enabled: no
URIs: http://mirror.example/off
Suites: bookworm
Components: main
"""


def test_sources_of_the_host_are_taken_for_the_suite_only() -> None:
    assert debian.deb822(DEB822, "bookworm") == (
        "Types: deb\n"
        "URIs: http://mirror.example/debian\n"
        "Suites: bookworm bookworm-updates\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )
    assert debian.deb822(DEB822, "trixie") == ""


def test_one_line_sources_are_taken_for_the_suite_only() -> None:
    text = (
        "# deb http://m.example/debian bookworm main\n"
        "deb [signed-by=/k.gpg] http://m.example/debian bookworm main\n"
        "deb-src http://m.example/debian bookworm main\n"
        "deb http://m.example/security bookworm-security main\n"
        "deb http://m.example/debian sid main\n"
    )
    assert debian.one_line(text, "bookworm").splitlines() == [
        "deb [signed-by=/k.gpg] http://m.example/debian bookworm main",
        "deb http://m.example/security bookworm-security main",
    ]


def test_host_without_the_suite_gives_no_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/ubuntu.sources").write_text(DEB822.replace("bookworm", "noble"))
    (tmp_path / "sources.list.d/off.sources.disabled").write_text(DEB822)
    assert debian.host_sources("bookworm", tmp_path, tmp_path) == []
    (tmp_path / "sources.list").write_text("deb http://m.example/debian bookworm main\n")
    (found,) = debian.host_sources("bookworm", tmp_path / "sources.list.d", tmp_path)
    assert found.read_text() == "deb http://m.example/debian bookworm main\n"


def test_packages_are_not_called_unknown_where_apt_has_no_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "host_sources", lambda suite, scratch: [tmp_path / "x.sources"])
    monkeypatch.setattr(debian, "run", lambda command: "systemd\nbash\n")
    assert debian.unknown_packages(["bash", "nope"], "bookworm", tmp_path, tmp_path) == []
    (tmp_path / "mirror_dists_bookworm_main_binary-amd64_Packages.lz4").touch()
    assert debian.unknown_packages(["bash", "nope"], "bookworm", tmp_path, tmp_path) == ["nope"]


def test_proxy_certificates_and_credentials_go_into_the_bootstrap() -> None:
    dump = (
        'APT::Install-Recommends "1";\nAcquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::https::CAInfo "/etc/ssl/own.pem";\nAcquire::Retries "3";\nAcquire::GzipIndexes "true";\n'
        'Acquire::http "";\nDPkg::Post-Invoke:: "rm";\n'
    )
    assert debian.apt_settings(dump).splitlines() == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::https::CAInfo "/etc/ssl/own.pem";',
        'Acquire::Retries "3";',
        'Dir::Etc::netrc "/etc/apt/auth.conf";',
        'Dir::Etc::netrcparts "/etc/apt/auth.conf.d";',
    ]


def test_installed_packages_are_recorded_with_version_and_hash() -> None:
    status = (
        "Package: b\nStatus: install ok installed\nVersion: 2\nDescription: x\n more\n\n"
        "Package: a\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    available = "Package: b\nVersion: 2\nSHA256: abc\n\nPackage: b\nVersion: 3\nSHA256: def\n"
    assert debian.installed(status, available) == [debian.Package("b", "2", "abc")]


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
        ("sigs.k8s.io/kustomize/kustomize/v5", "kustomize"),
        ("github.com/coredns/coredns", "coredns"),
        ("./cmd/x", "x"),
        (".", ""),
    ],
)
def test_names_that_go_gives_to_commands(package: str, name: str) -> None:
    assert gobuild.command_name(package) == name


def test_binaries_with_other_linker_settings_are_built_apart() -> None:
    one = {"name": "a", "package": "x/a", "ldflags": {"v": "1"}}
    two = {"name": "b", "package": "x/b", "ldflags": {"v": "1"}}
    three = {"name": "c", "package": "x/c"}
    assert gobuild.groups([one, two, three]) == [[one, two], [three]]


def test_go_builds_do_not_depend_on_the_environment(tmp_path: Path) -> None:
    env = gobuild.Go(Path("go"), tmp_path).env()
    assert env["GOTOOLCHAIN"] == "local"
    assert env["CGO_ENABLED"] == "0"
    assert "-mod=readonly" in env["GOFLAGS"]
    assert not {"GOPROXY", "GONOSUMDB", "GOSUMDB"} & set(env), "the registry is the host's choice"


def test_module_paths_are_escaped_as_in_the_module_cache() -> None:
    assert gobuild._escape("github.com/Azure/go@v1") == "github.com/!azure/go@v1"


def wheel(path: Path, files: dict[str, bytes]) -> Path:
    """A wheel with these members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_wheels_are_unpacked_without_a_trace_of_the_host(tmp_path: Path) -> None:
    made = wheel(
        tmp_path / "p-1-py3-none-any.whl",
        {
            "p/__init__.py": b"",
            "p/tests/t.py": b"",
            "p-1.data/scripts/tool": b"#!python\nprint()\n",
            "p-1.data/data/share/x": b"x",
            "p-1.data/headers/p.h": b"x",
            "p-1.dist-info/entry_points.txt": b"[console_scripts]\nrun = p.main:cli.go [extra]\n",
        },
    )
    target = tmp_path / "t"
    wheels.install([made], target, ["*/tests/*"])
    found = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    assert found == {"p/__init__.py", "bin/tool", "bin/run", "share/x", "p-1.dist-info/entry_points.txt"}
    assert (target / "bin/tool").read_text() == "#!/usr/bin/python3\nprint()\n"
    run_script = (target / "bin/run").read_text()
    assert run_script.startswith("#!/usr/bin/python3\n")
    assert "from p.main import cli" in run_script
    assert "sys.exit(cli.go())" in run_script
    assert (target / "bin/run").stat().st_mode & 0o111


def test_wheel_that_leaves_its_directory_is_refused(tmp_path: Path) -> None:
    made = wheel(tmp_path / "p-1-py3-none-any.whl", {"../evil": b""})
    with pytest.raises(ValueError, match="leaves its directory"):
        wheels.install([made], tmp_path / "t")


@pytest.mark.parametrize(
    ("client", "output", "named"),
    [
        ("go", "dial tcp 10.0.0.1:443: connect: connection refused", "GOPROXY"),
        ("go", "tls: failed to verify certificate: x509: certificate signed by unknown authority", "GOPROXY"),
        ("pip", "Failed to establish a new connection: [Errno 111]", "PIP_INDEX_URL"),
        ("apt", "W: Temporary failure resolving 'mirror.example'", "/etc/apt/sources.list.d"),
    ],
)
def test_unreachable_registry_names_the_configuration_to_check(client: str, output: str, named: str) -> None:
    assert named in advice(client, output)


def test_registry_that_says_no_is_not_called_unreachable() -> None:
    assert advice("go", "module example.org/x: not found: 404 Not Found") == ""


def test_failed_command_tells_status_and_last_lines() -> None:
    with pytest.raises(CommandError, match=r"sh failed with exit status 3\. \nlast words"):
        run(["sh", "-c", "echo last words; exit 3"])
    with pytest.raises(CommandError, match="nosuchcommand"):
        run(["nosuchcommand"])
    with pytest.raises(CommandError, match="took longer than 0 s"):
        run(["sleep", "5"], timeout=0.1)


@pytest.mark.parametrize(
    ("module", "page"),
    [
        ("github.com/kubeflow/trainer/v2", "https://github.com/kubeflow/trainer"),
        ("k8s.io/kubernetes", "https://k8s.io/kubernetes"),
        ("sigs.k8s.io/kustomize/kustomize/v5", "https://sigs.k8s.io/kustomize/kustomize"),
        ("local", ""),
    ],
)
def test_page_of_a_modules_source(module: str, page: str) -> None:
    assert package_source.repository(module) == page


CHILD = """
import os, subprocess, sys, time
from ansible_collections.infn.kaap.plugins.module_utils import registry_clients
if os.fork() == 0:
    registry_clients.die_with_parent()
    print("ready", flush=True)
    registry_clients.run([*{prefix!r}, "sh", "-c", "echo started > {pid}; exec sleep {seconds}"])
else:
    time.sleep(60)
"""


@pytest.mark.parametrize("prefix", [(), debian.ALONE])
def test_builds_end_with_a_killed_run(tmp_path: Path, prefix: tuple[str, ...]) -> None:
    if prefix and os.geteuid() != 0:
        pytest.skip("not run: namespaces need root")
    mark, seconds = tmp_path / "mark", f"60.{os.getpid()}{len(prefix)}"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    text = CHILD.format(pid=mark, prefix=prefix, seconds=seconds)
    victim = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, env=env)
    assert victim.stdout is not None
    assert victim.stdout.readline() == b"ready\n"
    until(lambda: mark.is_file() and bool(sleeping(seconds)), "the build started")
    victim.kill()
    victim.wait()
    until(lambda: not sleeping(seconds), "the build ended")


def sleeping(seconds: str) -> list[Path]:
    """Processes that sleep for just so long."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if process.read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(process)
    return found


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"waited 10 s and never saw that {what}"
