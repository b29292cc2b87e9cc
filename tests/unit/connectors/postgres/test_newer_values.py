"""What an older server would take for another value is refused before it is sent."""

import re

import pytest

from connectors.postgres.newer_values import misread_columns, misread_in_text, refuse_misread
from engine.errors import RowRejectedError
from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE
from engine.model.relation import Column, ColumnType, Format, Relation
from engine.model.value import UNCHANGED, Row

INFINITY = bytes.fromhex("7fffffffffffffff7fffffff7fffffff")
MINUS_INFINITY = bytes.fromhex("80000000000000008000000080000000")
FINITE = bytes.fromhex("00000000000000017fffffff7fffffff")


def relation(*columns: tuple[ColumnType, Format]) -> Relation:
    made = [Column(f"c{i}", type_, form) for i, (type_, form) in enumerate(columns)]
    return Relation(1, "s", "t", tuple(made), key=(0,), wire="postgres")


PERIODS = relation(
    (ColumnType("integer", 23), Format.BINARY), (ColumnType("interval(3)", 1186), Format.BINARY)
)
LETTERS = relation((ColumnType('"char"', 18), Format.TEXT))


def refuse(of: Relation, version: int, kind: int, *rows: Row) -> None:
    refuse_misread(misread_columns(of, version), Run(kind, of, list(rows)))


@pytest.mark.parametrize("kind", [INSERT, UPDATE])
@pytest.mark.parametrize("value", [INFINITY, MINUS_INFINITY])
def test_an_infinite_interval_is_refused_for_a_server_that_has_none(
    kind: int, value: bytes
) -> None:
    with pytest.raises(RowRejectedError, match=re.escape("s.t: column c1 holds an infinite")):
        refuse(PERIODS, 160000, kind, (b"1", FINITE), (b"2", value))


def test_other_intervals_and_newer_servers_are_left_alone() -> None:
    refuse(PERIODS, 160000, INSERT, (b"1", FINITE), (b"2", None), (b"3", UNCHANGED))
    refuse(PERIODS, 160000, DELETE, (b"1", INFINITY))
    assert misread_columns(PERIODS, 170000) == ()


@pytest.mark.parametrize(
    "type_",
    [
        ColumnType("interval[]", 1187),
        ColumnType("public.period", 20000, definition="domain(interval )"),
        ColumnType("public.pair", 20000, definition='composite("i" interval)'),
    ],
)
def test_an_interval_is_found_at_any_depth(type_: ColumnType) -> None:
    nested = relation((type_, Format.BINARY))
    with pytest.raises(RowRejectedError):
        refuse(nested, 150000, INSERT, (b"\0\0\0\x10" + INFINITY,))


def test_the_text_form_of_an_interval_is_the_servers_to_refuse() -> None:
    assert misread_columns(relation((ColumnType("interval", 1186), Format.TEXT)), 150000) == ()


def test_an_octal_char_is_refused_for_a_server_that_would_read_a_backslash() -> None:
    refuse(LETTERS, 150000, INSERT, (b"a",), (b"\\",), (b"",))
    with pytest.raises(RowRejectedError, match="beyond ASCII"):
        refuse(LETTERS, 150000, INSERT, (b"\\310",))
    assert misread_columns(LETTERS, 160000) == ()
    assert misread_columns(relation((ColumnType('"char"', 18), Format.BINARY)), 150000) == ()


def test_a_load_in_text_form_is_looked_at_whatever_form_the_stream_has() -> None:
    binary = relation((ColumnType('"char"', 18), Format.BINARY))
    (found,) = misread_in_text(binary, 150000)
    assert found.place == 0
    assert misread_in_text(binary, 160000) == ()
    assert misread_in_text(PERIODS, 150000) == (), "the server refuses it by itself"
