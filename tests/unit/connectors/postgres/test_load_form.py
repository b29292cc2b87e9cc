"""Binary only where every byte may pass."""

from dataclasses import replace

import pytest

from connectors.postgres.load_form import BINARY, TEXT, load_form
from engine.model.relation import Column, ColumnType, Format, Relation

VERSION = 150000


def relation(*types: ColumnType, form: Format = Format.BINARY) -> Relation:
    columns = tuple(Column(f"c{i}", type_, form) for i, type_ in enumerate(types))
    return Relation(1, "s", "t", columns, wire="postgres")


PLAIN = relation(ColumnType("integer", 23), ColumnType("numeric(10,2)", 1700, 655366))


def test_equal_types_pass_as_they_are() -> None:
    assert load_form(PLAIN, PLAIN, VERSION) == BINARY


def test_a_target_in_another_column_order_is_no_reason_for_text() -> None:
    turned = replace(PLAIN, columns=PLAIN.columns[::-1])
    assert load_form(PLAIN, turned, VERSION) == BINARY


@pytest.mark.parametrize("type_", [ColumnType("real", 700), ColumnType("bigint", 20)])
def test_another_type_is_copied_as_text(type_: ColumnType) -> None:
    other = relation(type_, ColumnType("numeric(10,2)", 1700, 655366))
    assert load_form(PLAIN, other, VERSION) == TEXT


def test_an_absent_table_or_column_is_copied_as_text() -> None:
    assert load_form(PLAIN, None, VERSION) == TEXT
    assert load_form(PLAIN, relation(ColumnType("integer", 23)), VERSION) == TEXT


def test_a_column_that_travels_as_text_is_copied_as_text() -> None:
    text = relation(ColumnType("aclitem[]", 1034), form=Format.TEXT)
    assert load_form(text, text, VERSION) == TEXT


def test_a_type_without_binary_form_on_the_target_is_copied_as_text() -> None:
    cube = ColumnType("public.cube", 20004, definition="base(cube)")
    assert load_form(relation(cube), relation(cube, form=Format.TEXT), VERSION) == TEXT


@pytest.mark.parametrize(
    "type_",
    [
        ColumnType("regclass", 2205),
        ColumnType("regtype[]", 2211),
        ColumnType("aclitem[]", 1034),
        ColumnType("tsquery", 3615),
        ColumnType("public.isbn[]", 20002, definition="array(public.isbn = base(isn))"),
        ColumnType("s.pair", 20000, definition="composite(a integer, b regproc)"),
    ],
)
def test_what_has_no_meaning_in_binary_form_elsewhere_is_copied_as_text(type_: ColumnType) -> None:
    numbered = relation(type_)
    assert load_form(numbered, numbered, VERSION) == TEXT


def test_an_interval_is_copied_as_text_to_a_server_without_infinite_ones() -> None:
    periods = relation(ColumnType("interval", 1186))
    assert load_form(periods, periods, 160000) == TEXT
    assert load_form(periods, periods, 170000) == BINARY


def test_an_extensions_type_passes_where_the_server_sends_it() -> None:
    hstore = relation(ColumnType("public.hstore", 20003, definition="base(hstore)"))
    assert load_form(hstore, hstore, VERSION) == BINARY


def test_rows_of_another_wire_form_are_copied_as_text() -> None:
    assert load_form(replace(PLAIN, wire="memory"), PLAIN, VERSION) == TEXT
