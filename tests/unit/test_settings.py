"""Settings: one place, true specifications, and every fault named with its fix."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import settings
from ansible_collections.infn.kaap.plugins.module_utils.settings import Component, Host, Machine

ROOT = Path(__file__).parents[2]
INVALID = sorted((Path(__file__).parent / "fixtures" / "invalid").glob("*.yml"))
GROUPS = {"kaap_nodes", "kaap_control_plane", "kaap_workers", "kaap_registry", "kaap_absent"}


def load(path: Path) -> Any:
    """Return the content of a YAML file."""
    return yaml.safe_load(path.read_text("utf-8"))


SPECS = settings.load_specs(ROOT)
DEFAULTS: dict[str, Any] = load(ROOT / "roles/kaap/defaults/main.yml")
GOOD: dict[str, Any] = {
    "node_cidr": "10.90.1.0/24",
    "port_base": 18400,
    "machines": [["control-1", "control-1", ["kaap_control_plane"]], ["worker-1", "worker-1", ["kaap_workers"]]],
    "components": {
        "jobset": Component(),
        "kserve": Component(),
        "kueue": Component(needs=("jobset", "trainer")),
        "minio": Component(),
        "trainer": Component(needs=("jobset",)),
        "istio": Component(profile="full"),
        "mysql": Component(profile="full"),
        # Switched on by the cases that are about the way in, and about what Kubeflow's applications store.
        "cert-manager": Component(profile="optional"),
        "dex": Component(profile="optional"),
        "katib": Component(profile="optional", after=("mysql",)),
        "kubeflow-gateway": Component(profile="optional", after=("cert-manager",)),
        "oauth2-proxy": Component(profile="optional", after=("dex",)),
        "pipelines": Component(profile="optional", after=("mysql", "minio")),
    },
    "use_cases": {"remat": ("minio", "kserve", "trainer", "kueue")},
}


ON = {"enabled": True}
WAY_IN = {"kubeflow-gateway": ON, "cert-manager": ON}
ACME = {"mode": "acme", "email": "kaap@example.org"}
IAM = {"issuer": "https://iam.example.org/", "client_id": "kaap", "client_secret_file": "/etc/secret"}
OWNER = {"email": "owner@example.org", "username": "owner", "userID": "1", "hash": "$2y$12$" + "a" * 53}
DATABASE = {
    "host": "db.example.org",
    "users": {"pipelines": {"password": "a"}, "katib": {"password": "b"}, "model_registry": {"password": "c"}},
}


def host(**changes: Any) -> Host:
    """Return a machine on which the defaults work, with changes."""
    facts = {**GOOD, **changes}
    facts["machines"] = tuple(Machine(name, address, tuple(groups)) for name, address, groups in facts["machines"])
    facts["components"] = {
        name: Component(**each) if isinstance(each, dict) else each for name, each in facts["components"].items()
    }
    for name in ("networks", "release_problems"):
        facts[name] = tuple(tuple(entry) if isinstance(entry, list) else entry for entry in facts.get(name, ()))
    return Host(**facts)


def problems(changes: dict[str, Any], facts: dict[str, Any] | None = None) -> list[str]:
    """Return what is wrong with the defaults and some changes."""
    return [str(each) for each in settings.validate({**DEFAULTS, **changes}, SPECS, host(**(facts or {})))]


def test_defaults_and_specifications_agree_in_value() -> None:
    """One interface: the same names, the same values."""
    assert list(SPECS) != [] and set(SPECS) == set(DEFAULTS)
    assert {name: spec["default"] for name, spec in SPECS.items()} == DEFAULTS


def test_every_setting_is_described_in_a_sentence() -> None:
    """Type and description are there, nested ones too."""

    def walk(options: dict[str, Any], where: str) -> None:
        for name, spec in options.items():
            assert spec.get("type"), f"{where}{name} has no type"
            assert re.match(r"^[A-Z0-9].*\.$", spec["description"]), f"{where}{name}: {spec['description']}"
            walk(spec.get("options", {}), f"{where}{name}.")

    walk(SPECS, "")


def test_the_defaults_are_sound() -> None:
    """Nothing is wrong with what nobody changed."""
    assert problems({}) == []


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid_settings_are_refused_for_the_stated_reason(path: Path) -> None:
    """Exactly the faults of the fixture, no others."""
    case = load(path)
    found = problems(case["settings"], case.get("host"))
    assert len(found) == len(case["problems"]), found
    for wanted in case["problems"]:
        assert any(wanted in line for line in found), f"{wanted!r} is not among {found}"


def test_there_are_a_dozen_invalid_fixtures() -> None:
    """The rule is the issue's own."""
    assert len(INVALID) >= 12


def test_all_problems_are_told_at_once() -> None:
    """One run shows everything."""
    changes = {"kaap_profil": "x", "kaap_pod_cidr": "10.0.0.5/16", "kaap_host_port_base": 18000}
    found = problems(changes, {"uid": 1000, "ports": {18000: "nginx"}})
    assert [line.partition(":")[0] for line in found] == [
        "kaap_profil",
        "kaap_pod_cidr",
        "kaap_host_port_base",
        "user id",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"kaap_only": "minio, kueue"},
        {"kaap_pack_only": "charts, manifests"},
        {"kaap_only": ["minio"]},
        {"kaap_host_port_base": "20000", "kaap_node_cpus": "2", "kaap_remat_seed": "7"},
        {"kaap_components": {"istio": {"enabled": True}}},
        {"kaap_components": {"kueue": {"values": {"a": 1}}}},
        {"kaap_components": {"minio": {"enabled": False}}, "kaap_use_cases": []},
        {"kaap_node_memory": "6g", "kaap_node_cpus": 1.5},
        {"kaap_pod_cidr": "192.168.0.0/23"},
        {"kaap_gpu_sharing": "mig:1g.10gb"},
        {"kaap_longhorn_replicas": 1},
        {"kaap_tls": {"mode": "acme"}, "kaap_domain": "what profile core does not read"},
        {"kaap_components": WAY_IN},
        {"kaap_components": WAY_IN, "kaap_domain": "kaap.example.org", "kaap_tls": ACME},
        {"kaap_components": WAY_IN, "kaap_tls": {**ACME, "server": "https://ca.kaap.internal/acme/directory"}},
        {
            "kaap_components": {"kubeflow-gateway": ON},
            "kaap_tls": {"mode": "given", "certificate": "/tls.crt", "key": "/tls.key"},
        },
        {"kaap_components": {"kubeflow-gateway": ON, "cert-manager": {"provided": True}}},
        {"kaap_components": {"oauth2-proxy": ON}, "kaap_oidc": IAM},
        {"kaap_components": {"oauth2-proxy": ON, "dex": ON}, "kaap_dex": {"users": [OWNER]}},
        {"kaap_components": {"oauth2-proxy": ON, "dex": ON}, "kaap_oidc": IAM, "kaap_dex": {"users": [OWNER]}},
        {"kaap_components": {"pipelines": ON, "mysql": ON}},
        {"kaap_components": {"katib": ON, "mysql": {"provided": True}}, "kaap_database": DATABASE},
        {"kaap_components": {"katib": ON}, "kaap_database": DATABASE},
        {
            "kaap_components": {"pipelines": ON, "mysql": ON, "minio": {"provided": True}},
            "kaap_s3": {"host": "s3.example.org", "access_key": "a", "secret_key": "b"},
        },
    ],
    ids=str,
)
def test_sound_changes_pass(changes: dict[str, Any]) -> None:
    """What should work is not refused; text from the command line counts as the number it spells."""
    assert problems(changes) == []


NETWORK = {"components": {"calico": Component(profile="optional")}, "use_cases": {"remat": ()}}


def test_the_pod_network_switches_its_component() -> None:
    """A run can be limited to it when it is chosen, and only then."""
    assert problems({"kaap_cni": "calico", "kaap_only": ["calico"]}, NETWORK) == []
    (found,) = problems({"kaap_only": ["calico"]}, NETWORK)
    assert found.startswith("kaap_only: `calico` is disabled")


def test_the_pod_network_s_component_has_no_switch_of_its_own() -> None:
    """Two switches could disagree."""
    (found,) = problems({"kaap_components": {"calico": {"enabled": True}}}, NETWORK)
    assert "is switched by kaap_cni; take enabled out and set kaap_cni to calico or reference" in found


def test_other_machines_need_no_root_here() -> None:
    """The checks of this machine are those of the embedded provider."""
    machines = [["control-1", "192.0.2.1", ["kaap_control_plane"]]]
    facts = {"uid": 1000, "os_id": "fedora", "ports": {18400: "x"}, "machines": machines}
    assert problems({"kaap_provider": "hosts"}, facts) == []
    assert len(problems({}, facts)) == 3


def test_every_setting_that_is_read_exists() -> None:
    """A play that reads a variable nobody may set would always fall back to nothing."""
    used: dict[str, str] = {}
    for folder in ("playbooks", "roles", "inventories", "release", "use_cases"):
        for path in (ROOT / folder).rglob("*.yml"):
            for name in re.findall(r"(?<![\w.~/-])kaap_[a-z_]+\b(?!/|\.yml)", path.read_text("utf-8")):
                used.setdefault(name, str(path.relative_to(ROOT)))
    unknown = {name: where for name, where in used.items() if name not in SPECS and name not in GROUPS}
    assert not unknown


def test_nearest_names() -> None:
    """A near name is suggested, otherwise all of them are listed."""
    assert settings.nearest("minoi", ["minio", "kueue"]) == "did you mean minio?"
    assert settings.nearest("zzz", ["minio", "kueue"]) == "choose from kueue, minio"
