"""Controller side of infn.kaap.tenants: closes tenants that are not declared any more, or deletes what they left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.infn.kaap.plugins.module_utils import closing, object_store, tenancy
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, KubeError

display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]
    """Thin over module_utils/closing.py; its options are documented in plugins/modules/tenants.py."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task.

        :raises AnsibleActionFail: when cluster or object store do not answer, or refuse.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "choices": ["settled", "deleted"], "default": "settled"},
                "tenants": {"type": "list", "elements": "dict", "required": True},
                "groups": {"type": "list", "elements": "dict", "default": []},
                "kubeconfig": {"type": "path", "required": True},
                "timeout": {"type": "int", "default": 600},
                "endpoint": {"type": "str", "default": ""},
                "access_key": {"type": "str", "default": "", "no_log": False},
                "secret_key": {"type": "str", "default": "", "no_log": True},
                "buckets": {"type": "list", "elements": "str", "default": []},
            }
        )
        check = bool(self._task.check_mode)
        try:
            client = KubeClient.from_kubeconfig(Path(arguments["kubeconfig"]))
            client.discover()
            work = closing.Closing(
                client,
                check=check,
                timeout=float(arguments["timeout"]),
                say=lambda text: display.display(f"[tenants] {text}"),
            )
            declared = tenancy.settle(arguments["tenants"], arguments["groups"])
            if arguments["state"] == "settled":
                work.settle(declared)
            else:
                names = {tenant.name for tenant in declared}
                closed = [namespace for name, namespace in work.there().items() if name not in names]
                # Buckets first: the namespaces are what knows of them.
                buckets = closing.buckets_of(closed, arguments["buckets"])
                work.done += self._remove_buckets(arguments, buckets, check=check) if buckets else []
                work.delete(names)
        except (KubeError, object_store.StoreError) as problem:
            raise AnsibleActionFail(str(problem)) from problem
        result.update(changed=bool(work.done), changes=work.done)
        if self._task.diff and work.done:
            result["diff"] = {"prepared": "".join(f"{line}\n" for line in work.done)}
        return result

    @staticmethod
    def _remove_buckets(arguments: dict[str, Any], buckets: list[str], *, check: bool) -> list[str]:
        if not arguments["endpoint"]:
            return []
        store = object_store.Store(arguments["endpoint"], arguments["access_key"], arguments["secret_key"])
        there = store.bucket_names()
        doomed = [object_store.Change("remove bucket", name) for name in buckets if name in there]
        for change in doomed:
            display.display(f"[tenants] {change}")
            if not check:
                store.do(change, {})
        return [str(change) for change in doomed]
