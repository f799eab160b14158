"""What the profile controller may do and what it may not, asked of a real API server under its name."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.control_plane import ROOT, packed_bundle
from tests.integration.manifests import definition

ACCOUNT = "system:serviceaccount:kubeflow:profiles-controller-service-account"
ROLES = ("kubeflow-admin", "kubeflow-edit", "kubeflow-view")
LABEL = {"app.kubernetes.io/part-of": "kubeflow-profile"}
SECONDS = 30

Outcome = subprocess.CompletedProcess[str]
Kubectl = Callable[..., Outcome]


def namespace(name: str, labels: dict[str, str] | None = None, owner: str = "") -> dict[str, Any]:
    annotations = {"owner": owner} if owner else {}
    metadata = {"name": name, "labels": labels or {}, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def binding(place: str, role: str, name: str = "owner") -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": place},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "somebody@example.org"}],
    }


@pytest.fixture(scope="module")
def kubectl(kubeconfig: Path) -> Kubectl:
    """kubectl of the bundle; ``given`` goes to its standard input."""
    bundle = packed_bundle()
    if bundle is None:
        pytest.skip("nothing is packed: run playbooks/pack.yml first")
    program = bundle / "bin/kubectl"

    def call(*words: str, given: list[dict[str, Any]] | None = None) -> Outcome:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": given}) if given is not None else None
        command = [str(program), "--kubeconfig", str(kubeconfig), *words, *(["-f", "-"] if given is not None else [])]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)

    return call


@pytest.fixture(scope="module")
def house(kubectl: Kubectl) -> Iterator[Kubectl]:
    """The rights and the boundary of kustomize/profiles, three roles, and the namespaces of a profile and of others."""
    roles = [
        # More than the controller itself may: it may give them all the same.
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": role},
            "rules": [{"apiGroups": ["", "apps"], "resources": ["secrets", "pods", "deployments"], "verbs": ["*"]}],
        }
        for role in (*ROLES, "other")
    ]
    given = [
        namespace("kubeflow"),
        namespace("team", LABEL, "somebody@example.org"),
        namespace("stranger"),
        namespace("claimed", owner="somebody@example.org"),
        definition("kubeflow.org", "profiles", "Profile", "Cluster", ("v1",)),
        definition(
            "security.istio.io", "authorizationpolicies", "AuthorizationPolicy", "Namespaced", ("v1beta1", "v1")
        ),
        *roles,
    ]
    done = kubectl("apply", given=given)
    assert done.returncode == 0, done.stderr
    for name in ("rights", "boundary"):
        done = kubectl("apply", "-f", str(ROOT / f"kustomize/profiles/{name}.yaml"))
        assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + SECONDS
    # The policy is in force a moment after it is there.
    while as_controller(kubectl, "create", binding("stranger", ROLES[0], "probe")).returncode == 0:
        kubectl("delete", "rolebinding", "probe", "-n", "stranger")
        assert time.monotonic() < deadline, "the admission policy does not take effect"
        time.sleep(0.5)
    yield kubectl
    kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "kaap-profiles")


def as_controller(kubectl: Kubectl, verb: str, obj: dict[str, Any]) -> Outcome:
    return kubectl(verb, f"--as={ACCOUNT}", given=[obj])


@pytest.mark.parametrize("role", ROLES)
def test_it_gives_the_roles_of_a_profile_in_a_profile(house: Kubectl, role: str) -> None:
    made = as_controller(house, "create", binding("team", role, role))
    assert made.returncode == 0, made.stderr
    gone = house("delete", "rolebinding", role, "-n", "team", f"--as={ACCOUNT}")
    assert gone.returncode == 0, gone.stderr


@pytest.mark.parametrize("role", ["cluster-admin", "other"])
def test_it_gives_no_other_role(house: Kubectl, role: str) -> None:
    refused = as_controller(house, "create", binding("team", role))
    assert refused.returncode != 0
    assert "attempting to grant RBAC permissions not currently held" in refused.stderr


@pytest.mark.parametrize("place", ["kube-system", "kubeflow", "default", "stranger", "claimed"])
def test_it_gives_nothing_outside_of_profiles(house: Kubectl, place: str) -> None:
    """cluster-admin could, and so could a ClusterRole alone."""
    refused = as_controller(house, "create", binding(place, "kubeflow-admin"))
    assert refused.returncode != 0
    assert "works in namespaces with the label" in refused.stderr


def test_it_makes_what_a_profile_consists_of(house: Kubectl) -> None:
    wanted: list[dict[str, Any]] = [
        namespace("fresh", LABEL, "somebody@example.org"),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default-editor", "namespace": "team"}},
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "kf-resource-quota", "namespace": "team"},
            "spec": {"hard": {"cpu": "1"}},
        },
        {
            "apiVersion": "security.istio.io/v1beta1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": "ns-owner-access-istio", "namespace": "team"},
            "spec": {},
        },
    ]
    for obj in wanted:
        made = as_controller(house, "create", obj)
        assert made.returncode == 0, f"{obj['kind']}: {made.stderr}"


def test_it_takes_over_a_namespace_that_names_an_owner_and_no_other(house: Kubectl) -> None:
    taken = as_controller(house, "replace", namespace("claimed", LABEL, "somebody@example.org"))
    assert taken.returncode == 0, taken.stderr
    assert house("apply", given=[namespace("claimed", owner="somebody@example.org")]).returncode == 0
    house("label", "namespace", "claimed", "app.kubernetes.io/part-of-")
    for place in ("kube-system", "stranger"):
        refused = house("label", "namespace", place, "app.kubernetes.io/part-of=kubeflow-profile", f"--as={ACCOUNT}")
        assert refused.returncode != 0
        replaced = as_controller(house, "replace", namespace(place, LABEL, "somebody@example.org"))
        assert replaced.returncode != 0
        assert "does not take over a namespace" in replaced.stderr


def test_it_makes_no_namespace_that_is_not_a_profiles(house: Kubectl) -> None:
    refused = as_controller(house, "create", namespace("other", {"pod-security.kubernetes.io/enforce": "privileged"}))
    assert refused.returncode != 0
    assert "works in namespaces with the label" in refused.stderr


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("get", "secrets"),
        ("create", "pods"),
        ("create", "profiles.kubeflow.org"),
        ("delete", "profiles.kubeflow.org"),
        ("delete", "namespaces"),
        ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
        ("escalate", "clusterroles.rbac.authorization.k8s.io"),
        ("impersonate", "users"),
        ("create", "validatingadmissionpolicybindings.admissionregistration.k8s.io"),
        ("delete", "validatingadmissionpolicies.admissionregistration.k8s.io"),
    ],
)
def test_what_an_administrator_may_it_may_not(house: Kubectl, verb: str, resource: str) -> None:
    assert house("auth", "can-i", verb, resource, "--all-namespaces", f"--as={ACCOUNT}").stdout.strip() == "no"
    assert house("auth", "can-i", verb, resource, "--all-namespaces").stdout.strip() == "yes"


@pytest.mark.parametrize("verb", ["get", "list", "watch", "update"])
def test_it_follows_profiles(house: Kubectl, verb: str) -> None:
    assert house("auth", "can-i", verb, "profiles.kubeflow.org", f"--as={ACCOUNT}").stdout.strip() == "yes"
