"""Documentation of infn.kaap.render; the code is plugins/action/render.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: render
short_description: Render the platform to files
description:
  - Runs on the controller, without a cluster and without the network. Renders every component from the bundle, as an
    installation would apply it, and validates every object strictly against the schemas of the bundle's Kubernetes and
    of the CRDs that are rendered.
  - Fails, before anything is written, for an unknown field, a kind that nothing defines, a kind or a namespace that is used
    before it is there, an object that two components have, and a credential that upstream ships in every install.
  - Writes one file for each component, numbered in the order of the waves, and C(index.md). Secrets lie apart in
    C(secrets/), mode 0600, which C(.gitignore) leaves out. The same release, inventory and state give the same bytes.
  - Files of components that are not wanted any more are removed. A file that it did not make is never touched.
options:
  components:
    description: The wanted release records, templated.
    type: list
    elements: dict
    required: true
  waves:
    description: Their names, in waves.
    type: list
    elements: list
    required: true
  needs:
    description: For each of them, the wanted components that come first.
    type: dict
    default: {}
  overrides:
    description: The setting C(kaap_components).
    type: dict
    default: {}
  provided:
    description: Components that the cluster has already. Objects of kinds that they define are not validated, with a warning.
    type: list
    elements: str
    default: []
  bundle_dir:
    description: Directory of the bundle.
    type: path
    required: true
  state_dir:
    description: State directory of the deployment, with its authority; serving certificates are kept in C(serving/).
    type: path
    required: true
  directory:
    description: Where the files go.
    type: path
    required: true
  inventory:
    description: Name of the inventory, for the index.
    type: str
    required: true
author:
  - KaaP maintainers (@infn)
"""

EXAMPLES = r"""
- name: Render the platform
  infn.kaap.render:
    components: "{{ component_records }}"
    waves: "{{ _component_selection.waves }}"
    needs: "{{ _component_selection.needs }}"
    bundle_dir: "{{ component_bundle_dir }}"
    state_dir: "{{ component_state_dir }}"
    directory: /srv/gitops/platform
    inventory: infn-cloud
"""

RETURN = r"""
components:
  description: How many components were rendered.
  type: int
  returned: success
objects:
  description: How many objects they are.
  type: int
  returned: success
seconds:
  description: How long it took.
  type: float
  returned: success
files:
  description: All files of the render, relative to O(directory).
  type: list
  returned: success
written:
  description: Those that changed.
  type: list
  returned: success
removed:
  description: Those that are gone.
  type: list
  returned: success
"""
