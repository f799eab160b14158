"""Documentation made from the release records: the tables of components and the picture of how they stand together."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import release, waves

Record = Mapping[str, Any]

BEGIN = "<!-- {name}: made by scripts/docs, do not edit -->"
END = "<!-- end of {name} -->"
PROFILES = {
    "core": "Profile core, on every deployment",
    "full": "Profile full adds",
    "optional": "Optional, off until switched on",
}
KINDS = {"go": "Go modules", "wheels": "wheels", "debian": "Debian packages"}

# Measures of the picture, in pixels.
BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN, PER_ROW = 150, 44, 14, 16, 20, 7
LABEL_WIDTH = 34
FILL = {"core": "#dbeafe", "full": "#dcfce7", "optional": "#f3f4f6"}
STROKE = {"core": "#1d4ed8", "full": "#15803d", "optional": "#6b7280"}


class DocumentationError(Exception):
    """A document lacks the place for a generated part; the text names both."""


def components(records: Mapping[str, Record]) -> list[Record]:
    """The components that people can have, by name; those of the tests are left out."""
    found = [record for record in records.values() if record["kind"] == "component" and record["profile"] in PROFILES]
    return sorted(found, key=lambda record: str(record["name"]))


def origin(record: Record, records: Mapping[str, Record]) -> str:
    """Where a component comes from, in words: its upstream module or repository with version or commit.

    Args:
        record: of the component.
        records: all records, among them the sources that this one may name.
    """
    sources = record["sources"]
    packages = sources.get("packages") or {}
    places = []
    module = (packages.get("go") or {}).get("module", "local")
    if module != "local":
        places.append(f"Go module `{module}`")
    places += [KINDS[kind] for kind in ("wheels", "debian") if packages.get(kind)]
    git = sources.get("git") or {}
    names = dict.fromkeys(str(item["source"]) for kind in ("manifests", "charts") for item in git.get(kind, []))
    for name in names:
        upstream = records[release.source_key(name)]["git"]
        places.append(f"[{name}]({upstream['repository']}) at `{upstream['commit'][:12]}`")
    return ", ".join(places) or "this repository"


def replacement(record: Record) -> str:
    """How to switch a component off, on, or bring one's own."""
    name = record["name"]
    switch = "`enabled: true`" if record["profile"] == "optional" else "`enabled: false`"
    own = str(record.get("instead") or f"`provided: true` under `kaap_components.{name}`")
    return f"{switch}; own: {own}"


def cell(text: str) -> str:
    """A text as a cell of a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [list(heading), ["---"] * len(heading), *([cell(each) for each in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def summary_table(records: Mapping[str, Record]) -> str:
    """The short table of the README: name, version, what it is."""
    rows = [
        [f"[{each['name']}]({each['homepage']})", each["version"], each["profile"], each["summary"]]
        for each in components(records)
    ]
    return table(["component", "version", "profile", "what it is"], rows)


def full_table(records: Mapping[str, Record]) -> str:
    """The tables of docs/components.md, one per profile."""
    parts = []
    for profile, title in PROFILES.items():
        rows = [
            [
                f"[{each['name']}]({each['homepage']})",
                each["version"],
                each["summary"],
                each.get("why") or needed_by(each, records),
                origin(each, records),
                each["licence"],
                replacement(each),
            ]
            for each in components(records)
            if each["profile"] == profile
        ]
        if rows:
            heading = [
                "component",
                "version",
                "what it is",
                "why it is here",
                "source",
                "licence",
                "switch off or replace",
            ]
            parts.append(f"## {title}\n\n{table(heading, rows)}")
    return "\n\n".join(parts)


def needed_by(record: Record, records: Mapping[str, Record]) -> str:
    """Which components need this one."""
    users = [str(each["name"]) for each in components(records) if record["name"] in (each.get("needs") or [])]
    return f"needed by {', '.join(users)}" if users else "for its users"


def fill(document: str, name: str, content: str) -> str:
    """A document with the part between the marks of this name replaced.

    Raises:
        DocumentationError: when the marks are not there, or not in this order.
    """
    begin, end = BEGIN.format(name=name), END.format(name=name)
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise DocumentationError(f"the document has no place for {name!r}: put {begin} and {end} where it belongs")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def direct_needs(levels: Sequence[Sequence[Record]]) -> list[tuple[str, str]]:
    """The arrows of the picture, ``(from, to)``: needs that do not follow from other needs."""
    needs = {
        str(each["name"]): set(each.get("needs") or []) | set(each.get("after") or []) for lv in levels for each in lv
    }
    needs = {name: wanted & set(needs) for name, wanted in needs.items()}
    reached: dict[str, set[str]] = {}
    for level in levels:
        for each in level:
            name = str(each["name"])
            reached[name] = needs[name].union(*(reached[need] for need in needs[name])) if needs[name] else set()
    arrows = []
    for name, wanted in needs.items():
        indirect = set().union(*(reached[need] for need in wanted)) if wanted else set()
        arrows += [(need, name) for need in sorted(wanted - indirect)]
    return arrows


def picture(records: Mapping[str, Record]) -> str:
    """The architecture as SVG: a row of boxes for each wave, an arrow from each component to those that need it."""
    wanted = components(records)
    present = {each["name"] for each in wanted}
    levels = waves.waves(
        {**each, "needs": [*(each.get("needs") or []), *(n for n in each.get("after") or [] if n in present)]}
        for each in wanted
    )
    places: dict[str, tuple[int, int]] = {}
    labels = []
    top = MARGIN
    for number, level in enumerate(levels, 1):
        labels.append((number, top + BOX_HEIGHT // 2))
        for index, each in enumerate(level):
            row, column = divmod(index, PER_ROW)
            x = MARGIN + LABEL_WIDTH + column * (BOX_WIDTH + GAP_X)
            places[str(each["name"])] = (x, top + row * (BOX_HEIGHT + GAP_Y))
        rows = -(-len(level) // PER_ROW)
        top += rows * (BOX_HEIGHT + GAP_Y) + 2 * GAP_Y
    width = 2 * MARGIN + LABEL_WIDTH + PER_ROW * (BOX_WIDTH + GAP_X) - GAP_X
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" font-family="sans-serif" font-size="12">',
        "<title>The components of KaaP, in the order in which they are installed</title>",
        f'<rect width="{width}" height="{top}" fill="#ffffff"/>',
    ]
    for start, end in direct_needs(levels):
        (x1, y1), (x2, y2) = places[start], places[end]
        x1, y1, x2 = x1 + BOX_WIDTH // 2, y1 + BOX_HEIGHT, x2 + BOX_WIDTH // 2
        bend = max((y2 - y1) // 2, GAP_Y)
        curve = f"M{x1} {y1} C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2}"
        lines.append(f'<path d="{curve}" fill="none" stroke="#9ca3af" stroke-width="1"/>')
    lines += [f'<text x="{MARGIN}" y="{y + 5}" font-size="16" fill="#6b7280">{number}</text>' for number, y in labels]
    for each in wanted:
        x, y = places[str(each["name"])]
        fill_colour, stroke = FILL[each["profile"]], STROKE[each["profile"]]
        middle = x + BOX_WIDTH // 2
        lines += [
            f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" '
            f'fill="{fill_colour}" stroke="{stroke}"/>',
            f'<text x="{middle}" y="{y + 19}" text-anchor="middle">{escape(str(each["name"]))}</text>',
            f'<text x="{middle}" y="{y + 35}" text-anchor="middle" font-size="10" fill="#4b5563">'
            f"{escape(str(each['version']))}</text>",
        ]
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def documents(root: Path) -> dict[Path, str]:
    """Every generated document and its content as the records want it.

    Args:
        root: the repository.
    """
    records = release.load(root)
    readme, listing = root / "README.md", root / "docs" / "components.md"
    return {
        readme: fill(readme.read_text("utf-8"), "components", summary_table(records)),
        listing: fill(listing.read_text("utf-8"), "components", full_table(records)),
        root / "docs" / "components.svg": picture(records),
    }


def out_of_date(wanted: Mapping[Path, str]) -> list[Path]:
    """Which documents differ from what they should be."""
    return [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]


def main(arguments: Sequence[str]) -> int:
    """Writes the documents, or with --check only names those out of date; 1 if there are any then."""
    parser = argparse.ArgumentParser(prog="scripts/docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a document is out of date")
    options = parser.parse_args(arguments)
    root = Path(__file__).resolve().parents[2]
    wanted = documents(root)
    old = out_of_date(wanted)
    for path in old:
        print(f"{path.relative_to(root)}: {'out of date, run scripts/docs' if options.check else 'written'}")
        if not options.check:
            path.write_text(wanted[path], encoding="utf-8")
    return 1 if old and options.check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
