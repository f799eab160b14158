"""From a record to objects: placing, cleaning, authorities, configuration digests. Tools are not needed here."""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import render
from ansible_collections.infn.kaap.plugins.module_utils.kube import Catalogue, Resource

Object = dict[str, Any]


def catalogue() -> Catalogue:
    known = Catalogue()
    known.add(
        [
            Resource("", "v1", "ConfigMap", "configmaps", True),
            Resource("", "v1", "Namespace", "namespaces", False),
            Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False),
        ]
    )
    return known


def crd(name: str = "widgets.example.org") -> Object:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    }


def test_a_lone_equals_sign_is_text() -> None:
    """Prometheus' CRDs list the operators of a matcher, and YAML 1.1 has a type of its own for this one."""
    (found,) = render.parse("apiVersion: v1\nkind: ConfigMap\noperators:\n  - =\n  - '!='\n", "test")
    assert found["operators"] == ["=", "!="]


def test_documents_lists_and_empty_ones() -> None:
    text = "---\n# nothing\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A}\n"
    text += "---\napiVersion: v1\nkind: B\n"
    assert [obj["kind"] for obj in render.parse(text, "here")] == ["A", "B"]


@pytest.mark.parametrize(
    ("text", "why"), [("a: [", "here: not YAML"), ("just words", "here: a document is no Kubernetes")]
)
def test_what_is_no_object_is_refused(text: str, why: str) -> None:
    with pytest.raises(render.RenderError, match=why):
        render.parse(text, "here")


def test_namespaced_objects_get_the_namespace_and_others_lose_theirs() -> None:
    def obj(api: str, kind: str, **metadata: str) -> Object:
        return {"apiVersion": api, "kind": kind, "metadata": {"name": "x", **metadata}}

    objects = [
        obj("v1", "ConfigMap"),
        obj("v1", "ConfigMap", namespace="own"),
        obj("rbac.authorization.k8s.io/v1", "ClusterRole", namespace="wrong"),
        obj("nobody.org/v1", "Unknown"),
    ]
    render.place(objects, "home", catalogue())
    assert [each["metadata"].get("namespace") for each in objects] == ["home", "own", None, None]


def test_manifests_are_placed_even_when_their_kind_is_defined_among_them(tmp_path: Path) -> None:
    place = tmp_path / "manifests" / "part"
    place.mkdir(parents=True)
    widget = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}}
    (place / "all.yaml").write_text(yaml.safe_dump_all([widget, crd()]))
    renderer = render.Renderer(tmp_path, tmp_path, "v1.36.0", catalogue())
    record = {
        "name": "part",
        "namespace": "home",
        "render": {
            "manifests": ["all"],
            "resources": ["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}", [widget]],
        },
    }
    rendered = renderer.render(record)
    assert [obj["metadata"].get("namespace") for obj in rendered.objects] == ["home", None]
    assert [(obj["kind"], obj["metadata"]["namespace"]) for obj in rendered.resources] == [
        ("ConfigMap", "home"), ("Widget", "home"),
    ]  # fmt: skip


class Tagged(str):
    """What Ansible hands over: text with more about it."""

    __slots__ = ()


def test_objects_as_text_of_ansible_are_read(tmp_path: Path) -> None:
    """YAML's C parser takes no subclass of text."""
    text = Tagged("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}")
    renderer = render.Renderer(tmp_path, tmp_path, "v1.36.0", catalogue())
    rendered = renderer.render({"name": "part", "namespace": "home", "render": {"objects": text, "resources": [text]}})
    assert [obj["metadata"]["name"] for obj in (*rendered.objects, *rendered.resources)] == ["c", "c"]


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        ({"charts": [{"name": "c", "release": "c"}]}, "the bundle has no chart c"),
        ({"manifests": ["m"]}, "the bundle has no manifests m"),
        ({"overlay": "kustomize/none"}, "there is no overlay"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, recipe: Object, why: str) -> None:
    renderer = render.Renderer(tmp_path, tmp_path, "v1.36.0", catalogue())
    with pytest.raises(render.RenderError, match=f"part: {why}"):
        renderer.render({"name": "part", "namespace": "home", "render": recipe})


def test_tool_that_fails_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "charts" / "part" / "c").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    helm = tmp_path / "bin" / "helm"
    helm.write_text("#!/bin/sh\necho 'values do not fit' >&2\nexit 3\n")
    helm.chmod(0o755)
    renderer = render.Renderer(tmp_path, tmp_path, "v1.36.0", catalogue())
    with pytest.raises(render.RenderError, match=r"template c .*failed: values do not fit"):
        renderer.render({"name": "part", "namespace": "n", "render": {"charts": [{"name": "c", "release": "c"}]}})


def test_cleaning_takes_what_the_server_writes_and_says_who_made_it() -> None:
    cleaned = render.clean(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", "creationTimestamp": None, "annotations": None, "labels": {"a": "b"}},
            "stringData": {"password": "p"},
            "data": {"user": "dQ=="},
            "status": {},
            "immutable": None,
        },
        "part",
    )
    assert cleaned == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "s",
            "labels": {"a": "b", "app.kubernetes.io/managed-by": "kaap", "kaap.infn.it/component": "part"},
        },
        "data": {"user": "dQ==", "password": base64.b64encode(b"p").decode()},
    }


def test_null_of_a_custom_resource_stays() -> None:
    obj = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"limit": None}}
    assert render.clean(obj, "part")["spec"] == {"limit": None}


def workload(kind: str = "Deployment", **spec: Any) -> Object:
    template = {"spec": {"containers": [{"name": "c"}], **spec}}
    inner: Object = {"template": template}
    return {
        "apiVersion": "batch/v1" if kind in {"Job", "CronJob"} else "apps/v1",
        "kind": kind,
        "metadata": {"name": "w", "namespace": "n"},
        "spec": {"jobTemplate": {"spec": inner}} if kind == "CronJob" else inner,
    }


def settings(value: str, kind: str = "ConfigMap", name: str = "settings") -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "n"}, "data": {"key": value}}


def marked(obj: Object, *others: Object) -> str | None:
    copied = copy.deepcopy(obj)
    render.mark_config([copied, *others])
    template = render.pod_template(copied) or {}
    found = (template.get("metadata", {}).get("annotations") or {}).get(render.CONFIG_ANNOTATION)
    return str(found) if found else None


@pytest.mark.parametrize(
    "spec",
    [
        {"volumes": [{"name": "v", "configMap": {"name": "settings"}}]},
        {"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "settings"}}]}}]},
        {"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "settings"}}]}]},
        {
            "initContainers": [
                {
                    "name": "i",
                    "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "key"}}}],
                }
            ]
        },
    ],
    ids=["volume", "projected", "envFrom", "env of an init container"],
)
@pytest.mark.parametrize("kind", ["Deployment", "CronJob"])
def test_changed_configuration_changes_the_pods_that_read_it(spec: Object, kind: str) -> None:
    obj = workload(kind, **spec)
    one, two = marked(obj, settings("1")), marked(obj, settings("2"))
    assert one and two and one != two
    assert one == marked(obj, settings("1")), "the same configuration gives another digest"


def test_configuration_that_pods_do_not_read_does_not_change_them() -> None:
    obj = workload(volumes=[{"name": "v", "secret": {"secretName": "mine"}}])
    assert marked(obj, settings("1"), settings("2", "Secret", "other")) is None
    assert marked(obj, settings("1", "Secret", "mine")) != marked(obj, settings("2", "Secret", "mine"))
    elsewhere = settings("1", "Secret", "mine")
    elsewhere["metadata"]["namespace"] = "other"
    assert marked(obj, elsewhere) is None


def test_one_replica_is_declared_where_nothing_is_said_unless_an_autoscaler_decides() -> None:
    silent, spoken, scaled = workload(), workload(), workload()
    spoken["spec"]["replicas"] = 3
    scaled["metadata"]["name"] = "scaled"
    scaler = {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "s", "namespace": "n"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}},
    }  # fmt: skip
    render.declare_replicas([silent, spoken, scaled, scaler])
    assert (silent["spec"]["replicas"], spoken["spec"]["replicas"]) == (1, 3)
    assert "replicas" not in scaled["spec"]


def hook(service: str, bundle: str | None = None) -> Object:
    client: Object = {"service": {"name": service, "namespace": "n"}}
    if bundle is not None:
        client["caBundle"] = bundle
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "h"},
        "webhooks": [{"name": "a", "clientConfig": client}],
    }


def test_authority_goes_to_whoever_calls_our_services() -> None:
    conversion = crd()
    conversion["spec"]["conversion"] = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": {"service": {"name": "ours", "namespace": "n"}}},
    }
    aggregated = {
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.x"},
        "spec": {"service": {"name": "ours", "namespace": "n"}, "insecureSkipTLSVerify": True},
    }  # fmt: skip
    ours, theirs, filled, plain = hook("ours", "Cg=="), hook("theirs", "Cg=="), hook("theirs", "eHg="), crd()
    render.inject_bundles([conversion, aggregated, ours, theirs, filled, plain], [("n", "ours")], "PEM")
    bundle = base64.b64encode(b"PEM").decode()
    assert conversion["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"] == bundle
    assert aggregated["spec"] == {"service": {"name": "ours", "namespace": "n"}, "caBundle": bundle}
    assert ours["webhooks"][0]["clientConfig"]["caBundle"] == bundle
    assert "caBundle" not in theirs["webhooks"][0]["clientConfig"]
    assert filled["webhooks"][0]["clientConfig"]["caBundle"] == "eHg="
    assert "conversion" not in plain["spec"]


def test_schemas_come_back_after_the_overlay() -> None:
    one, two = crd(), crd("others.example.org")
    two["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": {"type": "string"}}
    before = copy.deepcopy([one, two])
    schemas = render.take_schemas([one, two])
    assert "schema" not in one["spec"]["versions"][0]
    render.give_schemas([two, one], schemas)
    assert [one, two] == before


def settings_of(value: str, **metadata: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **metadata}, "data": {"key": value}}


def store(tmp_path: Path) -> render.Renderer:
    """A bundle with manifests `all` of component `part`: one ConfigMap and one Namespace."""
    place = tmp_path / "manifests" / "part"
    place.mkdir(parents=True)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "theirs"}}
    (place / "all.yaml").write_text(yaml.safe_dump_all([settings_of("theirs"), namespace]))
    return render.Renderer(tmp_path, tmp_path, "v1.36.0", catalogue())


@pytest.mark.parametrize("as_text", [False, True], ids=["list", "text"])
def test_own_object_takes_the_place_of_theirs(tmp_path: Path, as_text: bool) -> None:
    own = [settings_of("ours"), settings_of("other", name="d", namespace="elsewhere")]
    given: Any = yaml.safe_dump_all(own) if as_text else own
    record = {"name": "part", "namespace": "home", "render": {"manifests": ["all"], "objects": given}}
    made = store(tmp_path).render(record).objects
    assert [(obj["kind"], obj["metadata"], obj.get("data", {}).get("key")) for obj in made] == [
        ("ConfigMap", {"name": "c", "namespace": "home"}, "ours"),
        ("Namespace", {"name": "theirs"}, None),
        ("ConfigMap", {"name": "d", "namespace": "elsewhere"}, "other"),
    ]


def test_own_object_of_another_namespace_replaces_nothing(tmp_path: Path) -> None:
    own = [settings_of("ours", namespace="elsewhere")]
    record = {"name": "part", "namespace": "home", "render": {"manifests": ["all"], "objects": own}}
    made = store(tmp_path).render(record).objects
    assert [obj["data"]["key"] for obj in made if obj["kind"] == "ConfigMap"] == ["theirs", "ours"]


def test_own_object_given_twice_is_left_for_the_check_of_duplicates() -> None:
    assert len(render.replaced([], [settings_of("a"), settings_of("b")])) == 2


def test_dropped_objects_are_left_out(tmp_path: Path) -> None:
    renderer = store(tmp_path)
    recipe = {"manifests": ["all"], "drop": [{"kind": "ConfigMap", "name": "c", "namespace": "home"}]}
    made = renderer.render({"name": "part", "namespace": "home", "render": recipe}).objects
    assert [obj["kind"] for obj in made] == ["Namespace"]
    recipe["drop"] = [{"kind": "ConfigMap", "name": "gone"}]
    with pytest.raises(render.RenderError, match=r"part: release/components/part.yml: render.drop\[0\]: .*matches not"):
        renderer.render({"name": "part", "namespace": "home", "render": recipe})


def test_merge_patch_gets_the_names_that_kustomize_wants() -> None:
    objects = [settings_of("x")]
    target = {"kind": "ConfigMap", "name": "c"}
    whole = render.written({"target": target, "patch": {"data": {"key": "y"}}}, objects)
    assert whole["target"] == target
    assert yaml.safe_load(whole["patch"]) == {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "any"}, "data": {"key": "y"},
    }  # fmt: skip
    steps = [{"op": "remove", "path": "/data/key"}]
    assert yaml.safe_load(render.written({"target": target, "patch": steps}, objects)["patch"]) == steps
    assert render.written({"target": target, "patch": "- {op: x}"}, objects)["patch"] == "- {op: x}"
