"""Documentation of the action plugin infn.kaap.secrets, which runs on the controller."""

DOCUMENTATION = r"""
module: secrets
short_description: Generates the secrets of a deployment once
description:
  - Each secret is a file C(secrets/<name>.yml) in the state directory, mode 0600, with a mapping of keys to values.
  - A secret that exists is kept. Values are never returned; read them with the lookup P(infn.kaap.secrets#lookup).
options:
  state_dir:
    description: State directory of the deployment.
    type: path
    required: true
  wanted:
    description: Names of secrets, each with its keys. A key has a fixed C(value), or a C(length) and is generated.
    type: dict
    required: true
  prune_prefix:
    description: Secrets with this prefix that are no longer wanted are removed.
    type: str
attributes:
  check_mode:
    support: full
    description: Nothing is written.
  diff_mode:
    support: partial
    description: Names only.
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Generate the credentials of the object store
  infn.kaap.secrets:
    state_dir: "{{ _kaap_state_dir }}"
    wanted:
      minio:
        root_user: {value: kaap-root}
        root_password: {length: 40}
"""
RETURN = r"""
names:
  description: The secrets that were made, changed or removed.
  returned: always
  type: list
  elements: str
"""
