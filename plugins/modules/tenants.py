"""Documentation of the action plugin infn.kaap.tenants, which runs on the controller."""

DOCUMENTATION = r"""
module: tenants
short_description: Closes tenants that are not declared any more
description:
  - A namespace with the label C(kaap.infn.it/tenant) of a tenant that is not declared is closed. All RoleBindings and
    AuthorizationPolicies in it are deleted, whoever made them; a quota of no pods and a NetworkPolicy that lets nothing
    through are set; its pods are ended, and Kueue is told to give back what it holds for its jobs. Volumes and
    everything else stay.
  - A tenant that is declared again is opened. What was bound by hand before is not bound again.
  - People who are not declared in a tenant any more are taken out of bindings that others made for them, too.
options:
  state:
    description:
      - V(settled) closes and opens.
      - V(deleted) deletes the namespaces of closed tenants, and their buckets.
    type: str
    choices: [settled, deleted]
    default: settled
  tenants:
    description: The tenants, as in C(kaap_tenants).
    type: list
    elements: dict
    required: true
  groups:
    description: Groups of people, as in C(kaap_groups).
    type: list
    elements: dict
    default: []
  kubeconfig:
    description: How to reach the cluster.
    type: path
    required: true
  timeout:
    description: Seconds that the programs of a tenant may take to end, or its namespace to go.
    type: int
    default: 600
  endpoint:
    description: Host and port of the object store's S3 listener. Empty where the store is not the platform's; then buckets stay.
    type: str
    default: ""
  access_key:
    description: Root user of the object store.
    type: str
    default: ""
  secret_key:
    description: Its password.
    type: str
    default: ""
  buckets:
    description: All buckets that are declared, which stay.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Only looks.
  diff_mode:
    support: full
    description: One line for each change.
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Close who is not declared any more
  infn.kaap.tenants:
    tenants: "{{ kaap_tenants }}"
    groups: "{{ kaap_groups }}"
    kubeconfig: "{{ _kaap_kubeconfig }}"
"""
RETURN = r"""
changes:
  description: One line for each change.
  returned: always
  type: list
  elements: str
"""
