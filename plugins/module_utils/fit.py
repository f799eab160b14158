"""Does a platform fit on its machines? Pure functions from what a rehearsal saw to its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import quantities, rehearsing
from ansible_collections.infn.kaap.plugins.module_utils.render import COMPONENT_LABEL
from ansible_collections.infn.kaap.plugins.module_utils.shapes import (
    CONTROL_PLANE_LABEL,
    CPUS_LABEL,
    GPU,
    GPU_PRESENT_LABEL,
    Shape,
)

Object = Mapping[str, Any]
Amounts = dict[str, Decimal]

SCHEMA = 1
# What Kubernetes itself runs: its addons and the pods of the control plane.
KUBERNETES = "kubernetes"
LATER_NAMESPACE = "kaap-rehearsal"
LATER_ANNOTATION = "kaap.infn.it/later"
PER_NODE = "per node"
PER_GPU_NODE = "per GPU node"
ZERO = Decimal(0)


def add(*parts: Mapping[str, Decimal]) -> Amounts:
    """The sum of amounts by resource."""
    total: Amounts = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, ZERO) + value
    return total


def less(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> Amounts:
    """What is left of amounts."""
    return {name: value - other.get(name, ZERO) for name, value in one.items()}


def amounts(given: Mapping[str, Any] | None) -> Amounts:
    """Quantities as numbers: cores, bytes, pieces."""
    return {str(name): quantities.parse(value) for name, value in (given or {}).items()}


def requests_of(spec: Mapping[str, Any]) -> Amounts:
    """What the scheduler counts for a pod, by Kubernetes' rule.

    The larger of what its containers and sidecars ask for together and what any init container needs while the sidecars
    before it run; what the pod asks for as a whole goes before that; its overhead comes on top.
    """
    running = add(*(_requests(container) for container in spec.get("containers") or []))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or []:
        own = _requests(container)
        if container.get("restartPolicy") == "Always":
            sidecars = add(sidecars, own)
            own = {}
        for name, value in add(sidecars, own).items():
            peak[name] = max(peak.get(name, ZERO), value)
    running = add(running, sidecars)
    needed = {name: max(running.get(name, ZERO), peak.get(name, ZERO)) for name in {*running, *peak}}
    needed.update(amounts((spec.get("resources") or {}).get("requests")))
    return add(needed, amounts(spec.get("overhead")))


def _requests(container: Mapping[str, Any]) -> Amounts:
    resources = container.get("resources") or {}
    # A limit without a request is a request of as much.
    return amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def component_of(obj: Object, by_uid: Mapping[str, Object]) -> str:
    """The component that an object belongs to, found through what owns it; Kubernetes' own by its namespace.

    :param by_uid: workloads by uid.
    :returns: empty when nobody can be made out.
    """
    seen = 0
    while seen < 8:
        metadata = obj["metadata"]
        label = (metadata.get("labels") or {}).get(COMPONENT_LABEL)
        if label:
            return str(label)
        owners = [by_uid[owner["uid"]] for owner in metadata.get("ownerReferences") or [] if owner["uid"] in by_uid]
        if not owners:
            return KUBERNETES if metadata.get("namespace") == "kube-system" else ""
        obj, seen = owners[0], seen + 1
    return ""


def owner_of(pod: Object, by_uid: Mapping[str, Object]) -> str:
    """``Deployment minio/minio``: the workload that a pod is a replica of, or the pod itself."""
    obj = pod
    for _ in range(8):
        owners = [by_uid[o["uid"]] for o in obj["metadata"].get("ownerReferences") or [] if o["uid"] in by_uid]
        if not owners:
            break
        obj = owners[0]
    return f"{obj.get('kind', 'Pod')} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"


def is_over(pod: Object) -> bool:
    """Did the pod run to its end, so that it holds nothing any more?"""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def later_objects(
    component: str, entries: Sequence[Mapping[str, Any]], shapes: Sequence[Shape]
) -> list[dict[str, Any]]:
    """Workloads that stand for the pods which a component's controllers create later, for the scheduler to judge.

    :param entries: ``later`` of its record.
    :param shapes: the machines; what is asked for as a share of a machine's CPUs differs from one to the other.
    """
    made = []
    for number, entry in enumerate(entries):
        share = str(entry["cpu"]).removesuffix("%")
        name = f"{component}-{number}"
        if share == str(entry["cpu"]):
            made.append(_later(component, name, entry, {}))
            continue
        for size, cpus in enumerate(sorted({shape.cpus for shape in shapes}, key=quantities.parse)):
            part = quantities.parse(cpus) * Decimal(share) / 100
            sized = {**entry, "cpu": f"{int(part * 1000)}m"}
            made.append(_later(component, f"{name}-{size}", sized, {CPUS_LABEL: cpus}))
    return made


def _later(component: str, name: str, entry: Mapping[str, Any], selector: Mapping[str, str]) -> dict[str, Any]:
    requests = {key: str(entry[key]) for key in ("cpu", "memory")}
    resources: dict[str, Any] = {"requests": requests}
    if entry.get("gpus"):
        resources["limits"] = {GPU: str(entry["gpus"])}
    labels = {"app.kubernetes.io/name": name}
    count = entry["count"]
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "containers": [{"name": "later", "image": "registry.k8s.io/pause:3", "resources": resources}],
    }
    if count == PER_GPU_NODE:
        selector = {**selector, GPU_PRESENT_LABEL: "true"}
    if count == PER_GPU_NODE or entry.get("gpus"):
        # As whatever uses GPUs does: sites keep other pods off such machines with it.
        pod["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    if selector:
        pod["nodeSelector"] = dict(selector)
    spec: dict[str, Any] = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    each = count in (PER_NODE, PER_GPU_NODE)
    if not each:
        spec["replicas"] = int(count)
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet" if each else "Deployment",
        "metadata": {
            "name": name,
            "namespace": LATER_NAMESPACE,
            "labels": {COMPONENT_LABEL: component},
            "annotations": {LATER_ANNOTATION: str(entry["what"])},
        },
        "spec": spec,
    }


def numbers(given: Mapping[str, Decimal]) -> dict[str, float]:
    """Amounts for the report: ``cpu`` in cores, ``memory`` in bytes, others (GPUs, pods) in pieces."""
    return {name: round(float(value), 3) for name, value in sorted(given.items()) if value or name in ("cpu", "memory")}


def machines(shapes: Sequence[Shape]) -> list[dict[str, Any]]:
    """The machines, those of one shape together."""
    groups: dict[tuple[Any, ...], list[Shape]] = {}
    for shape in shapes:
        key = (shape.control_plane, shape.cpus, shape.memory, shape.disk, shape.gpus, shape.flavour)
        groups.setdefault(key, []).append(shape)
    return [
        {
            "role": "control plane" if members[0].control_plane else "worker",
            "count": len(members),
            "cpus": float(quantities.parse(members[0].cpus)),
            "memory": members[0].memory,
            "disk": members[0].disk,
            "gpus": members[0].gpus,
            "gpu_flavour": members[0].flavour,
            "first": members[0].name,
        }
        for members in groups.values()
    ]


def report(
    *,
    about: Mapping[str, Any],
    shapes: Sequence[Shape],
    outcomes: Mapping[str, Mapping[str, Any]],
    nodes: Sequence[Object],
    pods: Sequence[Object],
    workloads: Sequence[Object],
    claims: Sequence[Object],
) -> dict[str, Any]:
    """All that the rehearsal found; ``release/rehearsal.schema.json`` says what it holds.

    :param about: inventory, profile, release, times and memory, taken over as they are.
    :param outcomes: by component, what was written down when it was applied.
    :param nodes: the simulated ones.
    :param workloads: everything that owns pods.
    """
    by_uid = {str(obj["metadata"]["uid"]): obj for obj in workloads}
    living = [pod for pod in pods if not is_over(pod)]
    named = {name for name, outcome in outcomes.items()}
    per_component = {
        name: _component(name, living, by_uid, outcomes.get(name)) for name in sorted({KUBERNETES, *named})
    }
    per_node = _nodes(nodes, living)
    pending = _pending(living, by_uid)
    refused = _told(outcomes, "refused")
    not_ready = _told(outcomes, "not_ready")
    return {
        "schema": SCHEMA,
        **about,
        "fits": not (refused or pending or not_ready),
        "machines": machines(shapes),
        "refused": refused,
        "unschedulable": pending,
        "not_ready": not_ready,
        "left_out": _told(outcomes, "left_out"),
        "components": per_component,
        "nodes": per_node,
        "gpus": _gpus(shapes, per_node),
        "volumes": _volumes(claims, outcomes),
        "left_for_users": _left(per_node, {shape.name for shape in shapes if shape.control_plane}),
    }


def _told(outcomes: Mapping[str, Mapping[str, Any]], what: str) -> list[dict[str, str]]:
    return [
        {"component": name, "object": str(entry["object"]), "why": str(entry["why"])}
        for name, outcome in sorted(outcomes.items())
        for entry in outcome.get(what) or []
    ]


def _component(
    name: str, pods: Sequence[Object], by_uid: Mapping[str, Object], outcome: Mapping[str, Any] | None
) -> dict[str, Any]:
    own = [pod for pod in pods if component_of(pod, by_uid) == name]
    later = [pod for pod in own if pod["metadata"].get("namespace") == LATER_NAMESPACE]
    bound = [pod for pod in own if pod["spec"].get("nodeName")]
    found: dict[str, Any] = {
        "pods": len(own),
        "pods_scheduled": len(bound),
        "pods_later": len(later),
        "requests": numbers(add(*(requests_of(pod["spec"]) for pod in own))),
        "without_requests": sum(1 for pod in own if not requests_of(pod["spec"])),
        "lower_bound": "",
    }
    if outcome is not None:
        found["version"] = str(outcome.get("version", ""))
        found["objects"] = int(outcome.get("objects", 0))
        found["seconds"] = round(sum((outcome.get("phases") or {}).values()), 2)
        kinds = outcome.get("suggests_pods") or []
        if kinds and outcome.get("later") is None:
            found["lower_bound"] = (
                f"its record declares no pods that come later, and objects of {', '.join(kinds)} make its controllers "
                "run some"
            )
    return found


def _nodes(nodes: Sequence[Object], pods: Sequence[Object]) -> dict[str, dict[str, Any]]:
    bound: dict[str, list[Object]] = {}
    for pod in pods:
        bound.setdefault(str(pod["spec"].get("nodeName") or ""), []).append(pod)
    found = {}
    for node in nodes:
        name = str(node["metadata"]["name"])
        own = bound.get(name, [])
        allocatable = amounts(node["status"].get("allocatable"))
        requested = add(*(requests_of(pod["spec"]) for pod in own), {"pods": Decimal(len(own))})
        found[name] = {
            "role": "control plane" if CONTROL_PLANE_LABEL in node["metadata"].get("labels", {}) else "worker",
            "allocatable": numbers(allocatable),
            "requested": numbers(requested),
            "free": numbers(less(allocatable, requested)),
            "pods": len(own),
        }
    return found


def _pending(pods: Sequence[Object], by_uid: Mapping[str, Object]) -> list[dict[str, Any]]:
    """Pods without a node, those of one workload with one reason together."""
    groups: dict[tuple[str, str, str], list[Object]] = {}
    for pod in pods:
        if pod["spec"].get("nodeName"):
            continue
        why = rehearsing.unschedulable(pod) or "the scheduler has not judged it"
        groups.setdefault((component_of(pod, by_uid), owner_of(pod, by_uid), why), []).append(pod)
    found = []
    for (component, owner, why), members in sorted(groups.items()):
        entry: dict[str, Any] = {
            "component": component, "object": owner, "pods": len(members), "why": why,
            "requests": numbers(requests_of(members[0]["spec"])),
        }  # fmt: skip
        workload = next(
            (by_uid[o["uid"]] for o in members[0]["metadata"].get("ownerReferences") or [] if o["uid"] in by_uid), {}
        )
        top = _top(workload, by_uid) if workload else {}
        what = ((top.get("metadata") or {}).get("annotations") or {}).get(LATER_ANNOTATION)
        if what:
            entry["object"] = f"{what} (comes later)"
        found.append(entry)
    return found


def _top(obj: Object, by_uid: Mapping[str, Object]) -> Object:
    for _ in range(8):
        owners = [by_uid[o["uid"]] for o in obj["metadata"].get("ownerReferences") or [] if o["uid"] in by_uid]
        if not owners:
            break
        obj = owners[0]
    return obj


def _gpus(shapes: Sequence[Shape], nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for shape in shapes:
        if shape.gpus and shape.name in nodes:
            entry = found.setdefault(shape.flavour, {"machines": 0, "total": 0, "requested": 0, "free": 0})
            requested = float(nodes[shape.name]["requested"].get(shape.gpu_resource, 0))
            entry["machines"] += 1
            entry["total"] += shape.gpus
            entry["requested"] += requested
            entry["free"] += shape.gpus - requested
    return found


def _volumes(claims: Sequence[Object], outcomes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    listed = []
    for claim in claims:
        metadata = claim["metadata"]
        size = quantities.parse(claim["spec"]["resources"]["requests"]["storage"])
        listed.append(
            {
                "claim": f"{metadata['namespace']}/{metadata['name']}",
                "class": str(claim["spec"].get("storageClassName", "")),
                "bytes": int(size),
                "bound": (claim.get("status") or {}).get("phase") == "Bound",
            }
        )
    later = [
        {"component": name, "what": str(entry["what"]), "count": entry.get("count", 1), "bytes": _storage(entry)}
        for name, outcome in sorted(outcomes.items())
        for entry in outcome.get("later") or []
        if entry.get("storage")
    ]
    return {
        "claims": sorted(listed, key=lambda entry: str(entry["claim"])),
        "later": later,
        "bytes": sum(entry["bytes"] for entry in listed),
    }


def _storage(entry: Mapping[str, Any]) -> int:
    return int(quantities.parse(entry["storage"]))


def _left(nodes: Mapping[str, Mapping[str, Any]], control: set[str]) -> dict[str, Any]:
    """What users get: free amounts of all machines that run pods, and the largest single pod that still fits."""
    total: Amounts = {}
    largest: dict[str, float] = {}
    for name, node in nodes.items():
        if name in control and len(nodes) > len(control):
            continue
        free = {key: Decimal(str(max(0.0, value))) for key, value in node["free"].items()}
        total = add(total, free)
        if (free.get("cpu", ZERO), free.get("memory", ZERO)) > (
            Decimal(str(largest.get("cpu", 0))), Decimal(str(largest.get("memory", 0)))
        ):  # fmt: skip
            largest = numbers({key: free.get(key, ZERO) for key in ("cpu", "memory")})
    return {
        "machines": "workers" if len(nodes) > len(control) else "all",
        "free": numbers(total),
        "largest_pod": largest,
    }


# For people


def summary(content: Mapping[str, Any], path: Any) -> list[str]:
    """What a person wants to know first.

    :param path: of the report.
    """
    free = content["left_for_users"]["free"]
    return [
        f"{len(content['refused'])} objects refused, {sum(r['pods'] for r in content['unschedulable'])} pods that no "
        f"machine takes, {len(content['not_ready'])} objects not ready, {len(content['left_out'])} left out",
        *(f"{r['component']}: {r['object']} refused: {r['why']}"[:300] for r in content["refused"][:5]),
        *(
            f"{r['component']}: {r['object']} ({r['pods']}) fits nowhere: {r['why']}"[:300]
            for r in content["unschedulable"][:5]
        ),
        f"left for users: {quantities.cores(free.get('cpu', 0))} CPUs, {quantities.amount(free.get('memory', 0))}",
        f"{'it fits' if content['fits'] else 'it does not fit as it is'}; read {path}",
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(str(cell).replace('|', '/').replace(chr(10), ' ') for cell in row)} |" for row in rows]
    return [*lines, ""]


def _shown(found: Mapping[str, float], *names: str) -> list[str]:
    shown = []
    for name in names:
        value = found.get(name, 0)
        shown.append(quantities.amount(value) if name in ("memory", "ephemeral-storage") else quantities.cores(value))
    return shown


def markdown(content: Mapping[str, Any]) -> str:
    """The report for people."""
    verdict = (
        "It fits." if content["fits"] else "**It does not fit as it is:** see what was refused or found no machine."
    )
    lines = [
        f"# Rehearsal of {content['inventory']}, profile {content['profile']}", "",
        f"{verdict} Release {content['release']}, {content['taken']}. The API server, controllers and scheduler "
        "were real, the machines simulated; no container of the platform was started.", "",
        "## Machines", "",
    ]  # fmt: skip
    lines += table(
        ["role", "machines", "CPUs", "memory", "GPUs of each"],
        (
            [m["role"], m["count"], quantities.cores(m["cpus"]), quantities.amount(m["memory"]),
             f"{m['gpus']} {m['gpu_flavour']}" if m["gpus"] else "none"]
            for m in content["machines"]
        ),
    )  # fmt: skip
    lines += ["## Refused objects", "", *_told_table(content["refused"])]
    lines += ["## Pods that no machine takes", "", *_pending_table(content["unschedulable"])]
    lines += ["## Not ready", "", *_told_table(content["not_ready"])]
    lines += ["## What each component asks for", ""]
    lines += table(
        ["component", "version", "objects", "pods", "of them later", "CPUs", "memory", "seconds"],
        (
            [name + (" (at least)" if c["lower_bound"] else ""), c.get("version", ""), c.get("objects", ""), c["pods"],
             c["pods_later"], *_shown(c["requests"], "cpu", "memory"), c.get("seconds", "")]
            for name, c in content["components"].items()
        ),
    )  # fmt: skip
    bounds = [f"- {name}: {c['lower_bound']}." for name, c in content["components"].items() if c["lower_bound"]]
    lines += ["Figures marked *at least* are lower bounds:", "", *bounds, ""] if bounds else []
    lines += ["## Machines when the platform runs", "", *_node_table(content["nodes"])]
    left = content["left_for_users"]
    free, largest = left["free"], left["largest_pod"]
    gpus = ", ".join(
        f"{quantities.cores(g['free'])} of {quantities.cores(g['total'])} {f}" for f, g in content["gpus"].items()
    )
    lines += [
        "## Left for users", "",
        f"{quantities.cores(free.get('cpu', 0))} CPUs and {quantities.amount(free.get('memory', 0))} of memory on "
        f"{'the workers' if left['machines'] == 'workers' else 'all machines'}; GPUs: {gpus or 'none'}. The largest "
        f"pod that one machine still takes: {quantities.cores(largest.get('cpu', 0))} CPUs and "
        f"{quantities.amount(largest.get('memory', 0))}.", "",
        "## Volumes", "",
    ]  # fmt: skip
    volumes = content["volumes"]
    if volumes["claims"] or volumes["later"]:
        rows = [
            [v["claim"], v["class"], quantities.amount(v["bytes"]), "yes" if v["bound"] else "no"]
            for v in volumes["claims"]
        ]
        rows += [
            [f"{v['what']} (later, {v['count']})", "", quantities.amount(v["bytes"]), ""] for v in volumes["later"]
        ]
        lines += table(["claim", "class", "size", "bound"], rows)
    else:
        lines += ["None.", ""]
    lines += ["## Left out", "", "What only a server that runs could answer was not sent:", ""]
    lines += _told_table(content["left_out"])
    lines += ["## What it took", "", *_cost(content)]
    return "\n".join(lines).rstrip() + "\n"


def _told_table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    head = ["component", "object", "why"]
    return table(head, ([row[key] for key in head] for row in rows)) if rows else ["None.", ""]


def _pending_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["None.", ""]
    head = ["component", "workload", "pods", "CPUs", "memory", "why"]
    cells = (
        [row["component"], row["object"], row["pods"], *_shown(row["requests"], "cpu", "memory"), row["why"]]
        for row in rows
    )
    return table(head, cells)


def _node_table(nodes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Machines that look alike share a line: five hundred would bury the others."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, node in nodes.items():
        cpu, memory = _shown(node["requested"], "cpu", "memory")
        of_cpu, of_memory = _shown(node["allocatable"], "cpu", "memory")
        key = (node["role"], str(node["pods"]), f"{cpu} of {of_cpu}", f"{memory} of {of_memory}")
        groups.setdefault(key, []).append(name)
    rows = [
        [names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else ""), *key] for key, names in groups.items()
    ]
    shown = rows[:40]
    lines = table(["machine", "role", "pods", "CPUs requested", "memory requested"], shown)
    return lines if len(rows) == len(shown) else [*lines, f"{len(rows) - len(shown)} more lines are in the JSON.", ""]


def _cost(content: Mapping[str, Any]) -> list[str]:
    seconds, memory = content.get("seconds") or {}, content.get("memory") or {}
    lines = [f"- {name}: {value:.0f} s" for name, value in seconds.items()]
    if memory.get("peak_bytes"):
        lines.append(
            f"- memory of the machine with the control plane at its peak: {quantities.amount(memory['peak_bytes'])} "
            f"with cached files; its processes: {quantities.amount(memory.get('processes_bytes', 0))}"
        )
    return [*lines, ""]
