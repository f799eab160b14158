"""Documentation of infn.kaap.embedded_host; the code is plugins/action/embedded_host.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: embedded_host
short_description: What the embedded nodes of a deployment share on this host
description:
  - Runs on the controller, as root. Keeps the podman network and the node image of a deployment, raises kernel settings that
    several nodes on one kernel need, and removes nodes that are no longer listed.
  - With O(state=absent) everything of the deployment goes - nodes and their data, network, rules, image - and when it was the
    last one, the host's kernel settings are put back.
options:
  deployment:
    description: Name of the deployment.
    type: str
    required: true
  state:
    description: Whether the deployment is to be there.
    type: str
    choices: [present, absent]
    default: present
  cidr:
    description: IPv4 network of the nodes. When it changes, the nodes are removed with their data.
    type: str
  hosts:
    description: Inventory names of all nodes.
    type: list
    elements: str
    default: []
  image_archive:
    description: Root file system of the nodes, a tar archive.
    type: path
  image_digest:
    description: sha256 of the archive.
    type: str
author:
  - KaaP maintainers (@infn)
"""

EXAMPLES = r"""
- name: Prepare this host for embedded nodes
  infn.kaap.embedded_host:
    deployment: embedded-0a1b2c
    cidr: 10.89.7.0/24
    hosts: [control-1, worker-1]
    image_archive: /var/cache/kaap/bundles/0a1b/rootfs/node.tar
    image_digest: sha256:0a1b
"""

RETURN = r"""
changes:
  description: What was done, or would be in check mode.
  type: list
  elements: str
  returned: success
"""
