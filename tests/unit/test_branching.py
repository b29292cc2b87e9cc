"""The branch that stored positions belong to: checked before it is replaced, stored before use."""

from collections.abc import Sequence

import pytest

from connectors.memory.database import MemoryDatabase
from connectors.memory.source import MemorySource
from connectors.memory.target import MemorySession, MemoryTarget
from engine.branching import BRANCH, keep_branch
from engine.checkpoint.ownership import Claim, Claimant, claim, store_rows
from engine.errors import PositionLostError
from engine.model.chunk import ChunkDone
from engine.model.position import LogPosition, Position
from engine.model.relation import TableName
from engine.model.state import FRONTIER, LaneRow

T = TableName("public", "t")


class Branching(MemorySource):
    """A source whose log is on `now`; refuses positions beyond `fork`."""

    def __init__(self, now: str = "1", fork: int = 0) -> None:
        super().__init__(MemoryDatabase("source"))
        self.now = now
        self.fork = fork
        self.asked: list[tuple[str, list[str]]] = []

    def position(self, text: str) -> Position:
        return LogPosition.parse(text)

    async def branch(self) -> str:
        return self.now

    async def check_branch(self, left: str, reached: Sequence[Position]) -> None:
        self.asked.append((left, sorted(map(str, reached))))
        if any(isinstance(p, LogPosition) and p.offset > self.fork for p in reached):
            raise PositionLostError("beyond")


async def _claimed(target: MemoryTarget, session: MemorySession) -> Claim:
    return await claim(target, session, Claimant("source", "f", "host:1", "11" * 16))


async def _kept(source: Branching, rows: dict[str, str], *chunks: ChunkDone) -> str:
    """Run it over these stored checkpoints; the branch stored afterwards."""
    target = MemoryTarget(MemoryDatabase("target", logging=False), "r")
    await target.open()
    await target.prepare_control()
    async with target.session() as session:
        first = await _claimed(target, session)
        stored = {name: LaneRow(first.epoch, 0, text) for name, text in rows.items()}
        await store_rows(session, first.epoch, stored)
        claimed = await _claimed(target, session)
        claimed = Claim(claimed.epoch, False, claimed.lanes, (), chunks)
        try:
            await keep_branch(source, session, claimed, [T])
        finally:
            after = await _claimed(target, session)
        return after.lanes[BRANCH].position


async def test_the_first_branch_is_stored_without_a_question() -> None:
    source = Branching("3")
    assert await _kept(source, {FRONTIER: "0/10"}) == "3"
    assert source.asked == []


async def test_the_same_branch_is_no_news() -> None:
    source = Branching("3")
    assert await _kept(source, {BRANCH: "3", FRONTIER: "0/10"}) == "3"
    assert source.asked == []


async def test_everything_stored_is_checked_before_another_branch_is_stored() -> None:
    source = Branching("2", fork=0x40)
    chunk = ChunkDone(T, 0, "key", None, None, "1:1:", "0/40", 1)
    planned = ChunkDone(T, 1, "key", None, None, "", "", 0)
    rows = {BRANCH: "1", FRONTIER: "0/10", "public.t": "0/30", "*": "0/20", "load:0": ""}
    assert await _kept(source, rows, chunk, planned) == "2"
    assert source.asked == [("1", ["0/10", "0/20", "0/30", "0/40"])]


async def test_a_table_ahead_of_the_frontier_may_have_what_the_new_branch_lacks() -> None:
    source = Branching("2", fork=0x10)
    with pytest.raises(PositionLostError):
        await _kept(source, {BRANCH: "1", FRONTIER: "0/10", "public.t": "0/30"})
