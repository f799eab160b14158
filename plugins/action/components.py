"""Controller side of infn.kaap.components: installs components, removes them, or says what cannot be changed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.infn.kaap.plugins.module_utils import apply, outside, rehearsing, render, waves
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, KubeError

display = Display()
ROOT = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):  # type: ignore[misc]
    """Thin over module_utils/apply.py; its options are documented in plugins/modules/components.py."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task.

        :raises AnsibleActionFail: for arguments that do not fit and for a cluster that does not answer.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "choices": ["present", "absent", "possible"], "default": "present"},
                "components": {"type": "list", "elements": "dict", "default": []},
                "needs": {"type": "dict", "default": {}},
                "overrides": {"type": "dict", "default": {}},
                "keep": {"type": "list", "elements": "str"},
                "provided": {"type": "dict", "default": {}},
                "kubeconfig": {"type": "path", "required": True},
                "bundle_dir": {"type": "path"},
                "state_dir": {"type": "path", "required": True},
                "timeout": {"type": "int", "default": 600},
                "delete_data": {"type": "bool", "default": False},
                "rehearsal": {"type": "bool", "default": False},
                "position": {"type": "int", "default": 0},
                "total": {"type": "int"},
            },
            required_if=[
                ("state", "present", ["bundle_dir"]),
                ("state", "possible", ["bundle_dir"]),
                ("state", "absent", ["keep"]),
            ],
        )
        start = time.monotonic()
        try:
            outcome = self._work(arguments)
        except (KubeError, render.RenderError, waves.WaveError) as error:
            raise AnsibleActionFail(str(error)) from error
        components = {each.component: each.as_dict() for each in outcome}
        errors = [f"{each.component}: {each.error}" for each in outcome if each.error]
        if errors and arguments["state"] == "possible":
            errors.insert(0, "Nothing was touched. The cluster cannot make these changes:")
        result.update(
            changed=any(each.changed for each in outcome),
            components=components,
            seconds=round(time.monotonic() - start, 2),
            outside=outside.taken(),
        )
        if self._task.diff:
            result["diff"] = [diff for each in outcome for diff in each.diffs]
        for each in outcome:
            for line in each.taken_back:
                display.warning(f"{each.component}: set back to what is declared: {line}")
        if errors:
            result.update(failed=True, msg="\n".join(errors))
        return result

    def _work(self, arguments: dict[str, Any]) -> list[apply.Result]:
        overrides, needs = arguments["overrides"], arguments["needs"]
        records = [
            waves.with_values(
                {**record, "needs": needs.get(record["name"], record.get("needs"))},
                (overrides.get(record["name"]) or {}).get("values"),
            )
            for record in arguments["components"]
        ]
        if arguments["state"] != "absent" and not records and not arguments["provided"]:
            return []
        client = KubeClient.from_kubeconfig(Path(arguments["kubeconfig"]))
        client.discover()
        if lacking := apply.missing_definitions(client, arguments["provided"]):
            raise KubeError("\n".join(["Nothing was touched.", *lacking]))
        options = apply.Options(
            check=bool(self._task.check_mode),
            diff=bool(self._task.diff),
            timeout=float(arguments["timeout"]),
            delete_data=arguments["delete_data"],
        )
        names = {str(record["name"]): str(record.get("version", "")) for record in records}
        first, total = arguments["position"] + 1, arguments["total"] or len(records)
        places = {name: first + number for number, name in enumerate(names)}

        def say(component: str, text: str) -> None:
            place = f" {places[component]}/{total}" if component in places else ""
            version = f" {names[component]}" if names.get(component) else ""
            display.display(f"[platform{place}] {component}{version}: {text}")

        renderer = None
        if arguments["state"] != "absent":
            renderer = render.Renderer(Path(arguments["bundle_dir"]), ROOT, client.version(), client.catalogue)
        kind = rehearsing.Rehearsal if arguments["rehearsal"] else apply.Cluster
        cluster = kind(client, options, state_dir=Path(arguments["state_dir"]), renderer=renderer, say=say)
        if arguments["state"] == "absent":
            return cluster.remove(sorted(set(cluster.inventories) - set(arguments["keep"])))
        return cluster.install(records) if arguments["state"] == "present" else cluster.look_ahead(records)
