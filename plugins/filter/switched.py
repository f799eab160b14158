"""Filter: changes to components, with the pod network's own component."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import pod_network

DOCUMENTATION = r"""
name: switched
short_description: Switches the pod network's component on or off by its setting
options:
  _input:
    description: Changes to components, as in C(kaap_components).
    type: dict
    required: true
  network:
    description: V(reference) or V(calico).
    type: str
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ kaap_components | infn.kaap.switched(kaap_cni) }}"
"""
RETURN = r"""
_value:
  description: The changes, with those of the pod network.
  type: dict
"""


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"switched": pod_network.switched}
