r"""The strict baseline: the word INFN, and a table of sites.

A model that does no better than these forty lines is not worth a cluster. It answers a structure only if the
word INFN stands in the string (`\bINFN\b`, any case); the structure is the one whose pattern matches first.
"""

from __future__ import annotations

import re

from .text import UNKNOWN, fold

# Laboratories and centres first: where one and a town begin at the same place, the laboratory is meant.
# Associated groups stand under the structure they belong to (sources: data/structures.yml).
SITES: tuple[tuple[str, str], ...] = (
    ("LNGS", r"lngs|(lab\w*\.? naz\w*\.? (del )?)?gran sasso|assergi|l'?\s?aquila"),
    ("LNF", r"lnf|frascati|cosenza|rende"),
    ("LNL", r"lnl|legnaro"),
    ("LNS", r"lns|lab\w*\.? naz\w*\.? (del )?sud"),
    ("CNAF", r"cnaf"),
    ("TIFPA", r"tifpa|trento|povo"),
    ("AC", r"amministrazione centrale|presidenza|headquarters|caprettari"),
    ("MIB", r"mil\w+ bicocca|bicocca|parma"),
    ("RM2", r"rom[ae] (2|ii|tor vergata)|tor vergata"),
    ("RM3", r"rom[ae] (3|iii|tre)"),
    ("RM1", r"rom[ae]( 1| i| la sapienza)?|sapienza|istituto superiore di sanita"),
    ("BA", r"bari"),
    ("BO", r"bologna"),
    ("CA", r"cagliari|monserrato"),
    ("CT", r"catania|messina"),
    ("FE", r"ferrara"),
    ("FI", r"firenze|florence|sesto fiorentino"),
    ("GE", r"genova|genoa"),
    ("LE", r"lecce"),
    ("MI", r"milano?"),
    ("NA", r"napoli|naples|salerno|fisciano"),
    ("PD", r"padova|padua"),
    ("PG", r"perugia"),
    ("PI", r"pisa|siena"),
    ("PV", r"pavia|brescia"),
    ("TO", r"torino|turin|alessandria"),
    ("TS", r"trieste|udine"),
)
_INFN = re.compile(r"\binfn\b")
_SITES = tuple((label, re.compile(rf"\b(?:{pattern})\b")) for label, pattern in SITES)


def is_infn(text: str) -> bool:
    """Return whether the word INFN stands in `text`."""
    return _INFN.search(fold(text)) is not None


def predict(text: str) -> str:
    """Return the structure that `text` names by the baseline's table, or `Unknown`."""
    folded = fold(text).replace("-", " ")
    if not _INFN.search(folded):
        return UNKNOWN
    found = [(match.start(), label) for label, pattern in _SITES if (match := pattern.search(folded))]
    # min() keeps the first of equals, so the order of the table decides.
    return min(found, key=lambda item: item[0])[1] if found else UNKNOWN
