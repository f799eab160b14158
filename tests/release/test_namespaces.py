"""What release/namespaces.yml says fits what the records render to, in profile core and in profile full.

Profile full is rendered by the playbooks, out of the repositories that KAAP_TEST_GIT_CONFIG leads to, with every
optional component; without that variable it is listed as not run.
"""

from __future__ import annotations

import json

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import namespaces, pod_network, release, render_files
from ansible_collections.infn.kaap.plugins.module_utils.namespaces import Networks
from ansible_collections.infn.kaap.plugins.module_utils.render import Rendered

from tests.pod_security import violations
from tests.release import mirror
from tests.release.reach import Platform
from tests.release.rendering import ROOT
from tests.unit.network import Object, Pod, allowed

INFN_CLOUD = ROOT / "inventories/infn-cloud"
COMPONENTS = {name: record for name, record in release.load(ROOT).items() if record["kind"] == "component"}
RULES = namespaces.load()
NODE = Pod(address="10.89.7.10")
NETWORKS = Networks("10.244.0.0/16", "10.96.0.0/16")
OWNED = {namespaces.MANAGED_LABEL: "kaap"}


@pytest.fixture(scope="module", params=["core", pytest.param("full", marks=mirror.NEEDED)])
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A whole profile."""
    if request.param == "full":
        names = (name for name, record in COMPONENTS.items() if record["profile"] == "optional")
        # The pod network has a setting of its own, which the inventory makes.
        optional = {name: {"enabled": True} for name in names if name != pod_network.COMPONENT}
        chosen = ("-e", json.dumps({"kaap_components": optional}))
        mirror.pack(INFN_CLOUD, *chosen)
        parts = render_files.read(mirror.rendered(INFN_CLOUD, tmp_path_factory.mktemp("full"), *chosen))
    else:
        rendered: dict[str, Rendered] = request.getfixturevalue("rendered")
        parts = {name: [*part.objects, *part.resources] for name, part in rendered.items()}
    return Platform(parts, {name: COMPONENTS[name]["namespace"] for name in parts})


@pytest.fixture(scope="module")
def policies(platform: Platform) -> list[Object]:
    """The policies of the profile."""
    return list(namespaces.network_policies(platform.spaces, [], RULES, NETWORKS))


def levels(platform: Platform) -> dict[str, str]:
    """Pod Security level of each namespace."""
    declared = list(platform.of_kind("Namespace"))
    bare = [{"metadata": {"name": name}} for name in platform.spaces.values()]
    return {
        obj["metadata"]["name"]: namespaces.secured(obj, RULES).get(namespaces.LEVEL_LABEL, "privileged")
        for obj in [*bare, *declared]
    }


def is_for_workloads(namespace: Object) -> bool:
    """A tenant's namespace, or one with a local queue: they bring policies and level of their own."""
    return (namespace["metadata"].get("labels") or {}).get(namespaces.WORKLOADS_LABEL) == "true"


def test_every_namespace_is_known(platform: Platform) -> None:
    """One that is not gets neither policies nor a level; it is known through the component that makes it."""
    workloads = {obj["metadata"]["name"] for obj in platform.of_kind("Namespace") if is_for_workloads(obj)}
    everywhere = namespaces.SYSTEM | workloads
    own = {name: {space, *RULES.further.get(name, ())} for name, space in platform.spaces.items()}
    made = {
        (name, obj["metadata"]["name"])
        for name, part in platform.parts.items()
        for obj in part
        if obj["kind"] == "Namespace"
    }
    assert {(name, space) for name, space in made if space not in own[name] | everywhere} == set()
    used = {obj["metadata"]["namespace"] for obj in platform.objects if obj["metadata"].get("namespace")}
    assert used - everywhere - {space for spaces in own.values() for space in spaces} == set()


def test_pods_are_let_in_by_the_level_of_their_namespace(platform: Platform) -> None:
    enforced = levels(platform)
    refused = {
        f"{namespace} {name}": faults
        for namespace, name, template in platform.pods()
        if (faults := violations(template["spec"], enforced[namespace]))
    }
    assert refused == {}


def test_the_api_server_reaches_every_webhook(platform: Platform, policies: list[Object]) -> None:
    """One that it cannot reach refuses every object that it looks at."""
    called = {place for place in platform.called() if place[0] not in namespaces.SYSTEM}
    assert len(called) >= 4
    assert {(name, port) for name, port in called if not allowed(policies, NODE, Pod(name), port)} == set()


def test_the_gateways_reach_what_they_route_to(platform: Platform, policies: list[Object]) -> None:
    routed = set(platform.routed())
    assert len(routed) >= (10 if "istio" in platform.parts else 2)
    assert {
        (gateway, *place)
        for gateway, place in routed
        if not allowed(policies, Pod(gateway, namespace_labels=OWNED), Pod(place[0]), place[1])
    } == set()


def test_prometheus_reaches_every_target(platform: Platform, policies: list[Object]) -> None:
    scraped = set(platform.scraped())
    assert bool(scraped) == ("monitoring" in platform.parts)
    prometheus = Pod("monitoring", namespace_labels=OWNED)
    assert {place for place in scraped if not allowed(policies, prometheus, Pod(place[0]), place[1])} == set()


def test_what_nobody_needs_stays_closed(platform: Platform, policies: list[Object]) -> None:
    """Everything else is refused, or the tests above would prove nothing."""
    spaces = sorted({*platform.spaces.values()} - namespaces.SYSTEM)
    tenant = Pod("somebody", namespace_labels={**OWNED, namespaces.WORKLOADS_LABEL: "true"})
    tenants = namespaces.policies("somebody", RULES, NETWORKS, workloads=True)
    for name in spaces:
        assert not allowed([*policies, *tenants], tenant, Pod(name, namespace_labels=OWNED), 1234)
        assert not allowed(policies, NODE, Pod(name), 1234)
        assert not allowed(policies, Pod(name, namespace_labels=OWNED), Pod(address="8.8.8.8"), 1234)


def test_every_exception_is_needed(platform: Platform) -> None:
    """A namespace all of whose pods do with less gets less; volumes' helper pods are not rendered but configured."""
    for name, level in RULES.exceptions.items():
        pods = [template["spec"] for namespace, _, template in platform.pods() if namespace == name]
        lower = namespaces.LEVELS[namespaces.LEVELS.index(level) + 1]
        assert not pods or name == "local-path-storage" or any(violations(spec, lower) for spec in pods), (
            f"{name} is {level} without need"
        )
