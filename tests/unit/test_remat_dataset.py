"""The data of a run as files: nothing leaks, everything can be read back, every real string has its source."""

from __future__ import annotations

from pathlib import Path

import pytest
from remat import dataset
from remat.dataset import Parameters
from remat.text import UNKNOWN, normal

REAL = Path(__file__).resolve().parents[2] / "use_cases/remat/data/real_affiliations.tsv"
SMALL = Parameters(seed=1, positives=400, negatives=300, variants=3)


@pytest.fixture(scope="module")
def data() -> dataset.Data:
    return dataset.make(SMALL)


def test_the_same_parameters_make_the_same_data(data: dataset.Data) -> None:
    assert dataset.make(SMALL).digest == data.digest
    assert dataset.make(Parameters(2, 400, 300, 3)).digest != data.digest


def test_no_test_string_is_trained_on(data: dataset.Data) -> None:
    dataset.check_disjoint(data)
    leaking = dataset.Data(data.train, data.dev, {"typed": [data.train[0]]}, [], "")
    with pytest.raises(ValueError, match="1 strings of the test set typed are trained on"):
        dataset.check_disjoint(leaking)


def test_near_names_are_all_without_infn(data: dataset.Data) -> None:
    assert not any(base.infn for base in data.tests["near_names"])
    assert all(base.infn for name in ("spellings", "templates") for base in data.tests[name])


def test_data_is_read_back_as_written(data: dataset.Data, tmp_path: Path) -> None:
    dataset.write(data, tmp_path / "a.gz")
    dataset.write(data, tmp_path / "b.gz")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert dataset.read(tmp_path / "a.gz") == data


def test_variants_keep_their_base(data: dataset.Data) -> None:
    pairs = dataset.typed(data.tests["typed"][:20], SMALL)
    assert 40 < len(pairs) <= 60 and all(text != base.text for text, base in pairs)


@pytest.mark.parametrize("bad", [{"positives": 10}, {"negatives": 0}, {"variants": 0}])
def test_too_little_data_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be 200 at least"):
        Parameters(**bad)


def test_real_strings_are_many_and_each_has_its_page() -> None:
    real = dataset.read_real(REAL)
    assert len(real) >= 100
    assert sum(item.infn for item in real) >= 100
    assert sum(item.label == UNKNOWN for item in real) >= 100
    assert len({item.label for item in real}) >= 25
    assert all(len(item.source) > 10 for item in real)


def test_no_real_string_is_made() -> None:
    real = dataset.read_real(REAL)
    forms = {normal(item.text) for item in real}
    parameters = Parameters(1, 3000, 1500, 1)
    made = {normal(str(row["text"])) for row in dataset.rows(dataset.make(parameters))}
    assert made & forms, "this seed hits upon real strings, or the test proves nothing"
    assert not {normal(str(row["text"])) for row in dataset.rows(dataset.make(parameters, real))} & forms


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("INFN Bari\tXX\ttrue\thttps://example.org", "no known label"),
        ("INFN Bari\tBA\ttrue\t", "no source"),
        ("INFN Bari\tBA\tyes\thttps://example.org", "truth value"),
        ("INFN Bari\tBA\ttrue\thttps://example.org\nI.N.F.N. Bari\tBA\ttrue\thttps://example.org", "twice"),
    ],
)
def test_a_broken_table_is_refused(row: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "real.tsv"
    path.write_text(f"string\tlabel\tinfn\tsource\n{row}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=reason):
        dataset.read_real(path)
