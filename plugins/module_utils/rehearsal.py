"""The shapes of an inventory's machines, as a run sees them, and what a rehearsal packs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import shapes
from ansible_collections.infn.kaap.plugins.module_utils.settings import Problem
from ansible_collections.infn.kaap.plugins.module_utils.steps import TOOLS

# The tools whole, because the control plane runs; of the components only what is rendered.
CONTENT = {"charts", "manifests", TOOLS}
GROUPS = ("kaap_control_plane", "kaap_workers")
# The name of the machine with the real control plane, which no machine of an inventory may have.
CONTROL_PLANE_HOST = "rehearsal-control-plane"


def shapes_of(variables: Mapping[str, Any], templar: Any) -> tuple[list[shapes.Shape], list[Problem]]:
    """Read the shapes of all machines of the inventory.

    :param variables: of the task, with ``groups`` and ``hostvars``.
    :param templar: resolves templates in the values.
    :returns: the shapes, and everything that is wrong with them.
    """
    groups, hostvars = variables["groups"], variables["hostvars"]
    names = dict.fromkeys(str(name) for group in GROUPS for name in groups.get(group, []))
    hosts = {}
    for name in names:
        raw = hostvars.raw_get(name)
        # Its address may need facts of machines that do not exist, and says nothing about its shape.
        hosts[name] = {
            str(key): templar.template(value)
            for key, value in raw.items()
            if str(key).startswith(shapes.PREFIX) and key != "machine_address"
        }
    embedded = templar.template(variables.get("kaap_provider")) == "embedded"
    defaults = own_machine(variables, templar) if embedded else {}
    found, problems = shapes.read(hosts, [str(name) for name in groups.get("kaap_control_plane", [])], defaults)
    if CONTROL_PLANE_HOST in names:
        fault = "is the name of the machine with the rehearsal's own control plane"
        problems.append(Problem("inventory host", CONTROL_PLANE_HOST, fault, "give it another name"))
    return found, problems


def own_machine(variables: Mapping[str, Any], templar: Any) -> dict[str, Any]:
    """What a machine that is a container on this host offers: its limits, or all that the host has."""
    cpus = float(templar.template(variables.get("kaap_node_cpus")) or 0) or len(os.sched_getaffinity(0))
    memory = str(templar.template(variables.get("kaap_node_memory")) or "").lower().removesuffix("b")
    units = {"k": "Ki", "m": "Mi", "g": "Gi"}
    given = memory[:-1] + units[memory[-1]] if memory[-1:] in units else ""
    total = Path("/proc/meminfo").read_text(encoding="ascii").split()[1]
    return {"machine_cpus": f"{cpus:g}", "machine_memory": given or f"{total}Ki"}
