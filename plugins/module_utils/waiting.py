"""Waiting for objects on a live cluster: by watch, with a deadline, and with an answer to "what is it waiting for?"."""

from __future__ import annotations

import concurrent.futures
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.infn.kaap.plugins.module_utils import outside, readiness
from ansible_collections.infn.kaap.plugins.module_utils.kube import ApiError, KubeClient, KubeError, Resource, remaining
from ansible_collections.infn.kaap.plugins.module_utils.readiness import Verdict

Object = dict[str, Any]
Say = Callable[[str], None]

REPORT_SECONDS = 10.0
# Only for what the API offers no watch for: an endpoint that does not answer yet. At first often; a server that takes
# long is busy, and asked less.
POLL_SECONDS = 0.1
POLL_SECONDS_MOST = 1.0


class NotReadyError(KubeError):
    """Something did not become ready in time, or cannot become ready any more."""


@dataclass(frozen=True)
class Target:
    """One object that is waited for.

    :ivar resource: its kind.
    :ivar namespace: its namespace, empty for cluster-wide ones.
    :ivar name: its name.
    :ivar judge: gives the verdict; None stands for an object that is not there.
    """

    resource: Resource
    namespace: str
    name: str
    judge: Callable[[Object | None], Verdict]

    def __str__(self) -> str:
        """``Deployment minio/minio``."""
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.resource.kind} {place}{self.name}"


def judge_there(obj: Object | None) -> Verdict:
    """Verdict by the rule of the object's kind; what is not there is not ready."""
    return readiness.judge(obj) if obj else Verdict(False, "it does not exist")


def judge_gone(obj: Object | None) -> Verdict:
    """Verdict on an object that shall disappear."""
    if obj is None:
        return readiness.READY
    metadata = obj["metadata"]
    held = ", ".join(metadata.get("finalizers") or [])
    waiting = [
        str(condition.get("message"))
        for condition in (obj.get("status") or {}).get("conditions") or []
        if obj.get("kind") == "Namespace" and condition.get("status") == "True" and condition.get("message")
    ]
    words = "it is still there" + (f", held by finalizer {held}" if held else "")
    return Verdict(False, "; ".join([words, *waiting]))


class _Group:
    """Targets of one kind in one namespace, watched together."""

    def __init__(self, client: KubeClient, targets: Sequence[Target], deadline: float, stop: threading.Event) -> None:
        self.client = client
        self.deadline = deadline
        self.stop = stop
        self.resource, self.namespace = targets[0].resource, targets[0].namespace
        self.fields = f"metadata.name={targets[0].name}" if len(targets) == 1 else ""
        self.pending = {target.name: target for target in targets}
        self.verdicts = {target.name: Verdict(False, "not seen yet") for target in targets}
        self.latest: dict[str, Object | None] = {}

    def _see(self, name: str, obj: Object | None) -> None:
        if name not in self.pending:
            return
        if obj is not None:
            obj.setdefault("apiVersion", self.resource.api_version)
            obj.setdefault("kind", self.resource.kind)
        verdict = self.pending[name].judge(obj)
        self.verdicts[name], self.latest[name] = verdict, obj
        if verdict.ready:
            del self.pending[name]
        elif verdict.hopeless:
            self.stop.set()

    def _over(self) -> bool:
        return not self.pending or self.stop.is_set() or not remaining(self.deadline)

    def run(self) -> None:
        """List, then follow the changes; list again every few seconds, so that a stop is noticed."""
        while True:
            items, version = self.client.list(self.resource, self.namespace, fields=self.fields)
            found = {item["metadata"]["name"]: item for item in items}
            for name in list(self.pending):
                self._see(name, found.get(name))
            if self._over():
                return
            seconds = min(REPORT_SECONDS, remaining(self.deadline))
            try:
                for event, obj in self.client.watch(
                    self.resource, self.namespace, version, seconds, fields=self.fields
                ):
                    if event != "BOOKMARK":
                        self._see(obj["metadata"]["name"], None if event == "DELETED" else obj)
                    if self._over():
                        return
            except ApiError as error:
                if error.status != 410:  # 410: that point of the history is gone, list again
                    raise

    def waits(self) -> list[str]:
        """What is not ready, each with its reason and what its pods say first."""
        lines = []
        for name, target in list(self.pending.items()):
            detail = explain(self.client, self.latest.get(name))[:1]
            lines.append(f"{target} ({'; '.join([self.verdicts[name].why, *detail])[:300]})")
        return lines

    def problems(self) -> list[str]:
        """What is not ready, with all that is known about it."""
        return [
            "\n    ".join([f"{target}: {self.verdicts[name].why}", *explain(self.client, self.latest.get(name))])
            for name, target in self.pending.items()
        ]


@outside.span(outside.WAIT)
def wait(client: KubeClient, targets: Sequence[Target], deadline: float, say: Say) -> None:
    """Wait until every target is ready.

    :param deadline: of :func:`time.monotonic`.
    :param say: told every ten seconds what is being waited for.
    :raises NotReadyError: when the deadline passed or a target is hopeless; with the latest state of each.
    """
    if not targets:
        return
    start = time.monotonic()
    by_place: dict[tuple[str, str, str], list[Target]] = {}
    for target in targets:
        key = (target.resource.group, target.resource.plural, target.namespace)
        by_place.setdefault(key, []).append(target)
    stop = threading.Event()
    groups = [_Group(client, members, deadline, stop) for members in by_place.values()]
    say(f"waiting for {_names(targets)}")
    with concurrent.futures.ThreadPoolExecutor(len(groups)) as pool:
        running: set[concurrent.futures.Future[None]] = {pool.submit(group.run) for group in groups}
        while running:
            done, running = concurrent.futures.wait(running, timeout=REPORT_SECONDS)
            for future in done:
                if future.exception():
                    stop.set()
                future.result()
            if running and not done:
                waiting = [line for group in groups for line in group.waits()]
                say(f"waiting for {'; '.join(waiting[:3])} ({time.monotonic() - start:.0f} s)")
    problems = [problem for group in groups for problem in group.problems()]
    if problems:
        raise NotReadyError(f"not ready after {time.monotonic() - start:.0f} s: " + "\n  ".join(problems))


def _names(targets: Sequence[Target]) -> str:
    shown = ", ".join(str(target) for target in targets[:3])
    return shown + (f" and {len(targets) - 3} more" if len(targets) > 3 else "")


@outside.span(outside.WAIT)
def poll(check: Callable[[], Verdict], what: str, deadline: float, say: Say) -> None:
    """Wait for something that the API offers no watch for.

    :param check: looks once and gives a verdict.
    :param what: named when it takes long or fails.
    :raises NotReadyError: when the deadline passed, with the latest verdict.
    """
    start = spoken = time.monotonic()
    pause = threading.Event()
    while True:
        verdict = check()
        if verdict.ready:
            return
        now = time.monotonic()
        if not remaining(deadline) or verdict.hopeless:
            raise NotReadyError(f"{what} is not ready after {now - start:.0f} s: {verdict.why}")
        if now - spoken >= REPORT_SECONDS:
            spoken = now
            say(f"waiting for {what} ({verdict.why}) ({now - start:.0f} s)")
        pause.wait(min(POLL_SECONDS_MOST, max(POLL_SECONDS, (now - start) / 10)))


def webhook_calls(configurations: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The different calls that webhook configurations make to services.

    :returns: mappings with ``namespace``, ``name``, ``port`` and ``path`` of the service, and ``review``, the first
        version of AdmissionReview that the webhook understands.
    """
    calls: dict[tuple[str, str, int, str], dict[str, Any]] = {}
    for configuration in configurations:
        for webhook in configuration.get("webhooks") or []:
            service = (webhook.get("clientConfig") or {}).get("service")
            if service:
                path = str(service.get("path") or "/")
                key = (str(service["namespace"]), str(service["name"]), int(service.get("port") or 443), path)
                review = (webhook.get("admissionReviewVersions") or ["v1"])[0]
                calls[key] = {"namespace": key[0], "name": key[1], "port": key[2], "path": path, "review": review}
    return list(calls.values())


def webhook_name(call: Mapping[str, Any]) -> str:
    """How such a call is named to people."""
    return f"webhook {call['namespace']}/{call['name']}{call['path']}"


def ask_webhook(client: KubeClient, call: Mapping[str, Any]) -> Verdict:
    """Does a webhook's server answer an AdmissionReview?

    :param call: one of :func:`webhook_calls`.
    """
    uid = str(uuid.uuid4())
    review = readiness.admission_review(uid, str(call["review"]))
    status, body = client.post_to_service(call["namespace"], call["name"], call["port"], call["path"], review)
    return readiness.admission_answer(uid, status, body)


POD = Resource("", "v1", "Pod", "pods", True)
EVENT = Resource("", "v1", "Event", "events", True)


def explain(client: KubeClient, obj: Object | None) -> list[str]:
    """Lines that help to see why a workload is not ready: its pods' troubles and the latest events.

    An answer that cannot be had is left out: the verdict itself is the error.
    """
    if obj is None:
        return []
    namespace = obj["metadata"].get("namespace", "")
    name = obj["metadata"]["name"]
    lines: list[str] = []
    try:
        selector = ((obj.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        names = [name]
        if namespace and selector:
            pods, _ = client.list(POD, namespace, labels=",".join(f"{key}={value}" for key, value in selector.items()))
            for pod in pods:
                names.append(pod["metadata"]["name"])
                lines += [f"pod {pod['metadata']['name']}: {line}" for line in readiness.pod_waits(pod)]
            if not pods:
                lines.append("it has no pod")
        if namespace:
            lines += _events(client, namespace, names)
    except KubeError:
        return lines
    return lines


def _events(client: KubeClient, namespace: str, names: Sequence[str]) -> list[str]:
    events, _ = client.list(EVENT, namespace, fields="type=Warning")
    about = [event for event in events if event.get("involvedObject", {}).get("name", "") in names]
    about.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [
        f"event: {event['involvedObject'].get('kind')} {event['involvedObject'].get('name')}: "
        f"{event.get('reason')}: {event.get('message')}"
        for event in about[-3:]
    ]
