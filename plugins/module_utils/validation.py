"""Strict validation of objects against the API server's schemas and those of CRDs, without an API server.

What an API server refuses or, asked to be strict, warns of: unknown fields, wrong types, values outside of an
enumeration or a pattern, missing fields, kinds that nobody defines. Rules written in CEL are the server's alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
Object = Mapping[str, Any]

PREFIX = "#/definitions/"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "integer or string"
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
QUANTITY_FORM = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$")
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    INT_OR_STRING: (int, str),
}
EMBEDDED = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"$ref": PREFIX + META}}
# Names of objects are DNS subdomains, some kinds allow more; an empty or upper-case one is always wrong.
NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
FREE_NAMES = frozenset({"rbac.authorization.k8s.io"})


class Validator:
    """Schemas by kind.

    :ivar definitions: schemas that others refer to.
    """

    def __init__(self, openapi: Mapping[str, Any]) -> None:
        """Take the schemas of the API server from its OpenAPI description (version 2)."""
        self.definitions: Mapping[str, Schema] = openapi["definitions"]
        self._kinds: dict[tuple[str, str], tuple[Schema, bool]] = {}
        self._patterns: dict[str, re.Pattern[str] | None] = {}
        for name, schema in self.definitions.items():
            for gvk in schema.get("x-kubernetes-group-version-kind", []):
                version = f"{gvk['group']}/{gvk['version']}" if gvk["group"] else gvk["version"]
                self._kinds[(version, gvk["kind"])] = ({"$ref": PREFIX + name}, False)

    def learn(self, objects: Iterable[Object]) -> None:
        """Take the schemas of the CRDs among some objects."""
        for obj in objects:
            if obj.get("kind") != "CustomResourceDefinition":
                continue
            spec = obj["spec"]
            for version in spec["versions"]:
                schema = (version.get("schema") or {}).get("openAPIV3Schema")
                if version.get("served", True) and schema:
                    key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                    self._kinds[key] = (schema, True)

    def knows(self, obj: Object) -> bool:
        """Is there a schema of the object's kind?"""
        return (str(obj["apiVersion"]), str(obj["kind"])) in self._kinds

    def problems(self, obj: Object) -> list[str]:
        """What is wrong with an object, one sentence for each fault; of an unknown kind, only that."""
        key = (str(obj["apiVersion"]), str(obj["kind"]))
        if key not in self._kinds:
            return [f"no schema: nothing defines {key[1]} of {key[0]}"]
        found = list(_name(obj))
        schema, custom = self._kinds[key]
        if custom:
            self._custom(obj, {**schema, "x-kubernetes-embedded-resource": True}, "", found)
        else:
            self._builtin(obj, schema, "", found)
        return found

    def _builtin(self, value: Any, schema: Schema, path: str, found: list[str]) -> None:
        """A value against a schema of the API server's; null means "not set" there."""
        if value is None:
            return
        reference = schema.get("$ref")
        if reference:
            name = str(reference).removeprefix(PREFIX)
            if name == QUANTITY:
                if not _is_quantity(value):
                    found.append(f"{path}: {_short(value)} is no quantity")
                return
            schema = self.definitions[name]
        kind = schema.get("type") if schema.get("format") != "int-or-string" else INT_OR_STRING
        if not _is_type(value, kind):
            found.append(f"{path or 'the object'}: {_short(value)} is not of type {kind}")
            return
        if isinstance(value, dict):
            self._fields(value, schema, path, found, custom=False)
        elif isinstance(value, list) and "items" in schema:
            for number, item in enumerate(value):
                self._builtin(item, schema["items"], f"{path}[{number}]", found)
        elif "enum" in schema and value not in schema["enum"]:
            found.append(f"{path}: {_short(value)} is none of {', '.join(map(str, schema['enum']))}")

    def _custom(self, value: Any, schema: Schema, path: str, found: list[str], *, structural: bool = True) -> None:
        """A value against a schema of a CRD.

        :param structural: False inside of anyOf and the like, which say nothing about unknown fields.
        """
        if "$ref" in schema:
            self._builtin(value, schema, path, found)
            return
        if value is None:
            # The server drops a null where it is not allowed and there is a default; else it says so.
            if not schema.get("nullable") and schema.get("type") and "default" not in schema and structural:
                found.append(f"{path}: null is not allowed")
            return
        kind = INT_OR_STRING if schema.get("x-kubernetes-int-or-string") else schema.get("type")
        if not _is_type(value, kind):
            found.append(f"{path or 'the object'}: {_short(value)} is not of type {kind}")
            return
        self._bounds(value, schema, path, found)
        if isinstance(value, dict):
            self._fields(value, schema, path, found, custom=True, structural=structural)
        elif isinstance(value, list):
            items = schema.get("items")
            for number, item in enumerate(value if items else ()):
                self._custom(item, items or {}, f"{path}[{number}]", found, structural=structural)
        self._combined(value, schema, path, found)

    def _fields(
        self,
        value: Mapping[str, Any],
        schema: Schema,
        path: str,
        found: list[str],
        *,
        custom: bool,
        structural: bool = True,
    ) -> None:
        properties: Mapping[str, Schema] = schema.get("properties") or {}
        if schema.get("x-kubernetes-embedded-resource"):
            properties = {**properties, **EMBEDDED}
        rest = schema.get("additionalProperties")
        is_open = bool(schema.get("x-kubernetes-preserve-unknown-fields")) or rest is True or not structural
        if not custom and not properties:
            is_open = True
        for name in schema.get("required") or []:
            if value.get(name) is None and name not in value:
                found.append(f"{_join(path, name)}: is missing")
        for name, item in value.items():
            below = _join(path, str(name))
            inner = properties.get(name, rest if isinstance(rest, Mapping) else None)
            if inner is None:
                if not is_open:
                    found.append(f"{below}: unknown field{_hint(str(name), properties)}")
            elif custom:
                self._custom(item, inner, below, found, structural=structural)
            else:
                self._builtin(item, inner, below, found)

    def _bounds(self, value: Any, schema: Schema, path: str, found: list[str]) -> None:
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{path}: {_short(value)} is none of {', '.join(map(str, schema['enum']))}")
        if isinstance(value, str) and schema.get("pattern"):
            pattern = self._pattern(str(schema["pattern"]))
            if pattern and not pattern.search(value):
                found.append(f"{path}: {_short(value)} does not match {schema['pattern']}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = schema.get("minimum"), schema.get("maximum")
            if (low is not None and value < low) or (high is not None and value > high):
                found.append(f"{path}: {value} is not between {low} and {high}")
        for kind, least, most in (
            (str, "minLength", "maxLength"),
            (list, "minItems", "maxItems"),
            (dict, "minProperties", "maxProperties"),
        ):
            if isinstance(value, kind):
                size = len(value)
                if size < schema.get(least, 0) or size > schema.get(most, size):
                    found.append(f"{path}: has {size} elements, {schema.get(least, 0)} to {schema.get(most, 'any')}")

    def _combined(self, value: Any, schema: Schema, path: str, found: list[str]) -> None:
        def faults(other: Schema) -> list[str]:
            inner: list[str] = []
            self._custom(value, other, path, inner, structural=False)
            return inner

        for other in schema.get("allOf") or []:
            found.extend(faults(other))
        for key in ("anyOf", "oneOf"):
            choices = [faults(other) for other in schema.get(key) or []]
            fitting = sum(not inner for inner in choices)
            if choices and (fitting == 0 or (key == "oneOf" and fitting > 1)):
                reason = min(choices, key=len)[0] if fitting == 0 else f"{fitting} fit"
                found.append(f"{path or 'the object'}: fits none of its forms ({key}): {reason}")
        if schema.get("not") and not faults(schema["not"]):
            found.append(f"{path or 'the object'}: has a form that is ruled out")

    def _pattern(self, text: str) -> re.Pattern[str] | None:
        """A compiled pattern; None for one of Go's that Python cannot read, which is left to the server."""
        if text not in self._patterns:
            try:
                self._patterns[text] = re.compile(text)
            except re.error:
                self._patterns[text] = None
        return self._patterns[text]


def _name(obj: Object) -> Iterator[str]:
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not name:
        yield "metadata.name: is missing"
    elif str(obj["apiVersion"]).partition("/")[0] not in FREE_NAMES and (not NAME.match(name) or len(name) > 253):
        yield f"metadata.name: {name!r} is no DNS name"


def _is_type(value: Any, kind: Any) -> bool:
    if kind is None:
        return True
    if isinstance(value, bool):
        return bool(kind == "boolean")
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[str(kind)])


def _is_quantity(value: Any) -> bool:
    if isinstance(value, str):
        return QUANTITY_FORM.match(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
