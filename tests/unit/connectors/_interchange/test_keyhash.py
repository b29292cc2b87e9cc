"""The number of a key: the same in either wire form, in every process, for good."""

import os
import subprocess
import sys
import uuid
from dataclasses import replace
from datetime import date
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._interchange import keyorder
from connectors._interchange.keyhash import key_hash
from engine.errors import DecodeError
from engine.model.relation import Column, ColumnType, Format, Relation
from engine.model.value import UNCHANGED, Value

SOME_UUID: Final = uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")


def relation(*types: int, form: Format = Format.BINARY) -> Relation:
    columns = [Column(f"k{n}", ColumnType("", oid), form) for n, oid in enumerate(types)]
    rest = Column("rest", ColumnType("text", keyorder.TEXT), form)
    return Relation(1, "public", "t", (*columns, rest), key=tuple(range(len(types))))


def number(described: Relation, *values: Value) -> int | None:
    hashed = key_hash(described)
    assert hashed is not None
    return hashed((*values, b"whatever"))


def big(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big", signed=True)


GOLDEN: Final = (
    (keyorder.INT8, big(1, 8), b"1", 0x1225EFFF),
    (keyorder.INT8, big(-1, 8), b"-1", 0x2144DF1C),
    (keyorder.INT4, big(70_000, 4), b"70000", 0x673CE772),
    (keyorder.INT2, big(-3, 2), b"-3", 0xCF4ABE30),
    (keyorder.TEXT, b"caf\xc3\xa9", b"caf\xc3\xa9", 0x98AD42B5),
    (keyorder.VARCHAR, b"", b"", 0x00000000),
    (keyorder.UUID, SOME_UUID.bytes, str(SOME_UUID).encode(), 0x3DF6AA4B),
    (keyorder.BYTEA, b"\x00\xff", b"\\x00ff", 0x6CDBFD72),
    (keyorder.DATE, big(8766, 4), b"2024-01-01", 0x03F184E2),
    (keyorder.TIMESTAMP, big(757_382_400_000_000, 8), b"2024-01-01 00:00:00", 0x561EA7F8),
    (keyorder.TIMESTAMPTZ, big(757_382_400_000_000, 8), b"2024-01-01 00:00:00+00", 0x561EA7F8),
)
"""Type, a value in binary form and as text, its number. Stored positions stand on these."""


@pytest.mark.parametrize(("oid", "binary", "text", "expected"), GOLDEN)
def test_what_a_key_is_given_never_changes(
    oid: int, binary: bytes, text: bytes, expected: int
) -> None:
    assert number(relation(oid), binary) == expected
    assert number(relation(oid, form=Format.TEXT), text) == expected


def test_a_key_of_several_columns_is_one_number() -> None:
    binary = number(relation(keyorder.INT4, keyorder.TEXT), big(7, 4), b"x")
    text = number(relation(keyorder.INT4, keyorder.TEXT, form=Format.TEXT), b"7", b"x")
    assert binary == text == 0xF7967B67
    assert number(relation(keyorder.INT4, keyorder.TEXT), big(7, 4), b"y") != binary


@given(st.integers(-(2**31), 2**31 - 1))
def test_a_widened_column_keeps_its_numbers(value: int) -> None:
    narrow, wide = relation(keyorder.INT4), relation(keyorder.INT8)
    assert number(narrow, big(value, 4)) == number(wide, big(value, 8))


@given(st.integers(-(2**15), 2**15 - 1))
def test_a_short_integer_is_the_same_from_any_width_and_form(value: int) -> None:
    forms = [(keyorder.INT2, 2), (keyorder.INT4, 4), (keyorder.INT8, 8)]
    numbers = {number(relation(oid), big(value, size)) for oid, size in forms}
    text = {number(relation(oid, form=Format.TEXT), b"%d" % value) for oid, _ in forms}
    assert len(numbers | text) == 1


@given(st.dates())
def test_a_date_is_the_same_from_either_form(value: date) -> None:
    days = (value - date(2000, 1, 1)).days
    text = relation(keyorder.DATE, form=Format.TEXT)
    assert number(relation(keyorder.DATE), big(days, 4)) == number(text, str(value).encode())


def test_consecutive_keys_fall_into_all_buckets_about_alike() -> None:
    described = relation(keyorder.INT8)
    for stride in (1, 2, 10, 16, 1000):
        counts = [0] * 16
        for n in range(4_096):
            counts[(number(described, big(n * stride, 8)) or 0) % 16] += 1
        assert min(counts) > 150, (stride, counts)


def test_a_key_that_is_not_whole_has_no_number() -> None:
    assert number(relation(keyorder.TEXT), UNCHANGED) is None
    assert number(relation(keyorder.INT4, keyorder.TEXT), big(1, 4), UNCHANGED) is None


NUMERIC, FLOAT8, BPCHAR, INTERVAL, CITEXT = 1700, 701, 1042, 1186, 16_500


@pytest.mark.parametrize("oid", [NUMERIC, FLOAT8, BPCHAR, INTERVAL, CITEXT])
def test_where_equal_keys_may_have_different_bytes_there_is_no_number(oid: int) -> None:
    assert key_hash(relation(oid)) is None
    assert key_hash(relation(keyorder.INT4, oid)) is None


def test_without_a_key_there_is_no_number() -> None:
    assert key_hash(replace(relation(keyorder.INT4), key=())) is None


def test_a_text_that_is_not_in_the_servers_form_stops() -> None:
    with pytest.raises(DecodeError, match="key column k0"):
        number(relation(keyorder.DATE, form=Format.TEXT), b"01/02/2024")


def test_another_process_with_another_hash_seed_gives_the_same() -> None:
    code = (
        "from tests.unit.connectors._interchange.test_keyhash import *;"
        "print(number(relation(keyorder.TEXT), b'a key'))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert told == {f"{number(relation(keyorder.TEXT), b'a key')}\n".encode()}
