"""Filter: which components a deployment wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import waves as pure

DOCUMENTATION = r"""
name: wanted
short_description: Selects the components that a deployment wants
options:
  _input:
    description: Release records.
    type: list
    elements: dict
    required: true
  profile:
    description: V(core) takes the records of profile C(core), V(full) those of C(core) and C(full).
    type: str
    required: true
  overrides:
    description: By component name; C(enabled) adds a component or takes it out, whatever the profile.
    type: dict
    default: {}
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show what is wanted
  ansible.builtin.debug:
    msg: "{{ records | infn.kaap.wanted('core', {'kueue': {'enabled': false}}) | map(attribute='name') }}"
"""
RETURN = r"""
_value:
  description: The wanted records, in the order given.
  type: list
  elements: dict
"""


def wanted(
    records: Sequence[Mapping[str, Any]], profile: str, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Any]:
    """See :func:`module_utils.waves.select`; its errors become errors of the template."""
    try:
        return pure.select(records, profile, overrides)
    except pure.WaveError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"wanted": wanted}
