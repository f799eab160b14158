"""Action: buckets, policies and users of the object store, from the controller."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.infn.kaap.plugins.module_utils import object_store, timings, way_in
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeError


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/minio.py for the documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make the differences; return them as lines.

        :raises AnsibleActionFail: when the store does not answer or refuses
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "endpoint": {"type": "str", "required": True},
                "access_key": {"type": "str", "required": True},
                "secret_key": {"type": "str", "required": True, "no_log": True},
                "buckets": {"type": "list", "elements": "dict", "default": []},
                "policies": {"type": "list", "elements": "dict", "default": []},
                "users": {"type": "list", "elements": "dict", "default": []},
                "secrets": {"type": "dict", "default": {}, "no_log": True},
                "record": {"type": "path", "required": True},
                "domain": {"type": "str", "default": ""},
                "kubeconfig": {"type": "str", "default": ""},
            }
        )
        record = Path(arguments["record"])
        managed = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
        wanted = object_store.declared(arguments["buckets"], arguments["policies"], arguments["users"])
        secrets = {str(name): str(value) for name, value in arguments["secrets"].items()}
        try:
            trust = way_in.trust_of(arguments["kubeconfig"], arguments["domain"])
            store = object_store.Store(
                arguments["endpoint"], arguments["access_key"], arguments["secret_key"], trust=trust
            )
            there = store.contents()
            logins = {name: store.login(name, secrets[name]) for name in wanted.users if name in there.users}
            todo = object_store.changes(wanted, there, logins, managed)
            if not self._task.check_mode:
                # Written first: what a killed run made can be removed by a later one.
                keep = {
                    kind: sorted({*managed.get(kind, []), *getattr(wanted, kind)}) for kind in ("policies", "users")
                }
                timings.write_json(record, keep)
                for change in todo:
                    store.do(change, secrets)
                timings.write_json(record, {"policies": sorted(wanted.policies), "users": sorted(wanted.users)})
        except (object_store.StoreError, KubeError, way_in.WayError) as problem:
            raise AnsibleActionFail(
                f"the object store at {arguments['endpoint']} cannot be set up: {problem}"
            ) from problem
        result.update(changed=bool(todo), changes=[str(change) for change in todo])
        if self._task.diff and todo:
            result["diff"] = {"prepared": "".join(f"{change}\n" for change in todo)}
        return result
