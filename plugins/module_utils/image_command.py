"""The command scripts/images: lists, checks, writes and resolves the lock of all images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.infn.kaap.plugins.module_utils import (
    image_lock,
    image_registry,
    image_scan,
    release,
)
from ansible_collections.infn.kaap.plugins.module_utils.image_lock import Lock
from ansible_collections.infn.kaap.plugins.module_utils.image_scan import Mention

TAG_ONLY = "tag only"
DESCRIPTION = """Lists every image of the release with the places that name it; with directories that scripts/render
wrote, those that are named there."""


def listed(lock: Lock) -> list[str]:
    """The lock for people: image, digest, who makes it, places; then what nothing starts."""
    lines = []
    for entry in lock.entries:
        state = "assembled by pack" if entry.made_by == image_lock.KAAP else entry.image.digest or TAG_ONLY
        lines.append(f"{entry.image.name}:{entry.image.tag}  [{state}]" if entry.image.tag else str(entry.image))
        lines += [f"    {place}" for place in entry.named]
    for excuse in lock.excuses:
        lines.append(f"{excuse.name}  [never run: {excuse.reason}]")
        lines += [f"    {place}" for place in excuse.named]
    upstream = [entry for entry in lock.entries if entry.made_by == image_lock.UPSTREAM]
    tags = sum(not entry.image.digest for entry in upstream)
    own = len(lock.entries) - len(upstream)
    count = f"{len(lock.entries)} images: {own} assembled by pack, {len(upstream) - tags} by digest"
    return [*lines, f"{count}, {tags} by tag only; {len(lock.excuses)} are named and never run"]


def found(mentions: Sequence[Mention]) -> list[str]:
    """What some rendered directories name, for people."""
    lines = []
    images = image_scan.by_image(mentions)
    for image, places in images.items():
        lines += [str(image), *(f"    {mention.place}" for mention in places)]
    return [*lines, f"{len(images)} images in {len(mentions)} places"]


def problems(root: Path, lock: Lock, directories: Sequence[Path]) -> list[str]:
    """What is wrong with the lock: against the records, and against rendered platforms.

    Places that are gone are told only where every component of the release is among what is rendered.
    """
    records = release.load(root)
    wrong = [f"{image_lock.LOCK}: {text}" for text in image_lock.outdated(lock, records) + image_lock.nameless(lock)]
    if directories:
        mentions, components = image_lock.scan(directories, lock)
        complete = not image_lock.unseen(records, components)
        wrong += image_lock.unlocked(lock, mentions) + image_lock.unused(lock, mentions, components)
        wrong += image_lock.moved(lock, mentions, components if complete else ())
    return wrong


def write(root: Path, directories: Sequence[Path]) -> list[str]:
    """Write the lock anew; digests that are known stay.

    :return: what is wrong, in which case nothing was written.
    """
    records = release.load(root)
    path = root / image_lock.LOCK
    lock = image_lock.expected(records)
    mentions, components = image_lock.scan(directories, lock)
    if missing := image_lock.unseen(records, components):
        return [
            f"{', '.join(missing)}: not rendered; the lock names places of every component: render both profiles, "
            "with every optional component enabled"
        ]
    if wrong := image_lock.unlocked(lock, mentions) + image_lock.unused(lock, mentions, components):
        return wrong
    if path.exists():
        lock = image_lock.with_digests(lock, image_lock.digests(image_lock.read(path)))
    return save(path, image_lock.located(lock, mentions))


def save(path: Path, lock: Lock) -> list[str]:
    """Write a lock to its file."""
    text = image_lock.text_of(lock)
    new = not path.exists() or path.read_text(encoding="utf-8") != text
    if new:
        path.write_text(text, encoding="utf-8")
    print(f"{path.name}: {len(lock.entries)} images, {'written' if new else 'unchanged'}")
    return []


def resolve(path: Path, options: Sequence[str], execute: image_registry.Run = image_registry.run) -> list[str]:
    """Ask the registries for digests and write them down.

    :return: tags that moved, in which case nothing was written; otherwise the images that stay tags only.
    """
    lock = image_lock.read(path)
    answers = image_registry.resolve(lock.entries, options, execute)
    if wrong := image_registry.changed(lock.entries, answers):
        return wrong
    save(path, image_lock.with_digests(lock, {str(each.image): each.digest for each in answers if each.digest}))
    known = image_lock.digests(lock)
    print(f"{sum(bool(each.digest) for each in answers)} of {len(answers)} images of upstream were resolved")
    return [
        f"{each.image}: {'not asked again' if str(each.image) in known else TAG_ONLY}: {each.fault}"
        for each in answers
        if each.fault
    ]


def verify(path: Path, execute: image_registry.Run = image_registry.run) -> list[str]:
    """Ask cosign about every image whose signer is known.

    :return: images whose signature is not good, or could not be looked at.
    """
    lock = image_lock.read(path)
    answers = image_registry.verify(lock.entries, execute)
    unsigned = sum(entry.made_by == image_lock.UPSTREAM and not entry.signed for entry in lock.entries)
    good = sum(bool(each.digest) for each in answers)
    print(f"{good} of {len(answers)} signatures are good; of {unsigned} images of upstream no signer is known")
    return [f"{each.image}: {each.fault}" for each in answers if not each.digest]


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="scripts/images", description=DESCRIPTION)
    what = made.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compare the lock with the records and the directories")
    what.add_argument("--write", action="store_true", help="write the lock from the records and the directories")
    what.add_argument("--resolve", action="store_true", help="ask the registries for digests (skopeo) and write them")
    what.add_argument("--verify", action="store_true", help="check signatures where upstream signs (cosign)")
    made.add_argument("--lock", type=Path, help=f"another file than {image_lock.LOCK}")
    made.add_argument("--skopeo", action="append", default=[], metavar="OPTION", help="option for skopeo inspect")
    made.add_argument("directories", nargs="*", type=Path, metavar="DIR", help="what scripts/render wrote")
    return made


def main(arguments: Sequence[str], root: Path) -> int:
    """Run the command; 1 when something is wrong, 2 when it cannot be done."""
    options = parser().parse_args(arguments)
    path = options.lock or root / image_lock.LOCK
    try:
        if options.write:
            wrong = write(root, options.directories)
        elif options.resolve:
            image_registry.find(image_registry.SKOPEO, "Debian and Ubuntu have it as package skopeo")
            wrong = resolve(path, options.skopeo)
        elif options.verify:
            image_registry.find(
                image_registry.COSIGN, "see https://docs.sigstore.dev/cosign/system_config/installation/"
            )
            wrong = verify(path)
        elif options.check:
            wrong = problems(root, image_lock.read(path), options.directories)
        else:
            mentions = image_lock.scan(options.directories, image_lock.read(path))[0] if options.directories else None
            print("\n".join(listed(image_lock.read(path)) if mentions is None else found(mentions)))
            wrong = []
    except (
        image_lock.LockError,
        image_registry.MissingToolError,
        release.ReleaseError,
    ) as error:
        print(f"scripts/images: {error}", file=sys.stderr)
        return 2
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parents[2]))
