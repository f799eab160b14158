"""The report: its schema, its table, its page, its JUnit."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from ansible_collections.infn.kaap.plugins.module_utils import report

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "release/report.schema.json").read_text("utf-8"))
DIGEST = "sha256:" + "0" * 64


def check(name: str, result: str = "pass", answered: str = "yes") -> dict[str, Any]:
    """Return one answer."""
    component = name.partition(":")[0]
    return {"name": name, "component": component, "result": result, "asked": "?", "answered": answered, "seconds": 0.5}


LEFT_OUT = {"name": "kueue: d", "component": "kueue", "reason": "there is | no\x07 queue"}


def made(*checks: dict[str, Any], not_run: Sequence[dict[str, Any]] = ()) -> report.Report:
    """Return a report over some checks."""
    url = {"url": "http://127.0.0.1:18001/", "headers": {}, "credentials_file": "/state/credentials/minio-root.yml"}
    return report.build(
        generated="2026-01-01T00:00:00+00:00",
        deployment={"name": "d", "inventory": "i", "profile": "core", "bundle": "b", "kubernetes": "v1.36.3"},
        checks=checks,
        components=[
            {"name": "minio", "version": "1", "source": "packages: Go modules", "images": {"a/b:1": DIGEST}},
            {"name": "kueue", "version": "2", "source": "packages", "images": {}},
        ],
        endpoints={"minio": url, "minio_console": {**url, "url": "http://127.0.0.1:18002/", "credentials_file": None}},
        timings={"phases": {"verify": {"seconds": 61}}, "components": {"minio": 4.25}},
        not_run=not_run,
    )


GOOD = made(check("minio: a"), check("minio: b"), check("kueue: c"))
BAD = made(check("minio: a"), check("minio: b", "fail", "it said | no\x07"), check("kueue: c"))


def test_it_follows_its_schema() -> None:
    """And the schema is closed."""
    full = made(check("minio: a"), not_run=[LEFT_OUT])
    jsonschema.validate(GOOD, SCHEMA, format_checker=jsonschema.FormatChecker())
    jsonschema.validate(full, SCHEMA, format_checker=jsonschema.FormatChecker())
    for path in (["checks", 0], ["not_run", 0], ["components", 0], ["endpoints", "minio"], ["deployment"], []):
        wrong = copy.deepcopy(full)
        place: Any = wrong
        for key in path:
            place = place[key]
        place["more"] = 1
        with pytest.raises(jsonschema.ValidationError, match="more"):
            jsonschema.validate(wrong, SCHEMA)


def test_one_failed_check_fails_the_whole() -> None:
    """A component is ready when all its checks passed, and one without checks is not."""
    assert GOOD["result"] == "pass" and BAD["result"] == "fail"
    assert {c["name"]: c["ready"] for c in GOOD["components"]} == {"minio": True, "kueue": True}
    assert {c["name"]: c["ready"] for c in BAD["components"]} == {"minio": False, "kueue": True}
    assert {c["name"]: c["ready"] for c in made(check("minio: a"))["components"]}["kueue"] is False
    assert made()["result"] == "fail"


def test_the_table_shows_all_there_is_to_know() -> None:
    """Component, version, source, ready, endpoint, time; then what failed."""
    text = report.table(BAD)
    lines = text.splitlines()
    for heading in report.HEADINGS:
        assert heading in lines[0]
    assert "packages: Go modules" in lines[2] and "NO" in lines[2] and "4.2 s" in lines[2]
    assert "http://127.0.0.1:18001/ http://127.0.0.1:18002/" in lines[2]
    assert "2 of 3 checks passed" in text and "FAILED  minio: b: it said | no" in text
    assert "verify 1 min 1 s" in text
    assert "FAILED" not in report.table(GOOD)


def test_what_was_not_run_neither_passes_nor_fails() -> None:
    """It is shown everywhere with its reason, and changes no result."""
    content = made(check("minio: a"), check("kueue: c"), not_run=[LEFT_OUT])
    assert content["result"] == "pass" and all(component["ready"] for component in content["components"])
    text = report.table(content)
    assert "2 of 2 checks passed, 1 not run" in text and "  NOT RUN  kueue: d: there is | no" in text
    assert "## Not run" in report.markdown(content) and "| kueue: d | there is \\| no" in report.markdown(content)
    suites = ET.fromstring(report.junit(content).partition("\n")[2])  # noqa: S314
    kueue = next(suite for suite in suites if suite.get("name") == "kueue")
    assert (kueue.get("tests"), kueue.get("failures"), kueue.get("skipped")) == ("2", "0", "1")
    skipped = kueue.find("testcase[@name='kueue: d']/skipped")
    assert skipped is not None and skipped.get("message") == "there is | no? queue"
    assert "not run" not in report.table(GOOD).lower() and "Not run" not in report.markdown(GOOD)


def test_junit_has_a_suite_for_what_was_only_left_out() -> None:
    """A component may have no other check."""
    root = ET.fromstring(report.junit(made(check("minio: a"), not_run=[LEFT_OUT])).partition("\n")[2])  # noqa: S314
    assert [(suite.get("name"), suite.get("skipped")) for suite in root] == [("minio", "0"), ("kueue", "1")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps({**GOOD, "schema": 1}), "has schema 1, this release reads 2; run playbooks/verify.yml"),
        (json.dumps({**GOOD, "schema": 3}), "has schema 3, this release reads 2"),
        ("[]", "has schema None"),
        ("{", "holds no JSON"),
    ],
)
def test_a_report_of_another_schema_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """With the file, what it has, what is read, and what to do."""
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(report.ReportError) as caught:
        report.load(path)
    assert said in str(caught.value) and str(path) in str(caught.value)


def test_later_times_replace_earlier_ones() -> None:
    """The verify phase is still running when it writes the report."""
    later = report.timed(GOOD, {"phases": {"verify": {"seconds": 7.0}}, "components": {"kueue": 2.0}})
    assert later["timings"] == {"phases": {"verify": 7.0}, "components": {"kueue": 2.0}}
    assert {c["name"]: c["seconds"] for c in later["components"]} == {"minio": None, "kueue": 2.0}


def test_times_of_parts_and_of_the_cluster() -> None:
    """A use case is the sum of its parts; phases come in the order in which they run."""
    phases = {"verify": {"seconds": 1.0}, "destroy": {"seconds": 9.0}, "cluster": {"seconds": 60.0}}
    seconds = {"minio-a": 1.0, "minio-b": 2.0, "minioX": 5.0}
    later = report.timed(GOOD, {"phases": phases, "components": seconds})
    assert {c["name"]: c["seconds"] for c in later["components"]} == {"minio": 3.0, "kueue": None}
    assert report.component_seconds("kubernetes", {}, {"cluster": 60.0}) == 60.0
    assert list(later["timings"]["phases"]) == ["cluster", "verify", "destroy"]


def test_junit_counts_failures_and_stays_xml() -> None:
    """A control character in an answer does not break the file."""
    root = ET.fromstring(report.junit(BAD).partition("\n")[2])  # noqa: S314
    suites = {suite.get("name"): suite for suite in root}
    assert suites["minio"].get("failures") == "1" and suites["kueue"].get("failures") == "0"
    failure = suites["minio"].find(".//failure")
    assert failure is not None and failure.get("message") == "it said | no?"


def test_the_page_keeps_its_tables() -> None:
    """A bar in an answer does not make a column."""
    page = report.markdown(BAD)
    assert "it said \\| no" in page
    assert "| minio_console | http://127.0.0.1:18002/ | none |" in page


def test_written_whole(tmp_path: Path) -> None:
    """Three files and nothing else."""
    report.write(GOOD, tmp_path / "state")
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["junit.xml", "report.json", "report.md"]
    assert report.load(tmp_path / "state" / "report.json") == GOOD
