"""Which components are wanted, and in which order they come."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import waves


def record(name: str, *needs: str, profile: str = "core") -> dict[str, Any]:
    return {"name": name, "needs": list(needs), "profile": profile}


def names(result: list[list[Any]]) -> list[list[str]]:
    return [[each["name"] for each in wave] for wave in result]


RECORDS = [record("kueue", "jobset", "trainer"), record("trainer", "jobset"), record("jobset"), record("minio")]


def test_each_comes_after_what_it_needs_and_as_early_as_it_can() -> None:
    assert names(waves.waves(RECORDS)) == [["jobset", "minio"], ["trainer"], ["kueue"]]


def test_circle_is_shown() -> None:
    circle = [record("a", "b"), record("b", "c"), record("c", "b"), record("d")]
    with pytest.raises(waves.WaveError, match="in a circle: b -> c -> b"):
        waves.waves(circle)


def test_need_for_itself_is_a_circle() -> None:
    with pytest.raises(waves.WaveError, match="a -> a"):
        waves.waves([record("a", "a")])


def test_unknown_need_is_named() -> None:
    with pytest.raises(waves.WaveError, match="component a needs ghost, which is not among"):
        waves.waves([record("a", "ghost")])


def test_name_given_twice_is_refused() -> None:
    with pytest.raises(waves.WaveError, match="minio is there twice"):
        waves.waves([record("minio"), record("minio")])


def test_what_is_present_need_not_be_a_record() -> None:
    assert names(waves.waves([record("a", "there")], ["there"])) == [["a"]]


def test_profile_selects() -> None:
    records = [record("a"), record("b", profile="full"), record("c", profile="test"), record("d", profile="optional")]
    assert waves.select(records, "core").names == ["a"]
    assert waves.select(records, "full").names == ["a", "b"]


def test_override_adds_and_takes_out() -> None:
    records = [record("a"), record("b", profile="full")]
    changes = {"a": {"enabled": False}, "b": {"enabled": True}}
    assert waves.select(records, "core", changes).names == ["b"]
    text = {"a": {"enabled": "false"}, "b": {"enabled": "yes"}}
    assert waves.select(records, "core", text).names == ["b"], "text from the command line counts as what it says"


def test_missing_need_says_what_to_change() -> None:
    with pytest.raises(waves.WaveError, match="enable jobset or disable trainer in kaap_components, or say there that"):
        waves.select(RECORDS[1:3], "core", {"jobset": {"enabled": False}})


def test_what_is_provided_is_not_installed_and_meets_needs() -> None:
    chosen = waves.select(RECORDS, "core", {"jobset": {"provided": True}})
    assert chosen.names == ["kueue", "trainer", "minio"]
    assert chosen.enabled == ["jobset", "kueue", "minio", "trainer"]
    assert waves.order(chosen) == [["minio", "trainer"], ["kueue"]]


def test_what_is_provided_needs_not_belong_to_the_profile() -> None:
    records = [record("a", "b"), record("b", profile="full")]
    assert waves.select(records, "core", {"b": {"provided": True}}).names == ["a"]


def test_provided_and_switched_off_is_a_contradiction() -> None:
    with pytest.raises(waves.WaveError, match=r"kaap_components\.jobset: is both provided and switched off"):
        waves.choose(RECORDS, "core", {"jobset": {"provided": True, "enabled": False}})


def test_after_orders_only_what_is_wanted() -> None:
    records: list[dict[str, Any]] = [{**record("a"), "after": ["b", "c"]}, record("b"), record("c", profile="full")]
    assert waves.order(waves.select(records, "core")) == [["b"], ["a"]]
    assert waves.order(waves.select(records, "full")) == [["b", "c"], ["a"]]
    assert waves.order(waves.select(records, "core", {"b": {"enabled": False}})) == [["a"]]
    assert waves.order(waves.select(records, "core", {"b": {"provided": True}})) == [["a"]]


REPLACED: list[dict[str, Any]] = [
    {**record("envoy"), "replaced_by": "istio"},
    record("gateway", "envoy"),
    {**record("istio", profile="full"), "after": ["envoy"]},
]


def test_replaced_component_is_left_out_and_its_needs_move() -> None:
    assert waves.order(waves.select(REPLACED, "core")) == [["envoy"], ["gateway"]]
    assert waves.order(waves.select(REPLACED, "full")) == [["istio"], ["gateway"]]
    assert waves.select(REPLACED, "full").needs["gateway"] == ("istio",)


def test_replacement_that_is_provided_replaces_too() -> None:
    chosen = waves.select(REPLACED, "core", {"istio": {"provided": True}})
    assert (chosen.names, chosen.needs, chosen.enabled) == (["gateway"], {"gateway": ()}, ["gateway", "istio"])


def test_replaced_component_stays_when_it_is_asked_for_or_the_other_is_off() -> None:
    assert waves.select(REPLACED, "full", {"istio": {"enabled": False}}).names == ["envoy", "gateway"]
    both = waves.select(REPLACED, "full", {"envoy": {"enabled": True}})
    assert waves.order(both) == [["envoy"], ["gateway", "istio"]]


def test_order_can_be_limited_to_names() -> None:
    assert waves.order(waves.select(RECORDS, "core"), ["kueue", "jobset"]) == [["jobset"], ["kueue"]]
    with pytest.raises(waves.WaveError, match="kaap_only: minoi is no component"):
        waves.order(waves.select(RECORDS, "core"), ["minoi"])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: waves.select(RECORDS, "most"), "profile 'most' is unknown; take one of core, full"),
        (lambda: waves.select(RECORDS, "core", {"minoi": {}}), "kaap_components: minoi is no component; there are"),
        (lambda: waves.only(RECORDS, ["minoi"]), "kaap_only: minoi is no component"),
    ],
)
def test_unknown_names_are_refused(call: Any, text: str) -> None:
    with pytest.raises(waves.WaveError, match=text):
        call()


def test_limit_to_names() -> None:
    assert [each["name"] for each in waves.only(RECORDS, ["minio"])] == ["minio"]
    assert waves.only(RECORDS, []) == RECORDS


def test_values_are_laid_over_the_first_chart() -> None:
    base: dict[str, Any] = {"name": "x", "render": {"charts": [{"name": "x", "values": {"a": {"b": 1, "c": [1]}}}]}}
    settled = waves.with_values(base, {"a": {"c": [2]}, "d": None})
    assert settled["render"]["charts"][0]["values"] == {"a": {"b": 1, "c": [2]}, "d": None}
    assert base["render"]["charts"][0]["values"] == {"a": {"b": 1, "c": [1]}}, "the record itself was changed"


def test_values_without_a_chart_are_refused() -> None:
    with pytest.raises(waves.WaveError, match=r"kaap_components\.x\.values: this component has no chart"):
        waves.with_values({"name": "x", "render": {}}, {"a": 1})


def test_last_comes_after_all_others() -> None:
    records: list[dict[str, Any]] = [
        {**record("a"), "last": True},
        record("b"),
        record("c", "b"),
        {**record("d"), "last": True},
    ]
    assert waves.order(waves.choose(records, "core")) == [["b"], ["c"], ["a", "d"]]
