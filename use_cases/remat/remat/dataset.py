"""The data of one run: base strings by split, and the test sets that hold what training never saw."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from . import lexicon
from .generate import Base, Generator, Triple, split_of, variants, withheld_variants
from .text import LABELS, normal


@dataclass(frozen=True)
class Parameters:
    """What a run can be asked for; its JSON is part of the run's name.

    `positives` and `negatives` count base strings, `variants` typed forms of each.
    """

    seed: int = 20250501
    positives: int = 6000
    negatives: int = 6000
    variants: int = 33

    def __post_init__(self) -> None:
        if min(self.positives, self.negatives) < 200 or self.variants < 1:
            raise ValueError(f"positives and negatives must be 200 at least and variants 1, not {self}")


@dataclass
class Data:
    """Base strings of each split, test sets of base strings, triples, and normal forms never to be trained on."""

    train: list[Base]
    dev: list[Base]
    tests: dict[str, list[Base]]
    triples: list[Triple]
    digest: str
    never: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Real:
    """One affiliation string read from a public page, and the label its own text has."""

    text: str
    label: str
    infn: bool
    source: str


def read_real(path: Path) -> list[Real]:
    """Read the table of real strings: columns string, label, infn, source, with one header line.

    Raises:
        ValueError: a line has an unknown label, no source, or stands twice.
    """
    found: list[Real] = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            real = Real(row["string"], row["label"], row["infn"] == "true", row["source"])
            if real.label not in LABELS or not real.source.strip() or row["infn"] not in ("true", "false"):
                raise ValueError(f"{path}: {row} has no known label, no truth value for infn or no source")
            found.append(real)
    forms = [normal(real.text) for real in found]
    twice = sorted({form for form in forms if forms.count(form) > 1})
    if twice:
        raise ValueError(f"{path}: these strings stand there twice: {twice[:3]}")
    return found


def make(parameters: Parameters, real: Sequence[Real] = ()) -> Data:
    """Make the data of a run; the same parameters make the same data. None of the `real` strings is made.

    The test sets: `typed` (base strings of the test split; the evaluation types them), `near_names`, `spellings`
    (of INFN and of the sites), `templates`.
    """
    seed = parameters.seed
    # The generator is realistic enough to hit upon real strings: those it leaves out.
    seen = {normal(item.text) for item in real}
    main = Generator(seed)
    nowhere = max(parameters.positives // 40, 5)
    bases = main.positives(parameters.positives - nowhere, seen)
    bases += main.nowhere(nowhere, seen)
    bases += main.negatives(parameters.negatives, seen)
    parts: dict[str, list[Base]] = {"train": [], "dev": [], "test": []}
    for base in bases:
        parts[split_of(base.text)].append(base)
    extra = max((parameters.positives + parameters.negatives) // 24, 100)

    def generator(purpose: str, **options: object) -> Generator:
        return Generator(seed, purpose=purpose, **options)  # type: ignore[arg-type]

    # Near-names that tune the threshold, and are neither trained on nor tested.
    parts["dev"] += generator("dev-near", near=lexicon.NEAR_DEV).negatives(extra // 2, seen, only_near=True)
    near = generator("near", near=lexicon.NEAR_TEST)
    tests = {
        "typed": parts["test"],
        # With INFN beside the near-name too: who calls everything Unknown gains nothing here.
        "near_names": near.negatives(extra, seen, only_near=True),
        "spellings": generator("spellings", infn=lexicon.INFN_TEST).positives(extra, seen)
        + generator("sites", withheld_names=True).positives(extra // 2, seen),
        "templates": generator("templates", withheld_templates=True).positives(extra, seen),
    }
    triples = generator("triples", near=lexicon.NEAR_TEST).triples(extra, seen)
    data = Data(parts["train"], parts["dev"], tests, triples, "")
    data.digest = digest(data)
    check_disjoint(data)
    return data


def check_disjoint(data: Data) -> None:
    """Refuse data in which a test string is, by its normal form, a training string.

    Raises:
        ValueError: some are; two are named.
    """
    trained = {normal(base.text) for base in (*data.train, *data.dev)}
    for name, bases in data.tests.items():
        both = sorted(trained & {normal(base.text) for base in bases})
        if both:
            raise ValueError(f"{len(both)} strings of the test set {name} are trained on, such as {both[:2]}")


def digest(data: Data) -> str:
    """Return the SHA-256 of all strings and labels of the run's data."""
    lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows(data)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def rows(data: Data) -> list[dict[str, object]]:
    """Return the data as one JSON-able object per base string."""
    parts = {"train": data.train, "dev": data.dev, **{f"test/{name}": bases for name, bases in data.tests.items()}}
    found: list[dict[str, object]] = [{"part": part, **asdict(base)} for part, bases in parts.items() for base in bases]
    for at, triple in enumerate(data.triples):
        kinds = ("with_infn", "plain", "near")
        found += [{"part": f"triple/{at}/{kind}", **asdict(getattr(triple, kind))} for kind in kinds]
    return found


def write(data: Data, path: Path) -> None:
    """Write the data as gzipped JSON lines (the same data gives the same bytes)."""
    text = "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows(data))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def read(path: Path) -> Data:
    """Read what `write` wrote."""
    data = Data([], [], {}, [], "")
    pending: dict[str, Base] = {}
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        row = json.loads(line)
        part = row.pop("part")
        base = Base(**row)
        if part.startswith("triple/"):
            pending[part.rpartition("/")[2]] = base
            if len(pending) == 3:
                data.triples.append(Triple(**pending))
                pending = {}
        elif part.startswith("test/"):
            data.tests.setdefault(part.removeprefix("test/"), []).append(base)
        else:
            (data.train if part == "train" else data.dev).append(base)
    data.digest = digest(data)
    return data


def typed(bases: Sequence[Base], parameters: Parameters, count: int | None = None) -> list[tuple[str, Base]]:
    """Return the typed variants of `bases`, each with its base."""
    each = parameters.variants if count is None else count
    return [(text, base) for base in bases for text in variants(base, each, parameters.seed)]


def typed_otherwise(bases: Sequence[Base], parameters: Parameters, count: int) -> list[tuple[str, Base]]:
    """Return variants with the typing errors that training never saw."""
    return [(text, base) for base in bases for text in withheld_variants(base, count, parameters.seed)]
