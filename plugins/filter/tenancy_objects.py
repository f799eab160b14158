"""Filter: the objects of declared tenants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import namespaces
from ansible_collections.infn.kaap.plugins.module_utils import tenancy as pure

DOCUMENTATION = r"""
name: tenancy_objects
short_description: Makes the objects of declared tenants
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
  queues:
    description: The queues, as in C(kaap_queues).
    type: dict
    default: {}
  components:
    description: Names of the components that the deployment has.
    type: list
    elements: str
    default: []
  secrets:
    description: The generated secrets.
    type: dict
    default: {}
  pipelines_store:
    description: Where Pipelines keeps artefacts, as C(infn.kaap.pipelines_store) says.
    type: dict
    default: {}
  networks:
    description: The cluster's networks, with C(pods), C(services) and C(nodes).
    type: dict
    default: {}
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ kaap_tenants | infn.kaap.tenancy_objects(kaap_groups, kaap_queues) }}"
"""
RETURN = r"""
_value:
  description: Namespaces, roles and who has them, quotas, queues, keys, network policies, and with Kubeflow profiles.
  type: list
  elements: dict
"""


def tenancy_objects(
    tenants: Iterable[Mapping[str, Any]],
    groups: Iterable[Mapping[str, Any]] = (),
    queues: Mapping[str, Any] | None = None,
    *,
    components: Iterable[str] = (),
    secrets: Mapping[str, Mapping[str, str]] | None = None,
    pipelines_store: Mapping[str, Any] | None = None,
    networks: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """See :func:`module_utils.tenancy.tenancy_objects`; its errors become errors of the template."""
    try:
        return pure.tenancy_objects(
            tenants,
            groups,
            queues,
            components=components,
            secrets=secrets,
            pipelines_store=pipelines_store,
            networks=namespaces.Networks(**(networks or {})),
        )
    except (pure.TenancyError, namespaces.NamespaceError) as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"tenancy_objects": tenancy_objects}
