"""Filter: which components a deployment wants, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import waves

DOCUMENTATION = r"""
name: selection
short_description: Says which components a deployment wants, and in which order they are installed
description:
  - Of each record only C(name), C(version), C(profile), C(needs), C(after), C(replaced_by) and C(definitions) are read,
    so that no template in it is evaluated.
options:
  _input:
    description: Release records of components.
    type: list
    elements: dict
    required: true
  profile:
    description: V(core) takes the records of profile C(core), V(full) those of C(core) and C(full).
    type: str
    required: true
  overrides:
    description:
      - By component name. C(enabled) adds a component or takes it out, whatever the profile; C(provided) says that the
        cluster has it already.
    type: dict
    default: {}
  only:
    description: Limits the waves to these components; what they need counts as there already. Empty means all.
    type: list
    elements: str
    default: []
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show what is wanted, in its order
  ansible.builtin.debug:
    msg: "{{ (records | infn.kaap.selection('core', {'kueue': {'enabled': false}})).waves }}"
"""
RETURN = r"""
_value:
  description:
    - C(names) of the wanted components; C(enabled), the names of those wanted or provided; C(needs), name to the
      wanted components that come first; C(waves), lists of names, of which each needs nothing of its own wave;
      C(provided), name to C(version) and C(definitions) of the components that the cluster has already.
  type: dict
"""


def selection(
    records: Sequence[Mapping[str, Any]],
    profile: str,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """See :func:`module_utils.waves.select` and ``order``; their errors become errors of the template."""
    try:
        chosen = waves.select(records, profile, overrides)
        order = waves.order(chosen, only)
    except waves.WaveError as error:
        raise AnsibleFilterError(str(error)) from error
    needs = {name: list(needed) for name, needed in chosen.needs.items()}
    # Not the whole record: it may hold templates that need what only an installation has.
    provided = {
        str(record["name"]): {
            "version": record.get("version", ""),
            "definitions": list(record.get("definitions") or []),
        }
        for record in records
        if record["name"] in chosen.provided
    }
    return {
        "names": chosen.names,
        "enabled": chosen.enabled,
        "needs": needs,
        "waves": order,
        "provided": provided,
    }


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"selection": selection}
