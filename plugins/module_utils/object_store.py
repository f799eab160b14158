"""Buckets, policies and users of a MinIO server: what is declared, what is there, and the changes between."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import way_in

try:
    import urllib3
    from minio import Minio, MinioAdmin
    from minio.credentials import StaticProvider
    from minio.deleteobjects import DeleteObject
    from minio.error import MinioAdminException, MinioException, S3Error
    from minio.versioningconfig import ENABLED, SUSPENDED, VersioningConfig
except ImportError:  # pragma: no cover - the environment is locked; ansible-test imports without it
    urllib3 = None  # type: ignore[assignment]

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 30.0
REGION = "us-east-1"
WRONG_LOGIN = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccountDisabled"}


class StoreError(Exception):
    """The object store did not do what it was asked; the message never holds a secret."""


@dataclass
class Contents:
    """Buckets with whether they keep versions, policies with their documents, users with their policies."""

    buckets: dict[str, bool] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    users: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One thing to do.

    :ivar verb: `make bucket`, `remove bucket`, `set versioning`, `set policy`, `remove policy`, `make user`,
        `renew user`, `attach policy`, `detach policy`, `remove user`
    """

    verb: str
    name: str
    detail: Any = None

    def __str__(self) -> str:
        """Return it as a line of a diff; details hold no secret."""
        return f"{self.verb} {self.name}" + (f": {self.detail}" if isinstance(self.detail, str) else "")


def declared(
    buckets: Iterable[Mapping[str, Any]], policies: Iterable[Mapping[str, Any]], users: Iterable[Mapping[str, Any]]
) -> Contents:
    """Return what the settings ask for."""
    return Contents(
        {str(bucket["name"]): bool(bucket.get("versioning")) for bucket in buckets},
        {str(policy["name"]): policy["document"] for policy in policies},
        {str(user["name"]): tuple(sorted(user.get("policies") or ())) for user in users},
    )


def normal(document: Any) -> Any:
    """Return a policy document in the form in which two that mean the same are equal."""
    if isinstance(document, Mapping):
        wanted = {str(key): normal(value) for key, value in document.items()}
        for key in ("Action", "Resource", "NotAction", "NotResource"):
            if key in wanted:
                values = wanted[key] if isinstance(wanted[key], list) else [wanted[key]]
                wanted[key] = sorted(str(value) for value in values)
        return wanted
    if isinstance(document, list | tuple):
        return [normal(entry) for entry in document]
    return document


def changes(
    wanted: Contents, there: Contents, logins: Mapping[str, bool], managed: Mapping[str, Sequence[str]]
) -> list[Change]:
    """Return what to do, in an order that works.

    :param logins: for each user that is there, whether it can log in with its stored secret
    :param managed: `policies` and `users` that an earlier run declared: only these are ever removed
    """
    todo = []
    for name, versioning in wanted.buckets.items():
        if name not in there.buckets:
            todo.append(Change("make bucket", name))
        if versioning != there.buckets.get(name, False):
            todo.append(Change("set versioning", name, "on" if versioning else "suspended"))
    for name, document in wanted.policies.items():
        if normal(document) != normal(there.policies.get(name)):
            todo.append(Change("set policy", name, normal(document)))
    for name, policies in wanted.users.items():
        has = set(there.users.get(name, ()))
        if name not in there.users:
            todo.append(Change("make user", name))
        elif not logins.get(name):
            # Made anew: whoever had the old secret may have made access keys of its own with it, which only go with it.
            todo.append(Change("renew user", name))
            has = set()
        todo += [Change("attach policy", name, policy) for policy in policies if policy not in has]
        todo += [Change("detach policy", name, policy) for policy in sorted(has - set(policies))]
    for name in managed.get("users", ()):
        if name in there.users and name not in wanted.users:
            todo.append(Change("remove user", name))
    for name in managed.get("policies", ()):
        if name in there.policies and name not in wanted.policies:
            todo.append(Change("remove policy", name))
    return todo


class Store:
    """One MinIO server, as its root user. No retries: a wait belongs to the platform phase."""

    def __init__(
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        seconds: float = REQUEST_SECONDS,
        trust: way_in.Trust | None = None,
    ) -> None:
        """Open no connection yet.

        :param endpoint: host:port of the S3 listener
        :param seconds: how long each answer may take
        :param trust: whom to believe at a listener that speaks HTTPS; None for plain HTTP
        """
        if urllib3 is None:
            raise StoreError("the Python package minio is missing: run it in the project's environment")
        self.endpoint = endpoint
        self._seconds = seconds
        self._trust = trust
        self._s3 = self.client(access_key, secret_key)
        provider = StaticProvider(access_key, secret_key)
        self._admin = MinioAdmin(
            endpoint=endpoint, credentials=provider, region=REGION, secure=bool(trust), http_client=self._pool()
        )

    def _pool(self) -> Any:
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=self._seconds)
        return urllib3.PoolManager(timeout=timeout, retries=False, **(self._trust.options() if self._trust else {}))

    def client(self, access_key: str, secret_key: str) -> Any:
        """Return an S3 client of another user."""
        return Minio(
            self.endpoint,
            access_key,
            secret_key,
            region=REGION,
            secure=bool(self._trust),
            http_client=self._pool(),
        )

    def _ask(self, what: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except S3Error as problem:
            raise StoreError(f"{what}: {problem.code}: {problem.message}") from problem
        except (MinioException, MinioAdminException, urllib3.exceptions.HTTPError, ValueError) as problem:
            raise StoreError(f"{what}: {problem}") from problem

    def contents(self) -> Contents:
        """Return what is there.

        :raises StoreError: when the server does not answer, or refuses the login
        """
        buckets = {}
        for bucket in self._ask("list the buckets", self._s3.list_buckets):
            status = self._ask(f"read versioning of {bucket.name}", self._s3.get_bucket_versioning, bucket.name).status
            buckets[str(bucket.name)] = status == ENABLED
        policies = json.loads(self._ask("list the policies", self._admin.policy_list))
        users = json.loads(self._ask("list the users", self._admin.user_list) or "{}")
        attached = {
            str(name): tuple(sorted(part for part in str(entry.get("policyName") or "").split(",") if part))
            for name, entry in users.items()
        }
        return Contents(buckets, policies, attached)

    def login(self, access_key: str, secret_key: str) -> bool:
        """Tell whether the server knows the user with this secret, whatever the user may do.

        :raises StoreError: when the server does not answer
        """
        try:
            self.client(access_key, secret_key).list_buckets()
        except S3Error as problem:
            if problem.code in WRONG_LOGIN:
                return False
            if problem.code == "AccessDenied":
                return True
            raise StoreError(f"log in as {access_key}: {problem.code}: {problem.message}") from problem
        except (MinioException, urllib3.exceptions.HTTPError) as problem:
            raise StoreError(f"log in as {access_key}: {problem}") from problem
        return True

    def round_trip(self, bucket: str, access_key: str, secret_key: str) -> str:
        """Put an object, get it back, and delete it, as a user; return what came back, in words.

        :raises StoreError: when a step fails or the content differs
        """
        client, name, content = (
            self.client(access_key, secret_key),
            f"kaap-probe/{uuid.uuid4()}",
            uuid.uuid4().bytes * 64,
        )
        self._ask(f"put into {bucket}", client.put_object, bucket, name, io.BytesIO(content), len(content))
        try:
            response = self._ask(f"get from {bucket}", client.get_object, bucket, name)
            try:
                found = response.read()
            finally:
                response.close()
        finally:
            self._ask(f"remove from {bucket}", client.remove_object, bucket, name)
        if found != content:
            raise StoreError(f"got {len(found)} other bytes from {bucket} than were put")
        return f"{len(found)} bytes came back as they were put, and were deleted"

    def read(self, bucket: str, name: str) -> bytes:
        """Return an object.

        :raises StoreError: when it is not there
        """
        response = self._ask(f"get {bucket}/{name}", self._s3.get_object, bucket, name)
        try:
            content: bytes = response.read()
        finally:
            response.close()
        return content

    def bucket_names(self) -> set[str]:
        """Return the buckets that are there.

        :raises StoreError: when the server does not answer, or refuses the login
        """
        return {str(bucket.name) for bucket in self._ask("list the buckets", self._s3.list_buckets)}

    def _remove_bucket(self, name: str) -> None:
        """Remove a bucket with every version of every object in it."""
        items = self._s3.list_objects(name, recursive=True, include_version=True)
        doomed = (DeleteObject(item.object_name, item.version_id) for item in items)
        for error in self._s3.remove_objects(name, doomed):
            raise StoreError(f"remove from {name}: {error.code}: {error.message}")
        self._s3.remove_bucket(name)

    def do(self, change: Change, secrets: Mapping[str, str]) -> None:
        """Make one change.

        :param secrets: secret key by user
        :raises StoreError: when the server refuses
        """
        name, detail, admin = change.name, change.detail, self._admin
        steps: dict[str, Callable[[], Any]] = {
            "make bucket": lambda: self._s3.make_bucket(name),
            "remove bucket": lambda: self._remove_bucket(name),
            "set versioning": lambda: self._s3.set_bucket_versioning(
                name, VersioningConfig(ENABLED if detail == "on" else SUSPENDED)
            ),
            "set policy": lambda: admin.policy_add(name, policy=detail),
            "remove policy": lambda: admin.policy_remove(name),
            "make user": lambda: admin.user_add(name, secrets[name]),
            "renew user": lambda: (admin.user_remove(name), admin.user_add(name, secrets[name])),
            "attach policy": lambda: admin.attach_policy([detail], user=name),
            "detach policy": lambda: admin.detach_policy([detail], user=name),
            "remove user": lambda: admin.user_remove(name),
        }
        self._ask(str(change), steps[change.verb])
