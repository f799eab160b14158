"""The pod network's component follows its setting."""

from __future__ import annotations

from ansible_collections.infn.kaap.plugins.module_utils.pod_network import switched


def test_calico_is_switched_by_the_setting() -> None:
    """On or off, and nothing else changes."""
    assert switched({}, "calico") == {"calico": {"enabled": True}}
    changes = {"minio": {"enabled": False}}
    assert switched(changes, "reference") == {"calico": {"enabled": False}, "minio": {"enabled": False}}
    assert changes == {"minio": {"enabled": False}}


def test_other_changes_to_it_stay() -> None:
    """Such as values."""
    assert switched({"calico": {"values": {"a": 1}}}, "calico") == {"calico": {"enabled": True, "values": {"a": 1}}}
    assert switched({"calico": None}, "calico") == {"calico": {"enabled": True}}
