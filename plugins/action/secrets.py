"""Action: generate the secrets of a deployment, on the controller."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.infn.kaap.plugins.module_utils import secrets


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/secrets.py for the documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make what is missing; report names only, never values."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "state_dir": {"type": "path", "required": True},
                "wanted": {"type": "dict", "required": True},
                "prune_prefix": {"type": "str"},
            }
        )
        try:
            names = secrets.ensure(
                arguments["state_dir"],
                arguments["wanted"],
                prune_prefix=arguments["prune_prefix"],
                dry=self._task.check_mode,
            )
        except (OSError, ValueError) as problem:
            raise AnsibleActionFail(f"cannot keep the secrets: {problem}") from problem
        result.update(changed=bool(names), names=names)
        if self._task.diff and names:
            result["diff"] = {"prepared": "".join(f"secret {name}: generated\n" for name in names)}
        return result
