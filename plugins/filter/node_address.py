"""Filter: the address of an embedded node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import embedded

DOCUMENTATION = r"""
name: node_address
short_description: The address of an embedded node
description: Takes the network of the nodes and the node's place in the inventory, from 0.
positional: _input, index
options:
  _input:
    description: IPv4 network of the nodes.
    type: str
    required: true
  index:
    description: Place of the node in the inventory, from 0.
    type: int
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
address: "{{ '10.89.7.0/24' | infn.kaap.node_address(0) }}" # 10.89.7.10
"""
RETURN = r"""
_value:
  description: The address.
  type: str
"""


def node_address(cidr: str, index: int) -> str:
    """Return the address.

    :raises AnsibleFilterError: when the network is too small or not one
    """
    try:
        return embedded.node_address(cidr, index)
    except embedded.EmbeddedError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"node_address": node_address}
