"""Filter: how many copies of a volume there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import longhorn

DOCUMENTATION = r"""
name: longhorn_replicas
short_description: Says how many copies of a volume Longhorn keeps
options:
  _input:
    description: The wanted number; 0 leaves it to the number of nodes.
    type: int
    required: true
  nodes:
    description: Number of nodes that hold volumes.
    type: int
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Two nodes keep two copies
  ansible.builtin.debug:
    msg: "{{ 0 | infn.kaap.longhorn_replicas(2) }}"
"""
RETURN = r"""
_value:
  description: Number of copies, 1 at least.
  type: int
"""


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"longhorn_replicas": longhorn.replicas}
