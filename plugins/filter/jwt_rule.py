"""Filter: which tokens are good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import ingress as pure

DOCUMENTATION = r"""
name: jwt_rule
short_description: Makes Istio's rule for a token of the platform's issuer
description:
  - The headers that services read from a token are taken out of what a client sends.
options:
  _input:
    description: The setting C(kaap_oidc).
    type: dict
    required: true
  domain:
    description: DNS name of the platform.
    type: str
    required: true
  dex:
    description: Whether Dex is the issuer.
    type: bool
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ kaap_oidc | infn.kaap.jwt_rule(kaap_domain, false) }}"
"""
RETURN = r"""
_value:
  description: One entry of C(jwtRules) of a RequestAuthentication.
  type: dict
"""


def jwt_rule(oidc: Mapping[str, Any], domain: str, dex: bool) -> dict[str, Any]:
    """See :func:`module_utils.ingress.jwt_rule`; its errors become errors of the template."""
    try:
        return pure.jwt_rule(oidc, domain, dex)
    except pure.IngressError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"jwt_rule": jwt_rule}
