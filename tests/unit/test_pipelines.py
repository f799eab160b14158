"""Where Kubeflow's applications keep what they store: settings in, objects and statements out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import pipelines

SECRETS = {
    "mysql": {"root": "R00t", "pipelines": "pass1", "katib": "pass2", "model_registry": "pass3"},
    "minio-user-pipelines": {"access_key": "pipelines", "secret_key": "key1"},
}
EXTERNAL = {
    "host": "db.example.org",
    "users": {
        "pipelines": {"name": "kfp", "password": "a"},
        "katib": {"password": "b"},
        "model_registry": {"password": "c"},
    },
}
STORE: dict[str, Any] = pipelines.store({}, SECRETS)


def test_our_database_has_a_user_and_a_password_for_each_application() -> None:
    found = pipelines.database({}, SECRETS)
    assert (found["host"], found["port"]) == ("mysql.kubeflow.svc.cluster.local", 3306)
    assert {name: user["password"] for name, user in found["users"].items()} == {
        "pipelines": "pass1",
        "katib": "pass2",
        "model_registry": "pass3",
    }
    assert all(user["name"] == name for name, user in found["users"].items())


def test_a_database_of_ones_own_needs_none_of_our_secrets() -> None:
    found = pipelines.database({**EXTERNAL, "port": 3307}, {})
    assert (found["host"], found["port"]) == ("db.example.org", 3307)
    assert found["users"]["pipelines"] == {"name": "kfp", "password": "a"}
    assert found["users"]["katib"] == {"name": "katib", "password": "b"}


def test_a_database_of_ones_own_that_lacks_a_user_is_refused_by_name() -> None:
    lacking = {**EXTERNAL, "users": {**EXTERNAL["users"], "katib": {"name": "katib"}}}  # type: ignore[dict-item]
    with pytest.raises(pipelines.PipelinesError, match=r"kaap_database: users\.katib\.password is missing"):
        pipelines.database(lacking, SECRETS)


def test_each_user_gets_its_own_databases_and_no_others() -> None:
    lines = pipelines.statements(pipelines.database({}, SECRETS), "R00t").splitlines()
    grants = [line for line in lines if line.startswith("GRANT")]
    assert grants == [
        "GRANT ALL PRIVILEGES ON mlpipeline.* TO 'pipelines'@'%';",
        "GRANT ALL PRIVILEGES ON cachedb.* TO 'pipelines'@'%';",
        "GRANT ALL PRIVILEGES ON metadb.* TO 'pipelines'@'%';",
        "GRANT ALL PRIVILEGES ON katib.* TO 'katib'@'%';",
        "GRANT ALL PRIVILEGES ON modelregistry.* TO 'model_registry'@'%';",
    ]
    # In a grant, _ and % stand for any character.
    assert not any(set("_%") & set(line.split(" ON ")[1].split(".")[0]) for line in grants)


def test_statements_can_be_run_again_and_set_the_passwords_of_the_day() -> None:
    """The server runs them at every start: what is there already is no error, and a rotated password takes effect."""
    lines = pipelines.statements(pipelines.database({}, SECRETS), "R00t").splitlines()
    assert all(line.endswith(";") for line in lines)
    made = [line for line in lines if line.startswith("CREATE")]
    assert made
    assert all(" IF NOT EXISTS " in line for line in made)
    assert "ALTER USER 'root'@'localhost' IDENTIFIED BY 'R00t';" in lines
    assert "ALTER USER 'katib'@'%' IDENTIFIED BY 'pass2';" in lines


@pytest.mark.parametrize("password", ["", "a'; DROP DATABASE mlpipeline; --", 'a"b', "a b"])
def test_a_password_that_could_end_its_quotes_is_refused_and_not_shown(password: str) -> None:
    server = pipelines.database({}, {**SECRETS, "mysql": {**SECRETS["mysql"], "katib": password}})
    with pytest.raises(pipelines.PipelinesError, match="user katib must be letters and digits") as caught:
        pipelines.statements(server, "R00t")
    assert not password or password not in str(caught.value)


def test_our_store_is_entered_with_the_generated_key() -> None:
    assert STORE == {
        "host": "minio.minio.svc.cluster.local",
        "port": 9000,
        "secure": False,
        "region": "us-east-1",
        "bucket": "mlpipeline",
        "access_key": "pipelines",
        "secret_key": "key1",
    }


def test_a_store_of_ones_own_speaks_tls_unless_told_otherwise() -> None:
    given = {"host": "s3.example.org", "access_key": "a", "secret_key": "b"}
    assert pipelines.store(given, {})["port"] == 443
    assert pipelines.store(given, {})["secure"] is True
    plain = pipelines.store({**given, "secure": False, "bucket": "artefacts"}, {})
    assert (plain["port"], plain["secure"], plain["bucket"]) == (80, False, "artefacts")


def test_a_store_of_ones_own_without_its_key_is_refused() -> None:
    with pytest.raises(pipelines.PipelinesError, match="kaap_s3: secret_key is missing"):
        pipelines.store({"host": "s3.example.org", "access_key": "a"}, SECRETS)


def by_name(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {obj["metadata"]["name"]: obj for obj in objects}


def test_steps_of_a_namespace_go_to_our_store_with_the_key_of_their_namespace() -> None:
    """Without ``providers`` the launcher takes the store that upstream ships."""
    objects = by_name(pipelines.namespace_objects("team", STORE))
    assert set(objects) == {"kfp-launcher", "metadata-grpc-configmap", "artifact-repositories"}
    assert all(obj["metadata"]["namespace"] == "team" for obj in objects.values())
    launcher = objects["kfp-launcher"]["data"]
    assert launcher["defaultPipelineRoot"] == "minio://mlpipeline/private-artifacts/team/v2/artifacts"
    minio = json.loads(launcher["providers"])["minio"]["default"]
    assert minio["endpoint"] == "minio.minio.svc.cluster.local:9000"
    assert minio["disableSSL"] is True
    assert minio["credentials"]["secretRef"]["secretName"] == "mlpipeline-minio-artifact"
    assert "key1" not in json.dumps(list(objects.values()))


def test_logs_and_artefacts_of_a_namespace_stay_below_its_own_prefix() -> None:
    objects = by_name(pipelines.namespace_objects("team", STORE))
    repositories = objects["artifact-repositories"]
    marked = repositories["metadata"]["annotations"]["workflows.argoproj.io/default-artifact-repository"]
    s3 = json.loads(repositories["data"][marked])["s3"]
    assert s3["keyFormat"].startswith("private-artifacts/team/{{workflow.name}}/")
    assert s3["insecure"] is True
    assert s3["endpoint"] == "minio.minio.svc.cluster.local:9000"


def test_a_store_with_tls_is_not_spoken_to_without() -> None:
    where = pipelines.store({"host": "s3.example.org", "access_key": "a", "secret_key": "b"}, {})
    assert pipelines.artifact_repository(where)["s3"]["insecure"] is False
    assert json.loads(pipelines.providers(where))["minio"]["default"]["disableSSL"] is False


def test_the_platforms_own_user_reaches_its_bucket_and_nothing_else() -> None:
    contents = pipelines.store_contents()
    assert [bucket["name"] for bucket in contents["buckets"]] == ["mlpipeline"]
    (policy,) = contents["policies"]
    resources = {resource for entry in policy["document"]["Statement"] for resource in entry["Resource"]}
    assert resources == {"arn:aws:s3:::mlpipeline", "arn:aws:s3:::mlpipeline/*"}
    assert contents["users"] == [{"name": "pipelines", "policies": ["pipelines"]}]
