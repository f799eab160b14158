"""What a record needs made, as steps whose keys are hashes of their inputs.

A key holds no path and no time, so that every clone on this machine finds what another one made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import gobuild
from ansible_collections.infn.kaap.plugins.module_utils.cache import digest_of, hash_file, hash_tree
from ansible_collections.infn.kaap.plugins.module_utils.release import Record, packages

# Raise one of these when the recipe in this directory changes what it makes from the same inputs.
RECIPES = {"go": 1, "carried": 1, "base": 1, "rootfs": 1, "wheels": 1, "image": 2}
SUITE = "bookworm"
BASES = {
    "debian": ["ca-certificates", "netbase", "tzdata"],
    "python": ["ca-certificates", "libgcc-s1", "libstdc++6", "netbase", "python3", "tzdata"],
}
CONTENT = {"binaries", "images", "charts", "manifests", "rootfs"}


@dataclass(frozen=True)
class Step:
    """One thing to make.

    Attributes:
        kind: ``go``, ``carried``, ``base``, ``rootfs``, ``wheels`` or ``image``.
        record: name of the record, empty for what several share.
        title: what people read.
        key: hash of everything that goes in.
        needs: keys of the steps that come first.
        spec: what the maker of this kind needs to know.
    """

    kind: str
    record: str
    title: str
    key: str
    needs: tuple[str, ...] = ()
    spec: Mapping[str, Any] = field(default_factory=dict, compare=False)


class Planner:
    """Turns records into steps.

    Args:
        root: the repository.
        only: kinds of content wanted; empty means all of CONTENT.
    """

    def __init__(self, root: Path, only: set[str] | None = None) -> None:
        self.root = root
        self.only = only or CONTENT
        self._toolchain = gobuild.toolchain_key(root)

    def plan(self, record: Record) -> list[Step]:
        """Steps of one record, in an order in which they can be made."""
        images = record.get("images", []) if "images" in self.only else []
        steps = self._go(record, {f["binary"] for i in images for f in i["files"] if "binary" in f})
        commands = {name: step for step in steps for name in step.spec["names"]}
        if carried := self._carried(record, images):
            steps.append(carried)
        if "rootfs" in self.only:
            steps += [self._rootfs(record, item) for item in packages(record).get("debian", [])]
        for image in images:
            steps += self._image(record, image, commands, carried)
        return steps

    def _title(self, record: Record, what: str) -> str:
        return f"{record['name']} {record['version']}: {what}"

    def _wrapper(self, record: Record) -> Path:
        return self.root / "release" / "go" / str(packages(record)["go"]["dir"])

    def _go(self, record: Record, used: set[str]) -> list[Step]:
        go = packages(record).get("go") or {}
        binaries = [
            b for b in go.get("binaries", []) if b["name"] in used or ("install" in b and "binaries" in self.only)
        ]
        steps = []
        for group in gobuild.groups(binaries):
            names = [str(b["name"]) for b in group]
            built = [{k: v for k, v in b.items() if k != "install"} for b in group]
            key = digest_of(["go", RECIPES["go"], self._toolchain, hash_tree(self._wrapper(record)), built])
            title = self._title(record, f"command{'s' if len(names) > 1 else ''} {', '.join(names)}")
            spec = {"wrapper": self._wrapper(record), "binaries": group, "names": names}
            steps.append(Step("go", record["name"], title, key, spec=spec))
        return steps

    def _carried(self, record: Record, images: list[Mapping[str, Any]]) -> Step | None:
        """Charts, manifests and files taken as they are from a module or from this repository."""
        source = packages(record)
        go = source.get("go") or {}
        items: list[dict[str, Any]] = []
        for kind in ("charts", "manifests"):
            if kind in self.only:
                for item in source.get(kind, []):
                    if "path" in item:
                        items.append({"as": f"{kind}/{item['name']}", "module": go.get("module"), **item})
                    else:
                        items.append({"as": f"{kind}/{item['name']}", **item})
        paths = sorted({f["module_file"] for i in images for f in i["files"] if "module_file" in f})
        items += [{"as": f"files/{p}", "module": go["module"], "path": p} for p in paths]
        if images and go.get("module", "local") != "local":
            items.append({"as": "licences", "module": go["module"], "path": "", "licences": True})
        if not items:
            return None
        inputs: list[Any] = ["carried", RECIPES["carried"], items]
        inputs += [hash_tree(self.root / item["local"]) for item in items if "local" in item]
        if go:
            inputs.append(hash_tree(self._wrapper(record)))
        kinds = sorted({item["as"].partition("/")[0] for item in items} - {"licences", "files"})
        spec = {"items": items, "wrapper": self._wrapper(record) if go else None}
        title = self._title(record, " and ".join(kinds) or "files")
        return Step("carried", record["name"], title, digest_of(inputs), spec=spec)

    def _rootfs(self, record: Record, item: Mapping[str, Any]) -> Step:
        names = sorted(item["packages"])
        key = digest_of(["rootfs", RECIPES["rootfs"], item["suite"], names])
        spec = {"suite": item["suite"], "variant": "apt", "packages": names, "name": item["name"]}
        return Step("rootfs", record["name"], self._title(record, "root file system"), key, spec=spec)

    def base(self, name: str, extra: list[str]) -> list[Step]:
        """Steps of a base image: the last one's outputs are its layers."""
        base = name if name in BASES else "debian"
        names = BASES[base]
        key = digest_of(["base", RECIPES["base"], base, SUITE, names])
        below: tuple[str, ...] = ()
        steps = []
        if base != "debian":
            steps = self.base("debian", [])
            below = (steps[-1].key,)
        steps.append(Step("base", "", f"image base {base}", key, below, {"packages": names, "static": False}))
        if name == "static":
            static = digest_of(["static", RECIPES["base"], key])
            steps.append(Step("base", "", "image base static", static, (key,), {"static": True}))
        elif extra:
            names = sorted({*names, *extra})
            more = digest_of(["base", RECIPES["base"], base, SUITE, names])
            title = f"image base {base} with {', '.join(extra)}"
            steps.append(Step("base", "", title, more, (key,), {"packages": names, "static": False}))
        return steps

    def _image(
        self, record: Record, image: Mapping[str, Any], commands: Mapping[str, Step], carried: Step | None
    ) -> list[Step]:
        bases = self.base(image["base"], list(image.get("packages", [])))
        needs = [bases[-1].key]
        inputs: list[Any] = ["image", RECIPES["image"], image, record["version"], record["licence"], record["summary"]]
        inputs += [record["homepage"], packages(record).get("go", {}).get("module")]
        layers = self._wheels(record, image, bases[-1].key)
        needs += [step.key for step in layers]
        for item in image["files"]:
            if "binary" in item:
                needs.append(commands[item["binary"]].key)
            elif "local" in item:
                inputs.append(hash_tree(self.root / item["local"]))
        if carried and packages(record).get("go"):
            needs.append(carried.key)
        reference = f"{image['name']}:{image['tag']}"
        spec = {
            "image": image,
            "record": {k: record[k] for k in ("name", "version", "licence", "summary", "homepage")},
            "module": {k: packages(record).get("go", {}).get(k, "") for k in ("module", "version")},
            "base": bases[-1].key,
            "layers": [step.key for step in layers],
            "commands": {f["binary"]: commands[f["binary"]].key for f in image["files"] if "binary" in f},
            "carried": carried.key if carried else "",
        }
        unique = tuple(dict.fromkeys(needs))
        key = digest_of([*inputs, unique])
        return [*bases, *layers, Step("image", record["name"], f"image {reference}", key, unique, spec)]

    def _wheels(self, record: Record, image: Mapping[str, Any], base: str) -> list[Step]:
        """A layer of its own for each set of wheels: they are large, and change less often than code beside them."""
        locks = {w["name"]: w for w in packages(record).get("wheels", [])}
        steps = []
        for item in image["files"]:
            if "wheels" not in item:
                continue
            lock = {k: v for k, v in locks[item["wheels"]].items() if k not in {"name", "requirements"}}
            place = {k: v for k, v in item.items() if k != "wheels"}
            requirements = locks[item["wheels"]]["requirements"]
            key = digest_of(["wheels", RECIPES["wheels"], lock, place, hash_file(self.root / requirements), base])
            spec = {"lock": locks[item["wheels"]], "file": item, "base": base}
            title = self._title(record, f"Python packages {item['wheels']}")
            steps.append(Step("wheels", record["name"], title, key, (base,), spec))
        return steps
