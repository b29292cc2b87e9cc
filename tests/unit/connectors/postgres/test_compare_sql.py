"""Statements of a comparison, and positions."""

from connectors.postgres.compare import page_start
from connectors.postgres.compare_sql import Statements
from engine.model.compared import Reading, Span
from engine.model.relation import TableName

READING = Reading(
    TableName("s", 'o"dd'), ("a", "b", "v"), ("b", "a"), "hashtextextended", indexed=True
)
STATEMENTS = Statements(READING, {"a": "integer", "b": "text"}, tree=False)


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
    assert "ONLY" not in Statements(READING, {"a": "integer", "b": "text"}, tree=True).find()
    assert "ONLY" in STATEMENTS.find()


def test_an_insert_position_behind_a_page_header_is_the_pages_start() -> None:
    assert page_start(8192 * 3 + 24) == 8192 * 3
    assert page_start(8192 * 3 + 40) == 8192 * 3
    assert page_start(8192 * 3 + 48) == 8192 * 3 + 48
    assert page_start(8192 * 3 - 8) == 8192 * 3 - 8
