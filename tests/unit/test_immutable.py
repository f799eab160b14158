"""A refusal is read right: what cannot change, from what to what, and what a person can do."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import immutable
from ansible_collections.infn.kaap.plugins.module_utils.kube import ApiError

Object = dict[str, Any]


def refusal(message: str, field: str = "", status: int = 422) -> ApiError:
    causes = [{"reason": "FieldValueInvalid", "message": message, "field": field}] if field else []
    return ApiError(status, {"message": message, "reason": "Invalid", "details": {"causes": causes}}, "apply")


def thing(kind: str = "Deployment", api: str = "apps/v1", **spec: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "one", "namespace": "here"}, "spec": spec}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refusal("field is immutable", "spec.selector"), True),
        (refusal("may not change once set", "spec.clusterIPs[0]"), True),
        (
            refusal("Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden", "spec"),
            True,
        ),
        (refusal("validation failed: Immutable fields changed (-old +new)", status=400), True),
        (refusal('admission webhook "x" denied the request: field is immutable', status=403), True),
        (refusal("must be greater than 0", "spec.replicas"), False),
        (refusal('services "x" is forbidden: User "y" cannot patch resource', status=403), False),
        (refusal("field is immutable", "spec.selector", status=500), False),
    ],
)
def test_only_refusals_about_change_count(error: ApiError, expected: bool) -> None:
    assert immutable.is_immutable(error) is expected


def test_field_with_old_and_new_value() -> None:
    live, wanted = thing(selector={"app": "a"}, replicas=1), thing(selector={"app": "b"}, replicas=2)
    (change,) = immutable.refused_changes(refusal("field is immutable", "spec.selector"), live, wanted)
    assert str(change) == 'spec.selector.app is "a", wanted "b"'


def test_fields_that_the_server_lists_as_free_are_left_out() -> None:
    live = thing("StatefulSet", replicas=1, serviceName="a", template={"x": 1})
    wanted = thing("StatefulSet", replicas=2, serviceName="b", template={"x": 2})
    message = "Forbidden: updates to statefulset spec for fields other than 'replicas', 'template' are forbidden"
    changes = immutable.refused_changes(refusal(message, "spec"), live, wanted)
    assert [str(change) for change in changes] == ['spec.serviceName is "a", wanted "b"']


def test_derived_field_takes_the_wanted_value_from_the_message() -> None:
    live = thing("Service", "v1", clusterIP="10.0.0.1", clusterIPs=["10.0.0.1"])
    wanted = thing("Service", "v1", clusterIP="10.0.0.2")
    error = refusal('Invalid value: ["10.0.0.2"]: may not change once set', "spec.clusterIPs[0]")
    (change,) = immutable.refused_changes(error, live, wanted)
    assert str(change) == 'spec.clusterIPs[0] is "10.0.0.1", wanted ["10.0.0.2"]'


def test_without_a_field_all_that_differs_is_named() -> None:
    live, wanted = thing(a=[1, 2], b="same"), thing(a=[1, 3], b="same", c=True)
    changes = immutable.refused_changes(refusal("Immutable fields changed", status=400), live, wanted)
    assert [str(change) for change in changes] == ["spec.a.1 is 2, wanted 3", "spec.c is not set, wanted true"]


def test_values_of_secrets_are_not_shown() -> None:
    live = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": {"key": "b2xk"}}
    text = immutable.refusal(
        refusal("field is immutable when `immutable` is set", "data"), live, {**live, "data": {"key": "bmV3"}}
    )
    assert "data.key (values of Secrets are not shown)" in text
    assert "b2xk" not in text and "bmV3" not in text


def test_long_values_are_cut() -> None:
    text = immutable.refusal(refusal("field is immutable", "spec.text"), thing(text="a" * 999), thing(text="b" * 999))
    assert len(text) < 600 and "..." in text


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (thing("StatefulSet"), "kubectl --namespace here delete statefulset.apps one --cascade=orphan"),
        (thing("PersistentVolumeClaim", "v1"), "the data is lost"),
        (thing("Secret", "v1"), "restart what reads it"),
        (thing("Service", "v1"), "kubectl --namespace here delete service one"),
    ],
)
def test_advice_fits_the_kind(obj: Object, words: str) -> None:
    assert words in immutable.advice(obj)
