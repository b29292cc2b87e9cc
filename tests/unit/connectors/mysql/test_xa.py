"""Distributed transactions of the log, from events made by the format's description."""

import random
import struct

import pytest

from connectors.mysql.assembler import Assembler
from connectors.mysql.binlog import codes
from connectors.mysql.binlog.events import Query
from connectors.mysql.position import LogPlace
from connectors.mysql.xa import EVENT_BYTES, PreparedGroups, XaGroup, name_of, read_statement
from engine.errors import DecodeError, PositionLostError, SourceConnectionError
from tests.unit.connectors.mysql.binlog_bytes import MYSQL, event, format_description, query, rotate
from tests.unit.connectors.mysql.xa_server import (
    DIALECTS,
    Dialect,
    Server,
    Tables,
    read,
    xid,
)

HELD = (0, 1 << 20)
"""Memory for rows: none of them are held, and all are."""

each_dialect = pytest.mark.parametrize("dialect", DIALECTS)
each_memory = pytest.mark.parametrize("held", HELD)


def interleaved(dialect: Dialect) -> Server:
    server = Server(dialect)
    server.transaction(1, 2)
    server.prepare("a", 3, 4, 5)
    server.prepare("b", 6)
    server.transaction(7)
    server.prepare("c", 8, 9)
    server.statement("CREATE TABLE other (id int)")
    server.commit("b")
    server.rollback("c")
    server.rotate()
    server.transaction(10)
    server.prepare("c", 11, 12)  # the name again
    server.rotate()
    server.commit("a")
    server.prepare("d", 13)
    server.commit("c")
    server.transaction(14)
    return server


# --- order ----------------------------------------------------------------------------------------


@each_memory
@each_dialect
async def test_rows_come_where_they_are_committed(dialect: Dialect, held: int) -> None:
    server = interleaved(dialect)
    told = (await read(server, held=held)).told
    assert told == server.told
    assert [n for n in told if n.isdigit()] == [*"127", "6", "10", *"345", "11", "12", "14"]
    assert server.dumps == (1 if held else 4)  # the stream, and one for each that was committed


@each_memory
@each_dialect
async def test_a_reader_may_be_stopped_anywhere(dialect: Dialect, held: int) -> None:
    """Behind every change, every transaction and every group that tells nothing."""
    server = interleaved(dialect)
    whole = await read(server, held=held, piece=3)
    assert len(whole.stops) > 20
    for position, told in whole.stops:
        rest = await read(server, position, held=held)
        again = sum(position.covers(stop.coordinate, stop.ordinal) for stop, _ in rest.stops
                    if stop.ordinal)  # fmt: skip
        assert rest.told[again:] == server.told[told:], str(position)


@pytest.mark.parametrize("seed", range(8))
@each_dialect
async def test_any_log(dialect: Dialect, seed: int) -> None:
    chance = random.Random(seed)
    server = Server(dialect, ends_inside=bool(seed % 3))
    names = list("abcdef")
    open_now: list[str] = []
    for number in range(60):
        what = chance.random()
        free = [name for name in names if name not in open_now]
        if what < 0.35 and free:
            open_now.append(chance.choice(free))
            server.prepare(open_now[-1], *range(number * 10, number * 10 + chance.randrange(4)))
        elif what < 0.7 and open_now:
            name = open_now.pop(chance.randrange(len(open_now)))
            (server.commit if chance.random() < 0.7 else server.rollback)(name)
        elif what < 0.75 and free and dialect != "mariadb":
            server.one_phase(chance.choice(free), number * 10)
        elif what < 0.8:
            server.rotate()
        else:
            server.transaction(number * 10, number * 10 + 1)
    held = chance.choice((0, 4 * EVENT_BYTES, 12 * EVENT_BYTES, 1 << 20))
    whole = await read(server, held=held, piece=chance.randrange(1, 9))
    assert whole.told == server.told
    for position, told in chance.sample(whole.stops, 5):
        rest = await read(server, position, held=held)
        again = sum(position.covers(stop.coordinate, stop.ordinal) for stop, _ in rest.stops
                    if stop.ordinal)  # fmt: skip
        assert rest.told[again:] == server.told[told:], str(position)


@each_memory
async def test_a_commit_in_one_phase_is_a_commit(held: int) -> None:
    server = Server("mysql")
    server.one_phase("a", 1, 2)
    server.transaction(3)
    server.prepare("a", 4)
    server.commit("a")
    assert (await read(server, held=held)).told == ["1", "2", "3", "4"]


# --- what else is in a group ----------------------------------------------------------------------


@each_memory
@each_dialect
async def test_savepoints(dialect: Dialect, held: int) -> None:
    """What was rolled back to one is not in the log, but for tables without transactions: then
    which rows are void, nothing tells."""
    server = Server(dialect)
    server.prepare("a", 1, 2, inside=["SAVEPOINT `s`"])
    server.commit("a")
    server.prepare("b", 3, inside=["ROLLBACK TO `s`"])
    server.rollback("b")
    assert (await read(server, held=held)).told == ["1", "2"]
    server.prepare("b", 3, inside=["ROLLBACK TO `s`"])
    server.commit("b")
    assert (await read(server, held=held)).told == ["1", "2", "3", "shop.t"]


@each_memory
@each_dialect
async def test_statements_in_a_transaction_count_where_it_is_committed(
    dialect: Dialect, held: int
) -> None:
    server = Server(dialect)
    server.prepare("a", 1, inside=["INSERT INTO t VALUES (2)"])
    server.statement("ALTER TABLE other ADD c int")
    assert (await read(server, held=held)).told == ["ALTER TABLE other ADD c int"]
    server.commit("a")
    assert (await read(server, held=held)).told[1:] == ["1", "INSERT INTO t VALUES (2)"]


# --- what is not there ----------------------------------------------------------------------------


@each_dialect
async def test_rows_that_are_in_no_file_any_more(dialect: Dialect) -> None:
    server = Server(dialect)
    server.transaction(1)
    server.prepare("gone", 2)
    server.rotate()
    start = (await read(server)).stops[-1][0]
    server.transaction(3)
    server.commit("gone")
    server.purged = 1
    with pytest.raises(PositionLostError, match=r"X'676f6e65',X'',1.*goes back to binlog.000002"):
        await read(server, start)


@each_dialect
async def test_rows_too_large_to_be_held_whose_file_is_gone(dialect: Dialect) -> None:
    server = Server(dialect)
    server.prepare("gone", 1)
    server.rotate()
    server.commit("gone")
    assert (await read(server, held=0)).told == ["1"]

    class Purging(Server):
        async def files(self) -> list[str]:
            return ["binlog.000002"]

    server.__class__ = Purging
    assert (await read(server)).told == ["1"]
    with pytest.raises(PositionLostError, match="X'676f6e65',X'',1"):
        await read(server, held=0)


@each_dialect
async def test_a_commit_of_what_was_never_logged_is_not_passed_over(dialect: Dialect) -> None:
    """A session that did not log prepared it. An older one of that name was rolled back."""
    server = Server(dialect)
    server.prepare("a", 1)
    server.rollback("a")
    server.commit("a")
    with pytest.raises(PositionLostError, match="X'61',X'',1"):
        await read(server)


async def test_a_commit_in_one_phase_is_not_committed_again() -> None:
    server = Server("mysql")
    server.one_phase("a", 1)
    start = (await read(server)).stops[-1][0]
    server.commit("a")
    with pytest.raises(PositionLostError):
        await read(server, start)


async def test_a_rollback_of_what_is_not_known_is_nothing() -> None:
    server = Server("mysql")
    server.rollback("a")
    server.transaction(1)
    assert (await read(server)).told == ["1"]


@each_dialect
async def test_another_transaction_in_its_place_is_not_taken_for_it(dialect: Dialect) -> None:
    server, other = Server(dialect), Server(dialect)
    server.prepare("a", 1)
    server.commit("a")
    other.prepare("b", 2)
    other.commit("b")
    server.dump_at = other.dump_at  # type: ignore[method-assign]
    with pytest.raises(SourceConnectionError, match=r"does not stand at binlog\.000001:4"):
        await read(server, held=0)


# --- bad input ------------------------------------------------------------------------------------


def fed(*events: bytes) -> None:
    assembler = Assembler(Tables(), Server("mysql").beginning(), PreparedGroups(1000))
    gtid = event(codes.GTID, b"\0" + bytes(16) + struct.pack("<Q", 1))
    assembler.feed([rotate(), format_description(MYSQL), gtid, *events])


def statement(sql: str) -> bytes:
    return event(codes.QUERY, query(sql.encode()))


@pytest.mark.parametrize(
    "events",
    [
        [statement("XA START 'x'")],
        [statement("XA START X'7',X'',1")],
        [statement("XA COMMIT X'78',X'',1 ONE PHASE")],
        [event(codes.XA_PREPARE, struct.pack("<BIII", 0, 1, 1, 0) + b"x")],
        [
            statement("XA START X'78',X'',1"),
            event(codes.XA_PREPARE, struct.pack("<BIII", 0, 1, 1, 0) + b"y"),
        ],
        [statement("XA START X'78',X'',1"), statement("XA COMMIT X'78',X'',1")],
        [statement("XA START X'78',X'',1"), statement("XA END X'79',X'',1")],
    ],
)
def test_what_no_server_writes_stops(events: list[bytes]) -> None:
    with pytest.raises(DecodeError):
        fed(*events)


def test_names_are_written_as_they_are_read() -> None:
    name = xid("it's")._replace(format_id=7, branch=b"\0\xff")
    assert read_statement(f"XA COMMIT {name_of(name)}") == ("COMMIT", name)


# --- memory ---------------------------------------------------------------------------------------


def prepared(groups: PreparedGroups, name: str, events: int) -> XaGroup:
    group = XaGroup(xid(name), LogPlace("binlog.000001", 4), None)
    for _ in range(events):
        groups.hold(group, Query(1, 0, "", "", 0, 0))
    groups.keep(group)
    return group


def test_a_large_transaction_is_not_held() -> None:
    groups = PreparedGroups(8 * EVENT_BYTES)
    assert prepared(groups, "a", 2).held is not None
    large = prepared(groups, "b", 3)
    assert large.held is None
    assert groups.take(large.xid) is large  # its place is known


def test_the_oldest_gives_way() -> None:
    groups = PreparedGroups(4 * EVENT_BYTES)
    made = [prepared(groups, name, 1) for name in "abcde"]
    assert [group.held is not None for group in made] == [False, True, True, True, True]
    groups.take(made[2].xid)
    prepared(groups, "f", 1)
    assert made[1].held is not None
    prepared(groups, "g", 1)
    assert made[1].held is None


def test_places_are_forgotten_before_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.mysql.xa.KNOWN_MAX", 2)
    groups = PreparedGroups(1000)
    made = [prepared(groups, name, 1) for name in "abc"]
    assert [groups.take(group.xid) is group for group in made] == [False, True, True]


def test_what_is_found_in_the_log_is_older_than_what_came_by() -> None:
    groups = PreparedGroups(1000)
    newer = prepared(groups, "a", 1)
    groups.learn([XaGroup(newer.xid, LogPlace("binlog.000001", 4), None, held=None)])
    assert groups.take(newer.xid) is newer
