"""Known credentials of upstream are found wherever they hide."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import constants

FILE = Path(__file__).resolve().parents[2] / "release" / "constants.yml"
KNOWN = constants.read(FILE)
COOKIE = "7d16fee92f8d11b8940b081b3f8b8acb"


def obj(kind: str = "ConfigMap", **content: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "namespace": "n"}, **content}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def env(name: str, value: str) -> dict[str, Any]:
    return obj("Deployment", spec={"containers": [{"env": [{"name": name, "value": value}]}]})


PLACES = {
    "user in a Profile": (obj("Profile", spec={"owner": {"kind": "User", "name": "user@example.com"}}), "user of"),
    "user in a header": (obj(data={"nginx.conf": 'header kubeflow-userid "user@example.com";'}), "user of"),
    "password in arguments": (obj("Deployment", spec={"args": ["--password=12341234"]}), "password of Kube"),
    "hash in a Secret": (obj("Secret", data={"p": b64(KNOWN[2].value)}), "password hash"),
    "hash in stringData": (obj("Secret", stringData={"p": KNOWN[2].value}), "password hash"),
    "client secret": (obj("Secret", data={"client-secret": b64(KNOWN[3].value + "\n")}), "OIDC client"),
    "cookie secret in a file of a Secret": (obj("Secret", data={"cfg": b64(f'cookie_secret = "{COOKIE}"')}), "cookie"),
    "base64 in a ConfigMap": (obj(data={"x": f"secret: {b64('x')}\ncookie: {b64(COOKIE)}"}), "cookie"),
    "minio123": (obj("Secret", data={"secretkey": b64("minio123")}), "secret key of Pipelines"),
    "minio": (obj("Secret", data={"accesskey": b64("minio")}), "access key of Pipelines"),
    "minio in an embedded file": (obj(data={"c": "s3:\n  accessKey: minio\n"}), "access key of Pipelines"),
    "minio in embedded JSON": (obj(data={"c": json.dumps({"a": [{"accessKey": "minio"}]})}), "access key of Pipelines"),
    "minio in an env file": (obj(data={"c": "REGION=x\nMINIO_ACCESS_KEY=minio\n"}), "access key of Pipelines"),
    "minioadmin": (env("MINIO_ROOT_USER", "minioadmin"), "default user of MinIO"),
    "test of MySQL": (obj("Secret", data={"MYSQL_ROOT_PASSWORD": "dGVzdA=="}), "`test`"),
    "test in an environment": (env("DB_PASSWORD", "test"), "`test`"),
    "test as an option": (obj("Deployment", spec={"args": ["--db_password=test"]}), "`test`"),
    "test after an option": (obj("Deployment", spec={"args": ["--db_password", "test"]}), "`test`"),
    "password of a database": (env("POSTGRES_PASSWORD", "password"), "`password`"),
    "postgres of a database": (env("POSTGRES_PASSWORD", "postgres"), "`postgres`"),
    "katib of a database": (env("KATIB_DB_PASSWORD", "katib"), "`katib`"),
    "Grafana in its configuration": (env("GF_SECURITY_ADMIN_PASSWORD", "admin"), "default password of Grafana"),
    "empty password": (obj("Secret", data={"password": ""}), "empty database password"),
    "empty password allowed": (env("MYSQL_ALLOW_EMPTY_PASSWORD", "true"), "takes an empty password"),
    "Grafana": (obj("Secret", data={"admin-password": b64("prom-operator")}), "Grafana's chart"),
}


@pytest.mark.parametrize("place", PLACES)
def test_found(place: str) -> None:
    where, name = PLACES[place]
    found = constants.survivors([where], KNOWN)
    assert {name in str(finding) for finding in found} == {True}, found
    assert str(found[0]).startswith(f"{where['kind']} n/x: ")


def test_each_constant_is_put_back_somewhere() -> None:
    """One that no place above brings back might never be found."""
    found = {finding.constant.name for where, _ in PLACES.values() for finding in constants.survivors([where], KNOWN)}
    assert {constant.name for constant in KNOWN} - found == set()


@pytest.mark.parametrize(
    "innocent",
    [
        obj(data={"note": "the user of minio's test"}),
        obj("Service", metadata={"name": "minio", "namespace": "minio"}),
        obj(data={"mail": "superuser@example.com.org, other-user@example.com"}),
        obj(data={"number": "9912341234"}),
        obj("Secret", data={"password": b64("long and generated"), "token": ""}),
        obj(data={"password": ""}),
        obj("Secret", data={"blob": base64.b64encode(b"\xff\xfe").decode()}),
        env("MYSQL_ALLOW_EMPTY_PASSWORD", "false"),
        obj(data={"image": "docker.io/minio/minio"}),
    ],
)
def test_not_found(innocent: dict[str, Any]) -> None:
    assert constants.survivors([innocent], KNOWN) == []


def test_schemas_are_not_looked_at() -> None:
    assert constants.survivors([obj("CustomResourceDefinition", spec={"d": "user@example.com"})], KNOWN) == []


def test_each_constant_says_what_it_is_and_where_from() -> None:
    assert len({constant.name for constant in KNOWN}) == len(KNOWN)
    assert all(constant.origin for constant in KNOWN)


def test_strings_of_ansible_are_opened_too() -> None:
    """They are a subclass of str, which libyaml refuses."""
    tagged = type("Tagged", (str,), {})("{user: {name: user@example.com}}")
    assert constants.survivors([obj(data={"config": tagged})], KNOWN) != []
