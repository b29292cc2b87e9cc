"""The stream over time: idle servers, slow consumers, broken links."""

import asyncio
import time
from contextlib import aclosing

import pytest

from connectors.postgres import opening
from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.source import PostgresSource
from engine.errors import SourceConnectionError, SourceError
from engine.model.change import Block, Change
from engine.model.position import LogPosition
from tests.integration.postgres_source.conftest import Client, Connect, SystemClock, exhaust, name
from tests.servers.pooler import FakePooler
from tests.servers.postgres import Cluster, Database


async def test_log_of_other_tables_and_databases_is_let_go_by_an_idle_stream(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE noise (x text)")
    other = Database.create(source_database.cluster, f"{source_database.name}_other")
    other.execute("CREATE TABLE noise (x text)")
    client = await connect(source_database)
    await client.attach("t")
    noise = "INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 4000)"
    source_database.execute(noise)
    other.execute(noise)
    assert ((await client.source.retained()).bytes or 0) > 4_000_000
    blocks = await client.blocks()
    assert not any(block.parts for block in blocks)
    # What is acknowledged counts; restart_lsn follows with the next running-transactions record.
    ((behind,),) = source_database.execute(
        "SELECT pg_current_wal_lsn() - confirmed_flush_lsn FROM pg_replication_slots"
        " WHERE slot_name = %s",
        f"penstock_{source_database.name}",
    )
    assert behind < 100_000
    other.drop()


async def test_a_quiet_stream_tells_its_position_by_itself(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE noise (x text)")
    client = await connect(source_database, wal_sender_timeout_ms=1500)
    start = await client.attach("t")
    assert isinstance(start, LogPosition)
    async with asyncio.timeout(10), aclosing(client.source.blocks(start)) as blocks:
        reading = asyncio.ensure_future(anext(blocks))
        await asyncio.sleep(0.2)
        source_database.execute("INSERT INTO noise VALUES ('x')")
        block = await reading
        while block.idle is None:  # the first one only tells that the source answers
            assert block.parts == []
            block = await anext(blocks)
    assert block.parts == []
    assert isinstance(block.idle, LogPosition)
    assert block.idle.offset > start.offset


async def test_a_stalled_consumer_does_not_lose_the_link(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY, a text)")
    client = await connect(source_database, wal_sender_timeout_ms=2000)
    start = await client.attach("t")
    source_database.execute(
        "INSERT INTO t SELECT g, repeat('x', 200) FROM generate_series(1, 100000) g"
    )
    seen, ordinal = 0, 1
    async with aclosing(client.source.blocks(start)) as blocks:
        async for block in blocks:
            for part in block.parts:
                assert part.first == ordinal
                seen += sum(isinstance(event, Change) for event in part.events)
                ordinal = seen + 1
            if seen < 20_000:
                await asyncio.sleep(0.5)
            if block.parts and block.parts[-1].end is not None:
                break
    assert seen == 100_000


async def test_a_block_is_bounded_and_knows_its_size(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY, a text)")
    client = await connect(source_database, block_bytes_max=50_000)
    await client.attach("t")
    source_database.execute(
        "INSERT INTO t SELECT g, repeat('x', 200) FROM generate_series(1, 2000) g"
    )
    blocks = [block for block in await client.blocks() if block.parts]
    assert len(blocks) >= 2000 * 240 // 50_000
    for block in blocks:
        rows = sum(len(part.events) for part in block.parts)
        assert rows <= 50_000 // 200 + 2
        assert block.size >= rows * 200


async def test_a_row_larger_than_a_block_comes_whole(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id text PRIMARY KEY, a text)")
    client = await connect(source_database, block_bytes_max=10_000)
    await client.attach("t")
    source_database.execute("INSERT INTO t VALUES ('1', repeat('x', 5000000))")
    (row,) = await client.rows()
    assert row.new == (b"1", b"x" * 5_000_000)


async def test_a_silent_server_is_given_up(private_cluster: object) -> None:
    cluster: Cluster = private_cluster()  # type: ignore[operator]
    database = Database.create(cluster, "silent")
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    config = PostgresSourceConfig.of("silent", database.dsn, heartbeat_seconds=1.0)
    source = PostgresSource(config, SystemClock())
    await source.open()
    start = (await source.attach([name("t")], [])).start
    async with aclosing(source.blocks(start)) as blocks:
        database.execute("INSERT INTO t VALUES (1)")
        while not (await anext(blocks)).parts:
            pass  # what tells that the source answers; the row's table is still to be looked up
        cluster.sigstop()
        began = time.monotonic()
        try:
            with pytest.raises(SourceConnectionError, match="silent"):
                await exhaust(blocks)
        finally:
            cluster.sigcont()
        assert time.monotonic() - began < 6
    await source.close()


FOR_EVER_SECONDS = 1e6


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE t (id int PRIMARY KEY)",
        """CREATE TABLE t (id int PRIMARY KEY) PARTITION BY LIST (id);
        CREATE TABLE t1 PARTITION OF t DEFAULT""",
    ],
    ids=["plain", "partitioned"],
)
async def test_a_fast_shutdown_does_not_wait_for_an_idle_stream(
    private_cluster: object, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Also where the source is told of nothing beyond the last look at partitions. Nothing but the
    server's question would be answered before it gives the shutdown up."""
    for wait in ("CHECK_SECONDS", "STATUS_SECONDS_MAX"):
        monkeypatch.setattr(opening, wait, FOR_EVER_SECONDS)
    settings = {"wal_sender_timeout": 0}
    cluster: Cluster = private_cluster(settings=settings)  # type: ignore[operator]
    database = Database.create(cluster, "shutdown")
    database.execute(table)
    config = PostgresSourceConfig.of(
        "shutdown",
        database.dsn,
        heartbeat_seconds=FOR_EVER_SECONDS,
        partitions_seconds=FOR_EVER_SECONDS,
    )
    source = PostgresSource(config, SystemClock())
    await source.open()
    client = Client(database, source)
    await client.attach("t")
    row_read = asyncio.Event()

    async def read() -> None:
        async with aclosing(source.blocks(client.after)) as blocks:
            async for block in blocks:
                await source.acknowledge(_end(block))
                if block.parts:
                    row_read.set()

    reading = asyncio.ensure_future(read())
    while await source.reader() is None:
        await asyncio.sleep(0.01)
    database.execute("INSERT INTO t VALUES (1)")
    await asyncio.wait_for(row_read.wait(), 10)
    await asyncio.to_thread(cluster.stop, "fast")
    with pytest.raises(SourceConnectionError):
        await reading
    await source.close()


async def test_a_pooler_in_the_way_is_named(postgres15: Cluster) -> None:
    database = Database.create(postgres15, "pooled")
    async with FakePooler() as pooler:
        port = postgres15.port
        direct = PostgresSource(PostgresSourceConfig.of("pooled", database.dsn), SystemClock())
        await direct.open()
        pooled = database.dsn.replace(f":{port}/", f":{pooler.port}/")
        direct._config = PostgresSourceConfig.of("pooled", pooled)
        with pytest.raises(SourceError, match="pooler"):
            await direct.attach([], [])
        await direct.close()
    database.drop()


async def test_a_wrong_password_is_told_without_it(private_cluster: object) -> None:
    cluster: Cluster = private_cluster()  # type: ignore[operator]
    cluster.execute("CREATE ROLE app LOGIN REPLICATION PASSWORD 'right'")
    cluster.access("host all all 127.0.0.1/32 scram-sha-256")
    conninfo = cluster.dsn(user="app", password="wr0ng-secret")
    source = PostgresSource(PostgresSourceConfig.of("denied", conninfo), SystemClock())
    with pytest.raises(SourceError, match="password authentication failed") as caught:
        await source.open()
    assert not isinstance(caught.value, SourceConnectionError)
    assert "wr0ng-secret" not in f"{caught.value!r} {caught.value} {source._config!r}"
    await source.close()


def _end(block: Block) -> LogPosition:
    end = block.idle or (block.parts[-1].end if block.parts else None)
    return end if isinstance(end, LogPosition) else LogPosition(0)
