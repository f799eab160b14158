"""Filter: in which waves components are installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import waves as pure

DOCUMENTATION = r"""
name: waves
short_description: Orders components into waves by what they need
description:
  - Components of one wave need nothing of each other and are installed side by side.
options:
  _input:
    description: Records with C(name) and perhaps C(needs).
    type: list
    elements: dict
    required: true
  only:
    description: Limits the result to these components; what they need counts as there already. Empty means all.
    type: list
    elements: str
    default: []
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show the order
  ansible.builtin.debug:
    msg: "{{ component_records | infn.kaap.waves | map('map', attribute='name') }}"
"""
RETURN = r"""
_value:
  description: The records, as a list of lists.
  type: list
"""


def waves(records: Sequence[Mapping[str, Any]], only: Sequence[str] = ()) -> list[list[Any]]:
    """See :func:`module_utils.waves.waves`; its errors become errors of the template."""
    try:
        return pure.waves(pure.only(records, only), [str(record["name"]) for record in records] if only else ())
    except pure.WaveError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"waves": waves}
