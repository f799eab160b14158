"""Where Kubeflow's applications keep what they store: one MySQL server and one S3, ours or somebody else's.

Upstream ships a server of each with constants for credentials. KaaP has one of each for the whole platform: the
component ``mysql`` and the component ``minio``, or what ``kaap_database`` and ``kaap_s3`` name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]

BUCKET = "mlpipeline"
# The platform's own user of the object store: the API server and the user interface of Pipelines.
STORE_USER = "pipelines"
# User of the database server to the databases that are its own. The names of the databases are upstream's.
DATABASES: Mapping[str, Sequence[str]] = {
    "pipelines": ("mlpipeline", "cachedb", "metadb"),
    "katib": ("katib",),
    "model_registry": ("modelregistry",),
}
# Secret of the record mysql, which holds one key for each user, and its root.
DATABASE_SECRET = "mysql"  # noqa: S105 - a name, no password
DATABASE_HOST = "mysql.kubeflow.svc.cluster.local"
STORE_HOST = "minio.minio.svc.cluster.local"
ARTIFACT_SECRET = "mlpipeline-minio-artifact"  # noqa: S105 - a name, no password


class PipelinesError(Exception):
    """A setting does not say enough; the text names it and the fix."""


def missing_of_database(settings: Mapping[str, Any]) -> list[str]:
    """Keys that ``kaap_database`` lacks; none when it is empty."""
    if not settings:
        return []
    users = settings.get("users") or {}
    lacking = [f"users.{user}.password" for user in DATABASES if not (users.get(user) or {}).get("password")]
    return [*([] if settings.get("host") else ["host"]), *lacking]


def missing_of_store(settings: Mapping[str, Any]) -> list[str]:
    """Keys that ``kaap_s3`` lacks; none when it is empty."""
    return [name for name in ("host", "access_key", "secret_key") if settings and not settings.get(name)]


def database(settings: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Where the database is, and who logs in to it.

    :param settings: ``kaap_database``; empty for the component ``mysql``.
    :param secrets: the deployment's generated secrets.
    :returns: ``host``, ``port`` and ``users``: name of the user to ``name`` and ``password``.
    :raises PipelinesError: when an external server is named but one of its users is not.
    """
    if not settings:
        passwords = secrets.get(DATABASE_SECRET) or {}
        users = {user: {"name": user, "password": str(passwords.get(user, ""))} for user in DATABASES}
        return {"host": DATABASE_HOST, "port": 3306, "users": users}
    missing = missing_of_database(settings)
    if missing:
        raise PipelinesError(
            f"kaap_database: {missing[0]} is missing; an external MySQL needs host and "
            f"the users {', '.join(DATABASES)}, each with password, "
            "or leave kaap_database empty for the component mysql"
        )
    given = settings["users"]
    return {
        "host": str(settings["host"]),
        "port": int(settings.get("port") or 3306),
        "users": {
            user: {"name": str(given[user].get("name") or user), "password": str(given[user]["password"])}
            for user in DATABASES
        },
    }


def store(settings: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Where the artefacts of pipelines are, and the platform's own key to them.

    :param settings: ``kaap_s3``; empty for the component ``minio``.
    :param secrets: the deployment's generated secrets.
    :returns: ``host``, ``port``, ``secure`` (TLS), ``region``, ``bucket``, ``access_key`` and ``secret_key``.
    :raises PipelinesError: when an external store is named without its host or its key.
    """
    if not settings:
        key = secrets.get(f"minio-user-{STORE_USER}") or {}
        return {
            "host": STORE_HOST,
            "port": 9000,
            "secure": False,
            "region": "us-east-1",
            "bucket": BUCKET,
            "access_key": str(key.get("access_key", STORE_USER)),
            "secret_key": str(key.get("secret_key", "")),
        }
    missing = missing_of_store(settings)
    if missing:
        raise PipelinesError(
            f"kaap_s3: {missing[0]} is missing; an external S3 needs host, access_key and secret_key, "
            "or leave kaap_s3 empty for the component minio"
        )
    secure = bool(settings.get("secure", True))
    return {
        "host": str(settings["host"]),
        "port": int(settings.get("port") or (443 if secure else 80)),
        "secure": secure,
        "region": str(settings.get("region") or "us-east-1"),
        "bucket": str(settings.get("bucket") or BUCKET),
        "access_key": str(settings["access_key"]),
        "secret_key": str(settings["secret_key"]),
    }


def statements(server: Mapping[str, Any], root_password: str) -> str:
    """The SQL that the server runs each time it starts: databases, users, rights, and the passwords of this day.

    One statement a line and no comments: that is what ``mysqld --init-file`` reads.

    :param server: what :func:`database` returned.
    :raises PipelinesError: when a password could end its own quotes.
    """
    users = server["users"]
    for name, password in [("root", root_password), *((name, user["password"]) for name, user in users.items())]:
        if not password or not password.isalnum():
            raise PipelinesError(f"the password of the database user {name} must be letters and digits, and not empty")
    lines = [f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{root_password}';"]
    for user, databases in DATABASES.items():
        account = f"'{users[user]['name']}'@'%'"
        password = users[user]["password"]
        lines += [f"CREATE DATABASE IF NOT EXISTS {name};" for name in databases]
        lines += [
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{password}';",
            f"ALTER USER {account} IDENTIFIED BY '{password}';",
        ]
        lines += [f"GRANT ALL PRIVILEGES ON {name}.* TO {account};" for name in databases]
    return "\n".join(lines) + "\n"


def providers(where: Mapping[str, Any]) -> str:
    """The key ``providers`` of a ConfigMap ``kfp-launcher``: where steps read and write, and with whose key.

    Without it the launcher goes to a server that upstream ships and we do not have.
    """
    return json.dumps(
        {
            "minio": {
                "default": {
                    "endpoint": f"{where['host']}:{where['port']}",
                    "region": where["region"],
                    "disableSSL": not where["secure"],
                    "credentials": {
                        "fromEnv": False,
                        "secretRef": {
                            "secretName": ARTIFACT_SECRET,
                            "accessKeyKey": "accesskey",
                            "secretKeyKey": "secretkey",
                        },
                    },
                }
            }
        },
        sort_keys=True,
    )


def artifact_repository(
    where: Mapping[str, Any], prefix: str = "private-artifacts/{{workflow.namespace}}"
) -> dict[str, Any]:
    """An artefact repository of Argo Workflows.

    :param prefix: of the keys, without a slash at the end; may hold Argo's own ``{{...}}``.
    """
    day = "/".join(f"{{{{workflow.creationTimestamp.{part}}}}}" for part in ("Y", "m", "d"))
    return {
        "archiveLogs": True,
        "s3": {
            "endpoint": f"{where['host']}:{where['port']}",
            "bucket": where["bucket"],
            "region": where["region"],
            "insecure": not where["secure"],
            "keyFormat": f"{prefix}/{{{{workflow.name}}}}/{day}/{{{{pod.name}}}}",
            "accessKeySecret": {"name": ARTIFACT_SECRET, "key": "accesskey"},
            "secretKeySecret": {"name": ARTIFACT_SECRET, "key": "secretkey"},
        },
    }


def namespace_objects(namespace: str, where: Mapping[str, Any]) -> list[Object]:
    """What a namespace needs for pipelines to run in it, beside the Secret with its own key.

    Upstream has a controller for this, which makes the keys too, by the user interface of another object store.

    :param namespace: of a profile.
    :param where: what :func:`store` returned; its keys are not used.
    """

    def config(name: str, data: dict[str, str], annotations: dict[str, str] | None = None) -> Object:
        metadata: dict[str, Any] = {"name": name, "namespace": namespace}
        if annotations:
            metadata["annotations"] = annotations
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    repository = artifact_repository(where, f"private-artifacts/{namespace}")
    return [
        config(
            "kfp-launcher",
            {
                "defaultPipelineRoot": f"minio://{where['bucket']}/private-artifacts/{namespace}/v2/artifacts",
                "providers": providers(where),
            },
        ),
        config(
            "metadata-grpc-configmap",
            {
                "METADATA_GRPC_SERVICE_HOST": "metadata-grpc-service.kubeflow",
                "METADATA_GRPC_SERVICE_PORT": "8080",
            },
        ),
        config(
            "artifact-repositories",
            {"default-namespaced": json.dumps(repository, sort_keys=True)},
            {"workflows.argoproj.io/default-artifact-repository": "default-namespaced"},
        ),
    ]


def store_contents() -> dict[str, list[dict[str, Any]]]:
    """Bucket, policy and user that Pipelines itself has in our object store, in the form of the ``kaap_minio_*``."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:GetBucketLocation"],
                "Resource": [f"arn:aws:s3:::{BUCKET}"],
            },
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": [f"arn:aws:s3:::{BUCKET}/*"],
            },
        ],
    }
    return {
        "buckets": [{"name": BUCKET}],
        "policies": [{"name": STORE_USER, "document": policy}],
        "users": [{"name": STORE_USER, "policies": [STORE_USER]}],
    }
