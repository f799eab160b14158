"""Filter: Kueue's objects from the queues that a deployment declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.infn.kaap.plugins.module_utils import queues as pure

DOCUMENTATION = r"""
name: queue_objects
short_description: Makes Kueue's objects from declared queues
options:
  _input:
    description: A mapping with C(resource_flavors), C(cluster_queues) and C(local_queues).
    type: dict
    required: true
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Show them
  ansible.builtin.debug:
    msg: "{{ kaap_queues | infn.kaap.queue_objects }}"
"""
RETURN = r"""
_value:
  description: Namespaces, ResourceFlavors, ClusterQueues and LocalQueues.
  type: list
  elements: dict
"""


def queue_objects(queues: Mapping[str, Any]) -> list[dict[str, Any]]:
    """See :func:`module_utils.queues.queue_objects`; its errors become errors of the template."""
    try:
        return pure.queue_objects(queues)
    except pure.QueueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"queue_objects": queue_objects}
