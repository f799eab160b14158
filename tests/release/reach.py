"""What the rendered platform needs to reach: webhooks, routes of the gateways, and targets of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils.render import clients_of, pod_template

Object = dict[str, Any]
Place = tuple[str, int]


@dataclass(frozen=True)
class Platform:
    """All objects of a profile.

    :ivar parts: objects of each component, by name
    :ivar spaces: namespace of each component
    """

    parts: Mapping[str, Sequence[Object]]
    spaces: Mapping[str, str]

    @property
    def objects(self) -> Iterator[Object]:
        """Every object."""
        for part in self.parts.values():
            yield from part

    def of_kind(self, *kinds: str) -> Iterator[Object]:
        """Every object of some kinds."""
        return (obj for obj in self.objects if obj["kind"] in kinds)

    def pods(self) -> Iterator[tuple[str, str, Object]]:
        """Namespace, name and pod template of every workload."""
        for obj in self.objects:
            template = pod_template(obj)
            if template is not None:
                yield obj["metadata"]["namespace"], f"{obj['kind']} {obj['metadata']['name']}", template

    def target(self, namespace: str, name: str, port: int | str) -> Place | None:
        """Namespace and port of the pods behind a port of a service; None when either is made at run time."""
        for service in self.of_kind("Service"):
            if (service["metadata"]["namespace"], service["metadata"]["name"]) != (namespace, name):
                continue
            entry = next(each for each in service["spec"]["ports"] if port in (each["port"], each.get("name")))
            target = entry.get("targetPort") or entry["port"]
            number = target if isinstance(target, int) else self._number(namespace, target, service)
            return (namespace, number) if number else None
        return None

    def _number(self, namespace: str, target: str, service: Object) -> int:
        wanted = (service["spec"].get("selector") or {}).items()
        behind = [
            template["spec"]["containers"]
            for place, _, template in self.pods()
            if place == namespace and wanted <= ((template.get("metadata") or {}).get("labels") or {}).items()
        ]
        ports = [port for containers in behind for container in containers for port in container.get("ports") or []]
        numbers = [int(port["containerPort"]) for port in ports if port.get("name") == target]
        assert numbers or not behind, f"no pod of {namespace}/{service['metadata']['name']} has a port named {target}"
        return numbers[0] if numbers else 0

    def called(self) -> set[Place]:
        """Pods that the API server calls."""
        found = set()
        for client in (client for obj in self.objects for client in clients_of(obj)):
            service = client.get("service")
            if service:
                found.add(self.target(service["namespace"], service["name"], service.get("port", 443)))
        return {place for place in found if place}

    def routed(self) -> Iterator[tuple[str, Place]]:
        """Namespace of a gateway, and the pods that it passes requests on to."""
        for obj in self.of_kind("VirtualService"):
            if obj["spec"].get("gateways", ["mesh"]) == ["mesh"]:
                continue
            for rule in obj["spec"].get("http") or []:
                for route in rule.get("route") or []:
                    host, port = route["destination"]["host"].split("."), route["destination"]["port"]["number"]
                    place = self.target(host[1] if len(host) > 1 else obj["metadata"]["namespace"], host[0], port)
                    if place:
                        yield "istio-system", place
        for obj in self.of_kind("HTTPRoute"):
            backends = [backend for rule in obj["spec"]["rules"] for backend in rule.get("backendRefs") or []]
            for backend in backends:
                place = self.target(obj["metadata"]["namespace"], backend["name"], backend["port"])
                if place:
                    yield "kaap-gateway" if "istio" in self.parts else "envoy-gateway-system", place

    def scraped(self) -> Iterator[Place]:
        """Pods that Prometheus asks for figures."""
        for obj in self.of_kind("ServiceMonitor"):
            where = (obj["spec"].get("namespaceSelector") or {}).get("matchNames") or [obj["metadata"]["namespace"]]
            wanted = obj["spec"]["selector"].get("matchLabels", {}).items()
            for service in self.of_kind("Service"):
                labels = service["metadata"].get("labels") or {}
                if service["metadata"]["namespace"] in where and wanted <= labels.items():
                    for endpoint in obj["spec"]["endpoints"]:
                        if any(endpoint["port"] == port.get("name") for port in service["spec"]["ports"]):
                            place = self.target(
                                service["metadata"]["namespace"], service["metadata"]["name"], endpoint["port"]
                            )
                            if place:
                                yield place
