"""Action: look at settings, inventory, release and machine before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.infn.kaap.plugins.module_utils import (
    certificates,
    deployment,
    gobuild,
    host_facts,
    living,
    local_host,
    pack,
    pem_files,
    pod_network,
    registry_clients,
    rehearsal,
    release,
    settings,
    timings,
)
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache

GIB = 1024**3
# Measured: memory that the machine has less once everything of profile core runs, and disk of its nodes.
PLATFORM_MEMORY = 6 * GIB
NODES_DISK = 8 * GIB
# The same of a rehearsal: one machine, on which nothing but the control plane runs.
REHEARSAL_MEMORY = 3 * GIB
REHEARSAL_DISK = 3 * GIB
PROFILES = ("core", "full")
CONTAINER_STORAGE = "/var/lib/containers"


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/preflight.py for the documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Gather what is known and name every problem at once.

        :raises AnsibleActionFail: with all the problems
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "use_cases": {"type": "dict", "required": True},
                "packing": {"type": "bool", "default": True},
                "rehearsal": {"type": "bool", "default": False},
            }
        )
        variables = task_vars or {}
        sources = [str(source) for source in variables.get("ansible_inventory_sources") or []]
        facts = deployment.describe(sources, purpose="rehearsal" if arguments["rehearsal"] else "")
        given = self._given(variables)
        wrong: list[settings.Problem] = []
        if arguments["rehearsal"]:
            # Whatever the machines are: the control plane of a rehearsal is a container here, in a network of its own.
            given |= {
                "kaap_provider": "embedded",
                "kaap_deployment": "",
                "kaap_node_cidr": "",
                "kaap_host_port_base": 0,
            }
            _, wrong = rehearsal.shapes_of(variables, self._templar)
        name = str(given.get("kaap_deployment") or facts["deployment"])
        host = self._host(facts, given, name, arguments, machines(variables))
        problems = settings.validate(given, settings.load_specs(Path(facts["root"])), host) + wrong
        result.update(changed=False, problems=[str(problem) for problem in problems])
        if problems:
            count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
            lines = "\n".join(f"  - {problem}" for problem in problems)
            raise AnsibleActionFail(f"{count}; nothing was touched:\n{lines}", result=result)
        if not self._task.check_mode:
            # Who collects logs after a failure has no settings at hand.
            timings.write_json(Path(facts["state_dir"]) / "deployment.json", {"deployment": name})
        return result

    def _given(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return every variable of the run that is named like a setting, of the play and of single hosts."""
        found: dict[str, Any] = {}
        hostvars = variables["hostvars"]
        # Raw: other variables of a host may need facts that only its own plays have.
        for source in (*(hostvars.raw_get(host) for host in hostvars), variables):
            found.update({str(key): value for key, value in source.items() if key.startswith(settings.PREFIX)})
        return {key: self._templar.template(value) for key, value in found.items()}

    def _host(
        self,
        facts: Mapping[str, Any],
        given: Mapping[str, Any],
        name: str,
        arguments: Mapping[str, Any],
        known: tuple[settings.Machine, ...],
    ) -> settings.Host:
        root, cache = Path(facts["root"]), Path(facts["cache"])
        embedded = given.get("kaap_provider") == "embedded"
        nodes = local_host.containers(name) if embedded else []
        running = [node for node in nodes if node.get("State") == "running"]
        base = given.get("kaap_host_port_base")
        base = int(str(base)) if settings.is_type(base, "int") and int(str(base)) else facts["host_port_base"]
        ports = list(deployment.host_ports(base).values()) if 0 < base < 65500 else []
        os_id, os_version = local_host.operating_system()
        records: Mapping[str, release.Record] = {}
        broken: tuple[str, ...] = ()
        try:
            records = release.load(root)
        except release.ReleaseError as problem:
            broken = tuple(problem.problems)
        components = {
            key: settings.Component(
                str(record["profile"]),
                tuple(record.get("needs") or ()),
                tuple(record.get("after") or ()),
                str(record.get("replaced_by") or ""),
                str(record["namespace"]),
            )
            for key, record in records.items()
            if record["kind"] == "component"
        }
        aside = bool(arguments["rehearsal"])
        wanted = records if arguments["packing"] else {}
        disk, memory, unreachable = self._packing(root, cache, given, wanted, aside)
        if embedded and not running:
            memory = max(memory, REHEARSAL_MEMORY if aside else PLATFORM_MEMORY)
        if embedded and not nodes:
            disk[CONTAINER_STORAGE] = REHEARSAL_DISK if aside else NODES_DISK
        disk = local_host.needed_disk(disk)
        meminfo = Path("/proc/meminfo").read_text(encoding="ascii")
        return settings.Host(
            uid=os.geteuid(),
            os_id=os_id,
            os_version=os_version,
            free_memory=host_facts.memory(meminfo)[1],
            needed_memory=memory,
            needed_disk=disk,
            free_disk=local_host.free_disk(disk),
            networks=tuple(local_host.networks(name)) if embedded else (),
            ports=local_host.busy_ports(address(given), ports, local_host.published(running)) if embedded else {},
            machines=known,
            components=components,
            use_cases={key: tuple(needs) for key, needs in arguments["use_cases"].items()},
            release_problems=broken,
            unreadable=self._unreadable(given, arguments),
            certificates=certificate_faults(given),
            unreachable=unreachable,
            living=self._living(facts, name, embedded, known),
            node_cidr=facts["node_cidr"],
            port_base=facts["host_port_base"],
            rehearsal=aside,
        )

    def _unreadable(self, given: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, str]:
        only = settings.names(given.get("kaap_pack_only"))
        faults, absent = unreadable(given, bool(arguments["packing"] and not arguments["rehearsal"] and not only))
        for path in absent:
            self._display.warning(
                f"{path} is not there: a generated value stands in for it until something is installed"
            )
        return faults

    def _living(
        self, facts: Mapping[str, Any], name: str, embedded: bool, known: tuple[settings.Machine, ...]
    ) -> dict[str, str]:
        """Return the networks, by setting, that the cluster of this deployment was made with; none without one."""
        if not embedded:
            return living.of_cluster(Path(facts["kubeconfig"]))
        hosts = [machine.name for machine in known if "kaap_control_plane" in machine.groups]
        for directory in local_host.node_directories(name, hosts, "kubernetes"):
            found = living.of_control_plane(directory)
            if found:
                return {**found, **local_host.own_network(name)}
        return {}

    def _packing(
        self,
        root: Path,
        cache: Path,
        given: Mapping[str, Any],
        records: Mapping[str, release.Record],
        aside: bool,
    ) -> tuple[dict[str, int], int, dict[str, tuple[str, str]]]:
        """Return disk by directory and memory that packing needs, and the registries that it needs and cannot reach."""
        if not records:
            return {}, 0, {}
        profile = str(given.get("kaap_profile"))
        try:
            changes = pod_network.switched(given.get("kaap_components") or {}, str(given.get("kaap_cni")))
            wanted = release.select(records, profile if profile in PROFILES else PROFILES[0], changes, rehearsal=aside)
            estimate = pack.estimate(
                root,
                wanted,
                Cache(cache),
                rehearsal.CONTENT if aside else settings.names(given.get("kaap_pack_only")),
                pulled=given.get("kaap_images") == "upstream",
            )
        except (release.ReleaseError, pack.PackError, AttributeError, TypeError):
            # What is wrong with the settings is named elsewhere, with its fix.
            return {}, 0, {}
        if not estimate.missing:
            return {}, 0, {}
        minutes = max(1, round(estimate.seconds / 60))
        self._display.display(
            f"    {len(estimate.missing)} artefacts are not in the cache: about {minutes} min on two cores, "
            f"{estimate.disk_bytes / GIB:.0f} GiB of disk while packing"
        )
        if not estimate.registries:
            return {str(cache): estimate.disk_bytes}, estimate.memory_bytes, {}
        try:
            tool = cache / "go" / "toolchain" / gobuild.toolchain_key(root) / "go" / "bin" / "go"
            unreachable = local_host.unreachable(gobuild.pip(), tool)
        except registry_clients.CommandError as problem:
            unreachable = {"pip": (f"cannot be asked: {problem}", "install python3-venv, which brings pip")}
        return {str(cache): estimate.disk_bytes}, estimate.memory_bytes, unreachable


def unreadable(given: Mapping[str, Any], installs: bool) -> tuple[dict[str, str], list[str]]:
    """Return the files that settings name and that cannot be used, and why; and those that are not there yet.

    :param installs: whether this run may end in an installation. Where it only packs manifests, renders or rehearses, a
        generated value stands in for a client secret that is not there yet. Nothing stands in for a certificate.
    """
    oidc, tls = (value if isinstance(value := given.get(name), Mapping) else {} for name in ("kaap_oidc", "kaap_tls"))
    client = oidc.get("client_secret_file")
    judges = {client: local_host.secret_file_fault}
    judges |= {tls.get(key): local_host.secret_file_fault for key in ("key", "ca_key")}
    judges |= {tls.get(key): local_host.file_fault for key in ("certificate", "ca_certificate")}
    named = {path: judge for path, judge in judges.items() if isinstance(path, str) and path}
    absent = [path for path in named if path == client and not installs and not Path(path).exists()]
    whys = {path: judge(Path(path)) for path, judge in named.items() if path not in absent}
    return {path: why for path, why in whys.items() if why}, absent


def certificate_faults(given: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return by key of kaap_tls what is wrong with the content of its files, and the fix."""
    tls = given.get("kaap_tls")
    if not isinstance(tls, Mapping):
        return {}
    return pem_files.faults_of_files(tls, str(given.get("kaap_domain")), certificates.utcnow())


def machines(variables: Mapping[str, Any]) -> tuple[settings.Machine, ...]:
    """Return the machines of the inventory."""
    groups, hostvars = variables["groups"], variables["hostvars"]
    names = dict.fromkeys([*groups.get("kaap_control_plane", []), *groups.get("kaap_workers", [])])
    return tuple(
        settings.Machine(
            name=str(name),
            address=fixed_address(str(name), hostvars.raw_get(name)),
            groups=tuple(str(group) for group in groups if name in groups[group]),
        )
        for name in names
    )


def fixed_address(name: str, raw: Mapping[str, Any]) -> str:
    """Return the address of a host; one that is computed counts as different from all others, as names are.

    :param raw: the variables of the host, not templated
    """
    value = raw.get("machine_address") or raw.get("ansible_host")
    return name if "{{" in str(value or "") else str(value or "")


def address(given: Mapping[str, Any]) -> str:
    """Return the address on which the endpoints are published, or one that exists everywhere when it is malformed."""
    value = str(given.get("kaap_host_address", ""))
    return value if value.count(".") == 3 and value.replace(".", "").isdigit() else "127.0.0.1"
