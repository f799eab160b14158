"""Lookup: where the deployment of this run lives."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.infn.kaap.plugins.module_utils import deployment

DOCUMENTATION = r"""
name: deployment
short_description: Where the deployment of this run lives
description:
  - In a play with the variable C(_kaap_purpose), where the deployment that it names is, beside the inventory's own.
  - Without a term, a mapping of what follows from the clone and the inventory - root, inventory_name,
    deployment, state_dir, cache, kubeconfig, node_cidr, host_port_base.
  - With the term C(bundle_dir), the directory of the bundle that was packed for this deployment.
  - With the term C(node_ports), the NodePort of each endpoint.
  - With the term C(podman), the path of podman on this machine, empty when it is not installed.
  - With the terms C(host_ports) and a port number, the host port of each endpoint.
options:
  _terms:
    description: Nothing, or one of C(bundle_dir), C(node_ports), C(podman), C(host_ports).
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Say where the state is
  ansible.builtin.debug:
    msg: "{{ lookup('infn.kaap.deployment').state_dir }}"
"""
RETURN = r"""
_raw:
  description: The mapping, or the path.
  type: raw
"""


class LookupModule(LookupBase):  # type: ignore[misc]
    """Compute the facts of the deployment from the inventory of the run."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return one value, see DOCUMENTATION."""
        self.set_options(var_options=variables, direct=kwargs)
        if terms and terms[0] == "node_ports":
            return [dict(deployment.NODE_PORTS)]
        if terms and terms[0] == "podman":
            return [shutil.which("podman") or ""]
        if terms and terms[0] == "host_ports":
            return [deployment.host_ports(int(terms[1]))]
        try:
            sources = (variables or {}).get("ansible_inventory_sources") or []
            purpose = str((variables or {}).get("_kaap_purpose") or "")
            facts = deployment.describe([str(source) for source in sources], purpose=purpose)
            if not terms:
                return [facts]
            if terms[0] == "bundle_dir":
                digest = deployment.bundle_manifest(facts["state_dir"])["digest"]
                return [str(Path(facts["cache"]) / "bundles" / digest.removeprefix("sha256:"))]
        except (ValueError, deployment.NotPackedError) as problem:
            raise AnsibleError(str(problem)) from problem
        raise AnsibleError(f"infn.kaap.deployment knows no term {terms[0]!r}")
