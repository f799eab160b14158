"""JSON schemas for kubeconform, made from the API's own OpenAPI description and from the CRDs of the bundle.

kubeconform's usual schemas are downloaded; here they come from the same artefacts as everything else:
`api/openapi-spec/swagger.json` of the Kubernetes release, and `openAPIV3Schema` of each CRD. Both are closed
(`additionalProperties: false`), so that a misspelt field fails.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

INT_OR_STRING: Schema = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
# The API server reads a quantity from a JSON number as well as from a string.
QUANTITY: Schema = {"oneOf": [{"type": "string"}, {"type": "number"}]}
PREFIX = "#/definitions/"
QUANTITY_NAME = "io.k8s.apimachinery.pkg.api.resource.Quantity"
# Their branches only add conditions to an object whose fields are named beside them.
CONDITIONS = ("allOf", "anyOf", "oneOf", "not")
LOCATION = "{{ .Group }}_{{ .ResourceAPIVersion }}_{{ .ResourceKind }}.json"


def closed(node: Any, *, condition: bool = False) -> Any:
    """A copy of an OpenAPI schema in which every object with named properties refuses others.

    Not in a branch of oneOf and the like: it names the fields that it is about, and the object has more.

    `x-kubernetes-preserve-unknown-fields` and `x-kubernetes-embedded-resource` keep an object open, as in the
    API server; int-or-string fields take both; optional fields take null, which the API server drops.

    :param condition: whether the node is, or is below, such a branch
    """
    if isinstance(node, list):
        return [closed(item, condition=condition) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
        return dict(INT_OR_STRING)
    result = {
        # Names of properties are no keywords, even where they are spelt alike (as in the schema of a CRD).
        key: {name: closed(item, condition=condition) for name, item in value.items()}
        if key == "properties"
        else closed(value, condition=condition or key in CONDITIONS)
        for key, value in node.items()
        if not key.startswith("x-kubernetes-")
    }
    result.pop("format", None)
    result.pop("default", None)
    if result.pop("nullable", False) and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    open_object = node.get("x-kubernetes-preserve-unknown-fields") or node.get("x-kubernetes-embedded-resource")
    if isinstance(result.get("properties"), dict) and not open_object:
        if not condition:
            result.setdefault("additionalProperties", False)
        required = set(result.get("required", []))
        for name, value in result["properties"].items():
            if name not in required:
                result["properties"][name] = {"anyOf": [value, {"type": "null"}]}
    return result


def _references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*(_references(item) for item in node), set())
    if not isinstance(node, dict):
        return set()
    found = {node["$ref"].removeprefix(PREFIX)} if isinstance(node.get("$ref"), str) else set()
    return found.union(*(_references(value) for value in node.values()))


def file_name(group: str, version: str, kind: str) -> str:
    """The file in which kubeconform looks, with the template LOCATION."""
    # kubeconform takes the part of apiVersion before the slash for the group: "v1" where there is none.
    return f"{group or version}_{version}_{kind.lower()}.json"


def from_openapi(swagger: Schema) -> dict[str, Schema]:
    """One self-contained schema per kind of the API server, by file name."""
    definitions = {name: closed(schema) for name, schema in swagger["definitions"].items()}
    definitions[QUANTITY_NAME] = QUANTITY
    schemas = {}
    for name, schema in swagger["definitions"].items():
        for gvk in schema.get("x-kubernetes-group-version-kind", []):
            needed, queue = set(), {name}
            while queue:
                needed |= queue
                queue = set().union(*(_references(definitions[item]) for item in queue)) - needed
            schemas[file_name(gvk["group"], gvk["version"], gvk["kind"])] = {
                "$ref": PREFIX + name,
                "definitions": {item: definitions[item] for item in sorted(needed)},
            }
    return schemas


def from_crd(crd: Schema) -> dict[str, Schema]:
    """One schema per served version of a CustomResourceDefinition, by file name."""
    spec = crd["spec"]
    schemas = {}
    for version in spec["versions"]:
        schema = closed(version["schema"]["openAPIV3Schema"])
        if isinstance(schema.get("properties"), dict):
            # The API server knows these of every object, whatever the CRD says of them.
            schema["properties"] |= {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
            }
        schemas[file_name(spec["group"], version["name"], spec["names"]["kind"])] = schema
    return schemas


def write(folder: Path, swagger: Schema, crds: list[Schema]) -> str:
    """Writes the schemas and returns the value of kubeconform's `-schema-location`."""
    schemas = from_openapi(swagger)
    for crd in crds:
        schemas |= from_crd(crd)
    for name, schema in schemas.items():
        (folder / name).write_text(json.dumps(schema))
    return f"{folder}/{LOCATION}"
