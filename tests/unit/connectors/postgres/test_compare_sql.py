"""Statements of a comparison, and positions."""

from connectors.postgres.compare import page_start
from connectors.postgres.compare_sql import Columns, Statements
from engine.model.canonical import CANONICAL, TextForm
from engine.model.compared import Reading, Span
from engine.model.relation import TableName

READING = Reading(
    TableName("s", 'o"dd'), ("a", "b", "v"), ("b", "a"), "hashtextextended", indexed=True
)
TYPES = {"a": "integer", "b": "text"}
STATEMENTS = Statements(READING, Columns(TYPES, TYPES, tree=False))


def test_a_range_is_open_below_and_closed_above() -> None:
    sql, values = STATEMENTS.digest(Span(("x", "1"), ("y", "2")))
    assert sql.endswith(
        'FROM ONLY "s"."o""dd" AS t WHERE (t."b", t."a") > ($1::text::text, $2::text::integer)'
        ' AND (t."b", t."a") <= ($3::text::text, $4::text::integer)'
    )
    assert values == ["x", "1", "y", "2"]


def test_an_open_range_takes_every_row() -> None:
    sql, values = STATEMENTS.digest(Span())
    assert sql.endswith("WHERE true")
    assert values == []


def test_a_row_is_hashed_over_its_columns_in_name_order() -> None:
    assert 'ROW(t."a", t."b", t."v")::text' in STATEMENTS.digest(Span())[0]


def test_the_boundary_is_found_in_key_order() -> None:
    assert STATEMENTS.boundary(Span(), 5)[0].endswith('ORDER BY t."b", t."a" OFFSET 4 LIMIT 1')


def test_partitions_belong_to_their_table_and_inheriting_tables_do_not() -> None:
    assert "ONLY" not in Statements(READING, Columns(TYPES, TYPES, tree=True)).find()
    assert "ONLY" in STATEMENTS.find()


def test_an_insert_position_behind_a_page_header_is_the_pages_start() -> None:
    assert page_start(8192 * 3 + 24) == 8192 * 3
    assert page_start(8192 * 3 + 40) == 8192 * 3
    assert page_start(8192 * 3 + 48) == 8192 * 3 + 48
    assert page_start(8192 * 3 - 8) == 8192 * 3 - 8


def test_between_families_a_row_is_the_canonical_texts_of_its_columns() -> None:
    reading = Reading(
        TableName("s", "t"),
        ("k", "v"),
        ("k",),
        CANONICAL,
        forms={"k": TextForm.MOMENT, "v": TextForm.STRIPPED},
    )
    types = {"k": "timestamp with time zone", "v": "bpchar"}
    sql = Statements(reading, Columns(types, types, tree=False)).find()
    moment = "(t.\"k\" AT TIME ZONE 'UTC')::text"
    assert f"CASE WHEN num_nulls(t.\"k\") = 1 THEN '~' ELSE {moment} END || '|' || CASE" in sql
    assert "rtrim(t.\"v\"::text, ' ')" in sql
    assert f"ARRAY[{moment}] AS key" in sql
    assert sql.endswith(f'ON ({moment}) COLLATE "C" = w.w0 COLLATE "C"')
