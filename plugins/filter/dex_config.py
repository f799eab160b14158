"""Filter: the configuration of Dex."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import ingress as pure

DOCUMENTATION = r"""
name: dex_config
short_description: Makes the configuration of Dex
description:
  - Without connectors of its own, Dex passes logins on to the issuer of C(kaap_oidc).
  - It holds secrets.
options:
  _input:
    description: The setting C(kaap_dex).
    type: dict
    required: true
  oidc:
    description: The setting C(kaap_oidc).
    type: dict
    required: true
  domain:
    description: DNS name of the platform.
    type: str
    required: true
  secrets:
    description: C(client) is what oauth2-proxy shows Dex, C(issuer) what Dex shows the issuer of C(kaap_oidc).
    type: dict
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ kaap_dex | infn.kaap.dex_config(kaap_oidc, kaap_domain, {'client': 'x', 'issuer': 'y'}) }}"
"""
RETURN = r"""
_value:
  description: The configuration.
  type: dict
"""


def dex_config(
    dex: Mapping[str, Any], oidc: Mapping[str, Any], domain: str, secrets: Mapping[str, str]
) -> dict[str, Any]:
    """See :func:`module_utils.ingress.dex_config`; its errors become errors of the template."""
    try:
        return pure.dex_config(dex, oidc, domain, secrets)
    except pure.IngressError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"dex_config": dex_config}
