"""Components from git on a real API server: packed, rendered and applied by the code that does it for the release.

The repositories are the tests' own, with the traps of the real ones; each trap is passed by, and each has its red case,
in which the record lacks what gets by it. Nothing reaches the cluster then.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import apply, constants, image_scan, pack, release, waves
from ansible_collections.infn.kaap.plugins.module_utils.image_scan import Image
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, Resource
from ansible_collections.infn.kaap.plugins.module_utils.render import Renderer, RenderError

from tests import git_repositories
from tests.integration.test_components import _everything
from tests.release import rendering
from tests.unit.release_tree import make

Object = dict[str, Any]

NAMES = ("gadget", "widgets")
DEPLOYMENT = Resource("apps", "v1", "Deployment", "deployments", True)
JOB = Resource("batch", "v1", "Job", "jobs", True)
WIDGET = Resource("acme.example.org", "v1", "Widget", "widgets", True)
DEFINITION = "widgets.acme.example.org"
KNOWN = constants.Constant("password of the widgets", "widgets123", "widgets")
NOON = "2026-01-01T12:00:00Z"


class Kubelet(threading.Thread):
    """Reports Deployments as running and Jobs as over: what a cluster's controllers and kubelets would do."""

    def __init__(self, client: KubeClient, namespaces: Sequence[str] = NAMES) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.namespaces = namespaces
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.1):
            for resource in (DEPLOYMENT, JOB):
                for obj in self.client.list(resource)[0]:
                    self.report(resource, obj)

    def report(self, resource: Resource, obj: Object) -> None:
        metadata, status = obj["metadata"], obj.get("status") or {}
        if metadata["namespace"] not in self.namespaces or metadata.get("deletionTimestamp"):
            return
        if resource is JOB:
            told = status.get("conditions")
            reached = [
                {"type": kind, "status": "True", "lastTransitionTime": NOON}
                for kind in ("SuccessCriteriaMet", "Complete")
            ]
            wanted = {"startTime": NOON, "completionTime": NOON, "succeeded": 1, "conditions": reached}
        else:
            told = status.get("observedGeneration") == metadata["generation"]
            counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
            wanted = {"observedGeneration": metadata["generation"], **counts}
        if not told:
            path = resource.path(metadata["namespace"], metadata["name"]) + "/status"
            # It may be deleted at this moment: the answer does not matter.
            body = json.dumps({"status": wanted}).encode()
            self.client.raw("PATCH", path, body=body, content_type="application/merge-patch+json")


class House:
    """A release of components from git, and the cluster that they go to."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        self.folder = folder
        self.kubeconfig = kubeconfig
        self.upstream = git_repositories.upstream(folder / "upstream")
        self.releases = 0

    def records(self, version: int = 0) -> dict[str, Object]:
        """The components at a version of ``widgets``, by name, and their sources; all may be changed before use."""
        found = self.upstream.records(version)
        return {("source " if record["kind"] == "source" else "") + record["name"]: record for record in found}

    def prepare(self, records: dict[str, Object]) -> tuple[apply.Cluster, list[list[Object]]]:
        """Pack a release; a cluster with its renderer, and the components in waves."""
        self.releases += 1
        place = self.folder / f"release-{self.releases}"
        root = make(place / "repository", *records.values())
        wanted = release.select(release.load(root), "full")
        bundle = rendering.packed(root, place / "cache", wanted)
        client = self.client()
        renderer = Renderer(bundle, root, client.version(), client.catalogue)
        options = apply.Options(diff=True, timeout=60)
        cluster = apply.Cluster(client, options, state_dir=self.folder / "state", renderer=renderer)
        selection = waves.select([record for record in wanted.values() if record["kind"] == "component"], "full")
        return cluster, [[wanted[name] for name in wave] for wave in waves.order(selection)]

    def install(self, records: dict[str, Object]) -> dict[str, apply.Result]:
        """What the phase platform does: look ahead over all waves, then install one after the other."""
        cluster, order = self.prepare(records)
        refused = cluster.look_ahead([record for wave in order for record in wave])
        results = refused or [result for wave in order for result in cluster.install(wave)]
        return {result.component: result for result in results}

    def installed(self, records: dict[str, Object]) -> dict[str, apply.Result]:
        """The same, without an error."""
        results = self.install(records)
        assert {name: result.error for name, result in results.items()} == dict.fromkeys(NAMES, "")
        return results

    def client(self) -> KubeClient:
        client = KubeClient.from_kubeconfig(self.kubeconfig)
        client.discover()
        return client

    def remove(self) -> None:
        """Remove everything, through the engine."""
        options = apply.Options(timeout=60)
        cluster = apply.Cluster(self.client(), options, state_dir=self.folder / "state")
        results = cluster.remove(sorted(set(cluster.inventories) & set(NAMES)))
        assert [result.error for result in results if result.error] == []


@pytest.fixture
def house(kubeconfig: Path, tmp_path: Path, client: KubeClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    house = House(tmp_path, kubeconfig)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(house.upstream.gitconfig))
    kubelet = Kubelet(client)
    kubelet.start()
    try:
        yield house
    finally:
        house.remove()
        kubelet.ended.set()
        kubelet.join()


@pytest.fixture
def untouched(house: House, client: KubeClient) -> Iterator[None]:
    """Nothing of the component with the traps is on the cluster at the end."""
    yield
    assert client.get(apply.NAMESPACE, "", "widgets") is None
    assert "widgets" not in apply.read_inventories(client)


def gadget_needs_widgets(records: dict[str, Object]) -> dict[str, Object]:
    """Two waves instead of one."""
    records["gadget"]["needs"] = ["widgets"]
    return records


def test_one_pass_then_nothing_to_change_then_nothing_left(house: House, client: KubeClient) -> None:
    before = _everything(client)
    records = gadget_needs_widgets(house.records())
    _, order = house.prepare(records)
    assert [[record["name"] for record in wave] for wave in order] == [["widgets"], ["gadget"]]
    # What is said to be there, and is not, is named with its fix; it is there once its definition is.
    provided = {"widgets": {"version": "1.0.0", "definitions": [DEFINITION]}}
    (missing,) = apply.missing_definitions(client, provided)
    assert missing == (
        f"kaap_components.widgets.provided: `True` but the cluster does not serve {DEFINITION}; "
        "install widgets 1.0.0 there, or take provided out and it is installed"
    )
    first = house.installed(records)
    assert apply.missing_definitions(client, provided) == []
    assert not any(result.updated or result.replaced or result.taken_back for result in first.values())
    # What stood before its definition in upstream's file is there, and what the record drops is not.
    assert client.get(WIDGET, "widgets", "first") is not None
    assert client.get(apply.SECRET, "widgets", "widgets-login") is None
    second = house.installed(records)
    assert {name: result.diffs for name, result in second.items() if result.changed} == {}
    house.remove()
    assert _everything(client) == before


def test_immutable_field_of_the_next_version_is_refused_before_anything_is_sent(
    house: House, client: KubeClient
) -> None:
    house.installed(house.records())
    changed = house.records(2)
    # This alone could be changed, and comes in an earlier wave.
    changed["gadget"]["render"]["charts"][0]["values"] = {"database": {"enabled": False}}
    changed["gadget"]["version"] = "1.0.1"
    changed["widgets"]["needs"] = ["gadget"]
    before = client.get(JOB, "widgets", "migrate")
    results = house.install(changed)
    assert list(results) == ["widgets"]
    refused = results["widgets"].error
    assert "Deployment widgets/widgets-controller: spec.selector" in refused
    assert "app.kubernetes.io/name" in refused
    assert "kubectl --namespace widgets delete deployment.apps widgets-controller" in refused
    assert not any(result.changed for result in results.values())
    assert client.get(JOB, "widgets", "migrate") == before
    # With a patch that keeps the old selector the rest of that version goes in: its Job is made again.
    selector: Object = {"matchLabels": {"app": "widgets-controller", "app.kubernetes.io/name": None}}
    labels = {"metadata": {"labels": {"app": "widgets-controller"}}}
    patch = {"spec": {"selector": selector, "template": labels}}
    target = {"kind": "Deployment", "name": "widgets-controller"}
    changed["widgets"]["render"]["patches"].append({"target": target, "patch": patch})
    after = house.installed(changed)
    assert after["widgets"].replaced == ["Job widgets/migrate"]
    assert not any(result.changed for result in house.installed(changed).values())


@pytest.mark.usefixtures("untouched")
def test_remote_base_that_is_not_given_stops_the_pack(house: House) -> None:
    records = house.records()
    del records["widgets"]["sources"]["git"]["remote_bases"][git_repositories.RELEASE_FILE]
    with pytest.raises(pack.PackError, match=rf"widgets.*{git_repositories.RELEASE_FILE}"):
        house.install(records)


@pytest.mark.usefixtures("untouched")
def test_patch_that_the_next_version_no_longer_matches_stops_the_installation(house: House) -> None:
    results = house.install(house.records(1))
    assert "render.patches[0]: target Deployment widgets-controller matches nothing" in results["widgets"].error


@pytest.mark.usefixtures("untouched")
def test_drop_that_matches_nothing_stops_the_rendering(house: House) -> None:
    records = house.records()
    records["widgets"]["render"]["drop"].append({"kind": "Secret", "name": "widgets-passwords"})
    cluster, _ = house.prepare(records)
    assert cluster.renderer
    with pytest.raises(RenderError, match=r"render.drop\[1\]: target Secret widgets-passwords matches nothing"):
        cluster.renderer.render(records["widgets"])


def test_custom_resource_without_its_definition_is_named(house: House, client: KubeClient) -> None:
    records = house.records()
    records["widgets"]["render"]["drop"].append({"kind": "CustomResourceDefinition", "name": DEFINITION})
    results = house.install(records)
    assert "serves no Widget of acme.example.org/v1" in results["widgets"].error
    assert client.get(apply.DEFINITION, "", DEFINITION) is None


@pytest.mark.usefixtures("untouched")
def test_hidden_images_and_known_passwords_are_found_in_what_is_rendered(house: House) -> None:
    records = house.records()
    cluster, _ = house.prepare(records)
    assert cluster.renderer
    objects = cluster.renderer.render(records["widgets"]).objects
    locked = {Image(image["name"], image["tag"]) for image in records["widgets"]["images"]}
    assert {mention.image for mention in image_scan.scan(objects, "widgets")} == locked
    assert constants.survivors(objects, [KNOWN]) == []
    # Each of them hides in a place of its own: without it the scan finds one less.
    hidden = {"renderer": "ConfigMap", "painter": "Widget", "worker": "Deployment", "helper": "Deployment"}
    for name, kind in hidden.items():
        rest = [obj for obj in objects if obj["kind"] != kind]
        assert f"docker.io/acme/{name}" not in {mention.image.name for mention in image_scan.scan(rest, "widgets")}
    records["widgets"]["render"]["drop"] = []
    cluster, _ = house.prepare(records)
    assert cluster.renderer
    (found,) = constants.survivors(cluster.renderer.render(records["widgets"]).objects, [KNOWN])
    assert str(found).startswith("Secret widgets/widgets-login: stringData.password")
