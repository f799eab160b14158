"""Profile full through the playbooks, from the real repositories: needs a mirror that KAAP_TEST_GIT_CONFIG leads to."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import constants, image_command, image_lock, render_files

from tests.release import mirror
from tests.release.rendering import ROOT
from tests.release.test_render import files

EVERYTHING = ROOT / "tests/release/inventories/everything"
KNOWN = constants.read(ROOT / "release/constants.yml")
# Kubeflow alone has 660 objects and 70 definitions.
LEAST_OBJECTS, LEAST_DEFINITIONS = 1000, 150

pytestmark = mirror.NEEDED


@pytest.fixture(scope="module")
def infn_cloud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of INFN Cloud, as it stands."""
    mirror.pack(ROOT / "inventories/infn-cloud")
    return mirror.rendered(ROOT / "inventories/infn-cloud", tmp_path_factory.mktemp("infn-cloud"))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every component of profile full, optional ones too."""
    mirror.pack(EVERYTHING)
    return mirror.rendered(EVERYTHING, tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Profile core, in a deployment of its own."""
    inventory = tmp_path_factory.mktemp("inventories") / "core-images"
    shutil.copytree(ROOT / "inventories/embedded", inventory)
    mirror.pack(inventory)
    return mirror.rendered(inventory, tmp_path_factory.mktemp("core"))


def test_infn_cloud_renders_twice_to_the_same_bytes_without_a_network(infn_cloud: Path, tmp_path: Path) -> None:
    mirror.rendered(ROOT / "inventories/infn-cloud", tmp_path)
    assert files(tmp_path) == files(infn_cloud)
    objects = [obj for part in render_files.read(infn_cloud).values() for obj in part]
    assert len(objects) >= LEAST_OBJECTS
    assert sum(obj["kind"] == "CustomResourceDefinition" for obj in objects) >= LEAST_DEFINITIONS


def test_lock_has_every_image_and_nothing_else(core: Path, everything: Path, infn_cloud: Path) -> None:
    lock = image_lock.read(ROOT / image_lock.LOCK)
    assert image_command.problems(ROOT, lock, [core, everything]) == []
    mentions, _ = image_lock.scan([infn_cloud], lock)
    assert image_lock.unlocked(lock, mentions) == []


def with_constant(obj: Mapping[str, Any], constant: constants.Constant) -> dict[str, Any]:
    """An object that says the constant, under a key that it counts under."""
    keys = ("password", "accesskey", "admin-password", "MYSQL_ALLOW_EMPTY_PASSWORD", "note")
    key = next(key for key in keys if constant.key is None or constant.key.search(key))
    return {**obj, "stringData" if obj["kind"] == "Secret" else "data": {key: constant.value}}


def test_no_known_constant_is_left_and_each_would_be_seen(infn_cloud: Path) -> None:
    objects = [obj for part in render_files.read(infn_cloud).values() for obj in part]
    assert constants.survivors(objects, KNOWN) == []
    for constant in KNOWN:
        kind = next(iter(constant.kinds), "ConfigMap")
        victim = with_constant(next(obj for obj in objects if obj["kind"] == kind), constant)
        assert constant.name in {finding.constant.name for finding in constants.survivors([victim], KNOWN)}
