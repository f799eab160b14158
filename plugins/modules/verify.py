"""Documentation of the action plugin infn.kaap.verify, which runs on the controller."""

DOCUMENTATION = r"""
module: verify
short_description: Asks the whole deployment and writes the report
description:
  - Asks nodes, components, object store, queues and use cases, side by side, each with its own deadline.
  - Writes C(report.json), C(report.md) and C(junit.xml) into the state directory, and the logins of the endpoints
    into C(credentials/), mode 0600. Fails when a check fails.
options:
  root:
    description: The clone, with its release records and use cases.
    type: path
    required: true
  state_dir:
    description: State directory of the deployment.
    type: path
    required: true
  kubeconfig:
    description: Way into the cluster.
    type: path
    required: true
  deployment:
    description: Name of the deployment.
    type: str
    required: true
  inventory:
    description: Name of the inventory.
    type: str
    required: true
  profile:
    description: Profile of the deployment.
    type: str
    choices: [core, full]
    required: true
  components:
    description: Changes to the components of the profile.
    type: dict
    default: {}
  use_cases:
    description: Use cases that must answer.
    type: list
    elements: str
    default: []
  nodes:
    description: Names of the nodes.
    type: list
    elements: str
    required: true
  address:
    description: Address of the endpoints.
    type: str
    required: true
  ports:
    description: Port of each listener of the gateway there.
    type: dict
    required: true
  buckets:
    description: Buckets that the object store must have.
    type: list
    elements: dict
    default: []
  policies:
    description: Policies that it must have.
    type: list
    elements: dict
    default: []
  users:
    description: Users that it must have.
    type: list
    elements: dict
    default: []
  queues:
    description: Queues that must be active.
    type: dict
    default: {}
  domain:
    description: DNS name that people and programs open the platform under, in profile V(full).
    type: str
    default: ""
  oidc:
    description: The identity provider, with C(issuer) and C(client_id); a login must lead there.
    type: dict
    default: {}
  tenants:
    description: Names of the tenants, which are those of their namespaces.
    type: list
    elements: str
    default: []
  policies_enforced:
    description:
      - Whether the pod network enforces NetworkPolicies. If so, a short-lived pod tries an allowed and a denied flow;
        if not, the report says that this was not run.
    type: bool
    required: true
  timeout:
    description: Seconds that each check may take.
    type: int
    default: 120
attributes:
  check_mode:
    support: full
    description: Asks, but writes nothing.
  diff_mode:
    support: none
    description: Nothing changes.
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Ask the whole deployment
  infn.kaap.verify:
    root: "{{ _kaap_root }}"
    state_dir: "{{ _kaap_state_dir }}"
    kubeconfig: "{{ _kaap_kubeconfig }}"
    deployment: "{{ _kaap_deployment }}"
    inventory: "{{ _kaap_inventory_name }}"
    profile: "{{ kaap_profile }}"
    nodes: "{{ groups['kaap_nodes'] }}"
    address: "{{ kaap_host_address }}"
    ports: "{{ _kaap_host_ports }}"
    policies_enforced: "{{ _kaap_policies_enforced }}"
"""
RETURN = r"""
result:
  description: C(pass) or C(fail).
  returned: always
  type: str
checks:
  description: How many checks there were.
  returned: always
  type: int
failures:
  description: Names of the checks that failed.
  returned: always
  type: list
  elements: str
not_run:
  description: Names of the checks that this deployment cannot have.
  returned: always
  type: list
  elements: str
"""
