#!/usr/bin/python
"""Ansible module: facts of a host that decide how Kubernetes must be set up there."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.infn.kaap.plugins.module_utils import host_facts

DOCUMENTATION = r"""
module: host_facts
short_description: Facts of a host that decide how Kubernetes must be set up there
description:
  - Reads cgroups, capabilities, limits, memory, CPUs and disk of the host it runs on, and what follows for the kubelet.
options:
  directory:
    description: Directory whose file system will hold containers and pods.
    type: path
    default: /var/lib/containerd
attributes:
  check_mode:
    description: Reads only.
    support: full
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Look at the host
  infn.kaap.host_facts:
  register: facts
"""
RETURN = r"""
facts:
  description: cgroup_version, cgroup_driver, missing_capabilities, restrict_oom_score_adj, limits, sizes in bytes, bundles, and kubelet.
  returned: always
  type: dict
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"directory": {"type": "path", "default": "/var/lib/containerd"}},
        supports_check_mode=True,
    )
    try:
        facts = host_facts.collect(module.params["directory"])
    except (ValueError, KeyError, OSError) as problem:
        module.fail_json(msg=f"cannot tell what this host is like: {problem}")
    module.exit_json(changed=False, facts=facts)


if __name__ == "__main__":
    main()
