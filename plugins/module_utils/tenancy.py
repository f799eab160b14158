"""Tenants as data: who they are, and the objects and the part of the object store that follow from it.

A tenant is a namespace with an owner, people, a quota, a queue and buckets. With Kubeflow it is a Profile, too, and its
people are bound exactly as Kubeflow's access management (KFAM) binds them, so that the dashboard shows and edits them.
Without Kubeflow the same tenant is a plain namespace.

Everything here is a pure function of the settings: what is taken out of them is not made any more, and the component's
inventory removes it. The namespace itself stays, because it holds data; module_utils/closing.py closes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import namespaces, pipelines, queues

Object = dict[str, Any]
Settings = Mapping[str, Any]

TENANT_LABEL = "kaap.infn.it/tenant"
# Of a tenant's namespace, as JSON lists: whom to take access from, and what to delete, when they are declared no more.
PEOPLE_ANNOTATION = "kaap.infn.it/people"
BUCKETS_ANNOTATION = "kaap.infn.it/buckets"
GPU = "nvidia.com/gpu"
QUEUE = "kaap"
STORE_SECRET = "kaap-s3"  # noqa: S105 - the name of a Secret
EDITOR = "default-editor"
RBAC = "rbac.authorization.k8s.io"
ROLES = ("admin", "edit", "view")
# Who may pass on a request in somebody's name; KFAM's own defaults.
PRINCIPALS = (
    "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
    "cluster.local/ns/kubeflow/sa/ml-pipeline-ui",
)
USER_HEADER = "kubeflow-userid"
# What Kubeflow's profile controller writes on the namespaces that it makes.
PROFILE_LABELS = {
    "istio-injection": "enabled",
    "katib.kubeflow.org/metrics-collector-injection": "enabled",
    "serving.kubeflow.org/inferenceservice": "enabled",
    "pipelines.kubeflow.org/enabled": "true",
    "app.kubernetes.io/part-of": "kubeflow-profile",
}
OIDC_DEFAULTS: dict[str, Any] = {
    "issuer": "",
    "client_id": "",
    "client_secret_file": "",
    "user_claim": "email",
    "groups_claim": "groups",
    "scopes": ["openid", "profile", "email"],
}
# What tenants may do with the platform's own kinds, beyond Kubernetes' roles edit and view. No HTTPRoutes: one of a
# tenant's could claim a path that is another's.
KINDS: dict[str, tuple[str, ...]] = {
    "serving.kserve.io": ("inferencegraphs", "inferenceservices", "servingruntimes", "trainedmodels"),
    "trainer.kubeflow.org": ("trainingruntimes", "trainjobs"),
}
SEEN_KINDS: dict[str, tuple[str, ...]] = {
    **KINDS,
    "jobset.x-k8s.io": ("jobsets",),
    "kueue.x-k8s.io": ("localqueues", "workloads"),
}
LOOK = ["get", "list", "watch"]


GROUP_PREFIX = "group "


def as_subject(holder: str) -> tuple[str, str]:
    """Kind and name of the subject that one of :attr:`Tenant.people` is in a RoleBinding."""
    return ("Group", holder.removeprefix(GROUP_PREFIX)) if holder.startswith(GROUP_PREFIX) else ("User", holder)


class TenancyError(Exception):
    """The declared tenants do not fit together; the text names the key, the value and the fix."""


@dataclass(frozen=True)
class Tenant:
    """A tenant with its people named one by one.

    :ivar members: who may work in it, the owner left out
    :ivar viewers: who may only look, nobody of the members
    :ivar groups: groups of the identity provider whose people may work in it
    :ivar quota: cpu, memory, gpu, storage; what is missing is not limited
    :ivar queue: cluster queue of ``kaap_queues``; empty when there is none
    :ivar share: cpu, memory, gpu that are its own
    :ivar buckets: its buckets in the object store
    """

    name: str
    owner: str
    members: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    quota: Mapping[str, Any] = field(default_factory=dict)
    queue: str = ""
    share: Mapping[str, Any] = field(default_factory=dict)
    buckets: tuple[str, ...] = ()

    @property
    def people(self) -> list[str]:
        """Everybody who can read its secrets, sorted: viewers cannot."""
        return sorted({self.owner, *self.members, *(f"{GROUP_PREFIX}{group}" for group in self.groups)})

    @property
    def subjects(self) -> list[tuple[str, str]]:
        """Kind and name of everybody who has access, sorted."""
        return sorted(map(as_subject, {*self.people, *self.viewers}))


@dataclass(frozen=True)
class Store:
    """The object store as pods reach it.

    :ivar endpoint: host and port
    """

    endpoint: str = "minio.minio.svc.cluster.local:9000"
    tls: bool = False
    region: str = "us-east-1"

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self.tls else 'http'}://{self.endpoint}"


def settle(tenants: Iterable[Settings], groups: Iterable[Settings] = (), known: Settings | None = None) -> list[Tenant]:
    """Tenants with defaults filled in, and with the people of their groups.

    :param tenants: ``kaap_tenants``
    :param groups: ``kaap_groups``; a group that is not among them is one of the identity provider
    :param known: ``kaap_queues``
    """
    people = {str(group["name"]): [str(name) for name in group["members"]] for group in groups}
    first = next((str(queue["name"]) for queue in (known or {}).get("cluster_queues") or []), "")
    found = []
    for entry in tenants:
        name, owner = str(entry["name"]), str(entry["owner"])
        named = [str(group) for group in entry.get("groups") or []]
        members = [str(each) for each in entry.get("members") or []]
        members += [each for group in named for each in people.get(group, [])]
        members = sorted(set(members) - {owner})
        buckets = entry.get("buckets")
        found.append(
            Tenant(
                name=name,
                owner=owner,
                members=tuple(members),
                viewers=tuple(sorted({str(each) for each in entry.get("viewers") or []} - {owner, *members})),
                groups=tuple(sorted(set(named) - set(people))),
                quota=dict(entry.get("quota") or {}),
                queue=str(entry.get("queue") or first),
                share=dict(entry.get("share") or {}),
                buckets=tuple(str(bucket) for bucket in ([name] if buckets is None else buckets)),
            )
        )
    return found


# Objects of the cluster


def tenancy_objects(
    tenants: Iterable[Settings],
    groups: Iterable[Settings] = (),
    declared_queues: Settings | None = None,
    *,
    components: Iterable[str] = (),
    secrets: Mapping[str, Mapping[str, str]] | None = None,
    pipelines_store: Settings | None = None,
    networks: namespaces.Networks | None = None,
) -> list[Object]:
    """All objects of all tenants.

    :param components: names of the components that the deployment has; what belongs to another one is left out
    :param pipelines_store: what :func:`module_utils.pipelines.store` returned, where Pipelines is wanted
    :param secrets: the generated secrets, with ``minio-user-tenant-NAME`` for each tenant
    :raises TenancyError: when a queue or a generated secret is not there
    """
    wanted = set(components)
    settled = settle(tenants, groups, declared_queues)
    made: list[Object] = tenant_roles() if settled else []
    for tenant in settled:
        kubeflow = "profiles" in wanted
        made.append(namespace(tenant, kubeflow=kubeflow))
        made += bindings(tenant, kubeflow=kubeflow)
        made += quotas(tenant, kubeflow=kubeflow)
        if "kueue" in wanted:
            made += queue_objects(tenant, declared_queues or {})
        artefacts = pipelines_store if "pipelines" in wanted else None
        if "minio" in wanted:
            # In a store of the site's own the site gives keys, and puts them there.
            ours = bool(artefacts) and (artefacts or {})["host"] == pipelines.STORE_HOST
            made += store_objects(tenant, secrets or {}, Store(), with_pipelines=ours)
        if artefacts:
            made += pipelines.namespace_objects(tenant.name, artefacts)
        made.append(editor(tenant, with_store="minio" in wanted))
        deny, allow = namespaces.policies(
            tenant.name, namespaces.load(), networks or namespaces.Networks(), workloads=True
        )
        # The one that closes the namespace outlives the tenant with it.
        made += [kept(deny), allow]
    return made


def kept(obj: Object) -> Object:
    """The object, to outlive the tenant."""
    annotations = {**(obj["metadata"].get("annotations") or {}), queues.KEEP: "true"}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def namespace(tenant: Tenant, *, kubeflow: bool) -> Object:
    """The tenant's namespace, which outlives the tenant.

    With Kubeflow the profile controller accepts it because the annotation ``owner`` agrees with the Profile; and
    because the Profile does not own it, removing the Profile does not delete what people keep in it.
    """
    labels = {
        TENANT_LABEL: tenant.name,
        namespaces.WORKLOADS_LABEL: "true",
        **namespaces.pod_security_labels(namespaces.load().workloads_level),
    }
    annotations = {
        queues.KEEP: "true",
        PEOPLE_ANNOTATION: json.dumps(sorted({*tenant.people, *tenant.viewers})),
        BUCKETS_ANNOTATION: json.dumps(sorted(tenant.buckets)),
    }
    if kubeflow:
        labels.update(PROFILE_LABELS)
        annotations["owner"] = tenant.owner
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": tenant.name, "labels": labels, "annotations": annotations},
    }


def binding_name(kind: str, subject: str, role: str) -> str:
    """The name that KFAM gives to the binding of a user or a group, of which letters and digits are left.

    :param kind: ``User`` or ``Group``
    :param role: ``edit``, ``view`` or ``admin``
    """
    return re.sub(r"[^a-z0-9]+", "-", f"{kind}-{subject}-ClusterRole-{role}".lower())


def bindings(tenant: Tenant, *, kubeflow: bool) -> list[Object]:
    """Who may do what in a tenant's namespace: a RoleBinding per person and group.

    :param kubeflow: bind Kubeflow's own cluster roles, let people through Istio, and make the Profile, whose
        controller does the rest: the owner's way through Istio, and what the tenant's own workloads may do
    """
    prefix = "kubeflow-" if kubeflow else ""
    made = [_binding("namespaceAdmin", tenant.name, "admin", "User", tenant.owner, prefix=prefix)]
    people = [(name, "edit") for name in tenant.members] + [(name, "view") for name in tenant.viewers]
    for person, role in people:
        name = binding_name("User", person, role)
        made.append(_binding(name, tenant.name, role, "User", person, prefix=prefix))
        if kubeflow:
            made.append(_authorization(name, tenant.name, role, person))
    for group in tenant.groups:
        name = binding_name("Group", group, "edit")
        made.append(_binding(name, tenant.name, "edit", "Group", group, prefix=prefix))
    if kubeflow:
        made.append(profile(tenant))
    else:
        made.append(_binding(EDITOR, tenant.name, "edit", "ServiceAccount", EDITOR))
    return made


def _binding(name: str, namespace: str, role: str, kind: str, subject: str, *, prefix: str = "") -> Object:
    metadata: Object = {"name": name, "namespace": namespace}
    if kind == "User":
        # KFAM takes every binding with these two for one of a person, and shows it in the dashboard.
        metadata["annotations"] = {"user": subject, "role": role}
    place = {"namespace": namespace} if kind == "ServiceAccount" else {"apiGroup": RBAC}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"{prefix}{role}"},
        "subjects": [{**place, "kind": kind, "name": subject}],
    }


def _authorization(name: str, namespace: str, role: str, person: str) -> Object:
    return {
        "apiVersion": "security.istio.io/v1beta1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": namespace, "annotations": {"user": person, "role": role}},
        "spec": {
            "rules": [
                {
                    "from": [{"source": {"principals": list(PRINCIPALS)}}],
                    "when": [{"key": f"request.headers[{USER_HEADER}]", "values": [person]}],
                }
            ]
        },
    }


def profile(tenant: Tenant) -> Object:
    """The tenant's Kubeflow Profile; its controller makes the quota and the owner's access from it."""
    spec: Object = {"owner": {"kind": "User", "name": tenant.owner}}
    hard = hard_quota(tenant.quota)
    if hard:
        spec["resourceQuotaSpec"] = {"hard": hard}
    return {"apiVersion": "kubeflow.org/v1", "kind": "Profile", "metadata": {"name": tenant.name}, "spec": spec}


def hard_quota(quota: Mapping[str, Any]) -> dict[str, str]:
    """A quota in Kubernetes' words: what all pods together may ask for, and all volumes."""
    names = {
        "cpu": "requests.cpu",
        "memory": "requests.memory",
        "gpu": f"requests.{GPU}",
        "storage": "requests.storage",
    }
    return {name: str(quota[key]) for key, name in names.items() if quota.get(key) is not None}


def quotas(tenant: Tenant, *, kubeflow: bool) -> list[Object]:
    """ResourceQuota and LimitRange; with Kubeflow the Profile holds the quota.

    Where CPU or memory is limited, a pod that asks for none would be refused: the LimitRange gives it a little.
    """
    hard = hard_quota(tenant.quota)
    made: list[Object] = []
    if hard and not kubeflow:
        made.append(_namespaced("v1", "ResourceQuota", "kaap-quota", tenant.name, spec={"hard": hard}))
    if {"requests.cpu", "requests.memory"} & set(hard):
        limits = [{"type": "Container", "defaultRequest": {"cpu": "100m", "memory": "128Mi"}}]
        made.append(_namespaced("v1", "LimitRange", "kaap-requests", tenant.name, spec={"limits": limits}))
    return made


def _namespaced(api: str, kind: str, name: str, namespace: str, **content: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **content}


def queue_objects(tenant: Tenant, declared: Settings) -> list[Object]:
    """The tenant's LocalQueue and, where it has a share of its own, its ClusterQueue.

    :param declared: ``kaap_queues``
    :raises TenancyError: when its queue is not among them
    """
    if not tenant.queue:
        return []
    clusters = {str(queue["name"]): queue for queue in declared.get("cluster_queues") or []}
    if tenant.queue not in clusters:
        raise TenancyError(
            f"kaap_tenants: queue of {tenant.name} is {tenant.queue!r}; declare it in kaap_queues.cluster_queues "
            f"or take one of {sorted(clusters)}"
        )
    target, made = tenant.queue, []
    if tenant.share:
        target = f"tenant-{tenant.name}"
        names = {"cpu": "cpu", "memory": "memory", "gpu": GPU}
        share = {name: tenant.share[key] for key, name in names.items() if tenant.share.get(key) is not None}
        own = queues.cluster_queue({**clusters[tenant.queue], "name": target, "quotas": share})
        # Nobody else's jobs: a queue of another namespace that points here is not served.
        own["spec"]["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": tenant.name}}
        made.append(own)
    made.append(_namespaced(queues.API, "LocalQueue", QUEUE, tenant.name, spec={"clusterQueue": target}))
    return made


def store_user(tenant: str) -> str:
    """The tenant's user in the object store, which is also its access key."""
    return f"tenant-{tenant}"


def store_objects(
    tenant: Tenant, secrets: Mapping[str, Mapping[str, str]], store: Store, *, with_pipelines: bool
) -> list[Object]:
    """The key to the object store, for people's programs, for KServe and for Pipelines.

    :raises TenancyError: when the key was not generated
    """
    name = f"minio-user-{store_user(tenant.name)}"
    if name not in secrets:
        raise TenancyError(f"kaap_tenants: the key of {tenant.name} is not among the generated secrets ({name})")
    access, secret = secrets[name]["access_key"], secrets[name]["secret_key"]
    content = {
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_ENDPOINT_URL": store.url,
        "AWS_DEFAULT_REGION": store.region,
    }
    if tenant.buckets:
        content["BUCKET"] = tenant.buckets[0]
    made = _namespaced("v1", "Secret", STORE_SECRET, tenant.name, type="Opaque", stringData=content)
    made["metadata"]["annotations"] = {
        "serving.kserve.io/s3-endpoint": store.endpoint,
        "serving.kserve.io/s3-usehttps": "1" if store.tls else "0",
        "serving.kserve.io/s3-region": store.region,
        "serving.kserve.io/s3-useanoncredential": "false",
    }
    if not with_pipelines:
        return [made]
    keys = {"accesskey": access, "secretkey": secret}
    return [made, _namespaced("v1", "Secret", pipelines.ARTIFACT_SECRET, tenant.name, type="Opaque", stringData=keys)]


def editor(tenant: Tenant, *, with_store: bool) -> Object:
    """The service account of the tenant's workloads; through it KServe finds the key to the object store."""
    made = _namespaced("v1", "ServiceAccount", EDITOR, tenant.name)
    if with_store:
        made["secrets"] = [{"name": STORE_SECRET}]
    return made


def tenant_roles() -> list[Object]:
    """What editors and viewers may do with the platform's own kinds, added to the roles that everybody is bound to."""
    rules = {
        "edit": [{"apiGroups": [group], "resources": list(kinds), "verbs": ["*"]} for group, kinds in KINDS.items()],
        "view": [
            {"apiGroups": [group], "resources": list(kinds), "verbs": LOOK} for group, kinds in SEEN_KINDS.items()
        ],
    }
    return [
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {
                "name": f"kaap-tenant-{role}",
                "labels": {
                    f"{RBAC}/aggregate-to-{role}": "true",
                    f"rbac.authorization.kubeflow.org/aggregate-to-kubeflow-{role}": "true",
                },
            },
            "rules": rules[role],
        }
        for role in ("edit", "view")
    ]


# The object store


def tenant_store(
    tenants: Iterable[Settings], groups: Iterable[Settings] = (), *, with_pipelines: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Buckets, policies and users that the tenants need, in the form of ``kaap_minio_*``.

    A user's ``holders`` are the people who can read its key: when one of them leaves, the key is made anew.

    :param with_pipelines: also let a tenant into its own part of the bucket of Pipelines
    """
    settled = settle(tenants, groups)
    return {
        "buckets": [{"name": bucket} for tenant in settled for bucket in tenant.buckets],
        "policies": [
            {"name": store_user(tenant.name), "document": policy(tenant, with_pipelines=with_pipelines)}
            for tenant in settled
        ],
        "users": [
            {
                "name": store_user(tenant.name),
                "policies": [store_user(tenant.name)],
                "holders": tenant.people,
            }
            for tenant in settled
        ],
    }


def policy(tenant: Tenant, *, with_pipelines: bool) -> dict[str, Any]:
    """What a tenant's key opens: its own buckets and, with Pipelines, its own artefacts."""
    statements: list[dict[str, Any]] = []
    if tenant.buckets:
        places = [f"arn:aws:s3:::{bucket}" for bucket in tenant.buckets]
        statements = [
            _allow(["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], places),
            _allow(OBJECTS, [f"{place}/*" for place in places]),
        ]
    if with_pipelines:
        bucket = f"arn:aws:s3:::{pipelines.BUCKET}"
        own = [f"{folder}/{tenant.name}/*" for folder in ("artifacts", "private", "private-artifacts")]
        listing = _allow(["s3:ListBucket"], [bucket])
        listing["Condition"] = {"StringLike": {"s3:prefix": sorted([*own, "shared/*"])}}
        statements += [
            _allow(["s3:GetBucketLocation"], [bucket]),
            listing,
            _allow(OBJECTS, [f"{bucket}/{place}" for place in [*own, "shared/*"]]),
        ]
    # A policy without a statement is refused by the store: one that opens nothing has to say so.
    none = {"Effect": "Deny", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}
    return {"Version": "2012-10-17", "Statement": statements or [none]}


OBJECTS = [
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
]


def _allow(actions: Sequence[str], places: Sequence[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(places)}
