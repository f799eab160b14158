"""Install, change and remove components on a live cluster, by server-side apply, in one pass.

An object is applied when everything it needs is there: definitions before objects of their kinds, configuration before
servers, servers before the webhooks that call them, and all of that before custom resources. So nothing is tried twice.
"""

from __future__ import annotations

import concurrent.futures
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import assembly, certificates, immutable, readiness, waiting
from ansible_collections.infn.kaap.plugins.module_utils.kube import (
    ApiError,
    KubeClient,
    KubeError,
    Resource,
    UnknownKindError,
    describe,
    remaining,
    resources_of_crd,
)
from ansible_collections.infn.kaap.plugins.module_utils.objects import (
    BASE,
    CALLERS,
    CUSTOM,
    DEFINITIONS,
    INVENTORY_LABEL,
    INVENTORY_NAMESPACE,
    NAMESPACES,
    SERVERS,
    WEBHOOKS,
    Inventory,
    Ref,
    contains,
    difference,
    digest,
    is_kept,
    ref_of,
    same,
    stage_of,
    stage_of_ref,
    stages,
)
from ansible_collections.infn.kaap.plugins.module_utils.readiness import Verdict
from ansible_collections.infn.kaap.plugins.module_utils.recipes import Recipes
from ansible_collections.infn.kaap.plugins.module_utils.render import Renderer, RenderError
from ansible_collections.infn.kaap.plugins.module_utils.waves import waves

Object = dict[str, Any]
Record = Mapping[str, Any]

THREADS = 8
CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps", True)
NAMESPACE = Resource("", "v1", "Namespace", "namespaces", False)
SECRET = Resource("", "v1", "Secret", "secrets", True)
CLAIM = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", True)
VOLUME = Resource("", "v1", "PersistentVolume", "persistentvolumes", False)
DEFINITION = Resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False)
STATEFUL_SET = Resource("apps", "v1", "StatefulSet", "statefulsets", True)


class ComponentError(KubeError):
    """A component cannot be installed or removed; the text says which object, why, and what to do."""


@dataclass(frozen=True)
class Options:
    """How to go about it.

    :ivar check: ask the server what would change, and change nothing.
    :ivar diff: collect differences.
    :ivar timeout: seconds that one component may take to become ready (or to disappear).
    :ivar delete_data: may volumes, and objects that users made, be deleted?
    """

    check: bool = False
    diff: bool = False
    timeout: float = 600.0
    delete_data: bool = False


@dataclass
class Result:
    """What happened to one component.

    :ivar phases: seconds per phase: render, apply, ready, delete.
    :ivar taken_back: fields that others had changed and that are as declared again.
    :ivar error: why it is not as it should be; empty when it is.
    """

    component: str
    version: str = ""
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)
    diffs: list[dict[str, str]] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)
    objects: int = 0
    error: str = ""

    @property
    def changed(self) -> bool:
        """Was (or, in check mode, would be) anything changed?"""
        return bool(self.created or self.updated or self.replaced or self.deleted)

    def as_dict(self) -> dict[str, Any]:
        """For the task's result."""
        return {
            "changed": self.changed,
            "version": self.version,
            "seconds": round(sum(self.phases.values()), 2),
            "phases": {name: round(seconds, 2) for name, seconds in self.phases.items()},
            "objects": self.objects,
            "created": sorted(self.created),
            "updated": sorted(self.updated),
            "replaced": sorted(self.replaced),
            "deleted": sorted(self.deleted),
            "taken_back": sorted(self.taken_back),
            "error": self.error,
        }


class Cluster:
    """One cluster and the components on it."""

    def __init__(
        self,
        client: KubeClient,
        options: Options,
        *,
        state_dir: Path,
        renderer: Renderer | None = None,
        say: Callable[[str, str], None] = lambda component, text: None,
    ) -> None:
        """Read what is installed.

        :param client: it has discovered the served kinds already.
        :param state_dir: where the deployment's authority is.
        :param renderer: needed to install, not to remove.
        :param say: told ``(component, text)`` as things go on.
        """
        self.client = client
        self.options = options
        self.state_dir = state_dir
        self.renderer = renderer
        self.say = say
        self.inventories = read_inventories(client)
        place = (renderer.bundle, renderer.root) if renderer else (None, None)
        self.recipes = Recipes(state_dir, *place)
        self._authority: certificates.Authority | None = None
        self._lock = threading.Lock()

    def authority(self) -> certificates.Authority:
        """The deployment's authority; made when it is not there."""
        with self._lock:
            if self._authority is None:
                self._authority = certificates.ensure_authority(self.state_dir, write=not self.options.check)
            return self._authority

    def held_by_others(self, component: str) -> set[tuple[str, str, str, str]]:
        """Identities of objects that other components consist of."""
        with self._lock:
            others = [inventory for name, inventory in self.inventories.items() if name != component]
        return {ref.identity for inventory in others for ref in inventory.refs}

    def namespaces_of(self, names: Iterable[str]) -> set[str]:
        """Namespaces that these components, and those that they need, consist of."""
        with self._lock:
            return namespaces_of(self.inventories, names)

    def remember(self, inventory: Inventory) -> None:
        """Write down what a component consists of."""
        with self._lock:
            self.inventories[inventory.component] = inventory
        self.client.apply(CONFIG_MAP, inventory.to_object(), force=True)

    def forget(self, component: str) -> None:
        """Write down that a component is no more."""
        with self._lock:
            self.inventories.pop(component, None)
        self.client.delete(CONFIG_MAP, INVENTORY_NAMESPACE, f"kaap-inventory-{component}")

    def install(self, records: Sequence[Record]) -> list[Result]:
        """Install or change components side by side; each result says whether it worked.

        When a field of any of them cannot change, nothing of any of them is sent.
        """
        components = [self.make(record) for record in records]
        if self._refused(components):
            return [component.result for component in components]
        if not self.options.check:
            own = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": INVENTORY_NAMESPACE}}
            self.client.apply(NAMESPACE, own)
        sound = [component for component in components if not component.result.error]
        self._side_by_side(sound, Component.install)
        for component in components:
            self.finished(component)
        return [component.result for component in components]

    def make(self, record: Record) -> Component:
        """One component on its way in."""
        return Component(self, record)

    def finished(self, component: Component) -> None:
        """Told of each component of an installation when it is over, whether it worked or not."""

    def look_ahead(self, records: Sequence[Record]) -> list[Result]:
        """Find changes of these components that the server cannot make, before the first of them is sent.

        Components that are not installed, and those that the same release and settings rendered before, need no look.
        Other errors than such changes are left to the installation, which says more about them.
        """
        components = [
            Component(self, record)
            for record in records
            if record["name"] in self.inventories and not self.recipes.holds(record)
        ]
        self._refused(components)
        return [component.result for component in components if component.impossible]

    def _refused(self, components: Sequence[Component]) -> bool:
        """Render components, and look for fields that cannot change."""
        # Rendering starts programs, a few at a time; waiting, later, is done for all components at once.
        self._side_by_side(components, Component.prepare, at_once=THREADS)
        self._side_by_side([one for one in components if not one.result.error], Component.look_ahead, at_once=1)
        return any(component.impossible for component in components)

    def remove(self, names: Sequence[str]) -> list[Result]:
        """Remove components, each before those it needs.

        :raises ComponentError: before anything is touched, when data would be lost.
        """
        gone = [self.inventories[name] for name in names if name in self.inventories]
        present = {inventory.component for inventory in gone}
        order = waves(
            {"name": inventory.component, "needs": [need for need in inventory.needs if need in present]}
            for inventory in gone
        )
        components = [
            Component(self, {"name": entry["name"], "version": self.inventories[entry["name"]].version})
            for wave in reversed(order)
            for entry in wave
        ]
        leaving = {ref.identity for inventory in gone for ref in inventory.refs}
        refusals = [text for component in components for text in component.refusals(leaving)]
        if refusals and not self.options.delete_data:
            raise ComponentError("\n".join(refusals))
        results: list[Result] = []
        for component in components:
            # One at a time: whether a shared namespace can go depends on who is still there.
            results += self._side_by_side([component], Component.remove)
            if results[-1].error:
                break
        return results

    @staticmethod
    def _side_by_side(
        components: Sequence[Component], work: Callable[[Component], None], at_once: int = 0
    ) -> list[Result]:
        def run(component: Component) -> Result:
            try:
                work(component)
            except (KubeError, RenderError, certificates.CertificateError) as error:
                component.result.error = str(error)
            return component.result

        if not components:
            return []
        with concurrent.futures.ThreadPoolExecutor(at_once or len(components)) as pool:
            return list(pool.map(run, components))


def missing_definitions(client: KubeClient, provided: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What components that the cluster is said to have do not define there, one text for each of them.

    :param provided: by component, ``version`` of the release and ``definitions``, names of definitions that others use.
    """
    found = []
    for name, component in provided.items():
        judged = [
            (definition, readiness.crd(live) if (live := client.get(DEFINITION, "", definition)) else None)
            for definition in component.get("definitions") or []
        ]
        lacking = [definition for definition, verdict in judged if verdict is None or not verdict.ready]
        if lacking:
            found.append(
                f"kaap_components.{name}.provided: `True` but the cluster does not serve {', '.join(lacking)}; "
                f"install {name} {component.get('version', '')} there, or take provided out and it is installed"
            )
    return found


def read_inventories(client: KubeClient) -> dict[str, Inventory]:
    """What is installed, by component."""
    found, _ = client.list(CONFIG_MAP, INVENTORY_NAMESPACE, labels=f"{INVENTORY_LABEL}=true")
    inventories = [Inventory.from_object(obj) for obj in found]
    return {inventory.component: inventory for inventory in inventories}


def namespaces_of(inventories: Mapping[str, Inventory], names: Iterable[str]) -> set[str]:
    """Namespaces that some components consist of, with those that they need, directly or not."""
    todo, seen, found = list(names), set(), set()
    while todo:
        inventory = inventories.get(name := todo.pop())
        if inventory is None or name in seen:
            continue
        seen.add(name)
        found |= {ref.name for ref in inventory.refs if ref.kind == "Namespace"}
        todo += inventory.needs
    return found


@dataclass(frozen=True)
class Plan:
    """What an installation is going to do.

    :ivar objects: applied in stages.
    :ivar resources: applied when the rest is ready.
    :ivar old: what the component consists of so far.
    :ivar under_way: what is written down while the change is applied.
    :ivar final: what is written down when it worked.
    :ivar surplus: deleted at the end.
    """

    objects: list[Object]
    resources: list[Object]
    old: Inventory
    under_way: Inventory
    final: Inventory
    surplus: list[Ref]


class Component:
    """One component on its way in or out."""

    plan: Plan
    # Whether a field would have to change that cannot.
    impossible = False

    def __init__(self, cluster: Cluster, record: Record) -> None:
        """Start its clock.

        :param record: its release record, with all Jinja resolved; for a removal its name and version suffice.
        """
        self.cluster = cluster
        self.client = cluster.client
        self.options = cluster.options
        self.record = record
        self.name = str(record["name"])
        self.result = Result(self.name, str(record.get("version", "")))
        self.deadline = time.monotonic() + self.options.timeout
        # Identities of objects that were applied before exactly as they are declared now.
        self._settled: set[tuple[str, str, str, str]] = set()
        # Identities of objects that were, perhaps, applied before; of the others the server says that it made them.
        self._known: set[tuple[str, str, str, str]] = set()
        # In check mode: namespaces and kinds that do not exist yet, so that what goes into them cannot be asked about.
        self._unborn_namespaces: set[str] = set()
        self._unborn_kinds: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    # Installing

    def install(self) -> None:
        """Apply what :meth:`prepare` rendered in stages, wait, and delete what is no longer part of it.

        :raises KubeError: when something is refused or does not become ready.
        """
        plan = self.plan
        self.deadline = time.monotonic() + self.options.timeout
        if not self.options.check and plan.under_way.to_object() != plan.old.to_object():
            # Written before the first object: a run that is killed leaves nothing behind that nobody knows of.
            self.cluster.remember(plan.under_way)
        self._stages(plan.objects)
        self._resources(plan.resources)
        self._rules()
        self._delete(plan.surplus)
        if not self.options.check:
            if plan.final.to_object() != plan.old.to_object():
                self.cluster.remember(plan.final)
            self.cluster.recipes.keep(self.record)

    def prepare(self) -> None:
        """Render it, and compare with what it consists of now. Nothing is sent.

        :raises ComponentError: when the change would delete data.
        """
        with self._timed("render"):
            objects, resources = self._render()
        refs = [ref_of(obj) for obj in (*objects, *resources) if not is_kept(obj)]
        self.result.objects = len(objects) + len(resources)
        old = self.cluster.inventories.get(self.name, Inventory(self.name, "", (), ()))
        held = self.cluster.held_by_others(self.name)
        kept = {ref_of(obj).identity for obj in (*objects, *resources) if is_kept(obj)}
        surplus = [ref for ref in old.beyond(refs) if ref.identity not in held | kept]
        refusals = self._refusals(surplus, "this change deletes")
        if refusals and not self.options.delete_data:
            raise ComponentError("\n".join(refusals))
        needs = tuple(sorted(self.record.get("needs") or []))
        digests = {ref_of(obj).identity: digest(obj) for obj in (*objects, *resources)}
        self._known = {ref.identity for ref in old.refs}
        self._settled = {
            identity for identity, value in digests.items() if value and old.digests.get(identity) == value
        }
        under_way = old.under_way(needs, refs, digests)
        final = Inventory(self.name, self.result.version, needs, tuple(refs), digests)
        self.plan = Plan(objects, resources, old, under_way, final, surplus)

    def look_ahead(self) -> None:
        """Ask the server, as a dry run, about every object that exists and that changes.

        Only refusals that say that a field cannot change count: another one may be about what a change that goes first
        brings, as a definition its kind.

        :raises ComponentError: naming each object with field, old and new value, and what to do.
        """
        changed = [
            obj
            for obj in (*self.plan.objects, *self.plan.resources)
            if ref_of(obj).identity in self._known - self._settled
        ]
        with self._timed("check"), concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            refusals = [text for text in pool.map(self._immutable, changed) if text]
        if refusals:
            self.impossible = True
            raise ComponentError("\n".join(refusals))

    def _immutable(self, obj: Object) -> str:
        """Why an object cannot become what is declared; empty when it can."""
        ref = ref_of(obj)
        resource = self.client.catalogue.find(ref.api_version, ref.kind)
        live = self.client.get(resource, ref.namespace, ref.name) if resource else None
        if resource is None or live is None or live["metadata"].get("deletionTimestamp"):
            return ""
        if ref.kind in immutable.RECREATABLE or contains(live, obj):
            return ""
        try:
            self.client.apply(resource, obj, force=True, dry_run=True)
        except ApiError as error:
            return immutable.refusal(error, live, obj) if immutable.is_immutable(error) else ""
        return ""

    def _timed(self, phase: str) -> _Timer:
        return _Timer(self.result.phases, phase)

    def _say(self, text: str) -> None:
        self.cluster.say(self.name, text)

    def _render(self) -> tuple[list[Object], list[Object]]:
        if self.cluster.renderer is None:
            raise ComponentError(f"{self.name}: no bundle to render from")
        self._say("rendering")
        keeping = assembly.Keeping(self.cluster.authority, self._secret)
        foreign = self.cluster.namespaces_of(self.record.get("needs") or [])
        built = assembly.build(self.record, self.cluster.renderer, keeping, foreign)
        return built.objects, built.resources

    def _secret(self, namespace: str, name: str) -> dict[str, str]:
        return assembly.decoded(self.client.get(SECRET, namespace, name))

    def _stages(self, objects: list[Object]) -> None:
        by_stage = stages(objects)
        # What servers read is of Kubernetes' own kinds: it goes out while the API server takes new ones up.
        for group in ((NAMESPACES,), (DEFINITIONS, BASE), (SERVERS,), (CALLERS,), (CUSTOM,)):
            members = [obj for stage in group for obj in by_stage[stage]]
            if not members:
                continue
            if CALLERS in group:
                self._ask_webhooks(members)
            with self._timed("apply"):
                applied = self._apply_all(members)
            if self.options.check:
                continue
            with self._timed("ready"):
                definitions = [obj for obj in applied if stage_of(obj) == DEFINITIONS]
                others = [obj for obj in applied if stage_of(obj) != DEFINITIONS]
                self._await([*self._await_served(definitions), *others])
            if SERVERS in group:
                self._ask_webhooks(members)

    def _resources(self, resources: list[Object]) -> None:
        """Our own custom resources and workloads, in the order that the record gives."""
        with self._timed("apply"):
            applied = [self._apply(obj) for obj in resources]
        if not self.options.check:
            with self._timed("ready"):
                self._await(applied)

    def _rules(self) -> None:
        """Wait for what the record says makes the component ready."""
        if self.options.check:
            return
        targets = []
        for rule in self.record.get("ready") or []:
            resource = self.client.catalogue.need(str(rule["api"]), str(rule["kind"]))
            place = str(rule.get("namespace") or self.record["namespace"]) if resource.namespaced else ""
            targets.append(waiting.Target(resource, place, str(rule["name"]), _rule_judge(rule)))
        with self._timed("ready"):
            # All must hold at once: what was ready may not be any more when the last one is.
            while unready := [
                target
                for target in targets
                if not target.judge(self.client.get(target.resource, target.namespace, target.name)).ready
            ]:
                waiting.wait(self.client, unready, self.deadline, self._say)

    def _await(self, applied: Iterable[Object]) -> None:
        targets = []
        for obj in applied:
            if not starts_asleep(obj) and not readiness.judge(obj).ready:
                ref = ref_of(obj)
                resource = self.client.catalogue.need(ref.api_version, ref.kind)
                targets.append(waiting.Target(resource, ref.namespace, ref.name, waiting.judge_there))
        waiting.wait(self.client, targets, self.deadline, self._say)

    def _await_served(self, definitions: Iterable[Object]) -> list[Object]:
        """Wait until the API server answers for new kinds, which it does a moment after it calls them established.

        :returns: the definitions that were there before as they are now, and still have to be judged.
        """
        old = []
        for obj in definitions:
            if describe(obj) not in self.result.created + self.result.updated:
                old.append(obj)
                continue
            for resource in resources_of_crd(obj):
                waiting.poll(
                    lambda obj=obj, resource=resource: self._served(obj, resource),  # type: ignore[misc]
                    f"the API of {resource.plural}.{resource.group}/{resource.version}",
                    self.deadline,
                    self._say,
                )
        return old

    def _served(self, definition: Object, resource: Resource) -> Verdict:
        status, _ = self.client.raw("GET", resource.path(), {"limit": "1"})
        # An error of another kind (a conversion webhook that is not up yet) proves that it is served, too.
        if status != 404:
            return readiness.READY
        why = "the API server answers 404"
        if remaining(self.deadline) < 1:
            # Its conditions say why, and are worth a request only when there is a reason to tell.
            verdict = readiness.crd(self.client.get(DEFINITION, "", definition["metadata"]["name"]) or {})
            why = verdict.why or why
        return Verdict(False, why)

    def _ask_webhooks(self, members: Iterable[Object]) -> None:
        """Have every webhook server of these configurations answer an AdmissionReview."""
        if self.options.check:
            return
        calls = waiting.webhook_calls(obj for obj in members if obj["kind"] in WEBHOOKS)

        def ask(call: Mapping[str, Any]) -> None:
            name = waiting.webhook_name(call)
            waiting.poll(lambda: waiting.ask_webhook(self.client, call), name, self.deadline, self._say)

        with self._timed("ready"), concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(ask, calls))

    def _apply_all(self, members: Sequence[Object]) -> list[Object]:
        """Apply objects of one stage; all of them are tried, then all errors are told."""
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            futures = [pool.submit(self._apply, obj) for obj in members]
        errors = [str(future.exception()) for future in futures if isinstance(future.exception(), KubeError)]
        if errors:
            raise ComponentError("\n".join(errors))
        return [future.result() for future in futures]

    def _apply(self, obj: Object) -> Object:
        """Apply one object; what the server made of it."""
        ref = ref_of(obj)
        resource = self.client.catalogue.find(ref.api_version, ref.kind)
        if resource is None:
            raise UnknownKindError(ref.api_version, ref.kind)
        if self.options.check and (
            ref.namespace in self._unborn_namespaces or (ref.group, ref.kind) in self._unborn_kinds
        ):
            self._note(self.result.created, None, obj)
            return obj
        # A namespace may be there already: components share them. What outlives a component is not in its inventory.
        known = self.options.check or ref.kind == "Namespace" or is_kept(obj) or ref.identity in self._known
        before = self._look(resource, ref) if known else None
        if before and ref.identity in self._settled and contains(before, obj):
            # Sending it again could not change anything, but takes the server up to a second for a large definition.
            return before
        if before is None and self.options.check:
            self._unborn(obj)
        try:
            made, after = self._send(resource, obj)
        except ApiError as error:
            before = before or self.client.get(resource, ref.namespace, ref.name)
            if before is None or not immutable.is_immutable(error):
                raise
            if ref.kind not in immutable.RECREATABLE:
                raise ComponentError(immutable.refusal(error, before, obj)) from error
            after = self._recreate(resource, obj)
            self._note(self.result.replaced, before, after)
            return after
        if after["metadata"].get("deletionTimestamp") and not self.options.check:
            # It was not looked at before, and is on its way out.
            self._await_gone(resource, ref)
            made, after = self._send(resource, obj)
        if made:
            self._note(self.result.created, None, after)
        elif not same(before, after):
            self._note(self.result.updated, before, after)
        return after

    def _look(self, resource: Resource, ref: Ref) -> Object | None:
        """An object as it is; None when it is not there, once its deletion is over."""
        found = self.client.get(resource, ref.namespace, ref.name)
        if found and found["metadata"].get("deletionTimestamp") and not self.options.check:
            self._await_gone(resource, ref)
            return None
        return found

    def _await_gone(self, resource: Resource, ref: Ref) -> None:
        target = waiting.Target(resource, ref.namespace, ref.name, waiting.judge_gone)
        waiting.wait(self.client, [target], self.deadline, self._say)

    def _send(self, resource: Resource, obj: Object) -> tuple[bool, Object]:
        """One server-side apply: whether it made the object, and the object.

        What the release declares wins over what others changed, and is told.
        """
        check = self.options.check
        try:
            return self.client.apply_anew(resource, obj, dry_run=check)
        except ApiError as error:
            if error.status == 409 and error.causes:
                self._taken_back(obj, error)
                return self.client.apply_anew(resource, obj, force=True, dry_run=check)
            if not check and error.status == 500 and "webhook" in error.message and "failed" in error.message:
                # A webhook of another component restarts, or its service was routed a moment ago. The refused request
                # changed nothing; the same one as a dry run shows when the webhook answers.
                waiting.poll(
                    lambda: self._admitted(resource, obj), f"a webhook ({error.message})", self.deadline, self._say
                )
                return self.client.apply_anew(resource, obj, force=True)
            raise

    def _admitted(self, resource: Resource, obj: Object) -> Verdict:
        try:
            self.client.apply(resource, obj, force=True, dry_run=True)
        except ApiError as error:
            if error.status == 500 and "webhook" in error.message:
                return Verdict(False, error.message)
        return readiness.READY

    def _recreate(self, resource: Resource, obj: Object) -> Object:
        ref = ref_of(obj)
        if self.options.check:
            return obj
        self.client.delete(resource, ref.namespace, ref.name, propagation="Foreground")
        self._await_gone(resource, ref)
        return self._send(resource, obj)[1]

    def _unborn(self, obj: Object) -> None:
        with self._lock:
            if obj["kind"] == "Namespace":
                self._unborn_namespaces.add(obj["metadata"]["name"])
            if obj["kind"] == "CustomResourceDefinition":
                self._unborn_kinds.update((known.group, known.kind) for known in resources_of_crd(obj))

    def _note(self, where: list[str], before: Object | None, after: Object | None) -> None:
        with self._lock:
            where.append(describe(after or before or {}))
            if self.options.diff:
                self.result.diffs.append(difference(before, after))

    def _taken_back(self, obj: Object, error: ApiError) -> None:
        with self._lock:
            for cause in error.causes:
                self.result.taken_back.append(f"{describe(obj)} {cause.get('field', '')}: {cause.get('message', '')}")

    # Removing

    def remove(self) -> None:
        """Delete everything it consists of, custom resources first and namespaces last, and wait until it is gone."""
        inventory = self.cluster.inventories[self.name]
        self._delete(self._own(inventory.refs))
        if not self.options.check:
            self.cluster.forget(self.name)

    def refusals(self, leaving: set[tuple[str, str, str, str]]) -> list[str]:
        """Why the component may not be removed without a word from the user.

        :param leaving: identities of all objects of the components that are removed together with this one.
        """
        own = [ref for ref in self.cluster.inventories[self.name].refs if ref.identity in leaving]
        return self._refusals(own, f"removing component {self.name} deletes", leaving)

    def _own(self, refs: Sequence[Ref]) -> list[Ref]:
        held = self.cluster.held_by_others(self.name)
        return [ref for ref in refs if ref.identity not in held]

    def _refusals(
        self, refs: Sequence[Ref], what: str, leaving: set[tuple[str, str, str, str]] | None = None
    ) -> list[str]:
        claims = [f"PersistentVolumeClaim {claim.namespace}/{claim.name}" for claim in self._claims(refs)]
        own = leaving or {ref.identity for ref in refs}
        foreign = [str(ref) for ref, made in self._instances(refs) if not made and ref.identity not in own]
        shown = [*claims, *foreign[:10], *([f"and {len(foreign) - 10} more"] if len(foreign) > 10 else [])]
        if not shown:
            return []
        return [f"{self.name}: {what} data: {', '.join(shown)}; set kaap_delete_data=true if that is wanted"]

    def _claims(self, refs: Sequence[Ref]) -> list[Ref]:
        """Volume claims that go with these objects: their own, those of StatefulSets, and all in their namespaces."""
        found: dict[tuple[str, str], Ref] = {}
        for ref in refs:
            names: list[tuple[str, str]] = []
            if ref.kind == "PersistentVolumeClaim" and self.client.get(CLAIM, ref.namespace, ref.name):
                names = [(ref.namespace, ref.name)]
            elif ref.kind == "Namespace":
                claims, _ = self.client.list(CLAIM, ref.name)
                names = [(ref.name, claim["metadata"]["name"]) for claim in claims]
            elif ref.kind == "StatefulSet":
                stateful = self.client.get(STATEFUL_SET, ref.namespace, ref.name) or {}
                claims, _ = self.client.list(CLAIM, ref.namespace)
                for template in (stateful.get("spec") or {}).get("volumeClaimTemplates") or []:
                    pattern = re.compile(rf"{re.escape(template['metadata']['name'])}-{re.escape(ref.name)}-\d+")
                    names += [
                        (ref.namespace, claim["metadata"]["name"])
                        for claim in claims
                        if pattern.fullmatch(claim["metadata"]["name"])
                    ]
            found.update({place: Ref("v1", "PersistentVolumeClaim", *place) for place in names})
        return list(found.values())

    def _instances(self, refs: Sequence[Ref]) -> list[tuple[Ref, bool]]:
        """Objects of the kinds that the CRDs among ``refs`` define, and whether a controller made them."""
        found = []
        for ref in refs:
            definition = self.client.get(DEFINITION, "", ref.name) if ref.kind == "CustomResourceDefinition" else None
            kinds = resources_of_crd(definition) if definition else []
            # The API server's list of kinds lags behind on a busy machine: what it misses would count as gone.
            self.client.catalogue.add(kinds)
            for resource in kinds[:1]:
                items, _ = self.client.list(resource)
                found += [(ref_of(item), bool(item["metadata"].get("ownerReferences"))) for item in items]
        return found

    def _delete(self, refs: Sequence[Ref]) -> None:
        if not refs:
            return
        with self._timed("delete"):
            claims = self._claims(refs)
            volumes = self._volumes(claims)
            whole = {ref.identity: ref for ref in (*refs, *claims, *(item for item, _ in self._instances(refs)))}
            for stage in (CUSTOM, CALLERS, SERVERS, BASE, DEFINITIONS, NAMESPACES):
                self._delete_stage([ref for ref in whole.values() if stage_of_ref(ref) == stage])
                if stage == BASE and not self.options.check:
                    # The provisioner gives the disk back after the claim is gone; until then something is left.
                    targets = [waiting.Target(VOLUME, "", name, waiting.judge_gone) for name in volumes]
                    waiting.wait(self.client, targets, self.deadline, self._say)

    def _volumes(self, claims: Sequence[Ref]) -> list[str]:
        names = []
        for claim in claims:
            live = self.client.get(CLAIM, claim.namespace, claim.name) or {}
            name = (live.get("spec") or {}).get("volumeName")
            volume = self.client.get(VOLUME, "", name) if name else None
            if volume and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
                names.append(str(name))
        return names

    def _delete_stage(self, refs: Sequence[Ref]) -> None:
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            targets = [target for target in pool.map(self._delete_one, refs) if target]
        waiting.wait(self.client, targets, self.deadline, self._say)

    def _delete_one(self, ref: Ref) -> waiting.Target | None:
        """Delete one object; what to wait for, if it was there."""
        # In the version that is served now: the one it was applied with may be gone after an upgrade.
        catalogue = self.client.catalogue
        resource = catalogue.find(ref.api_version, ref.kind) or catalogue.of_group(ref.group, ref.kind)
        live = self.client.get(resource, ref.namespace, ref.name) if resource else None
        if resource is None or live is None:
            return None
        self._note(self.result.deleted, live, None)
        if self.options.check:
            return None
        propagation = "Foreground" if stage_of_ref(ref) == SERVERS else "Background"
        self.client.delete(resource, ref.namespace, ref.name, propagation=propagation)
        return waiting.Target(resource, ref.namespace, ref.name, waiting.judge_gone)


def starts_asleep(obj: Mapping[str, Any]) -> bool:
    """Has a workload, just applied, no replicas because none are declared?

    Its controller starts them when they are wanted, as Knative does with its adapters; nobody waits for that.
    """
    return obj.get("kind") in ("Deployment", "StatefulSet") and (obj.get("spec") or {}).get("replicas") == 0


class _Timer:
    """Adds the time spent in a ``with`` block to a phase."""

    def __init__(self, phases: dict[str, float], phase: str) -> None:
        self.phases = phases
        self.phase = phase
        self.start = 0.0

    def __enter__(self) -> None:
        self.start = time.monotonic()

    def __exit__(self, *exception: object) -> None:
        self.phases[self.phase] = self.phases.get(self.phase, 0.0) + time.monotonic() - self.start


def _rule_judge(rule: Mapping[str, Any]) -> Callable[[Object | None], Verdict]:
    return lambda obj: readiness.judge_rule(rule, obj)
