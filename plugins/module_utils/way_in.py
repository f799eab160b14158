"""How this machine reaches the platform of profile full: where its gateways answer, and whom to believe there."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, Resource
from ansible_collections.infn.kaap.plugins.module_utils.readiness import READY, Verdict

Object = Mapping[str, Any]

# Whose presence tells that people come in through Istio, over HTTPS.
PEOPLE = "kubeflow-gateway"
PROGRAMS = "gateway-istio"
# Namespace and name of the Service behind the one, and of the Secret that the other serves with.
SERVICE = ("istio-system", "istio-ingressgateway")
SECRET = Resource("", "v1", "Secret", "secrets", True)
CERTIFICATE = ("kaap-gateway", "kaap-tls")


class WayError(Exception):
    """The platform cannot be reached; the text says why, and what to set."""


@dataclass(frozen=True)
class Trust:
    """Whom to believe: who shows a certificate for the platform's name that leads to what the platform serves with.

    :ivar domain: DNS name of the platform
    :ivar pem: certificates to trust
    """

    domain: str
    pem: str

    def options(self) -> dict[str, Any]:
        """Options of urllib3's PoolManager: whatever the address, it is the platform's name that must be shown."""
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=self.pem)
        # What a given certificate was signed with need not be known here.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return {"ssl_context": context, "server_hostname": self.domain, "assert_hostname": self.domain}


def trust(secret: Object | None, domain: str) -> Trust:
    """Trust in what is in the Secret that a gateway serves with.

    :raises WayError: when there is none
    """
    data = (secret or {}).get("data") or {}
    parts = [base64.b64decode(data[key]).decode().strip() for key in ("tls.crt", "ca.crt") if data.get(key)]
    if not parts:
        raise WayError(f"Secret {'/'.join(CERTIFICATE)} holds no certificate")
    return Trust(domain, "\n".join(parts) + "\n")


def trust_of(kubeconfig: str, domain: str) -> Trust | None:
    """Whom to believe at the gateway of a cluster; None where it serves plain HTTP, without a certificate.

    :param kubeconfig: path; empty for a store that is no cluster's
    :raises KubeError: when the cluster does not answer
    """
    if not kubeconfig:
        return None
    secret = KubeClient.from_kubeconfig(Path(kubeconfig)).get(SECRET, *CERTIFICATE)
    return trust(secret, domain) if secret else None


def reach(service: Object | None, nodes: Sequence[Object], port: int) -> tuple[str, int]:
    """Address and port at which a Service's port is reached from outside.

    :param nodes: the cluster's nodes, for a Service that has node ports only
    :raises WayError: when there is no way
    """
    if service is None:
        raise WayError(f"Service {'/'.join(SERVICE)} does not exist")
    spec = service["spec"]
    balancer = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    fixed = [str(each.get("ip") or each.get("hostname")) for each in balancer] + list(spec.get("externalIPs") or [])
    if fixed:
        return fixed[0], port
    node_ports = [each.get("nodePort") for each in spec.get("ports") or [] if each.get("port") == port]
    addresses = [
        str(each["address"])
        for node in nodes
        for each in (node.get("status") or {}).get("addresses") or []
        if each["type"] == "InternalIP"
    ]
    if not node_ports or not node_ports[0] or not addresses:
        where = f"Service {'/'.join(SERVICE)} of type {spec.get('type')}"
        raise WayError(f"{where} has no way to port {port} from outside; see kaap_ingress")
    return addresses[0], int(node_ports[0])


def redirected(status: int, location: str, domain: str) -> Verdict:
    """Was a request over plain HTTP sent to the same place over HTTPS?"""
    if status not in {301, 308}:
        return Verdict(False, f"it answered {status}, wanted 301")
    parts = urlsplit(location)
    if (parts.scheme, parts.hostname, parts.port or 443) != ("https", domain, 443):
        return Verdict(False, f"it leads to {location or 'nowhere'}, wanted https://{domain}/")
    return READY


def closed(status: int) -> Verdict:
    """Was somebody who has not logged in kept out? Nothing but a refusal or the way to the login will do."""
    if status in {302, 303, 307, 401, 403}:
        return READY
    return Verdict(False, f"it answered {status} without a login, wanted 302, 401 or 403")


def to_login(status: int, location: str, domain: str, issuer: str, client: str) -> Verdict:
    """Does a login lead to the issuer, as the client that it knows, and back to the platform?

    :param issuer: its host must be the one that the browser is sent to
    :param client: client_id
    """
    if status not in {302, 303, 307}:
        return Verdict(False, f"it answered {status}, wanted 302")
    parts, asked = urlsplit(location), parse_qs(urlsplit(location).query)
    host = urlsplit(issuer).hostname
    if parts.scheme != "https" or parts.hostname != host:
        return Verdict(False, f"it leads to {parts.scheme}://{parts.hostname}, wanted https://{host}")
    back = f"https://{domain}/oauth2/callback"
    for key, wanted in (("client_id", client), ("redirect_uri", back), ("response_type", "code")):
        if asked.get(key) != [wanted]:
            return Verdict(False, f"its {key} is {', '.join(asked.get(key) or ['missing'])}, wanted {wanted}")
    return READY
