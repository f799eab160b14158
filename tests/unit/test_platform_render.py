"""A whole platform without a cluster: its order, its checks, and what is kept of it."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import constants, openapi, platform_render, render

from tests.unit.test_validation import CRD, OPENAPI, deployment, queue

Object = dict[str, Any]
KNOWN = [constants.Constant("known password", "12341234", "upstream")]
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
GVK = "x-kubernetes-group-version-kind"
DESCRIPTION: Object = copy.deepcopy(OPENAPI)
for group, kind, path in (
    ("", "Namespace", "/api/v1/namespaces"),
    ("", "Secret", "/api/v1/namespaces/{namespace}/secrets"),
    ("apiextensions.k8s.io", "CustomResourceDefinition", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"),
):
    gvk = {"group": group, "version": "v1", "kind": kind}
    DESCRIPTION["definitions"][kind] = {"type": "object", GVK: [gvk]}
    DESCRIPTION["paths"][path] = {"post": {GVK: gvk}}


def part(name: str, *objects: Object, needs: tuple[str, ...] = (), late: tuple[Object, ...] = ()) -> Any:
    rendered = render.Rendered(list(objects), list(late))
    return platform_render.Part({"name": name, "namespace": "n"}, 1, 1, needs, rendered)


def check(*parts: Any, provided: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
    return platform_render.check(parts, DESCRIPTION, KNOWN, provided)


def test_what_fits_is_accepted() -> None:
    base = part("base", NAMESPACE, CRD)
    user = part("user", deployment(), needs=("middle",), late=(queue({"quota": 1}, metadata={"name": "q"}),))
    assert check(base, part("middle", needs=("base",)), user) == ([], [])


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ([part("a", NAMESPACE, deployment(replica=1))], "a: Deployment n/d: spec.replica: unknown field"),
        (
            [part("a", NAMESPACE, deployment()), part("b", deployment(), needs=("a",))],
            "b: Deployment n/d is a's already",
        ),
        ([part("a", queue({}))], "a: Queue q: no schema: nothing defines Queue of example.org/v1"),
        ([part("a", CRD), part("b", queue({}))], "b: Queue q: its kind is defined by a, which b does not need"),
        ([part("a", deployment())], "a: Deployment n/d: its namespace is nobody's"),
        (
            [part("a", NAMESPACE), part("b", deployment())],
            "b: Deployment n/d: its namespace is made by a, which b does not need",
        ),
        (
            [part("a", NAMESPACE, deployment(raw={"args": ["--password=12341234"]}))],
            "a: Deployment n/d: spec.raw.args[0]: known password (from upstream)",
        ),
    ],
)
def test_what_does_not_fit_is_named(parts: list[Any], problem: str) -> None:
    problems, unvalidated = check(*parts)
    assert [text.startswith(problem) for text in problems] == [True], problems
    assert unvalidated == []


def test_what_a_provided_component_defines_is_said_to_be_unvalidated() -> None:
    problems, unvalidated = check(part("a", queue({"any": 1})), provided=("theirs",))
    assert (problems, unvalidated) == ([], ["a: Queue q: example.org/v1 is defined by what is provided"])


def test_a_namespace_may_be_home_to_several() -> None:
    assert check(part("a", NAMESPACE), part("b", NAMESPACE)) == ([], [])


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A bundle with manifests of two components; `base` has the definition that `user` uses."""
    service = {"secret": "cert", "service": "s"}
    contents: dict[str, list[Object]] = {
        "base": [CRD],
        "user": [{**queue({"quota": 1}), "metadata": {"name": "q"}}, {**deployment(), "metadata": {"name": "d"}}],
    }
    for name, objects in contents.items():
        (tmp_path / "manifests" / name).mkdir(parents=True)
        (tmp_path / "manifests" / name / "all.yaml").write_text(yaml.safe_dump_all(objects))
    records = [
        {"name": "user", "namespace": "n", "render": {"manifests": ["all"]}, "serving_certificates": [service]},
        {"name": "base", "namespace": "n", "render": {"manifests": ["all"]}},
    ]
    (tmp_path / "records.yml").write_text(yaml.safe_dump(records))
    return tmp_path


def built(house: Path) -> list[Any]:
    records = yaml.safe_load((house / "records.yml").read_text())
    renderer = render.Renderer(house, house, "v1.36.0", openapi.catalogue(DESCRIPTION))
    kept = platform_render.Certificates(house / "state")
    return platform_render.build(records, [["base"], ["user"]], {"user": ("base",)}, renderer, kept)


def test_kinds_of_other_components_are_known_and_certificates_stay(house: Path) -> None:
    first = built(house)
    assert [(each.name, each.wave, each.position) for each in first] == [("base", 1, 1), ("user", 2, 2)]
    assert [(obj["kind"], obj["metadata"].get("namespace")) for obj in first[1].objects] == [
        ("Queue", "n"), ("Deployment", "n"), ("Secret", "n"),
    ]  # fmt: skip
    assert platform_render.check(first, DESCRIPTION, KNOWN) == ([], [])
    assert [each.objects for each in built(house)] == [each.objects for each in first]
    kept = house / "state" / "serving" / "n.cert.yml"
    assert kept.stat().st_mode & 0o777 == 0o600
    kept.unlink()
    assert built(house)[1].objects != first[1].objects, "or the certificate was not kept at all"


def test_every_component_that_cannot_be_rendered_is_named(house: Path) -> None:
    for name in ("base", "user"):
        (house / "manifests" / name / "all.yaml").unlink()
    with pytest.raises(render.RenderError, match=re.compile("base: the bundle has no.*user: the bundle has no", re.S)):
        built(house)
