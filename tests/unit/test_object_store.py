"""The object store: what differs between declared and there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.infn.kaap.plugins.module_utils import object_store
from ansible_collections.infn.kaap.plugins.module_utils.object_store import Contents

DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:Get*"], "Resource": ["a", "b"]}]}
WANTED = Contents({"remat": False}, {"remat": DOCUMENT}, {"remat": ("remat",)})


def lines(there: Contents, *, login: bool = True, managed: Any = None, wanted: Contents = WANTED) -> list[str]:
    """Return the changes as words, without the policies' texts."""
    todo = object_store.changes(wanted, there, dict.fromkeys(there.users, login), managed or {})
    return [
        f"{change.verb} {change.name}" + (f" {change.detail}" if isinstance(change.detail, str) else "")
        for change in todo
    ]


def test_an_empty_store_gets_everything_in_an_order_that_works() -> None:
    """A policy is attached after user and policy are there."""
    assert lines(Contents()) == [
        "make bucket remat",
        "set policy remat",
        "make user remat",
        "attach policy remat remat",
    ]


def test_what_is_there_is_left_alone() -> None:
    """Also in another spelling of the same policy, and with things that others made."""
    spelled = {**DOCUMENT, "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": ["b", "a"]}]}
    there = Contents({"remat": False, "mine": True}, {"remat": spelled, "x": {}}, {"remat": ("remat",), "eve": ("x",)})
    assert lines(there) == []


@pytest.mark.parametrize(
    ("there", "login", "wanted"),
    [
        (
            Contents({"remat": True}, {"remat": DOCUMENT}, {"remat": ("remat",)}),
            True,
            ["set versioning remat suspended"],
        ),
        (Contents({"remat": False}, {"remat": {}}, {"remat": ("remat",)}), True, ["set policy remat"]),
        (Contents({"remat": False}, {"remat": DOCUMENT}, {"remat": ("remat", "x")}), True, ["detach policy remat x"]),
        (Contents({"remat": False}, {"remat": DOCUMENT}, {"remat": ()}), True, ["attach policy remat remat"]),
    ],
)
def test_each_difference_is_one_change(there: Contents, login: bool, wanted: list[str]) -> None:
    """Nothing else is touched."""
    assert lines(there, login=login) == wanted


def test_a_user_with_another_secret_is_made_anew_with_its_policies() -> None:
    """With the user go the access keys that somebody made with the old secret, and its policies."""
    there = Contents({"remat": False}, {"remat": DOCUMENT, "x": {}}, {"remat": ("remat", "x")})
    assert lines(there, login=False) == ["renew user remat", "attach policy remat remat"]


def test_only_what_was_declared_before_is_removed() -> None:
    """Users go before the policies they hold; buckets never go."""
    there = Contents(
        {"remat": False, "old": False}, {"remat": DOCUMENT, "old": {}}, {"remat": ("remat",), "old": ("old",)}
    )
    assert lines(there) == []
    assert lines(there, managed={"users": ["old"], "policies": ["old"]}) == ["remove user old", "remove policy old"]


def test_a_change_in_words_holds_no_secret() -> None:
    """Diffs are printed."""
    todo = object_store.changes(WANTED, Contents(users={"remat": ("remat",)}), {"remat": False}, {})
    assert "renew user remat" in [str(change) for change in todo]


def test_settings_become_contents() -> None:
    """As the inventory writes them."""
    found = object_store.declared(
        [{"name": "a", "versioning": True}, {"name": "b"}],
        [{"name": "p", "document": DOCUMENT}],
        [{"name": "u", "policies": ["q", "p"]}, {"name": "v"}],
    )
    assert found == Contents({"a": True, "b": False}, {"p": DOCUMENT}, {"u": ("p", "q"), "v": ()})
