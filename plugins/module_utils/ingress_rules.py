"""What is wrong with the way in: domain, certificates, gateways and who lets people log in, before anything is touched.

Each rule holds where a component is wanted that reads the setting: profile core has none of them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.infn.kaap.plugins.module_utils import deployment, ingress

# Variable, value, fault and fix: the parts of settings.Problem.
Fault = tuple[str, Any, str, str]
Settings = Mapping[str, Any]

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"^(?=.{{1,253}}$){LABEL}(\.{LABEL})+$")
EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s.]+$")
# Names that no public authority signs: RFC 6761, RFC 6762, RFC 8375, and what ICANN keeps for private use.
PRIVATE = frozenset({"alt", "arpa", "corp", "home", "internal", "invalid", "lan", "local", "localhost", "test"})
NODE_PORTS = range(30000, 32768)
# Components whose objects show a certificate, and those that make a gateway's Service.
SERVERS = frozenset({"gateway-istio", "kubeflow-gateway"})
GATEWAYS = SERVERS | {"istio"}
BCRYPT = re.compile(r"^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$")
# The files of each mode, by key of kaap_tls.
FILES = {"given": ("certificate", "key"), "private_ca": ("ca_certificate", "ca_key"), "acme": ()}


@dataclass(frozen=True)
class Site:
    """What is known beside the settings.

    :ivar wanted: names of the components that are installed
    :ivar provided: names of those that the cluster has
    :ivar unreadable: files on the controller that a setting names and that cannot be used, and why
    :ivar certificates: by key of ``kaap_tls``, fault and fix of what its file holds
    """

    wanted: Collection[str]
    provided: Collection[str] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def enabled(self) -> set[str]:
        """Names of the components that are there for others."""
        return {*self.wanted, *self.provided}


def faults(settings: Settings, site: Site) -> list[Fault]:
    """Everything that is wrong, in a stable order."""
    found: list[Fault] = []
    if SERVERS & set(site.wanted):
        found += [*domain(settings), *tls(settings, site)]
    if GATEWAYS & set(site.wanted):
        found += gateways(settings)
    return [*found, *identity(settings, site), *dex(settings, site)]


def domain(settings: Settings) -> Iterator[Fault]:
    """A name that a certificate can carry and a browser can open."""
    value = settings.get("kaap_domain")
    if value is None or (DOMAIN.match(value) and not value.rpartition(".")[2].isdigit()):
        return
    fix = "give lower-case letters, digits and hyphens with a dot between, such as kaap.example.org"
    yield "kaap_domain", value, "is no DNS name", fix


def is_public(name: str) -> bool:
    """Whether a public authority may sign a certificate for a name."""
    return name.rpartition(".")[2] not in PRIVATE


def tls(settings: Settings, site: Site) -> Iterator[Fault]:
    """What each mode needs, and keys that it does not read."""
    given = settings.get("kaap_tls")
    if given is None:
        return
    mode = str(given["mode"])
    if mode == "acme":
        yield from acme(settings, given)
    elif mode == "given" or any(given.get(key) for key in FILES[mode]):
        yield from files(given, mode, site)
    for other, keys in (*FILES.items(), ("acme", ("email", "server"))):
        for key in keys:
            if other != mode and given.get(key):
                fix = f"take it out, or set kaap_tls.mode to {other}"
                yield f"kaap_tls.{key}", given[key], f"is not used in mode {mode}", fix
    if mode != "given" and ingress.CERT_MANAGER not in site.enabled:
        fix = "enable it, say that it is provided, or set kaap_tls.mode to given"
        yield "kaap_components.cert-manager", "disabled", f"is needed by kaap_tls.mode {mode}", fix


def acme(settings: Settings, given: Settings) -> Iterator[Fault]:
    """Whom the ACME server writes to, and whether it can look at what it signs."""
    email, server = str(given.get("email") or ""), str(given.get("server") or "")
    if not EMAIL.match(email):
        fault = "is no e-mail address" if email else "is empty, and an ACME server needs it"
        yield "kaap_tls.email", email, fault, "give an address that is read: it is told when a certificate expires"
    if server and (urlsplit(server).scheme != "https" or not urlsplit(server).hostname):
        yield "kaap_tls.server", server, "is no ACME directory", "give its https:// address, or leave it empty"
    name = str(settings.get("kaap_domain") or "")
    if name and not server and not is_public(name):
        fix = "give a public name, or set kaap_tls.mode to given or private_ca"
        yield "kaap_domain", name, "is a private name, for which Let's Encrypt signs nothing", fix
    entry = settings.get("kaap_ingress") or {}
    if entry.get("service_type") == "ClusterIP" and not entry.get("external_addresses"):
        fix = "take NodePort or LoadBalancer, or set kaap_tls.mode to given or private_ca"
        yield "kaap_ingress.service_type", "ClusterIP", "keeps the ACME server from port 80 of kaap_domain", fix


def files(given: Settings, mode: str, site: Site) -> Iterator[Fault]:
    """A certificate and its key: both named, both readable, and good for their purpose."""
    for key in FILES[mode]:
        where, path = f"kaap_tls.{key}", str(given.get(key) or "")
        if not path:
            other = next(each for each in FILES[mode] if each != key)
            why = f"is empty, but {other} is set" if given.get(other) else f"is empty, and mode {mode} needs it"
            yield where, path, why, "name a PEM file on this machine"
        elif path in site.unreadable:
            fix = "name a PEM file on this machine that this user can read"
            if key.endswith("key"):
                fix += " and no other user can (chmod 600)"
            yield where, path, site.unreadable[path], fix
        elif key in site.certificates:
            yield where, path, *site.certificates[key]


def gateways(settings: Settings) -> Iterator[Fault]:
    """Addresses that are none, and node ports that are none or taken."""
    given = settings.get("kaap_ingress")
    if given is None:
        return
    for index, address in enumerate(given.get("external_addresses") or []):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            where = f"kaap_ingress.external_addresses[{index}]"
            yield where, address, "is no IP address", "give the address of a node, such as 192.0.2.10"
    taken = {port: f"the gateway's listener {name}" for name, port in deployment.NODE_PORTS.items()}
    for key in ("http_node_port", "https_node_port"):
        where = f"kaap_ingress.{key}"
        if key not in given:
            yield (
                where,
                "",
                "is missing",
                "give all of kaap_ingress, or nothing of it",
            )
            continue
        port = int(given[key])
        if port not in NODE_PORTS:
            yield where, port, "is no node port", f"give one from {NODE_PORTS[0]} to {NODE_PORTS[-1]}"
        elif port in taken:
            yield where, port, f"is the port of {taken[port]} too", "give a port of its own"
        taken.setdefault(port, where)


def identity(settings: Settings, site: Site) -> Iterator[Fault]:
    """Somebody who lets people log in, and groups that can be read."""
    oidc = settings.get("kaap_oidc")
    if oidc is None or "oauth2-proxy" not in site.wanted or "dex" in site.enabled:
        return
    if not oidc.get("issuer"):
        fix = "give the issuer, or enable the component dex and declare kaap_dex.users"
        yield "kaap_oidc.issuer", "", "is empty: nobody could log in", fix
    if oidc.get("groups_claim") == "wlcg.groups":
        known = {str(group["name"]) for group in settings.get("kaap_groups") or []}
        for index, tenant in enumerate(settings.get("kaap_tenants") or []):
            unknown = [group for group in tenant.get("groups") or [] if group not in known]
            if unknown:
                fault = "come from the claim wlcg.groups, and Istio reads no claim with a dot in its name"
                fix = "enable the component dex, which renames it, or declare these groups in kaap_groups"
                yield f"kaap_tenants[{index}].groups", unknown, fault, fix


def dex(settings: Settings, site: Site) -> Iterator[Fault]:
    """Dex without anybody, beside what it does not read, or not there."""
    given = settings.get("kaap_dex")
    if given is None:
        return
    if "dex" in site.provided:
        fix = "take provided out, and give its issuer and our client there in kaap_oidc"
        yield "kaap_components.dex", "provided", "is not known to Dex as a client", fix
        return
    connectors, users = given.get("connectors") or [], given.get("users") or []
    if "dex" not in site.wanted:
        if connectors or users:
            fix = "enable dex in kaap_components, or leave kaap_dex empty"
            # Not the value: it holds secrets.
            yield "kaap_dex", sorted(given), "is not used: the component dex is not enabled", fix
        return
    issuer = str((settings.get("kaap_oidc") or {}).get("issuer") or "")
    if connectors and issuer:
        fix = "make it one of the connectors and empty kaap_oidc.issuer, or take the connectors out"
        yield "kaap_oidc.issuer", issuer, "is not used: kaap_dex has connectors of its own", fix
    if not connectors and not users and not issuer:
        fix = "give connectors or users, or set kaap_oidc.issuer for Dex to ask"
        yield "kaap_dex", {}, "lets nobody log in", fix
    yield from entries("connectors", connectors, ("type", "id", "name"), "id")
    yield from entries("users", users, ("email", "username", "userID", "hash"), "email")
    for index, user in enumerate(users):
        if user.get("hash") and not BCRYPT.match(str(user["hash"])):
            fix = "make it with htpasswd -nBC 12 NAME, from the colon on"
            yield f"kaap_dex.users[{index}].hash", "...", "is no bcrypt hash", fix


def entries(kind: str, given: list[Settings], keys: tuple[str, ...], unique: str) -> Iterator[Fault]:
    """Entries that lack a key, or that are there twice."""
    seen: set[str] = set()
    for index, entry in enumerate(given):
        where = f"kaap_dex.{kind}[{index}]"
        for key in keys:
            if not entry.get(key):
                yield where, str(entry.get(unique) or ""), f"has no {key}", f"add {key}, as Dex's documentation has it"
        name = str(entry.get(unique) or "")
        if name in seen:
            yield f"{where}.{unique}", name, "is there twice", "keep one of them"
        seen.add(name)
