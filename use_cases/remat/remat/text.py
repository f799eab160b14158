"""Normal form of an affiliation string, shared by the baseline, the features and the splits."""

from __future__ import annotations

import re
import unicodedata

STRUCTURES: tuple[str, ...] = (
    "AC", "BA", "BO", "CA", "CNAF", "CT", "FE", "FI", "GE", "LE", "LNF", "LNGS", "LNL", "LNS", "MI", "MIB",
    "NA", "PD", "PG", "PI", "PV", "RM1", "RM2", "RM3", "TIFPA", "TO", "TS",
)  # fmt: skip
UNKNOWN = "Unknown"
LABELS: tuple[str, ...] = (*STRUCTURES, UNKNOWN)

# An affiliation is a line or two; what follows cannot change which structure is named first.
MAX_CHARS = 4000

_LIGATURES = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d",
     "ð": "d", "ı": "i",
     "’": "'", "‘": "'", "`": "'", "´": "'", "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-"}
)  # fmt: skip
_NOT_WORD = re.compile(r"[^0-9a-z]+")


def fold(text: str) -> str:
    """Return `text` in lower case without accents and typographic variants, its punctuation kept.

    Dotted capitals are joined ("I.N.F.N." becomes "infn"), because the dots carry no meaning.
    """
    text = text[:MAX_CHARS].translate(_LIGATURES)
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in text if not unicodedata.combining(char)).translate(_LIGATURES)
    text = _DOTTED.sub(lambda found: re.sub(r"[.\s]", "", found.group(0)) + " ", text)
    return text.lower()


_DOTTED = re.compile(r"\b(?:[A-Z]\.\s?){2,}(?:[A-Z]\b(?!['.\w]))?")


def words(text: str) -> list[str]:
    """Return the words of `text`: runs of ASCII letters and digits of its folded form."""
    return [word for word in _NOT_WORD.split(fold(text)) if word]


def normal(text: str) -> str:
    """Return the normal form by which two strings count as the same base string."""
    return " ".join(words(text))
