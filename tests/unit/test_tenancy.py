"""Tenants: what follows from them, in the cluster and in the object store."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import pipelines, tenancy
from ansible_collections.infn.kaap.plugins.module_utils.tenancy import Store, TenancyError

OWNER, MEMBER, VIEWER, GROUPED = (f"{name}@example.org" for name in ("owner", "member", "viewer", "grouped"))
GROUPS = [{"name": "night", "members": [GROUPED, MEMBER, OWNER]}]
QUEUES: dict[str, Any] = {
    "resource_flavors": [{"name": "default"}],
    "cluster_queues": [
        {"name": "kaap", "flavor": "default", "quotas": {"cpu": "8", "memory": "32Gi"}, "cohort": "all"},
        {"name": "gpus", "flavor": "default", "quotas": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": 4}},
    ],
}
SECRETS = {"minio-user-tenant-astro": {"access_key": "tenant-astro", "secret_key": "s3cr3t"}}
ASTRO: dict[str, Any] = {
    "name": "astro",
    "owner": OWNER,
    "members": [MEMBER],
    "viewers": [VIEWER],
    "groups": ["night", "/kaap/astro"],
    "quota": {"cpu": 8, "memory": "32Gi", "gpu": 2, "storage": "100Gi"},
}
CORE = ("kueue", "minio")
FULL = ("kueue", "minio", "profiles", "istio", "pipelines")


def objects(
    components: tuple[str, ...] = CORE, external: Any = None, **changes: Any
) -> dict[tuple[str, str], dict[str, Any]]:
    """The objects of one tenant, by kind and name."""
    made = tenancy.tenancy_objects(
        [{**ASTRO, **changes}],
        GROUPS,
        QUEUES,
        components=components,
        secrets=SECRETS,
        pipelines_store=pipelines.store(external or {}, {}),
    )
    found = {(obj["kind"], obj["metadata"]["name"]): obj for obj in made}
    assert len(found) == len(made)
    return found


def who(made: dict[tuple[str, str], dict[str, Any]]) -> dict[str, str]:
    """Role of each subject."""
    return {
        f"{obj['subjects'][0]['kind']} {obj['subjects'][0]['name']}": obj["roleRef"]["name"]
        for (kind, _), obj in made.items()
        if kind == "RoleBinding"
    }


def test_everybody_has_the_role_that_the_inventory_says() -> None:
    """Groups of the inventory are people, others are groups of the identity provider; nobody is bound twice."""
    assert who(objects()) == {
        f"User {OWNER}": "admin", f"User {MEMBER}": "edit", f"User {GROUPED}": "edit", f"User {VIEWER}": "view",
        "Group /kaap/astro": "edit", "ServiceAccount default-editor": "edit",
    }  # fmt: skip


def test_who_is_taken_out_is_bound_no_more() -> None:
    people = who(objects(members=[], groups=[]))
    assert f"User {MEMBER}" not in people and f"User {GROUPED}" not in people and "Group /kaap/astro" not in people
    assert tenancy.tenancy_objects([], GROUPS, QUEUES, components=CORE) == []


def test_a_member_of_a_group_who_is_a_viewer_is_a_member() -> None:
    assert who(objects(viewers=[GROUPED]))[f"User {GROUPED}"] == "edit"


@pytest.mark.parametrize(
    ("user", "name"),
    [
        # What kfam's getBindingName makes of these.
        ("lalith@kubeflow.org", "user-lalith-kubeflow-org-clusterrole-edit"),
        ("First.Last+x@Example.org", "user-first-last-x-example-org-clusterrole-edit"),
        ("a.-b@example.org.", "user-a-b-example-org-clusterrole-edit"),
        ("73f16d93-2441-4a50-88ff-85360d78c6b5", "user-73f16d93-2441-4a50-88ff-85360d78c6b5-clusterrole-edit"),
    ],
)
def test_bindings_are_called_as_kubeflow_calls_them(user: str, name: str) -> None:
    assert tenancy.binding_name("User", user, "edit") == name


def test_a_contributor_is_bound_as_the_dashboard_binds_one() -> None:
    """RoleBinding and AuthorizationPolicy of kfam's BindingClient.Create, field by field."""
    made = objects(FULL)
    name = "user-member-example-org-clusterrole-edit"
    assert made["RoleBinding", name] == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": "astro", "annotations": {"user": MEMBER, "role": "edit"}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kubeflow-edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": MEMBER}],
    }
    principals = [
        "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account",
        "cluster.local/ns/kubeflow/sa/ml-pipeline-ui",
    ]
    policy = made["AuthorizationPolicy", name]
    assert policy["metadata"]["annotations"] == {"user": MEMBER, "role": "edit"}
    assert policy["spec"] == {
        "rules": [
            {
                "from": [{"source": {"principals": principals}}],
                "when": [{"key": "request.headers[kubeflow-userid]", "values": [MEMBER]}],
            }
        ]
    }


def test_groups_of_the_identity_provider_are_not_shown_as_contributors() -> None:
    """The dashboard takes every binding with these annotations for one of a person."""
    binding = objects(FULL)["RoleBinding", "group-kaap-astro-clusterrole-edit"]
    assert "annotations" not in binding["metadata"]


def test_a_profile_with_its_quota() -> None:
    profile = objects(FULL)["Profile", "astro"]
    assert profile["apiVersion"] == "kubeflow.org/v1"
    assert profile["spec"] == {
        "owner": {"kind": "User", "name": OWNER},
        "resourceQuotaSpec": {
            "hard": {
                "requests.cpu": "8", "requests.memory": "32Gi", "requests.nvidia.com/gpu": "2",
                "requests.storage": "100Gi",
            }
        },
    }  # fmt: skip
    assert "resourceQuotaSpec" not in objects(FULL, quota={})["Profile", "astro"]["spec"]


def test_the_namespace_is_one_that_the_profile_controller_accepts_and_that_outlives_the_tenant() -> None:
    """The controller compares the annotation owner; the namespace is not the Profile's, or its data went with it."""
    metadata = objects(FULL)["Namespace", "astro"]["metadata"]
    assert metadata["annotations"] == {
        "kaap.infn.it/keep": "true",
        "kaap.infn.it/people": f'["group /kaap/astro", "{GROUPED}", "{MEMBER}", "{OWNER}", "{VIEWER}"]',
        "kaap.infn.it/buckets": '["astro"]',
        "owner": OWNER,
    }
    assert metadata["labels"]["istio-injection"] == "enabled"
    assert metadata["labels"]["app.kubernetes.io/part-of"] == "kubeflow-profile"
    assert metadata["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"
    assert "ownerReferences" not in metadata


def test_without_kubeflow_a_tenant_is_a_plain_namespace() -> None:
    made = objects()
    assert {kind for kind, _ in made} == {
        "ClusterRole", "LimitRange", "LocalQueue", "Namespace", "NetworkPolicy", "ResourceQuota", "RoleBinding",
        "Secret", "ServiceAccount",
    }  # fmt: skip
    assert made["ResourceQuota", "kaap-quota"]["spec"]["hard"]["requests.cpu"] == "8"
    assert "istio-injection" not in made["Namespace", "astro"]["metadata"]["labels"]
    assert "owner" not in made["Namespace", "astro"]["metadata"]["annotations"]


def test_what_a_pod_asks_for_by_default_where_it_has_to_ask() -> None:
    assert ("LimitRange", "kaap-requests") in objects()
    assert ("LimitRange", "kaap-requests") not in objects(quota={"gpu": 0, "storage": "1Ti"})
    assert objects(quota={"gpu": 0})["ResourceQuota", "kaap-quota"]["spec"] == {
        "hard": {"requests.nvidia.com/gpu": "0"}
    }
    assert ("ResourceQuota", "kaap-quota") not in objects(quota={})


def test_a_queue_shared_with_others() -> None:
    made = objects()
    assert made["LocalQueue", "kaap"]["spec"] == {"clusterQueue": "kaap"}
    assert objects(queue="gpus")["LocalQueue", "kaap"]["spec"] == {"clusterQueue": "gpus"}
    assert not [kind for kind, _ in made if kind == "ClusterQueue"]


def test_a_share_is_a_queue_of_its_own_in_the_cohort() -> None:
    made = objects(share={"cpu": 4, "memory": "16Gi", "gpu": 1})
    assert made["LocalQueue", "kaap"]["spec"] == {"clusterQueue": "tenant-astro"}
    spec = made["ClusterQueue", "tenant-astro"]["spec"]
    assert spec["cohortName"] == "all"
    assert spec["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "astro"}}
    flavor = spec["resourceGroups"][0]["flavors"][0]
    assert {each["name"]: each["nominalQuota"] for each in flavor["resources"]} == {
        "cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1",
    }  # fmt: skip


def test_an_unknown_queue_is_refused() -> None:
    with pytest.raises(
        TenancyError, match=r"queue of astro is 'ghost'; declare it .* or take one of \['gpus', 'kaap'\]"
    ):
        objects(queue="ghost")


def test_the_key_to_the_object_store() -> None:
    made = objects(buckets=["sky", "raw"])
    secret = made["Secret", "kaap-s3"]
    assert secret["stringData"] == {
        "AWS_ACCESS_KEY_ID": "tenant-astro",
        "AWS_SECRET_ACCESS_KEY": "s3cr3t",
        "AWS_ENDPOINT_URL": "http://minio.minio.svc.cluster.local:9000",
        "AWS_DEFAULT_REGION": "us-east-1",
        "BUCKET": "sky",
    }
    assert secret["metadata"]["annotations"]["serving.kserve.io/s3-endpoint"] == "minio.minio.svc.cluster.local:9000"
    assert made["ServiceAccount", "default-editor"]["secrets"] == [{"name": "kaap-s3"}]
    assert ("Secret", "mlpipeline-minio-artifact") not in made


def test_another_store_by_tls() -> None:
    tenant = tenancy.settle([ASTRO])[0]
    secret = tenancy.store_objects(tenant, SECRETS, Store("s3.example.org", tls=True), with_pipelines=False)[0]
    assert secret["stringData"]["AWS_ENDPOINT_URL"] == "https://s3.example.org"
    assert secret["metadata"]["annotations"]["serving.kserve.io/s3-usehttps"] == "1"


def test_pipelines_find_their_key() -> None:
    secret = objects(FULL)["Secret", "mlpipeline-minio-artifact"]
    assert secret["stringData"] == {"accesskey": "tenant-astro", "secretkey": "s3cr3t"}


def test_a_namespace_in_which_pipelines_run() -> None:
    made = objects(FULL)
    assert {"kfp-launcher", "metadata-grpc-configmap", "artifact-repositories"} <= {name for _, name in made}
    assert not [kind for kind, _ in objects() if kind == "ConfigMap"]


def test_keys_to_a_store_of_the_site_are_the_sites_business() -> None:
    made = objects(FULL, external={"host": "s3.example.org", "access_key": "a", "secret_key": "b"})
    assert ("Secret", "mlpipeline-minio-artifact") not in made and ("ConfigMap", "kfp-launcher") in made


def test_a_key_that_was_not_generated_is_named() -> None:
    with pytest.raises(TenancyError, match="minio-user-tenant-astro"):
        tenancy.tenancy_objects([ASTRO], GROUPS, QUEUES, components=CORE, secrets={})


def test_what_another_component_makes_is_left_out_with_it() -> None:
    kinds = {kind for kind, _ in objects(())}
    assert "LocalQueue" not in kinds and "Secret" not in kinds
    assert "secrets" not in objects(())["ServiceAccount", "default-editor"]


def test_tenants_may_not_take_paths_of_the_gateway() -> None:
    roles = [obj for (kind, _), obj in objects().items() if kind == "ClusterRole"]
    assert len(roles) == 2
    assert not [rule for role in roles for rule in role["rules"] if "gateway.networking.k8s.io" in rule["apiGroups"]]


def test_a_key_opens_its_own_buckets_and_no_others() -> None:
    store = tenancy.tenant_store([ASTRO, {"name": "bio", "owner": VIEWER, "buckets": []}], GROUPS)
    assert store["buckets"] == [{"name": "astro"}]
    own, none = (policy["document"]["Statement"] for policy in store["policies"])
    assert {place for statement in own for place in statement["Resource"]} == {
        "arn:aws:s3:::astro", "arn:aws:s3:::astro/*",
    }  # fmt: skip
    assert all(statement["Effect"] == "Allow" for statement in own)
    assert [statement["Effect"] for statement in none] == ["Deny"]


def test_with_pipelines_a_key_opens_its_own_artefacts() -> None:
    store = tenancy.tenant_store([ASTRO], GROUPS, with_pipelines=True)
    places = {place for each in store["policies"][0]["document"]["Statement"] for place in each["Resource"]}
    inside = {place for place in places if re.search("mlpipeline/", place)}
    assert inside == {
        f"arn:aws:s3:::mlpipeline/{place}"
        for place in ("artifacts/astro/*", "private/astro/*", "private-artifacts/astro/*", "shared/*")
    }


def test_who_can_read_a_key() -> None:
    """Viewers cannot; who came by a group can."""
    holders = tenancy.tenant_store([ASTRO], GROUPS)["users"][0]["holders"]
    assert holders == ["group /kaap/astro", GROUPED, MEMBER, OWNER]
