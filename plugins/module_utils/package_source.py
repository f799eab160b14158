"""The source ``packages``: makes steps from the language and distribution package registries."""

from __future__ import annotations

import fnmatch
import re
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import debian, gobuild, oci, wheels
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache, Outputs
from ansible_collections.infn.kaap.plugins.module_utils.registry_clients import CommandError, advice, run
from ansible_collections.infn.kaap.plugins.module_utils.steps import SUITE, Step

Blobs = dict[str, int]
USERS = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
GROUPS = "root:x:0:\nnonroot:x:65532:\n"
STATIC_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/services", "/etc/protocols")
STATIC_TREES = ("/usr/share/zoneinfo/",)
STATIC_LICENCES = ("ca-certificates", "netbase", "tzdata")


class UnavailableError(Exception):
    """Something cannot be had from this source.

    Attributes:
        reasons: one sentence each.
    """

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


class PackageSource:
    """Makes steps from package registries.

    Args:
        root: the repository.
        cache: where results go.
        work: a directory of this pack alone, on the cache's file system.
        progress: told what takes long.
    """

    name = "packages"
    kinds = frozenset({"go", "carried", "base", "rootfs", "wheels", "image"})

    def __init__(self, root: Path, cache: Cache, work: Path, progress: Callable[[str], None]) -> None:
        self.root = root
        self.cache = cache
        self.work = work
        self.progress = progress
        self._go: gobuild.Go | CommandError | None = None
        self._mutex = threading.Lock()
        self._made = 0

    # What can be had

    def resolve(self, step: Step) -> None:
        """Downloads what a step needs from a registry, or finds out that it cannot be had.

        Raises:
            UnavailableError: with every reason.
        """
        try:
            getattr(self, f"_resolve_{step.kind}")(step)
        except CommandError as error:
            raise UnavailableError([str(error)]) from error

    def _resolve_go(self, step: Step) -> None:
        binaries = step.spec["binaries"]
        reasons = self.go.resolve(step.spec["wrapper"], [b["package"] for b in binaries], binaries[0].get("tags", []))
        if reasons:
            where = "(looked for where Go's configuration says: `go env GOPROXY`)"
            raise UnavailableError([f"{reason}. {advice('go', reason) or where}" for reason in reasons])

    def _resolve_carried(self, step: Step) -> None:
        reasons = []
        for item in step.spec["items"]:
            if "local" in item or item.get("licences"):
                continue
            place = self.go.module_directory(step.spec["wrapper"], item["module"])
            if not (place / item["path"]).exists():
                reasons.append(f"{item['as']}: the module {item['module']} has no {item['path']}")
        if reasons:
            raise UnavailableError(reasons)

    def _resolve_rootfs(self, step: Step) -> None:
        self._resolve_debian(step.spec["packages"], step.spec["suite"])

    def _resolve_base(self, step: Step) -> None:
        if not step.spec["static"]:
            self._resolve_debian(step.spec["packages"], SUITE)

    def _resolve_debian(self, names: list[str], suite: str) -> None:
        unknown = debian.unknown_packages(names, suite, self._scratch())
        if unknown:
            where = "looked in this host's apt sources"
            raise UnavailableError([f"Debian {suite} has no package {name} ({where})" for name in unknown])

    def _resolve_image(self, step: Step) -> None:
        """An image is assembled from other steps."""

    def _resolve_wheels(self, step: Step) -> None:
        self._wheels(step.spec["lock"])

    def _wheels(self, item: Mapping[str, Any]) -> list[Path]:
        """The wheels of a lock file, downloaded once per pack."""
        target = self.work / "wheels" / item["requirements"].replace("/", "_")
        found = sorted(target.glob("*.whl"))
        if found and (target / "complete").exists():
            return found
        target.mkdir(parents=True, exist_ok=True)
        self.progress(f"fetching the wheels of {item['requirements']}")
        found = gobuild.fetch_wheels(self.root / item["requirements"], target, item["python"])
        (target / "complete").touch()
        return found

    @property
    def go(self) -> gobuild.Go:
        """The Go toolchain, fetched at first use."""
        with self._mutex:
            if self._go is None:
                try:
                    command = gobuild.toolchain(self.cache, self.root, self.progress)
                    self._go = gobuild.Go(command, self.cache.root / "go")
                except CommandError as error:
                    # Every step would wait for the same failure.
                    self._go = CommandError(f"the Go toolchain: {error}", error.output)
            if isinstance(self._go, CommandError):
                raise self._go
            return self._go

    def _scratch(self) -> Path:
        with self._mutex:
            self._made += 1
            path = self.work / f"s{self._made}"
        path.mkdir(parents=True)
        return path

    # Making

    def make(self, step: Step) -> tuple[Outputs, Blobs]:
        """Makes a step whose needs are in the cache.

        Returns:
            Its outputs, and every blob they name with its size.

        Raises:
            CommandError: when a command fails.
        """
        made: tuple[Outputs, Blobs] = getattr(self, f"_make_{step.kind}")(step)
        return made

    def _make_go(self, step: Step) -> tuple[Outputs, Blobs]:
        output = self._scratch()
        self.go.build(step.spec["wrapper"], output, step.spec["binaries"])
        blobs: Blobs = {}
        outputs: Outputs = {"binaries": {}, "licences": {}}
        for name in step.spec["names"]:
            licences = {}
            for path, source in self.go.licences(output / name).items():
                sha256, size = self.cache.add(source)
                blobs[sha256] = size
                licences[path] = sha256
            outputs["licences"][name] = licences
            sha256, size = self.cache.add(output / name, executable=True, move=True)
            blobs[sha256] = size
            outputs["binaries"][name] = [sha256, size]
        return outputs, blobs

    def _make_carried(self, step: Step) -> tuple[Outputs, Blobs]:
        blobs: Blobs = {}
        outputs: Outputs = {}
        for item in step.spec["items"]:
            files: dict[str, list[Any]] = {}
            for name, path in self._carried_files(step, item):
                executable = bool(path.stat().st_mode & 0o100)
                sha256, size = self.cache.add(path, executable=executable)
                blobs[sha256] = size
                files[name] = [sha256, size, executable]
            if not files and not item.get("licences"):
                raise CommandError(f"{step.title}: {item['as']} holds no file", "")
            outputs[item["as"]] = files
        return outputs, blobs

    def _carried_files(self, step: Step, item: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
        """Files of one item: name below its place in the bundle, and where it is. A single file keeps its ending."""
        if "local" in item:
            place = self.root / item["local"]
        else:
            place = self.go.module_directory(step.spec["wrapper"], item["module"]) / item["path"]
        if item.get("licences"):
            for path in sorted(place.iterdir()):
                if path.is_file() and gobuild.LICENCE_NAME.match(path.name):
                    yield path.name, path
        elif place.is_file():
            yield place.suffix, place
        else:
            patterns = item.get("include")
            for path in sorted(place.rglob("*")):
                name = path.relative_to(place).as_posix()
                if path.is_file() and (not patterns or any(fnmatch.fnmatch(name, p) for p in patterns)):
                    yield f"/{name}", path

    def _make_rootfs(self, step: Step) -> tuple[Outputs, Blobs]:
        blob, found = self._bootstrap(step.spec["suite"], step.spec["variant"], step.spec["packages"])
        return {"rootfs": [blob.sha256, blob.size], "packages": found}, {blob.sha256: blob.size}

    def _bootstrap(
        self, suite: str, variant: str, packages: list[str], below: Path | None = None
    ) -> tuple[oci.Blob, list[list[str]]]:
        scratch = self._scratch()
        tar = scratch / "root.tar"
        found = debian.bootstrap(suite, variant, packages, tar, scratch / "apt")
        blob = oci.repack(self.cache, tar, drop=debian.DROP, latest=debian.EPOCH, below=below)
        tar.unlink()
        return blob, [[p.name, p.version, p.sha256] for p in found]

    def _make_base(self, step: Step) -> tuple[Outputs, Blobs]:
        below = self.cache.get(step.needs[0]) if step.needs else None
        if step.spec["static"] and below:
            blob = oci.store_layer(self.cache, self._static(below["layers"][0][0]))
            return {"layers": [[blob.sha256, blob.size]], "packages": []}, {blob.sha256: blob.size}
        layers = list(below["layers"]) if below else []
        under = self._merged(layers) if layers else None
        blob, found = self._bootstrap(SUITE, "essential", step.spec["packages"], under)
        layers.append([blob.sha256, blob.size])
        return {"layers": layers, "packages": found}, {layer[0]: layer[1] for layer in layers}

    def _merged(self, layers: list[list[Any]]) -> Path:
        """One tar file that holds what several layers hold together (later ones win)."""
        if len(layers) == 1:
            return self.cache.blob(layers[0][0])
        target = self._scratch() / "merged.tar"
        seen: set[str] = set()
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as out:
            for sha256, _ in reversed(layers):
                with tarfile.open(self.cache.blob(sha256)) as tar:
                    for member in tar.getmembers():
                        if member.name not in seen:
                            seen.add(member.name)
                            out.addfile(member, tar.extractfile(member) if member.isreg() else None)
        return target

    def _static(self, sha256: str) -> oci.Layer:
        """What a static binary may need: certificates, names, time zones; taken from the Debian base."""
        layer = oci.Layer()
        layer.text("/etc/passwd", USERS)
        layer.text("/etc/group", GROUPS)
        layer.text("/etc/nsswitch.conf", "hosts: files dns\n")
        layer.directory("/tmp", mode=0o1777)  # noqa: S108  # the image's own
        layer.directory("/home/nonroot", mode=0o700, user=65532)
        licences = {f"/usr/share/doc/{p}/copyright": f"/licenses/debian/{p}/copyright" for p in STATIC_LICENCES}
        with tarfile.open(self.cache.blob(sha256)) as tar:
            for member in tar.getmembers():
                name = "/" + member.name
                target = licences.get(name) or name
                if not (name in STATIC_FILES or name.startswith(STATIC_TREES) or name in licences):
                    continue
                if member.issym():
                    layer.link(target, member.linkname)
                elif stream := tar.extractfile(member) if member.isreg() else None:
                    layer.entries[target] = oci.Entry("file", content=stream.read())
        missing = [name for name in STATIC_FILES[:1] if name not in layer.entries]
        if missing:
            raise CommandError(f"the Debian base has no {', '.join(missing)}", "")
        return layer

    def _make_image(self, step: Step) -> tuple[Outputs, Blobs]:
        spec, image, record = step.spec, step.spec["image"], step.spec["record"]
        base = self._get(spec["base"])
        layer = oci.Layer()
        for item in image["files"]:
            self._add(layer, item, step)
        self._licences(layer, step)
        annotations = oci.labels(
            title=record["name"],
            version=record["version"],
            source=image.get("source") or repository(spec["module"]["module"]) or record["homepage"],
            licence=image.get("licence", record["licence"]),
            description=record["summary"],
        )
        layers = [oci.Blob(*entry) for entry in base["layers"]]
        layers += [oci.Blob(*self._get(key)["layer"]) for key in spec["layers"]]
        if layer.entries:
            layers.append(oci.store_layer(self.cache, layer))
        made = oci.assemble(
            self.cache,
            f"{image['name']}:{image['tag']}",
            layers,
            user=image["user"],
            annotations=annotations,
            entrypoint=image.get("entrypoint", []),
            command=image.get("command", []),
            env=image.get("env"),
            workdir=image.get("workdir", "/"),
        )
        blobs = {b.sha256: b.size for b in (made.manifest, made.config, *made.layers)}
        outputs = {
            "manifest": [made.manifest.sha256, made.manifest.size],
            "config": [made.config.sha256, made.config.size],
            "layers": [[b.sha256, b.size] for b in made.layers],
        }
        return outputs, blobs

    def _get(self, key: str) -> Outputs:
        outputs = self.cache.get(key)
        if outputs is None:
            raise CommandError("the cache lost what was made a moment ago; is something else cleaning it?", "")
        return outputs

    def _add(self, layer: oci.Layer, item: Mapping[str, Any], step: Step) -> None:
        path, user = item["path"], item.get("user", 0)
        mode = int(item["mode"], 8) if "mode" in item else None
        if "binary" in item:
            sha256, _ = self._get(step.spec["commands"][item["binary"]])["binaries"][item["binary"]]
            layer.file(path, self.cache.blob(sha256), mode=mode or 0o755, user=user)
        elif "local" in item:
            layer.tree(path, self.root / item["local"], user=user)
        elif "module_file" in item:
            files = self._get(step.spec["files"])[f"files/{item['module_file']}"]
            for name, (sha256, _, executable) in files.items():
                target = path + name if name.startswith("/") else path
                layer.file(target, self.cache.blob(sha256), mode=0o755 if executable else 0o644, user=user)
        elif "link" in item:
            layer.link(path, item["link"])
        elif "directory" in item:
            layer.directory(path, mode=mode or 0o755, user=user)
        if mode is not None and path in layer.entries:
            layer.entries[path].mode = mode

    def _make_wheels(self, step: Step) -> tuple[Outputs, Blobs]:
        item = step.spec["file"]
        path, user = item["path"], item.get("user", 0)
        installed = self._install(step.spec["lock"])
        layer = oci.Layer()
        layer.tree(path, installed / item["from"] if "from" in item else installed, user=user)
        if "mode" in item and path in layer.entries:
            layer.entries[path].mode = int(item["mode"], 8)
        for place in sorted(installed.glob("*.dist-info")):
            for text in sorted(place.rglob("*")):
                if text.is_file() and (gobuild.LICENCE_NAME.match(text.name) or "licenses" in text.parts):
                    layer.file(f"/licenses/python/{place.stem}/{text.relative_to(place).as_posix()}", text)
        if "from" not in item:
            self._compile(layer, path, self._get(step.spec["base"])["layers"])
        blob = oci.store_layer(self.cache, layer)
        return {"layer": [blob.sha256, blob.size]}, {blob.sha256: blob.size}

    def _install(self, item: Mapping[str, Any]) -> Path:
        target = self._scratch() / "wheels"
        exclude = list(item.get("exclude", []))
        if not item.get("scripts", True):
            exclude.append("bin/*")
        wheels.install(self._wheels(item), target, exclude, scripts=item.get("scripts", True))
        return target

    def _licences(self, layer: oci.Layer, step: Step) -> None:
        """Licence texts of everything linked into the image's binaries."""
        for binary, key in step.spec["commands"].items():
            for path, sha256 in self._get(key)["licences"][binary].items():
                layer.file(f"/licenses/go/{path}", self.cache.blob(sha256))
        carried = self._get(step.spec["files"]) if step.spec["files"] else {}
        for name, (sha256, _, _) in carried.get("licences", {}).items():
            layer.file(f"/licenses/{name}", self.cache.blob(sha256))

    def _compile(self, layer: oci.Layer, path: str, base: list[list[Any]]) -> None:
        """Adds bytecode, made by the image's own Python: an image's user cannot write it, and each start would pay."""
        root = self._scratch() / "root"
        with tarfile.open(self._merged(base)) as tar:
            tar.extractall(root, filter="fully_trusted")  # noqa: S202  # our own archive
        for name, entry in sorted(layer.entries.items()):
            if entry.kind == "file" and entry.source and name.endswith(".py") and name.startswith(f"{path}/"):
                target = root / name.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(entry.source.read_bytes())
        command: list[str | Path] = ["chroot", root, "/usr/bin/python3", "-m", "compileall", "-q"]
        command += ["--invalidation-mode", "unchecked-hash", path]
        try:
            run(command, env={"PYTHONHASHSEED": "0", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        except CommandError as error:
            # Wheels may carry files for other Pythons or templates that do not compile; they are not imported.
            if not any(sign in error.output for sign in ("SyntaxError", "Error compiling", "Sorry")):
                raise
        for item in sorted((root / path.lstrip("/")).rglob("*.pyc")):
            layer.file(str(PurePosixPath("/") / item.relative_to(root).as_posix()), item)


def repository(module: str) -> str:
    """Page of a Go module's source: its import path, without the major version that modules carry at the end."""
    if module in {"", "local"}:
        return ""
    parts = module.split("/")
    if parts[0] == "github.com":
        parts = parts[:3]
    return "https://" + re.sub(r"/v[0-9]+$", "", "/".join(parts))
