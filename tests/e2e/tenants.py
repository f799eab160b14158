"""Two tenants for the end-to-end tests, and what their people try."""

from __future__ import annotations

import base64
import io
import json
from typing import Any
from urllib.parse import urlsplit

from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.error import S3Error

from .conftest import STATE, Run, deploy, kubectl, kubectl_run, report

OWNER, MEMBER, VIEWER, GROUPED, NEIGHBOUR, STRANGER = (
    f"{name}@example.org" for name in ("owner", "member", "viewer", "grouped", "neighbour", "stranger")
)
GROUPS = [{"name": "night", "members": [GROUPED]}]
ASTRO: dict[str, Any] = {
    "name": "astro",
    "owner": OWNER,
    "members": [MEMBER],
    "viewers": [VIEWER],
    "groups": ["night"],
    "quota": {"cpu": "1", "memory": "1Gi", "storage": "1Gi"},
}
BIO: dict[str, Any] = {
    "name": "bio",
    "owner": NEIGHBOUR,
    "share": {"cpu": "500m", "memory": "256Mi"},
    "buckets": ["bio-raw"],
}


def declare(*tenants: dict[str, Any], delete_data: bool = False) -> Run:
    """Deploys these tenants and no others."""
    settings = {"kaap_tenants": list(tenants), "kaap_groups": GROUPS, "kaap_delete_data": delete_data}
    return deploy("-e", json.dumps(settings), "-e", "kaap_only=tenancy", "--tags", "platform")


def can(person: str, verb: str, resource: str, tenant: str = "astro") -> bool:
    """Whether the cluster lets somebody do something in a tenant."""
    return kubectl("-n", tenant, "auth", "can-i", verb, resource, f"--as={person}", check=False).strip() == "yes"


def rights(person: str) -> list[bool]:
    """Whether somebody may look, work, read keys and let others in."""
    asked = [("list", "pods"), ("create", "jobs.batch"), ("get", "secrets"), ("create", "rolebindings")]
    return [can(person, verb, resource) for verb, resource in asked]


def key(tenant: str, person: str) -> tuple[str, str]:
    """The key of a tenant's to the object store, as somebody reads it there."""
    text = kubectl("-n", tenant, "get", "secret", "kaap-s3", f"--as={person}", "-o", "json")
    data = {name: base64.b64decode(value).decode() for name, value in json.loads(text)["data"].items()}
    return data["AWS_ACCESS_KEY_ID"], data["AWS_SECRET_ACCESS_KEY"]


def store(access_key: str, secret_key: str) -> Minio:
    """The object store as somebody with this key."""
    place = urlsplit(report()["endpoints"]["minio"]["url"]).netloc
    return Minio(place, access_key, secret_key, secure=False)


def put(client: Minio, bucket: str, name: str = "kept") -> str:
    """Put an object; what the store says to it, empty when it took it."""
    try:
        client.put_object(bucket, name, io.BytesIO(b"data"), 4)
    except S3Error as refusal:
        return str(refusal.code)
    return ""


def own_key(access_key: str, secret_key: str) -> tuple[str, str]:
    """An access key that somebody makes for themselves with a tenant's key."""
    place = urlsplit(report()["endpoints"]["minio"]["url"]).netloc
    admin = MinioAdmin(
        endpoint=place, credentials=StaticProvider(access_key, secret_key), region="us-east-1", secure=False
    )
    made = json.loads(admin.add_service_account(name="taken-along"))["credentials"]
    return str(made["accessKey"]), str(made["secretKey"])


# Fails when it is stopped, as work that is not done does: with a success, its job would count as complete.
ENDLESS = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)); signal.pause()"


def image() -> str:
    """An image of the bundle with Python in it."""
    artefacts = json.loads((STATE / "bundle.json").read_text())["artefacts"]
    return next(str(each["name"]) for each in artefacts if str(each["name"]).startswith("kaap.infn.it/remat/trainer:"))


def job(name: str) -> dict[str, Any]:
    """A job for the tenant's queue that runs until it is stopped."""
    resources = {"requests": {"cpu": "50m", "memory": "16Mi"}}
    pod = {
        "restartPolicy": "Never",
        "containers": [
            {"name": "main", "image": image(), "command": ["python3", "-c", ENDLESS], "resources": resources}
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    labels = {"kueue.x-k8s.io/queue-name": "kaap"}
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}


def claim(name: str, size: str) -> dict[str, Any]:
    """A volume claim."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def binding(name: str, person: str) -> dict[str, Any]:
    """A binding as an owner makes one by hand."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}],
    }


def create(person: str, obj: dict[str, Any], tenant: str = "astro") -> str:
    """Let somebody create an object; what the cluster says to it, empty when it took it."""
    done = kubectl_run("-n", tenant, "create", f"--as={person}", "-f", "-", given=json.dumps(obj))
    return done.stderr if done.returncode else ""


def running(name: str) -> None:
    """Waits until a job of the first tenant's runs; its pod may not be there yet."""
    kubectl("-n", "astro", "wait", "--for=jsonpath={.status.ready}=1", f"job/{name}", "--timeout=120s")
