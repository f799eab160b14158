"""Filter: the certificate of a gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import ingress as pure

DOCUMENTATION = r"""
name: tls_certificate
short_description: Makes the Certificate of a gateway, or its Secret where the certificate is given
description:
  - Both have the same name. The issuer is that of P(infn.kaap.tls_issuer#filter).
options:
  _input:
    description:
      - The setting C(kaap_tls), with the contents of the files that it names as C(certificate_pem), C(key_pem),
        C(ca_certificate_pem) and C(ca_key_pem).
    type: dict
    required: true
  namespace:
    description: Namespace of the gateway.
    type: str
    required: true
  name:
    description: Name of the Secret.
    type: str
    required: true
  hosts:
    description: DNS names.
    type: list
    elements: str
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ kaap_tls | infn.kaap.tls_certificate('kaap-gateway', 'kaap-tls', [kaap_domain]) }}"
"""
RETURN = r"""
_value:
  description: The Certificate or the Secret.
  type: list
  elements: dict
"""


def tls_certificate(tls: Mapping[str, Any], namespace: str, name: str, hosts: Sequence[str]) -> list[dict[str, Any]]:
    """See :func:`module_utils.ingress.certificate_objects`; its errors become errors of the template."""
    try:
        return pure.certificate_objects(tls, namespace, name, hosts)
    except pure.IngressError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"tls_certificate": tls_certificate}
