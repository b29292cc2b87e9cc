"""Which description of a table holds at which place of the log."""

from collections.abc import Sequence
from typing import Final

import pytest

from connectors.mysql.binlog.columns import Form
from connectors.mysql.binlog.events import Query
from connectors.mysql.description import DescribedColumn, Description, declared
from connectors.mysql.flavour import Flavour
from connectors.mysql.history import DESCRIPTIONS_MAX, History
from connectors.mysql.position import FileCoordinate, FilePosition, LogPlace
from connectors.mysql.temporal import ZeroDates
from engine.model.change import Event, SchemaChanged
from engine.model.relation import Relation, TableName

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
    for offset in range(10, 10 + 2 * DESCRIPTIONS_MAX):
        say(made, ALTER.replace("t ", "another "), offset)
        made.describe(description("id"), place(offset), to_load=True)
    assert len(made._described[T]) <= 2
