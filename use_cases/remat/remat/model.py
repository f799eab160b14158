"""The model: two linear heads over hashed features. Predicting needs numpy only.

The first head says whether INFN is in the string, the second which structure; the answer is `Unknown` unless the
first is sure and the second names one. A directory holds the model: `model.npz` (weights), `model.json` (labels,
vocabulary, threshold, temperature).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .features import HASH_BITS_INFN, HASH_BITS_SITE, Reader, Vocabulary
from .text import LABELS, UNKNOWN

FORMAT = 1


@dataclass(frozen=True)
class Answer:
    """What the model says of one string; `probability` (0 to 1) is that of the label given."""

    label: str
    infn: bool
    probability: float


class Model:
    """A trained model. Thread-safe: predicting changes nothing but caches."""

    def __init__(  # noqa: PLR0917  what a saved model holds
        self,
        vocabulary: Vocabulary,
        infn_weights: NDArray[np.float32],
        infn_bias: float,
        site_weights: NDArray[np.float32],
        site_bias: NDArray[np.float32],
        threshold: float = 0.5,
        temperature: float = 1.0,
    ) -> None:
        if infn_weights.shape != (1 << HASH_BITS_INFN,) or site_weights.shape != (1 << HASH_BITS_SITE, len(LABELS)):
            raise ValueError(f"weights of shapes {infn_weights.shape} and {site_weights.shape} are not this code's")
        self.reader = Reader(vocabulary)
        self.threshold = threshold
        self.temperature = temperature
        self._infn_weights, self._infn_bias = infn_weights, infn_bias
        self._site_weights, self._site_bias = site_weights, site_bias
        self._unknown = LABELS.index(UNKNOWN)

    def predict(self, text: str) -> Answer:
        """Return the answer for one string."""
        reading = self.reader.read(text)
        infn = self.infn_probability(self.reader.infn_features(reading))
        if infn < self.threshold:
            return Answer(UNKNOWN, False, 1.0 - infn)
        sites = self.site_probabilities(self.reader.site_features(reading))
        best = int(sites.argmax())
        return Answer(LABELS[best], True, infn * float(sites[best]))

    def predict_many(self, texts: Sequence[str]) -> list[Answer]:
        """Return the answers for many strings, in order."""
        return [self.predict(text) for text in texts]

    def infn_probability(self, indices: list[int]) -> float:
        """Return the probability that INFN is in the string with these features."""
        score = float(self._infn_weights[indices].sum()) + self._infn_bias
        return float(1.0 / (1.0 + np.exp(-np.clip(score, -60.0, 60.0))))

    def site_probabilities(self, indices: list[int]) -> NDArray[np.float32]:
        """Return the probability of each label for a string with these features, given that INFN is in it."""
        scores = (self._site_weights[indices].sum(axis=0) + self._site_bias) * np.float32(self.temperature)
        scores = np.exp(scores - scores.max())
        return np.asarray(scores / scores.sum(), dtype=np.float32)

    def save(self, directory: Path) -> None:
        """Write the model into `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        # Most hashes are never met: only the rows in use are kept, in half precision.
        used = np.flatnonzero(np.abs(self._site_weights).max(axis=1) > 1e-3).astype(np.int32)
        np.savez_compressed(
            directory / "model.npz",
            infn=self._infn_weights.astype(np.float16),
            infn_bias=np.float32(self._infn_bias),
            site_rows=used,
            site=self._site_weights[used].astype(np.float16),
            site_bias=self._site_bias.astype(np.float32),
        )
        meta = {
            "format": FORMAT,
            "labels": list(LABELS),
            "threshold": self.threshold,
            "temperature": self.temperature,
            "vocabulary": self.reader.vocabulary.counts,
        }
        (directory / "model.json").write_text(json.dumps(meta, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Model:
        """Read a model from `directory`.

        Raises:
            ValueError: the files are not a model of this format.
            OSError: they cannot be read.
        """
        meta: dict[str, Any] = json.loads((directory / "model.json").read_text(encoding="utf-8"))
        if meta.get("format") != FORMAT or meta.get("labels") != list(LABELS):
            raise ValueError(f"{directory}/model.json is not a ReMAT model of format {FORMAT}")
        with np.load(directory / "model.npz", allow_pickle=False) as arrays:
            site = np.zeros((1 << HASH_BITS_SITE, len(LABELS)), dtype=np.float32)
            site[arrays["site_rows"]] = arrays["site"]
            return cls(
                Vocabulary(meta["vocabulary"]),
                arrays["infn"].astype(np.float32),
                float(arrays["infn_bias"]),
                site,
                arrays["site_bias"],
                float(meta["threshold"]),
                float(meta["temperature"]),
            )
