"""A model counts as trained only if the bucket holds all of it."""

from __future__ import annotations

import hashlib
import json

import pytest
from ansible_collections.infn.kaap.plugins.lookup.trained import is_complete
from ansible_collections.infn.kaap.plugins.module_utils.object_store import StoreError

WEIGHTS = b"weights"
CARD = json.dumps({"files": {"model.npz": {"sha256": hashlib.sha256(WEIGHTS).hexdigest()}}}).encode()


def bucket(**objects: bytes) -> bool:
    named = {"models/x/model-card.json": objects.get("card"), "models/x/model.npz": objects.get("weights")}

    def read(key: str) -> bytes:
        content = named[key]
        if content is None:
            raise StoreError(f"no {key}")
        return content

    return is_complete(read, "models/x")


def test_a_whole_model_is_trained() -> None:
    assert bucket(card=CARD, weights=WEIGHTS)


@pytest.mark.parametrize(
    "objects",
    [{}, {"card": CARD}, {"weights": WEIGHTS}, {"card": CARD, "weights": b"broken"}, {"card": b"{", "weights": WEIGHTS},
     {"card": b"{}", "weights": WEIGHTS}, {"card": b"[]", "weights": WEIGHTS}],
)  # fmt: skip
def test_a_part_of_a_model_is_not(objects: dict[str, bytes]) -> None:
    assert not bucket(**objects)
