"""Which types hold every value of which."""

import pytest

from engine.plan.column_types import new_labels, widens


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("smallint", "integer"),
        ("integer", "bigint"),
        ("character varying(5)", "character varying(6)"),
        ("character varying(5)", "character varying"),
        ("character varying(5)", "text"),
        ("character varying", "text"),
        ("numeric(5,2)", "numeric(6,2)"),
    ],
)
def test_wider_types_hold_every_value(old: str, new: str) -> None:
    assert widens(old, new)
    assert not widens(new, old) or (old, new) == ("character varying", "text")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("numeric(5,2)", "numeric(6,3)"),
        ("numeric(5,2)", "numeric"),
        ("timestamp without time zone", "timestamp with time zone"),
        ("character(5)", "text"),
        ("integer", "double precision"),
        ("integer", "numeric"),
        ("text", "character varying"),
    ],
)
def test_other_changes_may_have_changed_values(old: str, new: str) -> None:
    assert not widens(old, new)


def test_labels_that_came_are_found_when_the_others_kept_their_order() -> None:
    two = 'enum(["a", "b"])'
    assert new_labels(two, 'enum(["x", "a", "y", "b", "z"])') == ["x", "y", "z"]
    assert new_labels(f"array(public.e = {two})", 'array(public.e = enum(["a", "b", "c"]))') == [
        "c"
    ]
    assert new_labels(two, two) == []
    assert new_labels("enum(null)", two) == ["a", "b"]
    assert new_labels(two, 'enum(["b", "a", "c"])') is None
    assert new_labels(two, "composite()") is None
