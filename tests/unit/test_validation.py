"""Objects are refused for what an API server refuses, and for unknown fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import openapi, validation

META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
REF = "#/definitions/"
OPENAPI: dict[str, Any] = {
    "paths": {
        "/apis/apps/v1/deployments": {"get": {}},
        "/apis/apps/v1/namespaces/{namespace}/deployments": {
            "post": {"x-kubernetes-group-version-kind": {"group": "apps", "version": "v1", "kind": "Deployment"}}
        },
        "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale": {
            "post": {"x-kubernetes-group-version-kind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}}
        },
        "/api/v1/nodes": {"post": {"x-kubernetes-group-version-kind": {"group": "", "version": "v1", "kind": "Node"}}},
    },
    "definitions": {
        "io.k8s.api.apps.v1.Deployment": {
            "type": "object",
            "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Deployment"}],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"$ref": REF + META},
                "spec": {"$ref": REF + "Spec"},
            },
        },
        "Spec": {
            "type": "object",
            "required": ["selector"],
            "properties": {
                "selector": {"type": "object", "additionalProperties": {"type": "string"}},
                "replicas": {"type": "integer", "format": "int32"},
                "port": {"type": "string", "format": "int-or-string"},
                "memory": {"$ref": REF + validation.QUANTITY},
                "raw": {"type": "object"},
                "parts": {"type": "array", "items": {"$ref": REF + "Part"}},
            },
        },
        "Part": {"type": "object", "properties": {"policy": {"type": "string", "enum": ["Always", "Never"]}}},
        META: {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "namespace": {"type": "string"},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        validation.QUANTITY: {"type": "string"},
    },
}
CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "queues.example.org"},
    "spec": {
        "group": "example.org",
        "names": {"kind": "Queue", "plural": "queues"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "quota": {
                                        "x-kubernetes-int-or-string": True,
                                        "anyOf": [{"type": "integer"}, {"type": "string"}],
                                        "pattern": "^[0-9]+$",
                                    },
                                    "size": {"type": "integer", "minimum": 1, "maximum": 3},
                                    "mode": {"type": "string", "enum": ["a", "b"]},
                                    "name": {"type": "string", "maxLength": 3},
                                    "list": {"type": "array", "maxItems": 1, "items": {"type": "string"}},
                                    "empty": {"type": "object"},
                                    "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                    "null": {"type": "string", "nullable": True},
                                    "choice": {
                                        "type": "object",
                                        "properties": {"x": {"type": "string"}, "y": {"type": "string"}},
                                        "oneOf": [{"required": ["x"]}, {"required": ["y"]}],
                                        "not": {"required": ["z"]},
                                    },
                                },
                            },
                            "pod": {
                                "type": "object",
                                "x-kubernetes-embedded-resource": True,
                                "x-kubernetes-preserve-unknown-fields": True,
                            },
                        },
                    }
                },
            },
            {"name": "v1alpha1", "served": False, "schema": {"openAPIV3Schema": {"type": "object"}}},
        ],
    },
}


NOTHING = "no schema: nothing defines Queue of example.org/v1alpha1"


@pytest.fixture(scope="module")
def validator() -> validation.Validator:
    made = validation.Validator(OPENAPI)
    made.learn([CRD])
    return made


def deployment(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "n"},
        "spec": {"selector": {"app": "d"}, **spec},
    }


def queue(spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"apiVersion": "example.org/v1", "kind": "Queue", "metadata": {"name": "q"}, "spec": spec, **more}


@pytest.mark.parametrize(
    "obj",
    [
        deployment(replicas=1, port=80, memory="1.5Gi", raw={"any": 1}, parts=[{"policy": "Never"}]),
        deployment(replicas=None, port="http", memory=0.5),
        deployment(memory="1e3"),
        queue({"quota": 3}),
        queue({"quota": "3", "size": 3, "mode": "a", "name": "abc", "list": ["x"], "empty": {}, "null": None}),
        queue({"open": {"any": {"deep": 1}}, "choice": {"x": "1"}}),
        queue({}, pod={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}}),
    ],
)
def test_accepted(validator: validation.Validator, obj: dict[str, Any]) -> None:
    assert validator.problems(obj) == []


@pytest.mark.parametrize(
    ("obj", "problem"),
    [
        (deployment(replica=1), "spec.replica: unknown field; did you mean replicas?"),
        (deployment(replicas="1"), "spec.replicas: '1' is not of type integer"),
        (deployment(replicas=True), "spec.replicas: True is not of type integer"),
        (deployment(port=[80]), "spec.port: [80] is not of type integer or string"),
        (deployment(memory="1 GB"), "spec.memory: '1 GB' is no quantity"),
        (deployment(memory={}), "spec.memory: {} is no quantity"),
        (deployment(parts=[{}, {"policy": "never"}]), "spec.parts[1].policy: 'never' is none of Always, Never"),
        (deployment(parts={}), "spec.parts: {} is not of type array"),
        (deployment(selector={"a": 1}), "spec.selector.a: 1 is not of type string"),
        ({**deployment(), "spec": {}}, "spec.selector: is missing"),
        ({**deployment(), "metadata": {"name": "D"}}, "metadata.name: 'D' is no DNS name"),
        ({**deployment(), "metadata": {}}, "metadata.name: is missing"),
        ({**deployment(), "metadata": {"name": "d", "x": {}}}, "metadata.x: unknown field"),
        (queue({"quotas": 1}), "spec.quotas: unknown field; did you mean quota?"),
        (queue({"quota": "x"}), "spec.quota: 'x' does not match ^[0-9]+$"),
        (queue({"quota": 1.5}), "spec.quota: 1.5 is not of type integer or string"),
        (queue({"size": 4}), "spec.size: 4 is not between 1 and 3"),
        (queue({"mode": "c"}), "spec.mode: 'c' is none of a, b"),
        (queue({"name": "abcd"}), "spec.name: has 4 elements, 0 to 3"),
        (queue({"list": ["a", "b"]}), "spec.list: has 2 elements, 0 to 1"),
        (queue({"list": [1]}), "spec.list[0]: 1 is not of type string"),
        (queue({"empty": {"x": 1}}), "spec.empty.x: unknown field"),
        (queue({"name": None}), "spec.name: null is not allowed"),
        (queue({"choice": {}}), "spec.choice: fits none of its forms (oneOf): spec.choice.x: is missing"),
        (queue({"choice": {"x": "1", "y": "1"}}), "spec.choice: fits none of its forms (oneOf): 2 fit"),
        (queue({}, status={}), "status: unknown field"),
        (queue({}, pod={"metadata": {"name": 1}}), "pod.metadata.name: 1 is not of type string"),
        ({**queue({}), "spec": "x"}, "spec: 'x' is not of type object"),
        ({**queue({}), "apiVersion": "example.org/v1alpha1"}, NOTHING),
        ({**queue({}), "kind": "Que"}, "no schema: nothing defines Que of example.org/v1"),
    ],
)  # fmt: skip
def test_refused(validator: validation.Validator, obj: dict[str, Any], problem: str) -> None:
    assert validator.problems(obj) == [problem]


def test_form_that_is_ruled_out(validator: validation.Validator) -> None:
    found = validator.problems(queue({"choice": {"x": "1", "z": "1"}}))
    assert found == ["spec.choice.z: unknown field", "spec.choice: has a form that is ruled out"]


def test_kinds_of_the_description(tmp_path: Path) -> None:
    place = tmp_path / "manifests" / "kubernetes"
    place.mkdir(parents=True)
    (place / "openapi.json").write_text(json.dumps(OPENAPI))
    known = openapi.catalogue(openapi.read(tmp_path))
    deployments, nodes = known.need("apps/v1", "Deployment"), known.need("v1", "Node")
    assert (deployments.plural, deployments.namespaced) == ("deployments", True)
    assert (nodes.plural, nodes.namespaced) == ("nodes", False)
    assert known.find("autoscaling/v1", "Scale") is None


def test_bundle_without_description(tmp_path: Path) -> None:
    with pytest.raises(openapi.OpenapiError, match=r"openapi.json: .*pack the manifests"):
        openapi.read(tmp_path)
