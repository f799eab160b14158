"""One value for the sharing of GPUs, and what NVIDIA's operator is given for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import gpu

NO_CONFIG = {"create": False, "name": "", "default": "", "data": {}}


def config(value: str) -> dict[str, Any]:
    """The device plugin's configuration for a value; the chart makes it and every node takes it."""
    plugin = gpu.sharing(value)["device_plugin"]
    assert plugin["create"] is True
    assert plugin["name"]
    (name,) = plugin["data"]
    assert plugin["default"] == name
    found: dict[str, Any] = json.loads(plugin["data"][name])
    assert found["version"] == "v1"
    return found


def test_none() -> None:
    """Whole cards."""
    assert gpu.sharing("none") == {
        "device_plugin": NO_CONFIG,
        "mig_profile": "all-disabled",
        "resource": "nvidia.com/gpu",
    }


def test_time_slicing() -> None:
    """Each card as several, and no pod gets two shares, which would be worth one."""
    assert config("time-slicing:4")["sharing"] == {
        "timeSlicing": {
            "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
            "failRequestsGreaterThanOne": True,
        }
    }
    assert gpu.sharing("time-slicing:4")["mig_profile"] == "all-disabled"


def test_mps() -> None:
    """Each card as several, side by side on it."""
    assert config("mps:10")["sharing"] == {"mps": {"resources": [{"name": "nvidia.com/gpu", "replicas": 10}]}}


def test_mig() -> None:
    """Slices of one size on every card, under the name of whole cards."""
    assert gpu.sharing("mig:1g.10gb") == {
        "device_plugin": NO_CONFIG,
        "mig_profile": "all-1g.10gb",
        "resource": "nvidia.com/gpu",
    }


@pytest.mark.parametrize(
    "value", ["", "time-slicing", "time-slicing:0", "mps:x", "mig:", "mig:8g.10gb", "mig:all", "None"]
)
def test_what_means_nothing(value: str) -> None:
    """Named, with what would."""
    with pytest.raises(gpu.GpuError, match=f"'{value}' is no way to share GPUs; give none, "):
        gpu.sharing(value)


@pytest.mark.parametrize("value", ["time-slicing:1", "mps:49"])
def test_impossible_numbers(value: str) -> None:
    """One share is none, and more than MPS serves are refused here, not by a pod that does not start."""
    with pytest.raises(gpu.GpuError, match=f"'{value}' would make .* of each card; give a number from 2 to 48"):
        gpu.sharing(value)
