"""Filter: how served models are reached beside Knative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import ingress as pure

DOCUMENTATION = r"""
name: serving_ingress
short_description: Makes the ingress settings of KServe beside Knative
description:
  - Serverless models go through Kubeflow's gateway, the others through the platform's own.
options:
  _input:
    description: DNS name of the platform.
    type: str
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ kaap_domain | infn.kaap.serving_ingress }}"
"""
RETURN = r"""
_value:
  description: JSON, for the key C(ingress) of KServe's ConfigMap.
  type: str
"""


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"serving_ingress": pure.serving_ingress}
