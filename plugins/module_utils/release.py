"""Release records: one YAML file per component, tool and upstream repository, checked before anything is done.

A record says what is installed, where it comes from and when it is ready. The closed JSON schema
``release/schema.json`` checks its form; this module also checks what a schema cannot: names that
point to each other, and wrapper modules that pin what the record says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import waves

try:
    import jsonschema
except ImportError:  # pragma: no cover - the environment is locked; ansible-test imports without it
    jsonschema = None

Record = dict[str, Any]

SOURCE_OFFER = "/licenses/SOURCE-OFFER.txt"
KINDS = {"tools": "tool", "sources": "source", "components": "component"}
FOLDERS = {kind: folder for folder, kind in KINDS.items()}


class ReleaseError(Exception):
    """One or more records are wrong.

    Attributes:
        problems: one sentence each, with file, key, fault and fix.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("The release is not valid:\n" + "\n".join(f"  - {p}" for p in self.problems))


def _key(path: Iterable[str | int]) -> str:
    """Path of a value in a record, as a person writes it: images[0].user."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text or "the record"


def _explain(error: Any) -> str:
    """What is wrong and what to do, for one jsonschema error."""
    rule, value, schema = error.validator, error.instance, error.schema
    text = str(error.message)
    if rule == "additionalProperties" and isinstance(error.validator_value, bool):
        unknown = ", ".join(repr(k) for k in sorted(set(value) - set(schema.get("properties", {}))))
        text = f"unknown key {unknown}; known keys are {', '.join(sorted(schema.get('properties', {})))}"
    elif rule == "required":
        missing = ", ".join(repr(k) for k in error.validator_value if k not in value)
        text = f"key {missing} is missing; add it"
    elif rule == "enum":
        text = f"{value!r} is not one of {', '.join(map(repr, error.validator_value))}"
    elif rule == "type":
        text = f"{value!r} is not of type {error.validator_value}"
    elif rule == "pattern":
        text = f"{value!r} does not match {error.validator_value}: {schema.get('description', 'see the schema')}"
    elif rule in {"oneOf", "anyOf"}:
        keys = [k for branch in error.validator_value for k in branch.get("required", [])]
        amount = "exactly" if rule == "oneOf" else "at least"
        text = f"{amount} one of {', '.join(keys)} is needed" if keys else f"{value!r} fits no form of the schema"
    elif rule == "not":
        fault = f"{value!r} leaves its directory; write it without .."
        text = fault if error.validator_value else "a record of this kind has no such key; remove it"
    return text


def check_form(record: object, schema: Mapping[str, Any], name: str) -> list[str]:
    """Problems of one record against the schema.

    Args:
        record: the parsed YAML.
        schema: the JSON schema.
        name: file name for the messages.

    Returns:
        One sentence per problem, empty when the record is well formed.
    """
    validator = jsonschema.Draft202012Validator(schema)
    problems = []
    for error in sorted(validator.iter_errors(record), key=lambda e: [str(p) for p in e.absolute_path]):
        problems.append(f"{name}: {_key(error.absolute_path)}: {_explain(error)}")
    return problems


def packages(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a record about package registries, empty when it has none."""
    found: dict[str, Any] = record.get("sources", {}).get("packages") or {}
    return found


def git(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a record about git repositories of upstream, empty when it has none."""
    found: dict[str, Any] = record.get("sources", {}).get("git") or {}
    return found


def git_trees(record: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Everything that a record takes from git repositories: key in the record, and the entry with source and path."""
    source = git(record)
    trees: list[tuple[str, Mapping[str, Any]]] = []
    for kind in ("charts", "manifests"):
        for i, item in enumerate(source.get(kind, [])):
            where = f"sources.git.{kind}[{i}]"
            trees.append((where, item))
            trees += _given(f"{where}.dependencies", item.get("dependencies", {}))
    return trees + _given("sources.git.remote_bases", source.get("remote_bases", {}))


def _given(where: str, entries: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The entries that are trees; the others say ``none``."""
    return [(f"{where}.{name}", entry) for name, entry in entries.items() if isinstance(entry, Mapping)]


def source_key(name: str) -> str:
    """Key of a source among the records: a component may have the name of the repository that it comes from."""
    return f"sources/{name}"


def sources_of(record: Mapping[str, Any]) -> set[str]:
    """Keys of the source records that a record refers to."""
    return {source_key(str(entry["source"])) for _, entry in git_trees(record)}


def assembled(image: Mapping[str, Any]) -> bool:
    """Whether an image is assembled by us; the others are upstream's own."""
    return "base" in image


def reference(image: Mapping[str, Any]) -> str:
    """Name, tag and digest of an image, as far as the record gives them."""
    tag = f":{image['tag']}" if "tag" in image else ""
    return f"{image['name']}{tag}" + (f"@{image['digest']}" if "digest" in image else "")


def check_names(record: Mapping[str, Any], name: str, root: Path) -> list[str]:
    """Problems of one well-formed record that a schema cannot see.

    Args:
        record: the parsed record.
        name: file name for the messages.
        root: the repository.
    """
    source = packages(record)
    go = source.get("go") or {}
    problems = _check_images(record, go, name, root)
    for kind in ("charts", "manifests"):
        problems += _check_carried(record, kind, name, root)
    for i, item in enumerate(source.get("wheels", [])):
        lock = item["requirements"]
        if not (root / lock).is_file():
            where = f"{name}: sources.packages.wheels[{i}].requirements"
            problems.append(f"{where}: {lock!r} is not in this repository")
    overlay = record.get("render", {}).get("overlay")
    if overlay and not (root / overlay / "kustomization.yaml").is_file():
        problems.append(f"{name}: render.overlay: {overlay!r} holds no kustomization.yaml")
    return problems + _check_go(go, name, root) + _check_git(record, name)


def _check_git(record: Mapping[str, Any], name: str) -> list[str]:
    """Trees lie below the directories that are copied, and no chart or manifest has the name of another."""
    problems = []
    for where, entry in git_trees(record):
        within, path = entry.get("within"), entry["path"]
        if within and not f"{path}/".startswith(f"{within.rstrip('/')}/"):
            problems.append(f"{name}: {where}.within: {path!r} is not below {within!r}; give a directory above path")
    for kind in ("charts", "manifests"):
        seen: set[str] = set()
        for part in (packages(record), git(record)):
            for item in part.get(kind, []):
                if item["name"] in seen:
                    problems.append(f"{name}: sources: {kind} {item['name']!r} is there twice; rename one")
                seen.add(item["name"])
    return problems


def _check_images(record: Mapping[str, Any], go: Mapping[str, Any], name: str, root: Path) -> list[str]:
    """Files of images point to what the record has."""
    problems = []
    binaries = {b["name"] for b in go.get("binaries", [])}
    wheels = {w["name"] for w in packages(record).get("wheels", [])}
    for i, image in enumerate(record.get("images", [])):
        if not assembled(image):
            continue
        for j, item in enumerate(image["files"]):
            where = f"{name}: images[{i}].files[{j}]"
            if "binary" in item and item["binary"] not in binaries:
                problems.append(f"{where}.binary: {item['binary']!r} is not in sources.packages.go.binaries")
            if "wheels" in item and item["wheels"] not in wheels:
                problems.append(f"{where}.wheels: {item['wheels']!r} is not in sources.packages.wheels")
            if "local" in item and not (root / item["local"]).exists():
                problems.append(f"{where}.local: {item['local']!r} is not in this repository")
            if "module_file" in item and not go:
                problems.append(f"{where}.module_file: the record has no sources.packages.go")
        if "AGPL" in image.get("licence", record["licence"]) and SOURCE_OFFER not in {
            f["path"] for f in image["files"]
        }:
            problems.append(f"{name}: images[{i}].files: the AGPL wants an offer of source; add one as {SOURCE_OFFER}")
        if image.get("packages") and image["base"] == "static":
            problems.append(f"{name}: images[{i}].packages: base static holds no packages; use debian or python")
    return problems


def _check_carried(record: Mapping[str, Any], kind: str, name: str, root: Path) -> list[str]:
    """Charts or manifests that are rendered are carried by something that exists."""
    problems = []
    source = packages(record)
    carried = source.get(kind, [])
    known = {item["name"] for item in (*carried, *git(record).get(kind, []))}
    for i, item in enumerate(record.get("render", {}).get(kind, [])):
        wanted = item["name"] if kind == "charts" else item
        if wanted not in known:
            where = f"{name}: render.{kind}[{i}]"
            problems.append(f"{where}: {wanted!r} is not in sources.packages.{kind} or sources.git.{kind}")
    for i, item in enumerate(carried):
        where = f"{name}: sources.packages.{kind}[{i}]"
        if "local" in item and not (root / item["local"]).exists():
            problems.append(f"{where}.local: {item['local']!r} is not in this repository")
        if "path" in item and not source.get("go"):
            problems.append(f"{where}.path: the record has no sources.packages.go")
    return problems


def _check_go(go: Mapping[str, Any], name: str, root: Path) -> list[str]:
    """The wrapper module exists and requires the version that the record states."""
    if not go:
        return []
    where = f"{name}: sources.packages.go"
    directory = root / "release" / "go" / go["dir"]
    if not (directory / "go.mod").is_file():
        return [f"{where}.dir: release/go/{go['dir']}/go.mod is missing"]
    if go["module"] == "local":
        return []
    text = (directory / "go.mod").read_text(encoding="utf-8")
    pinned = set(re.findall(rf"^\s*(?:require\s+)?{re.escape(go['module'])}\s+(v\S+)", text, re.MULTILINE))
    if go["version"] not in pinned:
        found = ", ".join(sorted(pinned)) or "nothing"
        wrapper = f"release/go/{go['dir']}/go.mod"
        return [f"{where}.version: {go['version']!r} but {wrapper} requires {found}; make them equal"]
    return []


def _read(path: Path) -> tuple[object, str]:
    """Parsed YAML of a file, or a problem."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")), ""
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        return None, f"{path.name}: not valid YAML: {reason}; quote strings that hold braces or colons"


def load(root: Path, directory: Path | None = None) -> dict[str, Record]:
    """All records of the release.

    Args:
        root: the repository, where wrapper modules, charts and lock files are looked up.
        directory: the release directory, ``<root>/release`` by default.

    Returns:
        Name to record, in file order: tools, sources (whose key is that of ``source_key``), components.

    Raises:
        ReleaseError: with every problem of every record.
    """
    directory = directory or root / "release"
    schema = json.loads((directory / "schema.json").read_text(encoding="utf-8"))
    problems: list[str] = []
    records: dict[str, Record] = {}
    for folder, kind in KINDS.items():
        for path in sorted((directory / folder).glob("*.yml")):
            name = f"release/{folder}/{path.name}"
            record, fault = _read(path)
            if fault:
                problems.append(f"release/{folder}/{fault}")
                continue
            wrong = check_form(record, schema, name)
            if not wrong and isinstance(record, dict):
                given = record["name"]
                if given != path.stem:
                    wrong.append(f"{name}: name: {given!r} differs from the file's name; make it {path.stem!r}")
                if record["kind"] != kind:
                    wrong.append(f"{name}: kind: {record['kind']!r} but records in {folder}/ are {kind!r}")
                key = source_key(given) if kind == "source" else given
                if key in records:
                    wrong.append(f"{name}: name: {given!r} is taken by another record")
                wrong += check_names(record, name, root)
                records[key] = record
            problems += wrong
    # What points to a record that is broken itself is no second fault.
    if not problems:
        problems = check_together(records)
    if problems:
        raise ReleaseError(problems)
    return records


def check_together(records: Mapping[str, Record]) -> list[str]:
    """Problems between records: names that do not exist, images made twice, circles."""
    problems = []
    owners: dict[str, str] = {}
    for name, record in records.items():
        where = f"release/{FOLDERS[record['kind']]}/{record['name']}.yml"
        for key in ("needs", "after"):
            problems += [
                f"{where}: {key}: there is no component {needed!r}"
                for needed in record.get(key, [])
                if records.get(needed, {}).get("kind") != "component"
            ]
        problems += _check_replacement(name, record, records, where)
        for place, entry in git_trees(record):
            if source_key(entry["source"]) not in records:
                fix = f"write release/sources/{entry['source']}.yml"
                problems.append(f"{where}: {place}.source: there is no source {entry['source']!r}; {fix}")
        for image in record.get("images", []):
            if assembled(image):
                if reference(image) in owners:
                    made = f"{reference(image)} is made by {owners[reference(image)]} too"
                    problems.append(f"{where}: images: {made}; keep one")
                owners[reference(image)] = name
    return problems or _check_order(records)


def unused(records: Mapping[str, Record]) -> list[str]:
    """Problems of sources that no record refers to; they do no harm but to readers."""
    used = {key for record in records.values() for key in sources_of(record)}
    return [
        f"release/{name}.yml: no record refers to this source; remove it"
        for name, record in records.items()
        if record["kind"] == "source" and name not in used
    ]


def _check_replacement(name: str, record: Record, records: Mapping[str, Record], where: str) -> list[str]:
    """What replaces a component exists, is another one, and stays itself."""
    other = record.get("replaced_by")
    if other is None:
        return []
    if other == name or records.get(other, {}).get("kind") != "component":
        return [f"{where}: replaced_by: there is no other component {other!r}"]
    if "replaced_by" in records[other]:
        further = records[other]["replaced_by"]
        return [f"{where}: replaced_by: {other!r} is replaced by {further!r} itself; name {further!r} here"]
    return []


def _check_order(records: Mapping[str, Record]) -> list[str]:
    """Each profile can be put into an order."""
    components = [record for record in records.values() if record["kind"] == "component"]
    problems: dict[str, None] = {}
    for profile in waves.PROFILES:
        try:
            waves.order(waves.select(components, profile))
        except waves.WaveError as error:
            problems[f"release/components: profile {profile}: {error}"] = None
    return list(problems)


def select(
    records: Mapping[str, Record],
    profile: str,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    only: Sequence[str] = (),
    *,
    rehearsal: bool = False,
) -> dict[str, Record]:
    """The records that a deployment uses: tools of its profile, the wanted components, and the sources of all these.

    Args:
        records: all records.
        profile: ``core`` or ``full``; full includes core.
        overrides: changes to components by name, as in kaap_components.
        only: only these components (all that are wanted when empty); tools of the profile stay.
            Naming a record of any profile selects it.
        rehearsal: the tools that only a rehearsal needs, too.

    Raises:
        ReleaseError: for a name that no record has, and for components that do not fit together.
    """
    unknown = sorted(set(only) - set(records))
    if unknown:
        known = ", ".join(sorted(records))
        raise ReleaseError([f"there is no record for {', '.join(unknown)}; known records are {known}"])
    components = [record for record in records.values() if record["kind"] == "component"]
    try:
        wanted = set(only) or set(waves.select(components, profile, overrides).names)
    except waves.WaveError as error:
        raise ReleaseError([str(error)]) from error
    profiles = {*waves.PROFILES[profile], *(["rehearsal"] if rehearsal else [])}
    chosen = {
        name
        for name, record in records.items()
        if name in wanted or name in only or (record["kind"] == "tool" and record["profile"] in profiles)
    }
    for name in tuple(chosen):
        chosen |= sources_of(records[name])
    return {name: record for name, record in records.items() if name in chosen}
