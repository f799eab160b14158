"""The way into profile full: addresses, trust, and judges, each with a green and a red answer."""

from __future__ import annotations

import base64
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from ansible_collections.infn.kaap.plugins.module_utils import certificates, way_in

DOMAIN = "kaap.example.org"
NODES = [
    {"status": {"addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.0.0.5"}]}}
]
SPEC: dict[str, Any] = {
    "type": "NodePort",
    "ports": [{"port": 80, "nodePort": 32080}, {"port": 443, "nodePort": 32443}],
}
BALANCED = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}


@pytest.mark.parametrize(
    ("service", "found"),
    [
        ({"spec": SPEC}, ("10.0.0.5", 32443)),
        ({"spec": {**SPEC, "externalIPs": ["192.0.2.9"]}}, ("192.0.2.9", 443)),
        ({"spec": SPEC, "status": BALANCED}, ("192.0.2.1", 443)),
        (
            {"spec": SPEC, "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.org"}]}}},
            ("lb.example.org", 443),
        ),
    ],
)
def test_where_a_gateway_answers(service: Any, found: tuple[str, int]) -> None:
    assert way_in.reach(service, NODES, 443) == found


@pytest.mark.parametrize(
    ("service", "nodes", "why"),
    [
        (None, NODES, "Service istio-system/istio-ingressgateway does not exist"),
        ({"spec": SPEC}, [], "has no way to port 443 from outside; see kaap_ingress"),
        ({"spec": {"type": "ClusterIP", "ports": [{"port": 443}]}}, NODES, "of type ClusterIP has no way to port 443"),
    ],
)
def test_gateways_that_nobody_reaches(service: Any, nodes: Any, why: str) -> None:
    with pytest.raises(way_in.WayError, match=why):
        way_in.reach(service, nodes, 443)


@pytest.mark.parametrize(
    ("status", "location", "why"),
    [
        (301, f"https://{DOMAIN}/x", ""),
        (308, f"https://{DOMAIN}:443/", ""),
        (200, "", "it answered 200, wanted 301"),
        (301, f"http://{DOMAIN}/", f"it leads to http://{DOMAIN}/, wanted https://{DOMAIN}/"),
        (301, "https://example.org/", "it leads to https://example.org/"),
        (301, "", "it leads to nowhere"),
    ],
)
def test_plain_http_redirects(status: int, location: str, why: str) -> None:
    verdict = way_in.redirected(status, location, DOMAIN)
    assert verdict.ready is not bool(why) and why in verdict.why


@pytest.mark.parametrize(
    ("status", "good"), [(302, True), (401, True), (403, True), (200, False), (404, False), (503, False)]
)
def test_pages_without_a_login(status: int, good: bool) -> None:
    assert way_in.closed(status).ready is good


LOGIN = f"client_id=kaap&redirect_uri=https%3A%2F%2F{DOMAIN}%2Foauth2%2Fcallback&response_type=code&state=x"


@pytest.mark.parametrize(
    ("status", "location", "why"),
    [
        (302, f"https://iam.example.org/authorize?{LOGIN}", ""),
        (403, "", "it answered 403, wanted 302"),
        (302, f"http://iam.example.org/authorize?{LOGIN}", "it leads to http://iam.example.org, wanted https"),
        (302, f"https://else.example.org/authorize?{LOGIN}", "it leads to https://else.example.org"),
        (302, "https://iam.example.org/authorize", "its client_id is missing, wanted kaap"),
        (
            302,
            f"https://iam.example.org/a?{LOGIN.replace('kaap.', 'old.')}",
            "its redirect_uri is https://old.example.org",
        ),
        (
            302,
            f"https://iam.example.org/a?{LOGIN.replace('=code', '=token')}",
            "its response_type is token, wanted code",
        ),
    ],
)
def test_logins_lead_to_the_issuer(status: int, location: str, why: str) -> None:
    verdict = way_in.to_login(status, location, DOMAIN, "https://iam.example.org/", "kaap")
    assert verdict.ready is not bool(why) and why in verdict.why


def secret(**texts: str) -> dict[str, Any]:
    return {"data": {key.replace("_", "."): base64.b64encode(text.encode()).decode() for key, text in texts.items()}}


def test_secret_without_a_certificate() -> None:
    for empty in (None, secret(tls_key="x")):
        with pytest.raises(way_in.WayError, match="kaap-gateway/kaap-tls holds no certificate"):
            way_in.trust(empty, DOMAIN)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certificates.Authority:
    return certificates.ensure_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(
    authority: certificates.Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, certificates.Leaf]]:
    """A server that shows a certificate for the platform's name at another address."""
    leaf = certificates.issue(authority, [DOMAIN])
    pair: Path = tmp_path_factory.mktemp("pair") / "pem"
    pair.write_text(leaf.certificate + leaf.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    made = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    made.socket = context.wrap_socket(made.socket, server_side=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield int(made.server_address[1]), leaf
    made.shutdown()
    made.server_close()


def ask(port: int, trust: way_in.Trust) -> int:
    pool = urllib3.PoolManager(retries=False, **trust.options())
    return pool.request("GET", f"https://127.0.0.1:{port}/").status


def test_certificate_is_believed_by_name_and_origin(
    server: tuple[int, certificates.Leaf], authority: certificates.Authority, tmp_path: Path
) -> None:
    port, leaf = server
    # Through its authority, or as it stands in the Secret; the server knows no GET, and says so.
    assert ask(port, way_in.trust(secret(ca_crt=authority.pem), DOMAIN)) == 501
    assert ask(port, way_in.trust(secret(tls_crt=leaf.certificate), DOMAIN)) == 501
    other = certificates.ensure_authority(tmp_path)
    for wrong in (
        way_in.trust(secret(ca_crt=other.pem), DOMAIN),
        way_in.trust(secret(ca_crt=authority.pem), "else.org"),
    ):
        with pytest.raises(urllib3.exceptions.SSLError):
            ask(port, wrong)
