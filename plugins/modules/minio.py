"""Documentation of the action plugin infn.kaap.minio, which runs on the controller."""

DOCUMENTATION = r"""
module: minio
short_description: Buckets, policies and users of the object store
description:
  - Makes what is declared and missing, corrects what differs. Buckets are never removed.
  - Policies and users are removed when an earlier run declared them and this one does not.
options:
  endpoint:
    description: Host and port of the S3 listener.
    type: str
    required: true
  kubeconfig:
    description: How to reach the cluster, which knows whether the listener speaks HTTPS. Empty means plain HTTP.
    type: str
    default: ""
  domain:
    description: Name that its certificate is for then.
    type: str
    default: ""
  access_key:
    description: Root user.
    type: str
    required: true
  secret_key:
    description: Its password.
    type: str
    required: true
  buckets:
    description: Buckets, each with C(name) and perhaps C(versioning).
    type: list
    elements: dict
    default: []
  policies:
    description: Policies, each with C(name) and C(document).
    type: list
    elements: dict
    default: []
  users:
    description: Users, each with C(name) and C(policies).
    type: list
    elements: dict
    default: []
  secrets:
    description: Secret key of each user.
    type: dict
    default: {}
  record:
    description: File on the controller that remembers which policies and users were declared.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Only looks.
  diff_mode:
    support: full
    description: One line for each change; no secrets.
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Set up the object store
  infn.kaap.minio:
    endpoint: 127.0.0.1:9000
    access_key: "{{ _kaap_secrets['minio-root'].rootUser }}"
    secret_key: "{{ _kaap_secrets['minio-root'].rootPassword }}"
    buckets:
      - name: models
    record: "{{ _kaap_state_dir }}/minio.json"
"""
RETURN = r"""
changes:
  description: One line for each change.
  returned: always
  type: list
  elements: str
"""
