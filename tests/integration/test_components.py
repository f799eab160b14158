"""The components engine against a real API server."""

from __future__ import annotations

import base64
import copy
import datetime
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import apply, certificates, objects, rehearsing
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, Resource
from ansible_collections.infn.kaap.plugins.module_utils.render import Renderer

Object = dict[str, Any]

CONFIG_MAP = apply.CONFIG_MAP
DEPLOYMENT = Resource("apps", "v1", "Deployment", "deployments", True)
SERVICE = Resource("", "v1", "Service", "services", True)


def config_map(name: str, namespace: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def definition(group: str, plural: str = "widgets", kind: str = "Widget") -> Object:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {"size": {"type": "integer", "default": 3}, "colour": {"type": "string"}},
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "creationTimestamp": None},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
        "status": {"conditions": [], "storedVersions": []},
    }


def widget(group: str, name: str, namespace: str, **spec: Any) -> Object:
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def deployment(name: str, namespace: str) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [
                        {"name": "main", "image": "example.org/none:1", "env": [{"name": "A", "value": "b"}]}
                    ],
                    "volumes": [{"name": "settings", "configMap": {"name": "settings"}}],
                },
            },
        },
    }


class House:
    """A bundle that holds manifests only, and the records that use them."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig = kubeconfig
        self.folder = folder
        self.name = f"part-{uuid.uuid4().hex[:6]}"

    def record(self, manifests: list[Object], **more: Any) -> Object:
        name = str(more.get("name", self.name))
        place = self.folder / "bundle" / "manifests" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "all.yaml").write_text(yaml.safe_dump_all(manifests))
        render = {"manifests": ["all"], "resources": more.pop("resources", [])}
        return {"name": name, "version": "1.0.0", "namespace": name, "render": render, **more}

    def cluster(self, *, check: bool = False, timeout: float = 20, delete_data: bool = False) -> apply.Cluster:
        client = KubeClient.from_kubeconfig(self.kubeconfig)
        client.discover()
        options = apply.Options(check=check, diff=True, timeout=timeout, delete_data=delete_data)
        renderer = Renderer(self.folder / "bundle", self.folder, client.version(), client.catalogue)
        return apply.Cluster(client, options, state_dir=self.folder / "state", renderer=renderer)

    def install(self, record: Object, **how: Any) -> apply.Result:
        return self.cluster(**how).install([record])[0]

    def installed(self, record: Object, **how: Any) -> apply.Result:
        result = self.install(record, **how)
        assert result.error == ""
        return result


@pytest.fixture
def house(kubeconfig: Path, tmp_path: Path) -> Iterator[House]:
    house = House(kubeconfig, tmp_path)
    yield house
    # Every test removes what it made, through the engine itself; what is left then is a defect of it.
    cluster = house.cluster(delete_data=True)
    results = cluster.remove(sorted(name for name in cluster.inventories if name.startswith(house.name)))
    assert [result.error for result in results if result.error] == []
    namespaces, _ = cluster.client.list(apply.NAMESPACE)
    assert not [one for one in namespaces if one["metadata"]["name"].startswith(house.name)]


def group_for(house: House) -> str:
    return f"{house.name}.example.org"


def test_definitions_go_before_their_objects_and_a_second_run_changes_nothing(house: House) -> None:
    group, place = group_for(house), house.name
    # In the worst order: the object first, its definition last.
    record = house.record(
        [
            widget(group, "one", place, colour="red"),
            config_map("settings", place, key="value"),
            {
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"},
                "spec": {"selector": {"app": "server"}, "ports": [{"port": 80}]},
            },
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "p"}},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": place},
                "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
            },
            definition(group),
        ],
        resources=[widget(group, "two", place, colour="blue")],
        ready=[{"api": f"{group}/v1", "kind": "Widget", "name": "two", "field": {"path": "spec.size", "value": 3}}],
    )  # fmt: skip
    first = house.installed(record)
    assert len(first.created) == 8  # the namespace is made, too
    second = house.installed(record)
    assert not second.changed, second.diffs
    assert not house.installed(record, check=True).changed


def test_what_outlives_its_component_is_no_change_either(house: House) -> None:
    """It is not in the inventory, which says of the others that they were there before."""
    kept = config_map("kept", house.name, key="value")
    kept["metadata"]["annotations"] = {"kaap.infn.it/keep": "true"}
    record = house.record([kept])
    assert house.installed(record).created
    second = house.installed(record)
    assert not second.changed, second.updated


def test_drift_of_a_declared_field_is_set_back_and_told(house: House, client: KubeClient) -> None:
    record = house.record([config_map("settings", house.name, key="value")])
    house.installed(record)
    path = CONFIG_MAP.path(house.name, "settings")
    change = {"data": {"key": "hand-made", "more": "theirs"}}
    client.call("PATCH", path, {"fieldManager": "somebody"}, change, content_type="application/merge-patch+json")
    result = house.installed(record)
    assert result.updated == [f"ConfigMap {house.name}/settings"]
    assert "somebody" in result.taken_back[0] and ".data.key" in result.taken_back[0]
    live = client.get(CONFIG_MAP, house.name, "settings")
    assert live and live["data"] == {"key": "value", "more": "theirs"}


def test_fields_that_a_controller_fills_in_are_left_alone(house: House, client: KubeClient) -> None:
    hook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": house.name},
        "webhooks": [
            {
                "name": "none.example.org", "sideEffects": "None", "admissionReviewVersions": ["v1"], "rules": [],
                "clientConfig": {"url": "https://127.0.0.1:1/none", "caBundle": "Cg=="},
            }
        ],
    }  # fmt: skip
    record = house.record([hook])
    house.installed(record)
    kind = client.catalogue.need("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
    authority = certificates.ensure_authority(house.folder / "other")
    bundle = base64.b64encode(authority.pem.encode()).decode()
    client.call(
        "PATCH", kind.path("", house.name), {"fieldManager": "its-controller"},
        [{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": bundle}],
        content_type="application/json-patch+json",
    )  # fmt: skip
    result = house.installed(record)
    assert not result.changed, result.diffs
    live = client.get(kind, "", house.name)
    assert live and live["webhooks"][0]["clientConfig"]["caBundle"] == bundle


def test_immutable_field_is_named(house: House) -> None:
    house.installed(house.record([{**SERVICE_OBJECT, "spec": {**SERVICE_OBJECT["spec"], "clusterIP": "10.96.7.7"}}]))
    changed = house.record([{**SERVICE_OBJECT, "spec": {**SERVICE_OBJECT["spec"], "clusterIP": "10.96.7.8"}}])
    result = house.install(changed)
    assert f"Service {house.name}/server: spec.clusterIPs[0] is " in result.error
    assert '"10.96.7.7", wanted ["10.96.7.8"]' in result.error
    assert f"kubectl --namespace {house.name} delete service server" in result.error


def test_immutable_field_of_any_component_is_found_before_anything_is_sent(house: House, client: KubeClient) -> None:
    def records(ip: str, value: str, storage_class: str) -> list[Object]:
        first = house.record([config_map("settings", house.name, key=value)])
        spec = {
            "serviceName": "none", "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "main", "image": f"example.org/none:{value}"}]},
            },
            "volumeClaimTemplates": [
                {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"], "storageClassName": storage_class,
                        "resources": {"requests": {"storage": "1Gi"}},
                    },
                }
            ],
        }  # fmt: skip
        other = f"{house.name}-two"
        stateful = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "store"}, "spec": spec}
        service = {**SERVICE_OBJECT, "spec": {**SERVICE_OBJECT["spec"], "clusterIP": ip}}
        second = house.record([service, stateful], name=other, namespace=other, needs=[house.name])
        return [first, second]

    before = records("10.96.7.17", "old", "fast")
    cluster = house.cluster(timeout=1)
    assert cluster.install(before[:1])[0].error == ""
    # Nothing makes its pods here: that it is not ready does not matter to what follows.
    assert "StatefulSet" in cluster.install(before[1:])[0].error
    after = records("10.96.7.18", "new", "slow")
    (found,) = house.cluster().look_ahead(after)
    assert found.component == f"{house.name}-two"
    service, stateful = found.error.splitlines()
    assert f'Service {house.name}-two/server: spec.clusterIPs[0] is "10.96.7.17", wanted ["10.96.7.18"]' in service
    # The image may change, and so is not named.
    assert f"StatefulSet {house.name}-two/store: spec.volumeClaimTemplates.0.spec.storageClassName" in stateful
    assert 'is "fast", wanted "slow"' in stateful and "image" not in stateful
    assert f"kubectl --namespace {house.name}-two delete statefulset.apps store --cascade=orphan" in stateful
    # In one call: neither component was touched, also not the one that could be changed.
    results = house.cluster().install(after)
    assert [bool(result.error) for result in results] == [False, True]
    assert not any(result.changed for result in results)
    live = client.get(CONFIG_MAP, house.name, "settings")
    assert live and live["data"] == {"key": "old"}
    # A change that can be made is no reason to stop.
    assert house.cluster().look_ahead(records("10.96.7.17", "new", "fast")) == []


def test_a_custom_resource_may_forbid_changes_too(house: House) -> None:
    group = group_for(house)
    defined = definition(group)
    size = defined["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["size"]
    size["x-kubernetes-validations"] = [{"rule": "self == oldSelf", "message": "Value is immutable"}]
    house.installed(house.record([defined, widget(group, "one", house.name, size=1)]))
    changed = house.record([defined, config_map("new", house.name), widget(group, "one", house.name, size=2)])
    result = house.install(changed)
    assert f"Widget {house.name}/one: spec.size is 1, wanted 2" in result.error
    assert not result.created


def test_a_component_that_nothing_changed_about_is_not_rendered_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = house.record([config_map("settings", house.name, key="value")])
    house.installed(record)
    kept = house.folder / "state" / "recipes.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    cluster = house.cluster()
    asked: list[str] = []
    monkeypatch.setattr(cluster.renderer, "render", lambda record: asked.append(record["name"]))
    assert cluster.look_ahead([record]) == [] and asked == []
    with pytest.raises(AttributeError):  # the stand-in renders nothing
        cluster.look_ahead([{**record, "version": "1.0.1"}])
    assert asked == [house.name]


SERVICE_OBJECT: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "server"},
    "spec": {"selector": {"app": "server"}, "ports": [{"port": 80}]},
}


def test_what_is_safe_to_make_again_is_made_again(house: House, client: KubeClient) -> None:
    def binding(role: str) -> Object:
        return {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": house.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [],
        }

    house.installed(house.record([binding("view")]))
    checked = house.installed(house.record([binding("edit")]), check=True)
    assert checked.replaced == [f"ClusterRoleBinding {house.name}"]
    result = house.installed(house.record([binding("edit")]))
    assert result.replaced == [f"ClusterRoleBinding {house.name}"]
    live = client.get(client.catalogue.need("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), "", house.name)
    assert live and live["roleRef"]["name"] == "edit"


def test_check_mode_says_what_would_change_and_changes_nothing(house: House, client: KubeClient) -> None:
    group, place = group_for(house), house.name
    manifests = [definition(group), config_map("settings", place, key="old"), widget(group, "one", place)]
    record = house.record(manifests)
    assert len(house.installed(record, check=True).created) == 4
    assert client.get(apply.NAMESPACE, "", place) is None
    house.installed(record)
    changed = house.record([definition(group), config_map("settings", place, key="new"), widget(group, "two", place)])
    result = house.installed(changed, check=True)
    assert result.updated == [f"ConfigMap {place}/settings"]
    assert result.created == [f"Widget {place}/two"]
    assert result.deleted == [f"Widget {place}/one"]
    shown = next(diff for diff in result.diffs if diff["after_header"] == f"ConfigMap {place}/settings")
    assert "key: old" in shown["before"] and "key: new" in shown["after"]
    live = client.get(CONFIG_MAP, place, "settings")
    assert live and live["data"] == {"key": "old"}
    assert [item["metadata"]["name"] for item in client.list(Resource(group, "v1", "Widget", "widgets", True))[0]] == [
        "one"
    ]


def test_secret_values_are_not_shown(house: House) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    result = house.installed(house.record([secret]))
    text = json.dumps(result.diffs)
    assert "password" in text and "sha256:" in text
    assert "hunter2" not in text and "aHVudGVyMg==" not in text


def test_what_is_no_longer_part_of_it_is_deleted(house: House, client: KubeClient) -> None:
    place = house.name
    house.installed(house.record([config_map("one", place, a="b"), config_map("two", place, a="b")]))
    result = house.installed(house.record([config_map("one", place, a="b")]))
    assert result.deleted == [f"ConfigMap {place}/two"]
    assert client.get(CONFIG_MAP, place, "two") is None
    assert client.get(CONFIG_MAP, place, "one") is not None


def test_one_error_does_not_hide_another(house: House) -> None:
    bad = [{**config_map(name, house.name), "data": {"not a key!": "x"}} for name in ("bad-one", "bad-two")]
    result = house.install(house.record([*bad, config_map("good", house.name)]))
    assert "bad-one" in result.error and "bad-two" in result.error


def test_unknown_kind_is_named(house: House) -> None:
    result = house.install(house.record([widget("nobody.example.org", "one", house.name)]))
    assert result.error == "the cluster serves no Widget of nobody.example.org/v1"


SCRIPT = """
import sys
from pathlib import Path
from tests.integration import test_components as t
house = t.House(Path(sys.argv[1]), Path(sys.argv[2]))
house.name = sys.argv[3]
house.install(house.record([t.config_map(f"map-{n}", house.name, a="b") for n in range(600)]))
"""


def test_killed_run_leaves_nothing_that_is_not_known(house: House, client: KubeClient, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'collections'}:{root}"}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(house.kubeconfig), str(tmp_path), house.name], env=environment, cwd=root
    )
    deadline = time.monotonic() + 30
    while len(_maps(client, house.name)) < 30:
        assert time.monotonic() < deadline and process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = _maps(client, house.name)
    assert 30 <= len(left) < 600, "the run was not killed half-way"
    result = house.installed(house.record([config_map("map-1", house.name, a="b")]))
    assert len(result.deleted) >= 29
    assert _maps(client, house.name) == ["map-1"]


def _maps(client: KubeClient, namespace: str) -> list[str]:
    items, _ = client.list(CONFIG_MAP, namespace, labels="app.kubernetes.io/managed-by=kaap")
    return [item["metadata"]["name"] for item in items]


def test_removal_leaves_nothing(house: House, client: KubeClient) -> None:
    group = group_for(house)
    base = house.record([definition(group), config_map("settings", house.name)])
    user = house.record(
        [widget(group, "one", f"{house.name}-user")], name=f"{house.name}-user", namespace=f"{house.name}-user",
        needs=[house.name],
    )  # fmt: skip
    before = _everything(client)
    house.installed(base)
    house.installed(user)
    cluster = house.cluster()
    results = cluster.remove([house.name, user["name"]])
    assert [result.component for result in results] == [user["name"], house.name]
    assert not [result.error for result in results if result.error]
    assert _everything(client) == before


def test_a_finalizer_that_nobody_removes_is_named_and_its_definition_stays(house: House, client: KubeClient) -> None:
    group, place = group_for(house), house.name
    record = house.record(
        [definition(group), widget(group, "held", place), config_map("settings", place)], namespace=place
    )
    house.installed(record)
    kind = Resource(group, "v1", "Widget", "widgets", True)
    path = kind.path(place, "held")

    def finalizers(names: list[str]) -> None:
        client.call(
            "PATCH", path, {"fieldManager": "its-controller"}, {"metadata": {"finalizers": names}},
            content_type="application/merge-patch+json",
        )  # fmt: skip

    finalizers(["example.org/give-the-disk-back"])
    (result,) = house.cluster(timeout=2).remove([place])
    assert f"Widget {place}/held" in result.error
    assert "held by finalizer example.org/give-the-disk-back" in result.error
    # The controller that shall remove it still has all that it needs.
    assert client.get(CONFIG_MAP, place, "settings") is not None
    assert client.get(apply.DEFINITION, "", f"widgets.{group}") is not None
    # It removes it: the next run goes on from there.
    finalizers([])
    assert house.cluster(timeout=10).remove([place])[0].error == ""
    assert client.get(apply.DEFINITION, "", f"widgets.{group}") is None


def _everything(client: KubeClient) -> set[str]:
    fresh = KubeClient(client.server, None, {})
    fresh.__dict__.update({key: value for key, value in client.__dict__.items() if key != "catalogue"})
    fresh.catalogue = type(client.catalogue)()
    fresh.discover()
    skip = {"Event", "Lease", "APIService", "ComponentStatus"}
    found = set()
    for resource in list(fresh.catalogue._kinds.values()):
        if resource.kind in skip or "/" in resource.plural:
            continue
        status, data = fresh.raw("GET", resource.path())
        if status == 200:
            found |= {
                f"{resource.plural}/{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
                for item in json.loads(data).get("items") or []
            }
    return {name for name in found if "kaap-system" not in name}


def test_objects_that_users_made_are_not_lost_silently(house: House, client: KubeClient) -> None:
    group = group_for(house)
    house.installed(house.record([definition(group)]))
    kind = Resource(group, "v1", "Widget", "widgets", True)
    client.call("POST", kind.path("default"), body=widget(group, "mine", "default"))
    with pytest.raises(apply.ComponentError, match=r"Widget default/mine; set kaap_delete_data=true"):
        house.cluster().remove([house.name])
    # The same when only the definition is taken out.
    result = house.install(house.record([config_map("settings", house.name)]))
    assert "Widget default/mine" in result.error
    assert client.get(kind, "default", "mine") is not None


def test_volumes_are_not_deleted_without_a_word(house: House, client: KubeClient) -> None:
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }  # fmt: skip
    house.installed(house.record([claim, config_map("settings", house.name)]))
    with pytest.raises(apply.ComponentError, match=rf"PersistentVolumeClaim {house.name}/data"):
        house.cluster().remove([house.name])
    result = house.install(house.record([config_map("settings", house.name)]))
    assert f"PersistentVolumeClaim {house.name}/data" in result.error
    assert client.get(apply.CLAIM, house.name, "data") is not None
    assert house.cluster(delete_data=True).remove([house.name])[0].error == ""


def test_kept_object_outlives_its_component(house: House, client: KubeClient) -> None:
    name = f"kept-{house.name}"
    kept = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "annotations": {objects.KEEP_ANNOTATION: "true"}},
    }
    house.installed(house.record([kept]))
    house.cluster().remove([house.name])
    assert client.get(apply.NAMESPACE, "", name) is not None
    client.delete(apply.NAMESPACE, "", name)


def test_namespace_of_two_components_goes_with_the_last(house: House, client: KubeClient) -> None:
    place = house.name
    one = house.record([config_map("one", place)])
    two = house.record([config_map("two", place)], name=f"{place}-two", namespace=place)
    house.installed(one)
    house.installed(two)
    assert not house.cluster().remove([house.name])[0].error
    assert client.get(CONFIG_MAP, place, "two") is not None
    assert client.get(CONFIG_MAP, place, "one") is None
    assert not house.cluster().remove([f"{place}-two"])[0].error
    assert client.get(apply.NAMESPACE, "", place) is None


def _play_kubelet(client: KubeClient, namespace: str, name: str, after: float) -> threading.Thread:
    """Report a Deployment as running, as its controllers and a kubelet would."""

    def report() -> None:
        deadline = time.monotonic() + 20
        while (live := client.get(DEPLOYMENT, namespace, name)) is None:
            assert time.monotonic() < deadline
        time.sleep(after)
        status = {
            "observedGeneration": live["metadata"]["generation"], "replicas": 1, "updatedReplicas": 1,
            "readyReplicas": 1, "availableReplicas": 1,
        }  # fmt: skip
        client.call(
            "PATCH", DEPLOYMENT.path(namespace, name) + "/status", body={"status": status},
            content_type="application/merge-patch+json",
        )  # fmt: skip

    thread = threading.Thread(target=report)
    thread.start()
    return thread


def test_custom_resources_wait_for_the_server(house: House, client: KubeClient) -> None:
    group, place = group_for(house), house.name
    record = house.record(
        [
            definition(group),
            widget(group, "one", place),
            deployment("server", place),
            config_map("settings", place, a="1"),
        ]
    )
    thread = _play_kubelet(client, place, "server", after=1.0)
    result = house.installed(record)
    thread.join()
    assert result.phases["ready"] >= 1.0
    live = client.get(Resource(group, "v1", "Widget", "widgets", True), place, "one")
    server = client.get(DEPLOYMENT, place, "server")
    assert live and server
    made, started = (datetime.datetime.fromisoformat(o["metadata"]["creationTimestamp"]) for o in (live, server))
    assert made - started >= datetime.timedelta(seconds=1)
    assert not house.installed(record).changed
    # Changed configuration makes the pods new; nothing else would.
    changed = house.record([*_manifests(record, house)[:3], config_map("settings", place, a="2")])
    thread = _play_kubelet(client, place, "server", after=0.5)
    thread.join()
    again = house.install(changed, timeout=3)
    assert f"Deployment {place}/server" in again.updated
    assert "its controller has not seen the latest change yet" in again.error


def _manifests(record: Object, house: House) -> list[Object]:
    text = (house.folder / "bundle" / "manifests" / record["name"] / "all.yaml").read_text()
    return list(yaml.safe_load_all(text))


def test_timeout_says_what_it_waits_for(house: House, client: KubeClient) -> None:
    record = house.record([deployment("server", house.name)])
    result = house.install(record, timeout=2)
    assert f"Deployment {house.name}/server: its controller has not seen the latest change yet" in result.error
    assert "it has no pod" in result.error
    # The next run goes on from there.
    thread = _play_kubelet(client, house.name, "server", after=0.1)
    assert not house.installed(record).changed
    thread.join()


def test_a_workload_declared_without_replicas_holds_nobody_up(house: House) -> None:
    asleep = deployment("adapter", house.name)
    asleep["spec"]["replicas"] = 0
    assert house.installed(house.record([asleep]), timeout=5).created


def test_a_rehearsal_tells_what_is_refused_and_leaves_out_what_needs_a_server(house: House, client: KubeClient) -> None:
    group, place = group_for(house), house.name
    made_later = {"api": "storage.k8s.io/v1", "kind": "StorageClass", "name": place, "condition": "Ready"}
    record = house.record(
        [definition(group), widget(group, "good", place), widget(group, "bad", place, size="large")], ready=[made_later]
    )
    whole = house.cluster()
    rehearsal = rehearsing.Rehearsal(whole.client, whole.options, state_dir=whole.state_dir, renderer=whole.renderer)
    assert [result.error for result in rehearsal.install([record])] == [""]
    outcome = json.loads((whole.state_dir / rehearsing.OUTCOMES / f"{place}.json").read_text())
    (refused,) = outcome["refused"]
    assert refused["object"] == f"Widget {place}/bad" and "spec.size" in refused["why"]
    assert client.get(Resource(group, "v1", "Widget", "widgets", True), place, "good") is not None
    # Its controller would make it, which is no fault of the platform.
    assert [entry["object"] for entry in outcome["left_out"]] == [f"readiness of StorageClass {place}"]
    assert outcome["not_ready"] == []
    client.delete(rehearsing.STORAGE_CLASS, "", rehearsing.SIMULATED_CLASS)


def _host_address() -> str:
    """An address of this machine that is not loopback; endpoints may not be."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


def _make_pod(client: KubeClient, namespace: str, name: str, address: str) -> None:
    """A pod with an address: the API server's proxy talks to nothing else."""
    pods = Resource("", "v1", "Pod", "pods", True)
    # As the namespaces of components want pods: Pod Security restricted.
    container = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    spec = {
        "containers": [{"name": "main", "image": "example.org/none:1", "securityContext": container}],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "automountServiceAccountToken": False,
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
    client.call("POST", pods.path(namespace), body=pod)
    client.call(
        "PATCH", pods.path(namespace, name) + "/status",
        body={"status": {"podIP": address, "podIPs": [{"ip": address}], "phase": "Running"}},
        content_type="application/merge-patch+json",
    )  # fmt: skip


class _Hook(http.server.BaseHTTPRequestHandler):
    """A webhook server that allows everything but what is called forbidden."""

    asked: list[str] = []  # noqa: RUF012 - shared by the server's threads on purpose

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = review["request"].get("name", "")
        self.asked.append(name)
        response = {"uid": review["request"]["uid"], "allowed": name != "forbidden"}
        body = json.dumps(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def serve() -> Iterator[Callable[[Object, str], int]]:
    """Starts the webhook server with the certificate of a Secret."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(secret: Object, address: str, port: int = 0) -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(b"".join(base64.b64decode(secret["data"][key]) for key in ("tls.crt", "tls.key")))
            pair.flush()
            context.load_cert_chain(pair.name)
        server = http.server.ThreadingHTTPServer((address, port), _Hook)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_webhook_is_asked_before_it_can_refuse_anything(
    house: House, client: KubeClient, serve: Callable[..., int]
) -> None:
    group, place, address = group_for(house), house.name, _host_address()
    with socket.socket() as probe:
        probe.bind((address, 0))
        port = int(probe.getsockname()[1])
    pod_ref = {"kind": "Pod", "namespace": place, "name": "hook"}
    service = {"name": "hook", "namespace": place, "path": "/validate", "port": 443}
    manifests: list[Object] = [
        definition(group),
        widget(group, "one", place),
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook", "namespace": place},
            "spec": {"ports": [{"port": 443, "targetPort": port}]},
        },
        # The API server's proxy reads the one, its webhook calls the other; a cluster's controllers make both.
        {
            "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "hook", "namespace": place},
            "subsets": [
                {"addresses": [{"ip": address, "targetRef": pod_ref}], "ports": [{"port": port, "protocol": "TCP"}]}
            ],
        },
        {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "hook", "namespace": place, "labels": {"kubernetes.io/service-name": "hook"}},
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"port": port, "protocol": "TCP", "name": ""}],
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": place},
            "webhooks": [
                {
                    "name": "widgets.example.org", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                    "failurePolicy": "Fail",
                    "clientConfig": {"service": copy.deepcopy(service), "caBundle": "Cg=="},
                    "rules": [
                        {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["*"]}
                    ],
                }
            ],
        },
    ]  # fmt: skip
    record = house.record(manifests, serving_certificates=[{"secret": "hook-tls", "service": "hook"}])
    kind = client.catalogue.need("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")

    # Its server is down: the configuration is not even sent, so nothing is refused because of it.
    down = house.install(record, timeout=2)
    assert f"webhook {place}/hook/validate is not ready" in down.error
    assert client.get(kind, "", place) is None

    secret = client.get(apply.SECRET, place, "hook-tls")
    assert secret and secret["type"] == "kubernetes.io/tls"
    _Hook.asked.clear()
    serve(secret, address, port)
    _make_pod(client, place, "hook", address)
    result = house.installed(record)
    assert f"Widget {place}/one" in result.created
    # First our question, then, once the configuration is there, the API server's.
    assert _Hook.asked[0] == "kaap-probe" and "one" in _Hook.asked
    again = house.installed(record)
    assert not again.changed, again.diffs
    kept = client.get(apply.SECRET, place, "hook-tls")
    assert kept and kept["data"] == secret["data"], "a good certificate was replaced"
    refused = house.install(
        house.record(
            [*manifests, widget(group, "forbidden", place)], serving_certificates=record["serving_certificates"]
        )
    )
    assert "denied the request" in refused.error
