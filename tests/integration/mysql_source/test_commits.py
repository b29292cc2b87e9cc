"""Transactions that stand in the log, are sent, and are not visible yet.

Semi-synchronous replication lets a transaction wait there, as long as no replica confirms it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pymysql
import pytest
from pymysql.constants import ER

from connectors.mysql.commits import owned
from connectors.mysql.sql import asker, open_session
from engine.config.endpoint import LoadSnapshot
from engine.config.url import parse_url
from engine.errors import SourceBusyError
from tests.conftest import need
from tests.integration.mysql_source.conftest import (
    PATIENCE_SECONDS,
    SCHEMA,
    Around,
    Side,
    Sources,
)
from tests.integration.mysql_source.logged import log_of, read_chunk, relation_of
from tests.servers.mysql import MysqlServer
from tests.servers.versions import MYSQL_VERSIONS

NAMES: Final = {True: "rpl_semi_sync_master", False: "rpl_semi_sync_source"}


@pytest.fixture(scope="module", params=MYSQL_VERSIONS)
def confirmed(request: pytest.FixtureRequest) -> Iterator[MysqlServer]:
    """A server that may wait for replicas, and has none."""
    version: str = request.param
    with need(version, lambda: MysqlServer(version)) as server:
        try:
            if not server.mariadb:
                server.execute("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'")
        except pymysql.OperationalError as error:
            if error.args[0] != ER.CANT_OPEN_LIBRARY:
                raise
            pytest.skip(f"{version} comes without semi-synchronous replication here")
        name = NAMES[server.mariadb]
        server.execute(
            f"SET GLOBAL {name}_timeout = 3600000; SET GLOBAL {name}_wait_point = 'AFTER_SYNC'"
        )
        yield server


@pytest.fixture
def server(confirmed: MysqlServer) -> MysqlServer:
    confirmed.drop_database(SCHEMA)
    confirmed.create_database(SCHEMA)
    confirmed.execute("CREATE TABLE hot (id int PRIMARY KEY)", database=SCHEMA)
    return confirmed


def release(server: MysqlServer) -> None:
    server.execute(f"SET GLOBAL {NAMES[server.mariadb]}_enabled = OFF")


@asynccontextmanager
async def committing(server: MysqlServer, side: Side, rows: int = 1) -> AsyncIterator[None]:
    """Rows of `hot` that are in the log and not committed, as long as `release` is not called."""
    goal = await side.source.head()
    server.execute(f"SET GLOBAL {NAMES[server.mariadb]}_enabled = ON")
    inserts = [
        asyncio.create_task(
            asyncio.to_thread(server.execute, f"INSERT INTO hot VALUES ({n})", database=SCHEMA)
        )
        for n in range(1, rows + 1)
    ]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await logged(server, side, str(goal), rows):
                await asyncio.sleep(0.01)
        yield
    finally:
        release(server)
        await asyncio.gather(*inserts)


async def logged(server: MysqlServer, side: Side, before: str, rows: int) -> bool:
    if server.mariadb:
        return str(await side.source.head()) != before
    link = await open_session(parse_url(server.url()), "test")
    try:
        return len(await owned(asker(link))) == rows
    finally:
        link.close()


async def test_a_table_is_not_read_again_before_what_was_sent_is_visible(
    sources: Sources, server: MysqlServer
) -> None:
    """A stopped table had dropped what was sent of it."""
    side = await sources.open(server, snapshot_wait_seconds=0.2)
    await side.attach()
    tables = [relation.table for relation in side.relations]
    await side.source.publish(tables, ())
    async with committing(server, side):
        with pytest.raises(SourceBusyError, match="committed"):
            await side.source.publish(tables, ())
        patient = await sources.open(server)
        await patient.attach()
        waiting = asyncio.create_task(patient.source.publish(tables, ()))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        release(server)
        await waiting
        assert server.execute("SELECT count(*) FROM hot", database=SCHEMA) == [(1,)]


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE TABLE more (id int)",
        "INSERT INTO hot VALUES (1)",
        "FLUSH BINARY LOGS",
        "CREATE TABLE other (id int PRIMARY KEY) ENGINE = MyISAM; INSERT INTO other VALUES (1)",
    ],
    ids=["ddl", "rows", "new-file", "no-transactions"],
)
async def test_what_is_not_committing_is_not_waited_for(
    sources: Sources, server: MysqlServer, statements: str
) -> None:
    side = await sources.open(server, snapshot_wait_seconds=PATIENCE_SECONDS)
    await side.attach()
    server.execute(statements, database=SCHEMA)
    await side.source.publish([relation.table for relation in side.relations], ())


async def test_what_is_prepared_is_not_waited_for(sources: Sources, server: MysqlServer) -> None:
    side = await sources.open(server, snapshot_wait_seconds=PATIENCE_SECONDS)
    await side.attach()
    with server.connect(SCHEMA) as session, session.cursor() as cursor:
        for statement in ("START 'w'", "END 'w'", "PREPARE 'w'"):
            cursor.execute(f"XA {statement}")
            if statement == "START 'w'":
                cursor.execute("INSERT INTO hot VALUES (7)")
        try:
            await side.source.publish([relation.table for relation in side.relations], ())
        finally:
            cursor.execute("XA COMMIT 'w'")
    await side.source.publish([relation.table for relation in side.relations], ())


@pytest.fixture
def mysql_only(server: MysqlServer) -> MysqlServer:
    if server.mariadb:
        pytest.skip("MariaDB's snapshots say where they are")
    return server


async def test_what_is_in_the_log_and_not_committed_is_not_in_a_snapshot(
    sources: Sources, mysql_only: MysqlServer
) -> None:
    side = await sources.open(mysql_only, snapshot=LoadSnapshot.WATERMARK)
    await side.attach()
    _, chunk = await relation_of(side, "hot")
    async with committing(mysql_only, side, rows=3):
        text, rows = await read_chunk(side.source, chunk)
        assert rows == {}
    read = await log_of(side)
    assert len(read) == 3
    assert not any(side.source.visible(text, transaction) for transaction, _ in read)


async def test_what_was_in_the_log_before_and_becomes_visible_just_then_is_in_it(
    sources: Sources, mysql_only: MysqlServer, around: Around
) -> None:
    """It stands before the window's beginning, and it is not among those that were executed."""
    side = await sources.open(mysql_only, snapshot=LoadSnapshot.WATERMARK)
    await side.attach()
    _, chunk = await relation_of(side, "hot")

    def visible() -> None:
        release(mysql_only)
        while mysql_only.execute("SELECT count(*) FROM hot", database=SCHEMA) != [(3,)]:
            pass

    opened = around(visible)
    async with committing(mysql_only, side, rows=3):
        text, rows = await read_chunk(side.source, chunk)
    assert len(rows) == 3
    assert opened == [1]
    assert all(side.source.visible(text, transaction) for transaction, _ in await log_of(side))
