"""Controller side of infn.kaap.rotation: begins a rotation of the generated secrets, and ends it when it is proven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.infn.kaap.plugins.module_utils import object_store, rotation, secrets
from ansible_collections.infn.kaap.plugins.module_utils.apply import SECRET
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, KubeError

display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]
    """Thin over module_utils/rotation.py; its options are documented in plugins/modules/rotation.py."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task; names only are returned, never values.

        :raises AnsibleActionFail: when an old value is still good for something
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "choices": ["begun", "ended"], "required": True},
                "state_dir": {"type": "path", "required": True},
                "wanted": {"type": "dict", "default": {}},
                "kubeconfig": {"type": "path"},
                "endpoint": {"type": "str", "default": ""},
            },
            required_if=[("state", "ended", ["kubeconfig"])],
        )
        try:
            work = self._begin if arguments["state"] == "begun" else self._end
            result.update(work(arguments))
        except (OSError, ValueError, KubeError, object_store.StoreError, rotation.RotationError) as problem:
            raise AnsibleActionFail(f"the secrets cannot be rotated: {problem}") from problem
        return result

    def _begin(self, arguments: dict[str, Any]) -> dict[str, Any]:
        wanted = arguments["wanted"]
        names, resumed = rotation.begin(arguments["state_dir"], wanted, dry=self._task.check_mode)
        left = rotation.draw(secrets.read_all(arguments["state_dir"]), wanted)[1]
        if resumed:
            display.display("[rotate] an earlier rotation was cut off, and goes on")
        for name, reason in left.items():
            display.display(f"[rotate] {name} stays: {reason}")
        return {"changed": bool(names), "names": names, "left": left, "resumed": resumed}

    def _end(self, arguments: dict[str, Any]) -> dict[str, Any]:
        values = rotation.load(arguments["state_dir"])
        if not values or self._task.check_mode:
            return {"changed": bool(values), "names": sorted(values)}
        client = KubeClient.from_kubeconfig(Path(arguments["kubeconfig"]))
        wrong = rotation.still_there(values, client.list(SECRET)[0])
        if arguments["endpoint"]:
            wrong += self._logins(arguments["endpoint"], arguments["state_dir"], values)
        if wrong:
            raise rotation.RotationError(
                "\n".join([*wrong, "The old values are kept for the next try: run playbooks/rotate.yml again."])
            )
        rotation.end(arguments["state_dir"])
        return {"changed": True, "names": sorted(values)}

    @staticmethod
    def _logins(endpoint: str, state_dir: str, values: rotation.Values) -> list[str]:
        """What the object store says to old and new passwords that it should not."""
        present = secrets.read_all(state_dir)
        root = present[rotation.ROOT]
        store = object_store.Store(endpoint, root["rootUser"], root["rootPassword"])
        wrong = []
        for user, (old, new) in rotation.store_logins(values, present).items():
            if store.login(user, old):
                wrong.append(f"object store, user {user}: the old key works")
            if not store.login(user, new):
                wrong.append(f"object store, user {user}: the new key does not work")
        return wrong
