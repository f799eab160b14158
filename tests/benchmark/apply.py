"""How long our apply takes beside `kubectl apply --server-side`, on the same objects and waves, in the same run.

    python -m tests.benchmark.apply [--components 24] [--rounds 3] [--output FILE]

Run it in the environment of `scripts/environment test`, after `scripts/play pack`. The objects are generated: per
component a namespace, a definition, what servers read and are reached by, and custom resources, in three waves. Both
go to one API server with an etcd of its own, in turns, each time under other names. Servers themselves are left out:
waiting for pods would take the same time both ways. Ours includes parsing, discovery per wave and the component's
book-keeping; kubectl's includes one `kubectl wait` per wave for the definitions, without which its second half fails.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import apply, objects
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient
from ansible_collections.infn.kaap.plugins.module_utils.render import Renderer

from tests.integration import control_plane

Object = dict[str, Any]
WAVES = 3


def schema(depth: int) -> Object:
    """A schema as large as those of real definitions: each level has eight fields."""
    if depth == 0:
        return {"type": "string", "description": "What this field means, in a sentence as long as they usually are."}
    return {
        "type": "object",
        "description": "What this part is for, in a sentence as long as they usually are in real definitions.",
        "properties": {f"field{n}": schema(depth - 1) for n in range(8)},
    }


def component(name: str) -> list[Object]:
    """Objects of one component."""

    def obj(api: str, kind: str, title: str, **rest: Any) -> Object:
        return {"apiVersion": api, "kind": kind, "metadata": {"name": title, "namespace": name}, **rest}

    group = f"{name}.example.org"
    properties = {"spec": schema(3), "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [{**version, "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}}}],
        },
    }
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    container = {"name": "main", "image": "example.org/none:1", "resources": {"requests": {"cpu": "1m"}}}
    job = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    made: list[Object] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, definition]
    for n in range(4):
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": f"role-{n}"}
        subject = {"kind": "ServiceAccount", "name": f"account-{n}", "namespace": name}
        made += [
            obj("v1", "ServiceAccount", f"account-{n}"),
            obj("rbac.authorization.k8s.io/v1", "Role", f"role-{n}", rules=rules),
            obj("rbac.authorization.k8s.io/v1", "RoleBinding", f"role-{n}", roleRef=role, subjects=[subject]),
            obj("v1", "ConfigMap", f"settings-{n}", data={f"key-{k}": "value " * 20 for k in range(20)}),
            obj("v1", "Service", f"server-{n}", spec={"selector": {"app": "a"}, "ports": [{"port": 80}]}),
            obj("batch/v1", "CronJob", f"job-{n}", spec={"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}),
            obj(f"{group}/v1", "Thing", f"thing-{n}", spec={"field1": {"field2": {"field3": "text"}}}),
        ]
    return made


def waves_of(prefix: str, count: int) -> list[list[tuple[str, list[Object]]]]:
    """Components by wave: name and objects."""
    parts = [(f"{prefix}-{n}", component(f"{prefix}-{n}")) for n in range(count)]
    return [parts[n::WAVES] for n in range(WAVES)]


def ours(kubeconfig: Path, folder: Path, waves: Sequence[Sequence[tuple[str, list[Object]]]]) -> float:
    """Seconds that our engine takes; each wave is one call, as in a deployment."""
    bundle = folder / "bundle"
    for wave in waves:
        for name, members in wave:
            place = bundle / "manifests" / name
            place.mkdir(parents=True)
            (place / "all.yaml").write_text(yaml.safe_dump_all(members))
    start = time.monotonic()
    for wave in waves:
        client = KubeClient.from_kubeconfig(kubeconfig)
        client.discover()
        renderer = Renderer(bundle, folder, client.version(), client.catalogue)
        cluster = apply.Cluster(client, apply.Options(timeout=120), state_dir=folder / "state", renderer=renderer)
        records = [
            {"name": name, "version": "1", "namespace": name, "render": {"manifests": ["all"]}} for name, _ in wave
        ]
        errors = [result.error for result in cluster.install(records) if result.error]
        if errors:
            sys.exit("\n".join(errors))
    return time.monotonic() - start


def theirs(kubectl: Path, kubeconfig: Path, folder: Path, waves: Sequence[Sequence[tuple[str, list[Object]]]]) -> float:
    """Seconds that kubectl takes; each wave is two calls, because custom resources need their definitions."""
    first = {objects.NAMESPACES, objects.DEFINITIONS}
    files = []
    for number, wave in enumerate(waves):
        members = [obj for _, part in wave for obj in part]
        for half, chosen in enumerate(
            (
                [obj for obj in members if objects.stage_of(obj) in first],
                [obj for obj in members if objects.stage_of(obj) not in first],
            )
        ):
            path = folder / f"wave-{number}-{half}.yaml"
            path.write_text(yaml.safe_dump_all(chosen))
            files.append(path)
    base = [str(kubectl), "--kubeconfig", str(kubeconfig), "--cache-dir", str(folder / "cache")]
    start = time.monotonic()
    for number, path in enumerate(files):
        _run([*base, "apply", "--server-side", "--filename", str(path)])
        if number % 2 == 0:
            # By file: others' definitions are none of its business.
            _run([*base, "wait", "--for=condition=established", "--timeout=60s", "crd", *_definitions(path)])
    return time.monotonic() - start


def _definitions(path: Path) -> list[str]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = yaml.load_all(path.read_text(), Loader=loader)
    return [obj["metadata"]["name"] for obj in found if obj["kind"] == "CustomResourceDefinition"]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")


def main() -> None:
    """Measure in turns and print one line per round, the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--components", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="write the figures here too, as JSON")
    given = parser.parse_args()
    bundle = control_plane.packed_bundle()
    if bundle is None:
        sys.exit("nothing is packed: run scripts/play pack first")
    count = given.components * len(component("x"))
    rounds = []
    with tempfile.TemporaryDirectory(prefix="kaap-benchmark-") as scratch:
        base = Path(scratch)
        (base / "bin").mkdir()
        (base / "control-plane").mkdir()
        programs = control_plane.programs(base / "bin")
        assert programs is not None
        with control_plane.running(programs, base / "control-plane") as kubeconfig:
            for number in range(given.rounds):
                folders = [base / f"{who}-{number}" for who in ("ours", "kubectl")]
                for folder in folders:
                    folder.mkdir()
                sets = [waves_of(f"{who}{number}", given.components) for who in ("ours", "kubectl")]
                # The one that goes first in one round goes second in the next: the server slows down as it fills.
                steps = [
                    ("ours", lambda f=folders[0], w=sets[0]: ours(kubeconfig, f, w)),
                    ("kubectl", lambda f=folders[1], w=sets[1]: theirs(bundle / "bin" / "kubectl", kubeconfig, f, w)),
                ]
                taken = {name: step() for name, step in (steps if number % 2 == 0 else reversed(steps))}
                rounds.append(taken)
                print(f"round {number + 1}: ours {taken['ours']:.1f} s, kubectl {taken['kubectl']:.1f} s", flush=True)
    medians = {name: round(statistics.median(one[name] for one in rounds), 2) for name in ("ours", "kubectl")}
    ratio = round(statistics.median(one["ours"] / one["kubectl"] for one in rounds), 2)
    result = {"objects": count, "waves": WAVES, "rounds": rounds, "median_seconds": medians, "ratio": ratio}
    print(f"{count} objects in {WAVES} waves: ours {medians['ours']} s, kubectl {medians['kubectl']} s, ratio {ratio}")
    if given.output:
        given.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
