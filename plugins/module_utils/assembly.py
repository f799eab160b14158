"""All of one component as it is applied: what its record renders to, its namespace, its certificates.

An installation, a rehearsal and a render to files take the same objects from here; they differ only in where the
serving certificates made before are kept.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import certificates
from ansible_collections.infn.kaap.plugins.module_utils.objects import BASE, duplicates, ref_of, stage_of
from ansible_collections.infn.kaap.plugins.module_utils.render import (
    SYSTEM_NAMESPACES,
    Object,
    Record,
    Rendered,
    Renderer,
    RenderError,
    clean,
    declare_replicas,
    inject_bundles,
    mark_config,
)

# Where the certificate, its key and the authority's certificate are in a Secret, unless the record says otherwise.
KEYS = {"certificate": "tls.crt", "key": "tls.key", "ca": "ca.crt"}


@dataclass(frozen=True)
class Keeping:
    """Where an assembly finds what outlives it.

    :ivar authority: gives the deployment's authority; called only when a component has serving certificates.
    :ivar secret: gives the keys and decoded values of the Secret ``(namespace, name)`` as it was made before; empty
        when there is none.
    """

    authority: Callable[[], certificates.Authority]
    secret: Callable[[str, str], Mapping[str, str]]


def assemble(record: Record, rendered: Rendered, keeping: Keeping, foreign: Collection[str] = ()) -> Rendered:
    """What is applied of a component.

    :param rendered: what the record renders to.
    :param foreign: namespaces that components make which this one needs; they are left to them.
    :raises RenderError: when an object is there twice.
    """
    name = str(record["name"])
    own = [clean(obj, name) for obj in rendered.resources]
    # What servers read when they start goes with the rest: a Deployment waits for the Secret that it names.
    early = [obj for obj in own if stage_of(obj) <= BASE]
    objects = [*(clean(obj, name) for obj in rendered.objects), *early]
    resources = [obj for obj in own if obj not in early]
    _add_namespaces(record, objects, resources, foreign)
    _add_certificates(record, objects, keeping)
    twice = duplicates([*objects, *resources])
    if twice:
        raise RenderError(f"{name} renders {', '.join(twice)} more than once")
    declare_replicas([*objects, *resources])
    mark_config([*objects, *resources])
    return Rendered(objects, resources)


def build(record: Record, renderer: Renderer, keeping: Keeping, foreign: Collection[str] = ()) -> Rendered:
    """Render a record and assemble it.

    :raises RenderError: when it cannot be rendered.
    """
    return assemble(record, renderer.render(record), keeping, foreign)


def _add_namespaces(record: Record, objects: list[Object], resources: list[Object], foreign: Collection[str]) -> None:
    declared = {obj["metadata"]["name"] for obj in (*objects, *resources) if obj["kind"] == "Namespace"}
    charts = (record.get("render") or {}).get("charts") or []
    wanted = {str(record["namespace"]), *(str(c["namespace"]) for c in charts if c.get("namespace"))}
    for name in sorted(wanted - declared - SYSTEM_NAMESPACES - set(foreign), reverse=True):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        objects.insert(0, clean(namespace, str(record["name"])))


def _add_certificates(record: Record, objects: list[Object], keeping: Keeping) -> None:
    """Serving certificates: kept as they are while they are good, else signed anew."""
    services: list[tuple[str, str]] = []
    for entry in record.get("serving_certificates") or []:
        authority = keeping.authority()
        namespace = str(entry.get("namespace") or record["namespace"])
        services.append((namespace, str(entry["service"])))
        names = [*certificates.service_names(str(entry["service"]), namespace), *(entry.get("names") or [])]
        usages = tuple(entry.get("usages") or ("server",))
        keys = {**KEYS, **(entry.get("keys") or {})}
        held = keeping.secret(namespace, str(entry["secret"]))
        leaf = certificates.Leaf(held.get(keys["certificate"], ""), held.get(keys["key"], ""))
        if certificates.why_renew(leaf, authority, names, usages):
            leaf = certificates.issue(authority, names, usages)
        content = {keys["certificate"]: leaf.certificate, keys["key"]: leaf.key, keys["ca"]: authority.pem}
        data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
        wanted = ("v1", "Secret", namespace, str(entry["secret"]))
        for obj in objects:
            ref = ref_of(obj)
            if (ref.api_version, ref.kind, ref.namespace, ref.name) == wanted:
                obj["data"] = {**(obj.get("data") or {}), **data}
                break
        else:
            plain = {"tls.crt", "tls.key"} <= set(data)
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls" if plain else "Opaque",
                "metadata": {"name": str(entry["secret"]), "namespace": namespace},
                "data": data,
            }
            objects.append(clean(secret, str(record["name"])))
    inject_bundles(objects, services, keeping.authority().pem if services else "")


def decoded(secret: Mapping[str, Any] | None) -> dict[str, str]:
    """The text values of a Secret; what is no text is left out."""
    found = {}
    for key, value in ((secret or {}).get("data") or {}).items():
        try:
            found[str(key)] = base64.b64decode(value or "").decode()
        except ValueError:
            continue
    return found
