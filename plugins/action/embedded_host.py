"""Controller side of infn.kaap.embedded_host: what the embedded nodes of a deployment share on this host."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.infn.kaap.plugins.module_utils import embedded, host_facts, outside
from ansible_collections.infn.kaap.plugins.module_utils.embedded import EmbeddedError, Podman

RECORD = embedded.RUN / "host.json"


class ActionModule(ActionBase):  # type: ignore[misc]
    """Keeps network, image and kernel settings; documented in plugins/modules/embedded_host.py."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task.

        :raises AnsibleActionFail: when podman cannot do what is asked
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "deployment": {"type": "str", "required": True},
                "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                "cidr": {"type": "str"},
                "hosts": {"type": "list", "elements": "str", "default": []},
                "image_archive": {"type": "path"},
                "image_digest": {"type": "str"},
            },
            required_if=[["state", "present", ["cidr", "image_archive", "image_digest"]]],
        )
        self._podman = Podman(arguments["deployment"])
        self._changes: list[str] = []
        try:
            # In check mode, too: until then podman answers nothing at all.
            embedded.mend_namespaces()
            if arguments["state"] == "present":
                self._present(arguments)
            else:
                self._absent()
        except (EmbeddedError, OSError, ValueError) as problem:
            raise AnsibleActionFail(str(problem)) from problem
        text = "".join(f"{change}\n" for change in self._changes)
        result.update(changed=bool(self._changes), changes=self._changes, outside=outside.taken())
        if self._task.diff and text:
            result["diff"] = {
                "before": "",
                "after": text,
                "after_header": f"embedded host of {arguments['deployment']}",
            }
        return result

    def _do(self, change: str, function: Any, *arguments: Any, **options: Any) -> None:
        """Note a change, and make it unless in check mode."""
        self._changes.append(change)
        if not self._task.check_mode:
            self._display.display(f"    {change}")
            function(*arguments, **options)

    def _present(self, arguments: dict[str, Any]) -> None:
        podman = self._podman
        wanted = {embedded.container_name(arguments["deployment"], host) for host in arguments["hosts"]}
        there = podman.containers()
        cidr = podman.network_cidr()
        if cidr and cidr != arguments["cidr"]:
            # Certificates and etcd's data hold the addresses: nodes at other addresses are other machines.
            for name in there:
                self._do(f"remove {name} and its data: its network changes", podman.remove, name, data=True)
            self._do(f"remove network {cidr}", podman.remove_network, cidr, podman.network_interface())
            there, cidr = {}, ""
        for name in sorted(set(there) - wanted):
            self._do(f"remove {name} and its data: no longer in the inventory", podman.remove, name, data=True)
        if not RECORD.is_file():
            self._do("remember the host's kernel settings", self._remember)
        for module in host_facts.missing_modules_here():
            self._do(f"load kernel module {module}", embedded.load_module, module)
        low = embedded.low_sysctls(embedded.HOST_SYSCTLS)
        if low:
            shown = ", ".join(f"{name}={value}" for name, value in sorted(low.items()))
            self._do(f"raise {shown}", embedded.write_sysctls, low)
        if not cidr:
            self._do(f"make network {podman.network} {arguments['cidr']}", self._make_network, arguments["cidr"])
        image = embedded.image_name(arguments["image_digest"])
        if not podman.image_exists(image):
            self._do(f"import {image}", self._import, arguments["image_archive"], image)

    def _make_network(self, cidr: str) -> None:
        # A killed deployment may have left rules of a network that podman forgot.
        self._podman.remove_network(cidr, "")
        self._podman.call(
            *["network", "create", "--subnet", cidr, "--disable-dns"],
            *["--label", f"{embedded.LABEL}={self._podman.deployment}", self._podman.network],
        )

    def _import(self, archive: str, image: str) -> None:
        if not Path(archive).is_file():
            raise EmbeddedError(f"{archive} is not there: the bundle is incomplete; run playbooks/pack.yml")
        self._podman.call("import", "--quiet", "--change", 'CMD ["/sbin/init"]', archive, image)

    def _remember(self) -> None:
        """Write down the kernel settings of the host, before the first deployment changes them."""
        embedded.RUN.mkdir(mode=0o755, parents=True, exist_ok=True)
        RECORD.write_text(json.dumps(embedded.read_sysctls(embedded.SHARED_SYSCTLS)), encoding="utf-8")

    def _absent(self) -> None:
        podman = self._podman
        names = sorted(podman.containers())
        used = {str(entry["Image"]) for entry in podman.containers().values()}
        for name in names:
            self._do(f"remove {name}", podman.remove, name, data=True)
        left = [v for v in podman.volumes() if not any(v.startswith(f"{name}-") for name in names)]
        if left:
            self._do(f"remove volumes {', '.join(left)}", podman.call, "volume", "rm", "--force", *left)
        cidr = podman.network_cidr()
        if cidr:
            self._do(f"remove network {cidr}", podman.remove_network, cidr, podman.network_interface())
        others = json.loads(podman.call("ps", "--all", "--format", "json") or "[]") or []
        others = [entry for entry in others if entry["Names"][0] not in names]
        still_used = {str(entry["Image"]) for entry in others}
        # Without a container that tells, an unused node image belongs to whoever asks for it to go.
        for image in sorted((used or set(podman.images())) & set(podman.images()) - still_used):
            self._do(f"remove image {image}", podman.call, "rmi", "--force", image)
        if not any(embedded.LABEL in (entry.get("Labels") or {}) for entry in others) and embedded.RUN.exists():
            self._do("put back the host's kernel settings", self._restore, bool(others))

    def _restore(self, podman_in_use: bool) -> None:
        """Put back what the first embedded deployment changed, when the last one goes."""
        try:
            values = dict(json.loads(RECORD.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            values = {}
        if podman_in_use:
            values.pop("net.ipv4.ip_forward", None)
        embedded.write_sysctls(values)
        for path in embedded.RUN.glob("*"):
            path.unlink()
        embedded.RUN.rmdir()
        if podman_in_use:
            return
        # netavark leaves its empty chains behind.
        saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False, timeout=60).stdout
        chains = sorted({line[1:].split()[0] for line in saved.splitlines() if line.startswith(":NETAVARK")})
        for rule in embedded.stale_rules(saved, chains, "none"):
            subprocess.run(["iptables", "--wait", *rule], capture_output=True, check=False, timeout=30)
