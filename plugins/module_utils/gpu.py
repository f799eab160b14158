"""How GPUs are shared, from the one value that an inventory gives to what NVIDIA's operator wants."""

from __future__ import annotations

import json
import re
from typing import Any

CONFIG_NAME = "kaap-device-plugin"
CONFIG_KEY = "kaap"
RESOURCE = "nvidia.com/gpu"
MIG_OFF = "all-disabled"
FORMS = "none, time-slicing:4, mps:4 or mig:1g.10gb"
PARTS = re.compile(r"^(?:(none)|(time-slicing|mps):([1-9][0-9]*)|mig:([1-7]g\.[1-9][0-9]*gb))$")
MANY = 48  # more clients of one card than MPS serves


class GpuError(Exception):
    """A value for the sharing of GPUs means nothing; the text says what is wrong with it."""


def sharing(value: str) -> dict[str, Any]:
    """What the GPU operator's chart is given for one value of kaap_gpu_sharing.

    :param value: ``none``; ``time-slicing:N`` or ``mps:N``, each card as N; ``mig:PROFILE``, each card cut into slices.
    :returns: ``device_plugin``: values of ``devicePlugin.config``; ``mig_profile``: name of the layout that the MIG
        manager gives every card; ``resource``: what a pod asks for.
    :raises GpuError: for anything else.
    """
    match = PARTS.match(value)
    if not match:
        raise GpuError(f"{value!r} is no way to share GPUs; give {FORMS}")
    _, mode, count, profile = match.groups()
    return {
        "device_plugin": _config(mode, int(count))
        if mode
        else {"create": False, "name": "", "default": "", "data": {}},
        "mig_profile": f"all-{profile}" if profile else MIG_OFF,
        # With slices of one size only, the device plugin's strategy `single` gives them the name of whole cards.
        "resource": RESOURCE,
    }


def _config(mode: str, count: int) -> dict[str, Any]:
    """Values of ``devicePlugin.config`` that make each card appear as several."""
    if not 2 <= count <= MANY:
        raise GpuError(f"'{mode}:{count}' would make {count} of each card; give a number from 2 to {MANY}")
    shared: dict[str, Any] = {"resources": [{"name": RESOURCE, "replicas": count}]}
    key = "mps" if mode == "mps" else "timeSlicing"
    if mode == "time-slicing":
        # Two shares of one card would give a pod no more than one does, and it would not know.
        shared["failRequestsGreaterThanOne"] = True
    text = json.dumps({"version": "v1", "sharing": {key: shared}}, sort_keys=True)
    return {"create": True, "name": CONFIG_NAME, "default": CONFIG_KEY, "data": {CONFIG_KEY: text}}
