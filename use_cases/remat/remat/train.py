"""The training job: make the data, fit the two heads, judge them, leave everything in the bucket.

    python -m remat.train --output /tmp/model                 # on a laptop
    python -m remat.train --s3-prefix models/abc              # in the cluster; see `store.py` for its environment

Fits with scikit-learn on the CPU; the model it leaves needs numpy only.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import multiprocessing
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import SGDClassifier

from . import dataset, evaluate, generate
from .features import HASH_BITS_INFN, HASH_BITS_SITE, Reader, Vocabulary
from .generate import Base
from .model import Answer, Model
from .store import Store
from .text import LABELS, normal

# False positives are dearer than misses: a wrong structure enters the catalogue, an Unknown is looked at by a person.
# So the threshold is as high as the dev split allows for this share of the strings with INFN.
DEV_RECALL_GIVEN_UP = 0.001

CARD = "model-card.json"
REAL = Path("data/real_affiliations.tsv")
_started = time.monotonic()


def log(message: str, **values: object) -> None:
    """Print one line of progress: seconds since the start, what is done, and figures."""
    figures = " ".join(f"{name}={value}" for name, value in values.items())
    print(f"{time.monotonic() - _started:7.1f}s  {message}  {figures}".rstrip(), flush=True)


# --- features, side by side -----------------------------------------------------------------------------------------
_reader: Reader | None = None
_never: frozenset[str] = frozenset()


def _start(vocabulary: dict[str, int], never: frozenset[str]) -> None:
    global _reader, _never
    _reader, _never = Reader(Vocabulary(vocabulary)), never


def _work(task: tuple[Base, int, int]) -> list[tuple[list[int], list[int] | None]]:
    """Return the features of a base string and of its typed variants; those of the site only where INFN is."""
    assert _reader is not None  # noqa: S101  set by _start in each worker
    base, count, seed = task
    found: list[tuple[list[int], list[int] | None]] = []
    for text in (base.text, *generate.variants(base, count, seed)):
        if normal(text) in _never:
            continue
        reading = _reader.read(text)
        found.append((_reader.infn_features(reading), _reader.site_features(reading) if base.infn else None))
    return found


class Matrix:
    """Rows of hashed features, collected into a sparse matrix of ones."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._indices: list[NDArray[np.int32]] = []
        self._lengths: list[int] = [0]
        self.targets: list[int] = []
        self.weights: list[float] = []

    def add(self, indices: list[int], target: int, weight: float) -> None:
        """Append one row."""
        self._indices.append(np.asarray(indices, dtype=np.int32))
        self._lengths.append(len(indices))
        self.targets.append(target)
        self.weights.append(weight)

    def sparse(self) -> csr_matrix:
        """Return the matrix."""
        indices = np.concatenate(self._indices)
        pointers = np.cumsum(self._lengths)
        shape = (len(self.targets), 1 << self._bits)
        return csr_matrix((np.ones(len(indices), dtype=np.float32), indices, pointers), shape=shape)


def _collect(
    data: dataset.Data, parameters: dataset.Parameters, vocabulary: Vocabulary, jobs: int
) -> tuple[Matrix, Matrix]:
    """Type the base strings of the training split and return the rows of both heads."""
    bases = data.train
    infn, site = Matrix(HASH_BITS_INFN), Matrix(HASH_BITS_SITE)
    tasks = [(base, parameters.variants, parameters.seed) for base in bases]
    with multiprocessing.get_context("fork").Pool(jobs, _start, (vocabulary.counts, data.never)) as pool:
        for at, (base, rows) in enumerate(zip(bases, pool.imap(_work, tasks, chunksize=32), strict=True), 1):
            for place, (of_infn, of_site) in enumerate(rows):
                # The string as its author meant it weighs as much as a few typing errors.
                weight = 3.0 if place == 0 else 1.0
                infn.add(of_infn, int(base.infn), weight)
                if of_site is not None:
                    site.add(of_site, LABELS.index(base.label), weight)
            if at % 2000 == 0:
                log("typed and read", base_strings=at, of=len(bases), rows=len(infn.targets))
    return infn, site


def fit(data: dataset.Data, parameters: dataset.Parameters, jobs: int = 2) -> Model:
    """Return the model fitted to the training split, its threshold and temperature tuned on the dev split."""
    vocabulary = Vocabulary.learn(base.text for base in data.train)
    log("vocabulary learned", words=len(vocabulary.counts))
    infn, site = _collect(data, parameters, vocabulary, jobs)
    log("features made", infn_rows=len(infn.targets), site_rows=len(site.targets))
    state = parameters.seed % 2**31
    head = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=5, tol=None, average=True, random_state=state)
    head.fit(infn.sparse(), infn.targets, sample_weight=infn.weights)
    log("fitted: is INFN in it?")
    heads = SGDClassifier(
        loss="log_loss", alpha=1e-5, max_iter=3, tol=None, average=True, n_jobs=jobs, random_state=state
    )
    heads.fit(site.sparse(), site.targets, sample_weight=site.weights)
    log("fitted: which structure?")
    weights = np.zeros((1 << HASH_BITS_SITE, len(LABELS)), dtype=np.float32)
    bias = np.full(len(LABELS), -30.0, dtype=np.float32)
    for row, label in enumerate(heads.classes_):
        weights[:, label] = heads.coef_[row]
        bias[label] = heads.intercept_[row]
    model = Model(vocabulary, head.coef_[0].astype(np.float32), float(head.intercept_[0]), weights, bias)
    _tune(model, data, parameters)
    return model


def _tune(model: Model, data: dataset.Data, parameters: dataset.Parameters) -> None:
    """Set the threshold (few false positives) and the temperature (honest probabilities) on the dev split."""
    pairs = [(base.text, base) for base in data.dev] + dataset.typed(data.dev, parameters, min(parameters.variants, 5))
    inside: list[float] = []
    scores: list[NDArray[np.float32]] = []
    truths: list[int] = []
    for text, base in pairs:
        if base.infn:
            reading = model.reader.read(text)
            inside.append(model.infn_probability(model.reader.infn_features(reading)))
            scores.append(np.log(model.site_probabilities(model.reader.site_features(reading)) + 1e-12))
            truths.append(LABELS.index(base.label))

    def recall(threshold: float) -> float:
        return sum(probability >= threshold for probability in inside) / len(inside)

    least = recall(0.5) - DEV_RECALL_GIVEN_UP
    model.threshold = max(level for level in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95) if recall(level) >= least)
    table, truth = np.array(scores), np.array(truths)

    def loss(temperature: float) -> float:
        scaled = table * temperature
        scaled = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
        return float(-scaled[np.arange(len(truth)), truth].mean())

    model.temperature = min((0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0), key=loss)
    log("tuned on dev", threshold=model.threshold, temperature=model.temperature, strings=len(pairs))


# --- judging ---------------------------------------------------------------------------------------------------------
_model: Model | None = None


def _use(model: Model) -> None:
    global _model  # noqa: PLW0603  one model per worker process
    _model = model


def _answer(text: str) -> Answer:
    assert _model is not None  # noqa: S101  set by _use in each worker
    return _model.predict(text)


def judge(
    model: Model, data: dataset.Data, parameters: dataset.Parameters, real: Sequence[dataset.Real], jobs: int = 2
) -> tuple[dict[str, Any], list[tuple[evaluate.Case, Answer]]]:
    """Return the figures of the model and of the baselines on every test set, and each held-out answer."""
    found = evaluate.cases(data, parameters, real)
    texts = [case.text for case in found]
    with multiprocessing.get_context("fork").Pool(jobs, _use, (model,)) as pool:
        answers = pool.map(_answer, texts, chunksize=500)
    log("answered the test sets", strings=len(texts))
    plain_parameters = dataset.Parameters(parameters.seed, parameters.positives, parameters.negatives, 1)
    plain = fit_without_typos(data, plain_parameters, jobs)
    rows: dict[str, Any] = {"model": evaluate.by_split(found, answers)}
    rows["model"]["triples"] = evaluate.triples(data, model.predict)
    for name, predict in (("strict_baseline", evaluate.strict_baseline), ("no_augmentation", plain.predict)):
        # The large set of typed strings is judged on every fourth one: the figures differ in the third decimal.
        every = 1 if name == "strict_baseline" else 4
        part = [at for at, case in enumerate(found) if case.split != "typed" or at % every == 0]
        rows[name] = evaluate.by_split([found[at] for at in part], [predict(texts[at]) for at in part])
        rows[name]["triples"] = evaluate.triples(data, predict)
        log(f"judged {name}")
    return rows, list(zip(found, answers, strict=True))


def fit_without_typos(data: dataset.Data, parameters: dataset.Parameters, jobs: int) -> Model:
    """Return the same model trained on the base strings alone: what augmentation is worth."""
    return fit(dataset.Data(data.train, data.dev, data.tests, data.triples, data.digest, data.never), parameters, jobs)


def card(
    parameters: dataset.Parameters, data: dataset.Data, model: Model, figures: dict[str, Any], code: str
) -> dict[str, Any]:
    """Return the model card: what the model is, what it was made of, and how good it is."""
    return {
        "name": "remat",
        "task": "affiliation string -> INFN structure or Unknown",
        "kind": "two linear heads over hashed character n-grams, words and rule-made observations",
        "rules": "Features note INFN evidence and the site named first, from the training part of the lexicon.",
        "code": code,
        "seed": parameters.seed,
        "parameters": asdict(parameters),
        "data": {
            "sha256": data.digest,
            "origin": "synthetic, made by remat.generate; real strings are used for judging only",
            "train_base_strings": len(data.train),
            "dev_base_strings": len(data.dev),
            "test_base_strings": {name: len(bases) for name, bases in data.tests.items()},
        },
        "threshold": model.threshold,
        "temperature": model.temperature,
        "labels": list(LABELS),
        "metrics": figures,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "limits": [
            "The synthetic figures say nothing about the 97% of AffiliationsTC 1.0.3, whose data is not public.",
            "A string that names INFN and no site is Unknown with infn true.",
        ],
    }


def _is_complete(store: Store, prefix: str) -> bool:
    """Return whether a run left everything under `prefix`: the card, and each file as the card describes it."""
    if not store.exists(f"{prefix}/{CARD}"):
        return False
    described = json.loads(store.read(f"{prefix}/{CARD}"))["files"]

    def holds(name: str, wanted: str) -> bool:
        key = f"{prefix}/{name}"
        return store.exists(key) and hashlib.sha256(store.read(key)).hexdigest() == wanted

    return all(holds(name, file["sha256"]) for name, file in described.items())


def card_text(made: dict[str, Any]) -> str:
    """Return the model card as Markdown: one table per test set of figures."""
    origin = f"Code {made['code']}, seed {made['seed']}, data sha256 {made['data']['sha256']}."
    lines = [f"# {made['name']}", "", made["task"] + ".", "", origin, ""]
    metrics = made["metrics"]
    heads = ("accuracy", "macro-F1", "false positives")
    columns = ("set", "strings", *heads, *(f"baseline {head}" for head in heads))
    lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for split, own in metrics["model"].items():
        if split == "triples":
            continue
        other = metrics["strict_baseline"][split]
        keys = ("accuracy", "macro_f1", "false_positives")
        cells = [f"{row[key]:.4f}" if key in row else "-" for row in (own, other) for key in keys]
        lines.append(f"| {split} | {own['strings']} | {' | '.join(cells)} |")
    for name, row in metrics.items():
        triples = row["triples"]
        lines.append(f"\nTriples, {name}: {triples['all_three']:.4f} of {triples['triples']} right in all three.")
    return "\n".join([*lines, "", *(f"- {line}" for line in made["limits"])]) + "\n"


def _through_the_bucket(data: dataset.Data, store: Store, local: Path) -> dataset.Data:
    """Return `data` as the bucket holds it, writing it there first if it is not there.

    What is trained on is what lies in the bucket, not what this process remembers.
    """
    key = f"data/{data.digest}/base-strings.jsonl.gz"
    if not store.exists(key):
        dataset.write(data, local)
        store.upload(local, key)
        log("data written", key=key, bytes=local.stat().st_size)
    store.download(key, local)
    found = dataset.read(local)
    if found.digest != data.digest:
        raise ValueError(f"{key} holds other data ({found.digest}) than its name says")
    log("data read back", key=key)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the training job; returns the exit status."""
    defaults = dataset.Parameters()
    parser = argparse.ArgumentParser(prog="remat.train", description="Train ReMAT.")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--positives", type=int, default=defaults.positives, help="base strings with INFN")
    parser.add_argument("--negatives", type=int, default=defaults.negatives, help="base strings without")
    parser.add_argument("--variants", type=int, default=defaults.variants, help="typed forms of each base string")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--real", type=Path, default=REAL, help="real strings, for judging only")
    parser.add_argument("--code", default="unknown", help="version of the code, for the model card")
    parser.add_argument("--output", type=Path, help="directory for the results")
    parser.add_argument("--s3-prefix", help="key prefix in the bucket of S3_BUCKET for the results")
    options = parser.parse_args(arguments)
    parameters = dataset.Parameters(options.seed, options.positives, options.negatives, options.variants)
    store = Store.from_environment() if options.s3_prefix else None
    if store and _is_complete(store, options.s3_prefix):
        log("there is a model of the same image and parameters already", prefix=options.s3_prefix)
        return 0

    with tempfile.TemporaryDirectory() as scratch:
        output: Path = options.output or Path(scratch) / "model"
        output.mkdir(parents=True, exist_ok=True)
        real = dataset.read_real(options.real)
        data = dataset.make(parameters, real)
        log("data made", train=len(data.train), dev=len(data.dev), sha256=data.digest[:12])
        if store:
            data = _through_the_bucket(data, store, Path(scratch) / "base-strings.jsonl.gz")
        data.never = frozenset(normal(item.text) for item in real)
        model = fit(data, parameters, options.jobs)
        model.save(output)
        model = Model.load(output)  # judged as it will be served, in half precision
        figures, held_out = judge(model, data, parameters, real, options.jobs)
        for split, row in figures["model"].items():
            log(f"model on {split}", **row)
        made = card(parameters, data, model, figures, options.code)
        (output / "MODEL_CARD.md").write_text(card_text(made), encoding="utf-8")
        held = ({**asdict(case), "predicted": asdict(answer)} for case, answer in held_out)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in held)
        (output / "held-out-predictions.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
        made["files"] = {
            file.name: {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "bytes": file.stat().st_size}
            for file in sorted(output.iterdir())
        }
        (output / CARD).write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if store:
            # The card last: where it is, everything is.
            for name in (*made["files"], CARD):
                store.upload(output / name, f"{options.s3_prefix}/{name}")
                log("uploaded", key=f"{options.s3_prefix}/{name}", bytes=(output / name).stat().st_size)
    log("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
