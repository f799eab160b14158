"""Documentation of the action plugin infn.kaap.rotation, which runs on the controller."""

DOCUMENTATION = r"""
module: rotation
short_description: Begins and ends a rotation of the generated secrets
description:
  - V(begun) writes new values over all generated secrets. Old and new values are kept in C(rotation.yml) in the state
    directory, mode 0600, until the rotation is ended; where that file is found, that rotation goes on with the same values.
  - V(ended) proves that no Secret of the cluster holds an old value, and that the object store refuses the old keys and
    takes the new ones; then it deletes the file.
options:
  state:
    description: What is wanted.
    type: str
    choices: [begun, ended]
    required: true
  state_dir:
    description: State directory of the deployment.
    type: path
    required: true
  wanted:
    description: All secrets, as O(infn.kaap.secrets#module:wanted) takes them. A key with C(unrotated) stays, for the reason that it gives.
    type: dict
    default: {}
  kubeconfig:
    description: How to reach the cluster; needed to end.
    type: path
  endpoint:
    description: Host and port of the S3 listener. Empty where the store is not the platform's.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Nothing is written.
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Begin
  infn.kaap.rotation:
    state: begun
    state_dir: "{{ _kaap_state_dir }}"
    wanted:
      minio-root:
        rootPassword: {length: 40}
"""
RETURN = r"""
names:
  description: The secrets that are rotated.
  returned: always
  type: list
  elements: str
left:
  description: Reason by name of what stays.
  returned: with O(state=begun)
  type: dict
resumed:
  description: Whether an earlier rotation goes on.
  returned: with O(state=begun)
  type: bool
"""
