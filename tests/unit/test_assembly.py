"""What of a component is applied beside what its record renders to."""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import apply, assembly, certificates
from ansible_collections.infn.kaap.plugins.module_utils.objects import Inventory, Ref
from ansible_collections.infn.kaap.plugins.module_utils.render import Rendered, RenderError

Object = dict[str, Any]
RECORD: Object = {
    "name": "part",
    "namespace": "home",
    "render": {"charts": [{"name": "c", "release": "c", "namespace": "second"}]},
    "serving_certificates": [{"secret": "hook-cert", "service": "hook"}],
}


def obj(kind: str, name: str, **more: Any) -> Object:
    api = "example.org/v1" if kind == "Widget" else "v1"
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "home"}, **more}


def keeping(folder: Path, secrets: dict[str, dict[str, str]] | None = None) -> assembly.Keeping:
    known = secrets or {}
    return assembly.Keeping(
        lambda: certificates.ensure_authority(folder), lambda namespace, name: known.get(f"{namespace}/{name}", {})
    )


def named(built: Rendered) -> list[str]:
    return [f"{each['kind']} {each['metadata']['name']}" for each in built.objects]


def test_namespaces_come_first_except_those_of_others(tmp_path: Path) -> None:
    record = {**RECORD, "serving_certificates": []}
    rendered = Rendered([obj("ConfigMap", "c")])
    assert named(assembly.assemble(record, copy.deepcopy(rendered), keeping(tmp_path))) == [
        "Namespace home", "Namespace second", "ConfigMap c",
    ]  # fmt: skip
    assert named(assembly.assemble(record, rendered, keeping(tmp_path), {"home"})) == [
        "Namespace second", "ConfigMap c",
    ]  # fmt: skip


def test_a_namespace_that_the_record_declares_is_not_made_again(tmp_path: Path) -> None:
    declared = obj("Namespace", "home")
    built = assembly.assemble({**RECORD, "render": {}}, Rendered([declared]), keeping(tmp_path))
    assert named(built) == ["Namespace home", "Secret hook-cert"]


def test_certificate_stays_while_it_is_good(tmp_path: Path) -> None:
    first = assembly.assemble(RECORD, Rendered(), keeping(tmp_path)).objects[-1]
    again = assembly.assemble(RECORD, Rendered(), keeping(tmp_path)).objects[-1]
    held = {"home/hook-cert": assembly.decoded(first)}
    kept = assembly.assemble(RECORD, Rendered(), keeping(tmp_path, held)).objects[-1]
    assert first["type"] == "kubernetes.io/tls"
    assert first["data"] != again["data"], "or nothing is tested here"
    assert kept == first


def test_certificate_goes_into_a_secret_that_is_there_already(tmp_path: Path) -> None:
    theirs = obj("Secret", "hook-cert", data={"extra": "eA=="})
    built = assembly.assemble({**RECORD, "render": {}}, Rendered([theirs]), keeping(tmp_path))
    assert named(built) == ["Namespace home", "Secret hook-cert"]
    assert set(built.objects[1]["data"]) == {"extra", "tls.crt", "tls.key", "ca.crt"}


def test_own_configuration_is_early_and_own_custom_resources_are_late(tmp_path: Path) -> None:
    rendered = Rendered([], [obj("Secret", "s"), obj("Widget", "w")])
    built = assembly.assemble({**RECORD, "render": {}}, rendered, keeping(tmp_path))
    assert named(built) == ["Namespace home", "Secret s", "Secret hook-cert"]
    assert [each["kind"] for each in built.resources] == ["Widget"]


def test_an_object_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="part renders ConfigMap home/c more than once"):
        assembly.assemble(RECORD, Rendered([obj("ConfigMap", "c"), obj("ConfigMap", "c")]), keeping(tmp_path))


def test_decoded_leaves_out_what_is_no_text() -> None:
    secret = {"data": {"a": base64.b64encode(b"x").decode(), "b": base64.b64encode(b"\xff").decode()}}
    assert assembly.decoded(secret) == {"a": "x"}
    assert assembly.decoded(None) == {}


def test_namespaces_of_a_component_and_of_what_it_needs() -> None:
    def inventory(name: str, *needs: str) -> Inventory:
        return Inventory(name, "1", needs, (Ref("v1", "Namespace", "", f"{name}-home"), Ref("v1", "Secret", "x", "s")))

    known = {"a": inventory("a", "b"), "b": inventory("b", "a", "gone"), "c": inventory("c")}
    assert apply.namespaces_of(known, ["a"]) == {"a-home", "b-home"}
    assert apply.namespaces_of(known, []) == set()
