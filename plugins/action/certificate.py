"""Controller side of infn.kaap.certificate: a serving certificate from the deployment's own authority."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.infn.kaap.plugins.module_utils import certificates


class ActionModule(ActionBase):  # type: ignore[misc]
    """Keeps one certificate in ``<state_dir>/ca``; documented in plugins/modules/certificate.py."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task.

        :raises AnsibleActionFail: when a file of the authority cannot be used.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "state_dir": {"type": "path", "required": True},
                "name": {"type": "str"},
                "sans": {"type": "list", "elements": "str", "default": []},
            },
        )
        name = arguments["name"]
        if name is not None and (not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name) or name == "ca"):
            raise AnsibleActionFail(
                f"name {name!r} cannot be used; take lower-case letters, digits, '.' and '-', and not 'ca'"
            )
        if name is not None and not arguments["sans"]:
            raise AnsibleActionFail(f"certificate {name!r} needs at least one name or address in 'sans'")
        write = not self._task.check_mode
        state_dir = Path(arguments["state_dir"])
        folder = state_dir / "ca"
        try:
            authority = certificates.ensure_authority(state_dir, write=write)
            reason = ""
            if name:
                reason = certificates.ensure_files(authority, folder, name, arguments["sans"], write=write)
        except (certificates.CertificateError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(
            changed=authority.created or bool(reason),
            reason=reason,
            authority=str(folder / "ca.crt"),
            authority_pem=authority.pem,
        )
        if name:
            result.update(certificate=str(folder / f"{name}.crt"), key=str(folder / f"{name}.key"))
        return result
