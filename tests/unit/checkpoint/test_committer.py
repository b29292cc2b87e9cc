"""Stored first, told afterwards, and never more than was stored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connectors.memory.control import CHECKPOINT, prepare
from connectors.memory.database import MemoryDatabase
from connectors.memory.target import MemorySession, MemoryTarget
from engine.checkpoint.committer import Committer
from engine.checkpoint.frontier import Frontier
from engine.checkpoint.ownership import Claimant, claim, store_rows
from engine.config.intervals import IntervalsConfig
from engine.errors import FenceFailedError
from engine.model.position import LogPosition, Position
from engine.model.state import FRONTIER, LaneRow


class Source:
    """Looks at what is stored whenever it is told something."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self.told: list[tuple[Position, str]] = []

    async def acknowledge(self, position: Position) -> None:
        (row,) = [r[2] for r in self._database.visible_rows(CHECKPOINT) if r[1] == FRONTIER]
        assert isinstance(row, LaneRow)
        self.told.append((position, row.position))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 0.0


class Bench:
    def __init__(self, delay: float = 0.0) -> None:
        self.database = MemoryDatabase("target", logging=False)
        prepare(self.database)
        self.frontier = Frontier(LogPosition(1))
        self.source = Source(self.database)
        self.clock = Clock()
        self.commits = 0
        self.committer = Committer(
            self.frontier,
            LaneRow(1, 0, "0/1"),
            self.source,  # type: ignore[arg-type]
            self.clock,
            IntervalsConfig(),
            committed=self._committed,
            acknowledge_delay_seconds=delay,
        )

    def _committed(self) -> None:
        self.commits += 1

    @asynccontextmanager
    async def session(self) -> AsyncIterator[MemorySession]:
        target = MemoryTarget(self.database, "r")
        await target.open()
        async with target.session() as session:
            await claim(target, session, Claimant("s", "f", "p", "00" * 16))
            await store_rows(session, 1, {FRONTIER: LaneRow(1, 0, "0/1")})
            yield session


async def test_the_source_is_told_what_is_stored() -> None:
    bench = Bench()
    async with bench.session() as session:
        bench.frontier.idle(LogPosition(5))
        await bench.committer.commit(session)
    assert bench.source.told == [(LogPosition(5), "0/5")]
    assert (bench.committer.stored, bench.commits) == ("0/5", 1)


async def test_what_moves_while_it_is_being_stored_is_not_told() -> None:
    bench = Bench()
    async with bench.session() as session:
        bench.frontier.idle(LogPosition(5))
        bench.database.after_commit.append(lambda _: bench.frontier.idle(LogPosition(9)))
        await bench.committer.commit(session)
    assert bench.source.told == [(LogPosition(5), "0/5")]


async def test_a_frontier_that_stands_still_is_not_stored_again() -> None:
    bench = Bench()
    async with bench.session() as session:
        await bench.committer.commit(session)
    assert (bench.commits, bench.source.told) == (0, [])


async def test_nothing_is_told_when_another_owner_is_there() -> None:
    bench = Bench()
    async with bench.session() as session:
        target = MemoryTarget(bench.database, "r")
        await target.open()
        async with target.session() as other:
            await claim(target, other, Claimant("s", "f", "q", "11" * 16))
        bench.frontier.idle(LogPosition(5))
        with pytest.raises(FenceFailedError):
            await bench.committer.commit(session)
    assert (bench.source.told, bench.committer.acknowledged) == ([], None)


async def test_a_delayed_acknowledgement_tells_what_was_stored_long_enough_ago() -> None:
    bench = Bench(delay=10.0)
    async with bench.session() as session:
        for now, offset in ((0.0, 5), (6.0, 7)):
            bench.clock.now = now
            bench.frontier.idle(LogPosition(offset))
            await bench.committer.commit(session)
        assert bench.source.told == []
        bench.clock.now = 12.0
        await bench.committer.commit(session)
    assert bench.source.told == [(LogPosition(5), "0/7")]
    assert bench.committer.acknowledged == LogPosition(5)


async def test_the_end_stores_once_more() -> None:
    bench = Bench()
    stop = asyncio.Event()
    async with bench.session() as session:
        bench.frontier.idle(LogPosition(5))
        running = asyncio.create_task(bench.committer.run(session, stop))
        await asyncio.sleep(0)
        stop.set()
        await running
    assert bench.committer.stored == "0/5"
    assert bench.committer.acknowledged == LogPosition(5)
