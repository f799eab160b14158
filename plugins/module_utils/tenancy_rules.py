"""What is wrong with the declared tenants, groups and identity provider, before anything is touched."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.infn.kaap.plugins.module_utils import pipelines, tenancy

# Variable, value, fault and fix: the parts of settings.Problem.
Fault = tuple[str, Any, str, str]
Settings = Mapping[str, Any]

# A name of a namespace, a Profile and a bucket at once.
NAME = re.compile(r"^[a-z][a-z0-9-]{1,48}[a-z0-9]$")
BUCKET = re.compile(r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
# What the dashboard's Manage Contributors takes for an e-mail address, with a dot in the domain.
EMAIL = re.compile(r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+$")
SUBJECT = re.compile(r"^[!-~]{1,255}$")
CPU = re.compile(r"^([0-9]+(\.[0-9]+)?|[1-9][0-9]*m)$")
BYTES = re.compile(r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$")
QUANTITIES = {"cpu": (CPU, "8 or 500m"), "memory": (BYTES, "32Gi"), "storage": (BYTES, "100Gi")}
# Namespaces of the platform in every profile; those of its components are added to them.
RESERVED_PREFIXES = ("kube-", "kaap-", "istio-", "knative-", "kubeflow-", "openshift-")
RESERVED = frozenset({"auth", "cert-manager", "default", "istio-system", "kubeflow", "monitoring", "oauth2-proxy"})


def faults(
    settings: Settings, components: Collection[str], namespaces: Mapping[str, str], unreadable: Mapping[str, str]
) -> list[Fault]:
    """Everything that is wrong, in a stable order.

    :param components: names of the components that the deployment has; empty when not known
    :param namespaces: namespaces that are taken, and by whom
    :param unreadable: files on the controller that a setting names and that cannot be used, and why
    """
    found = identity(settings, unreadable)
    found += groups(settings)
    checks: tuple[Callable[[str, Settings, Settings], Iterable[Fault]], ...] = (people, amounts, queue)
    tenants = settings.get("kaap_tenants") or []
    for index, entry in enumerate(tenants):
        where = f"kaap_tenants[{index}]"
        found += name(where, entry, namespaces)
        for check in checks:
            found += check(where, entry, settings)
    found += [*twice(settings), *buckets(settings, components), *groups_of_tenants(settings)]
    if components and "kueue" not in components:
        for index, entry in enumerate(tenants):
            for key in ("queue", "share"):
                if entry.get(key):
                    fix = f"enable kueue in kaap_components, or take out {key}"
                    found.append((f"kaap_tenants[{index}].{key}", entry[key], "needs the component kueue", fix))
    return found


def identity(settings: Settings, unreadable: Mapping[str, str]) -> list[Fault]:
    """The identity provider: where it is, and what it is asked for."""
    oidc = {**tenancy.OIDC_DEFAULTS, **(settings.get("kaap_oidc") or {})}
    found: list[Fault] = []
    issuer = str(oidc["issuer"])
    if issuer:
        where, parts = "kaap_oidc.issuer", urlsplit(issuer)
        if parts.scheme != "https":
            found.append((where, issuer, "is not https", "write it as https://, as its tokens do"))
        elif not parts.hostname or parts.query or parts.fragment or issuer != issuer.strip():
            found.append((where, issuer, "is no issuer", "copy it from its .well-known/openid-configuration"))
        elif parts.hostname.startswith("iam") and not parts.path:
            fault = "has no slash at its end, and INDIGO IAM's tokens have one"
            found.append((where, issuer, fault, f"write {issuer}/"))
    for key in ("client_id", "client_secret_file"):
        if issuer and not oidc[key]:
            found.append((f"kaap_oidc.{key}", "", "is empty", f"set it: the client that is registered at {issuer}"))
        elif oidc[key] and not issuer:
            found.append(("kaap_oidc.issuer", "", f"is empty, but {key} is set", "give the issuer too"))
    if oidc["client_secret_file"] in unreadable:
        why = unreadable[oidc["client_secret_file"]]
        fix = "give a file on this machine that only its owner can read (chmod 600)"
        found.append(("kaap_oidc.client_secret_file", oidc["client_secret_file"], why, fix))
    scopes = list(oidc["scopes"])
    if "openid" not in scopes:
        found.append(("kaap_oidc.scopes", scopes, "lacks openid", "add openid: without it no login gives a token"))
    if oidc["user_claim"] == "email" and "email" not in scopes:
        found.append(("kaap_oidc.scopes", scopes, "lacks email, the claim that names people", "add email"))
    if oidc["groups_claim"] == "wlcg.groups" and not {"wlcg.groups", "wlcg"} & set(scopes):
        found.append(("kaap_oidc.scopes", scopes, "lacks wlcg.groups, the claim of groups", "add wlcg.groups"))
    return found


def person(where: str, value: Any, settings: Settings) -> list[Fault]:
    """One person, named as the identity provider names people."""
    claim = {**tenancy.OIDC_DEFAULTS, **(settings.get("kaap_oidc") or {})}["user_claim"]
    if claim == "email" and not EMAIL.match(str(value)):
        return [
            (where, value, "is no e-mail address", "write it as name@example.org, or set kaap_oidc.user_claim: sub")
        ]
    if claim == "sub" and not SUBJECT.match(str(value)):
        return [(where, value, "is no subject", "copy the claim sub from one of the person's tokens")]
    return []


def groups(settings: Settings) -> list[Fault]:
    """Groups that are there twice, and members that are nobody."""
    found: list[Fault] = []
    seen: set[str] = set()
    for index, group in enumerate(settings.get("kaap_groups") or []):
        where = f"kaap_groups[{index}]"
        if group["name"] in seen:
            found.append((f"{where}.name", group["name"], "is there twice", "keep one of them"))
        seen.add(group["name"])
        for place, member in enumerate(group["members"]):
            found += person(f"{where}.members[{place}]", member, settings)
    return found


def name(where: str, entry: Settings, namespaces: Mapping[str, str]) -> list[Fault]:
    """A tenant's name: a namespace that nobody else has."""
    value = str(entry["name"])
    where = f"{where}.name"
    if not NAME.match(value):
        fix = "use 3 to 50 lower-case letters, digits and hyphens, with a letter first"
        return [(where, value, "is no name for a namespace and a bucket", fix)]
    if value in namespaces:
        return [(where, value, f"is the namespace of {namespaces[value]}", "give the tenant another name")]
    if value in RESERVED or value.startswith(RESERVED_PREFIXES):
        return [(where, value, "is reserved for the platform", "give the tenant another name")]
    return []


def people(where: str, entry: Settings, settings: Settings) -> list[Fault]:
    """Owner, members and viewers: real, and each in one place."""
    found = person(f"{where}.owner", entry["owner"], settings)
    bound = {tenancy.binding_name("User", str(entry["owner"]), ""): str(entry["owner"])}
    places = {str(entry["owner"]): "owner"}
    for key in ("members", "viewers"):
        for index, value in enumerate(entry.get(key) or []):
            here = f"{where}.{key}[{index}]"
            found += person(here, value, settings)
            if value in places:
                fault = f"is {places[value]} of {entry['name']} too"
                found.append((here, value, fault, f"name each person once: take it out of {key}"))
                continue
            places[value] = {"members": "member", "viewers": "viewer"}[key]
            known = bound.setdefault(tenancy.binding_name("User", str(value), ""), str(value))
            if known != value:
                fault = f"makes the same binding as {known}: only letters and digits count in its name"
                found.append((here, value, fault, "keep one of them"))
    return found


def amounts(where: str, entry: Settings, _settings: Settings) -> list[Fault]:
    """Quantities of quota and share, and shares beyond the quota's kinds."""
    found: list[Fault] = []
    for section in ("quota", "share"):
        for key, value in (entry.get(section) or {}).items():
            if key == "gpu":
                if int(value) < 0:
                    found.append((f"{where}.{section}.gpu", value, "is negative", "give a number of GPUs, or 0"))
                continue
            pattern, example = QUANTITIES[key]
            if not pattern.match(str(value)):
                found.append((f"{where}.{section}.{key}", value, "is no quantity", f"write it as {example}"))
    missing = [key for key in ("cpu", "memory") if entry.get("share") and key not in entry["share"]]
    if missing:
        fix = f"add {' and '.join(missing)}: a job that asks for something that its queue does not have never starts"
        found.append((f"{where}.share", entry["share"], f"lacks {' and '.join(missing)}", fix))
    return found


def queue(where: str, entry: Settings, settings: Settings) -> list[Fault]:
    """Queues that nobody declares."""
    if "kaap_queues" not in settings:
        return []  # it is wrong itself, and that is told
    known = [str(each.get("name")) for each in settings["kaap_queues"].get("cluster_queues") or []]
    value = entry.get("queue")
    if value and value not in known:
        fix = f"choose from {', '.join(known)}" if known else "declare it in kaap_queues.cluster_queues"
        close = difflib.get_close_matches(str(value), known, n=1, cutoff=0.6)
        fix = f"did you mean {close[0]}?" if close else fix
        return [(f"{where}.queue", value, "is not declared", fix)]
    if entry.get("share") and not value and not known:
        return [(f"{where}.share", entry["share"], "has no queue", "declare one in kaap_queues.cluster_queues")]
    return []


def twice(settings: Settings) -> list[Fault]:
    """Tenants that are there more than once."""
    found: list[Fault] = []
    seen: dict[str, int] = {}
    for index, entry in enumerate(settings.get("kaap_tenants") or []):
        if entry["name"] in seen:
            fault = f"is the name of kaap_tenants[{seen[entry['name']]}] too"
            found.append((f"kaap_tenants[{index}].name", entry["name"], fault, "keep one of them"))
        seen.setdefault(entry["name"], index)
    return found


def buckets(settings: Settings, components: Collection[str]) -> list[Fault]:
    """Buckets with impossible names, of two owners, or without an object store."""
    found: list[Fault] = []
    owners = {str(bucket["name"]): "kaap_minio_buckets" for bucket in settings.get("kaap_minio_buckets") or []}
    owners[pipelines.BUCKET] = "Pipelines"
    users = {str(user["name"]) for user in settings.get("kaap_minio_users") or []}
    for index, entry in enumerate(settings.get("kaap_tenants") or []):
        given = entry.get("buckets")
        if given and components and "minio" not in components:
            fix = "enable minio in kaap_components, or take out buckets"
            found.append((f"kaap_tenants[{index}].buckets", given, "need the component minio", fix))
        for place, bucket in enumerate([entry["name"]] if given is None else given):
            where = f"kaap_tenants[{index}].buckets[{place}]" if given is not None else f"kaap_tenants[{index}].name"
            if not BUCKET.match(str(bucket)):
                if given is not None:
                    fix = "use 3 to 63 lower-case letters, digits and hyphens"
                    found.append((where, bucket, "is no bucket name", fix))
            elif bucket in owners and owners[bucket] != f"tenant {entry['name']}":
                fix = "give each tenant buckets of its own, in its key buckets"
                found.append((where, bucket, f"is a bucket of {owners[bucket]} too", fix))
            owners.setdefault(str(bucket), f"tenant {entry['name']}")
        user = tenancy.store_user(str(entry["name"]))
        if user in users:
            fix = "give that user another name"
            found.append(("kaap_minio_users", user, f"is the user of tenant {entry['name']}", fix))
    return found


def groups_of_tenants(settings: Settings) -> list[Fault]:
    """Groups that neither the inventory nor an identity provider knows."""
    if "kaap_groups" not in settings:
        return []  # it is wrong itself, and that is told
    known = [str(group["name"]) for group in settings["kaap_groups"]]
    issuer = (settings.get("kaap_oidc") or {}).get("issuer")
    found: list[Fault] = []
    for index, entry in enumerate(settings.get("kaap_tenants") or []):
        for place, group in enumerate(entry.get("groups") or []):
            if group not in known and not issuer:
                close = difflib.get_close_matches(str(group), known, n=1, cutoff=0.6)
                fix = (
                    f"did you mean {close[0]}?"
                    if close
                    else "declare it, or set kaap_oidc.issuer if it comes from there"
                )
                found.append((f"kaap_tenants[{index}].groups[{place}]", group, "is not among kaap_groups", fix))
    return found
