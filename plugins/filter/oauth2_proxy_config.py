"""Filter: the configuration of oauth2-proxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import ingress as pure

DOCUMENTATION = r"""
name: oauth2_proxy_config
short_description: Makes the configuration of oauth2-proxy
description:
  - It holds no secret.
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
    msg: "{{ kaap_oidc | infn.kaap.oauth2_proxy_config(kaap_domain, false) }}"
"""
RETURN = r"""
_value:
  description: The configuration file, TOML.
  type: str
"""


def oauth2_proxy_config(oidc: Mapping[str, Any], domain: str, dex: bool) -> str:
    """See :func:`module_utils.ingress.proxy_config`; its errors become errors of the template."""
    try:
        return pure.proxy_config(oidc, domain, dex)
    except pure.IngressError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"oauth2_proxy_config": oauth2_proxy_config}
