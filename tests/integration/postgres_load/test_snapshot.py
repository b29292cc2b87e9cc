"""The shared snapshot and reading chunks at it."""

import asyncio
import random
from collections.abc import AsyncIterator

import asyncpg
import psycopg
import pytest

from connectors.postgres.chunks import cut
from connectors.postgres.copy_out import BUFFER_BYTES_MIN
from connectors.postgres.load_connection import Connect, Connection
from connectors.postgres.snapshot import SnapshotReader
from connectors.postgres.visibility import visible
from engine.errors import SnapshotLostError, SourceConnectionError, SourceError
from engine.model.change import Transaction
from engine.model.chunk import Chunk
from engine.model.position import LogPosition
from engine.model.relation import Relation
from engine.model.snapshot import Snapshot
from tests.integration.postgres_load.conftest import Relations
from tests.servers.postgres import Database

pytestmark = pytest.mark.in_turn

TEXT = "postgres-text"
BINARY = "postgres-binary"


async def read(reader: SnapshotReader, chunk: Chunk, snapshot: Snapshot, form: str = TEXT) -> bytes:
    return b"".join([piece async for piece in reader.rows(chunk, snapshot, form)])


async def test_every_reader_sees_the_moment_of_the_snapshot(
    source_database: Database, connect: Connect, relations: Relations
) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    chunk = Chunk((await relations())["public.t"], 0)
    reader = SnapshotReader(connect)
    async with reader.snapshot() as snapshot:
        source_database.execute("INSERT INTO t VALUES (3); DELETE FROM t WHERE k = 1")
        texts = await asyncio.gather(*(read(reader, chunk, snapshot) for _ in range(4)))
    assert texts == [b"1\n2\n"] * 4


async def test_the_slots_exported_snapshot_is_shared(
    source_database: Database, connect: Connect, relations: Relations
) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY); INSERT INTO t VALUES (1)")
    chunk = Chunk((await relations())["public.t"], 0)
    reader = SnapshotReader(connect)
    replication = await psycopg.AsyncConnection.connect(
        source_database.dsn + "?replication=database", autocommit=True
    )
    async with replication:
        made = await replication.execute(
            "CREATE_REPLICATION_SLOT load_test TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT"
        )
        row = await made.fetchone()
        assert row is not None
        source_database.execute("INSERT INTO t VALUES (2)")
        async with reader.snapshot(str(row[2])) as snapshot:
            # The slot's next command ends what it exported; the keeper has it by then.
            await replication.execute("IDENTIFY_SYSTEM")
            assert await read(reader, chunk, snapshot) == b"1\n"
            assert LogPosition.parse(str(row[1])).offset <= snapshot.until.offset  # type: ignore[attr-defined]


async def test_an_exported_snapshot_that_is_gone_is_lost(connect: Connect) -> None:
    reader = SnapshotReader(connect)
    with pytest.raises(SnapshotLostError):
        async with reader.snapshot("00000003-00000002-1"):
            pytest.fail("a snapshot that never was cannot be opened")


async def test_a_snapshot_cannot_be_read_after_its_context(
    source_database: Database, connect: Connect, relations: Relations
) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY)")
    chunk = Chunk((await relations())["public.t"], 0)
    reader = SnapshotReader(connect)
    async with reader.snapshot() as snapshot:
        pass
    with pytest.raises(SnapshotLostError):
        await read(reader, chunk, snapshot)


async def test_losing_the_keeper_is_noticed(
    source_database: Database, connect: Connect, relations: Relations
) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY); INSERT INTO t VALUES (1)")
    chunk = Chunk((await relations())["public.t"], 0)
    reader = SnapshotReader(connect)
    async with reader.snapshot() as snapshot:
        assert await read(reader, chunk, snapshot) == b"1\n"
        source_database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE '%pg_current_wal_insert_lsn%'"
            " AND pid <> pg_backend_pid()"
        )
        source_database.execute(  # a session ends some time after it was told to
            "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE '%pg_current_wal_insert_lsn%'"
            " AND pid <> pg_backend_pid()) LOOP PERFORM pg_sleep(0.01);"
            " PERFORM pg_stat_clear_snapshot(); END LOOP; END $$"
        )
        with pytest.raises(SnapshotLostError):
            await read(reader, chunk, snapshot)


async def test_losing_a_reader_leaves_the_snapshot(
    source_database: Database, connect: Connect, relations: Relations
) -> None:
    relation = await filled(source_database, relations, 200_000)
    chunk = Chunk(relation, 0)
    reader = SnapshotReader(connect)
    async with reader.snapshot() as snapshot:
        whole = await read(reader, chunk, snapshot)
        rows = reader.rows(chunk, snapshot, TEXT)
        await anext(rows)
        source_database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'COPY%'"
        )
        with pytest.raises(SourceConnectionError):
            await drain(rows)
        assert len(await read(reader, chunk, snapshot)) == len(whole)


async def drain(rows: AsyncIterator[bytes]) -> None:
    async for _ in rows:
        pass


async def filled(database: Database, relations: Relations, rows: int) -> Relation:
    database.execute("CREATE TABLE t (k int PRIMARY KEY, pad text)")
    database.execute(
        f"INSERT INTO t SELECT g, repeat('x', 50) FROM generate_series(1, {rows}) g; ANALYZE t"
    )
    return (await relations())["public.t"]


async def test_closing_early_cancels_the_read_and_leaves_nothing_behind(
    source_database: Database, connect: Connect, relations: Relations
) -> None:
    relation = await filled(source_database, relations, 200_000)
    reader = SnapshotReader(connect)
    async with reader.snapshot() as snapshot:
        rows = reader.rows(Chunk(relation, 0), snapshot, BINARY)
        assert (await anext(rows)).startswith(b"PGCOPY")
        await rows.aclose()
        await until_copying(source_database, 0)
        assert len(await read(reader, Chunk(relation, 0), snapshot, BINARY)) > 200_000 * 60


async def test_a_cancelled_reader_leaves_nothing_behind(
    source_database: Database, connect: Connect, relations: Relations
) -> None:
    relation = await filled(source_database, relations, 1_000)
    source_database.execute(
        "CREATE FUNCTION slow() RETURNS int LANGUAGE sql AS 'SELECT 1 FROM pg_sleep(60)';"
        "CREATE VIEW v AS SELECT slow() AS k"
    )
    reader = SnapshotReader(connect)
    ((oid,),) = source_database.execute("SELECT 'v'::regclass::oid::int8")
    view = Relation(int(oid), "public", "v", relation.columns[:1], (0,), wire="postgres")
    async with reader.snapshot() as snapshot:
        whole = Chunk(view, 0)
        reading = asyncio.create_task(read(reader, whole, snapshot))
        await until_copying(source_database, 1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await until_copying(source_database, 0)
        assert (await read(reader, Chunk(relation, 0), snapshot)).count(b"\n") == 1_000


async def until_copying(database: Database, sessions: int) -> None:
    """Wait until so many sessions of the database are in a COPY."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state = 'active' AND query LIKE 'COPY%'"
    )
    async with asyncio.timeout(10):
        while database.execute(query) != [(sessions,)]:
            await asyncio.sleep(0.02)


async def test_buffers_are_large_and_a_standing_reader_reads_no_further(
    source_database: Database, connect: Connect, relations: Relations
) -> None:
    relation = await filled(source_database, relations, 100_000)
    reader = SnapshotReader(connect)
    async with reader.snapshot() as snapshot:
        rows = reader.rows(Chunk(relation, 0), snapshot, BINARY)
        sizes = [len(await anext(rows))]
        await asyncio.sleep(0.3)
        sizes += [len(piece) async for piece in rows]
    assert len(sizes) > 5
    assert all(BUFFER_BYTES_MIN <= size < 3 * BUFFER_BYTES_MIN for size in sizes[:-1])


async def test_chunks_read_apart_are_the_table(
    source_database: Database, source: Connection, connect: Connect, relations: Relations
) -> None:
    relation = await filled(source_database, relations, 20_000)
    chunks = await cut(source, relation, 3_000)
    reader = SnapshotReader(connect)
    async with reader.snapshot() as snapshot:
        texts = [await read(reader, chunk, snapshot) for chunk in chunks]
        whole = await read(reader, Chunk(relation, 0), snapshot)
    assert len(chunks) > 5
    assert sorted(b"".join(texts).splitlines()) == sorted(whole.splitlines())


async def test_tables_are_unlocked_between_chunks(
    source_database: Database, connect: Connect, relations: Relations
) -> None:
    relation = await filled(source_database, relations, 10)
    reader = SnapshotReader(connect)
    async with reader.snapshot() as snapshot:
        await read(reader, Chunk(relation, 0), snapshot)
        source_database.execute("SET lock_timeout = '1s'; ALTER TABLE t ALTER k SET STATISTICS 10")


async def test_rows_hidden_from_the_role_are_refused_not_left_out(
    source_database: Database, relations: Relations
) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY); INSERT INTO t VALUES (1)")
    role = f"r_{source_database.name}"
    source_database.execute(
        f"CREATE ROLE {role} LOGIN; GRANT SELECT ON t TO {role};"
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (k > 1)"
    )
    chunk = Chunk((await relations())["public.t"], 0)

    async def connect() -> Connection:
        return await asyncpg.connect(source_database.cluster.dsn(source_database.name, user=role))

    reader = SnapshotReader(connect)
    try:
        async with reader.snapshot() as snapshot:
            with pytest.raises(SourceError, match="row-level security"):
                await read(reader, chunk, snapshot)
    finally:
        source_database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_servers_time_limits_do_not_end_a_load(
    source_database: Database, connect: Connect, relations: Relations
) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY); INSERT INTO t VALUES (1)")
    chunk = Chunk((await relations())["public.t"], 0)
    for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
        source_database.execute(f"ALTER DATABASE {source_database.name} SET {setting} = '100ms'")
    reader = SnapshotReader(connect)
    async with reader.snapshot() as snapshot:
        await asyncio.sleep(0.3)
        assert await read(reader, chunk, snapshot) == b"1\n"


async def test_visibility_agrees_with_the_rows_a_snapshot_shows(
    source_database: Database, connect: Connect, relations: Relations
) -> None:
    """Writers with savepoints and rollbacks run while snapshots are taken; each committed
    transaction's rows are in a snapshot's read if and only if `visible` says so."""
    source_database.execute("CREATE TABLE t (xid int8)")
    chunk = Chunk((await relations())["public.t"], 0)
    reader = SnapshotReader(connect)
    views: list[tuple[Snapshot, bytes]] = []
    async with asyncio.TaskGroup() as tasks:
        for seed in range(4):
            tasks.create_task(write(source_database, random.Random(seed), 60))
        for _ in range(12):
            async with reader.snapshot() as snapshot:
                views.append((snapshot, await read(reader, chunk, snapshot)))
                await asyncio.sleep(0.005)
    committed = {row[0] for row in source_database.execute("SELECT DISTINCT xid FROM t")}
    assert len(committed) > 50
    assert len({text for _, text in views}) > 3
    for snapshot, text in views:
        seen = {int(line) for line in text.split()}
        assert seen == {
            xid for xid in committed if visible(snapshot.text, Transaction(coordinate=0, xid=xid))
        }


async def write(database: Database, choice: random.Random, transactions: int) -> None:
    insert = "INSERT INTO t VALUES (pg_current_xact_id()::text::int8)"
    connection = await asyncpg.connect(database.dsn)
    for _ in range(transactions):
        await connection.execute(f"BEGIN; {insert}; SAVEPOINT s; {insert}")
        await asyncio.sleep(choice.uniform(0, 0.004))
        await connection.execute(choice.choice(["RELEASE s", "ROLLBACK TO s"]) + f"; {insert}")
        await connection.execute(choice.choice(["COMMIT", "COMMIT", "ROLLBACK"]))
    await connection.close()
