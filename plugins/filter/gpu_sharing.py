"""Filter: what NVIDIA's operator wants for a way to share GPUs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import gpu

DOCUMENTATION = r"""
name: gpu_sharing
short_description: Turns a way to share GPUs into values of the GPU operator's chart
options:
  _input:
    description: V(none), V(time-slicing:N), V(mps:N) or V(mig:PROFILE).
    type: str
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show the layout of the cards
  ansible.builtin.debug:
    msg: "{{ ('mig:1g.10gb' | infn.kaap.gpu_sharing).mig_profile }}"
"""
RETURN = r"""
_value:
  description: C(device_plugin), C(mig_profile) and C(resource).
  type: dict
"""


def gpu_sharing(value: str) -> dict[str, Any]:
    """See :func:`module_utils.gpu.sharing`; its errors become errors of the template."""
    try:
        return gpu.sharing(value)
    except gpu.GpuError as error:
        raise AnsibleFilterError(f"kaap_gpu_sharing: {error}") from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"gpu_sharing": gpu_sharing}
