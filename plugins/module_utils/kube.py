"""A small client of the Kubernetes API: discovery, server-side apply, delete, watch, over kept-alive connections.

The generated client of the ``kubernetes`` package knows no server-side apply of arbitrary objects without one
discovery request per API group, and importing it costs a second in every task. What is needed here is REST.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
import yaml

Object = dict[str, Any]

FIELD_MANAGER = "kaap"
# Connections that are kept, watches included.
CONNECTIONS = 32
# Requests at a time: more make the server no faster, and each needs a connection, whose handshake costs it more than a
# small object does.
REQUESTS = 16
CONNECT_SECONDS = 30.0
REQUEST_SECONDS = 120.0
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class KubeError(Exception):
    """The cluster could not be asked, or what it was asked for is not possible."""


class UnknownKindError(KubeError):
    """The API server serves no such kind."""

    def __init__(self, api_version: str, kind: str) -> None:
        """Name the kind that is not served."""
        super().__init__(f"the cluster serves no {kind} of {api_version}")
        self.api_version = api_version
        self.kind = kind


class ApiError(KubeError):
    """The API server answered with a Status that is not success.

    :ivar status: HTTP status code.
    :ivar reason: machine-readable reason, such as ``Conflict``.
    :ivar message: the server's own words.
    :ivar causes: field-level causes, mappings with ``reason``, ``message`` and ``field``.
    """

    def __init__(self, status: int, body: Mapping[str, Any], what: str) -> None:
        """Keep the parts of the Status object; ``what`` says which request failed."""
        self.status = status
        self.reason = str(body.get("reason", ""))
        self.message = str(body.get("message", ""))
        self.causes: list[dict[str, str]] = list((body.get("details") or {}).get("causes") or [])
        super().__init__(f"{what}: {self.message or 'no message'} ({status} {self.reason})")


@dataclass(frozen=True)
class Resource:
    """How one kind is reached over REST."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """``group/version``, or ``version`` alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "") -> str:
        """URL path of the collection, or of one object when ``name`` is given."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        place = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{place}/{self.plural}" + (f"/{name}" if name else "")


def split_api_version(api_version: str) -> tuple[str, str]:
    """``apps/v1`` to ``("apps", "v1")``; ``v1`` to ``("", "v1")``."""
    group, _, version = api_version.rpartition("/")
    return group, version


def resources_of_discovery(document: Mapping[str, Any]) -> list[Resource]:
    """Read an aggregated discovery document (APIGroupDiscoveryList); groups that are stale are left out."""
    found = []
    for group in document.get("items", []):
        name = group.get("metadata", {}).get("name", "")
        for version in group.get("versions", []):
            if version.get("freshness") == "Stale":
                continue
            for resource in version.get("resources", []):
                kind = (resource.get("responseKind") or {}).get("kind", "")
                found.append(
                    Resource(name, version["version"], kind, resource["resource"], resource["scope"] == "Namespaced")
                )
    return found


def resources_of_crd(crd: Mapping[str, Any]) -> list[Resource]:
    """The kinds that a CustomResourceDefinition makes the server serve."""
    spec = crd["spec"]
    return [
        Resource(
            spec["group"],
            version["name"],
            spec["names"]["kind"],
            spec["names"]["plural"],
            spec["scope"] == "Namespaced",
        )
        for version in spec["versions"]
        if version.get("served", True)
    ]


class Catalogue:
    """The kinds that the API server serves, and those it will serve once the CRDs at hand are applied."""

    def __init__(self) -> None:
        """Start empty; :meth:`add` fills it."""
        self._kinds: dict[tuple[str, str, str], Resource] = {}
        self._lock = threading.Lock()

    def add(self, resources: list[Resource]) -> None:
        """Make kinds known."""
        with self._lock:
            for resource in resources:
                self._kinds[(resource.group, resource.version, resource.kind)] = resource

    def find(self, api_version: str, kind: str) -> Resource | None:
        """The kind in exactly this version, or None."""
        group, version = split_api_version(api_version)
        return self._kinds.get((group, version, kind))

    def of_group(self, group: str, kind: str) -> Resource | None:
        """The kind in any version of its group, or None."""
        for resource in list(self._kinds.values()):
            if resource.group == group and resource.kind == kind:
                return resource
        return None

    def need(self, api_version: str, kind: str) -> Resource:
        """The kind in exactly this version.

        :raises UnknownKindError: when it is not served.
        """
        found = self.find(api_version, kind)
        if found is None:
            raise UnknownKindError(api_version, kind)
        return found


def _inline_or_file(entry: Mapping[str, Any], key: str, folder: Path) -> bytes | None:
    if entry.get(f"{key}-data"):
        try:
            return base64.b64decode(entry[f"{key}-data"], validate=True)
        except binascii.Error as error:
            raise KubeError(f"{key}-data in the kubeconfig is not base64: {error}") from error
    if entry.get(key):
        return (folder / str(entry[key])).read_bytes()
    return None


def _named(document: Mapping[str, Any], section: str, entry: str, name: str, path: Path) -> dict[str, Any]:
    for candidate in document.get(section) or []:
        if candidate.get("name") == name:
            return dict(candidate.get(entry) or {})
    raise KubeError(f"{path}: {section} has no entry named {name!r}")


class KubeClient:
    """One API server, as one user. Safe to use from several threads."""

    def __init__(self, server: str, context: ssl.SSLContext | None, headers: Mapping[str, str], name: str = "") -> None:
        """Open no connection yet.

        :param server: base URL.
        :param context: trust and client certificate; None for plain HTTP.
        :param headers: sent with every request, such as a bearer token.
        :param name: host name to verify instead of that in ``server``.
        """
        self.server = server.rstrip("/")
        self._prefix = urlsplit(self.server).path
        self._headers = {"User-Agent": "kaap", "Accept": "application/json", **headers}
        # The server asks for patience with 429 and Retry-After when its queues are full; client-go honours it too.
        patience = urllib3.Retry(
            total=10, connect=0, read=0, redirect=0, other=0, status=10, status_forcelist=[429],
            allowed_methods=None, respect_retry_after_header=True, backoff_factor=0.2, raise_on_status=False,
        )  # fmt: skip
        options: dict[str, Any] = {"retries": patience, "maxsize": CONNECTIONS, "block": False}
        if context is not None:
            options["ssl_context"] = context
            if name:
                options.update(assert_hostname=name, server_hostname=name)
        self._pool = urllib3.connection_from_url(self.server, **options)
        self._slots = threading.BoundedSemaphore(REQUESTS)
        self.catalogue = Catalogue()

    @classmethod
    def from_kubeconfig(cls, path: Path) -> KubeClient:
        """A client of the current context of a kubeconfig.

        :raises KubeError: when the file is missing, incomplete, or asks for a way of login not known here.
        """
        try:
            document = yaml.safe_load(path.read_text())
        except FileNotFoundError as error:
            raise KubeError(f"there is no kubeconfig at {path}; run the phase cluster first") from error
        except yaml.YAMLError as error:
            raise KubeError(f"{path} is not a kubeconfig: {error}") from error
        if not isinstance(document, dict) or not document.get("current-context"):
            raise KubeError(f"{path} is not a kubeconfig with a current-context")
        context = _named(document, "contexts", "context", document["current-context"], path)
        cluster = _named(document, "clusters", "cluster", str(context.get("cluster")), path)
        user = _named(document, "users", "user", str(context.get("user")), path)
        if user.get("exec") or user.get("auth-provider"):
            raise KubeError(f"{path} logs in through a plugin; give a kubeconfig with a certificate or a token")
        headers = {}
        token = user.get("token")
        if not token and user.get("tokenFile"):
            token = (path.parent / str(user["tokenFile"])).read_text().strip()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        tls = cls._tls(cluster, user, path.parent) if str(cluster.get("server")).startswith("https") else None
        return cls(str(cluster.get("server")), tls, headers, str(cluster.get("tls-server-name") or ""))

    @staticmethod
    def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path) -> ssl.SSLContext:
        authority = _inline_or_file(cluster, "certificate-authority", folder)
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate = _inline_or_file(user, "client-certificate", folder)
        key = _inline_or_file(user, "client-key", folder)
        if certificate and key:
            # Python's ssl loads a client certificate from files only.
            with tempfile.TemporaryDirectory(prefix="kaap-") as scratch:
                pair = Path(scratch) / "client.pem"
                pair.touch(mode=0o600)
                pair.write_bytes(certificate + b"\n" + key)
                context.load_cert_chain(pair)
        return context

    def raw(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        seconds: float = REQUEST_SECONDS,
    ) -> tuple[int, bytes]:
        """One request; any status is returned.

        :param seconds: how long the answer may take.
        :raises KubeError: when there is no answer.
        """
        url = self._prefix + path + (f"?{urlencode(query)}" if query else "")
        headers = {**self._headers, "Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            with self._slots:
                response = self._pool.request(
                    method,
                    url,
                    body=body,
                    headers=headers,
                    timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds),
                )
        except urllib3.exceptions.HTTPError as error:
            raise KubeError(f"{self.server} does not answer {method} {path}: {error}") from error
        return response.status, response.data

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        what: str = "",
    ) -> Any:
        """One request that must succeed; its JSON answer.

        :raises ApiError: on any status of 300 and above.
        """
        return self.ask(method, path, query, body, content_type=content_type, accept=accept, what=what)[1]

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        what: str = "",
    ) -> tuple[int, Any]:
        """One request that must succeed; the status and the JSON of its answer.

        :raises ApiError: on any status of 300 and above.
        """
        payload = None if body is None else json.dumps(body).encode()
        status, data = self.raw(method, path, query, payload, content_type=content_type, accept=accept)
        try:
            document = json.loads(data) if data else {}
        except ValueError:
            document = {"message": data[:500].decode(errors="replace").strip()}
        if status >= 300:
            raise ApiError(status, document if isinstance(document, dict) else {}, what or f"{method} {path}")
        return status, document

    def discover(self) -> None:
        """Ask once which kinds are served, and remember them in :attr:`catalogue`."""
        for root in ("/api", "/apis"):
            document = self.call("GET", root, accept=f"{AGGREGATED},application/json")
            if document.get("kind") != "APIGroupDiscoveryList":
                raise KubeError(f"{self.server} offers no aggregated discovery; Kubernetes 1.30 or newer is needed")
            self.catalogue.add(resources_of_discovery(document))

    def version(self) -> str:
        """The API server's version, such as ``v1.36.3``."""
        return str(self.call("GET", "/version")["gitVersion"])

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """One object, or None when it is not there (nor its kind)."""
        try:
            found: Object = self.call("GET", resource.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    def list(
        self, resource: Resource, namespace: str = "", labels: str = "", fields: str = ""
    ) -> tuple[list[Object], str]:
        """Objects of one kind and the collection's resourceVersion; nothing when the kind is not served."""
        query = {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        try:
            document = self.call("GET", resource.path(namespace), query)
        except ApiError as error:
            if error.status == 404:
                return [], "0"
            raise
        items: list[Object] = document.get("items") or []
        for item in items:
            item.setdefault("apiVersion", resource.api_version)
            item.setdefault("kind", resource.kind)
        return items, str(document["metadata"].get("resourceVersion", "0"))

    def apply(self, resource: Resource, obj: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply; the object as it is afterwards.

        :param force: take over fields that another manager set.
        :param dry_run: let the server go through everything but store nothing.
        :raises ApiError: with status 409 when another manager set a field otherwise and ``force`` is False.
        """
        return self.apply_anew(resource, obj, force=force, dry_run=dry_run)[1]

    def apply_anew(
        self, resource: Resource, obj: Object, *, force: bool = False, dry_run: bool = False
    ) -> tuple[bool, Object]:
        """Server-side apply; whether it made the object, and the object as it is afterwards.

        :param force: take over fields that another manager set.
        :param dry_run: let the server go through everything but store nothing.
        :raises ApiError: with status 409 when another manager set a field otherwise and ``force`` is False.
        """
        metadata = obj["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        if force:
            query["force"] = "true"
        if dry_run:
            query["dryRun"] = "All"
        status, applied = self.ask(
            "PATCH",
            resource.path(metadata.get("namespace", ""), metadata["name"]),
            query,
            obj,
            content_type="application/apply-patch+yaml",
            what=f"apply {describe(obj)}",
        )
        return status == 201, applied

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        propagation: str = "Background",
        dry_run: bool = False,
        grace: int | None = None,
    ) -> bool:
        """Ask for the deletion of one object; False when it is not there.

        :param grace: seconds that a pod has to end, whatever it asks for itself.
        """
        query = {"propagationPolicy": propagation}
        if dry_run:
            query["dryRun"] = "All"
        if grace is not None:
            query["gracePeriodSeconds"] = str(grace)
        try:
            self.call(
                "DELETE", resource.path(namespace, name), query, what=f"delete {resource.kind} {namespace}/{name}"
            )
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def watch(
        self, resource: Resource, namespace: str, version: str, seconds: float, *, labels: str = "", fields: str = ""
    ) -> Iterator[tuple[str, Object]]:
        """Events ``(type, object)`` after ``version`` until the server ends the watch.

        :param seconds: after how long the server shall end it.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, int(seconds))),
            "allowWatchBookmarks": "true",
        }
        query.update({key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value})
        path = f"{self._prefix}{resource.path(namespace)}?{urlencode(query)}"
        limit = urllib3.Timeout(connect=CONNECT_SECONDS, read=max(1, int(seconds)) + 15)
        try:
            response = self._pool.request(
                "GET", path, headers=self._headers, timeout=limit, preload_content=False, decode_content=True
            )
        except urllib3.exceptions.HTTPError as error:
            raise KubeError(f"{self.server} does not answer GET {path}: {error}") from error
        with contextlib.closing(response):
            if response.status >= 300:
                raise ApiError(response.status, _status(response.data), f"watch {resource.plural}")
            rest = b""
            try:
                for chunk in response.stream(65536):
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            raise ApiError(
                                int(event["object"].get("code", 500)), event["object"], f"watch {resource.plural}"
                            )
                        yield event["type"], event["object"]
            except urllib3.exceptions.HTTPError as error:
                raise KubeError(f"{self.server} broke off the watch of {resource.plural}: {error}") from error

    def post_to_service(self, namespace: str, service: str, port: int | str, path: str, body: Any) -> tuple[int, bytes]:
        """POST to an HTTPS service through the API server, which connects to one of its ready endpoints."""
        proxied = f"/api/v1/namespaces/{namespace}/services/https:{service}:{port}/proxy/{path.lstrip('/')}"
        return self.raw("POST", proxied, body=json.dumps(body).encode(), seconds=30)


def _status(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError:
        return {"message": data[:500].decode(errors="replace")}
    return document if isinstance(document, dict) else {}


def describe(obj: Mapping[str, Any]) -> str:
    """``Deployment minio/minio``: how an object is named to people."""
    metadata = obj.get("metadata") or {}
    place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{obj.get('kind')} {place}{metadata.get('name')}"


def remaining(deadline: float) -> float:
    """Seconds until ``deadline`` (of :func:`time.monotonic`), never negative."""
    return max(0.0, deadline - time.monotonic())
