"""Order, comparison, redaction and inventories of objects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import objects
from ansible_collections.infn.kaap.plugins.module_utils.objects import Inventory, Ref

Object = dict[str, Any]
BUNDLE = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="


def obj(api: str, kind: str, name: str = "x", **more: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **more}


def hook(bundle: str = "") -> Object:
    client = {"service": {"name": "s", "namespace": "n"}, **({"caBundle": bundle} if bundle else {})}
    return obj("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", webhooks=[{"clientConfig": client}])


def test_stages_from_the_worst_order() -> None:
    mixed = [
        obj("kueue.x-k8s.io/v1beta2", "ClusterQueue"),
        hook(BUNDLE),
        obj("apiregistration.k8s.io/v1", "APIService"),
        obj("batch/v1", "Job"),
        obj("apps/v1", "Deployment"),
        obj("v1", "Secret"),
        obj("gateway.networking.k8s.io/v1", "Gateway"),
        obj("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        obj("v1", "Namespace"),
    ]
    order = [[each["kind"] for each in members] for members in objects.stages(mixed).values()]
    assert order == [
        ["Namespace"], ["CustomResourceDefinition"], ["Secret"], ["Job", "Deployment"],
        ["MutatingWebhookConfiguration", "APIService"], ["ClusterQueue", "Gateway"],
    ]  # fmt: skip


def test_webhook_whose_server_fills_in_the_bundle_goes_with_the_server_but_after_it() -> None:
    staged = objects.stages([hook(), obj("apps/v1", "Deployment")])
    assert [each["kind"] for each in staged[objects.SERVERS]] == ["Deployment", "MutatingWebhookConfiguration"]


def test_status_and_book_keeping_are_no_change() -> None:
    before = {"kind": "X", "metadata": {"name": "x", "resourceVersion": "1", "generation": 1}, "status": {"a": 1}}
    after = {"kind": "X", "metadata": {"name": "x", "resourceVersion": "2", "managedFields": []}, "status": {"a": 2}}
    assert objects.same(before, after)
    after["metadata"]["labels"] = {"a": "b"}  # type: ignore[index]
    assert not objects.same(before, after)


@pytest.mark.parametrize(
    ("live", "declared", "answer"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"b": 1}, {"a": 1}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [2, 1]}, {"a": [1, 2]}, False),
        ({"a": "1"}, {"a": {"b": 1}}, False),
        ({"a": "100m"}, {"a": "0.1"}, False),
        ({}, {"a": {}}, False),
    ],
)
def test_live_object_contains_what_is_declared(live: Object, declared: Object, answer: bool) -> None:
    assert objects.contains(live, declared) is answer


def test_digest_tells_declarations_apart_and_never_comes_from_a_secret() -> None:
    assert objects.digest(obj("v1", "ConfigMap", data={"a": "1"})) != objects.digest(
        obj("v1", "ConfigMap", data={"a": "2"})
    )
    assert objects.digest(obj("v1", "Secret", data={"a": "1"})) == ""


def test_secrets_are_redacted_and_still_comparable() -> None:
    shown = objects.difference(
        obj("v1", "Secret", data={"a": "b2xk", "b": "c2FtZQ=="}),
        obj("v1", "Secret", data={"a": "bmV3", "b": "c2FtZQ=="}),
    )
    text = json.dumps(shown)
    assert not any(value in text for value in ("b2xk", "bmV3", "c2FtZQ=="))
    before, after = (shown[key].splitlines() for key in ("before", "after"))
    assert [line for line in before if line not in after] != []
    assert any("b: sha256:" in line and line in after for line in before)


def test_difference_of_a_new_object() -> None:
    shown = objects.difference(None, obj("v1", "ConfigMap", data={"a": "1"}, status={"x": 1}))
    assert shown["before"] == "" and "a: '1'" in shown["after"] and "status" not in shown["after"]
    assert shown["after_header"] == "ConfigMap x"


def test_object_that_is_there_twice_is_found_whatever_its_version() -> None:
    assert objects.duplicates([obj("a.org/v1", "A"), obj("a.org/v2", "A"), obj("b.org/v1", "A")]) == ["A x"]


OLD = Ref("a.org/v1", "A", "n", "one")
NEW = Ref("a.org/v2", "A", "n", "one")
TWO = Ref("v1", "ConfigMap", "n", "two")
THREE = Ref("v1", "ConfigMap", "n", "three")


def test_inventory_is_read_as_it_was_written() -> None:
    inventory = Inventory("part", "1.0", ("b", "a"), (TWO, OLD), {OLD.identity: "abc"})
    read = Inventory.from_object(inventory.to_object())
    assert (read.component, read.version, set(read.needs), set(read.refs)) == ("part", "1.0", {"a", "b"}, {OLD, TWO})
    assert read.digests == {OLD.identity: "abc", TWO.identity: ""}
    assert read.to_object() == inventory.to_object()


def test_another_version_is_the_same_object() -> None:
    assert Inventory("p", "1", (), (OLD, TWO)).beyond([NEW]) == [TWO]


def test_what_is_written_before_a_change() -> None:
    old = Inventory("p", "1", (), (OLD, TWO, THREE), {OLD.identity: "a", TWO.identity: "b", THREE.identity: "c"})
    under_way = old.under_way(("q",), [NEW, TWO], {NEW.identity: "a", TWO.identity: "changed"})
    assert under_way.version == "1" and under_way.needs == ("q",)
    assert set(under_way.refs) == {NEW, TWO, THREE}, "an old object was forgotten before it was deleted"
    assert under_way.digests == {OLD.identity: "a", THREE.identity: "c"}, "a changed object counted as settled"


def test_kept_object_is_recognised() -> None:
    kept = obj("v1", "Namespace")
    assert not objects.is_kept(kept)
    kept["metadata"]["annotations"] = {"kaap.infn.it/keep": "true"}
    assert objects.is_kept(kept)
