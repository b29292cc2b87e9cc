"""Comparing while the source is written to and the target follows behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import pytest

from connectors.postgres.compare import PostgresComparable
from engine.model.relation import TableName
from engine.validate.compare import Limits, TablePair, compare
from engine.validate.report import KeyDifference, TableReport
from tests.integration.postgres_compare.system_clock import SystemClock
from tests.servers.postgres import Database

pytestmark = pytest.mark.in_turn

LAG_SECONDS: Final = 0.05

BEHIND_MAX: Final = 100
"""Statements the target may be behind, so that a slow machine does not let the lag grow forever."""

TABLE: Final = TableName("public", "t")

CONTROL: Final = """
CREATE SCHEMA penstock;
CREATE TABLE penstock.checkpoint (replication text, lane text, epoch bigint, seq bigint,
                                  position text, PRIMARY KEY (replication, lane));
INSERT INTO penstock.checkpoint VALUES ('r', 'frontier', 1, 0, '0/0')
"""


class Follower:
    """Repeats on the target what `write` did on the source, late and in order, and stores how far
    it is, as a replication does. `lose` makes it pass over the n-th statement."""

    def __init__(self, source: Any, target: Any) -> None:
        self._source, self._target = source, target
        self._turn = asyncio.Lock()
        self._queue: asyncio.Queue[tuple[float, str, str]] = asyncio.Queue(BEHIND_MAX)
        self.written = 0
        self.lose: set[int] = set()
        self.frozen = False

    async def write(self, sql: str) -> None:
        async with self._turn:
            await self._source.execute(sql)
            position = await self._source.fetchval("SELECT pg_current_wal_flush_lsn()::text")
        due = asyncio.get_running_loop().time() + LAG_SECONDS
        self.written += 1
        await self._queue.put((due, "" if self.written in self.lose else sql, position))

    async def follow(self) -> None:
        while True:
            due, sql, position = await self._queue.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            async with self._target.transaction():
                if sql:
                    await self._target.execute(sql)
                if not self.frozen:
                    await self._target.execute(
                        "UPDATE penstock.checkpoint SET position = $1", position
                    )

    async def heartbeat(self) -> None:
        """The frontier moves with the log's end, also when nothing is written."""
        while True:
            await self.write("SELECT 1")
            await asyncio.sleep(0.02)


@pytest.fixture
async def follower(source_database: Database, target_database: Database) -> AsyncIterator[Follower]:
    for database in (source_database, target_database):
        database.execute("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)")
        database.execute("INSERT INTO t SELECT g, 0 FROM generate_series(1, 2000) g")
    target_database.execute(CONTROL)
    source = await asyncpg.connect(source_database.dsn)
    target = await asyncpg.connect(target_database.dsn)
    yield Follower(source, target)
    await source.close()
    await target.close()


@asynccontextmanager
async def running(*works: Any) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        yield
        for task in tasks:
            task.cancel()


async def compared(source: Database, target: Database, patience: float = 10.0) -> TableReport:
    sides = PostgresComparable("source", source.dsn), PostgresComparable("target", target.dsn)
    try:
        report = await compare(
            [TablePair(TABLE, TABLE)],
            *sides,
            replication="r",
            clock=SystemClock(),
            limits=Limits(span_rows=100, patience_seconds=patience),
        )
    finally:
        for side in sides:
            await side.close()
    return report.tables[0]


async def test_changes_on_their_way_are_not_differences(
    follower: Follower, source_database: Database, target_database: Database
) -> None:
    async def writer() -> None:
        for n in range(100_000):
            key = n * 7919 % 2000 + 1
            await follower.write(f"UPDATE t SET v = v + 1 WHERE id BETWEEN {key} AND {key + 20}")
            await follower.write(f"DELETE FROM t WHERE id = {key}")
            await follower.write(f"INSERT INTO t VALUES ({3000 + n}, 0)")

    async with running(writer(), follower.follow()):
        await asyncio.sleep(4 * LAG_SECONDS)
        report = await compared(source_database, target_database)
    assert report.read_again > 0
    assert report.equal, report


async def test_a_row_that_changes_all_the_time_is_seen_to_pass_through_the_same_states(
    follower: Follower, source_database: Database, target_database: Database
) -> None:
    async def writer() -> None:
        for _ in range(100_000):
            await follower.write("UPDATE t SET v = v + 1 WHERE id = 5")

    async with running(writer(), follower.follow()):
        await asyncio.sleep(4 * LAG_SECONDS)
        report = await compared(source_database, target_database)
    assert (report.read_again, report.moving) == (1, 1)
    assert report.equal, report


async def test_a_lost_change_is_found_among_those_on_their_way(
    follower: Follower, source_database: Database, target_database: Database
) -> None:
    async def writer() -> None:
        follower.lose = {3}
        for n in range(100_000):
            await follower.write(f"UPDATE t SET v = v + 1 WHERE id = {n % 1000 + 1}")
            if n >= 10:
                await follower.write(f"DELETE FROM t WHERE id = {1001 + n % 990}")

    async with running(writer(), follower.follow()):
        while follower.written < 10:
            await asyncio.sleep(0.01)
        report = await compared(source_database, target_database)
    assert report.keys == [KeyDifference("different", ("3",))], report
    assert report.unsettled == 0


async def test_nothing_is_judged_before_the_applied_position_has_come(
    follower: Follower, source_database: Database, target_database: Database
) -> None:
    follower.frozen = True
    async with running(follower.heartbeat(), follower.follow()):
        source_database.execute("UPDATE t SET v = 1 WHERE id = 7")  # never reaches the target
        report = await compared(source_database, target_database, patience=0.02)
    assert (report.differences, report.unsettled, report.equal) == (0, 1, False)
    assert "has not applied" in report.reason


async def test_a_target_without_stored_position_is_taken_as_it_is(
    follower: Follower, source_database: Database, target_database: Database
) -> None:
    target_database.execute("DELETE FROM penstock.checkpoint; UPDATE t SET v = 1 WHERE id = 9")
    report = await compared(source_database, target_database)
    assert report.keys == [KeyDifference("different", ("9",))]
