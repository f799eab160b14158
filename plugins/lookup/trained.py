"""Lookup: whether a bucket holds a complete trained model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.infn.kaap.plugins.module_utils import object_store, way_in
from ansible_collections.infn.kaap.plugins.module_utils.kube import KubeError

DOCUMENTATION = r"""
name: trained
short_description: Whether a bucket holds a complete trained model
description:
  - True if the model card is there and every file that it lists is there with the sha256 that it says.
options:
  _terms:
    description: Key prefix of the model.
    required: true
  endpoint:
    description: Host and port of the object store, as seen from the controller.
    required: true
  access_key:
    description: User.
    required: true
  secret_key:
    description: Its secret key.
    required: true
  bucket:
    description: Bucket of the model.
    required: true
  kubeconfig:
    description: How to reach the cluster, which knows whether the listener speaks HTTPS. Empty means plain HTTP.
  domain:
    description: Name that its certificate is for then.
author: KaaP maintainers
"""
EXAMPLES = r"""
- name: Say whether there is a model
  ansible.builtin.debug:
    msg: >-
      {{ lookup('infn.kaap.trained', 'models/abc', endpoint='127.0.0.1:9000', bucket='remat',
                access_key=user, secret_key=key) }}
"""
RETURN = r"""
_raw:
  description: One truth value.
  type: list
  elements: bool
"""


def is_complete(read: Callable[[str], bytes], prefix: str) -> bool:
    """Return whether the card below `prefix` is there and describes the files that are there.

    :param read: returns the object under a key, or raises StoreError.
    """
    try:
        files = json.loads(read(f"{prefix}/model-card.json"))["files"]
        return all(
            hashlib.sha256(read(f"{prefix}/{name}")).hexdigest() == file["sha256"] for name, file in files.items()
        )
    except (object_store.StoreError, ValueError, KeyError, TypeError, AttributeError):
        return False


class LookupModule(LookupBase):  # type: ignore[misc]
    """Read the card and the files from the bucket."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[bool]:
        """Return one truth value."""
        try:
            trust = way_in.trust_of(str(kwargs.get("kubeconfig") or ""), str(kwargs.get("domain") or ""))
            store = object_store.Store(kwargs["endpoint"], kwargs["access_key"], kwargs["secret_key"], trust=trust)
            return [is_complete(lambda key: store.read(kwargs["bucket"], key), str(terms[0]))]
        except (KeyError, IndexError) as problem:
            raise AnsibleError(f"infn.kaap.trained: {problem} is missing") from problem
        except (KubeError, way_in.WayError) as problem:
            raise AnsibleError(f"infn.kaap.trained: {problem}") from problem
