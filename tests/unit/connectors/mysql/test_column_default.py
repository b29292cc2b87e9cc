"""Which defaults are known, and as what."""

import pytest

from connectors.mysql.absent import NOTHING, absent_values
from connectors.mysql.binlog.columns import Form
from connectors.mysql.column_default import NULL, Constant, of_clause, of_statement
from connectors.mysql.ddl_steps import ColumnDef
from connectors.mysql.description import DescribedColumn, Description
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import parse_type
from engine.config.endpoint import ZeroDate
from engine.model.change import INSERT
from engine.model.relation import TableName


@pytest.mark.parametrize(
    ("type_", "default", "text"),
    [
        ("int", "7", "7"),
        ("int", "-0", "0"),
        ("int", "'007'", "7"),
        ("int", "1.5", None),
        ("int", "1e3", None),
        ("tinyint(1)", "TRUE", "1"),
        ("int(5) unsigned zerofill", "7", "00007"),
        ("decimal(10,2)", "1.5", "1.50"),
        ("decimal(10,2)", "'-.5'", "-0.50"),
        ("decimal(10,2)", "1.505", None),
        ("decimal(10,2)", "1e1", None),
        ("double", "1e100", "1e100"),
        ("double", "-0.0", None),
        ("float", "0.1", "0.10000000149011612"),
        ("float(5,2)", "0.1", None),
        ("varchar(20)", "'it''s'", "it's"),
        ("varchar(20)", "'two ' 'texts'", None),
        ("varchar(20)", r"'a\nb\\'", "a\nb\\"),
        ("varchar(20)", "_latin1'x'", None),
        ("varchar(20)", "x'41'", None),
        ("varchar(20)", "5", None),
        ("varchar(20)", "uuid()", None),
        ("varchar(20)", "''", ""),
        ("char(20)", "'x  '", "x"),
        ("enum('a','B')", "'B'", "B"),
        ("enum('a','B')", "'b'", None),
        ("set('a','b')", "'b,a'", None),
        ("set('a','b')", "'a,b'", "a,b"),
        ("bit(3)", "b'101'", "\x05"),
        ("bit(10)", "5", "\0\x05"),
        ("year", "2020", "2020"),
        ("year", "20", None),
        ("date", "'2020-02-29'", "2020-02-29"),
        ("date", "20200229", None),
        ("date", "(curdate())", None),
        ("datetime(3)", "'2020-02-29 01:02:03.5'", "2020-02-29 01:02:03.500"),
        ("datetime", "'2020-02-29 01:02:03.5'", None),
        ("datetime", "CURRENT_TIMESTAMP", None),
        ("timestamp", "'2020-02-29 01:02:03'", None),
        ("timestamp", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
        ("time(2)", "'-12:00:00'", "-12:00:00.00"),
        ("blob", "'x'", None),
        ("json", "'{}'", None),
    ],
)
def test_a_default_is_known_where_its_text_leaves_no_doubt(
    type_: str, default: str, text: str | None
) -> None:
    found = of_clause(default, parse_type(type_, "utf8mb4", "utf8mb4_bin"))
    assert found == (None if text is None else Constant(text))


def test_a_column_without_a_default() -> None:
    int_ = parse_type("int", "", "")
    assert of_clause("NULL", int_) == NULL
    assert of_clause(None, int_) is None
    assert of_statement(ColumnDef(name="c", type="int"), int_) == NULL
    assert of_statement(ColumnDef(name="c", type="int", nullable=False), int_) == Constant("0")
    assert of_statement(ColumnDef(name="c", type="int", auto_increment=True), int_) is None
    assert of_statement(ColumnDef(name="c", type="int", generated="1"), int_) is None
    binary = parse_type("binary(3)", "", "")
    must = ColumnDef(name="c", type="binary(3)", nullable=False)
    assert of_statement(must, binary) == Constant("\0\0\0")
    moment = parse_type("timestamp", "", "")
    assert of_statement(ColumnDef(name="c", type="timestamp"), moment) is None


def test_dates_that_are_none_are_counted_row_by_row() -> None:
    zero = ZeroDates(ZeroDate.NULL)
    date = parse_type("date", "", "")
    fill = Constant("0000-00-00").filler(date, Form.INTERCHANGE, zero)
    assert (fill(), fill()) == (None, None)
    assert zero.met == 2
    assert Constant("0000-00-00").filler(date, Form.NATIVE, zero)() == b"0000-00-00"


def test_a_row_of_which_nothing_is_held_is_lost() -> None:
    column = DescribedColumn("c", parse_type("int", "", ""), nullable=True, default=Constant("1"))
    table = Description(TableName("s", "t"), (column,), {})
    masks = (b"", b"\0")
    zero = ZeroDates()
    found = absent_values(INSERT, masks, table, Form.NATIVE, zero, mariadb=True)
    assert found.lost == NOTHING
