"""Two owners, whatever the order in which they act: at most one makes progress."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from connectors.memory.database import MemoryDatabase
from connectors.memory.target import MemorySession, MemoryTarget
from engine.checkpoint import ownership
from engine.checkpoint.ownership import Claimant, SeqSum, claim, read_rows, store_rows, watch
from engine.errors import (
    ConfigError,
    FencedError,
    FenceFailedError,
    SourceIdentityError,
    TargetBusyError,
    TargetRewoundError,
)
from engine.model.relation import TableName
from engine.model.state import Fence, LaneRow, TableRecord, TableState

FIRST = Claimant("source", "slot=1", "host:1", "11" * 16)
SECOND = Claimant("source", "slot=1", "host:2", "22" * 16)
ROW = LaneRow(1, 0, "0/0")


class Server:
    def __init__(self) -> None:
        self.database = MemoryDatabase("target", logging=False)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[tuple[MemoryTarget, MemorySession]]:
        target = MemoryTarget(self.database, "r", lock_timeout_seconds=0.01)
        await target.open()
        await target.prepare_control()
        async with target.session() as session:
            yield target, session


async def noticing(session: MemorySession, epoch: int, committed: SeqSum) -> None:
    """Watch, for a while: who notices nothing would go on for ever."""
    async with asyncio.timeout(5.0):
        await watch(session, epoch, committed)


async def advance(session: MemorySession, epoch: int, seq: int) -> None:
    async with session.begin([Fence("lane", epoch, seq, "0/1")]) as transaction:
        await transaction.commit()


async def test_the_first_claim_finds_nothing() -> None:
    async with Server().process() as (target, session):
        claimed = await claim(target, session, FIRST)
    assert (claimed.epoch, claimed.fresh, dict(claimed.lanes)) == (1, True, {})


async def test_a_claim_gives_what_the_rows_held_and_fences_the_predecessor() -> None:
    server = Server()
    async with server.process() as (target, first), server.process() as (other, second):
        await claim(target, first, FIRST)
        await store_rows(first, 1, {"lane": ROW})
        await advance(first, 1, 0)
        claimed = await claim(other, second, SECOND)
        assert dict(claimed.lanes) == {"lane": LaneRow(2, 1, "0/1")}
        with pytest.raises(FenceFailedError):
            await advance(first, 1, 1)
        await advance(second, 2, 1)


async def test_the_predecessor_can_make_no_row_and_read_none_for_its_own() -> None:
    server = Server()
    async with server.process() as (target, first), server.process() as (other, second):
        await claim(target, first, FIRST)
        await store_rows(first, 1, {"lane": ROW})
        await claim(other, second, SECOND)
        table = TableRecord(TableName("public", "t"), TableState.STREAMING)
        with pytest.raises(FencedError):
            await store_rows(first, 1, {"new": ROW}, [table])
        with pytest.raises(FencedError):
            await read_rows(first, 1)


async def test_a_claim_waits_for_a_commit_in_progress() -> None:
    server = Server()
    async with server.process() as (target, first), server.process() as (other, second):
        await claim(target, first, FIRST)
        await store_rows(first, 1, {"lane": ROW})
        async with first.begin([Fence("lane", 1, 0, "0/9")]) as open_one:
            with pytest.raises(TargetBusyError):
                await claim(other, second, SECOND)
            await open_one.commit()
        claimed = await claim(other, second, SECOND)
    assert claimed.lanes["lane"] == LaneRow(2, 1, "0/9")


async def test_sessions_of_a_predecessor_that_hangs_are_ended() -> None:
    server = Server()
    async with server.process() as (target, first), server.process() as (other, second):
        await claim(target, first, FIRST)
        await store_rows(first, 1, {"lane": ROW})
        async with target.session() as applier:
            await ownership.record_sessions(first, 1, [applier.identity])
            async with applier.begin([Fence("lane", 1, 0, "0/9")]):
                claimed = await claim(other, second, SECOND)
    assert claimed.lanes["lane"] == LaneRow(2, 0, "0/0")


async def test_an_owner_that_lost_the_target_knows_who_took_over() -> None:
    server = Server()
    async with server.process() as (target, first), server.process() as (other, second):
        await claim(target, first, FIRST)
        await claim(other, second, SECOND)
        with pytest.raises(FencedError, match="host:2"):
            await claim(target, first, FIRST, held_epoch=1)


async def test_a_claim_of_ours_whose_answer_was_lost_does_not_fence_us() -> None:
    server = Server()
    async with server.process() as (target, first):
        await claim(target, first, FIRST)
        await claim(target, first, FIRST, held_epoch=1)  # it happened, and we were not told
        claimed = await claim(target, first, FIRST, held_epoch=1)
    assert claimed.epoch == 3


async def test_a_target_that_lost_our_claim_is_claimed_above_it() -> None:
    server = Server()
    async with server.process() as (target, session):
        await claim(target, session, SECOND)
        for held in (None, 2, 3):
            claimed = await claim(target, session, FIRST, held_epoch=held)
    server.database.lose_commits(3)
    async with server.process() as (target, session):
        again = await claim(target, session, FIRST, held_epoch=claimed.epoch)
    assert again.epoch > claimed.epoch


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (replace(SECOND, identity="elsewhere"), SourceIdentityError),
        (replace(SECOND, fingerprint="slot=2"), ConfigError),
    ],
)
async def test_another_source_or_meaning_is_refused_before_anything_is_touched(
    other: Claimant, error: type[Exception]
) -> None:
    server = Server()
    async with server.process() as (target, session):
        await claim(target, session, FIRST)
        await store_rows(session, 1, {"lane": ROW})
        with pytest.raises(error):
            await claim(target, session, other)
        await advance(session, 1, 0)


# --- the watch ------------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "WATCH_SECONDS", 0.0)


@pytest.mark.usefixtures("at_once")
async def test_an_idle_owner_notices_a_newer_one() -> None:
    server = Server()
    async with server.process() as (target, first), server.process() as (other, second):
        await claim(target, first, FIRST)
        await claim(other, second, SECOND)
        with pytest.raises(FencedError, match="host:2"):
            await noticing(first, 1, SeqSum(0))


@pytest.mark.usefixtures("at_once")
async def test_commits_that_are_gone_are_noticed() -> None:
    server = Server()
    async with server.process() as (target, session):
        await claim(target, session, FIRST)
        await store_rows(session, 1, {"lane": ROW})
        with pytest.raises(TargetRewoundError):
            await noticing(session, 1, SeqSum(1))


@pytest.mark.usefixtures("at_once")
async def test_an_owner_row_that_is_gone_is_no_newer_owner() -> None:
    async with Server().process() as (_, session):
        with pytest.raises(TargetRewoundError):
            await noticing(session, 1, SeqSum(0))
