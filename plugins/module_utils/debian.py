"""Debian root file systems by mmdebstrap, from the sources that the host's own apt is configured with.

Sources, credentials, proxy and certificates come from the host; none of them stays in the result.
"""

from __future__ import annotations

import re
import shlex
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.infn.kaap.plugins.module_utils.registry_clients import run

# Time stamps later than this are cut to it, so that the day of packing does not change a digest.
EPOCH = 1767225600
# What the bootstrap leaves behind and what a container never reads.
DROP = (
    "/dev/*", "/proc/*", "/sys/*", "/tmp/*", "/run/*",  # noqa: S108  # inside the image
    "/etc/apt/sources.list", "/etc/apt/sources.list.d/*", "/etc/apt/auth.conf", "/etc/apt/auth.conf.d/*",
    "/etc/apt/apt.conf.d/99mmdebstrap", "/etc/dpkg/dpkg.cfg.d/99mmdebstrap", "/etc/resolv.conf", "/etc/hostname",
    "/var/lib/apt/lists/*", "/var/cache/*", "/var/log/*", "/var/lib/dpkg/status-old", "/var/lib/dpkg/available",
    "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*", "/usr/share/doc/*",
    "/usr/share/bug/*", "/usr/share/doc-base/*",
)  # fmt: skip
# Bytecode that says nothing about times: the same bytes every day, and valid whatever happens to time stamps.
PYTHON_HOOK = (
    'find "$1"/usr/lib/python3* -name __pycache__ -prune -exec rm -r {} + && '
    'chroot "$1" python3 -m compileall -q --invalidation-mode unchecked-hash /usr/lib/python3.11 /usr/lib/python3'
)
# In namespaces of its own: when the run is killed, all its processes end and its mounts go with them.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
APT_SETTINGS = re.compile(r"^Acquire::(http|https|ftp|tor|Retries|Check-Valid-Until|Check-Date|Force|Languages)")


@dataclass(frozen=True)
class Package:
    """One installed Debian package."""

    name: str
    version: str
    sha256: str


def deb822(text: str, suite: str) -> str:
    """The paragraphs of a .sources file that serve SUITE, its updates and its security updates."""
    kept = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", "\n".join(lines), re.MULTILINE))
        suites = [s for s in fields.get("Suites", "").split() if _serves(s, suite)]
        if not suites or "deb" not in fields.get("Types", "").split() or fields.get("Enabled", "yes") == "no":
            continue
        lines = [f"Suites: {' '.join(suites)}" if line.startswith("Suites:") else line for line in lines]
        lines = ["Types: deb" if line.startswith("Types:") else line for line in lines]
        kept.append("\n".join(line for line in lines if line.strip()))
    return "\n\n".join(kept) + "\n" if kept else ""


def one_line(text: str, suite: str) -> str:
    """The lines of a sources.list that serve SUITE, its updates and its security updates."""
    kept = []
    for line in text.splitlines():
        match = re.match(r"^\s*deb\s+(\[[^]]*\]\s+)?(\S+)\s+(\S+)", line)
        if match and _serves(match.group(3), suite):
            kept.append(line.strip())
    return "\n".join(kept) + "\n" if kept else ""


def _serves(name: str, suite: str) -> bool:
    return name.strip("/") in {suite, f"{suite}-updates", f"{suite}-security", f"{suite}/updates"}


def host_sources(suite: str, scratch: Path, etc: Path = Path("/etc/apt")) -> list[Path]:
    """Files with this host's apt sources for SUITE; empty on a host of another distribution.

    Args:
        suite: such as ``bookworm``.
        scratch: where the files are written.
        etc: apt's configuration directory.
    """
    found = []
    inputs = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for i, path in enumerate(inputs):
        if not path.is_file() or path.suffix not in {".list", ".sources"}:
            continue
        select = deb822 if path.suffix == ".sources" else one_line
        if text := select(path.read_text(encoding="utf-8", errors="replace"), suite):
            target = scratch / f"{i}{path.suffix}"
            target.write_text(text, encoding="utf-8")
            found.append(target)
    return found


def apt_settings(dump: str) -> str:
    """From `apt-config dump`: what concerns reaching a mirror (proxy, certificates, retries), as an apt.conf."""
    kept = [line for line in dump.splitlines() if APT_SETTINGS.match(line) and not line.endswith(' "";')]
    kept += ['Dir::Etc::netrc "/etc/apt/auth.conf";', 'Dir::Etc::netrcparts "/etc/apt/auth.conf.d";']
    return "\n".join(kept) + "\n"


def bootstrap(suite: str, variant: str, packages: Sequence[str], target: Path, scratch: Path) -> list[Package]:
    """Makes a root file system as a tar file.

    Args:
        suite: Debian release.
        variant: mmdebstrap's variant: ``apt`` or ``essential``.
        packages: added to the variant's.
        target: tar file to write.
        scratch: directory for helper files.

    Returns:
        The installed packages.

    Raises:
        CommandError: when mmdebstrap fails.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    settings = scratch / "apt.conf"
    settings.write_text(apt_settings(run(["apt-config", "dump"])), encoding="utf-8")
    available = scratch / "available"
    hooks = [f"--customize-hook={hook}" for hook in (PYTHON_HOOK,)] if "python3" in packages else []
    hook = f'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-cache dumpavail > {shlex.quote(str(available))}'
    run(
        [
            *ALONE, "mmdebstrap", "--quiet", "--mode=root", f"--variant={variant}", "--architectures=amd64",
            "--format=tar",
            # A merged /usr from the start: the package that merges it later brings all of Perl.
            "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", f"--include={','.join(['usr-is-merged', *packages])}",
            # Nothing here needs to survive a power cut half-way.
            "--dpkgopt=force-unsafe-io", f"--aptopt={settings}", f"--customize-hook={hook}",
            '--aptopt=Acquire::Languages "none"', *hooks, suite, target, *host_sources(suite, scratch),
        ],
        client="apt",
        env={"SOURCE_DATE_EPOCH": str(EPOCH), "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "TMPDIR": str(scratch)},
    )  # fmt: skip
    with tarfile.open(target) as tar:
        stream = tar.extractfile("./var/lib/dpkg/status")
        status = stream.read().decode() if stream else ""
    return installed(status, available.read_text(encoding="utf-8"))


def paragraphs(text: str) -> Iterable[dict[str, str]]:
    """Paragraphs of a Debian control file; continuation lines are left out."""
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+):[ \t]*(.*)$", paragraph, re.MULTILINE))
        if fields:
            yield fields


def installed(status: str, available: str) -> list[Package]:
    """Name, version and hash of every installed package.

    Args:
        status: dpkg's status file.
        available: what ``apt-cache dumpavail`` printed.
    """
    hashes = {(p.get("Package"), p.get("Version")): p.get("SHA256", "") for p in paragraphs(available)}
    found = []
    for item in paragraphs(status):
        if item.get("Status", "").endswith(" installed"):
            name, version = item["Package"], item["Version"]
            found.append(Package(name, version, hashes.get((name, version), "")))
    return sorted(found, key=lambda p: p.name)


def unknown_packages(
    packages: Iterable[str], suite: str, scratch: Path, lists: Path = Path("/var/lib/apt/lists")
) -> list[str]:
    """Packages that the host's apt does not know, without downloading any.

    On a host of another distribution apt knows another archive, and without its lists it knows none: then nothing is
    said before mmdebstrap asks.
    """
    if not host_sources(suite, scratch) or not any(lists.glob("*_Packages*")):
        return []
    listed = set(run(["apt-cache", "pkgnames"]).split())
    return sorted(set(packages) - listed)
