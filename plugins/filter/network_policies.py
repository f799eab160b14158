"""Filter: the network policies of namespaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import namespaces as pure

DOCUMENTATION = r"""
name: network_policies
short_description: Closes namespaces, but for the allowed flows of release/namespaces.yml
options:
  _input:
    description: Namespace by name of the component. The cluster's own are left out.
    type: dict
    required: true
  workloads:
    description: Namespaces in which people's programs run.
    type: list
    elements: str
    default: []
  networks:
    description: The cluster's networks, with C(pods), C(services) and C(nodes).
    type: dict
    default: {}
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ {'minio': 'minio', 'kserve': 'kserve'} | infn.kaap.network_policies(['remat']) }}"
"""
RETURN = r"""
_value:
  description: Two NetworkPolicies for each namespace.
  type: list
  elements: dict
"""


def network_policies(
    components: Mapping[str, str], workloads: Iterable[str] = (), networks: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """See :func:`module_utils.namespaces.network_policies`; its errors become errors of the template."""
    try:
        return pure.network_policies(components, workloads, pure.load(), pure.Networks(**(networks or {})))
    except pure.NamespaceError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"network_policies": network_policies}
