"""From a release record to the objects that are applied: charts, manifests, overlay and patches, objects of ours."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.infn.kaap.plugins.module_utils import namespaces, outside, targets
from ansible_collections.infn.kaap.plugins.module_utils.kube import Catalogue, resources_of_crd

Object = dict[str, Any]
Record = Mapping[str, Any]

COMPONENT_LABEL = "kaap.infn.it/component"
MANAGED_LABEL = "app.kubernetes.io/managed-by"
CONFIG_ANNOTATION = "kaap.infn.it/config"
HOOK_ANNOTATION = "helm.sh/hook"
# Namespaces that belong to the cluster: a component may put objects into them but neither makes nor removes them.
SYSTEM_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease", "kaap-system"})
ALL = "all.yaml"
PLACEHOLDER_BUNDLES = frozenset({"", "Cg==", "Cgo="})


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Kubernetes reads it, where a lone ``=`` is text; YAML 1.1 gave it a meaning that nobody implements."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda _loader, node: node.value)
LOADER: Any = Loader


class RenderError(Exception):
    """A component cannot be rendered; the text names it, the tool and what the tool said."""


@dataclass
class Rendered:
    """What a record renders to.

    :ivar objects: charts and manifests with overlay and patches, and those of our own that go with them.
    :ivar resources: objects of ours, applied when the rest is ready.
    """

    objects: list[Object] = field(default_factory=list)
    resources: list[Object] = field(default_factory=list)


@dataclass
class Loaded:
    """What a record's charts and manifests give.

    :ivar parts: namespace and objects of each chart and manifest.
    :ivar own: our own objects that go with them.
    :ivar resources: our own objects that come last.
    """

    parts: list[tuple[str, list[Object]]]
    own: list[Object]
    resources: list[Object]


def parse(text: str, origin: str) -> list[Object]:
    """Objects of a YAML stream; kinds ``List`` are opened, empty documents left out.

    :param origin: what the text is, for errors.
    """
    try:
        documents = list(yaml.load_all(text, Loader=LOADER))
    except yaml.YAMLError as error:
        raise RenderError(f"{origin}: not YAML: {error}") from error
    objects: list[Object] = []
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict) or not document.get("apiVersion") or not document.get("kind"):
            raise RenderError(f"{origin}: a document is no Kubernetes object: {str(document)[:120]}")
        if document["kind"] == "List":
            objects.extend(document.get("items") or [])
        else:
            objects.append(document)
    return objects


class Renderer:
    """Renders records with the tools and charts of one bundle."""

    def __init__(self, bundle: Path, root: Path, kube_version: str, catalogue: Catalogue) -> None:
        """Remember where things are.

        :param bundle: the bundle tree with ``bin``, ``charts`` and ``manifests``.
        :param root: this repository (or the installed collection); overlays are relative to it.
        :param kube_version: what charts are told about the cluster, such as ``v1.36.3``.
        :param catalogue: which kinds are namespaced; the CRDs that are rendered are added to it.
        """
        self.bundle = bundle
        self.root = root
        self.kube_version = kube_version
        self.catalogue = catalogue

    def render(self, record: Record) -> Rendered:
        """All objects of a record, each with its namespace.

        :raises RenderError: when a tool fails or something is not in the bundle.
        """
        return self.finish(record, self.load(record))

    def load(self, record: Record) -> Loaded:
        """What charts and manifests give, and our own objects; needs nothing of other components.

        :raises RenderError: when a tool fails or something is not in the bundle.
        """
        recipe = record.get("render") or {}
        home = str(record["namespace"])
        parts: list[tuple[str, list[Object]]] = [
            (str(chart.get("namespace") or home), self._chart(record, chart)) for chart in recipe.get("charts") or []
        ]
        parts += [(home, self._manifests(record, str(name))) for name in recipe.get("manifests") or []]
        loaded = Loaded(parts, self._own(record, "objects"), self._own(record, "resources"))
        drops = recipe.get("drop") or []
        for objects in (*(objects for _, objects in parts), loaded.own, loaded.resources):
            # A definition that is left out defines nothing: what is of its kind comes from elsewhere, or is an error.
            self._learn(obj for obj in objects if not any(targets.matches(target, obj) for target in drops))
        return loaded

    def finish(self, record: Record, loaded: Loaded) -> Rendered:
        """Namespaces, drops, overlay and patches; which kinds are namespaced must be known by now.

        :raises RenderError: when kustomize fails, or a drop or a patch matches nothing.
        """
        home = str(record["namespace"])
        for namespace, objects in loaded.parts:
            place(objects, namespace, self.catalogue)
        whole = self._changed(record, [obj for _, objects in loaded.parts for obj in objects])
        self._learn(whole)
        for objects in (whole, loaded.own, loaded.resources):
            place(objects, home, self.catalogue)
        return Rendered(replaced(whole, loaded.own), loaded.resources)

    def _changed(self, record: Record, objects: list[Object]) -> list[Object]:
        """Upstream's objects without what the record drops, through the overlay and the record's own patches.

        :raises RenderError: when a drop or a patch matches nothing.
        """
        recipe = record.get("render") or {}
        name = str(record["name"])
        patches = recipe.get("patches") or []
        try:
            objects = targets.drop(recipe.get("drop") or [], objects, f"{name}: release/components/{name}.yml")
            if recipe.get("overlay") or patches:
                objects = self._kustomized(record, str(recipe.get("overlay") or ""), patches, objects)
        except targets.TargetError as error:
            raise RenderError(str(error)) from error
        return objects

    def _learn(self, objects: Iterable[Object]) -> None:
        for obj in objects:
            if obj["kind"] == "CustomResourceDefinition":
                self.catalogue.add(resources_of_crd(obj))

    def _chart(self, record: Record, chart: Mapping[str, Any]) -> list[Object]:
        folder = self.bundle / "charts" / str(record["name"]) / str(chart["name"])
        if not folder.is_dir():
            raise RenderError(f"{record['name']}: the bundle has no chart {chart['name']} (looked at {folder})")
        with tempfile.TemporaryDirectory(prefix="kaap-helm-") as scratch:
            values = Path(scratch) / "values.json"
            values.touch(mode=0o600)
            values.write_text(json.dumps(chart.get("values") or {}))
            command = [
                str(self.bundle / "bin" / "helm"), "template", str(chart["release"]), str(folder),
                "--namespace", str(chart.get("namespace") or record["namespace"]),
                "--values", str(values),
                "--kube-version", self.kube_version,
            ]  # fmt: skip
            if chart.get("include_crds", True):
                command.append("--include-crds")
            for version in chart.get("api_versions") or []:
                command += ["--api-versions", str(version)]
            output = self._run(record, command, {f"HELM_{name}_HOME": scratch for name in ("CACHE", "CONFIG", "DATA")})
        return [obj for obj in parse(output, f"chart {chart['name']}") if not is_hook(obj)]

    def _manifests(self, record: Record, name: str) -> list[Object]:
        place = self.bundle / "manifests" / str(record["name"]) / name
        if place.is_dir():
            files = sorted(path for path in place.rglob("*") if path.suffix in {".yaml", ".yml"})
        elif place.exists():
            files = [place]
        else:
            files = sorted(place.parent.glob(f"{name}.y*ml"))
        if not files:
            raise RenderError(f"{record['name']}: the bundle has no manifests {name} (looked at {place})")
        if any(path.name in {"kustomization.yaml", "kustomization.yml"} for path in files if path.parent == place):
            return parse(self._run(record, [str(self.bundle / "bin" / "kustomize"), "build", str(place)]), str(place))
        return [obj for path in files for obj in parse(path.read_text(), str(path))]

    def _kustomized(
        self, record: Record, overlay: str, patches: Sequence[Mapping[str, Any]], objects: list[Object]
    ) -> list[Object]:
        """Objects through an overlay of ours (when there is one) and then the patches of the record, in one build."""
        folder = self.root / overlay
        if overlay and not folder.is_dir():
            raise RenderError(f"{record['name']}: there is no overlay {folder}")
        with tempfile.TemporaryDirectory(prefix="kaap-kustomize-") as scratch:
            copied = Path(scratch) / "kustomize"
            start = copied / ".record"
            start.mkdir(parents=True)
            if overlay:
                # All of kustomize/ is copied, because an overlay may use a component that lies beside it.
                shutil.copytree(folder.parent, copied, dirs_exist_ok=True)
            bottom = copied / folder.name if overlay else start
            (start / "kustomization.yaml").write_text(
                json.dumps(
                    {
                        "apiVersion": "kustomize.config.k8s.io/v1beta1",
                        "kind": "Kustomization",
                        "resources": [f"../{folder.name}" if overlay else ALL],
                        "patches": [written(patch, objects) for patch in patches],
                    }
                )
            )
            schemas = take_schemas(objects)
            (bottom / ALL).write_text("\n---\n".join(json.dumps(obj) for obj in objects))
            output = self._run(record, [str(self.bundle / "bin" / "kustomize"), "build", str(start)])
        built = parse(output, f"{record['name']}: {overlay or 'render.patches'}")
        give_schemas(objects, schemas)
        give_schemas(built, schemas)
        seen = [*objects, *built]
        if overlay:
            targets.check_overlay(folder, self.root, seen, str(record["name"]))
        for number, patch in enumerate(patches):
            where = f"{record['name']}: release/components/{record['name']}.yml: render.patches[{number}]"
            targets.need(patch["target"], seen, where)
        return built

    def _own(self, record: Record, key: str) -> list[Object]:
        """Objects of ours, under ``objects`` or ``resources``: a list, a text, or a list of both."""
        found: list[Object] = []
        # Through JSON: what comes from Ansible are subclasses of text and mappings, which YAML's C parser refuses.
        given = json.loads(json.dumps((record.get("render") or {}).get(key) or []))
        for entry in [given] if isinstance(given, str) else given:
            if isinstance(entry, str):
                found.extend(parse(entry, f"{record['name']}: {key}"))
            else:
                found.extend([entry] if isinstance(entry, dict) else entry)
        return found

    def _run(self, record: Record, command: list[str], extra: Mapping[str, str] | None = None) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HELM_", "KUBE"))}
        try:
            done = outside.run(
                command, capture_output=True, check=False, env={**environment, **(extra or {})}, timeout=300
            )
        except FileNotFoundError as error:
            raise RenderError(f"{record['name']}: the bundle has no {command[0]}; run the phase pack first") from error
        except subprocess.TimeoutExpired as error:
            raise RenderError(f"{record['name']}: {' '.join(command[:3])} took longer than 300 s") from error
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip()[-2000:]
            raise RenderError(f"{record['name']}: {' '.join(command[:4])} failed: {words}")
        return str(done.stdout.decode())


def place(objects: Iterable[Object], namespace: str, catalogue: Catalogue) -> None:
    """Write down where objects go: Helm installs namespaced ones into the release's namespace without saying so.

    Kinds that nobody knows yet stay as they are; applying one of them is an error that names it.
    """
    for obj in objects:
        metadata = obj.setdefault("metadata", {})
        resource = catalogue.find(str(obj["apiVersion"]), str(obj["kind"]))
        if resource is None:
            continue
        if not resource.namespaced:
            metadata.pop("namespace", None)
        elif not metadata.get("namespace"):
            metadata["namespace"] = namespace


def written(patch: Mapping[str, Any], objects: Iterable[Object]) -> dict[str, Any]:
    """A patch of a record as kustomize wants it: as text, and a merge patch with kind and name.

    :param patch: ``target`` and ``patch``, which is a JSON 6902 list, a merge patch or the text of either.
    """
    content = patch["patch"]
    if isinstance(content, Mapping):
        # Only for the parser: which objects are meant is the target's business.
        target = patch["target"]
        like = next((obj for obj in objects if targets.matches(target, obj)), {"apiVersion": "v1", "kind": "Any"})
        content = {
            "apiVersion": like["apiVersion"],
            "kind": like["kind"],
            **content,
            "metadata": {"name": "any", **(content.get("metadata") or {})},
        }
    return {
        "target": dict(patch["target"]),
        "patch": content if isinstance(content, str) else json.dumps(content),
    }


def replaced(objects: Iterable[Object], own: Iterable[Object]) -> list[Object]:
    """Upstream's objects and our own; one of ours with the same kind, namespace and name takes the place of theirs."""

    def key(obj: Object) -> tuple[str, str, str, str]:
        metadata = obj["metadata"]
        return group_of(obj), str(obj["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"])

    ours, theirs = list(own), list(objects)
    by_key = {key(obj): obj for obj in ours}
    taken = {key(obj) for obj in theirs}
    return [*(by_key.get(key(obj), obj) for obj in theirs), *(obj for obj in ours if key(obj) not in taken)]


def take_schemas(objects: Iterable[Object]) -> dict[tuple[str, str], Any]:
    """Take the schemas out of CRDs, by name and version: they are most of the text, and no overlay touches them."""
    return {
        (obj["metadata"]["name"], version["name"]): version.pop("schema")
        for obj in objects
        if obj["kind"] == "CustomResourceDefinition"
        for version in obj["spec"]["versions"]
        if "schema" in version
    }


def give_schemas(objects: Iterable[Object], schemas: Mapping[tuple[str, str], Any]) -> None:
    """Put the schemas back where :func:`take_schemas` found them."""
    for obj in objects:
        if obj["kind"] == "CustomResourceDefinition":
            for version in obj["spec"]["versions"]:
                key = (obj["metadata"]["name"], version["name"])
                if key in schemas:
                    version["schema"] = schemas[key]


def is_hook(obj: Mapping[str, Any]) -> bool:
    """Is this one of Helm's hooks? They belong to Helm's own install procedure, which is not used here."""
    return HOOK_ANNOTATION in ((obj.get("metadata") or {}).get("annotations") or {})


def group_of(obj: Mapping[str, Any]) -> str:
    """API group of an object, empty for the core group."""
    return str(obj.get("apiVersion", "")).rpartition("/")[0]


def without_nulls(value: Any) -> Any:
    """Leave out keys whose value is null: in the kinds of Kubernetes itself they mean "not set"."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def clean(obj: Object, component: str) -> Object:
    """Make an object ready for server-side apply under our name.

    What only the server writes goes; ``stringData`` becomes ``data`` (its ownership cannot be tracked); labels that
    say who made it are added.
    """
    cleaned: Object = {key: value for key, value in obj.items() if key != "status"}
    if group_of(obj) in ("", "apps", "batch", "rbac.authorization.k8s.io", "policy", "networking.k8s.io"):
        cleaned = without_nulls(cleaned)
    metadata = {
        key: value
        for key, value in cleaned["metadata"].items()
        if key not in {"creationTimestamp", "managedFields", "resourceVersion", "uid", "generation"}
        and not (value is None and key in {"annotations", "labels", "namespace"})
    }
    if cleaned["kind"] == "Namespace":
        metadata["labels"] = namespaces.secured(cleaned, namespaces.load())
    metadata["labels"] = {**(metadata.get("labels") or {}), MANAGED_LABEL: "kaap", COMPONENT_LABEL: component}
    cleaned["metadata"] = metadata
    if cleaned["kind"] == "Secret" and "stringData" in cleaned:
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in cleaned["stringData"].items()}
        cleaned["data"] = {**(cleaned.get("data") or {}), **encoded}
        del cleaned["stringData"]
    return cleaned


def pod_template(obj: Mapping[str, Any]) -> dict[str, Any] | None:
    """The pod template of a workload, or None."""
    spec = obj.get("spec") or {}
    if obj.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    template = spec.get("template")
    known = obj.get("kind") in {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet"}
    return template if known and isinstance(template, dict) else None


def _references(template: Mapping[str, Any]) -> set[tuple[str, str]]:
    """ConfigMaps and Secrets that a pod template reads, as ``(kind, name)``."""
    spec = template.get("spec") or {}
    found: set[tuple[str, str]] = set()
    for volume in spec.get("volumes") or []:
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        for source in sources:
            for key, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
                entry = source.get(key) or {}
                name = entry.get("name") or entry.get("secretName")
                if name:
                    found.add((kind, name))
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        for source in container.get("envFrom") or []:
            for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if source.get(key):
                    found.add((kind, source[key]["name"]))
        for variable in container.get("env") or []:
            value = variable.get("valueFrom") or {}
            for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                if value.get(key):
                    found.add((kind, value[key]["name"]))
    return found


def mark_config(objects: Iterable[Object]) -> None:
    """Write a digest of the configuration it reads into each pod template, so that changed configuration restarts it.

    Kubernetes restarts nothing when a ConfigMap changes, and few programs read theirs again.
    """
    known = list(objects)
    contents = {
        (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): json.dumps(
            [obj.get("data"), obj.get("binaryData")], sort_keys=True
        )
        for obj in known
        if obj["kind"] in {"ConfigMap", "Secret"} and not group_of(obj)
    }
    for obj in known:
        template = pod_template(obj)
        if template is None:
            continue
        namespace = obj["metadata"].get("namespace", "")
        read = sorted(
            (kind, name, contents[(kind, namespace, name)])
            for kind, name in _references(template)
            if (kind, namespace, name) in contents
        )
        if read:
            digest = hashlib.sha256(json.dumps(read).encode()).hexdigest()[:16]
            metadata = template.setdefault("metadata", {})
            metadata["annotations"] = {**(metadata.get("annotations") or {}), CONFIG_ANNOTATION: digest}


def declare_replicas(objects: Iterable[Object]) -> None:
    """Write one replica where a workload says nothing, which means the same.

    What is not declared is not set back: a component that somebody scaled to zero would stay so. A workload that an
    autoscaler looks after is left to it.
    """
    known = list(objects)
    scaled = {
        (obj["metadata"].get("namespace", ""), target.get("kind"), target.get("name"))
        for obj in known
        if obj["kind"] == "HorizontalPodAutoscaler"
        for target in [(obj.get("spec") or {}).get("scaleTargetRef") or {}]
    }
    for obj in known:
        metadata = obj["metadata"]
        place = (metadata.get("namespace", ""), obj["kind"], metadata["name"])
        if obj["kind"] in {"Deployment", "StatefulSet"} and group_of(obj) == "apps" and place not in scaled:
            obj["spec"].setdefault("replicas", 1)


def clients_of(obj: Object) -> list[dict[str, Any]]:
    """The clientConfigs (or the APIService spec) through which the API server calls services for this object."""
    if obj["kind"] in {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}:
        return [webhook["clientConfig"] for webhook in obj.get("webhooks") or [] if webhook.get("clientConfig")]
    if obj["kind"] == "CustomResourceDefinition":
        conversion = obj["spec"].get("conversion") or {}
        client = (conversion.get("webhook") or {}).get("clientConfig")
        return [client] if conversion.get("strategy") == "Webhook" and client else []
    if obj["kind"] == "APIService" and (obj.get("spec") or {}).get("service"):
        return [obj["spec"]]
    return []


def inject_bundles(objects: Iterable[Object], services: Iterable[tuple[str, str]], authority: str) -> None:
    """Give every caller of a service that we sign for our authority, and take placeholders from the others.

    :param services: ``(namespace, name)`` of services whose certificate our authority signed.
    :param authority: PEM certificate of the authority.
    """
    ours = set(services)
    bundle = base64.b64encode(authority.encode()).decode()
    for obj in objects:
        for client in clients_of(obj):
            service = client.get("service") or {}
            if (service.get("namespace"), service.get("name")) in ours:
                client["caBundle"] = bundle
                client.pop("insecureSkipTLSVerify", None)
            elif str(client.get("caBundle", "")) in PLACEHOLDER_BUNDLES:
                # The controller writes its own: a placeholder of ours would take it away again in every run.
                client.pop("caBundle", None)
