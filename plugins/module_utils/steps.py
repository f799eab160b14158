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
from ansible_collections.infn.kaap.plugins.module_utils.release import (
    Record,
    assembled,
    git,
    git_trees,
    packages,
    reference,
    source_key,
)

# Raise one of these when the recipe in this directory changes what it makes from the same inputs.
RECIPES = {"go": 1, "carried": 1, "base": 2, "rootfs": 2, "wheels": 1, "image": 4, "git": 1}
SUITE = "bookworm"
BASES = {
    "debian": ["ca-certificates", "netbase", "tzdata"],
    "python": ["ca-certificates", "libgcc-s1", "libstdc++6", "netbase", "python3", "tzdata"],
}
CONTENT = {"binaries", "images", "charts", "manifests", "rootfs"}
# Everything of the tools, whatever else is wanted: what a cluster is made of.
TOOLS = "tools"
CARRIED = ("charts", "manifests")


@dataclass(frozen=True)
class Step:
    """One thing to make.

    Attributes:
        kind: ``go``, ``carried``, ``git``, ``base``, ``rootfs``, ``wheels``, ``image`` or ``upstream`` (an image).
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
        only: kinds of content wanted, of CONTENT and TOOLS; empty means all.
        records: all that are wanted, among them the sources; images that one of them assembles are not upstream's.
        pulled: nodes pull images of upstream themselves, so that these are not packed.
    """

    def __init__(
        self,
        root: Path,
        only: set[str] | None = None,
        records: Mapping[str, Record] | None = None,
        *,
        pulled: bool = False,
    ) -> None:
        self.root = root
        self.records = records or {}
        self.pulled = pulled
        self._only = only or CONTENT
        self.only = self._only
        self._assembled = {
            reference(image)
            for record in self.records.values()
            for image in record.get("images", [])
            if assembled(image)
        }
        self._toolchain = gobuild.toolchain_key(root)

    def plan(self, record: Record) -> list[Step]:
        """Steps of one record, in an order in which they can be made."""
        self.only = CONTENT if record["kind"] == "tool" and TOOLS in self._only else self._only
        listed = record.get("images", []) if "images" in self.only else []
        images = [image for image in listed if assembled(image)]
        steps = self._go(record, {f["binary"] for i in images for f in i["files"] if "binary" in f})
        commands = {name: step for step in steps for name in step.spec["names"]}
        carried = self._carried(record, self._charts(record), "")
        files = self._carried(record, self._image_files(record, images), "files and licences of images")
        steps += [step for step in (carried, files) if step]
        steps += self._git(record)
        if "rootfs" in self.only:
            steps += [self._rootfs(record, item) for item in packages(record).get("debian", [])]
        for image in images:
            steps += self._image(record, image, commands, files)
        return steps + self._upstream(record, listed)

    def _title(self, record: Record, what: str) -> str:
        return f"{record['name']} {record['version']}: {what}"

    def _wrapper(self, record: Record) -> Path:
        return self.root / "release" / "go" / str(packages(record)["go"]["dir"])

    def _go(self, record: Record, used: set[str]) -> list[Step]:
        go = packages(record).get("go") or {}
        rendering = bool(self.only.intersection(CARRIED))
        binaries = [
            b
            for b in go.get("binaries", [])
            if b["name"] in used
            or ("install" in b and ("binaries" in self.only or (rendering and b.get("renders", False))))
        ]
        steps = []
        for group in gobuild.groups(binaries):
            names = [str(b["name"]) for b in group]
            built = [{k: v for k, v in b.items() if k not in {"install", "renders"}} for b in group]
            key = digest_of(["go", RECIPES["go"], self._toolchain, hash_tree(self._wrapper(record)), built])
            title = self._title(record, f"command{'s' if len(names) > 1 else ''} {', '.join(names)}")
            spec = {"wrapper": self._wrapper(record), "binaries": group, "names": names}
            steps.append(Step("go", record["name"], title, key, spec=spec))
        return steps

    def _charts(self, record: Record) -> list[dict[str, Any]]:
        """Charts and manifests, from a module or from this repository."""
        go = packages(record).get("go") or {}
        items = []
        for kind in CARRIED:
            if kind in self.only:
                for item in packages(record).get(kind, []):
                    module = {"module": go.get("module")} if "path" in item else {}
                    items.append({"as": f"{kind}/{item['name']}", **module, **item})
        return items

    def _image_files(self, record: Record, images: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Files that images take from the module as they are, and its licence texts."""
        module = packages(record).get("go", {}).get("module", "local")
        if not images or module == "local":
            return []
        paths = sorted({f["module_file"] for i in images for f in i["files"] if "module_file" in f})
        items: list[dict[str, Any]] = [{"as": f"files/{p}", "module": module, "path": p} for p in paths]
        return [*items, {"as": "licences", "module": module, "path": "", "licences": True}]

    def _carried(self, record: Record, items: list[dict[str, Any]], what: str) -> Step | None:
        """What is taken as it is."""
        if not items:
            return None
        go = packages(record).get("go")
        inputs: list[Any] = ["carried", RECIPES["carried"], items]
        inputs += [hash_tree(self.root / item["local"]) for item in items if "local" in item]
        if go:
            inputs.append(hash_tree(self._wrapper(record)))
        kinds = sorted({item["as"].partition("/")[0] for item in items})
        spec = {"items": items, "wrapper": self._wrapper(record) if go else None}
        return Step(
            "carried", record["name"], self._title(record, what or " and ".join(kinds)), digest_of(inputs), spec=spec
        )

    def _git(self, record: Record) -> list[Step]:
        """Charts and manifests of upstream repositories; commits and paths make the key, wherever they come from."""
        wanted: dict[str, Any] = {kind: git(record).get(kind, []) if kind in self.only else [] for kind in CARRIED}
        if not any(wanted.values()):
            return []
        wanted["remote_bases"] = git(record).get("remote_bases", {}) if wanted["manifests"] else {}
        names = sorted({str(entry["source"]) for _, entry in git_trees({"sources": {"git": wanted}})})
        sources = {name: self.records[source_key(name)]["git"] for name in names}
        commits = {name: str(source["commit"]) for name, source in sources.items()}
        kinds = " and ".join(kind for kind in CARRIED if wanted[kind])
        origin = ", ".join(f"{name} at {commit[:12]}" for name, commit in commits.items())
        key = digest_of(["git", RECIPES["git"], wanted, commits])
        title = self._title(record, f"{kinds} of {origin}")
        return [Step("git", record["name"], title, key, spec={**wanted, "sources": sources})]

    def _upstream(self, record: Record, images: list[Mapping[str, Any]]) -> list[Step]:
        """Images that are taken from upstream as they are."""
        steps = []
        for image in images:
            if assembled(image) or self.pulled or reference(image) in self._assembled:
                continue
            title = f"image {reference(image)}"
            key = digest_of(["upstream", reference(image)])
            steps.append(Step("upstream", record["name"], title, key, spec={"image": image}))
        return steps

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
        self, record: Record, image: Mapping[str, Any], commands: Mapping[str, Step], files: Step | None
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
        if files:
            needs.append(files.key)
        reference = f"{image['name']}:{image['tag']}"
        spec = {
            "image": image,
            "record": {k: record[k] for k in ("name", "version", "licence", "summary", "homepage")},
            "module": {k: packages(record).get("go", {}).get(k, "") for k in ("module", "version")},
            "base": bases[-1].key,
            "layers": [step.key for step in layers],
            "commands": {f["binary"]: commands[f["binary"]].key for f in image["files"] if "binary" in f},
            "files": files.key if files else "",
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
