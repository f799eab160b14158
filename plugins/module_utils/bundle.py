"""The bundle: a manifest over the cache, and a tree of hard links that nodes read as it stands."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import oci
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache, digest_of
from ansible_collections.infn.kaap.plugins.module_utils.release import Record
from ansible_collections.infn.kaap.plugins.module_utils.steps import CARRIED, Step

SCHEMA = 1
Artefact = dict[str, Any]


@dataclass
class Bundle:
    """What a bundle holds.

    Attributes:
        artefacts: what people and reports read.
        files: path in the tree to (SHA-256, executable).
        texts: path in the tree to the text of a small file.
    """

    artefacts: list[Artefact] = field(default_factory=list)
    files: dict[str, tuple[str, bool]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def manifest(self, release: str) -> dict[str, Any]:
        """The bundle's manifest; its digest covers every file of the tree."""
        content = sorted(self.artefacts, key=lambda a: (a["kind"], a["component"], a["name"]))
        digest = digest_of([SCHEMA, release, content, sorted(self.files.items()), sorted(self.texts.items())])
        return {"schema": SCHEMA, "digest": digest, "release": release, "artefacts": content}


class Collector:
    """Adds what steps made to a bundle.

    Args:
        bundle: what is added to.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def add(self, record: Record, step: Step, outputs: Mapping[str, Any], source: str) -> None:
        """Adds the outputs of one step of a record.

        Args:
            record: the step's record.
            step: the step.
            outputs: what it made.
            source: name of the source it came from.
        """
        common = {"component": record["name"], "version": record["version"], "licence": record["licence"]}
        getattr(self, f"_add_{step.kind}")(record, step, outputs, {**common, "source": source})

    def _add_go(self, record: Record, step: Step, outputs: Mapping[str, Any], common: Artefact) -> None:
        for binary in step.spec["binaries"]:
            if "install" not in binary:
                continue
            sha256, size = outputs["binaries"][binary["name"]]
            path = f"{binary['install']}/{binary['name']}"
            kind = "cni" if binary["install"] == "cni" else "binary"
            self.bundle.files[path] = (sha256, True)
            self._artefact(common, binary["name"], kind, path, size, sha256=sha256)

    def _add_git(self, record: Record, step: Step, outputs: Mapping[str, Any], common: Artefact) -> None:
        for place, files in outputs.items():
            if place.startswith("licences/"):
                self.bundle.files |= {place + item: (sha256, False) for item, (sha256, _, _) in files.items()}
        commits = {name: source["commit"] for name, source in step.spec["sources"].items()}
        self._add_carried(record, step, outputs, {**common, "commits": commits})

    def _add_carried(self, record: Record, step: Step, outputs: Mapping[str, Any], common: Artefact) -> None:
        for place, files in outputs.items():
            kind, _, name = place.partition("/")
            if kind not in CARRIED:
                continue
            path = f"{kind}/{record['name']}/{name}"
            for item, (sha256, _, executable) in files.items():
                self.bundle.files[path + item] = (sha256, executable)
            single = next(iter(files))
            path += single if not single.startswith("/") else ""
            size = sum(entry[1] for entry in files.values())
            digest = digest_of({item: entry[0] for item, entry in files.items()})
            self._artefact(common, name, kind.removesuffix("s"), path, size, sha256=digest)

    def _add_rootfs(self, record: Record, step: Step, outputs: Mapping[str, Any], common: Artefact) -> None:
        sha256, size = outputs["rootfs"]
        path = f"rootfs/{step.spec['name']}.tar"
        self.bundle.files[path] = (sha256, False)
        found = [{"name": n, "version": v, "sha256": s} for n, v, s in outputs["packages"]]
        self._artefact(common, step.spec["name"], "rootfs", path, size, sha256=sha256, packages=found)

    def _add_image(self, record: Record, step: Step, outputs: Mapping[str, Any], common: Artefact) -> None:
        image = step.spec["image"]
        reference = f"{image['name']}:{image['tag']}"
        made = oci.Image(
            reference,
            oci.Blob(*outputs["manifest"]),
            oci.Blob(*outputs["config"]),
            tuple(oci.Blob(*entry) for entry in outputs["layers"]),
        )
        blobs, links = oci.registry_files(made)
        self.bundle.files |= {f"registry/{path}": (sha256, False) for path, sha256 in blobs.items()}
        self.bundle.texts |= {f"registry/{path}": text for path, text in links.items()}
        size = sum(blob.size for blob in (made.manifest, made.config, *made.layers))
        path = f"registry/docker/registry/v2/repositories/{image['name']}"
        common["licence"] = image.get("licence", record["licence"])
        self._artefact(common, reference, "image", path, size, digest=f"sha256:{made.manifest.sha256}")

    def _add_base(self, record: Record, step: Step, outputs: Mapping[str, Any], common: Artefact) -> None:
        """Bases are in the images."""

    def _add_wheels(self, record: Record, step: Step, outputs: Mapping[str, Any], common: Artefact) -> None:
        """They are in the images."""

    def _artefact(self, common: Artefact, name: str, kind: str, path: str, size: int, **more: Any) -> None:
        self.bundle.artefacts.append({**common, "name": name, "kind": kind, "path": path, "size": size, **more})


def write(cache: Cache, bundle: Bundle, release: str, work: Path) -> tuple[Path, dict[str, Any], bool]:
    """Puts a bundle's tree into the cache; by rename, so that a tree that is there is whole.

    Args:
        cache: where the blobs are.
        bundle: what it holds.
        release: version of the release.
        work: a directory on the cache's file system.

    Returns:
        The tree's path, its manifest, and whether it was made now.
    """
    manifest = bundle.manifest(release)
    target = cache.root / "bundles" / manifest["digest"]
    if _whole(target, bundle):
        return target, manifest, False
    tree = work / "bundle"
    made: set[Path] = set()
    for path, (sha256, _) in bundle.files.items():
        _link(cache.blob(sha256), _parents(tree / path, made))
    for path, text in bundle.texts.items():
        _parents(tree / path, made).write_text(text, encoding="ascii")
    (tree / "bundle.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    if target.exists() and not _whole(target, bundle):
        # Somebody removed part of it: replace it whole.
        broken = work / "broken"
        target.rename(broken)
        shutil.rmtree(broken)
    try:
        tree.rename(target)
    except OSError:
        # Another pack was faster with the same tree; anything else is an error.
        if not _whole(target, bundle):
            raise
    return target, manifest, True


def _parents(path: Path, made: set[Path]) -> Path:
    if path.parent not in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        made.add(path.parent)
    return path


def _link(blob: Path, path: Path) -> None:
    try:
        os.link(blob, path)
    except OSError:
        # A file system without hard links, or with too many of them on one blob.
        shutil.copy2(blob, path)


def _whole(target: Path, bundle: Bundle) -> bool:
    return (target / "bundle.json").is_file() and all(
        (target / path).exists() for path in (*bundle.files, *bundle.texts)
    )


def save_manifest(manifest: Mapping[str, Any], state_dir: Path) -> bool:
    """Writes the manifest where the deployment finds its bundle.

    Returns:
        Whether it is another one than before.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    path = state_dir / "bundle.json"
    text = json.dumps(manifest, indent=1) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    scratch = state_dir / f".bundle.json.{os.getpid()}"
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
    return True
