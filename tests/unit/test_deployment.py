"""Names, ports and networks of a deployment: apart for two clones, the same from run to run."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import deployment

ROOT = Path("/srv/kaap")


def facts(root: Path = ROOT, source: str = "/srv/kaap/inventories/embedded") -> dict[str, object]:
    """Return the facts of a deployment with an empty environment."""
    return deployment.describe([source], root=root, environ={"KAAP_CACHE": "/cache"})


def test_facts_follow_from_clone_and_inventory() -> None:
    """The state lies in the clone, under the inventory's name."""
    found = facts()
    assert found == facts()
    assert found["inventory_name"] == "embedded"
    assert found["state_dir"] == "/srv/kaap/.kaap/embedded"
    assert found["kubeconfig"] == "/srv/kaap/.kaap/embedded/kubeconfig"
    assert found["cache"] == "/cache"
    assert str(found["deployment"]).startswith("embedded-") and len(str(found["deployment"])) == len("embedded-") + 6


def test_two_clones_and_two_inventories_differ() -> None:
    """They can run side by side."""
    one, clone, inventory = facts(), facts(root=Path("/srv/other")), facts(source="/srv/kaap/inventories/second")
    for key in ("deployment", "node_cidr", "host_port_base"):
        assert len({one[key], clone[key], inventory[key]}) == 3, key


def test_a_file_stands_for_its_directory(tmp_path: Path) -> None:
    """`-i inventories/x/hosts.yml` is the inventory x."""
    hosts = tmp_path / "lab" / "hosts.yml"
    hosts.parent.mkdir()
    hosts.touch()
    assert deployment.inventory_directory([str(hosts)]).name == "lab"


@pytest.mark.parametrize("sources", [[], ["host1,host2,"]])
def test_an_inventory_directory_is_needed(sources: list[str]) -> None:
    """A list of hosts has no name to keep a state under."""
    with pytest.raises(ValueError, match="needs an inventory directory"):
        deployment.inventory_directory(sources)


def test_networks_stay_inside_their_range_and_out_of_podmans() -> None:
    """For any clone."""
    for number in range(0, 10_000, 7):
        network = ipaddress.IPv4Network(deployment.node_cidr(number))
        assert network.subnet_of(deployment.NODE_NETWORKS)
        assert not network.overlaps(ipaddress.IPv4Network("10.88.0.0/16"))


def test_ports_stay_inside_their_blocks() -> None:
    """Blocks of ten do not touch."""
    bases = {deployment.host_port_base(number) for number in range(1000)}
    assert min(bases) == 18000 and max(bases) == 19990 and all(base % 10 == 0 for base in bases)
    assert deployment.host_ports(18000) == {"http": 18000, "s3": 18001, "console": 18002}


def test_names_are_fit_for_hosts() -> None:
    """Whatever the inventory is called."""
    assert deployment.deployment_name(ROOT, "My_Lab 2").startswith("my-lab-2-")


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"KAAP_CACHE": "/a"}, "/a"),
        ({}, str(Path("~/.cache/kaap").expanduser())),
    ],
)
def test_where_the_cache_is(environ: dict[str, str], wanted: str) -> None:
    """One variable, one default."""
    assert str(deployment.cache_directory(environ)) == wanted


def test_nothing_packed_yet_says_what_to_run(tmp_path: Path) -> None:
    """A phase that needs the bundle names the phase that makes it."""
    with pytest.raises(deployment.NotPackedError, match=r"run playbooks/pack\.yml first"):
        deployment.bundle_manifest(str(tmp_path))
    (tmp_path / "bundle.json").write_text(json.dumps({"digest": "abc"}))
    assert deployment.bundle_manifest(str(tmp_path)) == {"digest": "abc"}


def test_the_last_source_names_the_deployment() -> None:
    assert deployment.inventory_directory(["/tmp/scratch/inventory", "/srv/inventories/lab"]) == Path(
        "/srv/inventories/lab"
    )
