"""Documentation of infn.kaap.certificate; the code is plugins/action/certificate.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate
short_description: Keep a serving certificate signed by the deployment's own authority
description:
  - Runs on the controller. Makes the authority (C(ca/ca.crt) and C(ca/ca.key) in O(state_dir), ECDSA P-256, ten years)
    when it is not there yet, and a certificate under it that is valid for one year.
  - A certificate is renewed when it has less than 30 days left, when its names changed, or when another authority signed it;
    otherwise it is not touched.
options:
  state_dir:
    description: State directory of the deployment.
    type: path
    required: true
  name:
    description: File name, without its ending, of the certificate and of its key. Without it only the authority is made.
    type: str
  sans:
    description: DNS names and IP addresses that the certificate is for. The first one becomes its common name.
    type: list
    elements: str
    default: []
author:
  - KaaP maintainers (@infn)
"""

EXAMPLES = r"""
- name: Make the certificate of the bundle's registry
  infn.kaap.certificate:
    state_dir: "{{ registry_state_dir }}"
    name: registry
    sans: ["{{ inventory_hostname }}", "10.88.7.2"]
"""

RETURN = r"""
authority:
  description: Path of the authority's certificate.
  type: str
  returned: success
authority_pem:
  description: The authority's certificate.
  type: str
  returned: success
certificate:
  description: Path of the certificate, mode 0644.
  type: str
  returned: when O(name) is given
key:
  description: Path of its key, mode 0600.
  type: str
  returned: when O(name) is given
reason:
  description: Why the certificate was written, empty when it was not.
  type: str
  returned: success
"""
