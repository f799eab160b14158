"""Filter: where Longhorn's backups go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import longhorn

DOCUMENTATION = r"""
name: longhorn_backup
short_description: Makes Longhorn's backup target from a bucket and its login
options:
  _input:
    description: A mapping with C(bucket), C(endpoint) and C(region).
    type: dict
    required: true
  login:
    description: A mapping with C(access_key) and C(secret_key).
    type: dict
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show the target
  ansible.builtin.debug:
    msg: "{{ (kaap_longhorn_backup | infn.kaap.longhorn_backup(login)).store }}"
"""
RETURN = r"""
_value:
  description: C(store), values of the chart, and C(objects), the Secret; both empty without a bucket.
  type: dict
"""


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"longhorn_backup": longhorn.backup}
