"""Closing a tenant: what follows from what is found in its namespace. tests/integration/test_closing.py does it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import closing, tenancy

OWNER, MEMBER, VIEWER = (f"{name}@example.org" for name in ("owner", "member", "viewer"))
TENANT: dict[str, Any] = {
    "name": "astro",
    "owner": OWNER,
    "members": [MEMBER],
    "viewers": [VIEWER],
    "groups": ["/kaap/astro"],
}


def namespace(**changes: Any) -> dict[str, Any]:
    return tenancy.namespace(tenancy.settle([{**TENANT, **changes}])[0], kubeflow=False)


def test_tenants_are_told_by_a_label_that_only_administrators_can_set() -> None:
    system = {"metadata": {"name": "minio", "labels": {}}}
    wrong = {"metadata": {"name": "bio", "labels": {tenancy.TENANT_LABEL: "astro"}}}
    going = {"metadata": {**namespace(name="gone")["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert list(closing.tenants([namespace(), system, wrong, going])) == ["astro"]


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({}, False),
        ({"hard": {"pods": "0"}}, False),
        ({"hard": {"pods": "5"}, "used": {"pods": "1"}}, False),
        ({"hard": {"pods": "0"}, "used": {"pods": "1"}}, True),
    ],
)
def test_a_quota_that_was_not_counted_refuses_nothing(status: dict[str, Any], ready: bool) -> None:
    assert closing.is_enforced({"status": status}).ready is ready


@pytest.mark.parametrize(("phase", "running"), [("Running", True), ("Pending", True), ("Succeeded", False), ("", True)])
def test_what_is_over_needs_no_end(phase: str, running: bool) -> None:
    assert closing.runs({"status": {"phase": phase}}) is running


def test_finished_and_stopped_workloads_hold_nothing() -> None:
    finished = {"status": {"conditions": [{"type": "Finished", "status": "True"}]}}
    assert not closing.holds_quota(finished)
    assert not closing.holds_quota({"spec": {"active": False}})
    assert closing.holds_quota({"spec": {}, "status": {"conditions": [{"type": "Admitted", "status": "True"}]}})


def test_who_left_is_whom_the_namespace_names_and_the_inventory_does_not() -> None:
    now = tenancy.settle([{**TENANT, "members": [], "viewers": [MEMBER], "groups": []}])[0]
    assert closing.gone_people(namespace(), now) == {("User", VIEWER), ("Group", "/kaap/astro")}
    assert closing.gone_people({"metadata": {"annotations": {tenancy.PEOPLE_ANNOTATION: "not json"}}}, now) == set()


def test_buckets_that_somebody_else_has_by_now_stay() -> None:
    closed = [namespace(buckets=["sky", "raw"]), namespace(name="bio", buckets=[])]
    assert closing.buckets_of(closed, used=["raw"]) == ["sky"]


def test_a_policy_is_about_whom_it_is_annotated_for_or_lets_through() -> None:
    annotated = {"metadata": {"annotations": {"user": MEMBER}}}
    values = {"metadata": {}, "spec": {"rules": [{"when": [{"values": [VIEWER]}]}, {}]}}
    assert closing.lets_in(annotated, {MEMBER}) and not closing.lets_in(annotated, {VIEWER})
    assert closing.lets_in(values, {VIEWER}) and not closing.lets_in(values, {MEMBER})


def test_the_policy_that_closes_is_the_one_that_the_tenant_had() -> None:
    made = tenancy.tenancy_objects([TENANT])
    mine = next(obj for obj in made if obj["metadata"]["name"] == "default-deny")
    assert closing.locks("astro")[1] == mine
