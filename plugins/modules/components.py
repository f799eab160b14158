"""Documentation of infn.kaap.components; the code is plugins/action/components.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: components
short_description: Install one wave of components, or remove those that are not wanted any more
description:
  - Runs on the controller. Renders each component from the bundle, applies it by server-side apply in stages (namespaces
    and definitions, configuration, servers, webhooks and aggregated APIs, custom resources), and waits until it is ready.
    The components of one call are handled side by side.
  - What a component consists of is kept in a ConfigMap of the namespace C(kaap-system). Objects that it no longer consists
    of are deleted.
  - Fields that a release declares are set back when somebody changed them, with a warning that names who did.
options:
  state:
    description:
      - V(present) installs or changes O(components).
      - V(absent) removes every installed component that is not in O(keep), each before those that it needs.
      - V(possible) changes nothing. It fails when a field of an installed component would have to change that cannot, naming
        object, field, old and new value. Give it the components of all waves, before the first of them is installed.
    type: str
    choices: [present, absent, possible]
    default: present
  components:
    description: Release records of one wave, without unresolved templates.
    type: list
    elements: dict
    default: []
  needs:
    description: By component name, the components that came first; C(needs) of the record when it is not there.
    type: dict
    default: {}
  overrides:
    description: By component name; C(values) is laid over the values of the component's first chart.
    type: dict
    default: {}
  keep:
    description: Names of the components that stay, with O(state=absent).
    type: list
    elements: str
  provided:
    description:
      - By name, components that the cluster has already, each with C(version) of the release and C(definitions), names of
        definitions that other components use. The task fails before it does anything when one of these is not served.
    type: dict
    default: {}
  kubeconfig:
    description: How to reach the cluster.
    type: path
    required: true
  bundle_dir:
    description: The bundle to render from, needed unless O(state=absent).
    type: path
  state_dir:
    description: State directory of the deployment, where its certificate authority is.
    type: path
    required: true
  timeout:
    description: Seconds that one component may take to become ready, or to disappear.
    type: int
    default: 600
  delete_data:
    description: Whether volumes, and objects that users made of a component's kinds, may be deleted.
    type: bool
    default: false
  rehearsal:
    description:
      - Whether the nodes are only simulated. What calls a server that runs on one is left out, volumes are made for all
        claims, and what is refused or does not become ready is written to O(state_dir)C(/outcomes), one file a component,
        and is no failure.
    type: bool
    default: false
  position:
    description: How many components were handled before this call, for the progress shown.
    type: int
    default: 0
  total:
    description: How many components there are in all, for the progress shown.
    type: int
attributes:
  check_mode:
    support: full
    description:
      - The server goes through everything as a dry run. Objects whose namespace or kind does not exist yet are reported as
        created without asking it.
  diff_mode:
    support: full
    description: YAML before and after, without status; values of Secrets are shown as digests.
author:
  - KaaP maintainers (@infn)
"""

EXAMPLES = r"""
- name: Install one wave
  infn.kaap.components:
    components: "{{ component_wave }}"
    kubeconfig: "{{ component_kubeconfig }}"
    bundle_dir: "{{ component_bundle_dir }}"
    state_dir: "{{ component_state_dir }}"

- name: Remove what is not wanted any more
  infn.kaap.components:
    state: absent
    keep: [minio, kueue]
    kubeconfig: "{{ component_kubeconfig }}"
    state_dir: "{{ component_state_dir }}"
"""

RETURN = r"""
components:
  description: What happened to each component.
  type: dict
  returned: always
  sample:
    kueue:
      changed: true
      version: 0.16.1
      seconds: 14.2
      phases: {render: 0.6, apply: 1.9, ready: 11.7}
      objects: 58
      created: ["Deployment kueue-system/kueue-controller-manager"]
      updated: []
      replaced: []
      deleted: []
      taken_back: []
      error: ""
seconds:
  description: Wall time of the call.
  type: float
  returned: always
"""
