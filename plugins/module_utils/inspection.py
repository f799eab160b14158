"""The live side of the verify phase: which checks a deployment has, and how each is asked.

Every check stands alone: with the API server or the object store gone, those that need it fail and say so.
"""

from __future__ import annotations

import base64
import functools
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import (
    checks,
    flow_check,
    object_store,
    readiness,
    survey,
    way_in,
)
from ansible_collections.infn.kaap.plugins.module_utils.checks import Check, CheckError, NotRun, demand, demand_all
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, KubeError, Resource

EXPECTED = (KubeError, object_store.StoreError, way_in.WayError, urllib3.exceptions.HTTPError)
REQUEST_SECONDS = 60.0
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")
NODE = Resource("", "v1", "Node", "nodes", False)
POD = Resource("", "v1", "Pod", "pods", True)
SECRET = Resource("", "v1", "Secret", "secrets", True)
SERVICE = Resource("", "v1", "Service", "services", True)
LEASE = Resource("coordination.k8s.io", "v1", "Lease", "leases", True)
METRICS = Resource("metrics.k8s.io", "v1beta1", "NodeMetrics", "nodes", False)
STORAGE_CLASS = Resource("storage.k8s.io", "v1", "StorageClass", "storageclasses", False)
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
FLOW_PODS = f"{flow_check.LABEL}=true"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


# Asks a service: method, path and perhaps a body give status, headers and content.
Send = Callable[..., tuple[int, Mapping[str, str], bytes]]


@dataclass(frozen=True)
class Site:
    """What is wanted and where it is.

    :ivar records: wanted components by name
    :ivar nodes: names of the nodes
    :ivar kubernetes: version of the nodes and the API server, such as v1.36.3
    :ivar address: where the endpoints are published
    :ivar ports: port of each listener there
    :ivar domain: DNS name of the platform, in profile full
    :ivar issuer: who lets people log in there, an address
    :ivar client: name of the platform at the issuer
    :ivar secrets: generated secrets by name
    :ivar store: what the object store must hold
    :ivar cases: acceptance descriptions of the use cases, by name
    :ivar tenants: names of the tenants, which are those of their namespaces
    :ivar policies_enforced: whether the pod network enforces NetworkPolicies
    """

    records: Mapping[str, Mapping[str, Any]]
    nodes: Sequence[str]
    kubernetes: str
    kubeconfig: Path
    address: str
    ports: Mapping[str, int]
    secrets: Mapping[str, Mapping[str, str]]
    store: object_store.Contents = field(default_factory=object_store.Contents)
    queues: Mapping[str, Any] = field(default_factory=dict)
    cases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    domain: str = ""
    issuer: str = ""
    client: str = ""
    tenants: Sequence[str] = ()
    policies_enforced: bool = False

    @property
    def workloads(self) -> list[str]:
        """Namespaces in which people's programs run."""
        return flow_check.workloads(self.tenants, self.queues, self.records)


def load_cases(root: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the acceptance description of each use case.

    :raises OSError: when one has none
    """
    return {name: yaml.safe_load((root / "use_cases" / name / "acceptance.yml").read_text("utf-8")) for name in names}


class Inspector:
    """Makes the checks of a site."""

    def __init__(self, site: Site) -> None:
        """Connect to nothing yet, except for what the kubeconfig says."""
        self.site = site
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=REQUEST_SECONDS), retries=False)
        self._client: KubeClient | None = None
        self._fault = ""
        try:
            self._client = KubeClient.from_kubeconfig(site.kubeconfig)
            self._client.discover()
        except (KubeError, OSError) as problem:
            self._fault = str(problem)

    @property
    def client(self) -> KubeClient:
        """The client of the API server.

        :raises CheckError: when there was no way to reach it
        """
        if self._client is None:
            raise CheckError(self._fault)
        return self._client

    @property
    def guarded(self) -> bool:
        """Whether the gateway speaks HTTPS, and asks programs for a token."""
        return way_in.PROGRAMS in self.site.records

    def url(self, listener: str, path: str = "/") -> str:
        """Return an address as people write it."""
        if listener == "https":
            return f"https://{self.site.domain}{path}"
        if self.guarded:
            # Its certificate is for this name.
            return f"https://{self.site.domain}:{self.site.ports[listener]}{path}"
        return f"http://{self.site.address}:{self.site.ports[listener]}{path}"

    @functools.cached_property
    def trust(self) -> way_in.Trust | None:
        """Whom to believe at the gateways; None where they speak plain HTTP.

        :raises WayError: when there is no certificate
        """
        if not self.guarded:
            return None
        return way_in.trust(self.client.get(SECRET, *way_in.CERTIFICATE), self.site.domain)

    def _pool(self) -> urllib3.PoolManager:
        if not self.trust:
            return self._http
        timeout = urllib3.Timeout(connect=5, read=REQUEST_SECONDS)
        return urllib3.PoolManager(timeout=timeout, retries=False, **self.trust.options())

    def _reach(self, port: int) -> str:
        """Return host and port at which the gateway of people answers, whatever its name leads to here."""
        service = self.client.get(SERVICE, *way_in.SERVICE)
        host, number = way_in.reach(service, self.client.list(NODE)[0], port)
        return f"{host}:{number}"

    def request(
        self, method: str, listener: str, path: str, body: bytes | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Ask a listener, without a login and without going where an answer leads."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if listener == "https":
            base, headers["Host"] = f"https://{self._reach(443)}", self.site.domain
        else:
            base = f"{'https' if self.guarded else 'http'}://{self.site.address}:{self.site.ports[listener]}"
        response = self._pool().request(method, base + path, body=body, headers=headers, redirect=False)
        return response.status, response.headers, response.data

    def server_version(self) -> str:
        """Return the API server's version; empty when it does not answer."""
        try:
            return self.client.version()
        except (CheckError, KubeError):
            return ""

    def checks(self) -> list[Check]:
        """Return every check, in the order of the report."""
        found = self.cluster()
        for name, record in self.site.records.items():
            found += self.component(name, record)
        extra: dict[str, Callable[[], list[Check]]] = {
            "metrics-server": self.metrics,
            "local-path": partial(self.storage, "local-path"),
            "longhorn": partial(self.storage, "longhorn"),
            "gateway": self.gateway,
            way_in.PROGRAMS: self.programs,
            way_in.PEOPLE: self.people,
            "minio": self.minio,
            "kueue": self.queues,
            flow_check.COMPONENT: self.flows,
        }
        for name, more in extra.items():
            if name in self.site.records:
                found += more()
        for name, case in self.site.cases.items():
            found += self.use_case(name, case)
        return found

    def not_run(self) -> list[NotRun]:
        """Return what cannot be asked here, with the reason."""
        if flow_check.COMPONENT not in self.site.records:
            return []
        reason = self._flows_obstacle()
        return [NotRun(flow_check.COMPONENT, flow_check.WHAT, reason)] if reason else []

    # The cluster

    def cluster(self) -> list[Check]:
        """Checks of nodes and control plane."""
        found = [
            Check("kubernetes", "API server is ready", "GET /readyz and /version", self._api_server),
            Check("kubernetes", "pods of kube-system are ready", "every pod in kube-system", self._system_pods),
        ]
        for name in self.site.nodes:
            found.append(
                Check(
                    "kubernetes",
                    f"node {name} is Ready",
                    f"condition, version and lease of node {name}",
                    partial(self._node, name),
                )
            )
            found.append(
                Check(
                    "kubernetes",
                    f"kubelet of {name} answers",
                    f"GET /healthz of the kubelet of {name}, through the API server",
                    partial(self._kubelet, name),
                )
            )
        return found

    def _api_server(self) -> str:
        status, body = self.client.raw("GET", "/readyz", accept="*/*")
        if status != 200:
            raise CheckError(f"/readyz answered {status}: {body.decode(errors='replace')}")
        version = self.client.version()
        if version != self.site.kubernetes:
            raise CheckError(f"it is {version}, wanted {self.site.kubernetes}")
        return f"ok, {version}"

    def _node(self, name: str) -> str:
        node = self.client.get(NODE, "", name)
        lease = self.client.get(LEASE, "kube-node-lease", name)
        version = self.site.kubernetes
        return demand(checks.node(node, lease, version, time.time()), f"Ready, {version}, its lease is fresh")

    def _kubelet(self, name: str) -> str:
        status, body = self.client.raw("GET", f"/api/v1/nodes/{name}/proxy/healthz", accept="*/*")
        text = body.decode(errors="replace").strip()
        if status != 200:
            raise CheckError(f"it answered {status}: {text}")
        return text

    def _system_pods(self) -> str:
        pods, _ = self.client.list(POD, "kube-system")
        if not pods:
            raise CheckError("there are none")
        return demand_all(
            ((pod["metadata"]["name"], readiness.pod(pod)) for pod in pods), f"{len(pods)} pods are ready"
        )

    def metrics(self) -> list[Check]:
        """Checks of the metrics API."""
        return [
            Check("metrics-server", "figures of every node are fresh", "the metrics API, as kubectl top", self._top)
        ]

    def _top(self) -> str:
        items, _ = self.client.list(METRICS)
        verdict = checks.metrics(self.site.nodes, items, time.time())
        figures = ", ".join(f"{item['metadata']['name']} {item['usage']['cpu']}" for item in items if item.get("usage"))
        return demand(verdict, f"CPU in use: {figures}")

    def storage(self, component: str) -> list[Check]:
        """Checks of storage, in the name of the component that gives it."""
        return [Check(component, "there is one default storage class", "the storage classes", self._classes)]

    def _classes(self) -> str:
        classes, _ = self.client.list(STORAGE_CLASS)
        default = [
            str(each["metadata"]["name"])
            for each in classes
            if (each["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"
        ]
        if len(default) != 1:
            raise CheckError(f"default classes are: {', '.join(default) or 'none'}")
        return default[0]

    # Components

    def component(self, name: str, record: Mapping[str, Any]) -> list[Check]:
        """The check that follows from what the component consists of, and from its record."""
        asked = "each of its objects, its webhooks, and the conditions of its record"
        return [Check(name, "all it consists of is ready", asked, partial(self._survey, record))]

    def _survey(self, record: Mapping[str, Any]) -> str:
        findings = survey.check_component(self.client, record)
        # A workload that does not run explains the rest: webhooks and API services behind it.
        findings.sort(key=lambda finding: not finding[0].startswith(WORKLOADS))
        return demand_all(findings, f"version {record['version']}, {len(findings)} answers are good")

    def _rule(self, component: str, namespace: str, rule: Mapping[str, Any]) -> Check:
        what = f"is {rule['condition']}" if rule.get("condition") else "is ready"
        if rule.get("field"):
            what = f"has {rule['field']['path']} {rule['field']['value']}"
        what = f"{rule['kind']} {rule['name']} {what}"
        return Check(component, what, f"{rule['api']} {rule['kind']}", lambda: self._judge(rule, namespace))

    def _judge(self, rule: Mapping[str, Any], namespace: str) -> str:
        resource = self.client.catalogue.need(str(rule["api"]), str(rule["kind"]))
        place = str(rule.get("namespace") or namespace) if resource.namespaced else ""
        verdict = readiness.judge_rule(rule, self.client.get(resource, place, str(rule["name"])))
        return demand(verdict, "it is")

    def gateway(self) -> list[Check]:
        """Checks of the way in."""
        return [
            Check("gateway", "answers for paths it does not know", f"GET {self.url('http', '/nowhere')}", self._nowhere)
        ]

    def _nowhere(self) -> str:
        status, _, _ = self.request("GET", "http", "/nowhere")
        if status != 404:
            raise CheckError(f"it answered {status}, wanted 404")
        return "404"

    def programs(self) -> list[Check]:
        """Checks of the way in of programs, which show a token."""
        asked = f"GET {self.url('http', '/nowhere')} without one"
        return [Check(way_in.PROGRAMS, "asks for a token", asked, partial(self._closed, "http", "/nowhere"))]

    def people(self) -> list[Check]:
        """Checks of the way in of people, who log in."""
        start = "/oauth2/start?rd=%2F"
        found = [
            Check(way_in.PEOPLE, "HTTP redirects to HTTPS", f"GET http://{self.site.domain}/", self._redirects),
            Check(
                way_in.PEOPLE,
                "a login leads to the issuer",
                f"GET {self.url('https', start)}",
                lambda: self._login(start),
            ),
        ]
        for name, endpoint in endpoints(self.site.records):
            if endpoint["listener"] == "https":
                path = str(endpoint.get("path") or "/")
                asked = f"GET {self.url('https', path)} without a login"
                found.append(Check(way_in.PEOPLE, f"{name} is closed", asked, partial(self._closed, "https", path)))
        return found

    def _redirects(self) -> str:
        response = self._http.request(
            "GET", f"http://{self._reach(80)}/", headers={"Host": self.site.domain}, redirect=False
        )
        location = str(response.headers.get("Location") or "")
        return demand(way_in.redirected(response.status, location, self.site.domain), f"{response.status}, {location}")

    def _login(self, path: str) -> str:
        status, headers, _ = self.request("GET", "https", path)
        location = str(headers.get("Location") or "")
        verdict = way_in.to_login(status, location, self.site.domain, self.site.issuer, self.site.client)
        return demand(verdict, f"{status}, to {location.partition('?')[0]}")

    def _closed(self, listener: str, path: str) -> str:
        status, _, _ = self.request("GET", listener, path)
        return demand(way_in.closed(status), str(status))

    # NetworkPolicies

    def flows(self) -> list[Check]:
        """The check that NetworkPolicies are enforced; none where it cannot be made."""
        if self._flows_obstacle():
            return []
        namespace = self.site.workloads[0]
        asked = f"a pod in {namespace} connects to two ports of {flow_check.STORE}"
        return [Check(flow_check.COMPONENT, flow_check.WHAT, asked, partial(self._flows, namespace))]

    def _flows_obstacle(self) -> str:
        return flow_check.obstacle(self.site.policies_enforced, self.site.records, self.site.workloads)

    def _flows(self, namespace: str) -> str:
        # Of a run that was killed.
        for left in self.client.list(POD, namespace, FLOW_PODS)[0]:
            self.client.delete(POD, namespace, str(left["metadata"]["name"]))
        name = f"flow-check-{uuid.uuid4().hex[:8]}"
        made = self.client.apply(POD, flow_check.pod(namespace, name, flow_check.image(self.site.records)))
        try:
            said = self._flow_answers(namespace, name, str(made["metadata"]["resourceVersion"]))
        finally:
            self.client.delete(POD, namespace, name)
        return demand(flow_check.judge(said, namespace), f"{said['allowed']}; the denied one: {said['denied']}")

    def _flow_answers(self, namespace: str, name: str, version: str) -> dict[str, str]:
        waits: list[str] = []
        fields = f"metadata.name={name}"
        for _, pod in self.client.watch(POD, namespace, version, flow_check.POD_SECONDS, fields=fields):
            if (pod.get("metadata") or {}).get("name") != name:
                continue
            said = flow_check.answers(pod)
            if said is not None:
                return said
            waits = readiness.pod_waits(pod)
        raise CheckError(f"pod {name} did not end within {flow_check.POD_SECONDS} s: {'; '.join(waits) or 'no word'}")

    # The queues

    def queues(self) -> list[Check]:
        """Checks of the declared queues."""
        found = []
        for kind, key in (("ClusterQueue", "cluster_queues"), ("LocalQueue", "local_queues")):
            for entry in self.site.queues.get(key) or []:
                rule = {"kind": kind, "name": entry["name"], "condition": "Active"}
                label = f"{entry['namespace']}/{entry['name']}" if kind == "LocalQueue" else entry["name"]
                found.append(
                    Check(
                        "kueue",
                        f"{kind} {label} is Active",
                        f"condition Active of {kind} {label}",
                        partial(self._queue, rule, str(entry.get("namespace") or "")),
                    )
                )
        return found

    def _queue(self, rule: Mapping[str, Any], namespace: str) -> str:
        resource = self.client.catalogue.of_group("kueue.x-k8s.io", str(rule["kind"]))
        if resource is None:
            raise CheckError(f"the cluster serves no {rule['kind']}")
        obj = self.client.get(resource, namespace, str(rule["name"]))
        return demand(readiness.judge_rule(rule, obj), "it is")

    # The object store

    def minio(self) -> list[Check]:
        """Checks of the object store."""
        s3 = f"{self.site.address}:{self.site.ports['s3']}"
        found = [
            Check("minio", "root logs in with its password", f"list the buckets at {s3}", self._root),
            Check("minio", "a wrong password is refused", f"list the buckets at {s3} with it", self._wrong_password),
            Check("minio", "policies and users are as declared", f"admin API at {s3}", self._declared),
            Check("minio", "console opens in a browser", f"GET {self.url('console')}", self._console),
        ]
        for name in self.site.store.buckets:
            asked = f"put, get and delete an object in {name}"
            found.append(Check("minio", f"bucket {name} keeps objects", asked, partial(self._bucket, name)))
        for name in self.site.store.users:
            asked = f"list buckets as {name}"
            found.append(Check("minio", f"user {name} logs in", asked, partial(self._user, name)))
        return found

    def _root_login(self) -> tuple[str, str]:
        if "minio-root" not in self.site.secrets:
            raise CheckError("its root password is not among the stored secrets")
        secret = self.site.secrets["minio-root"]
        return secret["rootUser"], secret["rootPassword"]

    def _store(self, access_key: str, secret_key: str) -> object_store.Store:
        endpoint = f"{self.site.address}:{self.site.ports['s3']}"
        return object_store.Store(endpoint, access_key, secret_key, trust=self.trust)

    def _root(self) -> str:
        user, password = self._root_login()
        if not self._store(user, password).login(user, password):
            raise CheckError(f"{user} is refused with the stored password")
        return f"{user} is let in"

    def _wrong_password(self) -> str:
        user, password = self._root_login()
        if self._store(user, password).login(user, password[::-1] + "x"):
            raise CheckError(f"{user} is let in with a wrong password")
        return "it is refused"

    def _declared(self) -> str:
        there = self._store(*self._root_login()).contents()
        everybody = dict.fromkeys(there.users, True)  # whether users can log in is a check of its own
        wanted = object_store.Contents({}, self.site.store.policies, self.site.store.users)
        differences = object_store.changes(wanted, there, everybody, {})
        if differences:
            raise CheckError("; ".join(f"would {change}" for change in differences))
        return f"{len(wanted.policies)} policies and {len(wanted.users)} users are"

    def _bucket(self, name: str) -> str:
        user, password = self._root_login()
        return self._store(user, password).round_trip(name, user, password)

    def _user(self, name: str) -> str:
        secret = self.site.secrets.get(f"minio-user-{name}")
        if not secret:
            raise CheckError("its secret is not among the stored ones")
        if not self._store(*self._root_login()).login(secret["access_key"], secret["secret_key"]):
            raise CheckError("it is refused with the stored secret")
        return "it is let in"

    def _console(self) -> str:
        status, headers, body = self.request("GET", "console", "/")
        kind = str(headers.get("Content-Type", ""))
        return demand(checks.page(status, kind, body.decode(errors="replace")), f"a page of {len(body)} bytes")

    # Use cases

    def use_case(self, name: str, case: Mapping[str, Any]) -> list[Check]:
        """Checks that a use case's acceptance.yml describes."""
        found = [self._rule(name, name, rule) for rule in case.get("ready") or []]
        if case.get("credentials"):
            login = case["credentials"]
            asked = f"S3 with Secret {login['namespace']}/{login['secret']}"
            what = "credentials in the cluster open the object store"
            found.append(Check(name, what, asked, lambda: self._credentials(login)))
        if case.get("trained_by"):
            asked = "the TrainJob that the served model is named after"
            what = "model was trained by a job from the queue"
            found.append(Check(name, what, asked, partial(self._trained, case["store"], case["trained_by"])))
        if case.get("store"):
            store = case["store"]
            asked = f"{store['card']} beside the served model"
            found.append(Check(name, "model card says what the model can do", asked, lambda: self._card(store)))
            for key, path in (store.get("digests") or {}).items():
                what = f"{key.rpartition('/')[2]} in the bucket is the one that was trained"
                asked = f"sha256 of {key} beside the served model"
                found.append(Check(name, what, asked, partial(self._model, store, key, path)))
        endpoint = case.get("endpoint")
        if endpoint:
            listener, base = str(endpoint["listener"]), str(endpoint["path"])
            url = self.url(listener, base)
            if self.guarded:
                # No token is kept for these questions: what the gateway lets in is asked of the service behind it,
                # through the API server, and the gateway itself is asked whether it is closed.
                asked = f"GET {url} without one"
                found.append(Check(name, "address asks for a token", asked, lambda: self._closed(listener, base)))
            send = (
                partial(self._behind, endpoint["service"]) if self.guarded else partial(self.request, listener=listener)
            )
            found.append(Check(name, "address opens in a browser", f"GET {url}", lambda: self._opens(send, base)))
            for kind, judge in (("answers", self._answer), ("refused", self._refused)):
                for entry in case.get(kind) or []:
                    path = str(entry.get("path") or base)
                    found.append(
                        Check(
                            name,
                            str(entry["what"]),
                            f"POST {self.url(listener, path)} {shown_request(entry)}",
                            partial(judge, send, path, entry),
                        )
                    )
        return found

    def _credentials(self, login: Mapping[str, str]) -> str:
        secret = self.client.get(SECRET, login["namespace"], login["secret"])
        if secret is None:
            raise CheckError(f"Secret {login['namespace']}/{login['secret']} does not exist")
        data = secret.get("data") or {}
        user, password = (base64.b64decode(data.get(login[key], "")).decode() for key in ("access_key", "secret_key"))
        if not self._store(*self._root_login()).login(user, password):
            raise CheckError(f"the object store refuses {user or 'the empty user'} with this secret")
        return f"{user} is let in"

    def _place(self, store: Mapping[str, Any]) -> tuple[str, str]:
        """Return bucket and prefix of the model that the InferenceService says it serves."""
        service = store.get("served_by")
        if not service:
            return str(store["bucket"]), ""
        resource = self.client.catalogue.of_group("serving.kserve.io", "InferenceService")
        obj = self.client.get(resource, service["namespace"], service["name"]) if resource else None
        if obj is None:
            raise CheckError(f"InferenceService {service['namespace']}/{service['name']} does not exist")
        uri = urlsplit(str(checks.dig(obj, "spec.predictor.model.storageUri")))
        if uri.scheme != "s3" or uri.netloc != store["bucket"]:
            raise CheckError(f"it serves {uri.geturl()}, which is not in the bucket {store['bucket']}")
        return uri.netloc, uri.path.strip("/") + "/"

    def _read(self, store: Mapping[str, Any], key: str) -> bytes:
        bucket, prefix = self._place(store)
        return self._store(*self._root_login()).read(bucket, prefix + key)

    def _trained(self, store: Mapping[str, Any], job: Mapping[str, Any]) -> str:
        _, prefix = self._place(store)
        name = job["prefix"] + prefix.strip("/").rpartition("/")[2]
        resource = self.client.catalogue.of_group("trainer.kubeflow.org", "TrainJob")
        obj = self.client.get(resource, job["namespace"], name) if resource else None
        if obj is None:
            raise CheckError(f"TrainJob {job['namespace']}/{name} does not exist")
        queue = (obj["metadata"].get("labels") or {}).get(QUEUE_LABEL)
        if queue != job["queue"]:
            raise CheckError(f"TrainJob {name} went through queue {queue or 'none'}, wanted {job['queue']}")
        return demand(readiness.condition(obj, "Complete"), f"TrainJob {name} completed, from queue {queue}")

    def _card(self, store: Mapping[str, Any]) -> str:
        card = self._load_card(store)
        limits = store.get("at_least") or {}
        figures = ", ".join(f"{path} {checks.shown(checks.dig(card, path))}" for path in limits)
        return demand_all(checks.at_least(card, limits), figures or "it is there")

    def _load_card(self, store: Mapping[str, Any]) -> Any:
        try:
            return json.loads(self._read(store, str(store["card"])))
        except ValueError as problem:
            raise CheckError(f"the model card is no JSON: {problem}") from problem

    def _model(self, store: Mapping[str, Any], key: str, path: str | Sequence[str]) -> str:
        wanted = str(checks.dig(self._load_card(store), path))
        content = self._read(store, key)
        return demand(checks.digest(content, wanted), f"{len(content)} bytes with the sha256 of the model card")

    def _behind(
        self, service: Mapping[str, Any], method: str, path: str, body: bytes | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Ask the service behind an address, through the API server; the gateway would take the prefix off."""
        place = f"/api/v1/namespaces/{service['namespace']}/services/http:{service['name']}:{service['port']}/proxy"
        inside = path.removeprefix(str(service["prefix"])) or "/"
        status, data = self.client.raw(method, place + inside, body=body, accept="*/*", seconds=REQUEST_SECONDS)
        return status, {}, data

    def _opens(self, send: Send, path: str) -> str:
        status, headers, body = send(method="GET", path=path)
        if status != 200:
            raise CheckError(f"it answered {status}: {body[:200].decode(errors='replace')}")
        return f"200, {headers.get('Content-Type', '')}: {body[:100].decode(errors='replace')}"

    def _answer(self, send: Send, path: str, entry: Mapping[str, Any]) -> str:
        status, _, body = send(method="POST", path=path, body=request_body(entry))
        return demand(checks.answer(status, body, entry["expect"]), body[:200].decode(errors="replace"))

    def _refused(self, send: Send, path: str, entry: Mapping[str, Any]) -> str:
        status, _, body = send(method="POST", path=path, body=request_body(entry))
        return demand(checks.refused(status, body), f"{status}: {body[:150].decode(errors='replace')}")


def endpoints(records: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Name and description of what the components offer to the outside.

    What people log in to is there only with the gateway of people, and with what else it needs.

    :param records: wanted components by name
    """
    found = []
    for record in records.values():
        for name, endpoint in (record.get("endpoints") or {}).items():
            needs = {*(endpoint.get("needs") or []), *([way_in.PEOPLE] if endpoint["listener"] == "https" else [])}
            if needs <= set(records):
                found.append((str(name), endpoint))
    return found


def request_body(entry: Mapping[str, Any]) -> bytes:
    """Return the body of a request: `body` as JSON, `text` as it is, or `big`, one instance of so many letters."""
    if "text" in entry:
        return str(entry["text"]).encode()
    if "big" in entry:
        return json.dumps({"instances": ["x" * int(entry["big"])]}).encode()
    return json.dumps(entry["body"], ensure_ascii=False).encode()


def shown_request(entry: Mapping[str, Any]) -> str:
    """Return a request in a few characters."""
    if "big" in entry:
        return f"with one instance of {entry['big']} letters"
    return checks.shown(entry.get("text", entry.get("body")))
