"""Controller side of infn.kaap.embedded_node: one machine as a container that runs systemd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.infn.kaap.plugins.module_utils import embedded, outside
from ansible_collections.infn.kaap.plugins.module_utils.embedded import EmbeddedError, Node, Podman


class ActionModule(ActionBase):  # type: ignore[misc]
    """Keeps one embedded node; documented in plugins/modules/embedded_node.py."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task.

        :raises AnsibleActionFail: when the node cannot be made or does not start in time
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "deployment": {"type": "str", "required": True},
                "host": {"type": "str", "required": True},
                "address": {"type": "str", "required": True},
                "image_digest": {"type": "str", "required": True},
                "bundles": {"type": "path", "required": True},
                "publish": {"type": "dict", "default": {}},
                "memory": {"type": "str", "default": ""},
                "cpus": {"type": "float", "default": 0.0},
                "timeout": {"type": "int", "default": 180},
            },
        )
        node = Node(
            deployment=arguments["deployment"],
            host=arguments["host"],
            image=embedded.image_name(arguments["image_digest"]),
            address=arguments["address"],
            bundles=arguments["bundles"],
            publish={str(key): int(value) for key, value in arguments["publish"].items()},
            memory=arguments["memory"],
            cpus=arguments["cpus"],
        )
        podman = Podman(node.deployment, timeout=arguments["timeout"])
        try:
            what, why = embedded.decide(node, podman.observe(node.name))
            if not self._task.check_mode:
                if not Path(node.bundles).is_dir():
                    raise EmbeddedError(f"{node.bundles} is not there: nothing was packed; run playbooks/pack.yml")
                self._act(podman, node, what)
        except (EmbeddedError, OSError, ValueError) as problem:
            raise AnsibleActionFail(f"{node.name}: {problem}") from problem
        # In check mode a node that does not run cannot be looked into by what comes later.
        result.update(
            changed=what != "keep",
            action=what,
            reason=why,
            reachable=what == "keep" or not self._task.check_mode,
            container=node.name,
            outside=outside.taken(),
        )
        if self._task.diff and what != "keep":
            result["diff"] = {"before": f"{node.name}: {why}\n", "after": f"{node.name}: {what} at {node.address}\n"}
        return result

    def _act(self, podman: Podman, node: Node, what: str) -> None:
        """Do what was decided and wait for the node's systemd."""
        if what == "start":
            try:
                podman.call("start", node.name)
            except EmbeddedError as problem:
                # What a killed deployment left may keep the old container from starting; its data is in volumes.
                self._display.warning(f"{problem}; making {node.name} anew with its data")
                what = "recreate"
        if what == "recreate":
            podman.remove(node.name, data=False)
        if what in ("create", "recreate"):
            podman.create(node)
        embedded.wait_booted(node.name, podman.timeout)
