"""What release/namespaces.yml says fits what the records render to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import namespaces
from ansible_collections.infn.kaap.plugins.module_utils.namespaces import Networks
from ansible_collections.infn.kaap.plugins.module_utils.render import Rendered, clients_of, pod_template

from tests.pod_security import violations
from tests.release import rendering
from tests.unit.network import Pod, allowed

RECORDS = dict(rendering.components())
RULES = namespaces.load()
NODE = Pod(address="10.89.7.10")


def objects_of(part: Rendered) -> list[dict[str, Any]]:
    """All objects of a component."""
    return [*part.objects, *part.resources]


def enforced(rendered: dict[str, Rendered]) -> dict[str, str]:
    """Pod Security level of each namespace that the components make."""
    declared = [obj for part in rendered.values() for obj in objects_of(part) if obj["kind"] == "Namespace"]
    bare = [{"metadata": {"name": record["namespace"]}} for record in RECORDS.values()]
    return {
        obj["metadata"]["name"]: namespaces.secured(obj, RULES).get(namespaces.LEVEL_LABEL, "privileged")
        for obj in [*bare, *declared]
    }


@pytest.mark.parametrize("name", RECORDS)
def test_pods_are_let_in_by_the_level_of_their_namespace(rendered: dict[str, Rendered], name: str) -> None:
    levels = enforced(rendered)
    refused = {
        f"{obj['kind']} {obj['metadata']['name']}": faults
        for obj in objects_of(rendered[name])
        if (template := pod_template(obj)) is not None
        and (faults := violations(template["spec"], levels[obj["metadata"]["namespace"]]))
    }
    assert refused == {}


def called_ports(rendered: dict[str, Rendered]) -> Iterator[tuple[str, int]]:
    """Namespace and port of the pods that the API server calls."""
    services = {
        (obj["metadata"]["namespace"], obj["metadata"]["name"]): obj
        for part in rendered.values()
        for obj in objects_of(part)
        if obj["kind"] == "Service"
    }
    workloads = [obj for part in rendered.values() for obj in objects_of(part) if pod_template(obj)]
    for part in rendered.values():
        for client in (client for obj in objects_of(part) for client in clients_of(obj)):
            named = client.get("service") or {}
            service = services.get((named.get("namespace"), named.get("name")))
            if service is None:
                continue
            port = next(each for each in service["spec"]["ports"] if each["port"] == named.get("port", 443))
            yield named["namespace"], _number(port.get("targetPort", port["port"]), named["namespace"], workloads)


def _number(target: int | str, namespace: str, workloads: list[dict[str, Any]]) -> int:
    if isinstance(target, int):
        return target
    return next(
        int(port["containerPort"])
        for obj in workloads
        if obj["metadata"]["namespace"] == namespace
        for container in obj["spec"]["template"]["spec"]["containers"]
        for port in container.get("ports") or []
        if port.get("name") == target
    )


def test_the_api_server_reaches_every_webhook(rendered: dict[str, Rendered]) -> None:
    """One that it cannot reach refuses every object that it looks at."""
    called = {place for place in called_ports(rendered) if place[0] not in namespaces.SYSTEM}
    assert len(called) >= 4
    spaces = {name: record["namespace"] for name, record in RECORDS.items()}
    policies = namespaces.network_policies(spaces, [], RULES, Networks("10.244.0.0/16", "10.96.0.0/16"))
    assert {(name, port) for name, port in called if not allowed(policies, NODE, Pod(name), port)} == set()


def test_every_exception_is_needed(rendered: dict[str, Rendered]) -> None:
    """A namespace all of whose pods do with less gets less; volumes' helper pods are not rendered but configured."""
    for name, level in RULES.exceptions.items():
        pods = [
            template["spec"]
            for part in rendered.values()
            for obj in objects_of(part)
            if obj["metadata"].get("namespace") == name and (template := pod_template(obj)) is not None
        ]
        assert not pods or name == "local-path-storage" or any(violations(spec, "restricted") for spec in pods), (
            f"{name} is {level} without need"
        )
