"""The chart llm-server: each option, and values that its schema refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.release import charts
from tests.release.charts import Objects, Template, Values

NEEDED: Values = {"apiKey": {"existingSecret": "llm-api"}}
SERVERS = {"llm": "chat", "llm-embedding": "embedding", "llm-reranker": "reranker"}


@pytest.fixture
def template(helm: Path, tmp_path: Path) -> Template:
    """Renders the chart; returns the objects by kind and name."""

    def render(**values: Any) -> Objects:
        return charts.rendered(helm, tmp_path, "llm-server", "llm", charts.merged(NEEDED, values))

    return render


def container(objects: Objects, server: str) -> dict[str, Any]:
    """The container of a server's runtime."""
    found: dict[str, Any] = objects["ServingRuntime", server]["spec"]["containers"][0]
    return found


def predictor(objects: Objects, server: str) -> dict[str, Any]:
    """What a server's InferenceService asks of KServe."""
    found: dict[str, Any] = objects["InferenceService", server]["spec"]["predictor"]
    return found


def env(objects: Objects, server: str) -> dict[str, Any]:
    """Variables of a server."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(objects, server)["env"]}


def test_lint(helm: Path, tmp_path: Path) -> None:
    """Strict lint, with the one value that has no default."""
    done = charts.run(helm, NEEDED, tmp_path, "lint", "--strict", str(charts.CHARTS / "llm-server"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_defaults(template: Template) -> None:
    """Three servers, each with a runtime of its own and a budget."""
    kinds = ("ServingRuntime", "InferenceService", "PodDisruptionBudget")
    assert set(template()) == {
        ("ServiceAccount", "llm"),
        ("NetworkPolicy", "llm"),
        *((kind, server) for kind in kinds for server in SERVERS),
    }


def test_default_models(template: Template) -> None:
    """Qwen2.5 for chat, Arctic for embedding, BGE for reranking, each in its own format and runtime."""
    objects = template()
    models = {server: predictor(objects, server)["model"] for server in SERVERS}
    assert {server: model["storageUri"] for server, model in models.items()} == {
        "llm": "hf://Qwen/Qwen2.5-7B-Instruct",
        "llm-embedding": "hf://Snowflake/snowflake-arctic-embed-l-v2.0",
        "llm-reranker": "hf://BAAI/bge-reranker-v2-m3",
    }
    assert {server: model["runtime"] for server, model in models.items()} == {server: server for server in SERVERS}
    for server, model in models.items():
        formats = objects["ServingRuntime", server]["spec"]["supportedModelFormats"]
        assert {"name": model["modelFormat"]["name"], "version": "1", "autoSelect": False} in formats


@pytest.mark.parametrize("server", SERVERS)
def test_pods_are_restricted(template: Template, server: str) -> None:
    """Accepted by the restricted Pod Security Standard, the fetching container too, which gets the same."""
    objects = template()
    assert predictor(objects, server)["securityContext"] == charts.RESTRICTED
    assert predictor(objects, server)["automountServiceAccountToken"] is False
    assert container(objects, server)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@pytest.mark.parametrize("server", SERVERS)
def test_probes_and_limits(template: Template, server: str) -> None:
    """Each probe asks the server's own health, which wants no key; loading may take half an hour."""
    found = container(template(), server)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert found[probe]["httpGet"] == {"path": "/health", "port": 8080}
    assert found["startupProbe"]["periodSeconds"] * found["startupProbe"]["failureThreshold"] == 1800
    assert set(found["resources"]) == {"requests", "limits"}


def test_images(template: Template) -> None:
    """Repository and tag; no tag for the chat server means the chart's version."""
    version = yaml.safe_load((charts.CHARTS / "llm-server/Chart.yaml").read_text())["appVersion"]
    assert container(template(), "llm")["image"] == f"docker.io/vllm/vllm-openai:{version}"
    objects = template(reranker={"image": {"repository": "a.example/b", "tag": "c", "pullPolicy": "Never"}})
    assert container(objects, "llm-reranker")["image"] == "a.example/b:c"
    assert container(objects, "llm-reranker")["imagePullPolicy"] == "Never"


def test_key(template: Template) -> None:
    """Chat and embedding take it from the Secret that is named; the reranker's clients could not send it."""
    objects = template(apiKey={"existingSecret": "other", "key": "k"})
    wanted = {"secretKeyRef": {"name": "other", "key": "k"}}
    assert env(objects, "llm")["VLLM_API_KEY"] == wanted
    assert env(objects, "llm-embedding")["API_KEY"] == wanted
    assert "API_KEY" not in env(objects, "llm-reranker")


@pytest.mark.parametrize("server", SERVERS)
def test_nothing_is_fetched_by_the_servers(template: Template, server: str) -> None:
    """The model comes from the storage initializer, into /mnt/models."""
    objects = template()
    assert env(objects, server)["HF_HUB_OFFLINE"] == "1"
    assert [
        word
        for word in [*container(objects, server)["command"], *container(objects, server)["args"]]
        if "/mnt/models" in word
    ]


def test_chat_arguments(template: Template) -> None:
    """Name, length and what is added; one process per card when there are several."""
    objects = template(chat={"name": "q", "maxModelLength": 4096, "args": ["--enforce-eager"], "gpu": {"count": 2}})
    args = container(objects, "llm")["args"]
    assert args[2:] == [
        "--served-model-name=q",
        "--max-model-len=4096",
        "--tensor-parallel-size=2",
        "--enforce-eager",
    ]
    assert not [word for word in container(template(), "llm")["args"] if word.startswith("--tensor-parallel")]


def test_gpu(template: Template) -> None:
    """Count and resource become a limit, the flavour a node selector; the taint of such nodes is tolerated."""
    objects = template(
        chat={"gpu": {"count": 2, "resource": "nvidia.com/mig-3g.20gb", "flavour": "NVIDIA-A100-PCIE-40GB"}},
        runtimeClassName="nvidia",
    )
    assert container(objects, "llm")["resources"]["limits"]["nvidia.com/mig-3g.20gb"] == "2"
    assert predictor(objects, "llm")["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-A100-PCIE-40GB"}
    assert predictor(objects, "llm")["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert predictor(objects, "llm")["deploymentStrategy"] == {"type": "Recreate"}
    assert predictor(objects, "llm")["runtimeClassName"] == "nvidia"


def test_without_gpu(template: Template) -> None:
    """No limit, no selector, no toleration, no runtime class: any node will do."""
    objects = template(runtimeClassName="nvidia")
    assert set(container(objects, "llm-embedding")["resources"]["limits"]) == {"cpu", "memory"}
    for key in ("nodeSelector", "tolerations", "runtimeClassName", "deploymentStrategy"):
        assert key not in predictor(objects, "llm-embedding")


def test_embedding_and_reranker_can_be_left_out(template: Template) -> None:
    """Then nothing of them is there."""
    objects = template(embedding={"enabled": False}, reranker={"enabled": False})
    assert {name for kind, name in objects} == {"llm"}


def test_store_credentials(template: Template) -> None:
    """KServe finds them on the service account; public models need none."""
    objects = template(storage={"existingSecret": "s3"})
    assert objects["ServiceAccount", "llm"]["secrets"] == [{"name": "s3"}]
    assert "secrets" not in template()["ServiceAccount", "llm"]
    assert predictor(objects, "llm")["serviceAccountName"] == "llm"


def test_queue(template: Template) -> None:
    """Kueue looks at the label of the pods."""
    objects = template(queue="team")
    for server in SERVERS:
        assert predictor(objects, server)["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert "kueue.x-k8s.io/queue-name" not in predictor(template(), "llm")["labels"]


def test_replicas(template: Template) -> None:
    """As many as asked for, never scaled to zero."""
    found = predictor(template(chat={"replicas": 3}), "llm")
    assert (found["minReplicas"], found["maxReplicas"]) == (3, 3)


def test_not_published(template: Template) -> None:
    """Without Knative, and without a way in from outside."""
    for server in SERVERS:
        metadata = template()["InferenceService", server]["metadata"]
        assert metadata["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
        assert metadata["labels"]["networking.kserve.io/visibility"] == "cluster-local"


LOCAL = {kind: {"storageUri": f"s3://models/{kind}"} for kind in SERVERS.values()}


def test_network_policy(template: Template) -> None:
    """Callers by namespace; names and the store, nothing else, when the models lie in it."""
    spec = template(
        **LOCAL,
        networkPolicy={
            "clients": ["kotaemon"],
            "storageNamespaces": ["minio"],
            "storageCidrs": ["10.1.0.0/16"],
            "storagePorts": [9000],
        },
    )["NetworkPolicy", "llm"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["ports"] for rule in spec["ingress"]] == [[{"port": 8080}]]
    assert charts.namespaces(spec["ingress"][0], "from") == ["kotaemon"]
    names, store = spec["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert store["ports"] == [{"port": 9000}]
    assert charts.namespaces(store, "to") == ["minio"]
    assert {"ipBlock": {"cidr": "10.1.0.0/16"}} in store["to"]


def test_network_policy_for_a_hub(template: Template) -> None:
    """A model of a hub opens the way to it; models of the store leave it shut."""
    everywhere = [{"ipBlock": {"cidr": "0.0.0.0/0"}}]
    assert template()["NetworkPolicy", "llm"]["spec"]["egress"][-1] == {"ports": [{"port": 443}], "to": everywhere}
    assert len(template(**LOCAL)["NetworkPolicy", "llm"]["spec"]["egress"]) == 1
    assert ("NetworkPolicy", "llm") not in template(networkPolicy={"enabled": False})


def test_network_policy_and_budgets_select_the_pods(template: Template) -> None:
    """By labels that the pods have, each budget only its own server's."""
    objects = template()
    for server in SERVERS:
        labels = predictor(objects, server)["labels"].items()
        assert objects["NetworkPolicy", "llm"]["spec"]["podSelector"]["matchLabels"].items() <= labels
        matching = [
            other
            for other in SERVERS
            if objects["PodDisruptionBudget", other]["spec"]["selector"]["matchLabels"].items() <= labels
        ]
        assert matching == [server]


def test_disruption_budget(template: Template) -> None:
    """0 forbids to drain a node with the only replica."""
    objects = template(podDisruptionBudget={"maxUnavailable": 0})
    assert objects["PodDisruptionBudget", "llm"]["spec"]["maxUnavailable"] == 0
    assert ("PodDisruptionBudget", "llm") not in template(podDisruptionBudget={"enabled": False})


def test_placement(template: Template) -> None:
    """Node selector and tolerations reach every server, beside those of the GPU."""
    objects = template(
        nodeSelector={"a": "b"}, tolerations=[{"key": "k", "operator": "Exists"}], chat={"gpu": {"flavour": "T4"}}
    )
    assert predictor(objects, "llm")["nodeSelector"] == {"a": "b", "nvidia.com/gpu.product": "T4"}
    assert len(predictor(objects, "llm")["tolerations"]) == 2
    assert predictor(objects, "llm-reranker")["nodeSelector"] == {"a": "b"}
    assert predictor(objects, "llm-reranker")["tolerations"] == [{"key": "k", "operator": "Exists"}]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "existingSecret"),
        ({**NEEDED, "apikey": "x"}, "apikey"),
        (charts.merged(NEEDED, {"chat": {"storageUri": "Qwen/Qwen2.5"}}), "storageUri"),
        (charts.merged(NEEDED, {"chat": {"gpu": {"count": "1"}}}), "count"),
        (charts.merged(NEEDED, {"chat": {"gpu": {"resource": "gpu"}}}), "resource"),
        (charts.merged(NEEDED, {"embedding": {"enabled": "yes"}}), "enabled"),
        (charts.merged(NEEDED, {"networkPolicy": {"storageCidrs": ["10.0.0.1"]}}), "storageCidrs"),
        (charts.merged(NEEDED, {"chat": {"replicas": 0}}), "replicas"),
    ],
)
def test_wrong_values_are_refused(helm: Path, tmp_path: Path, values: Values, named: str) -> None:
    """By the schema, and the message names the value."""
    done = charts.run(helm, values, tmp_path, "template", "llm", str(charts.CHARTS / "llm-server"))
    assert done.returncode != 0
    assert named in done.stderr


def test_notes_say_how_to_diagnose(helm: Path, tmp_path: Path) -> None:
    """The commands name this release's own objects and settings."""
    text = charts.notes(helm, tmp_path, "llm-server", "llm", {**NEEDED, "queue": "team"})
    assert "http://llm-predictor.home.svc/v1" in text
    assert "kubectl -n home describe inferenceservice llm" in text
    assert "1 of nvidia.com/gpu" in text
    assert "it waits in queue team" in text
    assert "chat.maxModelLength=16384" in text
