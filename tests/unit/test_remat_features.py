"""What the rules observe, with a vocabulary learned from the generator's training strings."""

from __future__ import annotations

import pytest
from remat.features import Reader, Vocabulary
from remat.generate import Generator


@pytest.fixture(scope="module")
def reader() -> Reader:
    maker = Generator(1)
    seen: set[str] = set()
    bases = maker.positives(1080, seen) + maker.negatives(800, seen)
    return Reader(Vocabulary.learn(base.text for base in bases))


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("INFN Frascati Natl Labs, I-00044 Frascati, Roma", "LNF"),
        ("INFN Sez, Lab Nazl Frascati, Rome", "LNF"),
        ("INFN Bari, Dept Phys, Bari, Italy", "BA"),
        ("Dipartimento di Fisica, Università di Pisa, Pisa, Italy, and INFN, Sezione di Genova, Genova, Italy", "GE"),
        ("INGV, Sezione di Bologna, Bologna, Italy; INFN, Bari, Italy", "BA"),
        ("INFN Sezione di Lecce and INFN Sezione di Bari", "LE"),
        ("INFN Sezione di Roma Tor Vergata, Roma", "RM2"),
        ("Univ Roma Tor Vergata & INFN, I-00133 Roma, Italy", "RM2"),
        ("INFN Milano-Bicocca, Milano", "MIB"),
        ("INFN Gruppo Collegato di Udine, Sezione di Trieste, Udine, Italy", "TS"),
        ("INFN, Via Roma 56, 53100 Siena", "PI"),
        ("INFN, Presidenza, Frascati", "AC"),
        ("INFN, Laboratori Nazionali del Sud, Via S. Sofia 62, Catania", "LNS"),
        ("INFN Sezoine di Ferara", "FE"),
        ("INFN Sezione diTrieste", "TS"),
        ("12INFN Sez Flor.", "FI"),
        ("INFN, Italy", "none"),
    ],
)
def test_the_site_that_is_named_first(reader: Reader, text: str, site: str) -> None:
    assert reader.read(text).resolved == site


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("INFN Bari", "A:exact"),
        ("I.N.F.N. Bari", "A:exact"),
        ("I N F N Bari", "A:exact"),
        ("1NFN Bari", "A:ocr"),
        ("NIFN Bari", "A:swap"),
        ("IN FN Bari", "A:split"),
        ("INFNBari", "A:exact"),
        ("INFNxyz", "A:glue"),
        ("Istituto Nazionale di Fisica Nucleare", "LF:full"),
        ("Ist Nazl Fis Nucl", "LF:full"),
        ("Institut National de Physique Nucléaire", "LF:full"),
        ("Istituto Nzaionale di Fisica Nculeare", "LF:full"),
        ("Laboratori Nazionali di Legnaro, Legnaro", "lab:full"),
    ],
)
def test_evidence_for_infn(reader: Reader, text: str, evidence: str) -> None:
    reading = reader.read(text)
    assert evidence in {kind for kind, _ in (*reading.evidence, *reader._laboratories(reading))}


@pytest.mark.parametrize(
    "text",
    [
        "INFM, Bari",
        "INAF, Osservatorio Astronomico di Brera",
        "CNRS/IN2P3, Orsay",
        "Institut National de Physique Nucléaire et de Physique des Particules",
        "National Institute for Physics and Nuclear Engineering",
        "Institute of Nuclear Physics PAN, Krakow",
        "MIT LNS, Cambridge",
        "Univ Padua, Agripolis, I-35020 Legnaro, Italy",
        "",
        "東京大学",
    ],
)
def test_no_evidence_in_near_names(reader: Reader, text: str) -> None:
    reading = reader.read(text)
    assert not reading.evidence and not reader._laboratories(reading)


def test_without_evidence_words_say_nothing(reader: Reader) -> None:
    first = reader.infn_features(reader.read("Instituto Nacional de Pesquisas Espaciais, Sezione di Bari"))
    assert first == reader.infn_features(reader.read("hello"))


def test_infn_is_never_the_result_of_a_correction(reader: Reader) -> None:
    for word in ("infx", "inpn", "ifin", "inf", "info", "infm"):
        assert reader.vocabulary.correct(word) != "infn"


def test_ten_million_characters_are_read_in_a_moment(reader: Reader) -> None:
    assert len(reader.read("INFN Bari " * 1_000_000).tokens) <= 400
