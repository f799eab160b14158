"""Networks: malformed, too small, overlapping."""

from __future__ import annotations

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import cidr


def test_a_network_is_taken_as_written() -> None:
    """The usual case."""
    assert str(cidr.parse("10.244.0.0/16")) == "10.244.0.0/16"


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ("10.0.0.5/16", "did you mean 10.0.0.0/16?"),
        ("10.0.0.0", "write it as address/prefix"),
        ("10.0.0.0/33", "write it as address/prefix"),
        ("", "write it as address/prefix"),
        ("fd00::/64", "give an IPv4 network"),
    ],
)
def test_what_is_no_network_is_refused_with_the_fix(value: str, fix: str) -> None:
    """Each fault has its own fix."""
    with pytest.raises(cidr.CidrError) as caught:
        cidr.parse(value)
    assert fix in caught.value.fix


@pytest.mark.parametrize(("prefix", "nodes", "fits"), [(24, 1, True), (24, 2, False), (23, 2, True), (22, 5, False)])
def test_pods_need_a_24_per_node(prefix: int, nodes: int, fits: bool) -> None:
    """Five nodes need a /21."""
    network = cidr.parse(f"10.244.0.0/{prefix}")
    if fits:
        cidr.pods_fit(network, nodes)
    else:
        with pytest.raises(cidr.CidrError, match=f"each of {nodes} nodes"):
            cidr.pods_fit(network, nodes)


@pytest.mark.parametrize(("prefix", "nodes", "fits"), [(29, 5, True), (29, 6, False), (28, 13, True), (30, 1, False)])
def test_nodes_need_an_address_each_and_three_more(prefix: int, nodes: int, fits: bool) -> None:
    """Network, broadcast and gateway take one each."""
    network = cidr.parse(f"10.90.0.0/{prefix}")
    if fits:
        cidr.nodes_fit(network, nodes)
    else:
        with pytest.raises(cidr.CidrError, match="too small"):
            cidr.nodes_fit(network, nodes)


def test_services_have_bounds_on_both_sides() -> None:
    """Kubernetes refuses more than /12."""
    for prefix in (11, 25):
        with pytest.raises(cidr.CidrError, match="from /12 to /24"):
            cidr.services_fit(cidr.parse(f"10.{0 if prefix < 16 else 96}.0.0/{prefix}"))
    cidr.services_fit(cidr.parse("10.96.0.0/16"))


def test_overlaps_name_the_pair() -> None:
    """Containment counts, neighbours do not."""
    networks = {
        name: cidr.parse(value) for name, value in {"a": "10.0.0.0/8", "b": "10.1.0.0/16", "c": "11.0.0.0/8"}.items()
    }
    assert cidr.overlaps(networks) == [("b", "a")]


def test_the_default_route_takes_no_network() -> None:
    """It covers everything, and takes nothing."""
    network = cidr.parse("10.90.1.0/24")
    assert cidr.taken(network, [("0.0.0.0/0", "eth0"), ("10.91.0.0/16", "x")]) is None
    assert cidr.taken(network, [("10.90.1.7", "the route through tun0")]) == ("10.90.1.7", "the route through tun0")
