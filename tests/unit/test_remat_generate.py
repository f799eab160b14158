"""The data: deterministic, split before anything is typed wrongly, and never on the wrong side."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from remat import generate, lexicon
from remat.generate import Base, Generator, keeps_its_side, split_of, variants, withheld_variants
from remat.text import STRUCTURES, UNKNOWN, normal, words

INFN = Base("INFN Sezione di Bari, Bari, Italy", "BA", True, "section")


def test_same_seed_same_strings_and_another_seed_others() -> None:
    first, again, other = (Generator(seed).positives(300, set()) for seed in (1, 1, 2))
    assert first == again
    assert len({base.text for base in first} & {base.text for base in other}) < 150


def test_every_structure_is_there_about_equally_often() -> None:
    counts = Counter(base.label for base in Generator(3).positives(540, set()))
    assert set(counts) == set(STRUCTURES)
    assert min(counts.values()) == max(counts.values()) == 20


def test_normal_forms_are_unique_across_calls() -> None:
    seen: set[str] = set()
    maker = Generator(4)
    bases = maker.positives(300, seen) + maker.negatives(300, seen) + maker.nowhere(8, seen)
    assert len({normal(base.text) or base.text for base in bases}) == len(bases) == 608


def test_negatives_hold_no_infn() -> None:
    for base in Generator(5).negatives(600, set()):
        assert base.label == UNKNOWN and not base.infn
        assert "infn" not in words(base.text)


def test_asking_for_more_than_there_is_says_so() -> None:
    with pytest.raises(ValueError, match="only 1 of 5 different strings could be made: ask for fewer"):
        Generator(6)._collect(5, [lambda: INFN], set())


def test_variants_are_deterministic_different_and_typed() -> None:
    first = list(variants(INFN, 20, 7))
    assert first == list(variants(INFN, 20, 7))
    assert len(set(first)) == 20 and INFN.text not in first
    assert first != list(variants(INFN, 20, 8))


@pytest.mark.parametrize(
    ("text", "label", "infn", "typed"),
    [
        ("INFN Sezione di Bari", "BA", True, "INFM Sezione di Bari"),
        ("INFN Sezione di Bari", "BA", True, "INAF Sezione di Bari"),
        ("INFN, Laboratori Nazionali LNS", "LNS", True, "INFN, Laboratori Nazionali LNF"),
        ("INFN Sezione di Roma 2", "RM2", True, "INFN Sezione di Roma 3"),
        ("INFN Sezione di Roma 2", "RM2", True, "INFN Sezione di Roma"),
        ("INFM Unità di Bari", UNKNOWN, False, "INFN Unità di Bari"),
        ("INF Mat, Bari", UNKNOWN, False, "INFN at, Bari"),
        ("Univ Lecco, Italy", UNKNOWN, False, "Univ Lecce, Italy"),
    ],
)
def test_a_typing_error_never_makes_the_other_sides_word(text: str, label: str, infn: bool, typed: str) -> None:
    assert not keeps_its_side(Base(text, label, infn, "x"), typed)


def test_an_ordinary_typing_error_is_kept() -> None:
    assert keeps_its_side(INFN, "1NFN Seziome di Bari, Bari, Itally")


def test_no_variant_of_either_side_crosses() -> None:
    maker = Generator(9)
    for base in maker.positives(81, set()) + maker.negatives(80, set()):
        before = set(words(base.text))
        for typed in (*variants(base, 12, 9), *withheld_variants(base, 4, 9)):
            assert not (set(words(typed)) - before) & generate.DECIDING


def test_splits_are_by_normal_form_and_of_the_promised_sizes() -> None:
    assert split_of("I.N.F.N. - Bari") == split_of("infn bari")
    counts = Counter(split_of(base.text) for base in Generator(10).positives(1080, set()))
    assert 0.65 < counts["train"] / 1080 < 0.75 and 0.15 < counts["test"] / 1080 < 0.25


def test_withheld_typing_errors_are_not_among_the_usual_ones() -> None:
    assert not set(generate.TYPOS) & set(generate.WITHHELD_TYPOS)


def test_triples_share_one_body() -> None:
    for triple in islice(Generator(11, near=lexicon.NEAR_TEST).triples(20, set()), 20):
        assert triple.with_infn.infn and not triple.plain.infn and not triple.near.infn
        assert set(words(triple.plain.text)) <= set(words(triple.with_infn.text)) & set(words(triple.near.text))


def test_what_is_withheld_is_withheld() -> None:
    groups = [{near.key for near in part} for part in (lexicon.NEAR_TRAIN, lexicon.NEAR_DEV, lexicon.NEAR_TEST)]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    trained = {normal(text) for near in lexicon.NEAR_TRAIN for text in near.spellings}
    for near in (*lexicon.NEAR_DEV, *lexicon.NEAR_TEST):
        assert not trained & {normal(text) for text in near.spellings}, near.key
    assert not {normal(text) for text in lexicon.INFN_TRAIN} & {normal(text) for text in lexicon.INFN_TEST}
    assert not set(generate.WITHHELD_TEMPLATES.values()) & set(generate.SECTION_TEMPLATES.values())
