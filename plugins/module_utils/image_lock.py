"""The lock of all images: what each is, who makes it, and every place of the rendered manifests that names it.

``release/images.lock.yml`` is generated from the release records and from rendered platforms (see scripts/images);
digests in it come from registries, see module_utils/image_registry.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import image_scan, release, render_files
from ansible_collections.infn.kaap.plugins.module_utils.image_scan import Image, Mention

LOCK = "release/images.lock.yml"
HEADER = f"""---
# yamllint disable rule:line-length
# Every image of the release. Made by scripts/images, do not edit; {LOCK} is compared with what is rendered.
# A digest is there where a registry gave it: scripts/images --resolve. The others are tags only.
"""
# Records of the tests are no part of the release.
PROFILES = frozenset({"core", "full", "optional", "rehearsal"})
KAAP, UPSTREAM = "kaap", "upstream"


class LockError(Exception):
    """The lock or a directory of rendered manifests cannot be read; the text says what to run."""


@dataclass(frozen=True)
class Entry:
    """One image of the release.

    :ivar image: with its digest, once that is known.
    :ivar made_by: ``kaap`` for those that pack assembles, otherwise ``upstream``.
    :ivar records: release records that list it.
    :ivar named: places that name it: of records and of rendered objects.
    :ivar written: its tag as manifests write it, where a controller adds to that.
    :ivar signed: who signs it, as cosign is told; empty where upstream does not.
    """

    image: Image
    made_by: str = UPSTREAM
    records: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    written: str = ""
    signed: Mapping[str, str] = field(default_factory=dict)

    def is_named_by(self, image: Image) -> bool:
        """Does a text that says this mean it?"""
        digest = image.digest if not self.image.digest else self.image.digest
        return image.means(replace(self.image, tag=self.written or self.image.tag, digest=digest))


@dataclass(frozen=True)
class Excuse:
    """An image that objects name and that nothing starts.

    :ivar name: repository with its registry.
    :ivar record: whose objects.
    """

    name: str
    record: str
    reason: str
    named: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lock:
    """All of it, sorted."""

    entries: tuple[Entry, ...] = ()
    excuses: tuple[Excuse, ...] = ()


def expected(records: Mapping[str, Mapping[str, Any]]) -> Lock:
    """What the records say: every image but the places in rendered objects."""
    entries: dict[Image, Entry] = {}
    excuses = []
    for record in records.values():
        if record.get("profile") not in PROFILES:
            continue
        name = str(record["name"])
        for item in record.get("images") or []:
            image = Image(str(item["name"]), str(item.get("tag") or ""), str(item.get("digest") or ""))
            known = entries.get(image, Entry(image))
            made_by = KAAP if release.assembled(item) or known.made_by == KAAP else UPSTREAM
            tool = (f"release/{release.FOLDERS['tool']}/{name}.yml",) if record["kind"] == "tool" else ()
            entries[image] = Entry(
                image,
                made_by,
                (*known.records, name),
                (*known.named, *tool),
                str(item.get("written") or known.written),
                known.signed if made_by == KAAP else signed_by(image, record) or known.signed,
            )
        excuses += [
            Excuse(str(item["name"]), name, str(item["reason"])) for item in record.get("unlocked_images") or []
        ]
    return Lock(
        tuple(entries[image] for image in sorted(entries)),
        tuple(sorted(excuses, key=lambda excuse: (excuse.name, excuse.record))),
    )


def signed_by(image: Image, record: Mapping[str, Any]) -> dict[str, str]:
    """Who signs an image, as its record says; empty where nobody does."""
    for signer in record.get("signed_by") or []:
        if image.name.startswith(str(signer["images"])):
            return {str(key): str(value) for key, value in signer.items() if key != "images"}
    return {}


def scan(directories: Iterable[Path], lock: Lock) -> tuple[list[Mention], set[str]]:
    """Every image that rendered platforms name, and the components that they have.

    :param directories: as scripts/render wrote them.
    :param lock: what Docker Hub's organisations are taken from.
    :raises LockError: for a directory that scripts/render did not write.
    """
    known = image_scan.organisations(entry.image for entry in lock.entries)
    mentions: dict[Mention, None] = {}
    components = set()
    for directory in directories:
        found = render_files.read(directory)
        if not found:
            raise LockError(f"{directory} holds nothing that scripts/render wrote; run scripts/render {directory}")
        for name, objects in found.items():
            components.add(name)
            mentions.update(dict.fromkeys(image_scan.scan(objects, name, known)))
    return list(mentions), components


def unseen(records: Mapping[str, Mapping[str, Any]], components: Iterable[str]) -> list[str]:
    """Components of the release that are not among those that were rendered."""
    wanted = {str(record["name"]) for record in records.values() if _is_component(record)}
    return sorted(wanted - set(components))


def _is_component(record: Mapping[str, Any]) -> bool:
    return record["kind"] == "component" and record.get("profile") in PROFILES


def located(lock: Lock, mentions: Sequence[Mention]) -> Lock:
    """The lock with the places that mentions are found in; those that nothing in it explains are left out."""
    places: dict[Image, set[str]] = {entry.image: set() for entry in lock.entries}
    excused: dict[tuple[str, str], set[str]] = {(excuse.name, excuse.record): set() for excuse in lock.excuses}
    for mention in mentions:
        meant = [entry for entry in lock.entries if entry.is_named_by(mention.image)]
        for entry in meant:
            places[entry.image].add(mention.place)
        key = (mention.image.name, mention.component)
        if not meant and key in excused:
            excused[key].add(mention.place)
    return Lock(
        tuple(replace(entry, named=(*entry.named, *sorted(places[entry.image]))) for entry in lock.entries),
        tuple(replace(one, named=tuple(sorted(excused[one.name, one.record]))) for one in lock.excuses),
    )


def with_digests(lock: Lock, digests: Mapping[str, str]) -> Lock:
    """The lock with digests by image as ``name:tag``; images that are assembled here have none."""
    return replace(
        lock,
        entries=tuple(
            replace(entry, image=replace(entry.image, digest=digests[key]))
            if entry.made_by == UPSTREAM and not entry.image.digest and (key := str(entry.image)) in digests
            else entry
            for entry in lock.entries
        ),
    )


def digests(lock: Lock) -> dict[str, str]:
    """Digests that a lock knows, by image as ``name:tag``."""
    return {
        str(replace(entry.image, digest="")): entry.image.digest
        for entry in lock.entries
        if entry.image.tag and entry.image.digest
    }


def unlocked(lock: Lock, mentions: Iterable[Mention]) -> list[str]:
    """Images that rendered objects name and the lock does not have: they would come from anywhere, or never."""
    excused = {(excuse.name, excuse.record) for excuse in lock.excuses}
    return [
        f"{mention.place} names {mention.image}, which is not locked; list it in images of "
        f"release/components/{mention.component}.yml"
        for mention in sorted(mentions)
        if not any(entry.is_named_by(mention.image) for entry in lock.entries)
        and (mention.image.name, mention.component) not in excused
    ]


def unused(lock: Lock, mentions: Sequence[Mention], components: Iterable[str]) -> list[str]:
    """Images and excuses that nothing names, of components whose objects are all at hand."""
    there = set(components)
    problems = []
    for entry in lock.entries:
        if set(entry.records) <= there and not any(entry.is_named_by(mention.image) for mention in mentions):
            problems.append(
                f"{entry.image} of {', '.join(entry.records)} is named by nothing that is rendered; remove it"
            )
    named = {(mention.image.name, mention.component) for mention in mentions}
    problems += [
        f"{excuse.name}: {excuse.record} names it no more; remove it from unlocked_images"
        for excuse in lock.excuses
        if excuse.record in there and (excuse.name, excuse.record) not in named
    ]
    return problems


def moved(lock: Lock, mentions: Sequence[Mention], components: Iterable[str]) -> list[str]:
    """Places of a component that the lock does not have, or has and are gone.

    :param components: those whose objects are all at hand, rendered with the inventories that the lock is made of.
    """
    now = located(expected_of(lock), mentions)
    there = tuple(f"{name}: " for name in components)
    both: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
        (str(old.image), old.named, new.named) for old, new in zip(lock.entries, now.entries, strict=True)
    ]
    both += [(old.name, old.named, new.named) for old, new in zip(lock.excuses, now.excuses, strict=True)]
    problems = []
    for what, before, after in both:
        problems += [f"{place} names {what} and is not in the lock" for place in after if place not in before]
        gone = [place for place in before if place.startswith(there) and place not in after]
        problems += [f"{place} names {what} no more" for place in gone]
    return problems


def expected_of(lock: Lock) -> Lock:
    """A lock without its places in rendered objects."""
    folder = f"release/{release.FOLDERS['tool']}/"
    return Lock(
        tuple(
            replace(entry, named=tuple(place for place in entry.named if place.startswith(folder)))
            for entry in lock.entries
        ),
        tuple(replace(excuse, named=()) for excuse in lock.excuses),
    )


def outdated(lock: Lock, records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Differences between a lock and the records: images that either lacks, and what is said of them."""
    wanted = with_digests(expected(records), digests(lock))
    ours, theirs = ({entry.image: entry for entry in one.entries} for one in (expected_of(lock), wanted))
    problems = [f"{image} of {', '.join(theirs[image].records)} is not in it" for image in theirs if image not in ours]
    problems += [f"{image} is listed by no record" for image in ours if image not in theirs]
    problems += [f"{image}: says {ours[image]}, the record {theirs[image]}" for image in ours
                 if image in theirs and ours[image] != theirs[image]]  # fmt: skip
    if expected_of(lock).excuses != wanted.excuses:
        problems.append("never_run differs from unlocked_images of the records")
    return problems


def nameless(lock: Lock) -> list[str]:
    """Images that no place names: what the lock is for."""
    return [
        f"{entry.image} of {', '.join(entry.records)} is named nowhere" for entry in lock.entries if not entry.named
    ]


def read(path: Path) -> Lock:
    """The lock that a file holds.

    :raises LockError: when it is missing or no lock.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Lock(
            tuple(
                Entry(
                    Image(str(item["image"]), str(item.get("tag", "")), str(item.get("digest", ""))),
                    str(item["made_by"]),
                    tuple(item["records"]),
                    tuple(item["named"]),
                    str(item.get("written", "")),
                    dict(item.get("signed", {})),
                )
                for item in content["images"]
            ),
            tuple(
                Excuse(str(item["image"]), str(item["record"]), str(item["reason"]), tuple(item["named"]))
                for item in content["never_run"]
            ),
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise LockError(f"{path} is no lock of images ({reason}); make it with scripts/images --write") from error


def text_of(lock: Lock) -> str:
    """The file of a lock."""
    images = []
    for entry in lock.entries:
        image = {"image": entry.image.name, "tag": entry.image.tag, "digest": entry.image.digest,
                 "written": entry.written, "made_by": entry.made_by, "records": list(entry.records),
                 "signed": dict(entry.signed), "named": list(entry.named)}  # fmt: skip
        images.append({key: value for key, value in image.items() if value or key in {"records", "named"}})
    never = [
        {"image": excuse.name, "record": excuse.record, "reason": excuse.reason, "named": list(excuse.named)}
        for excuse in lock.excuses
    ]
    content = {"images": images, "never_run": never}
    return HEADER + yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=2**20, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key, as the other files have them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)
