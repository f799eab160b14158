"""Is a component as it should be, right now? Nothing is waited for and nothing is changed."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import readiness, waiting
from ansible_collections.infn.kaap.plugins.module_utils.apply import read_inventories
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeClient, KubeError
from ansible_collections.infn.kaap.plugins.module_utils.objects import WEBHOOKS, Inventory, Ref
from ansible_collections.infn.kaap.plugins.module_utils.readiness import Verdict

Object = dict[str, Any]
Finding = tuple[str, Verdict]
THREADS = 8


def check_component(client: KubeClient, record: Mapping[str, Any], inventory: Inventory | None = None) -> list[Finding]:
    """Judge every object of a component, its webhooks and its own rules.

    :param client: it has discovered the served kinds.
    :param record: the release record; ``name``, ``version``, ``namespace`` and ``ready`` are read.
    :param inventory: what the component consists of; read from the cluster when None.
    :returns: ``(what, verdict)``, the installation first, then its objects, then webhooks, then the record's rules.
    """
    name = str(record["name"])
    found = inventory or read_inventories(client).get(name)
    if found is None:
        return [(f"component {name}", Verdict(False, "it is not installed"))]
    wanted, held = str(record.get("version", "")), found.version
    reason = "" if wanted == held else f"version {held or 'none'} is installed in full, wanted {wanted}"
    version = Verdict(wanted == held, reason)
    configurations: list[Object] = []

    def judge(ref: Ref) -> Finding:
        resource = client.catalogue.find(ref.api_version, ref.kind) or client.catalogue.of_group(ref.group, ref.kind)
        if resource is None:
            return str(ref), Verdict(False, f"the cluster serves no {ref.kind} of {ref.api_version}")
        obj = client.get(resource, ref.namespace, ref.name)
        if obj is None:
            return str(ref), readiness.missing(ref.kind, ref.name)
        verdict = readiness.judge(obj)
        if obj["kind"] in WEBHOOKS:
            configurations.append(obj)
        if not verdict.ready:
            detail = waiting.explain(client, obj)
            return str(ref), Verdict(False, "; ".join([verdict.why, *detail]), verdict.hopeless)
        return str(ref), verdict

    def ask(call: Mapping[str, Any]) -> Finding:
        return waiting.webhook_name(call), waiting.ask_webhook(client, call)

    def rule(entry: Mapping[str, Any]) -> Finding:
        what = (
            f"{entry['kind']} {entry['name']}: {entry.get('condition') or (entry.get('field') or {}).get('path', '')}"
        )
        resource = client.catalogue.find(str(entry["api"]), str(entry["kind"]))
        if resource is None:
            return what, Verdict(False, f"the cluster serves no {entry['kind']} of {entry['api']}")
        place = str(entry.get("namespace") or record["namespace"]) if resource.namespaced else ""
        return what, readiness.judge_rule(entry, client.get(resource, place, str(entry["name"])))

    return [
        (f"component {name}", version),
        *_side_by_side(judge, found.refs),
        *_side_by_side(ask, waiting.webhook_calls(configurations)),
        *_side_by_side(rule, list(record.get("ready") or [])),
    ]


def _side_by_side(work: Callable[[Any], Finding], items: Sequence[Any]) -> list[Finding]:
    """Do the work on all items; an API server that does not answer is a finding, too."""

    def guarded(item: Any) -> Finding:
        try:
            return work(item)
        except KubeError as error:
            return str(item), Verdict(False, str(error))

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(guarded, items))
