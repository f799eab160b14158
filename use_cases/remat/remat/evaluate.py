"""Figures: how often the model, and the baselines beside it, are right on each test set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import baseline
from .dataset import Data, Parameters, Real, typed, typed_otherwise
from .generate import Base
from .model import Answer
from .text import UNKNOWN

Predictor = Callable[[str], Answer]


@dataclass(frozen=True)
class Case:
    """One string to judge: what it is and what it should be."""

    split: str
    text: str
    label: str
    infn: bool
    source: str = ""


def strict_baseline(text: str) -> Answer:
    """Return the answer of the strict baseline (the word INFN and a table of sites)."""
    return Answer(baseline.predict(text), baseline.is_infn(text), 1.0)


def cases(data: Data, parameters: Parameters, real: Sequence[Real]) -> list[Case]:
    """Return every case of every test set, in a fixed order.

    `typed` is the figure that the use case is known for: typed variants of base strings that training never saw.
    """

    def of(split: str, pairs: Sequence[tuple[str, Base]]) -> list[Case]:
        return [Case(split, text, base.label, base.infn, base.template) for text, base in pairs]

    def clean(bases: Sequence[Base]) -> list[tuple[str, Base]]:
        return [(base.text, base) for base in bases]

    few = min(parameters.variants, 6)
    near = data.tests["near_names"]
    found = of("clean", clean(data.tests["typed"]))
    found += of("typed", typed(data.tests["typed"], parameters, min(parameters.variants, 12)))
    found += of("typed_otherwise", typed_otherwise(data.tests["typed"], parameters, min(parameters.variants, 3)))
    found += of("near_names", clean(near)) + of("near_names_typed", typed(near, parameters, few))
    for name in ("spellings", "templates"):
        found += of(name, clean(data.tests[name])) + of(f"{name}_typed", typed(data.tests[name], parameters, few))
    found += [Case("real", item.text, item.label, item.infn, item.source) for item in real]
    return found


def metrics(wanted: Sequence[tuple[str, bool]], given: Sequence[Answer]) -> dict[str, float | int]:
    """Return the figures of one set; `wanted` holds label and infn of each string.

    accuracy: label right. macro_f1: mean F1 over the labels that occur. unknown_recall: of strings whose label is
    Unknown, those called so. infn_recall: of strings with INFN, those said to have it. false_positives: of strings
    without INFN, the share said to have it or given a structure.
    """
    size = len(wanted)
    right = sum(answer.label == label for (label, _), answer in zip(wanted, given, strict=True))
    labels = {label for label, _ in wanted}
    scores = []
    for label in labels | {answer.label for answer in given}:
        hits = sum(answer.label == label == want for (want, _), answer in zip(wanted, given, strict=True))
        total = sum(answer.label == label for answer in given) + sum(want == label for want, _ in wanted)
        scores.append(2 * hits / total)
    found: dict[str, float | int] = {"strings": size, "accuracy": right / size, "macro_f1": sum(scores) / len(scores)}
    unknown = [answer.label == UNKNOWN for (label, _), answer in zip(wanted, given, strict=True) if label == UNKNOWN]
    if unknown:
        found["unknown_recall"] = sum(unknown) / len(unknown)
    inside = [answer.infn for (_, infn), answer in zip(wanted, given, strict=True) if infn]
    if inside:
        found["infn_recall"] = sum(inside) / len(inside)
    without = [answer for (_, infn), answer in zip(wanted, given, strict=True) if not infn]
    outside = [answer.infn or answer.label != UNKNOWN for answer in without]
    if outside:
        found["false_positives"] = sum(outside) / len(outside)
    return {name: value if isinstance(value, int) else round(value, 5) for name, value in found.items()}


def by_split(found: Sequence[Case], answers: Sequence[Answer]) -> dict[str, dict[str, float | int]]:
    """Return the figures of each split of `found`."""
    groups: dict[str, list[int]] = {}
    for at, case in enumerate(found):
        groups.setdefault(case.split, []).append(at)
    return {
        split: metrics([(found[at].label, found[at].infn) for at in places], [answers[at] for at in places])
        for split, places in groups.items()
    }


def triples(data: Data, predict: Predictor) -> dict[str, float | int]:
    """Return how many minimal triples are right in all three, and in each."""
    rights = [
        [predict(base.text).label == base.label for base in (triple.with_infn, triple.plain, triple.near)]
        for triple in data.triples
    ]
    size = len(rights)
    names = ("with_infn", "plain", "with_near_name")
    each = {name: round(sum(right[at] for right in rights) / size, 5) for at, name in enumerate(names)}
    return {"triples": size, "all_three": round(sum(all(right) for right in rights) / size, 5), **each}
