"""The records of the release, rendered from the packed bundle as a deployment renders them, without a cluster."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ansible.plugins.filter.core
import jinja2
from ansible_collections.infn.kaap.plugins.module_utils import deployment, openapi, pack, release
from ansible_collections.infn.kaap.plugins.module_utils.cache import Cache
from ansible_collections.infn.kaap.plugins.module_utils.render import Rendered, Renderer

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = jinja2.Environment(undefined=jinja2.StrictUndefined)  # noqa: S701 - it makes no HTML
ALONE = re.compile(r"\s*\{\{(.*)\}\}\s*", re.DOTALL)
# All of ours, and Ansible's own.
for _file in sorted((ROOT / "plugins/filter").glob("*.py")):
    _module = importlib.import_module(f"ansible_collections.infn.kaap.plugins.filter.{_file.stem}")
    ENVIRONMENT.filters.update({f"infn.kaap.{name}": found for name, found in _module.FilterModule().filters().items()})
ENVIRONMENT.filters.update(ansible.plugins.filter.core.FilterModule().filters())
# What a deployment's own values look like; which ones does not matter to what is rendered.
SECRETS = {
    "minio-root": {"rootUser": "user", "rootPassword": "password"},
    "envoy-oidc-hmac": {"hmac-secret": "hmac"},
    "minio-user-tenant-astro": {"access_key": "tenant-astro", "secret_key": "secret"},
}
CONTEXT: dict[str, Any] = {
    "component_node_ports": dict(deployment.NODE_PORTS),
    "component_secrets": SECRETS,
    "component_ca": "-----BEGIN CERTIFICATE-----\n",
    "component_enabled": ["kueue", "minio"],
    "component_namespaces": {"minio": "minio", "metrics-server": "kube-system"},
    "component_networks": {"pods": "10.244.0.0/16", "services": "10.96.0.0/16", "nodes": "10.89.0.0/24"},
    "kaap_groups": [{"name": "night", "members": ["grouped@example.org"]}],
    "kaap_tenants": [
        {"name": "astro", "owner": "owner@example.org", "groups": ["night"], "quota": {"cpu": 4, "gpu": 1}}
    ],
    "kaap_queues": {
        "resource_flavors": [{"name": "default"}],
        "cluster_queues": [{"name": "shared", "flavor": "default", "quotas": {"cpu": 2, "memory": "8Gi"}}],
        "local_queues": [{"name": "default", "namespace": "team", "cluster_queue": "shared"}],
    },
}


def bundle() -> Path:
    """The bundle of the default deployment, made by the step `pack`."""
    facts = deployment.describe([str(ROOT / "inventories/embedded")], root=ROOT)
    manifest = deployment.bundle_manifest(facts["state_dir"])
    return Path(facts["cache"]) / "bundles" / str(manifest["digest"]).removeprefix("sha256:")


def packed(root: Path, cache: Path, records: dict[str, release.Record], place: Path | None = None) -> Path:
    """A bundle of charts and manifests alone, with the tools of the deployment's bundle beside them.

    :param root: the repository whose release the records are.
    :param place: the bundle is made here; in the cache where it is not given.
    """
    packer = pack.Packer(root, Cache(cache), ["packages", "git"], lambda _: None)
    result = packer.run(records, None, only={"charts", "manifests"})
    place = place or cache / "rendering"
    place.mkdir()
    (place / "bin").symlink_to(bundle() / "bin")
    for name in ("charts", "manifests"):
        (place / name).symlink_to(Path(result.bundle_dir) / name)
    return place


def swagger() -> dict[str, Any]:
    """The API description of the Kubernetes release, from the module it is built from."""
    return openapi.read(bundle())


def templated(value: Any, context: Mapping[str, Any] = CONTEXT) -> Any:
    """A record with its Jinja expressions replaced, as Ansible does: an expression alone keeps its type."""
    if isinstance(value, str):
        with contextlib.suppress(jinja2.TemplateSyntaxError):  # two expressions, with text between them
            if alone := ALONE.fullmatch(value):
                return ENVIRONMENT.compile_expression(alone[1], undefined_to_none=False)(**context)
        return ENVIRONMENT.from_string(value).render(context) if "{{" in value or "{%" in value else value
    if isinstance(value, Mapping):
        return {key: templated(item, context) for key, item in value.items()}
    return [templated(item, context) for item in value] if isinstance(value, list) else value


def components(profile: str = "core") -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and record of every component of a profile."""
    for name, record in release.select(release.load(ROOT), profile).items():
        if record["kind"] == "component":
            yield name, record


def render_all(place: Path, kube_version: str = "v1.36.0") -> dict[str, Rendered]:
    """Every component of profile core, by name."""
    renderer = Renderer(place, ROOT, kube_version, openapi.catalogue(swagger()))
    records = dict(components())
    done: dict[str, Rendered] = {}
    while records:
        # In the order of their needs: the catalogue learns kinds from the CRDs that come first.
        name = next(name for name, record in records.items() if not set(record.get("needs", [])) & set(records))
        done[name] = renderer.render(templated(records.pop(name)))
    return done


def undeclared(parts: Mapping[str, Iterable[Mapping[str, Any]]], records: Mapping[str, Any]) -> list[str]:
    """Definitions that a component's record names and that it lacks, or that others use and that it does not name.

    :param parts: the objects of each component.
    """
    parts = {name: list(objects) for name, objects in parts.items()}
    makers: dict[tuple[str, str], tuple[str, str]] = {}
    made: dict[str, set[str]] = {}
    for name, objects in parts.items():
        for obj in objects:
            if obj["kind"] == "CustomResourceDefinition":
                makers[obj["spec"]["group"], obj["spec"]["names"]["kind"]] = (name, obj["metadata"]["name"])
                made.setdefault(name, set()).add(obj["metadata"]["name"])
    kinds = {
        (name, (obj["apiVersion"].rpartition("/")[0], obj["kind"])) for name, objs in parts.items() for obj in objs
    }
    used = {makers[kind] for name, kind in kinds if kind in makers and makers[kind][0] != name}
    named = {(name, each) for name in parts for each in records[name].get("definitions") or []}
    return [
        *(f"{name}: add {each} to definitions, others use it" for name, each in sorted(used - named)),
        *(f"{name}: does not define {each}" for name, each in sorted(named) if each not in made.get(name, ())),
    ]
