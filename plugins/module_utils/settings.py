"""What may be set, and what is wrong with what was set: every problem at once, before anything is touched."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import (
    cidr,
    gpu,
    ingress_rules,
    pipelines,
    pod_network,
    tenancy_rules,
    waves,
)

Spec = Mapping[str, Any]
PREFIX = "kaap_"
# The groups of an inventory whose names start like a setting: group names are no variables, but may be typed as such.
SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$")
BUCKET = re.compile(r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
MEMORY = re.compile(r"^[1-9][0-9]*[kmg]b?$", re.IGNORECASE)
COMPONENT_KEYS = {"enabled": {"type": "bool"}, "provided": {"type": "bool"}, "values": {"type": "dict"}}
# Lists that may also be given as text, separated by commas; names() takes them apart.
COMMAS = {"kaap_only", "kaap_pack_only"}
GIB = 1024**3
LIVING_FAULT = "is not {}, with which this cluster was made"
LIVING_FIX = "set it back, or run scripts/destroy first, which takes the cluster's data too"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: which variable, its value, the fault, and the fix."""

    variable: str
    value: Any
    fault: str
    fix: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.variable}: `{self.value}` {self.fault}; {self.fix}"


@dataclass(frozen=True)
class Component:
    """What matters of a release record here."""

    profile: str = "core"
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    replaced_by: str = ""
    namespace: str = ""


@dataclass(frozen=True)
class Machine:
    """A host of the inventory."""

    name: str
    address: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Host:
    """What is known of this machine, of the inventory's hosts and of the release; bytes for sizes.

    :ivar networks: (network, owner) of each route or container network in use that is not this deployment's
    :ivar ports: TCP ports in use that this deployment does not hold, and who holds them
    :ivar needed_memory: bytes that deploying needs; 0 when the deployment runs already
    :ivar needed_disk: by directory, bytes that deploying needs there
    :ivar free_disk: by directory, bytes free there
    :ivar unreadable: files that a setting names and that cannot be used, and why
    :ivar certificates: by key of kaap_tls, fault and fix of what its file holds
    :ivar unreachable: by client (pip, go, apt), what is wrong with its registry, and the fix
    :ivar rehearsal: whether the machines are only simulated: none of them needs an address, or room in a network here
    :ivar living: by setting, the networks that the deployment's cluster was made with; none where there is no cluster
    """

    uid: int = 0
    os_id: str = "debian"
    os_version: str = "12"
    free_memory: int = 64 * GIB
    needed_memory: int = 0
    free_disk: Mapping[str, int] = field(default_factory=dict)
    needed_disk: Mapping[str, int] = field(default_factory=dict)
    networks: tuple[tuple[str, str], ...] = ()
    ports: Mapping[int, str] = field(default_factory=dict)
    machines: tuple[Machine, ...] = ()
    components: Mapping[str, Component] = field(default_factory=dict)
    use_cases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    release_problems: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    unreachable: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    living: Mapping[str, str] = field(default_factory=dict)
    node_cidr: str = ""
    port_base: int = 0
    rehearsal: bool = False


def load_specs(root: Path) -> dict[str, Any]:
    """Return the specification of every setting, by name."""
    text = (root / "roles/kaap/meta/argument_specs.yml").read_text(encoding="utf-8")
    options: dict[str, Any] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return options


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the words that name the nearest known name, or all of them when none is near."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"choose from {', '.join(names)}" if names else "remove it"


def names(value: Any) -> set[str]:
    """Return the names of a list that may also be given as text, separated by commas."""
    return {str(name).strip() for name in (value.split(",") if isinstance(value, str) else value or [])} - {""}


def validate(settings: Mapping[str, Any], specs: Spec, host: Host) -> list[Problem]:
    """Return everything that is wrong, in a stable order. Nothing is changed or asked: both arguments are complete.

    :param settings: every `kaap_*` variable of the run, defaults included
    :param specs: what `load_specs` returns
    """
    problems = check_names(settings, specs)
    for name, spec in specs.items():
        if name in settings:
            problems += check_value(name, settings[name], spec)
    sound = {name: value for name, value in settings.items() if not any(p.variable.startswith(name) for p in problems)}
    checks: tuple[Callable[[Mapping[str, Any], Host], list[Problem]], ...] = (
        check_identity,
        check_networks,
        check_living,
        check_ports,
        check_machines,
        check_components,
        check_longhorn,
        check_gpu,
        check_object_store,
        check_stores,
        check_queues,
        check_tenants,
        check_ingress,
        check_host,
        check_release,
    )
    for check in checks:
        problems += check(sound, host)
    return problems


def check_names(settings: Mapping[str, Any], specs: Spec) -> list[Problem]:
    """Refuse variables that nothing reads."""
    return [
        Problem(name, settings[name], "is not a setting of KaaP", nearest_setting(name, specs))
        for name in sorted(settings)
        if name not in specs
    ]


def nearest_setting(name: str, specs: Spec) -> str:
    """Return the words that name the nearest setting; what all names begin with does not make two alike."""
    known = {setting.removeprefix(PREFIX): setting for setting in specs}
    close = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1, cutoff=0.6)
    return f"did you mean {known[close[0]]}?" if close else "roles/kaap/defaults/main.yml has all that there are"


def is_type(value: Any, kind: str) -> bool:
    """Tell whether a value has the type. Text from the command line counts as the number or truth value it spells."""
    text = str(value) if isinstance(value, str) else None
    if kind == "int":
        return (isinstance(value, int) and not isinstance(value, bool)) or bool(text and re.fullmatch(r"-?\d+", text))
    if kind == "float":
        return is_type(value, "int") or isinstance(value, float) or bool(text and re.fullmatch(r"-?\d+\.\d+", text))
    if kind == "bool":
        return isinstance(value, bool) or (text or "").lower() in {"true", "false", "yes", "no"}
    if kind in {"str", "path"}:
        return isinstance(value, str)
    if kind == "list":
        return isinstance(value, list | tuple)
    return isinstance(value, Mapping) if kind == "dict" else True


EXAMPLES = {
    "int": "a whole number, such as 10",
    "float": "a number, such as 1.5",
    "bool": "true or false",
    "str": "text",
    "path": "a path",
    "list": "a list, such as [a, b]",
    "dict": "a mapping of keys to values",
}


def check_value(name: str, value: Any, spec: Spec) -> list[Problem]:
    """Return what is wrong with the type of a value, and of what is inside it."""
    kind = str(spec.get("type", "str"))
    if name in COMMAS and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not is_type(value, kind):
        return [Problem(name, value, f"is not {EXAMPLES[kind].partition(',')[0]}", f"give {EXAMPLES[kind]}")]
    choices = spec.get("choices")
    problems = []
    if kind == "list":
        for index, item in enumerate(value):
            inner = {"type": spec.get("elements", "raw"), "options": spec.get("options"), "choices": choices}
            problems += check_value(f"{name}[{index}]", item, inner)
        return problems
    if choices and value not in choices:
        return [Problem(name, value, "is not possible", nearest(str(value), map(str, choices)))]
    if kind == "dict" and spec.get("options"):
        options = spec["options"]
        for key in value:
            if key not in options:
                problems.append(Problem(f"{name}.{key}", value[key], "is not a key of it", nearest(str(key), options)))
        for key, inner in options.items():
            if key in value:
                problems += check_value(f"{name}.{key}", value[key], inner)
            elif inner.get("required"):
                problems.append(Problem(name, value, f"has no key {key}", f"add {key}: {EXAMPLES[inner['type']]}"))
    return problems


def check_identity(settings: Mapping[str, Any], _host: Host) -> list[Problem]:
    """Names, addresses and amounts that have a form of their own."""
    problems = []
    name = settings.get("kaap_deployment")
    if name and not NAME.match(name):
        fix = "use up to 40 lower-case letters, digits and hyphens, with a letter or digit at both ends"
        problems.append(Problem("kaap_deployment", name, "is no name for containers and networks", fix))
    memory = settings.get("kaap_node_memory")
    if memory and not MEMORY.match(memory):
        problems.append(Problem("kaap_node_memory", memory, "is no amount of memory", "write it as 6g or 6144m"))
    if float(settings.get("kaap_node_cpus") or 0) < 0:
        problems.append(Problem("kaap_node_cpus", settings["kaap_node_cpus"], "is negative", "use 0 for no limit"))
    if int(settings.get("kaap_keep_bundles") or 0) < 0:
        problems.append(Problem("kaap_keep_bundles", settings["kaap_keep_bundles"], "is negative", "use 0 or more"))
    address = settings.get("kaap_host_address")
    if address is not None:
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            problems.append(Problem("kaap_host_address", address, "is no IPv4 address", "use 127.0.0.1, for example"))
    for key, seconds in (settings.get("kaap_timeouts") or {}).items():
        if int(seconds) <= 0:
            problems.append(Problem(f"kaap_timeouts.{key}", seconds, "is no time to wait", "give seconds above 0"))
    return problems


def check_networks(settings: Mapping[str, Any], host: Host) -> list[Problem]:
    """Networks that are malformed, too small, overlap each other, or are in use here."""
    problems: list[Problem] = []
    networks: dict[str, cidr.Network] = {}
    count = max(len(host.machines), 1)
    fits: dict[str, Callable[[cidr.Network], None]] = {
        "kaap_pod_cidr": lambda network: cidr.pods_fit(network, count),
        "kaap_service_cidr": cidr.services_fit,
        "kaap_node_cidr": lambda network: cidr.nodes_fit(network, 1 if host.rehearsal else count),
    }
    for name, fit in fits.items():
        value = settings.get(name)
        if name == "kaap_node_cidr":
            value = (value or host.node_cidr) if settings.get("kaap_provider") == "embedded" else None
        if value is None:
            continue
        try:
            network = cidr.parse(value)
            fit(network)
        except cidr.CidrError as wrong:
            problems.append(Problem(name, value, wrong.fault, wrong.fix))
            continue
        networks[name] = network
        used = cidr.taken(network, host.networks)
        if used:
            fix = f"set {name} to a network that is free on this machine"
            problems.append(Problem(name, value, f"overlaps {used[0]}, in use by {used[1]}", fix))
    for later, earlier in cidr.overlaps(networks):
        fault = f"overlaps {earlier} ({networks[earlier]})"
        problems.append(Problem(later, networks[later], fault, "give the two networks that share no address"))
    return problems


def check_living(settings: Mapping[str, Any], host: Host) -> list[Problem]:
    """Networks that a cluster cannot change any more: certificates, etcd and every container hold them."""
    problems = []
    for name, made_with in host.living.items():
        if name == "kaap_cni":
            # Pods that run keep the addresses and routes of the network that they were started in.
            if settings.get(name) != made_with:
                problems.append(Problem(name, settings.get(name), LIVING_FAULT.format(made_with), LIVING_FIX))
            continue
        value = settings.get(name) or (host.node_cidr if name == "kaap_node_cidr" else None)
        try:
            if value is None or cidr.parse(value) == cidr.parse(made_with):
                continue
        except cidr.CidrError:
            continue  # check_networks names it
        problems.append(Problem(name, value, LIVING_FAULT.format(made_with), LIVING_FIX))
    return problems


def check_ports(settings: Mapping[str, Any], host: Host) -> list[Problem]:
    """Host ports that are no ports, or that somebody else holds."""
    if settings.get("kaap_provider") != "embedded" or "kaap_host_port_base" not in settings:
        return []
    base = int(settings["kaap_host_port_base"]) or host.port_base
    if not 1024 <= base <= 65500:
        return [Problem("kaap_host_port_base", base, "is out of range", "use a port from 1024 to 65500, or 0")]
    return [
        Problem(
            "kaap_host_port_base",
            base,
            f"needs port {port}, which {holder} holds",
            "stop it, or set kaap_host_port_base to the first of ten free ports",
        )
        for port, holder in sorted(host.ports.items())
        if base <= port < base + 3
    ]


def check_machines(settings: Mapping[str, Any], host: Host) -> list[Problem]:
    """Hosts that are missing, named twice, or share an address."""
    problems = []
    control = [machine.name for machine in host.machines if "kaap_control_plane" in machine.groups]
    if not control:
        fix = "put one host into it in the inventory's hosts.yml"
        problems.append(Problem("kaap_control_plane", [], "has no host", fix))
    elif len(control) > 1 and not host.rehearsal:
        problems.append(
            Problem("kaap_control_plane", control, "has more than one host", "keep one control plane for now")
        )
    names: dict[str, str] = {}
    addresses: dict[str, str] = {}
    for machine in host.machines:
        if {"kaap_control_plane", "kaap_workers"} <= set(machine.groups):
            fault, fix = "is in kaap_control_plane and in kaap_workers", "keep it in one of them"
            problems.append(Problem("inventory host", machine.name, fault, fix))
        node = machine.name.lower()
        if node in names:
            fault = f"makes the same node name as {names[node]}"
            problems.append(Problem("inventory host", machine.name, fault, "give each host a name of its own"))
        names.setdefault(node, machine.name)
        if not NAME.match(node):
            fix = "use lower-case letters, digits and hyphens"
            problems.append(Problem("inventory host", machine.name, "is no name for a node", fix))
        if machine.address and machine.address != machine.name:
            if machine.address in addresses:
                fault = f"is the address of {addresses[machine.address]} and of {machine.name}"
                problems.append(Problem("ansible_host", machine.address, fault, "give each host its own address"))
            addresses.setdefault(machine.address, machine.name)
    if settings.get("kaap_provider") == "hosts" and any(not machine.address for machine in host.machines):
        missing = next(machine.name for machine in host.machines if not machine.address)
        fault, fix = "has no address", "set ansible_host for it in the inventory"
        problems.append(Problem("inventory host", missing, fault, fix))
    return problems


def check_components(settings: Mapping[str, Any], host: Host) -> list[Problem]:
    """Components and use cases that do not exist, or whose needs are switched off."""
    problems: list[Problem] = []
    if not host.components:
        return problems
    changes = settings.get("kaap_components") or {}
    for name, change in changes.items():
        where = f"kaap_components.{name}"
        if name not in host.components:
            problems.append(Problem(where, change, "is not a component", nearest(name, host.components)))
        problems += check_value(where, change, {"type": "dict", "options": COMPONENT_KEYS})
    if "enabled" in (changes.get(pod_network.COMPONENT) or {}):
        fault, fix = (
            "is switched by kaap_cni",
            f"take enabled out and set kaap_cni to {pod_network.COMPONENT} or reference",
        )
        problems.append(Problem(f"kaap_components.{pod_network.COMPONENT}", changes[pod_network.COMPONENT], fault, fix))
    if problems:
        return problems
    if pod_network.COMPONENT in host.components:
        changes = pod_network.switched(changes, str(settings.get("kaap_cni")))
    records = [{"name": name, **vars(component)} for name, component in host.components.items()]
    try:
        chosen = waves.choose(records, "core" if settings.get("kaap_profile") == "core" else "full", changes)
    except waves.WaveError as error:
        where, _, fault = str(error).partition(": ")
        return [Problem(where, changes[where.partition(".")[2]], *fault.split("; ", 1))]
    for name, need in sorted(chosen.unmet):
        fix = f"enable {need}, say that it is provided, or disable {name} too"
        problems.append(Problem(f"kaap_components.{need}", "disabled", f"is needed by {name}", fix))
    enabled = set(chosen.enabled)
    return problems + check_only(settings, host, set(chosen.names)) + check_use_cases(settings, host, enabled)


def check_longhorn(settings: Mapping[str, Any], host: Host) -> list[Problem]:
    """Replicas that find no place, a directory that is none, and a backup target that cannot be opened."""
    problems = []
    workers = [machine for machine in host.machines if "kaap_workers" in machine.groups]
    nodes = len(workers or host.machines)
    replicas = int(settings.get("kaap_longhorn_replicas") or 0)
    if replicas < 0 or (nodes and replicas > nodes):
        fault = "is no number of copies" if replicas < 0 else f"copies find no place on {nodes} nodes that hold volumes"
        problems.append(Problem("kaap_longhorn_replicas", replicas, fault, f"give 0 to {nodes or 3}; 0 computes it"))
    path = settings.get("kaap_longhorn_data_path")
    if path is not None and not (path.startswith("/") and path.strip("/")):
        problems.append(Problem("kaap_longhorn_data_path", path, "is no directory for volumes", "give a path below /"))
    backup = settings.get("kaap_longhorn_backup") or {}
    if not backup.get("bucket"):
        return problems
    where = "kaap_longhorn_backup"
    if not BUCKET.match(backup["bucket"]):
        fix = "use 3 to 63 lower-case letters, digits and hyphens"
        problems.append(Problem(f"{where}.bucket", backup["bucket"], "is no bucket name", fix))
    if backup["endpoint"]:
        if not re.match(r"^https?://[^/ ]+$", backup["endpoint"]):
            fault, fix = "is no S3 service", "give it as https://HOST or https://HOST:PORT"
            problems.append(Problem(f"{where}.endpoint", backup["endpoint"], fault, fix))
        if not Path(backup["credentials_file"]).is_file():
            fix = "name a YAML file on this machine with access_key and secret_key"
            problems.append(Problem(f"{where}.credentials_file", backup["credentials_file"], "is not there", fix))
        return problems
    for variable, name in (("kaap_minio_buckets", backup["bucket"]), ("kaap_minio_users", "longhorn")):
        if name not in {entry["name"] for entry in settings.get(variable) or []}:
            fix = f"declare {name} in {variable}, or give the endpoint of another store"
            problems.append(Problem(f"{where}.bucket", backup["bucket"], f"needs {name}, which is not declared", fix))
    return problems


def check_gpu(settings: Mapping[str, Any], _host: Host) -> list[Problem]:
    """A way to share GPUs that there is not."""
    value = settings.get("kaap_gpu_sharing")
    if value is None:
        return []
    try:
        gpu.sharing(value)
    except gpu.GpuError as error:
        fault, _, fix = str(error).removeprefix(f"{value!r} ").partition("; ")
        return [Problem("kaap_gpu_sharing", value, fault, fix)]
    return []


def check_use_cases(settings: Mapping[str, Any], host: Host, enabled: set[str]) -> list[Problem]:
    """Use cases that do not exist, or that need a component that is switched off."""
    problems = []
    for case in settings.get("kaap_use_cases") or []:
        if case not in host.use_cases:
            problems.append(Problem("kaap_use_cases", case, "is not a use case", nearest(case, host.use_cases)))
            continue
        for need in host.use_cases[case]:
            if need not in enabled:
                fix = f"enable {need}, or take {case} out of kaap_use_cases"
                problems.append(Problem(f"kaap_components.{need}", "disabled", f"is needed by use case {case}", fix))
    return problems


def check_only(settings: Mapping[str, Any], host: Host, enabled: set[str]) -> list[Problem]:
    """A run limited to components that do not exist or are switched off."""
    problems = []
    only = settings.get("kaap_only") or []
    for entry in only.split(",") if isinstance(only, str) else only:
        name = entry.strip()
        if name and name not in host.components:
            problems.append(Problem("kaap_only", name, "is not a component", nearest(name, host.components)))
        elif name and name not in enabled:
            problems.append(Problem("kaap_only", name, "is disabled", "enable it in kaap_components"))
    return problems


def check_object_store(settings: Mapping[str, Any], _host: Host) -> list[Problem]:
    """Buckets with impossible names, names given twice, users with policies that nobody declares."""
    problems = []
    policies = {policy["name"] for policy in settings.get("kaap_minio_policies") or []}
    for variable in ("kaap_minio_buckets", "kaap_minio_policies", "kaap_minio_users"):
        seen = set()
        for entry in settings.get(variable) or []:
            name = entry["name"]
            if name in seen:
                problems.append(Problem(variable, name, "is there twice", "keep one of them"))
            seen.add(name)
            if variable == "kaap_minio_buckets" and not BUCKET.match(name):
                fix = "use 3 to 63 lower-case letters, digits and hyphens"
                problems.append(Problem(variable, name, "is no bucket name", fix))
            if variable == "kaap_minio_users" and not BUCKET.match(name):
                fix = "use 3 to 63 lower-case letters, digits and hyphens"
                problems.append(Problem(variable, name, "is no user name", fix))
            if "kaap_minio_policies" not in settings:
                continue
            for policy in entry.get("policies") or []:
                if policy not in policies:
                    fault = f"of user {name} is not declared"
                    problems.append(Problem(variable, policy, fault, nearest(policy, policies)))
    return problems


def chosen(settings: Mapping[str, Any], host: Host) -> waves.Selection:
    """Return what the settings choose; nothing where they do not fit together, which check_components tells."""
    if "kaap_profile" not in settings:
        return waves.Selection()
    records = [{"name": name, **vars(component)} for name, component in host.components.items()]
    try:
        changes = settings.get("kaap_components") or {}
        if pod_network.COMPONENT in host.components:
            changes = pod_network.switched(changes, str(settings.get("kaap_cni")))
        return waves.choose(records, str(settings["kaap_profile"]), changes)
    except (waves.WaveError, AttributeError, TypeError):
        return waves.Selection()


# A database or an object store of one's own: the setting, what is missing of it, the component that it stands for,
# and the components that keep something there.
STORES: tuple[tuple[str, Callable[[Mapping[str, Any]], list[str]], str, tuple[str, ...]], ...] = (
    ("kaap_database", pipelines.missing_of_database, "mysql", ("pipelines", "katib", "model-registry")),
    ("kaap_s3", pipelines.missing_of_store, "minio", ("pipelines",)),
)


def check_stores(settings: Mapping[str, Any], host: Host) -> list[Problem]:
    """A database or an object store of one's own that is not all there, is missing, or has ours beside it."""
    problems = []
    selection = chosen(settings, host)
    wanted = set(selection.names)
    for name, missing, component, users in STORES:
        if name not in settings:
            continue  # it is wrong itself, and that is told
        given = settings[name] or {}
        # Only names of keys: values are secrets.
        problems += [Problem(name, key, "is missing", "give it, or leave all of it empty") for key in missing(given)]
        needing = [user for user in users if user in wanted]
        # Tenants have their buckets in minio, also where Pipelines has a store of its own.
        if given and component == "mysql" and component in wanted:
            fault = f"is not used: the component {component} is enabled"
            fix = f"set kaap_components.{component}.enabled to false, or leave {name} empty"
            problems.append(Problem(name, given.get("host"), fault, fix))
        if not given and component in selection.provided:
            fault, fix = f"is empty, but {component} is provided", f"say in {name} where it is and how to log in"
            problems.append(Problem(name, {}, fault, fix))
        elif not given and needing and component not in wanted:
            fix = f"enable {component} in kaap_components, or give {name}"
            problems.append(Problem(f"kaap_components.{component}", "disabled", f"is needed by {needing[0]}", fix))
    return problems


def check_queues(settings: Mapping[str, Any], _host: Host) -> list[Problem]:
    """Queues that point at queues or flavors that nobody declares."""
    queues = settings.get("kaap_queues") or {}
    problems = []
    flavors = {str(entry.get("name")) for entry in queues.get("resource_flavors") or []}
    clusters = {str(entry.get("name")) for entry in queues.get("cluster_queues") or []}
    for kind, key, known in (("cluster_queues", "flavor", flavors), ("local_queues", "cluster_queue", clusters)):
        for index, entry in enumerate(queues.get(kind) or []):
            if entry.get(key) not in known:
                where = f"kaap_queues.{kind}[{index}].{key}"
                problems.append(Problem(where, entry.get(key), "is not declared", nearest(str(entry.get(key)), known)))
    return problems


def check_tenants(settings: Mapping[str, Any], host: Host) -> list[Problem]:
    """Tenants, groups and the identity provider: see :mod:`module_utils.tenancy_rules`."""
    taken = {component.namespace: f"component {name}" for name, component in host.components.items()}
    queues = settings.get("kaap_queues") or {}
    taken.update({str(each.get("namespace")): "kaap_queues" for each in queues.get("local_queues") or []})
    enabled = chosen(settings, host).enabled
    return [Problem(*fault) for fault in tenancy_rules.faults(settings, enabled, taken, host.unreadable)]


def check_ingress(settings: Mapping[str, Any], host: Host) -> list[Problem]:
    """Domain, certificates, gateways and logins: see :mod:`module_utils.ingress_rules`."""
    selection = chosen(settings, host)
    site = ingress_rules.Site(selection.names, selection.provided, host.unreadable, host.certificates)
    return [Problem(*fault) for fault in ingress_rules.faults(settings, site)]


def check_host(settings: Mapping[str, Any], host: Host) -> list[Problem]:
    """This machine: user, operating system, memory and disk."""
    if settings.get("kaap_provider") != "embedded":
        return []
    problems = []
    if host.uid != 0:
        fix = "run it as root: it makes containers, networks and mounts"
        problems.append(Problem("user id", host.uid, "may not make the embedded nodes", fix))
    if host.os_version not in SUPPORTED.get(host.os_id, ()):
        known = "; ".join(f"{name} {', '.join(versions)}" for name, versions in SUPPORTED.items())
        system = f"{host.os_id} {host.os_version}".strip()
        problems.append(Problem("operating system", system, "is not supported", f"use one of: {known}"))
    if host.free_memory < host.needed_memory:
        fault = f"of memory is free, and {amount(host.needed_memory)} is needed"
        fix = "stop other programs, or use a machine with 16 GiB"
        problems.append(Problem("memory", amount(host.free_memory), fault, fix))
    for directory, needed in sorted(host.needed_disk.items()):
        free = host.free_disk.get(directory, 0)
        if free < needed:
            fault = f"is free in {directory}, and {amount(needed)} is needed"
            fix = "free some, or set KAAP_CACHE to a directory on a larger disk"
            problems.append(Problem("disk", amount(free), fault, fix))
    return problems


def amount(size: int) -> str:
    """Return bytes as people read them."""
    return f"{size / GIB:.1f} GiB"


def check_release(_settings: Mapping[str, Any], host: Host) -> list[Problem]:
    """Release records that are broken, and registries that cannot be reached although something must be packed."""
    problems = [
        Problem("release", text.partition(":")[0], f"is broken:{text.partition(':')[2]}", "correct that record")
        for text in host.release_problems
    ]
    for client, (fault, fix) in sorted(host.unreachable.items()):
        problems.append(Problem("package registry", client, fault, fix))
    return problems
