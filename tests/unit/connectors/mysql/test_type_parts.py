"""The text of a column's type, taken apart."""

import pytest

from connectors.mysql.column_type import parse
from connectors.mysql.type_parts import TypeParts, take_apart
from connectors.mysql.types import parse_type


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("int", TypeParts("int", (), (), "", "")),
        ("INT(6) unsigned zerofill", TypeParts("int", (6,), (), " unsigned zerofill", "")),
        ("Decimal(12, 4)", TypeParts("decimal", (12, 4), (), "", "")),
        ("double precision", TypeParts("double", (), (), "", "")),
        ("enum('a','B,)','it''s')", TypeParts("enum", (), ("a", "B,)", "it's"), "", "")),
        ("set('COMPRESSED') collate x", TypeParts("set", (), ("COMPRESSED",), " collate x", "")),
        (
            "varchar(9) /*M!100301 COMPRESSED*/",
            TypeParts("varchar", (9,), (), "", " /*M!100301 COMPRESSED*/"),
        ),
        ("geomcollection", TypeParts("geometrycollection", (), (), "", "")),
    ],
)
def test_every_part_is_found(text: str, parts: TypeParts) -> None:
    assert take_apart(text) == parts


@pytest.mark.parametrize("text", ["", "'", "enum(a)"])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not supported|labels"):
        take_apart(text)


def test_labels_without_an_end_are_refused_at_once() -> None:
    """Two quotes in a row may only be read in one way, or each pair doubles the ways to try."""
    text = "enum(" + "'it''s'," * 100
    with pytest.raises(ValueError, match="not supported"):
        parse_type(text, None, None)
    assert parse_type(text + "'')", None, None).labels == ("it's",) * 100 + ("",)


@pytest.mark.parametrize(
    "text", ["int unsigned", "varchar(40)", "decimal(12,4)", "enum('a','it''s')", "datetime(6)"]
)
def test_both_sides_read_the_same(text: str) -> None:
    source, target = parse_type(text, None, None), parse(text)
    assert (source.base, source.unsigned, source.labels) == (
        target.base, target.unsigned, target.labels,
    )  # fmt: skip
    assert (source.size, source.scale) == (target.size or 0, target.scale or 0)


def test_a_label_does_not_make_a_column_compressed() -> None:
    assert not parse_type("enum('COMPRESSED')", None, None).compressed
    assert parse_type("varchar(9) /*M!100301 COMPRESSED*/", None, None).compressed
