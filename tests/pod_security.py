"""The Pod Security Standards, as far as a pod template can break them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]

BASELINE_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip
RESTRICTED_VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)


def containers(spec: Object) -> Iterator[Object]:
    """Every container of a pod."""
    for key in ("initContainers", "containers"):
        yield from spec.get(key) or []


def violations(spec: Object, level: str) -> list[str]:
    """What a pod of this specification would be refused for.

    :param level: ``privileged``, ``baseline`` or ``restricted``
    """
    found: list[str] = []
    if level == "privileged":
        return found
    found += [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    pod = spec.get("securityContext") or {}
    for volume in spec.get("volumes") or []:
        kinds = set(volume) - {"name"}
        if "hostPath" in kinds:
            found.append(f"volume {volume['name']} is a hostPath")
        elif level == "restricted" and not kinds <= RESTRICTED_VOLUMES:
            found.append(f"volume {volume['name']} is a {', '.join(sorted(kinds))}")
    for container in containers(spec):
        own = container.get("securityContext") or {}
        name, capabilities = container["name"], own.get("capabilities") or {}
        added = set(capabilities.get("add") or [])
        if own.get("privileged"):
            found.append(f"{name} is privileged")
        if any(port.get("hostPort") for port in container.get("ports") or []):
            found.append(f"{name} has a host port")
        if not added <= (BASELINE_CAPABILITIES if level == "baseline" else {"NET_BIND_SERVICE"}):
            found.append(f"{name} adds {', '.join(sorted(added))}")
        if level == "restricted":
            seccomp = (own.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type")
            found += [
                f"{name} {fault}"
                for fault, is_so in {
                    "may escalate": own.get("allowPrivilegeEscalation") is not False,
                    "may run as root": not own.get("runAsNonRoot", pod.get("runAsNonRoot")),
                    "runs as root": own.get("runAsUser", pod.get("runAsUser")) == 0,
                    "keeps capabilities": "ALL" not in (capabilities.get("drop") or []),
                    "has no seccomp profile": seccomp not in {"RuntimeDefault", "Localhost"},
                }.items()
                if is_so
            ]
    return found
