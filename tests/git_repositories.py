"""Small git repositories made by the tests, with the traps of the real ones; nothing of upstream is in them.

``upstream(folder)`` makes the repositories of an imaginary project and a git configuration through which their https
addresses lead there, as a site's mirror does::

    made = git_repositories.upstream(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(made.gitconfig))
    records = {record["name"]: record for record in made.records()}

The traps, each where the real ones have it:

- a kustomization names remote bases: a directory of another repository, and a file of a release;
- a custom resource stands before the definition of its kind;
- images hide in a ConfigMap, an argument, a variable and a custom resource;
- the second version of ``widgets`` renames what a patch of ours aims at;
- its third version changes a field that cannot be changed, and a Job, which can only be made again;
- a Secret with a password that everybody knows;
- a chart depends on charts that are not in its repository, one of them switched off.
"""

from __future__ import annotations

import copy
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HOST = "https://git.example.org"
RELEASE_FILE = "https://git.example.org/acme/jobs/releases/download/v0.1.0/manifests.yaml"
ENGINE_BASE = "https://git.example.org/acme/engine//deploy?ref=v1.0.0"


class Link(str):
    """Target of a symbolic link."""


Files = Mapping[str, str | bytes]


def git(place: Path, *arguments: str, data: bytes = b"") -> str:
    """Runs git as nobody in particular, at a fixed time: the same files give the same commits."""
    fixed = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in PERSON.items()},
    }
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith("GIT_")}, **fixed}
    done = subprocess.run(
        ["git", *arguments], cwd=place, env=environment, input=data, check=True, stdout=subprocess.PIPE, timeout=60
    )
    return done.stdout.decode().strip()


PERSON = {"NAME": "Acme", "EMAIL": "acme@example.org", "DATE": "2026-01-01T00:00:00Z"}


class Upstream:
    """A folder of bare repositories, and the configuration that leads there.

    Args:
        folder: where they are made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "mirror"
        self.folder.mkdir(parents=True)
        self.gitconfig = folder / "gitconfig"
        self.commits: dict[str, list[str]] = {}
        self._configure()

    def _configure(self) -> None:
        """As a site with a mirror does; its servers filter, and give any commit that they hold."""
        lines = ["[uploadpack]", "\tallowFilter = true", "\tallowAnySHA1InWant = true"]
        lines += [f'[url "file://{self.folder}/"]', f"\tinsteadOf = {HOST}/acme/"]
        self.gitconfig.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def commit(self, name: str, files: Files) -> str:
        """Adds a commit that holds exactly these files; returns its id."""
        place = self.folder / name
        if not place.exists():
            place.mkdir()
            git(place, "init", "--bare", "--quiet")
        entries = []
        for path, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            oid = git(place, "hash-object", "-w", "--stdin", data=data)
            entries.append(f"{'120000' if isinstance(content, Link) else '100644'} {oid}\t{path}")
        index = place / "index"
        index.unlink(missing_ok=True)
        git(place, "update-index", "--add", "--index-info", data="".join(f"{entry}\n" for entry in entries).encode())
        tree = git(place, "write-tree")
        parents = [part for commit in self.commits.get(name, [])[-1:] for part in ("-p", commit)]
        commit = git(place, "commit-tree", tree, "-m", f"{name} {len(self.commits.get(name, [])) + 1}", *parents)
        git(place, "update-ref", "HEAD", commit)
        self.commits.setdefault(name, []).append(commit)
        return commit

    def source(self, name: str, version: int = -1) -> dict[str, Any]:
        """The record of one of the repositories, at one of its commits."""
        return {
            "kind": "source",
            "name": name,
            "version": "1.0.0",
            "summary": "Repository made by the tests.",
            "licence": "Apache-2.0",
            "homepage": "https://example.org",
            "git": {"repository": f"{HOST}/acme/{name}", "commit": self.commits[name][version]},
        }

    def records(self, version: int = 0) -> list[dict[str, Any]]:
        """The components ``widgets`` and ``gadget`` with their sources; version 0 is the one that our patch fits."""
        sources = [self.source("widgets", version), self.source("engine"), self.source("charts")]
        return [*sources, component("widgets", WIDGETS), component("gadget", GADGET)]


def component(name: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """A component's record."""
    return {
        "kind": "component",
        "name": name,
        "version": "1.0.0",
        "summary": "Made by the tests.",
        "licence": "Apache-2.0",
        "homepage": "https://example.org",
        "profile": "full",
        "namespace": name,
        **copy.deepcopy(dict(parts)),
    }


WIDGETS: dict[str, Any] = {
    "sources": {
        "git": {
            "manifests": [{"name": "all", "source": "widgets", "path": "config/overlays/site", "within": "config"}],
            "remote_bases": {ENGINE_BASE: {"source": "engine", "path": "deploy"}, RELEASE_FILE: "none"},
        }
    },
    "images": [
        {"name": f"docker.io/acme/{name}", "tag": "v1"}
        for name in ("widgets", "worker", "helper", "renderer", "engine", "painter")
    ],
    "render": {
        "manifests": ["all"],
        "drop": [{"kind": "Secret", "name": "widgets-login"}],
        "patches": [
            {
                "target": {"kind": "Deployment", "name": "widgets-controller"},
                "patch": [{"op": "add", "path": "/metadata/labels", "value": {"site": "ours"}}],
            }
        ],
    },
}
GADGET: dict[str, Any] = {
    "sources": {
        "git": {
            "charts": [
                {
                    "name": "gadget",
                    "source": "charts",
                    "path": "charts/gadget",
                    "dependencies": {"common": {"source": "charts", "path": "charts/common"}, "database": "none"},
                }
            ]
        }
    },
    "render": {"charts": [{"name": "gadget", "release": "gadget"}]},
}

LICENCE = "Apache License, Version 2.0, as the tests write it.\n"
CRD = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.acme.example.org
spec:
  group: acme.example.org
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                image: {type: string}
"""
WIDGET = """apiVersion: acme.example.org/v1
kind: Widget
metadata:
  name: first
spec:
  image: docker.io/acme/painter:v1
"""


def deployment(name: str, image: str, label: str = "app", more: Sequence[str] = ()) -> str:
    """A Deployment; ``more`` are lines of its container."""
    lines = "".join(f"          {line}\n" for line in more)
    return f"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  selector:
    matchLabels: {{{label}: {name}}}
  template:
    metadata:
      labels: {{{label}: {name}}}
    spec:
      containers:
        - name: main
          image: {image}
{lines}"""


def widgets(version: int) -> dict[str, str]:
    """Files of the repository ``widgets``; version 2 renames the controller's Deployment, 3 changes its selector."""
    name, suffix = ("widgets-manager", "-manager") if version == 2 else ("widgets-controller", "")
    label = "app.kubernetes.io/name" if version == 3 else "app"
    hidden = ["args: [--worker-image=docker.io/acme/worker:v1]", "env:"]
    hidden += ["  - {name: HELPER_IMAGE, value: 'docker.io/acme/helper:v1'}"]
    return {
        "LICENSE": LICENCE,
        "README.md": "Widgets.\n",
        "config/base/kustomization.yaml": (
            "resources:\n"
            # The custom resource comes before its kind.
            "  - widget.yaml\n  - controller.yaml\n  - engine-settings.yaml\n  - ../crd\n"
            f"  - {RELEASE_FILE} # comes with a release\n"
            f'  - "{ENGINE_BASE}"\n'
            "configMapGenerator:\n  - name: images\n    files: [images.json]\n"
            "    options: {disableNameSuffixHash: true}\n"
        ),
        "config/base/images.json": '{"renderer": "docker.io/acme/renderer:v1"}\n',
        "config/base/widget.yaml": WIDGET,
        "config/base/controller.yaml": deployment(name, "docker.io/acme/widgets:v1", label, hidden)
        + f"---\napiVersion: v1\nkind: Service\nmetadata:\n  name: widgets{suffix}\n"
        f"spec:\n  selector: {{{label}: {name}}}\n  ports: [{{port: 80}}]\n"
        "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: widgets-login\n"
        "stringData: {user: widgets, password: widgets123}\n",
        # A Job's template cannot be changed.
        "config/base/engine-settings.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: migrate\nspec:\n"
        "  template:\n    spec:\n      restartPolicy: Never\n      containers:\n"
        f"        - {{name: migrate, image: 'docker.io/acme/widgets:v1', args: ['{version}']}}\n",
        "config/crd/kustomization.yaml": "resources: [widgets.yaml]\n",
        "config/crd/widgets.yaml": CRD,
        "config/overlays/site/kustomization.yaml": "resources:\n- ../../base\nnamespace: widgets\n",
        "config/unused/kustomization.yaml": "resources: [https://git.example.org/acme/nobody//x?ref=v1]\n",
        "docs/large.bin": "x" * 5000,
    }


ENGINE = {
    "LICENSE": LICENCE,
    "deploy/kustomization.yaml": "resources: [deployment.yaml]\n",
    "deploy/deployment.yaml": deployment("engine", "docker.io/acme/engine:v1"),
}
TEMPLATE = deployment("{{ .Release.Name }}-gadget", "docker.io/acme/gadget:{{ .Chart.AppVersion }}")
CHARTS = {
    "LICENSE": LICENCE,
    "charts/gadget/Chart.yaml": (
        "apiVersion: v2\nname: gadget\nversion: 3.1.0\nappVersion: '1.10'\ndependencies:\n"
        "  - {name: common, version: 1.x, repository: 'https://charts.example.org'}\n"
        "  - {name: database, version: ~2.0, repository: 'oci://charts.example.org/x', condition: database.enabled}\n"
    ),
    "charts/gadget/Chart.lock": "dependencies: []\n",
    "charts/gadget/values.yaml": "database: {enabled: false}\n",
    "charts/gadget/templates/deployment.yaml": TEMPLATE,
    "charts/common/Chart.yaml": "apiVersion: v2\nname: common\nversion: 1.4.2\n",
    "charts/common/templates/configmap.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-common\n"
        "data: {image: 'docker.io/acme/common:v1'}\n"
    ),
}


def upstream(folder: Path) -> Upstream:
    """The repositories ``widgets`` (three commits), ``engine`` and ``charts``."""
    made = Upstream(folder)
    for version in (1, 2, 3):
        made.commit("widgets", widgets(version))
    made.commit("engine", ENGINE)
    made.commit("charts", CHARTS)
    return made
