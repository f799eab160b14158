"""Filter: what signs the platform's certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import ingress as pure

DOCUMENTATION = r"""
name: tls_issuer
short_description: Makes the ClusterIssuer of a deployment
description:
  - Nothing where the certificate itself is given.
options:
  _input:
    description:
      - The setting C(kaap_tls), with the contents of the files that it names as C(certificate_pem), C(key_pem),
        C(ca_certificate_pem) and C(ca_key_pem).
    type: dict
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ kaap_tls | infn.kaap.tls_issuer }}"
"""
RETURN = r"""
_value:
  description: The ClusterIssuer and what it signs with.
  type: list
  elements: dict
"""


def tls_issuer(tls: Mapping[str, Any]) -> list[dict[str, Any]]:
    """See :func:`module_utils.ingress.issuer_objects`; its errors become errors of the template."""
    try:
        return pure.issuer_objects(tls)
    except pure.IngressError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"tls_issuer": tls_issuer}
