"""The way in: certificates, the gateway's Service, and who is let through, as objects made from settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]

ISSUER = "kaap"
AUTHORITY = "kaap-ca"
CERT_MANAGER = "cert-manager"
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
# The Gateway whose listener answers on port 80, where an ACME server looks for its answer.
HTTP_GATEWAY = {"name": "kaap-http", "namespace": "istio-system"}
TEN_YEARS = "87600h"
NINETY_DAYS = "2160h"
# Addresses of Dex inside the cluster: what it serves outside may carry a certificate that nobody inside knows.
DEX_INSIDE = "http://dex.auth.svc.cluster.local:5556/dex"
DEX_CLIENT = "kaap"
MODES = ("acme", "given", "private_ca")


class IngressError(Exception):
    """A setting of the way in that cannot be used; the text names it, its value and the fix."""


def tls_mode(tls: Mapping[str, Any]) -> str:
    """Where certificates come from.

    :raises IngressError: for a mode that there is not.
    """
    mode = str(tls.get("mode") or "private_ca")
    if mode not in MODES:
        raise IngressError(f"kaap_tls.mode: `{mode}` is not possible; take one of {', '.join(MODES)}")
    return mode


def issuer_objects(tls: Mapping[str, Any]) -> list[Object]:
    """What cert-manager needs to sign certificates for the platform: the ClusterIssuer `kaap` and its authority.

    :param tls: ``kaap_tls``, with ``ca_certificate_pem`` and ``ca_key_pem`` where an authority is given.
    :returns: nothing where the certificate itself is given.
    """
    mode = tls_mode(tls)
    if mode == "given":
        return []
    if mode == "acme":
        account = {
            "email": str(tls.get("email") or ""),
            "server": str(tls.get("server") or LETS_ENCRYPT),
            "privateKeySecretRef": {"name": "kaap-acme-account"},
            "solvers": [
                {
                    "http01": {
                        "gatewayHTTPRoute": {
                            "parentRefs": [
                                {"group": "gateway.networking.k8s.io", "kind": "Gateway", **HTTP_GATEWAY},
                            ]
                        }
                    }
                }
            ],
        }
        return [_cluster_issuer(ISSUER, {"acme": account})]
    authority = {"ca": {"secretName": AUTHORITY}}
    if tls.get("ca_certificate_pem"):
        pair = {"tls.crt": str(tls["ca_certificate_pem"]), "tls.key": str(tls.get("ca_key_pem") or "")}
        return [_tls_secret(CERT_MANAGER, AUTHORITY, pair), _cluster_issuer(ISSUER, authority)]
    # An authority of this installation's own, whose key never leaves the cluster. It is not the one that signs the
    # kubelets' certificates: who may ask cert-manager for a certificate must not be able to pass for a node.
    return [
        _cluster_issuer("kaap-bootstrap", {"selfSigned": {}}),
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {"name": AUTHORITY, "namespace": CERT_MANAGER},
            "spec": {
                "isCA": True,
                "commonName": "KaaP ingress authority",
                "secretName": AUTHORITY,
                "duration": TEN_YEARS,
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
                "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "kaap-bootstrap"},
            },
        },
        _cluster_issuer(ISSUER, authority),
    ]


def certificate_objects(tls: Mapping[str, Any], namespace: str, name: str, hosts: Sequence[str]) -> list[Object]:
    """The Secret of type kubernetes.io/tls that a gateway serves with, or the Certificate that makes it.

    :param tls: ``kaap_tls``, with ``certificate_pem`` and ``key_pem`` where a certificate is given.
    :param name: of both, the Secret and the Certificate.
    :param hosts: DNS names.
    :raises IngressError: when a certificate is to be given and is not.
    """
    if tls_mode(tls) == "given":
        pair = {"tls.crt": str(tls.get("certificate_pem") or ""), "tls.key": str(tls.get("key_pem") or "")}
        if not all(pair.values()):
            raise IngressError("kaap_tls: mode given needs certificate and key, the paths of two PEM files; give both")
        return [_tls_secret(namespace, name, pair)]
    return [
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "secretName": name,
                "dnsNames": list(hosts),
                "duration": NINETY_DAYS,
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "usages": ["digital signature", "server auth"],
                "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": ISSUER},
            },
        }
    ]


def service_spec(ingress: Mapping[str, Any], ports: Mapping[int, int]) -> Object:
    """How a gateway's Service is reached from outside, as a patch of its ``spec``.

    :param ingress: ``kaap_ingress``.
    :param ports: port to node port; a Service of type ClusterIP has none.
    """
    kind = str(ingress.get("service_type") or "NodePort")
    spec: Object = {"type": kind}
    if addresses := [str(address) for address in ingress.get("external_addresses") or []]:
        spec["externalIPs"] = addresses
    if kind != "ClusterIP":
        # Any node may be asked, wherever the gateway's pod runs.
        spec["externalTrafficPolicy"] = "Cluster"
        # Port and protocol say which entry is meant: a merge leaves one without a protocol aside.
        spec["ports"] = [
            {"port": int(port), "protocol": "TCP", "nodePort": int(node)} for port, node in ports.items() if node
        ]
    return spec


def client_id(oidc: Mapping[str, Any], dex: bool) -> str:
    """The platform's name at the issuer: Dex knows it by a fixed one, any other issuer gave it one."""
    return DEX_CLIENT if dex else str(oidc.get("client_id") or "")


def issuer(oidc: Mapping[str, Any], domain: str, dex: bool) -> str:
    """Who signs tokens, byte for byte as it stands in them: INDIGO IAM's ends with a slash, Dex's does not."""
    return f"https://{domain}/dex" if dex else str(oidc.get("issuer") or "")


def jwt_rule(oidc: Mapping[str, Any], domain: str, dex: bool) -> Object:
    """Istio's rule for a token that is good here, and the headers that Kubeflow's services read from it.

    Both headers are always named: Envoy then takes them out of what a client sends, even where a token lacks the claim.
    A groups claim with a dot in its name is looked up as a path by Envoy and so never found: the header stays away.
    """
    user, groups, _ = told_by(oidc, dex)
    rule: Object = {
        "issuer": issuer(oidc, domain, dex),
        # A token that the same issuer gave to another service opens nothing here.
        "audiences": [client_id(oidc, dex)],
        "forwardOriginalToken": True,
        "fromHeaders": [{"name": "Authorization", "prefix": "Bearer "}],
        "outputClaimToHeaders": [
            {"header": "kubeflow-userid", "claim": user},
            {"header": "kubeflow-groups", "claim": groups},
        ],
    }
    if dex:
        rule["jwksUri"] = f"{DEX_INSIDE}/keys"
    return rule


def told_by(oidc: Mapping[str, Any], dex: bool) -> tuple[str, str, list[str]]:
    """The claim that names a user, the claim with the groups, and the scopes that both are asked with.

    Dex has names of its own for them, whatever the issuer behind it calls them.
    """
    if dex:
        return "email", "groups", ["openid", "profile", "email", "groups"]
    scopes = [str(scope) for scope in oidc.get("scopes") or ["openid", "profile", "email"]]
    return str(oidc.get("user_claim") or "email"), str(oidc.get("groups_claim") or "groups"), scopes


def proxy_config(oidc: Mapping[str, Any], domain: str, dex: bool) -> str:
    """The configuration of oauth2-proxy, which decides for the gateway whether a browser has logged in.

    :returns: TOML, without a secret: these come from the environment.
    """
    user, groups, scopes = told_by(oidc, dex)
    lines: dict[str, Any] = {
        "provider": "oidc",
        "provider_display_name": "Dex" if dex else "your identity provider",
        "oidc_issuer_url": issuer(oidc, domain, dex),
        "scope": " ".join(scopes),
        "oidc_email_claim": user,
        "oidc_groups_claim": groups,
        "code_challenge_method": "S256",
        "redirect_url": f"https://{domain}/oauth2/callback",
        # Who may come in is decided by the issuer and by the profiles, not by the domain of an address.
        "email_domains": ["*"],
        # Only a yes or a no: the gateway forwards the request itself.
        "upstreams": ["static://200"],
        "reverse_proxy": True,
        "whitelist_domains": [domain],
        # Requests of scripts get 401 instead of a login page, which they could not show.
        "api_routes": ["/api/", "/apis/", "^/ml_metadata"],
        "skip_provider_button": False,
        "skip_jwt_bearer_tokens": True,
        "set_authorization_header": True,
        "set_xauthrequest": True,
        # Starts with __Host-: a browser takes it from this host alone, over HTTPS.
        "cookie_name": "__Host-kaap",
        "cookie_secure": True,
        "cookie_httponly": True,
        "cookie_samesite": "lax",
        "cookie_expire": "24h",
        "banner": "-",
        "footer": "-",
    }
    if dex:
        # The browser is sent to Dex's outer address, the proxy asks it at its inner one.
        lines |= {
            "skip_oidc_discovery": True,
            "login_url": f"https://{domain}/dex/auth",
            "redeem_url": f"{DEX_INSIDE}/token",
            "oidc_jwks_url": f"{DEX_INSIDE}/keys",
            "profile_url": f"{DEX_INSIDE}/userinfo",
        }
    # JSON's strings, numbers, truth values and lists are TOML's, too.
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items())


def dex_config(dex: Mapping[str, Any], oidc: Mapping[str, Any], domain: str, secrets: Mapping[str, str]) -> Object:
    """Dex's configuration. Without connectors of its own it passes logins on to the issuer of ``kaap_oidc``.

    :param dex: ``kaap_dex``.
    :param secrets: ``client`` is what oauth2-proxy shows Dex, ``issuer`` what Dex shows the issuer of ``kaap_oidc``.
    :raises IngressError: when nobody could log in.
    """
    connectors = [dict(connector) for connector in dex.get("connectors") or []]
    users = [dict(user) for user in dex.get("users") or []]
    if not connectors and oidc.get("issuer"):
        user, groups, scopes = told_by(oidc, dex=False)
        connectors = [
            {
                "type": "oidc",
                "id": "oidc",
                "name": "Log in",
                "config": {
                    "issuer": str(oidc["issuer"]),
                    "clientID": str(oidc.get("client_id") or ""),
                    "clientSecret": str(secrets.get("issuer") or ""),
                    "redirectURI": f"https://{domain}/dex/callback",
                    "scopes": scopes,
                    # INDIGO IAM tells the groups there and not in the token.
                    "getUserInfo": True,
                    "insecureEnableGroups": True,
                    # Without it a claim called groups would win over the one that is named.
                    "overrideClaimMapping": True,
                    "claimMapping": {"email": user, "groups": groups},
                },
            }
        ]
    if not connectors and not users:
        raise IngressError(
            "kaap_dex: `{}` lets nobody log in; give connectors or users, or set kaap_oidc.issuer for Dex to ask"
        )
    return {
        "issuer": f"https://{domain}/dex",
        "storage": {"type": "kubernetes", "config": {"inCluster": True}},
        "web": {"http": "0.0.0.0:5556"},
        "telemetry": {"http": "0.0.0.0:5558"},
        "logger": {"level": "info", "format": "json"},
        "oauth2": {"skipApprovalScreen": True},
        "enablePasswordDB": bool(users),
        "staticPasswords": users,
        "connectors": connectors,
        "staticClients": [
            {
                "id": DEX_CLIENT,
                "name": "KaaP",
                "secret": str(secrets["client"]),
                "redirectURIs": [f"https://{domain}/oauth2/callback"],
            }
        ],
    }


def serving_ingress(domain: str) -> str:
    """KServe's ways in beside Knative: serverless models through Kubeflow's gateway, the others through ours.

    :param domain: DNS name of the platform. A model is reached by path, so that one name and one certificate suffice.
    :returns: JSON, for the key ``ingress`` of KServe's ConfigMap.
    """
    return json.dumps(
        {
            "enableGatewayApi": True,
            "kserveIngressGateway": "kaap-gateway/kaap",
            "ingressGateway": "kubeflow/kubeflow-gateway",
            "localGateway": "knative-serving/knative-local-gateway",
            "localGatewayService": "knative-local-gateway.istio-system.svc.cluster.local",
            "ingressClassName": "istio",
            "ingressDomain": domain,
            "domainTemplate": "{{ .Name }}-{{ .Namespace }}.{{ .IngressDomain }}",
            "pathTemplate": "/serving/{{ .Namespace }}/{{ .Name }}",
            "urlScheme": "https",
            "disableIstioVirtualHost": False,
            "disableIngressCreation": False,
        }
    )


def _cluster_issuer(name: str, spec: Object) -> Object:
    return {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": name}, "spec": spec}


def _tls_secret(namespace: str, name: str, pair: Mapping[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": dict(pair),
    }
