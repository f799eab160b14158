"""Filter: how a gateway is reached from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import ingress as pure

DOCUMENTATION = r"""
name: gateway_service
short_description: Makes a patch of the spec of a gateway's Service
description:
  - Type, node ports and external addresses.
options:
  _input:
    description: The setting C(kaap_ingress).
    type: dict
    required: true
  ports:
    description: Port to node port.
    type: dict
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ kaap_ingress | infn.kaap.gateway_service({443: kaap_ingress.https_node_port}) }}"
"""
RETURN = r"""
_value:
  description: Fields of the Service's C(spec).
  type: dict
"""


def gateway_service(ingress: Mapping[str, Any], ports: Mapping[int, int]) -> dict[str, Any]:
    """See :func:`module_utils.ingress.service_spec`; its errors become errors of the template."""
    try:
        return pure.service_spec(ingress, ports)
    except pure.IngressError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"gateway_service": gateway_service}
