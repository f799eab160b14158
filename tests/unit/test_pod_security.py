"""The Pod Security Standards as the tests know them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.pod_security import violations

GOOD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "volumes": [{"name": "scratch", "emptyDir": {}}],
    "containers": [
        {"name": "c", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good pod with one field changed."""
    spec = copy.deepcopy(GOOD)
    *keys, last = path.split(".")
    place: Any = spec
    for key in keys:
        place = place[int(key)] if key.isdigit() else place[key]
    place[last] = value
    return spec


def test_a_good_pod_is_good_at_every_level() -> None:
    assert [violations(GOOD, level) for level in ("privileged", "baseline", "restricted")] == [[], [], []]


@pytest.mark.parametrize(
    ("path", "value", "baseline", "restricted"),
    [
        ("hostNetwork", True, ["hostNetwork"], ["hostNetwork"]),
        ("volumes", [{"name": "h", "hostPath": {}}], ["volume h is a hostPath"], ["volume h is a hostPath"]),
        ("volumes", [{"name": "n", "nfs": {}}], [], ["volume n is a nfs"]),
        ("containers.0.securityContext.privileged", True, ["c is privileged"], ["c is privileged"]),
        ("containers.0.ports", [{"hostPort": 80}], ["c has a host port"], ["c has a host port"]),
        ("containers.0.securityContext.capabilities.add", ["CHOWN"], [], ["c adds CHOWN"]),
        ("containers.0.securityContext.capabilities.add", ["NET_RAW"], ["c adds NET_RAW"], ["c adds NET_RAW"]),
        ("containers.0.securityContext.capabilities.drop", ["CHOWN"], [], ["c keeps capabilities"]),
        ("containers.0.securityContext.allowPrivilegeEscalation", None, [], ["c may escalate"]),
        ("securityContext.runAsNonRoot", False, [], ["c may run as root"]),
        ("containers.0.securityContext.runAsNonRoot", False, [], ["c may run as root"]),
        ("securityContext.runAsUser", 0, [], ["c runs as root"]),
        ("securityContext.seccompProfile", {"type": "Unconfined"}, [], ["c has no seccomp profile"]),
    ],
)
def test_each_rule_refuses_what_breaks_it(path: str, value: Any, baseline: list[str], restricted: list[str]) -> None:
    spec = changed(path, value)
    assert violations(spec, "baseline") == baseline
    assert violations(spec, "restricted") == restricted
    assert violations(spec, "privileged") == []
