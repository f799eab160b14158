"""Python packages for images: wheels unpacked beside a Debian Python, the same bytes every time.

pip downloads them (so its configuration counts); the unpacking is done here, because pip writes the
path of its own interpreter into scripts.
"""

from __future__ import annotations

import configparser
import fnmatch
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

INTERPRETER = "/usr/bin/python3"
SCRIPT = """#!{interpreter}
import sys
from {module} import {name}
if __name__ == "__main__":
    sys.exit({function}())
"""


def install(wheels: Sequence[Path], target: Path, exclude: Sequence[str] = (), *, scripts: bool = True) -> None:
    """Unpacks wheels into one directory that PYTHONPATH can name.

    Args:
        wheels: wheel files.
        target: directory; scripts go to its ``bin``.
        exclude: glob patterns of files left out, relative to the target.
        scripts: write the console scripts that the wheels declare.
    """
    target.mkdir(parents=True, exist_ok=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for item in sorted(archive.infolist(), key=lambda i: i.filename):
                place = destination(item.filename)
                if item.is_dir() or place is None or _excluded(place, exclude):
                    continue
                path = target / place
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(item) as source, path.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                script = place.startswith("bin/")
                if script:
                    _point_to_interpreter(path)
                executable = script or bool((item.external_attr >> 16) & 0o100)
                path.chmod(0o755 if executable else 0o644)
    if scripts:
        _console_scripts(target)


def destination(name: str) -> str | None:
    """Where a wheel's member goes below the target; None for what is not installed (C headers)."""
    parts = PurePosixPath(name).parts
    if ".." in parts or name.startswith("/"):
        raise ValueError(f"the wheel holds the name {name!r}, which leaves its directory")
    if len(parts) > 2 and parts[0].endswith(".data"):
        rest = "/".join(parts[2:])
        places = {"purelib": rest, "platlib": rest, "scripts": f"bin/{rest}", "data": rest}
        return places.get(parts[1])
    return name


def _excluded(place: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(place, pattern) for pattern in patterns)


def _point_to_interpreter(path: Path) -> None:
    content = path.read_bytes()
    first, _, rest = content.partition(b"\n")
    if first.startswith(b"#!python") or (first.startswith(b"#!") and b"python" in first):
        path.write_bytes(f"#!{INTERPRETER}\n".encode() + rest)


def _console_scripts(target: Path) -> None:
    for table in sorted(target.glob("*.dist-info/entry_points.txt")):
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(table.read_text(encoding="utf-8"))
        if not parser.has_section("console_scripts"):
            continue
        for script, point in parser.items("console_scripts"):
            module, _, function = point.split("[", maxsplit=1)[0].strip().partition(":")
            path = target / "bin" / script
            path.parent.mkdir(exist_ok=True)
            text = SCRIPT.format(
                interpreter=INTERPRETER, module=module, name=function.split(".", maxsplit=1)[0], function=function
            )
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755)
