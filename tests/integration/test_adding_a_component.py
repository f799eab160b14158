"""docs/adding-a-component.md, followed to the letter: what it writes is packed, rendered and applied by the real code.

The page's blocks of YAML go where their first line says, into a copy of this repository; only the commit id, which
nobody can know before the repository is made, is filled in. A real API server takes the component.
"""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.infn.kaap.plugins.module_utils import (
    apply,
    documentation,
    image_scan,
    namespaces,
    release,
    secrets,
    waves,
)
from ansible_collections.infn.kaap.plugins.module_utils.image_scan import Image
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient
from ansible_collections.infn.kaap.plugins.module_utils.render import Rendered, Renderer, RenderError, pod_template

from tests import git_repositories, pod_security
from tests.integration.test_components import _everything
from tests.integration.test_git_components import Kubelet
from tests.release import rendering
from tests.unit.network import Pod, allowed

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "adding-a-component.md"
NAME = "greeter"
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FIRST_LINE = re.compile(r"^# (?P<path>\S+?)(?:, (?P<key>\w+))?\n")
CHART = {
    "LICENSE": "Apache License, Version 2.0, as the tests write it.\n",
    "chart/Chart.yaml": "apiVersion: v2\nname: greeter\nversion: 1.0.0\nappVersion: 1.0.0\n",
    "chart/values.yaml": "greeting: Good day\n",
    "chart/templates/settings.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"
        "data: {greeting: {{ .Values.greeting }}}\n"
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: {{ .Release.Name }}}\nstringData: {token: everybody}\n"
    ),
    "chart/templates/server.yaml": """apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {matchLabels: {app: greeter}}
  template:
    metadata: {labels: {app: greeter}}
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: greeter
          image: docker.io/example/greeter:{{ .Chart.AppVersion }}
          ports: [{containerPort: 8080}]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
""",
}


class Reader:
    """Somebody who does what the page says, in a copy of this repository.

    :ivar root: the copy
    :ivar written: paths that the page writes, in order
    """

    def __init__(self, folder: Path, page: str) -> None:
        self.root = folder / "repository"
        self.written: list[str] = []
        for name in ("release", "kustomize", "inventories"):
            shutil.copytree(ROOT / name, self.root / name)
        for name in ("charts", "galaxy.yml", "requirements", "use_cases"):
            (self.root / name).symlink_to(ROOT / name)
        self.upstream = git_repositories.Upstream(folder / "upstream")
        self.commit = self.upstream.commit(NAME, CHART)
        self.commands = [fence["text"] for fence in FENCE.finditer(page) if fence["language"] == "console"]
        for fence in FENCE.finditer(page):
            if fence["language"] == "yaml":
                self.write(fence["text"])

    def write(self, text: str) -> None:
        """One block, as its first line says: a file, or more entries of a list in one."""
        first = FIRST_LINE.match(text)
        assert first, f"the block does not begin with the path that it goes to: {text[:60]}"
        path, content = self.root / first["path"], text[first.end() :].replace("@COMMIT@", self.commit)
        self.written.append(first["path"])
        if first["key"]:
            whole = yaml.safe_load(path.read_text("utf-8"))
            whole[first["key"]] += yaml.safe_load(content)
            path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
            return
        assert not path.exists(), f"{first['path']} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")

    def records(self) -> dict[str, release.Record]:
        """The release with the component, checked as the product checks it."""
        return release.load(self.root)

    def packed(self, folder: Path) -> Path:
        """The component's part of a bundle."""
        wanted = {key: record for key, record in self.records().items() if record["name"] == NAME}
        return rendering.packed(self.root, folder / "cache", wanted)

    def record(self) -> release.Record:
        """The component."""
        return next(
            record for record in self.records().values() if (record["kind"], record["name"]) == ("component", NAME)
        )


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Somebody who has followed the page."""
    reader = Reader(tmp_path, PAGE.read_text("utf-8"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(reader.upstream.gitconfig))
    return reader


@pytest.fixture
def generated(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the installation generates for it."""
    secrets.ensure(str(tmp_path / "state"), reader.record()["secrets"])
    made = secrets.read_all(str(tmp_path / "state"))[NAME]
    monkeypatch.setitem(rendering.SECRETS, NAME, made)
    return made


def test_the_page_is_one_page_and_its_commands_exist(reader: Reader) -> None:
    assert len(PAGE.read_text("utf-8").splitlines()) <= 150
    lines = [line for text in reader.commands for line in text.splitlines()]
    programs = [re.match(r"[$#] (\S+)", line) for line in lines]
    assert lines and all(match and (ROOT / match[1]).is_file() for match in programs), lines
    assert f"tests/integration/{Path(__file__).name}" in PAGE.read_text("utf-8")
    assert PAGE.name in (ROOT / "README.md").read_text("utf-8")


def test_the_release_takes_it_and_the_inventory_switches_it_on(reader: Reader) -> None:
    records = reader.records()
    assert f"| [{NAME}](" in documentation.summary_table(records)
    components = [record for record in records.values() if record["kind"] == "component"]
    assert NAME not in waves.select(components, "core").names
    (settings,) = (path for path in reader.written if path.startswith("inventories/"))
    changes = yaml.safe_load((reader.root / settings).read_text("utf-8"))["kaap_components"]
    chosen = waves.select(components, "core", changes)
    order = [set(wave) for wave in waves.order(chosen)]
    place = {name: number for number, wave in enumerate(order) for name in wave}
    assert place[NAME] > place["minio"]


def test_its_flows_let_in_whom_the_page_says(reader: Reader) -> None:
    rules = namespaces.parse(yaml.safe_load((reader.root / "release/namespaces.yml").read_text("utf-8")))
    spaces = {NAME: reader.record()["namespace"]}
    policies = namespaces.network_policies(spaces, ["team"], rules, namespaces.Networks())
    team = Pod("team", namespace_labels={namespaces.WORKLOADS_LABEL: "true"})
    assert allowed(policies, team, Pod(NAME), 8080)
    assert not allowed(policies, team, Pod(NAME), 8081)


def rendered(reader: Reader, folder: Path, client: KubeClient) -> Rendered:
    """What the record renders to."""
    renderer = Renderer(reader.packed(folder), reader.root, client.version(), client.catalogue)
    return renderer.render(rendering.templated(reader.record()))


def test_every_image_is_listed_and_each_pod_fits_the_level(
    reader: Reader, generated: dict[str, str], client: KubeClient, tmp_path: Path
) -> None:
    found = rendered(reader, tmp_path, client)
    locked = {Image(image["name"], image["tag"]) for image in reader.record()["images"]}
    assert {mention.image for mention in image_scan.scan(found.objects, NAME)} == locked
    pods = [template["spec"] for obj in found.objects if (template := pod_template(obj)) is not None]
    assert pods and not [fault for spec in pods for fault in pod_security.violations(spec, "restricted")]


def test_a_patch_that_matches_nothing_is_an_error(
    reader: Reader, generated: dict[str, str], client: KubeClient, tmp_path: Path
) -> None:
    overlay = reader.root / "kustomize" / NAME / "kustomization.yaml"
    overlay.write_text(overlay.read_text("utf-8").replace("name: greeter", "name: renamed"), encoding="utf-8")
    with pytest.raises(RenderError, match="renamed"):
        rendered(reader, tmp_path, client)


@pytest.fixture
def cluster_of(
    reader: Reader, kubeconfig: Path, client: KubeClient, tmp_path: Path
) -> Iterator[tuple[Path, Path, KubeClient]]:
    """Where it is applied; its pods are reported as running."""
    kubelet = Kubelet(client, (NAME,))
    kubelet.start()
    try:
        yield reader.packed(tmp_path), kubeconfig, client
    finally:
        kubelet.ended.set()
        kubelet.join()


def test_it_installs_in_one_pass_and_leaves_nothing(
    reader: Reader,
    generated: dict[str, str],
    cluster_of: tuple[Path, Path, KubeClient],
    tmp_path: Path,
) -> None:
    bundle, kubeconfig, client = cluster_of

    def cluster() -> apply.Cluster:
        fresh = KubeClient.from_kubeconfig(kubeconfig)
        fresh.discover()
        renderer = Renderer(bundle, reader.root, fresh.version(), fresh.catalogue)
        return apply.Cluster(
            fresh, apply.Options(diff=True, timeout=60), state_dir=tmp_path / "state", renderer=renderer
        )

    before = _everything(client)
    record = rendering.templated(reader.record())
    (first,) = cluster().install([record])
    assert first.error == ""
    settings = client.get(apply.CONFIG_MAP, NAME, NAME)
    # A value of the record, and one of the overlay.
    assert settings and settings["data"] == {"greeting": "Hello", "language": "en"}
    token = client.get(apply.SECRET, NAME, NAME)
    assert token and token["data"]["token"] == base64.b64encode(generated["token"].encode()).decode()
    space = client.get(apply.NAMESPACE, "", NAME)
    assert space and space["metadata"]["labels"][namespaces.LEVEL_LABEL] == "restricted"
    (second,) = cluster().install([record])
    assert second.error == "" and not second.changed, second.diffs
    assert [result.error for result in cluster().remove([NAME])] == [""]
    assert _everything(client) == before


def test_a_page_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    """Each break of the page is found by what it says is checked."""
    page = PAGE.read_text("utf-8")
    for right, wrong, error in (
        ("profile: optional", "profil: optional", "profil"),
        ("        source: greeter", "        source: greater", "greater"),
        ("after: [minio]", "after: [nowhere]", "nowhere"),
    ):
        assert page.count(right) == 1, right
        broken = Reader(tmp_path / wrong.strip().replace(" ", "-"), page.replace(right, wrong))
        with pytest.raises(release.ReleaseError, match=error):
            broken.records()
