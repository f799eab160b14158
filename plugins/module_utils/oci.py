"""Container images assembled without a build tool: tar layers, a configuration and a manifest.

Everything is deterministic: sorted names, one time, numeric owners. Layers are plain tar files, not
gzip: a digest then depends on the content alone and not on the host's zlib, and a node spends no
processor time on unpacking what came over a local network.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache, canonical

EPOCH = 0
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class Entry:
    """One name in a layer.

    Attributes:
        kind: ``file``, ``directory`` or ``link`` (symbolic).
        mode: permission bits.
        source: file whose content it has, or None.
        content: its content when there is no source.
        target: of a link.
        user: numeric owner, also used as group.
    """

    kind: str
    mode: int = 0o644
    source: Path | None = None
    content: bytes = b""
    target: str = ""
    user: int = 0


@dataclass
class Layer:
    """Names and entries of one layer; parents are added by themselves.

    Attributes:
        entries: absolute path in the image to entry.
    """

    entries: dict[str, Entry] = field(default_factory=dict)

    def file(self, path: str, source: Path, *, mode: int = 0o644, user: int = 0) -> None:
        """Adds the content of SOURCE as PATH."""
        self.entries[path] = Entry("file", mode=mode, source=source, user=user)

    def text(self, path: str, content: str, *, mode: int = 0o644) -> None:
        """Adds a text as PATH."""
        self.entries[path] = Entry("file", mode=mode, content=content.encode())

    def directory(self, path: str, *, mode: int = 0o755, user: int = 0) -> None:
        """Adds an empty directory."""
        self.entries[path] = Entry("directory", mode=mode, user=user)

    def link(self, path: str, target: str) -> None:
        """Adds a symbolic link."""
        self.entries[path] = Entry("link", mode=0o777, target=target)

    def tree(self, path: str, source: Path, *, user: int = 0) -> None:
        """Adds a file or a whole directory, with the execute bits that it has."""
        if source.is_file():
            self.file(path, source, mode=_mode(source), user=user)
            return
        for item in sorted(source.rglob("*")):
            if "__pycache__" in item.parts:
                continue
            name = str(PurePosixPath(path) / item.relative_to(source).as_posix())
            if item.is_symlink():
                self.link(name, str(item.readlink()))
            elif item.is_dir():
                self.directory(name, user=user)
            else:
                self.file(name, item, mode=_mode(item), user=user)

    def write(self, stream: IO[bytes]) -> None:
        """Writes the layer as a tar file, the same bytes for the same entries."""
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, entry in _with_parents(self.entries):
                info = tarfile.TarInfo(name.strip("/"))
                info.mtime, info.mode, info.uid, info.gid = EPOCH, entry.mode, entry.user, entry.user
                if entry.kind == "directory":
                    info.type = tarfile.DIRTYPE
                    tar.addfile(info)
                elif entry.kind == "link":
                    info.type, info.linkname = tarfile.SYMTYPE, entry.target
                    tar.addfile(info)
                elif entry.source is None:
                    info.size = len(entry.content)
                    tar.addfile(info, io.BytesIO(entry.content))
                else:
                    info.size = entry.source.stat().st_size
                    with entry.source.open("rb") as content:
                        tar.addfile(info, content)


def _mode(path: Path) -> int:
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def _with_parents(entries: Mapping[str, Entry]) -> Iterator[tuple[str, Entry]]:
    """Entries in path order, each directory above them once."""
    everything = dict(entries)
    for name in entries:
        for parent in PurePosixPath(name).parents:
            if str(parent) != "/":
                everything.setdefault(str(parent), Entry("directory", mode=0o755))
    yield from sorted(everything.items())


@dataclass(frozen=True)
class Blob:
    """A blob in the cache: SHA-256 in hexadecimal and size in bytes."""

    sha256: str
    size: int

    def descriptor(self, media_type: str) -> dict[str, Any]:
        """How a manifest names it."""
        return {"mediaType": media_type, "digest": f"sha256:{self.sha256}", "size": self.size}


def store_layer(cache: Cache, layer: Layer) -> Blob:
    """Writes a layer into the cache."""
    path = cache.scratch_name()
    with path.open("wb") as stream:
        layer.write(stream)
    return Blob(*cache.add(path, move=True))


def repack(
    cache: Cache,
    source: Path,
    *,
    drop: Iterable[str] = (),
    keep: str = "/copyright",
    latest: int = EPOCH,
    below: Path | None = None,
) -> Blob:
    """A tar file of a root file system made deterministic, in the cache.

    Args:
        cache: where it goes.
        source: tar file as mmdebstrap writes it.
        drop: absolute paths left out, with everything below; a trailing ``/*`` keeps the directory itself.
        keep: files with this ending stay all the same (licence texts).
        latest: later time stamps, in seconds, are cut to this one.
        below: a tar file made by this function; what it has identically is left out, so that the
            result is a layer on top of it.

    Returns:
        The new tar file's blob.

    Raises:
        ValueError: when BELOW has a name that SOURCE lacks: a layer on top could not be right.
    """
    drop = tuple(drop)
    lower = _fingerprints(below) if below else {}
    path = cache.scratch_name()
    with tarfile.open(source) as tar, path.open("wb") as stream:
        members = sorted((m for m in tar.getmembers() if not _dropped(_name(m), drop, keep)), key=_name)
        missing = sorted(set(lower) - {_name(m) for m in members})
        if missing:
            raise ValueError(f"the lower layer has {', '.join(missing[:5])}, which the upper one lacks")
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as out:
            changed = {_name(m) for m in members if lower.get(_name(m)) != _fingerprint(tar, m)}
            for member in members:
                if _name(member) not in changed or _name(member) == "/":
                    continue
                _copy(tar, member, out, latest)
    return Blob(*cache.add(path, move=True))


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, out: tarfile.TarFile, latest: int) -> None:
    info = tarfile.TarInfo(_name(member).strip("/"))
    info.type, info.mode, info.uid, info.gid = member.type, member.mode, member.uid, member.gid
    info.linkname, info.devmajor, info.devminor = member.linkname, member.devmajor, member.devminor
    info.mtime = int(min(member.mtime, latest))
    if member.islnk():
        # A hard link may point at a name that sorts later: the content is written instead.
        info.type, info.linkname = tarfile.REGTYPE, ""
        member = tar.getmember(member.linkname)
    content = tar.extractfile(member) if member.isreg() else None
    info.size = member.size if content else 0
    xattrs = {k: v for k, v in member.pax_headers.items() if k.startswith("SCHILY.xattr.")}
    info.pax_headers = xattrs
    out.addfile(info, content)


def _name(member: tarfile.TarInfo) -> str:
    return "/" + member.name.removeprefix(".").strip("/")


def _dropped(name: str, drop: tuple[str, ...], keep: str) -> bool:
    if name.endswith(keep):
        return False
    for pattern in drop:
        if pattern.endswith("/*"):
            if name.startswith(pattern[:-1]):
                return True
        elif name == pattern or name.startswith(pattern + "/"):
            return True
    return False


def _fingerprint(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[Any, ...]:
    if member.islnk():
        original = tar.getmember(member.linkname)
        return (tarfile.REGTYPE, member.mode, member.uid, member.gid, _hash(tar, original))
    content = _hash(tar, member) if member.isreg() else member.linkname
    return (member.type, member.mode, member.uid, member.gid, content)


def _hash(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = tar.extractfile(member)
    return hashlib.file_digest(stream, "sha256").hexdigest() if stream else ""  # type: ignore[arg-type]


def _fingerprints(path: Path) -> dict[str, tuple[Any, ...]]:
    with tarfile.open(path) as tar:
        return {_name(m): _fingerprint(tar, m) for m in tar.getmembers()}


@dataclass(frozen=True)
class Image:
    """An image in the cache.

    Attributes:
        reference: upstream name with tag.
        manifest: its manifest's blob; the digest that nodes see.
        config: configuration blob.
        layers: layer blobs, lowest first.
    """

    reference: str
    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]


def labels(*, title: str, version: str, source: str, licence: str, description: str) -> dict[str, str]:
    """OCI annotations, also used as labels."""
    prefix = "org.opencontainers.image"
    return {
        f"{prefix}.title": title,
        f"{prefix}.version": version,
        f"{prefix}.source": source,
        f"{prefix}.licenses": licence,
        f"{prefix}.description": description,
    }


def assemble(
    cache: Cache,
    reference: str,
    layers: Iterable[Blob],
    *,
    user: int,
    annotations: Mapping[str, str],
    entrypoint: Iterable[str] = (),
    command: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
    workdir: str = "/",
) -> Image:
    """Configuration and manifest of an image whose layers are in the cache.

    Args:
        cache: where the blobs are and go.
        reference: upstream name with tag.
        layers: uncompressed tar layers, lowest first.
        user: numeric user (kubelet cannot prove that a named one is not root).
        annotations: of the manifest, and labels of the configuration.
        entrypoint: program and fixed arguments.
        command: default arguments.
        env: environment, added to PATH.
        workdir: working directory.
    """
    layers = tuple(layers)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {"PATH": path, **(env or {})}
    settings: dict[str, Any] = {
        "User": str(user),
        "Env": [f"{k}={v}" for k, v in sorted(environment.items())],
        "WorkingDir": workdir,
        "Labels": dict(sorted(annotations.items())),
    }
    if entry := list(entrypoint):
        settings["Entrypoint"] = entry
    if arguments := list(command):
        settings["Cmd"] = arguments
    config = {
        "created": "1970-01-01T00:00:00Z",
        "architecture": "amd64",
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{b.sha256}" for b in layers]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "KaaP pack"} for _ in layers],
    }
    config_blob = Blob(*cache.add_bytes(canonical(config)))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config_blob.descriptor(CONFIG),
        "layers": [b.descriptor(LAYER) for b in layers],
        "annotations": dict(sorted(annotations.items())),
    }
    return Image(reference, Blob(*cache.add_bytes(canonical(manifest))), config_blob, layers)


def registry_files(image: Image) -> tuple[dict[str, str], dict[str, str]]:
    """Where an image lies in the file system store of a CNCF distribution registry.

    Returns:
        Path to SHA-256 of the blob linked there, and path to text of the small link files;
        paths are relative to the store's root directory.
    """
    name, _, tag = image.reference.rpartition(":")
    base = "docker/registry/v2"
    repository = f"{base}/repositories/{name}"
    blobs, links = {}, {}
    for blob in (image.manifest, image.config, *image.layers):
        blobs[f"{base}/blobs/sha256/{blob.sha256[:2]}/{blob.sha256}/data"] = blob.sha256
    for blob in (image.config, *image.layers):
        links[f"{repository}/_layers/sha256/{blob.sha256}/link"] = f"sha256:{blob.sha256}"
    digest = image.manifest.sha256
    for place in (
        f"_manifests/revisions/sha256/{digest}",
        f"_manifests/tags/{tag}/current",
        f"_manifests/tags/{tag}/index/sha256/{digest}",
    ):
        links[f"{repository}/{place}/link"] = f"sha256:{digest}"
    return blobs, links
