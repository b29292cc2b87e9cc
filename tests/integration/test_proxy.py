"""The fault proxy and the stand-in pooler, with a real client and a real server."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import psycopg
import pytest

from tests.servers.pooler import FakePooler
from tests.servers.postgres import Cluster
from tests.servers.proxy import FaultProxy


@pytest.fixture
async def proxy(postgres18: Cluster) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(postgres18.host, postgres18.port) as proxy:
        yield proxy


async def connect(cluster: Cluster, proxy: FaultProxy) -> asyncpg.Connection:
    return await asyncpg.connect(cluster.dsn(port=proxy.port), ssl=False, timeout=10)


async def test_rows_pass_unchanged_and_a_closed_client_leaves_nothing_open(
    postgres18: Cluster, proxy: FaultProxy
) -> None:
    connection = await connect(postgres18, proxy)
    assert await connection.fetchval("SELECT repeat('x', 3000000)") == "x" * 3_000_000
    assert (proxy.accepted, proxy.connections) == (1, 1)
    assert proxy.bytes_down > 3_000_000
    await connection.close()
    async with asyncio.timeout(5):
        while proxy.connections:
            await asyncio.sleep(0.01)


async def test_a_cut_ends_open_connections_and_serves_new_ones(
    postgres18: Cluster, proxy: FaultProxy
) -> None:
    connection = await connect(postgres18, proxy)
    proxy.cut()
    with pytest.raises((asyncpg.InterfaceError, asyncpg.PostgresConnectionError, OSError)):
        await connection.fetchval("SELECT 1")
    again = await connect(postgres18, proxy)
    assert await again.fetchval("SELECT 1") == 1
    await again.close()


async def test_a_refusing_proxy_takes_nobody_until_it_resumes(
    postgres18: Cluster, proxy: FaultProxy
) -> None:
    proxy.refuse()
    with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
        await connect(postgres18, proxy)
    proxy.resume()
    await (await connect(postgres18, proxy)).close()


async def test_a_queue_lets_who_comes_wait_and_others_go_on(
    postgres18: Cluster, proxy: FaultProxy
) -> None:
    connection = await connect(postgres18, proxy)
    proxy.queue()
    coming = asyncio.ensure_future(connect(postgres18, proxy))
    await asyncio.sleep(0.2)
    assert await connection.fetchval("SELECT 7") == 7
    assert not coming.done()
    proxy.resume()
    for each in (connection, await coming):
        await each.close()


async def test_a_black_hole_swallows_the_answer_and_gives_it_back_on_resume(
    postgres18: Cluster, proxy: FaultProxy
) -> None:
    connection = await connect(postgres18, proxy)
    proxy.black_hole()
    answer = asyncio.ensure_future(connection.fetchval("SELECT 7"))
    await asyncio.sleep(0.2)
    assert not answer.done()
    proxy.resume()
    assert await answer == 7
    await connection.close()


async def test_a_throttled_connection_takes_its_time(
    postgres18: Cluster, proxy: FaultProxy
) -> None:
    connection = await connect(postgres18, proxy)
    proxy.throttle(100_000)
    began = time.monotonic()
    assert await connection.fetchval("SELECT repeat('x', 50000)") == "x" * 50_000
    assert time.monotonic() - began >= 0.5
    await connection.close()


async def test_a_delay_is_seen_in_both_directions(postgres18: Cluster, proxy: FaultProxy) -> None:
    connection = await connect(postgres18, proxy)
    proxy.delay(0.1)
    began = time.monotonic()
    await connection.execute("SELECT 1")
    assert time.monotonic() - began >= 0.2
    proxy.resume()
    await connection.close()


async def test_a_byte_limit_cuts_inside_a_message(postgres18: Cluster, proxy: FaultProxy) -> None:
    connection = await connect(postgres18, proxy)
    before = proxy.bytes_down
    proxy.cut_after(1000)
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT repeat('x', 100000)")
    assert proxy.bytes_down - before == 1000


async def test_the_pooler_answers_a_replication_client_as_pgbouncer_does() -> None:
    async with FakePooler() as pooler:
        with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter"):
            await psycopg.AsyncConnection.connect(pooler.dsn("orders"), replication="database")
    assert pooler.parameters[0]["replication"] == "database"
    assert pooler.parameters[0]["database"] == "orders"
