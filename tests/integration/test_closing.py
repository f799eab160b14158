"""Closing a tenant and opening it again, on a real API server."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import closing, tenancy
from ansible_collections.infn.kaap.plugins.module_utils.kube import ApiError, KubeClient, Resource

from tests.integration.manifests import definition

Object = dict[str, Any]

OWNER, MEMBER, STRANGER = (f"{name}@example.org" for name in ("owner", "member", "stranger"))
CRD = Resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False)
CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps", True)
SECONDS = 30


def bound(namespace: str, name: str, *people: str) -> Object:
    """A RoleBinding as somebody makes it by hand."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": tenancy.RBAC, "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": tenancy.RBAC, "kind": "User", "name": person} for person in people],
    }


def let_in(namespace: str, name: str, person: str) -> Object:
    """An AuthorizationPolicy as somebody makes it by hand."""
    rule = {"when": [{"key": "request.headers[kubeflow-userid]", "values": [person]}]}
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"rules": [rule]},
    }


def pod(namespace: str, name: str) -> Object:
    """A pod that would take an hour to say goodbye."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "terminationGracePeriodSeconds": 3600,
            "containers": [{"name": "main", "image": "example.org/none:1"}],
        },
    }


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class House:
    """A cluster with the kinds that closing knows, and a tenant in it."""

    def __init__(self, client: KubeClient) -> None:
        self.client = client
        self.name = f"tenant-{uuid.uuid4().hex[:6]}"
        self.declared: Object = {"name": self.name, "owner": OWNER, "members": [MEMBER], "buckets": ["sky"]}

    def tenant(self, **changes: Any) -> tenancy.Tenant:
        return tenancy.settle([{**self.declared, **changes}])[0]

    def apply(self, *objects: Object) -> None:
        for obj in objects:
            self.client.apply(self.client.catalogue.need(obj["apiVersion"], obj["kind"]), obj, force=True)

    def make(self, **changes: Any) -> None:
        """What the component makes for the tenant, as far as it matters here."""
        self.apply(*tenancy.tenancy_objects([{**self.declared, **changes}]))

    def settle(self, *tenants: tenancy.Tenant, check: bool = False) -> list[str]:
        """What it did to this tenant; others may be here of other tests."""
        work = closing.Closing(self.client, check=check, timeout=SECONDS)
        work.there = lambda: closing.tenants(self._own())  # type: ignore[method-assign]
        work.settle(tenants)
        return work.done

    def _own(self) -> list[Object]:
        live = self.client.get(closing.NAMESPACE, "", self.name)
        return [live] if live else []

    def can(self, person: str, verb: str = "list", resource: str = "pods") -> bool:
        attributes = {"namespace": self.name, "verb": verb, "resource": resource}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
                  "spec": {"user": person, "resourceAttributes": attributes}}  # fmt: skip
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return bool(self.client.call("POST", path, body=review)["status"]["allowed"])

    def names(self, api: str, kind: str) -> list[str]:
        return [
            obj["metadata"]["name"] for obj in self.client.list(self.client.catalogue.need(api, kind), self.name)[0]
        ]

    def start(self, name: str) -> None:
        """Start a pod, once the namespace has the service account that each pod gets."""

        def started() -> bool:
            try:
                self.apply(pod(self.name, name))
            except ApiError as error:
                if "serviceaccount" in error.message:
                    return False
                raise
            return True

        until(started, "no pod can be made")


@pytest.fixture
def house(client: KubeClient) -> House:
    kinds = [
        ("security.istio.io", "authorizationpolicies", "AuthorizationPolicy", "Namespaced"),
        ("kueue.x-k8s.io", "workloads", "Workload", "Namespaced"),
        ("kubeflow.org", "profiles", "Profile", "Cluster"),
    ]
    for group, plural, kind, scope in kinds:
        if not client.catalogue.find(f"{group}/v1", kind):
            client.apply(CRD, definition(group, plural, kind, scope))
            found = Resource(group, "v1", kind, plural, scope == "Namespaced")
            until(lambda found=found: client.raw("GET", found.path())[0] == 200, f"{kind} is not served")  # type: ignore[misc]
    client.discover()
    house = House(client)
    house.make()
    until(lambda: house.can(OWNER) and house.can(MEMBER), "the tenant's own people have no access")
    return house


def everything(house: House) -> None:
    """What people made themselves."""
    workload = {
        "apiVersion": "kueue.x-k8s.io/v1",
        "kind": "Workload",
        "metadata": {"name": "job", "namespace": house.name},
        "spec": {"queueName": "kaap"},
    }
    profile = {"apiVersion": "kubeflow.org/v1", "kind": "Profile", "metadata": {"name": house.name}, "spec": {}}
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "data", "namespace": house.name}}
    policy = {**let_in(house.name, "by-hand", STRANGER), "apiVersion": "security.istio.io/v1"}
    house.apply(bound(house.name, "by-hand", STRANGER), policy, workload, profile, data)
    house.start("notebook")
    until(lambda: house.can(STRANGER), "a binding by hand gives no access")


def test_closing_takes_everybodys_access_and_ends_what_runs(house: House) -> None:
    everything(house)
    done = house.settle()
    assert f"delete RoleBinding {house.name}/by-hand" in done
    until(
        lambda: not any(house.can(person) for person in (OWNER, MEMBER, STRANGER)),
        "somebody has access to a closed tenant",
    )
    assert house.names("rbac.authorization.k8s.io/v1", "RoleBinding") == []
    assert house.names("security.istio.io/v1", "AuthorizationPolicy") == []
    assert house.names("v1", "Pod") == []
    assert house.client.get(house.client.catalogue.need("kubeflow.org/v1", "Profile"), "", house.name) is None


def test_what_people_keep_stays_and_so_does_the_policy_that_closes(house: House) -> None:
    everything(house)
    house.settle()
    assert "data" in house.names("v1", "ConfigMap")
    assert "default-deny" in house.names("networking.k8s.io/v1", "NetworkPolicy")


def test_nothing_can_be_started_in_a_closed_tenant(house: House) -> None:
    house.settle()
    with pytest.raises(ApiError, match="exceeded quota: kaap-closed"):
        house.start("late")


def test_a_job_gives_back_what_it_holds_and_resumes(house: House) -> None:
    everything(house)
    resource = house.client.catalogue.need("kueue.x-k8s.io/v1", "Workload")
    house.settle()
    assert (house.client.get(resource, house.name, "job") or {})["spec"]["active"] is False
    house.settle(house.tenant())
    live = house.client.get(resource, house.name, "job") or {}
    assert live["spec"]["active"] is True
    assert not closing.was_stopped(live)


def test_a_second_run_changes_nothing(house: House) -> None:
    everything(house)
    assert house.settle()
    assert house.settle() == []
    assert house.settle(house.tenant())
    assert house.settle(house.tenant()) == []


def test_check_mode_says_the_same_and_does_nothing(house: House) -> None:
    everything(house)
    said = house.settle(check=True)
    assert house.can(STRANGER) and "notebook" in house.names("v1", "Pod")
    # In check mode the last look finds what the first would have deleted.
    assert set(said) == set(house.settle())


def test_a_tenant_that_comes_back_has_its_people_and_nobody_else(house: House) -> None:
    everything(house)
    house.settle()
    house.settle(house.tenant())
    house.make()
    until(lambda: house.can(OWNER) and house.can(MEMBER), "the tenant did not come back")
    assert not house.can(STRANGER)
    house.start("again")


def test_who_leaves_loses_what_the_owner_gave(house: House) -> None:
    """And only they: others of the same binding keep it."""
    house.apply(
        bound(house.name, "alone", MEMBER), bound(house.name, "both", MEMBER, STRANGER),
        let_in(house.name, "member", MEMBER), let_in(house.name, "stranger", STRANGER),
    )  # fmt: skip
    stays = house.tenant(members=[])
    house.settle(stays)
    until(lambda: not house.can(MEMBER), "who left has access")
    assert house.can(STRANGER) and house.can(OWNER)
    assert "alone" not in house.names("rbac.authorization.k8s.io/v1", "RoleBinding")
    assert house.names("security.istio.io/v1", "AuthorizationPolicy") == ["stranger"]
    house.make(members=[])
    assert house.settle(stays) == []


def test_deleting_takes_the_namespace(house: House) -> None:
    house.settle()
    work = closing.Closing(house.client, timeout=SECONDS)
    work.there = lambda: closing.tenants(house._own())  # type: ignore[method-assign]
    work.delete([])
    assert work.done == [f"delete Namespace {house.name}"]
    assert house._own() == []
