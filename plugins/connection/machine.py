"""Connection to an embedded node: runs commands in the name spaces of its systemd."""

from __future__ import annotations

import subprocess
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection import ConnectionBase
from ansible_collections.infn.kaap.plugins.module_utils import embedded

DOCUMENTATION = r"""
name: machine
short_description: Run tasks in an embedded node
description:
  - Enters the name spaces of the node's systemd with C(nsenter), as root on the host of the node.
  - C(podman exec) takes 0.2 s and C(containers.podman.podman) needs five of them per task, because it cannot pipeline.
    This takes 0.01 s once per task.
options:
  deployment:
    description: Name of the deployment; with the inventory name of the host it names the container.
    type: str
    required: true
    vars:
      - name: ansible_machine_deployment
author: KaaP maintainers
"""

# A login's environment, not that of the controller.
ENVIRONMENT = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "USER=root",
    "LANG=C.UTF-8",
    "TERM=dumb",
]


class Connection(ConnectionBase):  # type: ignore[misc]
    """Runs commands in an embedded node and copies files to and from it."""

    transport = "infn.kaap.machine"
    has_pipelining = True

    def _connect(self) -> Connection:
        """Find the node; there is nothing to keep open."""
        self._connected = True
        return self

    def _enter(self, command: list[str], **kwargs: Any) -> subprocess.CompletedProcess[bytes]:
        """Run a command in the node.

        :raises AnsibleConnectionFailure: when the node does not run
        """
        # In a delegated task this, unlike the variable inventory_hostname, is the host that the task goes to.
        host = self._play_context.remote_addr
        name = embedded.container_name(self.get_option("deployment"), host)
        pid = embedded.node_pid(name)
        if not pid:
            raise AnsibleConnectionFailure(f"the embedded node {name} does not run; run playbooks/provision.yml")
        nsenter = ["nsenter", "--target", str(pid), "--all", "/usr/bin/env", "-i", *ENVIRONMENT, *command]
        return subprocess.run(nsenter, check=False, stderr=subprocess.PIPE, **kwargs)

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a shell command line; return its exit status, output and error output."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        done = self._enter(["/bin/sh", "-c", cmd], input=in_data or b"", stdout=subprocess.PIPE)
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the controller into the node.

        :raises AnsibleError: when it cannot be written there
        """
        super().put_file(in_path, out_path)
        with open(in_path, "rb") as source:  # noqa: PTH123  (a plain stream for the child)
            done = self._enter(["dd", f"of={out_path}", "bs=1M", "status=none"], stdin=source)
        if done.returncode:
            raise AnsibleError(f"cannot write {out_path}: {done.stderr.decode(errors='replace')}")

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the node to the controller.

        :raises AnsibleError: when it cannot be read there
        """
        super().fetch_file(in_path, out_path)
        with open(out_path, "wb") as target:  # noqa: PTH123  (a plain stream for the child)
            done = self._enter(["dd", f"if={in_path}", "bs=1M", "status=none"], stdout=target)
        if done.returncode:
            raise AnsibleError(f"cannot read {in_path}: {done.stderr.decode(errors='replace')}")

    def close(self) -> None:
        """Forget the node."""
        self._connected = False
