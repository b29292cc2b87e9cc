"""Groups of events, from bytes made by the format's description."""

import struct
from collections.abc import Sequence

import pytest

from connectors.mysql.assembler import Assembler
from connectors.mysql.binlog import codes
from connectors.mysql.binlog.events import Query, RowsEvent
from connectors.mysql.position import parse_position
from connectors.mysql.xa import PreparedGroups
from engine.model.change import INSERT, Change, Event, SchemaChanged
from engine.model.relation import Relation, TableName
from tests.unit.connectors.mysql.binlog_bytes import (
    MARIA,
    event,
    format_description,
    query,
    rotate,
    rows,
    table_map,
)


class NoTables:
    """Nobody wants any."""

    def rows(self, event: RowsEvent, coordinate: object) -> tuple[int, Sequence[Event] | None]:
        raise AssertionError

    def statement(self, query: Query, coordinate: object) -> Sequence[Event]:
        return ()

    def undone(self, tables: Sequence[str], coordinate: object) -> Sequence[Event]:
        return ()


def assembler(start: str) -> Assembler:
    made = Assembler(NoTables(), parse_position(start), PreparedGroups(0))
    made.feed([rotate(), format_description(MARIA)])
    return made


def gtid(number: int, *, standalone: bool = True) -> bytes:
    return event(codes.MARIA_GTID, struct.pack("<QIB", number, 0, int(standalone)) + bytes(6))


def statement(sql: bytes) -> bytes:
    return event(codes.QUERY, query(sql))


HEARTBEAT = event(codes.HEARTBEAT, b"binlog.000002", end=500)


def idle(made: Assembler) -> str | None:
    _, found = made.take()
    return None if found is None else str(found)


def test_a_server_that_has_nothing_more_has_sent_everything() -> None:
    made = assembler("maria=0-7-5")
    assert idle(made) is None
    made.feed([HEARTBEAT])
    assert idle(made) == "maria=0-7-5;log=binlog.000002:500"
    made.feed([gtid(6), statement(b"CREATE DATABASE d"), HEARTBEAT])
    assert idle(made) == "maria=0-7-6;log=binlog.000002:500"


def test_a_transaction_that_is_open_is_not_passed() -> None:
    made = assembler("maria=0-7-5")
    made.feed([gtid(6, standalone=False), HEARTBEAT])
    assert idle(made) is None


@pytest.mark.parametrize(
    "start", ["maria=0-7-5;at=0-7-6+2", "file=binlog.000002:4;at=binlog.000002:4+2"]
)
def test_a_position_inside_a_transaction_is_not_given_up_for_one_before_it(start: str) -> None:
    made = assembler(start)
    made.feed([HEARTBEAT])
    assert idle(made) is None
    made.feed([gtid(6), statement(b"CREATE DATABASE d"), HEARTBEAT])
    assert idle(made) is not None


def test_a_commit_of_which_the_whole_second_is_told_is_at_its_end() -> None:
    """An age that counts from its beginning shows a second that nothing waited."""
    made = assembler("maria=0-7-5")
    made.feed([gtid(6, standalone=False)])
    assert made.committed_at_us == 1_700_000_000_999_999


class LosesOne(NoTables):
    """Of a table that is lost with its first row, rows are only counted; of another they are told:
    how many each event has says its table's name."""

    def rows(self, event: RowsEvent, coordinate: object) -> tuple[int, Sequence[Event] | None]:
        assert event.table is not None
        name = event.table.name
        count = int(name[1:])
        relation = Relation(1, "shop", name, ())
        if name.startswith("l"):
            return count, [SchemaChanged(TableName("shop", name), relation, relation, True)]
        return count, [Change(INSERT, relation, (), None)] * count


def test_rows_that_are_not_told_count_as_those_that_are() -> None:
    """A position inside the transaction means the same when they are not told at all."""
    made = Assembler(LosesOne(), parse_position("maria=0-7-5"), PreparedGroups(0))
    made.feed([rotate(), format_description(MARIA), gtid(6, standalone=False)])
    for name in ("t2", "l5", "t3", "t1"):
        made.feed([event(codes.TABLE_MAP, table_map([3], name=name))])
        made.feed([event(codes.WRITE_ROWS, rows(1, b""))])
    made.feed([event(codes.XID, bytes(8))])
    parts, _ = made.take()
    assert [(part.first, len(part.events)) for part in parts] == [(1, 3), (8, 4)]
    assert str(parts[-1].end) == "maria=0-7-6;log=binlog.000002:4711"
