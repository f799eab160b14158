"""Action: render the whole platform without a cluster, check it, and write it to files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.infn.kaap.plugins.module_utils import (
    certificates,
    constants,
    deployment,
    openapi,
    platform_render,
    release,
    render,
    render_files,
    waves,
)

display = Display()
ROOT = Path(__file__).resolve().parents[2]
# More would hide the first ones.
SHOWN = 60


class ActionModule(ActionBase):  # type: ignore[misc]
    """Thin over module_utils/platform_render.py; its options are documented in plugins/modules/render.py."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task.

        :raises AnsibleActionFail: with all that is wrong, before anything is written.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "components": {"type": "list", "elements": "dict", "required": True},
                "waves": {"type": "list", "elements": "list", "required": True},
                "needs": {"type": "dict", "default": {}},
                "overrides": {"type": "dict", "default": {}},
                "provided": {"type": "list", "elements": "str", "default": []},
                "bundle_dir": {"type": "path", "required": True},
                "state_dir": {"type": "path", "required": True},
                "directory": {"type": "path", "required": True},
                "inventory": {"type": "str", "required": True},
            }
        )
        start = time.monotonic()
        try:
            written, parts = self._work(arguments)
        except (
            render.RenderError,
            waves.WaveError,
            openapi.OpenapiError,
            certificates.CertificateError,
            release.ReleaseError,
            deployment.NotPackedError,
        ) as error:
            raise AnsibleActionFail(str(error)) from error
        seconds = time.monotonic() - start
        objects = sum(len(part.objects) for part in parts)
        result.update(
            changed=bool(written.changed or written.removed),
            components=len(parts),
            objects=objects,
            seconds=round(seconds, 2),
            files=written.files,
            written=written.changed,
            removed=written.removed,
        )
        display.display(
            f"[render] {len(parts)} components, {objects} objects, {len(written.changed)} files written, "
            f"{len(written.removed)} removed in {seconds:.1f} s: {arguments['directory']}"
        )
        return result

    def _work(self, arguments: dict[str, Any]) -> tuple[render_files.Written, list[platform_render.Part]]:
        overrides = arguments["overrides"]
        records = [
            waves.with_values(record, (overrides.get(record["name"]) or {}).get("values"))
            for record in arguments["components"]
        ]
        bundle, state_dir = Path(arguments["bundle_dir"]), Path(arguments["state_dir"])
        description = openapi.read(bundle)
        kubernetes = f"v{release.load(ROOT)['kubernetes']['version']}"
        renderer = render.Renderer(bundle, ROOT, kubernetes, openapi.catalogue(description))
        kept = platform_render.Certificates(state_dir)
        parts = platform_render.build(records, arguments["waves"], arguments["needs"], renderer, kept)
        known = constants.read(ROOT / "release" / "constants.yml")
        problems, unvalidated = platform_render.check(parts, description, known, arguments["provided"])
        for text in unvalidated:
            display.warning(f"not validated: {text}")
        if problems:
            more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
            lines = "\n".join(f"  - {problem}" for problem in [*problems[:SHOWN], *more])
            raise render.RenderError(f"{len(problems)} problems; nothing was written:\n{lines}")
        manifest = deployment.bundle_manifest(str(state_dir))
        facts = {
            "Inventory": arguments["inventory"],
            "Release": str(manifest["release"]),
            "Kubernetes": kubernetes,
            "Bundle": f"`{manifest['digest']}`",
        }
        return render_files.write(Path(arguments["directory"]), render_files.contents(parts, facts)), parts
