"""The baseline is strict: the word INFN decides, a table of sites answers."""

from __future__ import annotations

import pytest
from remat import baseline
from remat.text import LABELS, STRUCTURES, UNKNOWN, fold, normal, words


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("INFN Frascati Natl Labs, I-00044 Frascati, Roma", "LNF"),
        ("INFN Sez, Lab Nazl Frascati, Rome", "LNF"),
        ("INFN Bari, Dept Phys, Bari, Italy", "BA"),
        ("I.N.F.N. Sezione di Bari", "BA"),
        ("Univ Siena, Dipartimento Fis, Pisa, Italy", UNKNOWN),
        ("INFN, Gruppo Collegato di Cosenza", "LNF"),
        ("INFN, Gruppo Collegato di Udine", "TS"),
        ("INFN Sezione di Roma Tor Vergata", "RM2"),
        ("INFN Sezione di Roma Tre", "RM3"),
        ("INFN Sezione di Roma", "RM1"),
        ("INFN Milano-Bicocca", "MIB"),
        ("INFN Milano", "MI"),
        ("INFN, Laboratori Nazionali del Sud, Catania", "LNS"),
        ("INFN Sezione di Lecce and INFN Sezione di Bari", "LE"),
        ("INFN, Italy", UNKNOWN),
        ("1NFN Sez, Laab Nazl Frascati", UNKNOWN),
        ("Istituto Nazionale di Fisica Nucleare, Bari", UNKNOWN),
        ("INFM, Unità di Bari", UNKNOWN),
    ],
)
def test_baseline_answers(text: str, label: str) -> None:
    assert baseline.predict(text) == label
    if label != UNKNOWN:
        assert baseline.is_infn(text)


def test_every_structure_has_a_site() -> None:
    assert {label for label, _ in baseline.SITES} == set(STRUCTURES)
    assert len(LABELS) == len(set(LABELS)) == 28


def test_normal_form_ignores_case_accents_and_punctuation() -> None:
    assert normal("I.N.F.N., Università di PISA") == normal("INFN - universita' di Pisa".replace("'", ""))
    assert words("Sanità—Gruppo") == ["sanita", "gruppo"]
    assert fold("I. N. F. N. Torino").split() == ["infn", "torino"]
