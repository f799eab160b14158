"""What the documents show of the release records."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import documentation

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def component(name: str, **more: Any) -> dict[str, Any]:
    common = {"kind": "component", "name": name, "version": "1.0", "summary": f"Is {name}.", "licence": "Apache-2.0"}
    rest: dict[str, Any] = {"homepage": "https://example.org", "profile": "core", "sources": {"packages": {}}}
    return {**common, **rest, **more}


SOURCE = {
    "kind": "source",
    "name": "upstream",
    "git": {"repository": "https://example.org/upstream", "commit": "0123456789abcdef" + "0" * 24},
}
GIT = {"git": {"manifests": [{"name": "all", "source": "upstream", "path": "config"}]}}
RECORDS = {
    "base": component("base", sources={"packages": {"go": {"module": "example.org/base"}}}),
    "middle": component("middle", needs=["base"], sources=GIT, why="Because."),
    "top": component("top", needs=["base"], after=["middle"], profile="full", instead="set kaap_top"),
    "extra": component("extra", profile="optional", after=["absent"]),
    "probe": component("probe", profile="test"),
    "sources/upstream": SOURCE,
}


def test_documents_agree_with_the_records() -> None:
    old = documentation.out_of_date(documentation.documents(ROOT))
    assert [str(path.relative_to(ROOT)) for path in old] == [], "run scripts/docs"


def test_what_comes_after_another_stands_below_it() -> None:
    """Also where it needs nothing: its own needs would put it into the first row."""
    records = {
        "first": component("first"),
        "low": component("low", needs=["first"]),
        "lowest": component("lowest", after=["low"]),
    }
    root = ET.fromstring(documentation.picture(records))  # noqa: S314  (made a moment ago)
    rows = {text.text: float(text.attrib["y"]) for text in root.iter(f"{SVG}text")}
    assert rows["first"] < rows["low"] < rows["lowest"]


def test_changed_record_puts_documents_out_of_date(tmp_path: Path) -> None:
    page = tmp_path / "components.md"
    page.write_text("as it was")
    assert documentation.out_of_date({page: "as it should be", tmp_path / "new.svg": ""}) == [
        page,
        tmp_path / "new.svg",
    ]
    assert documentation.out_of_date({page: "as it was"}) == []


def test_table_says_where_each_comes_from_and_why() -> None:
    text = documentation.full_table(RECORDS)
    rows = {line.split("|")[1].strip().split("]")[0][1:]: line for line in text.splitlines() if line.startswith("| [")}
    assert set(rows) == {"base", "middle", "top", "extra"}
    assert "Go module `example.org/base`" in rows["base"]
    assert "needed by middle, top" in rows["base"]
    assert "[upstream](https://example.org/upstream) at `0123456789ab`" in rows["middle"]
    assert "| Because. |" in rows["middle"]
    assert "own: set kaap_top" in rows["top"]
    assert "`enabled: true`" in rows["extra"]
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        f"## {title}" for title in documentation.PROFILES.values()
    ]


def test_bar_in_a_text_does_not_make_a_column() -> None:
    assert documentation.cell("a | b\n c") == "a \\| b c"


def test_part_between_the_marks_is_replaced_and_the_rest_kept() -> None:
    begin, end = documentation.BEGIN.format(name="x"), documentation.END.format(name="x")
    page = f"before\n{begin}\nold\n{end}\nafter\n"
    once = documentation.fill(page, "x", "new")
    assert once == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
    assert documentation.fill(once, "x", "new") == once


@pytest.mark.parametrize("page", ["nothing", documentation.BEGIN.format(name="x")])
def test_page_without_the_marks_is_an_error_that_shows_them(page: str) -> None:
    with pytest.raises(documentation.DocumentationError, match="no place for 'x': put <!-- x: made by"):
        documentation.fill(page, "x", "new")


def test_picture_has_a_box_for_each_component_and_no_arrow_that_follows_from_others() -> None:
    # Our own text, a moment old.
    tree = ET.fromstring(documentation.picture(RECORDS))  # noqa: S314
    words = [text.text for text in tree.iter(f"{SVG}text")]
    assert {"base", "middle", "top", "extra"} <= set(words) and "probe" not in words
    # base -> middle -> top; that top needs base too follows from it.
    assert len(list(tree.iter(f"{SVG}path"))) == 2
    boxes = [rect for rect in tree.iter(f"{SVG}rect") if rect.get("rx")]
    places = {(rect.get("x"), rect.get("y")) for rect in boxes}
    assert len(boxes) == 4 and len(places) == 4
