"""The report of a deployment: its JSON, and what is made from it for people and for CI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

SCHEMA = 2
Report = dict[str, Any]
PHASES = ("preflight", "pack", "provision", "cluster", "platform", "use_cases", "verify")
HEADINGS = ("component", "version", "where it came from", "ready", "endpoint", "time")


class ReportError(Exception):
    """A report cannot be read; the text names the file, what is wrong and the fix."""


def build(
    *,
    generated: str,
    deployment: Mapping[str, Any],
    checks: Sequence[Mapping[str, Any]],
    components: Sequence[Mapping[str, Any]],
    endpoints: Mapping[str, Any],
    timings: Mapping[str, Any],
    not_run: Sequence[Mapping[str, Any]] = (),
) -> Report:
    """Return a report.

    What was not run makes nothing pass and nothing fail: it stands beside the checks.

    :param components: as in the schema, without `ready`, which follows from the checks
    :param timings: content of timings.json
    :param not_run: name, component and reason of each check that this deployment cannot have
    """
    ready = {name: all(check["result"] == "pass" for check in of) for name, of in by_component(checks).items()}
    content = {
        "schema": SCHEMA,
        "generated": generated,
        "deployment": dict(deployment),
        "result": "pass" if checks and all(check["result"] == "pass" for check in checks) else "fail",
        "checks": [dict(check) for check in checks],
        "not_run": [dict(entry) for entry in not_run],
        "components": [
            {**component, "ready": ready.get(component["name"], False), "seconds": None} for component in components
        ],
        "endpoints": {name: dict(endpoint) for name, endpoint in endpoints.items()},
    }
    return timed(content, timings)


def timed(report: Mapping[str, Any], timings: Mapping[str, Any]) -> Report:
    """Return a report with these times in place of those it has.

    :param timings: content of timings.json
    """
    seconds = {name: float(value) for name, value in (timings.get("components") or {}).items()}
    measured = timings.get("phases") or {}
    # In the order in which they run, not in that of the last runs.
    order = [*(name for name in PHASES if name in measured), *(name for name in measured if name not in PHASES)]
    phases = {name: float(measured[name]["seconds"]) for name in order}
    components = [
        {**each, "seconds": component_seconds(str(each["name"]), seconds, phases)} for each in report["components"]
    ]
    return {**report, "components": components, "timings": {"phases": phases, "components": seconds}}


def component_seconds(name: str, seconds: Mapping[str, float], phases: Mapping[str, float]) -> float | None:
    """Return how long installing a component took, None when nothing was measured.

    A use case is installed in parts named after it (`remat-training`); Kubernetes is the whole phase cluster.
    """
    if name in seconds:
        return seconds[name]
    parts = [value for part, value in seconds.items() if part.startswith(f"{name}-")]
    return sum(parts) if parts else phases.get("cluster") if name == "kubernetes" else None


def by_component(checks: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the checks of each component."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for check in checks:
        groups.setdefault(str(check["component"]), []).append(check)
    return groups


def load(path: Path) -> Report:
    """Return a written report.

    :raises ReportError: when it is none, or one of another schema
    """
    again = "run playbooks/verify.yml, which writes it anew"
    try:
        content: Report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ReportError(f"{path} holds no JSON ({problem}); {again}") from problem
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise ReportError(f"{path} has schema {found!r}, this release reads {SCHEMA}; {again}")
    return content


def rows(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the final table: one row per component."""
    endpoints: dict[str, str] = {}
    for name, endpoint in report["endpoints"].items():
        owner = name if name in {component["name"] for component in report["components"]} else name.partition("_")[0]
        endpoints[owner] = f"{endpoints[owner]} {endpoint['url']}" if owner in endpoints else endpoint["url"]
    return [
        (
            component["name"],
            component["version"],
            component["source"],
            "yes" if component["ready"] else "NO",
            endpoints.get(component["name"], ""),
            duration(component["seconds"]),
        )
        for component in report["components"]
    ]


def duration(seconds: float | None) -> str:
    """Return seconds as people read them; empty when not measured."""
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def table(report: Mapping[str, Any]) -> str:
    """Return the final table with what failed and the times below it."""
    lines = [HEADINGS, *rows(report)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    failed = [check for check in report["checks"] if check["result"] == "fail"]
    text.append("")
    skipped = f", {len(report['not_run'])} not run" if report["not_run"] else ""
    text.append(f"{len(report['checks']) - len(failed)} of {len(report['checks'])} checks passed{skipped}")
    text += [f"  FAILED  {check['name']}: {check['answered']}" for check in failed]
    text += [f"  NOT RUN  {entry['name']}: {entry['reason']}" for entry in report["not_run"]]
    phases = ", ".join(f"{name} {duration(seconds)}" for name, seconds in report["timings"]["phases"].items())
    if phases:
        text.append(f"phases: {phases}")
    return "\n".join(text)


def markdown(report: Mapping[str, Any]) -> str:
    """Return the report as a page."""
    deployment = report["deployment"]
    lines = [
        f"# Deployment {deployment['name']}: {report['result']}",
        "",
        f"Kubernetes {deployment['kubernetes']}, profile {deployment['profile']}, bundle `{deployment['bundle']}`, "
        f"checked {report['generated']}.",
        "",
        _row(HEADINGS),
        _row("---" for _ in HEADINGS),
        *(_row(row) for row in rows(report)),
        "",
        "## Endpoints",
        "",
        _row(("name", "URL", "login")),
        _row(("---", "---", "---")),
    ]
    for name, endpoint in report["endpoints"].items():
        lines.append(_row((name, endpoint["url"], endpoint["credentials_file"] or "none")))
    lines += ["", "## Checks", "", _row(("result", "check", "asked", "answered", "seconds"))]
    lines.append(_row("---" for _ in range(5)))
    for check in report["checks"]:
        cells = (check["result"], check["name"], check["asked"], check["answered"], f"{check['seconds']:.2f}")
        lines.append(_row(cells))
    if report["not_run"]:
        lines += ["", "## Not run", "", _row(("check", "reason")), _row(("---", "---"))]
        lines += [_row((entry["name"], entry["reason"])) for entry in report["not_run"]]
    lines += ["", "## Times", "", _row(("what", "seconds")), _row(("---", "---"))]
    for kind in ("phases", "components"):
        for name, seconds in report["timings"][kind].items():
            lines.append(_row((f"{kind[:-1]} {name}", f"{seconds:.1f}")))
    return "\n".join(lines) + "\n"


def _row(cells: Any) -> str:
    return "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in cells) + " |"


def junit(report: Mapping[str, Any]) -> str:
    """Return the checks in JUnit's XML."""
    groups, left_out = by_component(report["checks"]), by_component(report["not_run"])
    root = ET.Element("testsuites", name="kaap")
    for component in [*groups, *(name for name in left_out if name not in groups)]:
        checks, skipped = groups.get(component, []), left_out.get(component, [])
        failures = sum(check["result"] == "fail" for check in checks)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=component,
            tests=str(len(checks) + len(skipped)),
            failures=str(failures),
            skipped=str(len(skipped)),
            timestamp=report["generated"],
            time=f"{sum(check['seconds'] for check in checks):.3f}",
        )
        for check in checks:
            case = ET.SubElement(
                suite, "testcase", classname=component, name=check["name"], time=f"{check['seconds']:.3f}"
            )
            if check["result"] == "fail":
                ET.SubElement(case, "failure", message=_printable(check["answered"])).text = _printable(check["asked"])
        for entry in skipped:
            case = ET.SubElement(suite, "testcase", classname=component, name=entry["name"], time="0.000")
            ET.SubElement(case, "skipped", message=_printable(entry["reason"]))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _printable(text: str) -> str:
    """Return the text without the control characters that XML cannot hold."""
    return "".join(character if character.isprintable() or character in "\n\t" else "?" for character in text)


def write(report: Report, state_dir: Path) -> None:
    """Write report.json, report.md and junit.xml, each whole or not at all."""
    state_dir.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.json": json.dumps(report, indent=2, ensure_ascii=False) + "\n",
        "report.md": markdown(report),
        "junit.xml": junit(report),
    }
    for name, text in texts.items():
        temporary = state_dir / f".{name}.new"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(state_dir / name)
