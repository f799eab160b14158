"""Training and judging: what a run leaves, and that its figures can be trusted."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from remat import dataset, evaluate, train
from remat.features import Vocabulary
from remat.model import Answer, Model
from remat.text import LABELS, UNKNOWN


def test_a_run_leaves_model_card_and_predictions(trained: Path) -> None:
    card = json.loads((trained / train.CARD).read_text(encoding="utf-8"))
    assert card["seed"] == dataset.Parameters().seed and len(card["data"]["sha256"]) == 64
    for name, file in card["files"].items():
        assert hashlib.sha256((trained / name).read_bytes()).hexdigest() == file["sha256"]
    splits = {"clean", "typed", "typed_otherwise", "near_names", "spellings", "templates", "real", "triples"}
    for predictor in ("model", "strict_baseline", "no_augmentation"):
        assert splits <= set(card["metrics"][predictor])
    lines = gzip.decompress((trained / "held-out-predictions.jsonl.gz").read_bytes()).decode().splitlines()
    assert len(lines) == sum(row["strings"] for row in card["metrics"]["model"].values() if "strings" in row)
    assert "| typed |" in (trained / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_even_a_small_model_beats_the_baseline(trained: Path) -> None:
    metrics = json.loads((trained / train.CARD).read_text(encoding="utf-8"))["metrics"]
    model, baseline = metrics["model"], metrics["strict_baseline"]
    assert model["typed"]["accuracy"] > 0.93 > baseline["typed"]["accuracy"]
    assert model["typed"]["macro_f1"] > baseline["typed"]["macro_f1"]
    assert model["near_names"]["false_positives"] <= 0.05


def test_a_model_is_read_back_as_it_answers(trained: Path, tmp_path: Path) -> None:
    model = Model.load(trained)
    model.save(tmp_path)
    again = Model.load(tmp_path)
    for text in ("INFN Sezione di Pisa", "1NFN Sez, Laab Nazl Frascati", "hello", ""):
        assert model.predict(text) == again.predict(text)


def test_a_model_of_another_format_is_refused(trained: Path, tmp_path: Path) -> None:
    for name in ("model.npz", "model.json"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    meta = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    (tmp_path / "model.json").write_text(json.dumps({**meta, "format": 99}), encoding="utf-8")
    with pytest.raises(ValueError, match="not a ReMAT model of format"):
        Model.load(tmp_path)


def test_weights_of_another_shape_are_refused() -> None:
    empty = np.zeros(3, dtype=np.float32)
    with pytest.raises(ValueError, match="are not this code's"):
        Model(Vocabulary({}), empty, 0.0, np.zeros((3, len(LABELS)), dtype=np.float32), empty)


def test_metrics_of_a_known_case() -> None:
    wanted = [("BA", True), ("BA", True), (UNKNOWN, False), (UNKNOWN, False), (UNKNOWN, True)]
    given = [Answer(label, infn, 1.0) for label, infn in
             (("BA", True), ("PI", True), (UNKNOWN, False), ("BA", True), (UNKNOWN, True))]  # fmt: skip
    assert evaluate.metrics(wanted, given) == {
        "strings": 5,
        "accuracy": 0.6,
        "macro_f1": pytest.approx((0.5 + 0.8 + 0.0) / 3, abs=1e-5),
        "unknown_recall": pytest.approx(2 / 3, abs=1e-5),
        "infn_recall": 1.0,
        "false_positives": 0.5,
    }


def test_triples_count_only_when_all_three_are_right() -> None:
    data = dataset.make(dataset.Parameters(1, 300, 300, 1))
    always = evaluate.triples(data, lambda text: Answer(UNKNOWN, False, 1.0))
    assert always["all_three"] == 0.0 and always["plain"] == always["with_near_name"] == 1.0


def test_training_is_deterministic(tmp_path: Path) -> None:
    parameters = dataset.Parameters(5, 300, 300, 2)
    digests = set()
    for name in ("a", "b"):
        train.fit(dataset.make(parameters), parameters, jobs=2).save(tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name / "model.npz").read_bytes()).hexdigest())
    assert len(digests) == 1


class Bucket:
    """A bucket in memory, with the methods of store.Store."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def exists(self, key: str) -> bool:
        return key in self.objects

    def read(self, key: str) -> bytes:
        return self.objects[key]

    def upload(self, path: Path, key: str) -> None:
        self.objects[key] = path.read_bytes()

    def download(self, key: str, path: Path) -> None:
        path.write_bytes(self.objects[key])


def test_a_complete_model_is_known_and_a_broken_one_too(trained: Path) -> None:
    bucket = Bucket({f"models/x/{file.name}": file.read_bytes() for file in trained.iterdir() if file.is_file()})
    assert train._is_complete(bucket, "models/x")  # type: ignore[arg-type]
    bucket.objects["models/x/model.npz"] = b"broken"
    assert not train._is_complete(bucket, "models/x")  # type: ignore[arg-type]
    del bucket.objects[f"models/x/{train.CARD}"]
    assert not train._is_complete(bucket, "models/x")  # type: ignore[arg-type]


def test_data_of_another_digest_in_the_bucket_is_refused(tmp_path: Path) -> None:
    data = dataset.make(dataset.Parameters(1, 300, 300, 1))
    other = dataset.make(dataset.Parameters(2, 300, 300, 1))
    bucket = Bucket({})
    local = tmp_path / "base.gz"
    assert train._through_the_bucket(data, bucket, local) == data  # type: ignore[arg-type]
    dataset.write(other, local)
    bucket.upload(local, f"data/{data.digest}/base-strings.jsonl.gz")
    with pytest.raises(ValueError, match="holds other data"):
        train._through_the_bucket(data, bucket, local)  # type: ignore[arg-type]
