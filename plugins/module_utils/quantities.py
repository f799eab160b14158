"""Amounts as Kubernetes writes them: 100m, 1.5, 512Mi, 2G."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

FORM = re.compile(r"^([+-]?[0-9]+(?:\.[0-9]*)?|[+-]?\.[0-9]+)(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|[eE][+-]?[0-9]+)?$")
BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
DECIMAL = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


def parse(value: Any) -> Decimal:
    """The number that a quantity stands for.

    :raises ValueError: when it is none.
    """
    found = FORM.match(str(value).strip())
    if found is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is no quantity, such as 500m or 32Gi")
    number, unit = Decimal(found[1]), found[2] or ""
    if unit == "m":
        return number / 1000
    if unit[:1] in ("e", "E"):
        return number * Decimal(10) ** int(unit[1:])
    return number * {**BINARY, **DECIMAL}.get(unit, 1)


def cores(value: Decimal | float) -> str:
    """A number of CPUs for people: ``1.25``."""
    return f"{round(float(value), 3):g}"


def amount(value: Decimal | float) -> str:
    """A number of bytes for people: ``1.5 GiB``."""
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB" if size >= 10 else f"{size:.4g} TiB"
