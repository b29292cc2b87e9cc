"""The SELECT of a chunk."""

from connectors.postgres.chunk_sql import rows_query
from engine.model.chunk import Chunk
from engine.model.relation import Column, ColumnType, Relation

RELATION = Relation(
    1, "Odd s", 'a"b', (Column("k", ColumnType("", 25)), Column("N x", ColumnType("", 23))), (1, 0)
)
SELECT = 'SELECT "k", "N x" FROM ONLY "Odd s"."a""b"'


def query(by: str, low: tuple[str, ...] | None, high: tuple[str, ...] | None) -> str:
    return rows_query(Chunk(RELATION, 0, by, low, high), partitioned=False)


def test_a_whole_table_has_no_condition() -> None:
    assert query("whole", None, None) == SELECT


def test_a_partitioned_table_is_read_with_its_partitions() -> None:
    text = rows_query(Chunk(RELATION, 0), partitioned=True)
    assert text == SELECT.replace("ONLY ", "")


def test_a_key_range_is_open_below_and_closed_above() -> None:
    text = query("key", ("1", "a'b"), ("2", "c\\"))
    where = """("N x", "k") > ('1', 'a''b') AND ("N x", "k") <= ('2', E'c\\\\')"""
    assert text == f"{SELECT} WHERE {where}"


def test_a_leading_part_of_the_key_may_bound_alone() -> None:
    assert query("key", ("1",), None) == f"""{SELECT} WHERE ("N x") > ('1')"""


def test_a_page_range_is_closed_below_and_open_above() -> None:
    text = query("ctid", ("(4,0)",), ("(9,0)",))
    tid = "::pg_catalog.tid"
    assert text == f"{SELECT} WHERE ctid >= '(4,0)'{tid} AND ctid < '(9,0)'{tid}"
