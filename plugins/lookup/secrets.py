"""Lookup: the generated secrets of a deployment."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.infn.kaap.plugins.module_utils import secrets

DOCUMENTATION = r"""
name: secrets
short_description: The generated secrets of a deployment
description: A mapping of secret names to their keys and values. A task that uses it sets C(no_log).
options:
  _terms:
    description: State directory of the deployment.
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Use the root password of the object store
  ansible.builtin.set_fact:
    minio_password: "{{ lookup('infn.kaap.secrets', _kaap_state_dir).minio.root_password }}"
  no_log: true
"""
RETURN = r"""
_raw:
  description: The mapping.
  type: dict
"""


class LookupModule(LookupBase):  # type: ignore[misc]
    """Read the secrets from the state directory."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return one mapping."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [secrets.read_all(str(terms[0]))]
        except (OSError, ValueError, IndexError) as problem:
            raise AnsibleError(f"cannot read the secrets: {problem}") from problem
