"""The pod network that a deployment chose, as the components see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COMPONENT = "calico"


def switched(components: Mapping[str, Any], network: str) -> dict[str, Any]:
    """The changes to components, with the pod network's own component switched by its setting.

    :param components: kaap_components.
    :param network: kaap_cni, ``reference`` or ``calico``.
    """
    own = {**(components.get(COMPONENT) or {}), "enabled": network == COMPONENT}
    return {**components, COMPONENT: own}
