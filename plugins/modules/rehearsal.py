"""Documentation of infn.kaap.rehearsal; the code is plugins/action/rehearsal.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rehearsal
short_description: Simulate the machines of an inventory, and report whether the platform fits on them
description:
  - Runs on the controller, for playbooks/rehearse.yml.
  - The shape of a machine is in its host variables C(machine_cpus), C(machine_memory), C(machine_disk), C(machine_gpus),
    C(machine_gpu_product), C(machine_gpu_resource), C(machine_labels) and C(machine_taints); see docs/rehearsal.md.
options:
  state:
    description:
      - V(shapes) reads the shapes.
      - V(machines) takes the node of the real control plane away and makes a node for each machine, with the pods of a
        control plane on those that have one.
      - V(report) makes the pods that the records say come later, waits until the scheduler has judged all, and writes
        C(rehearsal.json) and C(rehearsal.md) beside O(state_dir).
    type: str
    choices: [shapes, machines, report]
    required: true
  kubeconfig:
    description: How to reach the rehearsal's cluster.
    type: path
  timeout:
    description: Seconds that the machines may take to become ready, or the scheduler to judge all pods.
    type: int
    default: 600
  state_dir:
    description: State directory of the rehearsal.
    type: path
  deployment:
    description: Name of the rehearsal's deployment.
    type: str
  inventory:
    description: Name of the inventory, for the report.
    type: str
  profile:
    description: Profile that was applied, for the report.
    type: str
  times:
    description: When the parts of the rehearsal ended, in seconds since 1970, in their order; the first is its start.
    type: dict
    default: {}
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
author:
  - KaaP maintainers (@infn)
"""

EXAMPLES = r"""
- name: Make the machines
  infn.kaap.rehearsal:
    state: machines
    kubeconfig: "{{ _kaap_kubeconfig }}"
"""

RETURN = r"""
machines:
  description: How many machines the inventory has.
  type: int
  returned: with O(state=shapes) and O(state=machines)
control_plane_cpus:
  description: CPUs of the smallest machine of the control plane.
  type: float
  returned: with O(state=shapes)
summary:
  description: What the report says, in a few lines.
  type: list
  elements: str
  returned: with O(state=report)
fits:
  description: Whether everything was taken and scheduled.
  type: bool
  returned: with O(state=report)
"""
