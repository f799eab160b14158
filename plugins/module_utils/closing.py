"""Closing tenants that are not declared any more, opening them again, and taking access from people who left.

A tenant's namespace outlives the tenant, because it holds data. What its owner made in it outlives it too, and that
includes bindings that give people access and programs that run. So a namespace that is a tenant's, but of none that is
declared, is closed: nobody is bound in it, nothing runs in it, and nothing can be started.

All of it can be done again and again: a run that was killed is finished by the next one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import namespaces, tenancy, waiting
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, KubeError, Resource
from ansible_collections.infn.kaap.plugins.module_utils.objects import contains
from ansible_collections.infn.kaap.plugins.module_utils.readiness import READY, Verdict

Object = dict[str, Any]

QUOTA = "kaap-closed"
CLOSED_ANNOTATION = "kaap.infn.it/closed"
# A pod may ask for as long a goodbye as it likes; this is what it gets.
GRACE_SECONDS = 30
# How often bindings are looked for again: their owner may make one while another is being deleted.
ROUNDS = 10

NAMESPACE = Resource("", "v1", "Namespace", "namespaces", False)
POD = Resource("", "v1", "Pod", "pods", True)
RESOURCE_QUOTA = Resource("", "v1", "ResourceQuota", "resourcequotas", True)
NETWORK_POLICY = Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", True)
ROLE_BINDING = Resource(tenancy.RBAC, "v1", "RoleBinding", "rolebindings", True)


class ClosingError(KubeError):
    """A tenant could not be closed; the text says which, and what to do."""


# What follows from what is there


def tenants(found: Iterable[Mapping[str, Any]]) -> dict[str, Object]:
    """The namespaces of tenants by name, those that are on their way out left away."""
    return {
        str(each["metadata"]["name"]): dict(each)
        for each in found
        if (each["metadata"].get("labels") or {}).get(tenancy.TENANT_LABEL) == each["metadata"]["name"]
        and not each["metadata"].get("deletionTimestamp")
    }


def locks(name: str) -> list[Object]:
    """What closes a namespace: a quota of no pods, and the policy that nothing goes in or out."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": QUOTA, "namespace": name},
        "spec": {"hard": {"pods": "0"}},
    }
    deny = namespaces.policies(name, namespaces.Rules(), namespaces.Networks(), workloads=True)[0]
    return [quota, tenancy.kept(deny)]


def is_enforced(quota: Mapping[str, Any] | None) -> Verdict:
    """Does the API server refuse pods by this quota? It does once it has counted."""
    status = (quota or {}).get("status") or {}
    if (status.get("hard") or {}).get("pods") == "0" and "pods" in (status.get("used") or {}):
        return READY
    return Verdict(False, "the pods of its namespace are not counted yet")


def runs(pod: Mapping[str, Any]) -> bool:
    """Can a container of this pod be running, or start?"""
    return (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}


def is_over(pod: Mapping[str, Any] | None) -> Verdict:
    """Does nothing of this pod run any more?"""
    if pod is None or not runs(pod):
        return READY
    return Verdict(False, "it still runs")


def holds_quota(workload: Mapping[str, Any]) -> bool:
    """May Kueue hold back resources of other tenants' for this workload?"""
    finished = any(
        condition.get("type") == "Finished" and condition.get("status") == "True"
        for condition in (workload.get("status") or {}).get("conditions") or []
    )
    return not finished and (workload.get("spec") or {}).get("active", True)


def was_stopped(workload: Mapping[str, Any]) -> bool:
    """Did the closing of its tenant stop this workload?"""
    return CLOSED_ANNOTATION in (workload["metadata"].get("annotations") or {})


def listed(namespace: Mapping[str, Any], annotation: str) -> list[str]:
    """The list that an annotation of a namespace holds; empty where there is none, or something else."""
    try:
        value = json.loads((namespace["metadata"].get("annotations") or {}).get(annotation, "[]"))
    except ValueError:
        return []
    return [str(each) for each in value] if isinstance(value, list) else []


def gone_people(namespace: Mapping[str, Any], tenant: tenancy.Tenant) -> set[tuple[str, str]]:
    """Kind and name of the subjects that the tenant had when it was last declared, and has no more."""
    return set(map(tenancy.as_subject, listed(namespace, tenancy.PEOPLE_ANNOTATION))) - set(tenant.subjects)


def without(binding: Mapping[str, Any], gone: Collection[tuple[str, str]]) -> list[Object]:
    """The subjects of a binding that stay; all of them when it is about nobody who is gone."""
    return [
        dict(each)
        for each in binding.get("subjects") or []
        if (str(each.get("kind")), str(each.get("name"))) not in gone
    ]


def lets_in(policy: Mapping[str, Any], people: Collection[str]) -> bool:
    """Does an AuthorizationPolicy let one of these people through?"""
    annotated = (policy["metadata"].get("annotations") or {}).get("user")
    named = {
        str(value)
        for rule in (policy.get("spec") or {}).get("rules") or []
        for condition in rule.get("when") or []
        for value in condition.get("values") or []
    }
    return bool(({annotated} | named) & set(people))


def buckets_of(closed: Iterable[Mapping[str, Any]], used: Collection[str]) -> list[str]:
    """Buckets of closed tenants that nobody else has by now.

    :param closed: their namespaces
    :param used: all buckets that are declared
    """
    found = {bucket for each in closed for bucket in listed(each, tenancy.BUCKETS_ANNOTATION)}
    return sorted(found - set(used))


# Doing it


class Closing:
    """The tenants of one cluster."""

    def __init__(
        self,
        client: KubeClient,
        *,
        check: bool = False,
        timeout: float = 600.0,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Touch nothing yet.

        :param client: it has discovered the served kinds
        :param check: only say what would be done
        :param timeout: seconds that the programs of a tenant may take to end, or its namespace to go
        """
        self.client = client
        self.check = check
        self.timeout = timeout
        self.say = say
        self.done: list[str] = []

    def there(self) -> dict[str, Object]:
        """The namespaces of tenants, by name."""
        return tenants(self.client.list(NAMESPACE, labels=tenancy.TENANT_LABEL)[0])

    def settle(self, declared: Sequence[tenancy.Tenant]) -> None:
        """Close whom nobody declares, open whom somebody declares again, and let those go who left.

        :raises KubeError: when the cluster does not do it
        """
        known = {tenant.name: tenant for tenant in declared}
        for name, namespace in self.there().items():
            if name in known:
                self._let_go(namespace, known[name])
                self._open(name)
            else:
                self._close(name)

    def delete(self, declared: Collection[str]) -> None:
        """Delete the namespaces of closed tenants, with everything in them.

        :raises KubeError: when one does not go
        """
        names = [name for name in self.there() if name not in declared]
        for name in names:
            self._delete(NAMESPACE, "", name)
        if not self.check:
            self._wait([waiting.Target(NAMESPACE, "", name, waiting.judge_gone) for name in names])

    def _close(self, name: str) -> None:
        # A Profile first: its controller would make the owner's access anew.
        profile = self._kind("kubeflow.org", "Profile")
        if profile and self.client.get(profile, "", name):
            self._delete(profile, "", name)
            if not self.check:
                self._wait([waiting.Target(profile, "", name, waiting.judge_gone)])
        self._unbind(name)
        for lock, resource in zip(locks(name), (RESOURCE_QUOTA, NETWORK_POLICY), strict=True):
            live = self.client.get(resource, name, lock["metadata"]["name"])
            if not contains(live, lock):
                self._note(f"apply {lock['kind']} {name}/{lock['metadata']['name']}")
                if not self.check:
                    self.client.apply(resource, lock, force=True)
        if not self.check:
            self._wait([waiting.Target(RESOURCE_QUOTA, name, QUOTA, is_enforced)])
        self._stop(name)
        self._unbind(name)

    def _unbind(self, name: str) -> None:
        """Delete what gives people access, until a look finds nothing."""
        policies = self._kind("security.istio.io", "AuthorizationPolicy")
        for _ in range(ROUNDS):
            found = [
                (resource, each["metadata"]["name"])
                for resource in (ROLE_BINDING, policies)
                if resource
                for each in self.client.list(resource, name)[0]
            ]
            for resource, each in found:
                self._delete(resource, name, each)
            if not found or self.check:
                return
        raise ClosingError(
            f"tenant {name}: somebody makes bindings as fast as they are deleted; see who in the API server's audit "
            f"log, or by `kubectl -n {name} get rolebindings -w`, and deploy again"
        )

    def _stop(self, name: str) -> None:
        """End what runs. Kueue is told first, so that it gives to others what it holds for it."""
        workloads = self._kind("kueue.x-k8s.io", "Workload")
        for each in self.client.list(workloads, name)[0] if workloads else []:
            if workloads and holds_quota(each):
                self._switch(workloads, each, active=False)
        pods = [each["metadata"]["name"] for each in self.client.list(POD, name)[0] if runs(each)]
        for pod in pods:
            self._delete(POD, name, pod, grace=GRACE_SECONDS)
        if not self.check:
            self._wait([waiting.Target(POD, name, pod, is_over) for pod in pods])

    def _open(self, name: str) -> None:
        if not self.client.get(RESOURCE_QUOTA, name, QUOTA):
            return
        workloads = self._kind("kueue.x-k8s.io", "Workload")
        for each in self.client.list(workloads, name)[0] if workloads else []:
            if workloads and was_stopped(each):
                self._switch(workloads, each, active=True)
        # Last: a run that is killed before comes here again.
        self._delete(RESOURCE_QUOTA, name, QUOTA)

    def _let_go(self, namespace: Object, tenant: tenancy.Tenant) -> None:
        """Take access from those who left, also what somebody else than the inventory gave them."""
        gone, name = gone_people(namespace, tenant), tenant.name
        if not gone:
            return
        for binding in self.client.list(ROLE_BINDING, name)[0]:
            stay = without(binding, gone)
            if len(stay) == len(binding.get("subjects") or []):
                continue
            if not stay:
                self._delete(ROLE_BINDING, name, binding["metadata"]["name"])
                continue
            self._patch(ROLE_BINDING, binding, {"subjects": stay}, "take people who left out of")
        policies = self._kind("security.istio.io", "AuthorizationPolicy")
        people = {each for _, each in gone}
        for policy in self.client.list(policies, name)[0] if policies else []:
            if policies and lets_in(policy, people):
                self._delete(policies, name, policy["metadata"]["name"])

    def _switch(self, resource: Resource, workload: Object, *, active: bool) -> None:
        mark = None if active else "true"
        change = {"metadata": {"annotations": {CLOSED_ANNOTATION: mark}}, "spec": {"active": active}}
        self._patch(resource, workload, change, "resume" if active else "stop")

    def _patch(self, resource: Resource, obj: Object, change: Object, verb: str) -> None:
        place, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        self._note(f"{verb} {resource.kind} {place}/{name}")
        if not self.check:
            kind = "application/merge-patch+json"
            self.client.call("PATCH", resource.path(place, name), body=change, content_type=kind)

    def _delete(self, resource: Resource, namespace: str, name: str, grace: int | None = None) -> None:
        self._note(f"delete {resource.kind} {namespace}/{name}" if namespace else f"delete {resource.kind} {name}")
        if not self.check:
            self.client.delete(resource, namespace, name, grace=grace)

    def _kind(self, group: str, kind: str) -> Resource | None:
        return self.client.catalogue.of_group(group, kind)

    def _note(self, line: str) -> None:
        self.done.append(line)
        self.say(line)

    def _wait(self, targets: Sequence[waiting.Target]) -> None:
        waiting.wait(self.client, targets, time.monotonic() + self.timeout, self.say)
