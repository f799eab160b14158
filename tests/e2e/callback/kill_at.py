"""Kills the whole ansible-playbook process group with SIGKILL soon after a named task starts (tests only)."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kill_at
type: aggregate
short_description: Kill the run at a named task, for tests of interrupted runs
description:
  - Sends SIGKILL to the process group of ansible-playbook after a task whose name contains E(KAAP_KILL_AT) starts,
    E(KAAP_KILL_DELAY) seconds later.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Watches task starts and kills once."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_at"

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Starts the fuse when the named task starts."""
        wanted = os.environ.get("KAAP_KILL_AT")
        if wanted and wanted in task.get_name():
            delay = float(os.environ.get("KAAP_KILL_DELAY", "0"))
            fuse = threading.Timer(delay, os.killpg, (os.getpgid(0), signal.SIGKILL))
            fuse.daemon = True
            fuse.start()
