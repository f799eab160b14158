"""Filter: the part of the object store that declared tenants need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import tenancy as pure

DOCUMENTATION = r"""
name: tenant_store
short_description: Makes buckets, policies and users of the object store for declared tenants
options:
  _input:
    description: The tenants, as in C(kaap_tenants).
    type: list
    elements: dict
    required: true
  groups:
    description: Groups of people, as in C(kaap_groups).
    type: list
    elements: dict
    default: []
  pipelines:
    description: Whether tenants have a part of the bucket of Pipelines.
    type: bool
    default: false
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show their buckets
  ansible.builtin.debug:
    msg: "{{ (kaap_tenants | infn.kaap.tenant_store(kaap_groups)).buckets }}"
"""
RETURN = r"""
_value:
  description: C(buckets), C(policies) and C(users), in the form of C(kaap_minio_buckets) and the like.
  type: dict
"""


def tenant_store(
    tenants: Iterable[Mapping[str, Any]], groups: Iterable[Mapping[str, Any]] = (), *, pipelines: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """See :func:`module_utils.tenancy.tenant_store`."""
    return pure.tenant_store(tenants, groups, with_pipelines=pipelines)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"tenant_store": tenant_store}
