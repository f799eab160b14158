"""Kubernetes objects as data: what names them, in which order they go, whether and how they differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils.readiness import has_bundle
from ansible_collections.infn.kaap.plugins.module_utils.render import clients_of, group_of

Object = dict[str, Any]

KEEP_ANNOTATION = "kaap.infn.it/keep"

# The API groups that Kubernetes itself serves; everything else is a custom resource or an aggregated API.
BUILT_IN_GROUPS = frozenset(
    {
        "", "apps", "batch", "autoscaling", "policy", "admissionregistration.k8s.io", "apiextensions.k8s.io",
        "apiregistration.k8s.io", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io",
        "flowcontrol.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "rbac.authorization.k8s.io",
        "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
    }
)  # fmt: skip
WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"})
WEBHOOKS = frozenset({"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"})

# The stages of an installation. Removal goes through them backwards.
NAMESPACES, DEFINITIONS, BASE, SERVERS, CALLERS, CUSTOM = range(6)


@dataclass(frozen=True)
class Ref:
    """What names an object.

    Two references are the same object when kind, group, namespace and name agree, whatever the version.
    """

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Group, kind, namespace, name."""
        return self.api_version.rpartition("/")[0], self.kind, self.namespace, self.name

    @property
    def group(self) -> str:
        """API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        """``Deployment minio/minio``."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def ref_of(obj: Mapping[str, Any]) -> Ref:
    """The reference to an object."""
    metadata = obj["metadata"]
    return Ref(str(obj["apiVersion"]), str(obj["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"]))


def is_kept(obj: Mapping[str, Any]) -> bool:
    """Does the object outlive the component that made it?"""
    return ((obj["metadata"].get("annotations") or {}).get(KEEP_ANNOTATION)) == "true"


def stage_of(obj: Mapping[str, Any]) -> int:
    """In which stage an object is applied.

    A webhook configuration comes after the server that it calls: sent before, the API server would refuse every object
    it covers. One without a caBundle goes out together with the server, because the server writes the bundle itself
    and waits for it.
    """
    kind, group = str(obj["kind"]), group_of(obj)
    if group not in BUILT_IN_GROUPS:
        return CUSTOM
    if kind in WEBHOOKS:
        clients = [client for client in clients_of(dict(obj)) if client.get("service")]
        return CALLERS if all(has_bundle(client) for client in clients) else SERVERS
    fixed = {"Namespace": NAMESPACES, "CustomResourceDefinition": DEFINITIONS, "APIService": CALLERS}
    return fixed.get(kind, SERVERS if kind in WORKLOADS else BASE)


def stage_of_ref(ref: Ref) -> int:
    """In which stage a referenced object was applied, as far as its removal is concerned."""
    if ref.kind in WEBHOOKS:
        return CALLERS
    return stage_of({"apiVersion": ref.api_version, "kind": ref.kind})


def stages(objects: Iterable[Object]) -> dict[int, list[Object]]:
    """Objects by stage, in the order given."""
    ordered: dict[int, list[Object]] = {stage: [] for stage in range(6)}
    for obj in objects:
        ordered[stage_of(obj)].append(obj)
    # Within the stage of the servers the self-managed webhook configurations go last: no pod of theirs must meet them.
    ordered[SERVERS].sort(key=lambda obj: obj["kind"] in WEBHOOKS)
    return ordered


def duplicates(objects: Iterable[Object]) -> list[str]:
    """Objects that are there more than once."""
    seen: set[tuple[str, str, str, str]] = set()
    twice = []
    for obj in objects:
        ref = ref_of(obj)
        if ref.identity in seen:
            twice.append(str(ref))
        seen.add(ref.identity)
    return twice


VOLATILE = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})


def essence(obj: Mapping[str, Any] | None) -> Object:
    """What people and controllers want of an object: neither status nor the server's own book-keeping."""
    if not obj:
        return {}
    kept = {key: value for key, value in obj.items() if key != "status"}
    kept["metadata"] = {key: value for key, value in kept.get("metadata", {}).items() if key not in VOLATILE}
    return kept


def same(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    """Did nothing change between two looks at an object, apart from its status and book-keeping?"""
    return essence(before) == essence(after)


def redact(obj: Object) -> Object:
    """Replace the values of a Secret by digests: equal values stay recognisable, none can be read."""
    if obj.get("kind") != "Secret" or group_of(obj):
        return obj
    hidden = dict(obj)
    for key in ("data", "stringData"):
        if isinstance(obj.get(key), dict):
            hidden[key] = {
                name: f"sha256:{hashlib.sha256(str(value).encode()).hexdigest()[:12]}"
                for name, value in obj[key].items()
            }
    return hidden


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, str]:
    """A difference in the form that Ansible prints."""
    name = str(ref_of(dict(after or before or {})))
    texts = [yaml.safe_dump(redact(essence(obj)), sort_keys=True, width=100) if obj else "" for obj in (before, after)]
    return {"before_header": name, "after_header": name, "before": texts[0], "after": texts[1]}


# Inventory: which objects a component is made of

INVENTORY_NAMESPACE = "kaap-system"
INVENTORY_LABEL = "kaap.infn.it/inventory"


def digest(obj: Mapping[str, Any]) -> str:
    """A digest of what is declared; empty for a Secret, whose content is not to be guessed from it."""
    if obj.get("kind") == "Secret" and not group_of(obj):
        return ""
    return hashlib.sha256(json.dumps(obj, sort_keys=True).encode()).hexdigest()[:16]


def contains(live: Any, declared: Any) -> bool:
    """Is everything that is declared so in the live object? What the live object has beyond it does not matter."""
    if isinstance(declared, Mapping):
        return isinstance(live, Mapping) and all(
            key in live and contains(live[key], value) for key, value in declared.items()
        )
    if isinstance(declared, list):
        return (
            isinstance(live, list)
            and len(live) == len(declared)
            and all(contains(one, other) for one, other in zip(live, declared, strict=True))
        )
    return bool(live == declared)


@dataclass(frozen=True)
class Inventory:
    """What one component consists of on the cluster.

    :ivar component: its name.
    :ivar version: its version, as last applied in full; empty while the first installation is under way.
    :ivar needs: the components it needs, to know later in which order to remove them.
    :ivar refs: its objects.
    :ivar digests: by identity, what was declared when an object was last applied.
    """

    component: str
    version: str
    needs: tuple[str, ...]
    refs: tuple[Ref, ...]
    digests: Mapping[tuple[str, str, str, str], str] = field(default_factory=dict)

    def to_object(self) -> Object:
        """The ConfigMap that keeps it."""
        lines = sorted(
            [ref.api_version, ref.kind, ref.namespace, ref.name, self.digests.get(ref.identity, "")]
            for ref in {ref.identity: ref for ref in self.refs}.values()
        )
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"kaap-inventory-{self.component}",
                "namespace": INVENTORY_NAMESPACE,
                "labels": {"app.kubernetes.io/managed-by": "kaap", INVENTORY_LABEL: "true"},
            },
            "data": {
                "component": self.component,
                "version": self.version,
                "needs": json.dumps(sorted(self.needs)),
                "objects": "".join(json.dumps(line) + "\n" for line in lines),
            },
        }

    @classmethod
    def from_object(cls, obj: Mapping[str, Any]) -> Inventory:
        """Read it back."""
        data = obj.get("data") or {}
        lines = [json.loads(line) for line in str(data.get("objects", "")).splitlines() if line]
        refs = tuple(Ref(*line[:4]) for line in lines)
        digests = {ref.identity: "".join(line[4:]) for ref, line in zip(refs, lines, strict=True)}
        return cls(
            str(data["component"]),
            str(data.get("version", "")),
            tuple(json.loads(data.get("needs", "[]"))),
            refs,
            digests,
        )

    def under_way(self, needs: tuple[str, ...], refs: Sequence[Ref], digests: Mapping[Any, str]) -> Inventory:
        """What holds while a change is applied: old and new objects, and the digests of those that stay as they are."""
        whole = {ref.identity: ref for ref in (*self.refs, *refs)}
        kept = {identity: old for identity, old in self.digests.items() if digests.get(identity, old) == old}
        return Inventory(self.component, self.version, needs, tuple(whole.values()), kept)

    def beyond(self, refs: Sequence[Ref]) -> list[Ref]:
        """Objects in it that are not among ``refs``."""
        wanted = {ref.identity for ref in refs}
        return [ref for ref in self.refs if ref.identity not in wanted]
