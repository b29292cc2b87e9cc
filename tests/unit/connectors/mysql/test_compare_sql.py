"""Statements of a comparison on MySQL and MariaDB, and canonical texts."""

import pytest

from connectors.mysql import canonical
from connectors.mysql.compare_sql import FIND_BYTES_MAX, Statements
from connectors.mysql.types import MysqlType
from engine.config.endpoint import ZeroDate
from engine.model.canonical import CANONICAL, TextForm
from engine.model.compared import Reading, Span
from engine.model.relation import TableName

TYPES = {
    "a": MysqlType("int"),
    "b": MysqlType("varchar", 20, charset="utf8mb4", collation="utf8mb4_nopad_bin"),
    "d": MysqlType("date"),
}
FORMS = {"a": TextForm.NUMBER, "b": TextForm.TEXT, "d": TextForm.DATE}


def statements(key: tuple[str, ...], *, indexed: bool = True) -> Statements:
    table = TableName("s", "o`dd")
    reading = Reading(table, tuple(TYPES), key, CANONICAL, indexed=indexed, buckets=16, forms=FORMS)
    return Statements(reading, TYPES)


def test_a_range_is_open_below_and_closed_above_and_uses_the_index() -> None:
    sql = statements(("b", "a")).digest(Span(("x'", "1"), ("y", "2")))
    assert sql.endswith(
        "FROM `s`.`o``dd` WHERE (`b` > 'x''' OR (`b` = 'x''' AND (`a` > 1)))"
        " AND (`b` < 'y' OR (`b` = 'y' AND (`a` <= 2)))"
    )


def test_an_open_range_takes_every_row() -> None:
    assert statements(("a",)).digest(Span()).endswith("WHERE TRUE")


def test_the_boundary_is_found_in_key_order() -> None:
    sql = statements(("b", "a")).boundary(Span(), 5)
    assert sql.endswith("ORDER BY `b`, `a` LIMIT 1 OFFSET 4")


def test_keys_are_looked_up_by_columns_where_an_index_serves_and_by_their_texts_elsewhere() -> None:
    (sql,) = statements(("a", "b")).find([("1", "x"), ("2", "y")])
    assert sql.endswith("WHERE (`a`, `b`) IN ((1, 'x'), (2, 'y'))")
    (sql,) = statements(("a",), indexed=False).find([("1",)])
    assert sql.endswith("WHERE CONCAT(`a`) IN ('1')")


def test_many_keys_go_in_several_statements() -> None:
    keys = [("x" * 1_000,)] * (FIND_BYTES_MAX // 1_000 + 1)
    found = list(statements(("b",)).find(keys))
    assert len(found) == 2
    assert sum(sql.count("'" + "x" * 1_000 + "'") for sql in found) == len(keys)


@pytest.mark.parametrize("text", ["1 OR 1=1", "1e5", "0x10", "-", "1;", "", "ä", "--1"])
def test_a_text_that_is_no_number_stays_a_string(text: str) -> None:
    assert canonical.constant(text, TextForm.NUMBER) == f"'{text}'"
    assert canonical.constant("-12.5", TextForm.NUMBER) == "-12.5"


def test_a_year_before_the_first_is_year_0_here() -> None:
    assert canonical.constant("0001-02-03 BC", TextForm.DATE) == "'0000-02-03'"
    assert canonical.constant("0001-02-03 BC", TextForm.TEXT) == "'0001-02-03 BC'"


def test_a_date_that_is_none_is_what_the_replication_makes_of_it() -> None:
    date = MysqlType("date")
    absent, earliest, kept = (
        canonical.token("`d`", date, TextForm.DATE, zero)
        for zero in (ZeroDate.NULL, ZeroDate.EARLIEST, None)
    )
    assert absent.startswith("IF((`d` IS NULL OR (MONTH(`d`) = 0")
    assert "'0001-01-01', IF(YEAR(`d`) = 0" in earliest
    assert "MONTH" not in kept
    for zero in ZeroDate:
        sql = canonical.token("`d`", date, TextForm.DATE_AS_STORED, zero)
        assert sql == "IF(`d` IS NULL, '~', CONCAT(`d`))"


@pytest.mark.parametrize(
    ("type_", "order"),
    [
        (MysqlType("bigint", unsigned=True), "own"),
        (MysqlType("varchar", 9, charset="utf8mb4", collation="utf8mb4_0900_bin"), "C"),
        (MysqlType("varchar", 9, charset="utf8mb4", collation="utf8mb4_bin"), ""),
        (MysqlType("varchar", 9, charset="utf8mb4", collation="utf8mb4_general_ci"), ""),
        (MysqlType("enum", labels=("a",), charset="utf8mb4", collation="utf8mb4_nopad_bin"), ""),
        (MysqlType("double"), None),
        (MysqlType("varbinary", 9), None),
    ],
)
def test_only_orders_that_are_the_same_elsewhere_have_a_name(
    type_: MysqlType, order: str | None
) -> None:
    assert canonical.order(type_) == order
