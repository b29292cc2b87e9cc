"""Which description of a table holds at which place of the log."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from connectors.mysql.binlog.columns import Form
from connectors.mysql.binlog.events import Query, RowsEvent
from connectors.mysql.description import DescribedColumn, Description, declared
from connectors.mysql.flavour import Flavour
from connectors.mysql.history import History
from connectors.mysql.position import FileCoordinate, FilePosition, LogPlace
from connectors.mysql.temporal import ZeroDates
from engine.model.change import INSERT, Change, Event, SchemaChanged
from engine.model.relation import Relation, TableName
from tests.unit.connectors.mysql.row_bytes import COLUMNS, described

T: Final = TableName("shop", "t")

SWAP: Final = "RENAME TABLE t TO _t_del, _t_gho TO t"
ALTER: Final = "ALTER TABLE t ADD COLUMN more int"


def description(*names: str) -> Description:
    columns = [DescribedColumn(name, declared("int", "", ""), False) for name in names]
    return Description(T, tuple(columns), {"PRIMARY": ("id",)}, "utf8mb4", "utf8mb4_bin")


def place(offset: int) -> FilePosition:
    return FilePosition(LogPlace("binlog.000001", offset))


def history(**known: Relation) -> History:
    made = History(Form.NATIVE, ZeroDates(), Flavour(mariadb=False, version=(9, 0, 0)))
    made.remember({TableName("shop", name): relation for name, relation in known.items()})
    made.want([T])
    return made


def say(made: History, sql: str, offset: int) -> Sequence[Event]:
    """A statement that stands there in the log."""
    query = Query(1, 0, "shop", sql, 0, 0)
    return made.statement(query, FileCoordinate(LogPlace("binlog.000001", offset)))


def new_row(made: History, offset: int, table: str = "t") -> Sequence[Event]:
    """A row of one whole number that was added there."""
    return row_at(made, FileCoordinate(LogPlace("binlog.000001", offset)), table)


def row_at(made: History, coordinate: FileCoordinate, table: str = "t") -> Sequence[Event]:
    column = next(c for c in COLUMNS if c.type.base == "int")
    map_ = replace(described([column]), schema="shop", name=table)
    data = b"frame\x00" + column.values[b"5"] + b"crc!"
    event = RowsEvent(INSERT, map_, b"", b"\xff", data, 5, len(data) - 4, False, True)
    _, told = made.rows(event, coordinate)
    return told or ()


def lost(told: Sequence[Event]) -> bool:
    return [step.kind for e in told if isinstance(e, SchemaChanged) for step in e.steps] == [
        "other"
    ]


def streaming() -> Relation:
    return history().describe(description("id"), place(5))


def test_a_table_read_behind_a_swap_is_known_from_there_on_though_it_looks_as_before() -> None:
    """Else all that comes for it would be passed over, in silence."""
    made = history(t=streaming())
    made.describe(description("id"), place(10))
    loaded = made.describe(description("id"), place(30), to_load=True)
    assert loaded.since == str(place(30))
    left, *_ = say(made, SWAP, 20)
    assert isinstance(left, SchemaChanged)
    (altered,) = say(made, ALTER, 40)
    assert isinstance(altered, SchemaChanged)
    assert altered.before == loaded


def test_a_table_read_behind_a_swap_does_not_leave_by_it_after_a_restart() -> None:
    first = history(t=streaming())
    first.describe(description("id"), place(10))
    made = history(t=first.describe(description("id"), place(30), to_load=True))
    assert say(made, SWAP, 20) == []
    (altered,) = say(made, ALTER, 40)
    assert isinstance(altered, SchemaChanged)


@pytest.mark.parametrize("described_at", [10, 30])
def test_what_the_catalog_said_holds_from_its_place_on(described_at: int) -> None:
    """A table that was swapped in, read, and altered before the stream came to any of it."""
    made = history(t=streaming())
    made.describe(description("id"), place(described_at))
    loaded = made.describe(description("id", "new"), place(30), to_load=True)
    made.describe(description("id", "new", "more"), place(50))
    say(made, SWAP, 20)
    (altered,) = say(made, ALTER, 40)
    assert isinstance(altered, SchemaChanged)
    assert altered.before == loaded
    assert altered.after is not None
    assert [column.name for column in altered.after.columns] == ["id", "new", "more"]


def test_a_description_of_before_a_statement_that_was_read_comes_too_late() -> None:
    made = history()
    assert not made.outruns(place(30))
    say(made, "OPTIMIZE TABLE t", 50)
    assert not made.outruns(place(30))
    say(made, ALTER, 40)
    assert made.outruns(place(40))
    assert not made.outruns(place(41))


def test_descriptions_that_the_stream_is_past_are_let_go() -> None:
    made = history()
    for offset in range(10, 30):
        say(made, ALTER.replace("t ", "another "), offset)
        made.describe(description("id"), place(offset), to_load=True)
    assert len(made._described[T]) <= 2


@pytest.mark.parametrize("to_load", [False, True])
def test_descriptions_that_the_stream_has_not_come_to_stay(to_load: bool) -> None:
    """A stream far behind, which has read something: the catalog is asked again in the load, and
    rows behind its first description are told."""
    made = history(t=streaming())
    say(made, "OPTIMIZE TABLE another", 6)
    loaded = made.describe(description("id"), place(30), to_load=True)
    for offset in (40, 50, 60):
        made.describe(description("id"), place(offset), to_load=to_load)
    say(made, SWAP, 20)
    assert new_row(made, 25) == ()
    (change,) = new_row(made, 35)
    assert isinstance(change, Change)
    assert change.relation == loaded


def test_a_description_that_is_not_to_load_is_none_where_nothing_is_new() -> None:
    made = history(t=streaming())
    loaded = made.describe(description("id"), place(30), to_load=True)
    for offset in range(31, 50):
        assert made.describe(description("id"), place(offset)) == loaded
    assert len(made._described[T]) == 1


def test_a_stream_that_begins_anew_is_past_nothing() -> None:
    made = history(t=streaming())
    say(made, ALTER, 70)
    assert made.outruns(place(30))
    made.remember({T: streaming()})
    assert not made.outruns(place(30))
    loaded = made.describe(description("id"), place(30), to_load=True)
    made.describe(description("id"), place(60), to_load=True)
    say(made, SWAP, 20)
    (change,) = new_row(made, 35)
    assert isinstance(change, Change)
    assert change.relation == loaded


def leaves(told: Sequence[Event]) -> bool:
    """Whether it is one more leaving of a table that nobody knows here."""
    return [(e.table, e.after) for e in told if isinstance(e, SchemaChanged)] == [(T, None)]


@pytest.mark.parametrize("sql", [ALTER, "TRUNCATE TABLE t", "DROP TABLE t", "DROP DATABASE shop"])
def test_what_comes_for_a_table_behind_its_leaving_is_not_passed_over_in_silence(sql: str) -> None:
    """Its rows may have been read behind it: another one in the same words had its place."""
    made = history(t=streaming())
    assert not leaves(say(made, SWAP, 20))
    assert leaves(new_row(made, 25))
    assert leaves(say(made, sql, 26))


def test_it_is_said_once_in_a_transaction_and_again_when_that_comes_again() -> None:
    made = history(t=streaming())
    say(made, SWAP, 20)
    here = FileCoordinate(LogPlace("binlog.000001", 25))
    assert leaves(row_at(made, here))
    assert not row_at(made, here)
    assert leaves(row_at(made, FileCoordinate(LogPlace("binlog.000001", 25))))


def test_a_statement_that_is_not_understood_about_an_unknown_table_is_not_passed_over() -> None:
    made = history(t=streaming())
    say(made, SWAP, 20)
    assert leaves(say(made, "ALTER TABLE t FROBNICATE", 26))


def test_nothing_is_missed_before_the_place_of_a_load() -> None:
    made = history(t=streaming())
    say(made, SWAP, 20)
    made.describe(description("id"), place(30), to_load=True)
    assert new_row(made, 25) == ()
    assert isinstance(new_row(made, 31)[0], Change)


def test_a_load_of_before_the_stream_began_says_nothing_of_what_is_missed() -> None:
    """It may have gone on with chunks that were read before its place."""
    made = history()
    made.describe(description("id"), place(30), to_load=True)
    made.remember({T: streaming()})
    say(made, SWAP, 20)
    assert leaves(new_row(made, 25))
    assert isinstance(new_row(made, 31)[0], Change)


def test_a_table_that_is_dropped_with_its_database_leaves_though_no_row_of_it_came() -> None:
    made = history()
    made.describe(description("id"), place(10))
    (left,) = say(made, "DROP DATABASE shop", 20)
    assert isinstance(left, SchemaChanged)
    assert left.before is not None


def test_rows_of_a_table_that_is_not_wanted_or_is_loaded_anew_say_nothing() -> None:
    made = history(t=streaming())
    assert new_row(made, 20, table="another") == ()
    assert not lost(say(made, "DROP TABLE t", 21))
    made.describe(description("id"), place(30), to_load=True)
    assert new_row(made, 25) == ()
    assert isinstance(new_row(made, 31)[0], Change)


def test_a_table_described_before_it_was_wanted_is_described_again_where_it_has_left() -> None:
    made = history()
    made.want([])
    made.describe(description("id"), place(10))
    say(made, "RENAME TABLE another TO t", 20)
    made.want([T])
    assert made.unknown() == [T]
    made.describe(description("id"), place(30))
    assert isinstance(new_row(made, 31)[0], Change)
