"""Action: ask the whole deployment, and write the report."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.infn.kaap.plugins.module_utils import (
    checks,
    deployment,
    ingress,
    inspection,
    object_store,
    release,
    report,
    secrets,
    timings,
    waves,
)

CLUSTER_RECORD = "kubernetes"
# A login is written in the words of those who use it.
LOGIN_KEYS = {"rootUser": "access_key", "rootPassword": "secret_key"}


class ActionModule(ActionBase):  # type: ignore[misc]
    """See plugins/modules/verify.py for the documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run every check; write report.json, report.md and junit.xml, also when some fail.

        :raises AnsibleActionFail: when a description of what is wanted cannot be read
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "root": {"type": "path", "required": True},
                "state_dir": {"type": "path", "required": True},
                "kubeconfig": {"type": "path", "required": True},
                "deployment": {"type": "str", "required": True},
                "inventory": {"type": "str", "required": True},
                "profile": {"type": "str", "choices": ["core", "full"], "required": True},
                "components": {"type": "dict", "default": {}},
                "use_cases": {"type": "list", "elements": "str", "default": []},
                "nodes": {"type": "list", "elements": "str", "required": True},
                "address": {"type": "str", "required": True},
                "ports": {"type": "dict", "required": True},
                "buckets": {"type": "list", "elements": "dict", "default": []},
                "policies": {"type": "list", "elements": "dict", "default": []},
                "users": {"type": "list", "elements": "dict", "default": []},
                "queues": {"type": "dict", "default": {}},
                "domain": {"type": "str", "default": ""},
                "oidc": {"type": "dict", "default": {}},
                "tenants": {"type": "list", "elements": "str", "default": []},
                "policies_enforced": {"type": "bool", "required": True},
                "timeout": {"type": "int", "default": 120},
            }
        )
        root, state = Path(arguments["root"]), Path(arguments["state_dir"])
        try:
            records = release.load(root)
            components = [record for record in records.values() if record["kind"] == "component"]
            wanted = {
                str(record["name"]): record
                for record in waves.select(components, arguments["profile"], arguments["components"]).records
            }
            cases = inspection.load_cases(root, arguments["use_cases"])
            stored = secrets.read_all(str(state))
        except (release.ReleaseError, waves.WaveError, OSError, ValueError) as problem:
            raise AnsibleActionFail(f"what is wanted cannot be read: {problem}") from problem
        site = inspection.Site(
            records=wanted,
            nodes=arguments["nodes"],
            kubernetes=f"v{records[CLUSTER_RECORD]['version']}",
            kubeconfig=Path(arguments["kubeconfig"]),
            address=arguments["address"],
            ports={str(name): int(port) for name, port in arguments["ports"].items()},
            secrets=stored,
            store=object_store.declared(arguments["buckets"], arguments["policies"], arguments["users"]),
            queues=arguments["queues"],
            domain=arguments["domain"],
            issuer=ingress.issuer(arguments["oidc"], arguments["domain"], "dex" in wanted),
            client=ingress.client_id(arguments["oidc"], "dex" in wanted),
            cases=cases,
            tenants=arguments["tenants"],
            policies_enforced=arguments["policies_enforced"],
        )
        inspector = inspection.Inspector(site)
        todo = inspector.checks()
        left_out = [each.entry() for each in inspector.not_run()]
        self._display.display(f"    asking {len(todo)} questions")
        answers = checks.run(todo, float(arguments["timeout"]), inspection.EXPECTED)
        bundle = read_bundle(state)
        shown = {CLUSTER_RECORD: records[CLUSTER_RECORD], **wanted}
        shown.update({name: records[name] for name in cases if name in records})
        content = report.build(
            generated=datetime.now(tz=UTC).isoformat(timespec="seconds"),
            deployment={
                "name": arguments["deployment"],
                "inventory": arguments["inventory"],
                "profile": arguments["profile"],
                "bundle": str(bundle.get("digest", "")),
                "kubernetes": inspector.server_version(),
            },
            checks=answers,
            components=[describe(record, bundle.get("artefacts") or []) for record in shown.values()],
            endpoints=endpoints(site, state, inspector.url),
            timings=timings.read(state / "timings.json"),
            not_run=left_out,
        )
        if not self._task.check_mode:
            write_credentials(site, state)
            report.write(content, state)
        failed = [answer for answer in answers if answer["result"] == "fail"]
        result.update(
            changed=False,
            result=content["result"],
            checks=len(answers),
            failures=[check["name"] for check in failed],
            not_run=[each["name"] for each in left_out],
        )
        if failed:
            names = ", ".join(check["name"] for check in failed[:3]) + (" and others" if len(failed) > 3 else "")
            result.update(failed=True, msg=f"{len(failed)} of {len(answers)} checks failed: {names}")
        return result


def read_bundle(state: Path) -> dict[str, Any]:
    """Return the manifest of the deployment's bundle; empty when there is none."""
    try:
        return deployment.bundle_manifest(str(state))
    except deployment.NotPackedError:
        return {}


def describe(record: Mapping[str, Any], artefacts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the report says of a component."""
    own = [artefact for artefact in artefacts if artefact["component"] == record["name"]]
    images = {str(each["name"]): str(each["digest"]) for each in own if each["kind"] == "image"}
    return {"name": record["name"], "version": record["version"], "source": origin(record, own), "images": images}


def origin(record: Mapping[str, Any], artefacts: Sequence[Mapping[str, Any]]) -> str:
    """Return in words where the artefacts of a component came from."""
    names = sorted({str(artefact["source"]) for artefact in artefacts})
    packages = (record.get("sources") or {}).get("packages") or {}
    words = {"go": "Go modules", "wheels": "wheels", "debian": "Debian"}
    kinds = [word for key, word in words.items() if packages.get(key)]
    if not names:
        return "this release"
    return ", ".join(names) + (f": {', '.join(kinds)}" if kinds else "")


def credentials_file(state: Path, name: str | None) -> str | None:
    """Return the file that holds a login."""
    return str(state / "credentials" / f"{name}.yml") if name else None


def endpoints(site: inspection.Site, state: Path, url: Callable[[str, str], str]) -> dict[str, dict[str, Any]]:
    """Return what can be opened from this machine, by name.

    :param url: gives the address of a path at a listener
    """
    offered = inspection.endpoints(site.records)
    offered += [(case["endpoint"]["name"], case["endpoint"]) for case in site.cases.values() if case.get("endpoint")]
    return {
        str(name): {
            "url": url(str(endpoint["listener"]), str(endpoint.get("path") or "/")),
            "headers": {},
            "credentials_file": credentials_file(state, endpoint.get("credentials")),
        }
        for name, endpoint in offered
    }


def write_credentials(site: inspection.Site, state: Path) -> None:
    """Write the login of each endpoint into a file that only its owner can read."""
    names = {
        str(endpoint["credentials"])
        for _, endpoint in inspection.endpoints(site.records)
        if endpoint.get("credentials")
    }
    for name in sorted(names & set(site.secrets)):
        path = state / "credentials" / f"{name}.yml"
        login = {LOGIN_KEYS.get(key, key): value for key, value in site.secrets[name].items()}
        wanted = yaml.safe_dump(login, sort_keys=True)
        if not path.is_file() or path.read_text("utf-8") != wanted or stat.S_IMODE(path.stat().st_mode) != 0o600:
            secrets.write(path, login)
