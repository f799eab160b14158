"""Documentation of infn.kaap.embedded_node; the code is plugins/action/embedded_node.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: embedded_node
short_description: One machine as a container that runs systemd
description:
  - Runs on the controller, as root. Makes or starts the node and waits until its systemd has started everything.
  - A changed definition makes the container anew. The node's data (containers, etcd, Kubernetes' certificates, volumes of
    pods) is in podman volumes and stays. So does a node whose processes were killed from outside.
  - What the definition does not hold is detected on the host - cgroup version, capabilities, limits.
options:
  deployment:
    description: Name of the deployment.
    type: str
    required: true
  host:
    description: Inventory name of the machine, also its host name.
    type: str
    required: true
  address:
    description: IPv4 address of the machine.
    type: str
    required: true
  image_digest:
    description: sha256 of the root file system that M(infn.kaap.embedded_host) imported.
    type: str
    required: true
  bundles:
    description: Directory of the bundles on this host; the node sees it read-only at C(/opt/kaap/bundles).
    type: path
    required: true
  publish:
    description: Address and port of this host (C(127.0.0.1:18000)) to port of the machine.
    type: dict
    default: {}
  memory:
    description: Memory limit, such as C(6g). Empty means none.
    type: str
    default: ""
  cpus:
    description: CPU limit. 0 means none.
    type: float
    default: 0.0
  timeout:
    description: Seconds to wait for the machine.
    type: int
    default: 180
author:
  - KaaP maintainers (@infn)
"""

EXAMPLES = r"""
- name: Make the first control plane
  infn.kaap.embedded_node:
    deployment: embedded-0a1b2c
    host: control-1
    address: 10.89.7.10
    image_digest: sha256:0a1b
    bundles: /var/cache/kaap/bundles
    publish:
      "127.0.0.1:18000": 30080
"""

RETURN = r"""
action:
  description: keep, start, create or recreate.
  type: str
  returned: success
reason:
  description: Why something had to be done.
  type: str
  returned: success
reachable:
  description: Whether tasks can be run in the machine now; false for a machine that check mode only announced.
  type: bool
  returned: success
container:
  description: Name of the machine's container.
  type: str
  returned: success
"""
