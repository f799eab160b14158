"""The schemas that kubeconform gets refuse what the API server refuses."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tests.release import schemas

SWAGGER: dict[str, Any] = {
    "definitions": {
        "io.k8s.api.apps.v1.Deployment": {
            "type": "object",
            "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Deployment"}],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "spec": {"$ref": "#/definitions/io.k8s.api.apps.v1.DeploymentSpec"},
            },
        },
        "io.k8s.api.apps.v1.DeploymentSpec": {
            "type": "object",
            "properties": {
                "replicas": {"type": "integer", "format": "int32"},
                "port": {"type": "string", "format": "int-or-string"},
                "memory": {"$ref": f"#/definitions/{schemas.QUANTITY_NAME}"},
            },
        },
        schemas.QUANTITY_NAME: {"type": "string"},
    }
}
CRD: dict[str, Any] = {
    "spec": {
        "group": "example.org",
        "names": {"kind": "Queue"},
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"quota": {"x-kubernetes-int-or-string": True}},
                            },
                            "template": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                                "properties": {"a": {"type": "string"}},
                            },
                        },
                    }
                },
            }
        ],
    }
}


def check(schema: schemas.Schema, spec: dict[str, Any]) -> None:
    """Raises when the schema refuses the object."""
    jsonschema.Draft4Validator(schema).validate(spec)


@pytest.mark.parametrize(
    "spec",
    [{"replicas": 1}, {"port": 80}, {"port": "http"}, {"memory": "1Gi"}, {"memory": 1}, {"replicas": None}],
)
def test_openapi_schema_accepts_what_the_api_server_accepts(spec: dict[str, Any]) -> None:
    schema = schemas.from_openapi(SWAGGER)["apps_v1_deployment.json"]
    check(schema, {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec})


@pytest.mark.parametrize("spec", [{"replica": 1}, {"replicas": "one"}, {"port": [80]}])
def test_openapi_schema_refuses_misspelt_fields_and_wrong_types(spec: dict[str, Any]) -> None:
    schema = schemas.from_openapi(SWAGGER)["apps_v1_deployment.json"]
    with pytest.raises(jsonschema.ValidationError):
        check(schema, {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec})


def test_crd_schema_is_closed_except_where_the_crd_keeps_it_open() -> None:
    schema = schemas.from_crd(CRD)["example.org_v1_queue.json"]
    base = {"apiVersion": "example.org/v1", "kind": "Queue", "metadata": {"name": "a"}}
    check(schema, {**base, "spec": {"quota": 3}, "template": {"anything": 1}})
    wrong: dict[str, Any]
    for wrong in ({"spec": {"quotas": 3}}, {}, {"spec": {}, "status": {}}):
        with pytest.raises(jsonschema.ValidationError):
            check(schema, {**base, **wrong})


def test_properties_spelt_like_keywords_are_properties() -> None:
    """The schema of CustomResourceDefinition describes schemas: `format` and `properties` are names there."""
    inner = {"type": "object", "properties": {"x": {"x-kubernetes-int-or-string": True}}}
    node = {"type": "object", "properties": {"format": {"type": "string"}, "properties": inner}}
    result = schemas.closed(node)
    assert set(result["properties"]) == {"format", "properties"}
    assert schemas.INT_OR_STRING == {"oneOf": [{"type": "string"}, {"type": "integer"}]}, "a shared value was changed"


def test_core_kinds_lie_where_kubeconform_looks() -> None:
    """It takes the whole of apiVersion `v1` for the group."""
    assert schemas.file_name("", "v1", "Service") == "v1_v1_service.json"


def test_branches_add_conditions_and_name_only_the_fields_that_they_are_about() -> None:
    """As in the CRDs of Gateway API and Kueue: the object itself says which fields there are."""
    source = {
        "type": "object",
        "properties": {
            "kind": {"type": "string"},
            "size": {"type": "integer"},
            "inner": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
        },
        "oneOf": [
            {"properties": {"kind": {"enum": ["small"]}, "inner": {"properties": {"a": {"enum": ["x"]}}}}},
            {"properties": {"kind": {"enum": ["large"]}}, "required": ["size"]},
        ],
        "not": {"properties": {"size": {"enum": [0]}}, "required": ["size"]},
    }
    schema = schemas.closed(source)
    for accepted in ({"kind": "small", "inner": {"a": "x", "b": "y"}}, {"kind": "large", "size": 1}):
        jsonschema.validate(accepted, schema)
    for refused in (
        {"kind": "small", "other": 1},
        {"kind": "small", "inner": {"a": "x", "c": "y"}},
        {"kind": "small", "inner": {"a": "y"}},
        {"kind": "large"},
        {"kind": "large", "size": 0},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(refused, schema)
