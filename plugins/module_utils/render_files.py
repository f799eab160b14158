"""A rendered platform as files: one for each component, Secrets apart, and an index."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils.objects import stages
from ansible_collections.infn.kaap.plugins.module_utils.platform_render import Part
from ansible_collections.infn.kaap.plugins.module_utils.render import Object, RenderError

BASE_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# A file that begins so is ours to replace and to remove.
MARK = "# Made by scripts/render"
HEADER = MARK + ": change the inventory or the release, not this file.\n"
INDEX = "index.md"
INDEX_MARK = f"<!-- {MARK.removeprefix('# ')} -->\n"
SECRETS = "secrets"
IGNORE = f"""{HEADER}# Who can read these files owns the platform: keep them out of the repository, or encrypt them.
/{SECRETS}/
"""
NAME = re.compile(r"^\d{2}-\d{2}-(?P<component>[a-z0-9-]+)\.yaml$")
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(BASE_DUMPER):  # type: ignore[misc]
    """Texts of several lines as blocks, so that differences are read line by line; no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


@dataclass
class Written:
    """What a render did to a directory; paths are relative to it.

    :ivar changed: files that were written anew.
    :ivar removed: files of components that are no longer wanted.
    """

    files: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def text_of(objects: Sequence[Object], title: str) -> str:
    """Objects as one YAML stream."""
    documents = yaml.dump_all(
        objects, Dumper=_Dumper, sort_keys=True, explicit_start=True, width=2**20, allow_unicode=True
    )
    return f"{HEADER}# {title}\n{documents}"


def ordered(part: Part) -> list[Object]:
    """Objects in the order of an installation: by stage, then by kind, namespace and name."""

    def key(obj: Object) -> tuple[str, str, str]:
        metadata = obj["metadata"]
        return str(obj["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"])

    early = [obj for members in stages(part.rendered.objects).values() for obj in sorted(members, key=key)]
    # Ours come last, as the record orders them.
    return [*early, *part.rendered.resources]


def file_name(part: Part, number: int) -> str:
    """``03-02-katib.yaml``: wave, number in the wave, component."""
    return f"{part.wave:02}-{number:02}-{part.name}.yaml"


def contents(parts: Sequence[Part], facts: dict[str, str]) -> dict[str, str]:
    """Every file, by its path in the directory.

    :param facts: what the index says of the release, by name.
    """
    files: dict[str, str] = {".gitignore": IGNORE}
    rows = []
    numbers: dict[int, int] = {}
    for part in parts:
        numbers[part.wave] = number = numbers.get(part.wave, 0) + 1
        name = file_name(part, number)
        title = f"{part.name} {part.record.get('version', '')}, wave {part.wave}"
        whole = ordered(part)
        private = [obj for obj in whole if obj["kind"] == "Secret" and obj["apiVersion"] == "v1"]
        public = [obj for obj in whole if obj not in private]
        files[name] = text_of(public, title)
        if private:
            files[f"{SECRETS}/{name}"] = text_of(private, f"{title}: Secrets")
        digest = hashlib.sha256(files[name].encode()).hexdigest()
        rows.append(
            f"| {part.wave} | [{part.name}]({name}) | {part.record.get('version', '')} | {len(public)} "
            f"| {len(private) or ''} | {', '.join(part.needs)} | `{digest[:16]}` |"
        )
    files[INDEX] = "\n".join(
        [
            INDEX_MARK + "# The rendered platform",
            "",
            *(f"- {key}: {value}" for key, value in facts.items()),
            "",
            "A wave is applied when all of the one before is ready. In a file, namespaces and definitions come first,",
            "then configuration, workloads, webhooks and custom resources. Secrets are needed before the workloads:",
            f"they are in `{SECRETS}/`, which is not for a repository (`.gitignore` leaves it out).",
            "",
            "| wave | component | version | objects | Secrets | needs | sha256 |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
    return files


def _is_ours(path: Path) -> bool:
    with path.open("rb") as stream:
        beginning = stream.read(64)
    return beginning.startswith((MARK.encode(), INDEX_MARK[:32].encode()))


def write(folder: Path, files: dict[str, str]) -> Written:
    """Write the files, and remove those of components that are not among them any more.

    A file that scripts/render did not make is neither replaced nor removed.

    :raises RenderError: before anything is written, when such a file is in the way.
    """
    foreign = [name for name in files if (folder / name).exists() and not _is_ours(folder / name)]
    if foreign:
        raise RenderError(
            f"{folder / foreign[0]} was not made by scripts/render and would be replaced; "
            "move it away or give another directory"
        )
    result = Written(sorted(files))
    for place in (folder, folder / SECRETS):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            name = str(path.relative_to(folder))
            if path.is_file() and NAME.match(path.name) and name not in files and _is_ours(path):
                path.unlink()
                result.removed.append(name)
    for name, text in sorted(files.items()):
        path = folder / name
        private = path.parent != folder
        if path.is_file() and path.read_bytes() == text.encode() and not (private and path.stat().st_mode & 0o077):
            continue
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if private else 0o644)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        scratch.replace(path)
        result.changed.append(name)
    return result


def read(folder: Path) -> dict[str, list[Object]]:
    """Objects of each component, as a render wrote them; empty where there is no render."""
    found: dict[str, list[Object]] = {}
    for path in (*sorted(folder.glob("*.yaml")), *sorted((folder / SECRETS).glob("*.yaml"))):
        match = NAME.match(path.name)
        if match and _is_ours(path):
            documents = yaml.load_all(path.read_text(encoding="utf-8"), Loader=LOADER)
            found.setdefault(match["component"], []).extend(each for each in documents if each)
    return found
