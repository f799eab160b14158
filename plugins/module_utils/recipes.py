"""Remembers from what each component was rendered when it was last applied: an unchanged one need not be again."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils.cache import hash_tree

NAME = "recipes.json"


class Recipes:
    """Digests of all that goes into the rendering of a component, kept on the controller.

    Not in the cluster, where others may read them: a digest of generated secrets is theirs to guess from.
    """

    def __init__(self, state_dir: Path, bundle: Path | None, root: Path | None) -> None:
        """Read what was kept.

        :param bundle: the bundle tree; its name is its digest.
        :param root: the repository, whose overlays take part.
        """
        self.path = state_dir / NAME
        self._lock = threading.Lock()
        overlays = hash_tree(root / "kustomize") if root and (root / "kustomize").is_dir() else ""
        self._common = [str(bundle), overlays]
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            kept = {}
        self._kept: dict[str, str] = kept if isinstance(kept, dict) else {}

    def digest(self, record: Mapping[str, Any]) -> str:
        """Of a record with all its templates resolved, the bundle and the overlays."""
        text = json.dumps([*self._common, record], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Was the component last applied from exactly this?"""
        return self._kept.get(str(record["name"])) == self.digest(record)

    def keep(self, record: Mapping[str, Any]) -> None:
        """Remember that it was, in a file of mode 0600."""
        with self._lock:
            self._kept[str(record["name"])] = self.digest(record)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_name(f".{NAME}.{os.getpid()}")
            temporary.touch(mode=0o600)
            temporary.write_text(json.dumps(self._kept, indent=2) + "\n", encoding="utf-8")
            temporary.replace(self.path)
