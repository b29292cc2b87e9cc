"""The number of a key: the same in either form, and as PostgreSQL's source gives it."""

from collections.abc import Sequence
from typing import Final

import pytest

from connectors._interchange import keyhash as shared
from connectors.mysql.binlog.columns import Form
from connectors.mysql.description import DescribedColumn, Description
from connectors.mysql.keyhash import key_hash
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import MysqlType, parse_type
from connectors.mysql.values import to_interchange
from engine.model.relation import Relation, TableName
from engine.model.value import UNCHANGED, Value

BYTEWISE: Final = ("utf8mb4", "utf8mb4_0900_bin")


def relation(form: Form, *types: MysqlType) -> Relation:
    columns = [DescribedColumn(f"k{n}", type_, nullable=False) for n, type_ in enumerate(types)]
    names = tuple([column.name for column in columns])
    table = TableName("shop", "t")
    return Description(table, tuple(columns), {"PRIMARY": names}).relation(
        form, "", zero_dates=False
    )


def number(form: Form, types: Sequence[MysqlType], values: Sequence[Value]) -> int | None:
    hashed = key_hash(relation(form, *types))
    assert hashed is not None
    return hashed(tuple(values))


def in_interchange(type_: MysqlType, text: bytes) -> bytes:
    convert = to_interchange(type_, ZeroDates())
    sent = text if convert is None else convert(text)
    assert isinstance(sent, bytes)
    return sent


GOLDEN: Final = (
    ("bigint", b"1", 0x1225EFFF),
    ("bigint", b"-1", 0x2144DF1C),
    ("bigint unsigned", b"1", 0x1225EFFF),
    ("int unsigned", b"70000", 0x673CE772),
    ("int", b"70000", 0x673CE772),
    ("smallint", b"-3", 0xCF4ABE30),
)
"""Type, a value, its number. Stored positions stand on these."""


@pytest.mark.parametrize(("type_", "text", "expected"), GOLDEN)
def test_what_a_whole_number_is_given_never_changes(type_: str, text: bytes, expected: int) -> None:
    types = [parse_type(type_, None, None)]
    assert number(Form.NATIVE, types, [text]) == expected
    assert number(Form.INTERCHANGE, types, [in_interchange(types[0], text)]) == expected


@pytest.mark.parametrize("text", [b"9223372036854775808", b"18446744073709551615", b"0"])
def test_beyond_what_a_signed_number_holds_both_forms_agree(text: bytes) -> None:
    types = [parse_type("bigint unsigned", None, None)]
    sent = in_interchange(types[0], text)
    assert number(Form.NATIVE, types, [text]) == number(Form.INTERCHANGE, types, [sent])


def test_zeros_before_a_number_and_behind_a_fraction_do_not_matter() -> None:
    filled = [parse_type("int(6) unsigned zerofill", None, None)]
    assert number(Form.NATIVE, filled, [b"000012"]) == number(Form.NATIVE, filled, [b"12"])
    short, long = ([parse_type(f"datetime({n})", None, None)] for n in (1, 6))
    assert number(Form.NATIVE, short, [b"2024-01-01 00:00:10.5"]) == number(
        Form.NATIVE, long, [b"2024-01-01 00:00:10.500000"]
    )
    whole = [parse_type("datetime", None, None)]
    assert number(Form.NATIVE, whole, [b"2024-01-01 00:00:10"]) == number(
        Form.NATIVE, long, [b"2024-01-01 00:00:10.000000"]
    )


def test_several_columns_texts_and_bytes() -> None:
    types = [parse_type("varchar(10)", *BYTEWISE), parse_type("varbinary(9)", None, None)]
    values = [b"caf\xc3\xa9", b"\x00\xff"]
    assert number(Form.NATIVE, types, values) == number(Form.INTERCHANGE, types, values)
    assert number(Form.NATIVE, types, values) != number(Form.NATIVE, types, values[::-1])
    assert number(Form.NATIVE, types, [UNCHANGED, b""]) is None


def test_it_is_what_a_postgresql_source_gives() -> None:
    described = relation(Form.INTERCHANGE, parse_type("int", None, None))
    theirs = shared.key_hash(described)
    ours = key_hash(described)
    assert theirs is not None
    assert ours is not None
    row = ((70_000).to_bytes(4, "big"),)
    assert ours(row) == theirs(row) == 0x673CE772


@pytest.mark.parametrize(
    ("type_", "charset", "collation"),
    [
        ("varchar(9)", "utf8mb4", "utf8mb4_general_ci"),
        ("varchar(9)", "utf8mb4", "utf8mb4_bin"),
        ("enum('a','A')", "utf8mb4", "utf8mb4_0900_bin"),
        ("decimal(9,0)", None, None),
        ("double", None, None),
        ("time", None, None),
        ("bit(8)", None, None),
    ],
)
@pytest.mark.parametrize("form", Form)
def test_values_that_may_be_equal_with_other_bytes_have_none(
    form: Form, type_: str, charset: str | None, collation: str | None
) -> None:
    assert key_hash(relation(form, parse_type(type_, charset, collation))) is None


def test_a_table_without_a_key_has_none() -> None:
    described = Description(
        TableName("shop", "t"),
        (DescribedColumn("a", parse_type("int", None, None), nullable=True),),
        {},
    ).relation(Form.NATIVE, "", zero_dates=False)
    assert key_hash(described) is None
