"""Settings of a source, seen at the server."""

import asyncio
from contextlib import aclosing

import psycopg
import pytest

from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.heartbeat import PREFIX
from connectors.postgres.preflight_source import SQL_ASCII_REMEDY
from connectors.postgres.source import PostgresSource
from engine.errors import SourceConnectionError, SourceError
from engine.model.finding import Severity
from tests.integration.postgres_source.conftest import (
    PATIENCE_SECONDS,
    Connect,
    SystemClock,
    exhaust,
)
from tests.servers.postgres import Cluster, Database

BEATS = (
    "SELECT count(*) FROM pg_logical_slot_peek_changes('watch', NULL, NULL)"
    f" WHERE data LIKE 'message: transactional: 1 prefix: {PREFIX},%'"
)
TABLES = "SELECT count(*) FROM pg_class WHERE relkind = 'r'"


async def test_a_heartbeat_is_a_message_and_no_table(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    client = await connect(source_database, heartbeat_write_seconds=0.2, capture_ddl=False)
    start = await client.attach("t")
    source_database.execute("SELECT pg_create_logical_replication_slot('watch', 'test_decoding')")
    tables = source_database.execute(TABLES)
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(client.source.blocks(start)) as blocks:
        async for block in blocks:
            assert not block.parts
            if source_database.execute(BEATS)[0][0] >= 2:
                break
    assert source_database.execute(TABLES) == tables


async def test_without_the_setting_nothing_is_written(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    client = await connect(source_database, capture_ddl=False)
    await client.attach("t")
    source_database.execute("SELECT pg_create_logical_replication_slot('watch', 'test_decoding')")
    await client.blocks()
    seen = "SELECT count(*) FROM pg_logical_slot_peek_changes('watch', NULL, NULL)"
    assert source_database.execute(seen) == [(0,)]


async def test_a_role_that_may_not_write_heartbeats_is_told_the_grant(
    private_cluster: object,
) -> None:
    cluster: Cluster = private_cluster()  # type: ignore[operator]
    database = Database.create(cluster, "beats")
    arguments = "boolean, text, text" + (", boolean" if int(cluster.major) >= 17 else "")
    database.execute(
        f"REVOKE EXECUTE ON FUNCTION pg_logical_emit_message({arguments}) FROM PUBLIC;"
        "CREATE ROLE app LOGIN REPLICATION; CREATE TABLE t (id int PRIMARY KEY);"
        "ALTER TABLE t OWNER TO app; GRANT CREATE ON DATABASE beats TO app"
    )
    source = PostgresSource(
        PostgresSourceConfig.of(
            "beats", cluster.dsn("beats", user="app"), heartbeat_write_seconds=0.1
        ),
        SystemClock(),
    )
    await source.open()
    relations = await source.relations()
    found = {f.check: f for f in await source.preflight(relations)}
    assert found["heartbeat"].severity is Severity.BLOCKS
    start = (await source.attach([relation.table for relation in relations], [])).start
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(source.blocks(start)) as blocks:
        with pytest.raises(SourceError, match="writing a heartbeat to the source: permission"):
            await exhaust(blocks)
    database.execute(found["heartbeat"].remedy)
    assert "heartbeat" not in {f.check for f in await source.preflight(relations)}
    await source.detach()
    await source.close()


async def test_a_catalog_question_takes_no_longer_than_execute_timeout(
    source_database: Database, connect: Connect
) -> None:
    client = await connect(source_database, execute_timeout_seconds=0.3)
    with psycopg.connect(source_database.dsn) as holder:
        holder.execute("LOCK TABLE pg_catalog.pg_publication IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SourceConnectionError, match=r"not answered within 0\.3 s") as caught:
            await client.source.attach([], [])
    assert "ExecuteTimeout in [source.settings]" in caught.value.hint
    assert (await client.source.attach([], [])).created
    await client.source.detach()


async def test_bytes_that_are_no_text_are_warned_of_with_a_way_to_find_them(
    private_cluster: object,
) -> None:
    cluster: Cluster = private_cluster()  # type: ignore[operator]
    cluster.execute(
        "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    dsn = cluster.dsn("ascii")
    source = PostgresSource(PostgresSourceConfig.of("ascii", dsn), SystemClock())
    await source.open()
    found = {f.check: f for f in await source.preflight([])}
    assert found["encoding"].severity is Severity.WARNS
    assert found["encoding"].remedy == SQL_ASCII_REMEDY
    make, look, _ = SQL_ASCII_REMEDY.splitlines()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        connection.execute(
            "INSERT INTO t VALUES (1, convert_from('\\xe9', 'SQL_ASCII')),"
            " (2, convert_from('\\xc3a9', 'SQL_ASCII')), (3, NULL), (4, 'plain')"
        )
        connection.execute(make.encode())
        query = look.replace("<table>", "t").replace("<column>", "v").replace("*", "id")
        assert connection.execute(query.encode()).fetchall() == [(1,)]
    await source.close()


async def test_messages_without_the_token_are_noticed_once(
    source_database: Database, connect: Connect
) -> None:
    if int(source_database.cluster.major) < 14:
        pytest.skip("PostgreSQL 14 brought messages to pgoutput")
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    client = await connect(source_database)
    start = await client.attach("t")
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(client.source.blocks(start)) as blocks:
        await anext(blocks)
        assert client.source.notices() == []
        source_database.execute(
            "SELECT pg_logical_emit_message(true, 'penstock', 'forged'::text);"
            "INSERT INTO t VALUES (1)"
        )
        while not (await anext(blocks)).parts:
            pass
        (notice,) = client.source.notices()
        assert notice.startswith("1 logical messages")
        assert client.source.notices() == []
    await client.source.detach()
