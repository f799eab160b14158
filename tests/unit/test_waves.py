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
    records = [record("a"), record("b", profile="full"), record("c", profile="test")]
    assert [each["name"] for each in waves.select(records, "core")] == ["a"]
    assert [each["name"] for each in waves.select(records, "full")] == ["a", "b"]


def test_override_adds_and_takes_out() -> None:
    records = [record("a"), record("b", profile="full")]
    changes = {"a": {"enabled": False}, "b": {"enabled": True}}
    assert [each["name"] for each in waves.select(records, "core", changes)] == ["b"]


def test_missing_need_says_what_to_change() -> None:
    with pytest.raises(waves.WaveError, match="enable jobset or disable trainer in kaap_components"):
        waves.select(RECORDS[1:3], "core", {"jobset": {"enabled": False}})


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
