"""Controller side of infn.kaap.pack: makes what the cache lacks and writes the deployment's bundle."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.infn.kaap.plugins.module_utils import garbage, pack, release
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache, CacheError
from ansible_collections.infn.kaap.plugins.module_utils.registry_clients import CommandError, die_with_parent

display = Display()
ROOT = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):  # type: ignore[misc]
    """Thin over module_utils/pack.py; its options are documented in plugins/modules/pack.py."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task.

        :raises AnsibleActionFail: for a release that is not valid and for artefacts that cannot be had.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "profile": {"type": "str", "choices": ["core", "full"], "default": "core"},
                "components": {"type": "list", "elements": "str", "default": []},
                "overrides": {"type": "dict", "default": {}},
                "sources": {"type": "list", "elements": "str", "default": ["packages", "git"]},
                "only": {"type": "list", "elements": "str", "default": []},
                "images": {"type": "str", "choices": ["bundle", "upstream"], "default": "bundle"},
                "cache_dir": {"type": "path", "required": True},
                "state_dir": {"type": "path"},
                "clean": {"type": "bool", "default": False},
                "rehearsal": {"type": "bool", "default": False},
                "keep": {"type": "int", "default": 3},
            }
        )
        # A build that outlives a killed run would keep the next one waiting.
        die_with_parent()
        start = time.monotonic()
        try:
            made, freed, collected = self._work(arguments)
        except (release.ReleaseError, pack.PackError, CacheError, CommandError) as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(
            changed=made.changed or freed > 0,
            bundle_dir=made.bundle_dir,
            digest=made.digest,
            made=made.made,
            timings=made.seconds,
            artefacts=len(made.artefacts),
            freed_bytes=freed,
            collected=asdict(collected) if collected else {},
            seconds=round(time.monotonic() - start, 2),
        )
        if self._task.diff and made.made:
            result["diff"] = {"before": "", "after": "".join(f"{title}\n" for title in made.made)}
        return result

    def _work(self, arguments: dict[str, Any]) -> tuple[pack.Result, int, garbage.Collected | None]:
        records = release.select(
            release.load(ROOT),
            arguments["profile"],
            arguments["overrides"],
            arguments["components"],
            rehearsal=arguments["rehearsal"],
        )
        cache = Cache(Path(arguments["cache_dir"]))
        packer = pack.Packer(ROOT, cache, arguments["sources"], lambda line: display.display(f"    {line}"))
        state = Path(arguments["state_dir"]) if arguments["state_dir"] else None
        check = bool(self._task.check_mode)
        with garbage.packing(cache):
            made = packer.run(
                records,
                state,
                only=set(arguments["only"]),
                pulled=arguments["images"] == "upstream",
                check=check,
            )
            if not check:
                garbage.record(cache, made.digest, made.keys, state)
        if check:
            return made, 0, None
        freed = pack.clean(cache) if arguments["clean"] else 0
        collected = None
        if made.changed or garbage.due(cache, time.time()):
            collected = garbage.Collector(cache, ROOT, arguments["keep"]).run()
            display.display(f"    {collected or 'somebody else packs: nothing is removed from the cache now'}")
        return made, freed, collected
