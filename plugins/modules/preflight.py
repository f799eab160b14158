"""Documentation of the action plugin infn.kaap.preflight, which runs on the controller."""

DOCUMENTATION = r"""
module: preflight
short_description: Refuses what cannot work before anything is touched
description:
  - Looks at every C(kaap_*) variable, the inventory, the release records and this machine, and names all problems
    at once, each with variable, value, fault and fix.
options:
  use_cases:
    description: Known use cases, each with the components it needs.
    type: dict
    required: true
  packing:
    description: Whether this run packs. It then needs disk for what the cache lacks, and package registries that answer.
    type: bool
    default: true
  rehearsal:
    description:
      - Whether the machines are only simulated. Then their shapes (C(machine_*) of each host) must be there, and this
        machine must be able to make the one container with the control plane.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Only looks.
  diff_mode:
    support: none
    description: Nothing changes.
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Look before anything is touched
  infn.kaap.preflight:
    use_cases:
      remat: [minio, kserve, trainer, kueue]
"""
RETURN = r"""
problems:
  description: One line for each problem.
  returned: always
  type: list
  elements: str
"""
