"""Distributed transactions (XA), prepared and ended by several sessions, as servers log them."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import pymysql
import pytest

from connectors.mysql.position import parse_position
from connectors.mysql.xa import name_of
from engine.errors import PositionLostError
from engine.model.change import SchemaChanged
from tests.integration.mysql_source.conftest import SCHEMA, Side, Sources, new_rows
from tests.scenario.running import until
from tests.servers.mysql import MysqlServer
from tests.unit.connectors.mysql.xa_server import xid

LOCK_WAIT_TIMEOUT = 1205

TABLE = "CREATE TABLE t (id int PRIMARY KEY, v varchar(200))"

each_memory = pytest.mark.parametrize("held", [0, 1 << 20])
"""Whether rows are read from the log again, or come from memory."""

Rows = list[tuple[str, ...]]


@pytest.fixture
def xa(shop: MysqlServer) -> Iterator[MysqlServer]:
    """A server on which nothing is prepared, now and afterwards: it would keep its locks."""
    shop.execute(TABLE, database=SCHEMA)
    yield shop
    for name in "abce":
        rollback(shop, name)


@pytest.fixture
def private(private_mysql: Callable[..., MysqlServer], mysql_version: str) -> MysqlServer:
    """A server of each version that only one test uses."""
    server = private_mysql(mysql_version)
    server.create_database(SCHEMA)
    server.execute(TABLE, database=SCHEMA)
    return server


def prepare(server: MysqlServer, name: str, *statements: str, settings: Sequence[str] = ()) -> None:
    """In a session that is gone then: while it is there, MariaDB gives the transaction to nobody
    else."""
    with server.connect(SCHEMA) as connection, connection.cursor() as cursor:
        for sql in settings:
            cursor.execute(sql)
        for sql in (f"XA START '{name}'", *statements, f"XA END '{name}'", f"XA PREPARE '{name}'"):
            cursor.execute(sql)
        cursor.execute("SELECT CONNECTION_ID()")
        ((number,),) = cursor.fetchall()
    until(lambda: number not in sessions(server), "the session to be gone")


def sessions(server: MysqlServer) -> set[int]:
    return {row[0] for row in server.execute("SELECT id FROM information_schema.processlist")}


def insert(*numbers: int) -> str:
    return "INSERT INTO t VALUES " + ", ".join(f"({n}, 'v{n}')" for n in numbers)


def commit(server: MysqlServer, name: str) -> None:
    """By another session."""
    server.execute(f"XA COMMIT '{name}'")


def rollback(server: MysqlServer, name: str) -> None:
    """By another session, if it is there."""
    with contextlib.suppress(pymysql.err.OperationalError):
        server.execute(f"XA ROLLBACK '{name}'")


async def opened(sources: Sources, server: MysqlServer, held: int) -> Side:
    side = await sources.open(server, prepared_bytes=held)
    await side.attach()
    return side


async def numbers(side: Side, count: int) -> list[str]:
    return [row[0] for row in new_rows(await side.read(count))]


@each_memory
async def test_rows_come_where_they_are_committed(
    sources: Sources, xa: MysqlServer, held: int
) -> None:
    side = await opened(sources, xa, held)
    prepare(xa, "a", insert(1), insert(2, 3))
    prepare(xa, "b", insert(4))
    prepare(xa, "c", insert(5))
    xa.execute(insert(6), database=SCHEMA)
    commit(xa, "b")
    rollback(xa, "c")
    xa.execute("FLUSH LOGS")
    prepare(xa, "c", insert(7))
    xa.execute("CREATE TABLE other (id int)", database=SCHEMA)
    commit(xa, "a")
    commit(xa, "c")
    xa.execute(insert(8), database=SCHEMA)
    assert await numbers(side, 7) == ["6", "4", "1", "2", "3", "7", "8"]


@each_memory
async def test_a_restart_between_preparing_and_committing_loses_and_repeats_nothing(
    sources: Sources, xa: MysqlServer, held: int
) -> None:
    """What is stored then is a place behind other transactions."""
    side = await opened(sources, xa, held)
    prepare(xa, "a", insert(1, 2))
    xa.execute(insert(3), database=SCHEMA)
    assert await numbers(side, 1) == ["3"]
    xa.execute("FLUSH LOGS")
    xa.execute(insert(4), database=SCHEMA)
    assert await numbers(side, 1) == ["4"]
    prepare(xa, "b", insert(5))
    commit(xa, "a")
    xa.execute(insert(6), database=SCHEMA)
    assert await numbers(side, 3) == ["1", "2", "6"]
    commit(xa, "b")
    assert await numbers(side, 1) == ["5"]
    # inside of one
    inside = await opened(sources, xa, held)
    prepare(xa, "a", insert(7), insert(8))
    commit(xa, "a")
    found = await _parts(inside)
    inside.at = parse_position(str(found))
    assert await numbers(inside, 2) == ["7", "8"]


async def _parts(side: Side) -> object:
    """The place behind the first row of the next transaction."""
    assert side.at is not None
    async for block in side.source.blocks(side.at):
        for part in block.parts:
            return part.transaction.at(1)
    raise AssertionError


async def test_a_commit_in_one_phase_and_savepoints(sources: Sources, xa: MysqlServer) -> None:
    side = await opened(sources, xa, 0)
    xa.execute(
        f"XA START 'a'; {insert(1)}; SAVEPOINT s; {insert(2)}; ROLLBACK TO s; {insert(3)};"
        " XA END 'a'; XA COMMIT 'a' ONE PHASE",
        database=SCHEMA,
    )
    prepare(xa, "b", insert(4), "SAVEPOINT s", insert(5), "ROLLBACK TO s", insert(6))
    commit(xa, "b")
    xa.execute("XA START 'e'; XA END 'e'; XA PREPARE 'e'")  # without any change
    xa.execute(insert(7), database=SCHEMA)
    assert await numbers(side, 5) == ["1", "3", "4", "6", "7"]


@each_memory
async def test_large_and_compressed_transactions(
    sources: Sources, xa: MysqlServer, held: int
) -> None:
    side = await opened(sources, xa, held)
    settings = () if xa.mariadb else ("SET binlog_transaction_compression = ON",)
    many = [insert(*range(at, at + 500)) for at in range(0, 12_000, 500)]
    prepare(xa, "a", *many, settings=settings)
    xa.execute(insert(20_000), database=SCHEMA)
    assert await numbers(side, 1) == ["20000"]
    commit(xa, "a")
    xa.execute(insert(20_001), database=SCHEMA)
    assert await numbers(side, 12_001) == [*map(str, range(12_000)), "20001"]


async def test_what_was_prepared_before_the_stream_began_is_found_in_the_log(
    sources: Sources, xa: MysqlServer
) -> None:
    """A snapshot does not see it either."""
    prepare(xa, "a", insert(1))
    prepare(xa, "b", insert(2))
    xa.execute("FLUSH LOGS")
    xa.execute(insert(3), database=SCHEMA)
    side = await opened(sources, xa, 1 << 20)
    async with side.source.snapshot() as snapshot:
        side.at = parse_position(snapshot.text)
    commit(xa, "b")
    commit(xa, "a")
    assert await numbers(side, 2) == ["2", "1"]


async def test_what_is_not_in_the_log_any_more_ends_it_by_name(
    sources: Sources, private: MysqlServer
) -> None:
    server = private
    prepare(server, "gone", insert(1))
    server.execute("FLUSH LOGS")
    side = await opened(sources, server, 1 << 20)
    until(lambda: _purged(server), "the log to be purged")
    commit(server, "gone")
    with pytest.raises(PositionLostError) as caught:
        await side.read(1)
    assert name_of(xid("gone")) in str(caught.value)
    assert "penstock cleanup" in caught.value.hint


def _purged(server: MysqlServer) -> bool:
    newest = server.execute("SHOW BINARY LOGS")[-1][0]
    server.execute(f"PURGE BINARY LOGS TO '{newest}'")
    return len(server.execute("SHOW BINARY LOGS")) == 1


async def test_a_prepared_transaction_of_a_killed_server_is_carried_when_it_is_committed(
    sources: Sources, private: MysqlServer
) -> None:
    """Nothing alters its table until then, which is why its rows are read as the table is then."""
    server = private
    side = await opened(sources, server, 1 << 20)
    prepare(server, "a", insert(1))
    server.kill9()
    server.start()
    for statement in ("ALTER TABLE t ADD w int", "DROP TABLE t", "RENAME TABLE t TO u"):
        with pytest.raises(pymysql.err.OperationalError) as caught:
            server.execute(
                f"SET lock_wait_timeout = 1, innodb_lock_wait_timeout = 1; {statement}",
                database=SCHEMA,
            )
        assert caught.value.args[0] == LOCK_WAIT_TIMEOUT
    commit(server, "a")
    server.execute("ALTER TABLE t ADD w int; INSERT INTO t VALUES (2, 'v2', 3)", database=SCHEMA)
    first, change, second = await side.read(3)
    assert isinstance(change, SchemaChanged)
    assert new_rows([first, second]) == [("1", "v1"), ("2", "v2", "3")]


# --- MariaDB's snapshot ---------------------------------------------------------------------------


def locks(server: MysqlServer) -> int:
    return int(server.execute("SHOW GLOBAL STATUS LIKE 'Com_flush'")[0][1])


async def test_a_snapshot_is_opened_under_the_lock_where_a_commit_may_be_under_way(
    sources: Sources, xa: MysqlServer
) -> None:
    """MariaDB logs an XA COMMIT before its rows are seen: a snapshot between would lack them."""
    if not xa.mariadb:
        pytest.skip("MySQL's snapshot is always opened under the lock")
    side = await opened(sources, xa, 1 << 20)
    before = locks(xa)
    async with side.source.snapshot():
        assert locks(xa) == before
    prepare(xa, "a", insert(1))
    async with side.source.snapshot():
        assert locks(xa) == before + 1
    rollback(xa, "a")
    async with side.source.snapshot():
        assert locks(xa) == before + 1
