"""Filters for the records of Kubeflow's applications."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import pipelines
from ansible_collections.infn.kaap.plugins.module_utils import sidebar as pure

ROOT = Path(__file__).resolve().parents[2]


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the errors of a pure function into errors of the template."""

    @wraps(function)
    def wrapped(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except pipelines.PipelinesError as error:
            raise AnsibleFilterError(str(error)) from error

    return wrapped


def sidebar(enabled: Sequence[str]) -> str:
    """Links of the sidebar for the components that are there. See :func:`module_utils.sidebar.sidebar`."""
    return pure.sidebar((ROOT / pure.LINKS).read_text(encoding="utf-8"), list(enabled))


def store_contents(kind: str, enabled: Sequence[str], external: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What Pipelines has in our object store: ``buckets``, ``policies`` or ``users``; nothing in somebody else's."""
    wanted = "pipelines" in enabled and not external
    return pipelines.store_contents()[kind] if wanted else []


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "database": _told(pipelines.database),
            "database_statements": _told(pipelines.statements),
            "pipelines_store": _told(pipelines.store),
            "pipelines_providers": pipelines.providers,
            "artifact_repository": pipelines.artifact_repository,
            "pipelines_namespace": pipelines.namespace_objects,
            "pipelines_contents": store_contents,
            "sidebar": sidebar,
        }
