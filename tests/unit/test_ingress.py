"""From the settings of the way in to certificates, Services, login and tokens."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import ingress

Object = dict[str, Any]
IAM: Object = {
    "issuer": "https://iam.example.org/",
    "client_id": "abc",
    "user_claim": "email",
    "groups_claim": "wlcg.groups",
    "scopes": ["openid", "email", "wlcg.groups"],
}
GIVEN = {"mode": "given", "certificate_pem": "CERT", "key_pem": "KEY"}


def named(objects: list[Object]) -> dict[tuple[str, str], Object]:
    return {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}


def test_an_acme_server_is_answered_through_port_80() -> None:
    found = named(ingress.issuer_objects({"mode": "acme", "email": "ops@example.org"}))
    assert list(found) == [("ClusterIssuer", "kaap")]
    acme = found["ClusterIssuer", "kaap"]["spec"]["acme"]
    assert (acme["email"], acme["server"]) == ("ops@example.org", ingress.LETS_ENCRYPT)
    parent = acme["solvers"][0]["http01"]["gatewayHTTPRoute"]["parentRefs"][0]
    assert (parent["kind"], parent["namespace"], parent["name"]) == ("Gateway", "istio-system", "kaap-http")


def test_another_acme_server_can_be_asked() -> None:
    issuer = ingress.issuer_objects({"mode": "acme", "server": "https://acme.example.org/dir"})[0]
    assert issuer["spec"]["acme"]["server"] == "https://acme.example.org/dir"


def test_a_private_authority_is_made_in_the_cluster() -> None:
    """Its key is in no file of ours: cert-manager makes it, once, because it is never rotated by itself."""
    found = named(ingress.issuer_objects({"mode": "private_ca"}))
    assert set(found) == {("ClusterIssuer", "kaap-bootstrap"), ("Certificate", "kaap-ca"), ("ClusterIssuer", "kaap")}
    authority = found["Certificate", "kaap-ca"]["spec"]
    assert (authority["isCA"], authority["privateKey"]["rotationPolicy"]) == (True, "Never")
    assert found["ClusterIssuer", "kaap"]["spec"] == {"ca": {"secretName": authority["secretName"]}}


def test_an_authority_of_the_site_signs_where_it_is_given() -> None:
    found = named(
        ingress.issuer_objects({"mode": "private_ca", "ca_certificate_pem": "CA", "ca_key_pem": "CA KEY"}),
    )
    assert set(found) == {("Secret", "kaap-ca"), ("ClusterIssuer", "kaap")}
    assert found["Secret", "kaap-ca"]["stringData"] == {"tls.crt": "CA", "tls.key": "CA KEY"}
    assert found["Secret", "kaap-ca"]["metadata"]["namespace"] == "cert-manager"


def test_a_given_certificate_needs_no_issuer() -> None:
    assert ingress.issuer_objects(GIVEN) == []
    secret = ingress.certificate_objects(GIVEN, "istio-system", "kaap-tls", ["kaap.example.org"])[0]
    assert (secret["kind"], secret["type"]) == ("Secret", "kubernetes.io/tls")
    assert secret["metadata"] == {"name": "kaap-tls", "namespace": "istio-system"}
    assert secret["stringData"] == {"tls.crt": "CERT", "tls.key": "KEY"}


@pytest.mark.parametrize("lacking", ["certificate_pem", "key_pem"])
def test_half_a_given_certificate_is_refused(lacking: str) -> None:
    with pytest.raises(ingress.IngressError, match="give both"):
        ingress.certificate_objects({**GIVEN, lacking: ""}, "a", "b", ["c"])


@pytest.mark.parametrize("mode", ["acme", "private_ca"])
def test_a_certificate_is_asked_of_the_issuer(mode: str) -> None:
    wanted = ingress.certificate_objects({"mode": mode}, "kaap-gateway", "kaap-tls", ["a.example.org"])[0]
    assert (wanted["kind"], wanted["metadata"]["namespace"]) == ("Certificate", "kaap-gateway")
    assert (wanted["spec"]["secretName"], wanted["spec"]["dnsNames"]) == ("kaap-tls", ["a.example.org"])
    assert wanted["spec"]["issuerRef"]["name"] == ingress.ISSUER


def test_an_unknown_mode_is_refused_with_those_there_are() -> None:
    with pytest.raises(ingress.IngressError, match="`selfmade` is not possible; take one of acme, given, private_ca"):
        ingress.issuer_objects({"mode": "selfmade"})


def test_node_ports_and_addresses_of_a_gateway() -> None:
    settings = {"service_type": "NodePort", "external_addresses": ["192.0.2.7"]}
    spec = ingress.service_spec(settings, {80: 32080, 443: 32443})
    assert spec["type"] == "NodePort"
    assert [(entry["port"], entry["protocol"], entry["nodePort"]) for entry in spec["ports"]] == [
        (80, "TCP", 32080),
        (443, "TCP", 32443),
    ]
    assert spec["externalIPs"] == ["192.0.2.7"]


def test_a_service_inside_the_cluster_has_no_node_ports() -> None:
    """The API server refuses them there."""
    assert ingress.service_spec({"service_type": "ClusterIP"}, {443: 32443}) == {"type": "ClusterIP"}


def test_tokens_are_those_of_the_issuer_for_this_platform() -> None:
    rule = ingress.jwt_rule(IAM, "kaap.example.org", dex=False)
    # INDIGO IAM writes the slash into its tokens.
    assert (rule["issuer"], rule["audiences"]) == ("https://iam.example.org/", ["abc"])
    assert "jwksUri" not in rule


def test_headers_that_services_trust_are_always_taken_from_the_token() -> None:
    """Envoy strips what a client sends only of headers that the rule names."""
    for oidc, dex in ((IAM, False), ({}, False), (IAM, True)):
        headers = {entry["header"] for entry in ingress.jwt_rule(oidc, "d", dex)["outputClaimToHeaders"]}
        assert headers == {"kubeflow-userid", "kubeflow-groups"}


def test_dex_signs_with_its_outer_address_and_is_asked_at_its_inner_one() -> None:
    rule = ingress.jwt_rule(IAM, "kaap.example.org", dex=True)
    assert (rule["issuer"], rule["audiences"]) == ("https://kaap.example.org/dex", ["kaap"])
    assert rule["jwksUri"].startswith("http://dex.auth.svc.cluster.local")
    assert rule["outputClaimToHeaders"][1] == {"header": "kubeflow-groups", "claim": "groups"}


def test_the_proxy_stands_alone_in_front_of_an_issuer() -> None:
    config = tomllib.loads(ingress.proxy_config(IAM, "kaap.example.org", dex=False))
    assert config["oidc_issuer_url"] == "https://iam.example.org/"
    assert config["redirect_url"] == "https://kaap.example.org/oauth2/callback"
    assert (config["scope"], config["oidc_groups_claim"]) == ("openid email wlcg.groups", "wlcg.groups")
    assert "skip_oidc_discovery" not in config
    assert (config["cookie_secure"], config["cookie_httponly"]) == (True, True)
    assert not [key for key in config if "secret" in key or "insecure" in key or "skip_verify" in key]


def test_the_proxy_asks_dex() -> None:
    config = tomllib.loads(ingress.proxy_config(IAM, "kaap.example.org", dex=True))
    assert config["oidc_issuer_url"] == "https://kaap.example.org/dex"
    assert config["login_url"] == "https://kaap.example.org/dex/auth"
    assert config["redeem_url"].startswith(ingress.DEX_INSIDE)
    assert config["scope"].split() == ["openid", "profile", "email", "groups"]


def test_dex_passes_logins_on_unless_told_otherwise() -> None:
    config = ingress.dex_config({}, IAM, "kaap.example.org", {"client": "c", "issuer": "i"})
    assert (config["enablePasswordDB"], config["staticPasswords"]) == (False, [])
    connector = config["connectors"][0]["config"]
    assert (connector["issuer"], connector["clientID"], connector["clientSecret"]) == (IAM["issuer"], "abc", "i")
    assert connector["claimMapping"]["groups"] == "wlcg.groups"
    assert config["staticClients"][0]["secret"] == "c"


def test_connectors_and_users_of_dex_are_taken_as_they_are() -> None:
    dex = {"connectors": [{"type": "ldap", "id": "l", "name": "L"}], "users": [{"email": "a@example.org", "hash": "h"}]}
    config = ingress.dex_config(dex, IAM, "d", {"client": "c", "issuer": ""})
    assert (config["connectors"], config["staticPasswords"]) == (dex["connectors"], dex["users"])
    assert config["enablePasswordDB"] is True


def test_a_dex_that_lets_nobody_in_is_refused() -> None:
    with pytest.raises(ingress.IngressError, match="lets nobody log in"):
        ingress.dex_config({}, {"issuer": ""}, "d", {"client": "c"})


def test_models_are_reached_by_path_over_https() -> None:
    settings = json.loads(ingress.serving_ingress("kaap.example.org"))
    assert (settings["ingressDomain"], settings["urlScheme"]) == ("kaap.example.org", "https")
    # Go templates of KServe's own: they reach it as they are.
    assert settings["pathTemplate"] == "/serving/{{ .Namespace }}/{{ .Name }}"
    assert (settings["ingressGateway"], settings["kserveIngressGateway"]) == (
        "kubeflow/kubeflow-gateway",
        "kaap-gateway/kaap",
    )
