"""Amounts are read as Kubernetes reads them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import quantities


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("100m", "0.1"), (2, "2"), (0.5, "0.5"), ("1.5", "1.5"), ("32Gi", str(32 * 2**30)), ("1k", "1000"),
        ("2G", "2000000000"), ("1e3", "1000"), ("128974848", "128974848"), (" 4 ", "4"), (".5", "0.5"),
    ],
)  # fmt: skip
def test_quantity(text: Any, number: str) -> None:
    assert quantities.parse(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "32GB", "much", "1 Gi", "Gi", None, True, "1.2.3", "5mi"])
def test_what_is_no_quantity_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="is no quantity, such as 500m or 32Gi"):
        quantities.parse(text)


def test_for_people() -> None:
    assert quantities.cores(Decimal("1.250")) == "1.25"
    assert quantities.amount(1.5 * 2**30) == "1.5 GiB"
    assert quantities.amount(0) == "0 B"
    assert quantities.amount(4 * 2**40) == "4 TiB"
