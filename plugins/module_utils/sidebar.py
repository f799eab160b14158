"""The sidebar of the central dashboard, with links only to what a deployment has."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

# Of this repository, where the kustomize component has it too.
LINKS = Path("kustomize/sidebar/links.json")


def sidebar(text: str, enabled: Collection[str]) -> str:
    """Leave out the entries whose component is not there, and the key that says so.

    :param text: JSON, lists of entries by the dashboard's own names for them. An entry may have a key ``component``;
        one without it stays.
    :param enabled: names of the components that are wanted or provided.
    :returns: JSON for the key ``links`` of the ConfigMap ``centraldashboard-config``.
    """
    lists: dict[str, list[dict[str, Any]]] = json.loads(text)
    kept = {
        name: [
            {key: value for key, value in entry.items() if key != "component"}
            for entry in entries
            if "component" not in entry or entry["component"] in enabled
        ]
        for name, entries in lists.items()
    }
    return json.dumps(kept, indent=2, ensure_ascii=False) + "\n"
