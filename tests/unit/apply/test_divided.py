"""What several appliers make durable of one table's batch, and what they leave to who divided."""

import asyncio
from zlib import crc32

import pytest

from connectors.memory.target import MemorySession
from engine.apply.applier import run_applier
from engine.apply.scheduler import Help, Scheduler
from engine.apply.shares import Share
from engine.errors import FenceFailedError
from engine.model.change import UPDATE, Change, Event, Truncate
from engine.model.position import LogPosition
from engine.model.segment import Segment
from engine.model.state import TableState
from engine.model.value import UNCHANGED
from tests.unit.apply.bench import Bench, accounts, insert, segment, update
from tests.unit.apply.test_applier import apply

ACCOUNTS = accounts()
A = ACCOUNTS.relation
BUCKETS = 4


def key_of(bucket: int, nth: int = 0) -> bytes:
    """The n-th key that falls into a bucket."""
    keys = (b"%d" % i for i in range(200))
    return [key for key in keys if crc32(key) % BUCKETS == bucket][nth]


def rows(nth: int = 0) -> list[Event]:
    """A row in each bucket."""
    return [insert(A, key_of(bucket, nth), b"x") for bucket in range(BUCKETS)]


def standing(bench: Bench) -> list[LogPosition]:
    return [LogPosition.parse(bench.checkpoint(ACCOUNTS, b).position) for b in range(BUCKETS)]


async def apply_with_two(bench: Bench, *segments: Segment) -> None:
    """Serve the lane with two appliers until nothing is ready."""
    async with bench.session() as first, bench.more_session() as second:
        helping = asyncio.create_task(run_applier(bench.station, second))
        await apply(bench, first, *segments)
        helping.cancel()


async def test_every_bucket_becomes_durable_with_its_position_and_the_batch_is_settled_once() -> (
    None
):
    bench = Bench([accounts()], buckets=BUCKETS)
    await apply_with_two(bench, segment(1, *rows()))
    assert bench.rows(ACCOUNTS) == sorted((key_of(b), b"x") for b in range(BUCKETS))
    assert standing(bench) == [LogPosition(110)] * BUCKETS
    assert (bench.released, len(bench.done), bench.commits) == (10, 1, BUCKETS)


async def test_one_applier_alone_does_all_shares() -> None:
    bench = Bench([accounts()], buckets=BUCKETS)
    async with bench.session() as session:
        await apply(bench, session, segment(1, *rows()))
    assert len(bench.rows(ACCOUNTS)) == BUCKETS
    assert bench.scheduler.busy == 0


async def test_a_key_that_moves_is_applied_after_both_buckets_and_before_them_again() -> None:
    old, new = key_of(0), key_of(1, 1)
    moving = Change(UPDATE, A, (new, UNCHANGED), (old, UNCHANGED))
    again = [update(A, new, b"moved"), insert(A, old, b"anew"), *rows(2)]
    bench = Bench([accounts()], buckets=BUCKETS)
    await apply_with_two(bench, segment(1, *rows(), moving, *again))
    there = bench.rows(ACCOUNTS)
    assert (old, b"anew") in there
    assert (new, b"moved") in there
    assert standing(bench) == [LogPosition(110)] * BUCKETS


async def test_a_truncate_moves_every_bucket_to_one_position() -> None:
    bench = Bench([accounts()], buckets=BUCKETS)
    truncate = segment(2, Truncate((A,)), insert(A, key_of(0), b"last"))
    await apply_with_two(bench, segment(1, *rows()), truncate)
    assert bench.rows(ACCOUNTS) == [(key_of(0), b"last")]
    assert standing(bench) == [LogPosition(210)] * BUCKETS


async def test_a_refused_row_stops_the_table_with_all_its_buckets() -> None:
    bench = Bench([accounts()], buckets=BUCKETS)
    bad = insert(A, key_of(2, 1), None)
    await apply_with_two(bench, segment(1, *rows(), bad), segment(2, *rows(3)))
    assert bench.record(ACCOUNTS).state is TableState.SUSPENDED
    assert LogPosition.parse(bench.record(ACCOUNTS).position) == LogPosition(100, 4)
    stand = standing(bench)
    assert stand[2] == LogPosition(100, 4)
    assert {stand[b] for b in (0, 1, 3)} <= {LogPosition(100, 4), LogPosition(210)}
    assert len(bench.stopped) == 1
    assert bench.lane.suspension is not None
    assert bench.released == 20
    assert len(bench.done) == 2
    assert {(key_of(bucket), b"x") for bucket in range(BUCKETS)} <= set(bench.rows(ACCOUNTS))


async def test_quarantine_keeps_the_row_and_goes_on() -> None:
    bench = Bench([accounts()], policy="quarantine", buckets=BUCKETS)
    bad = insert(A, key_of(2, 1), None)
    await apply_with_two(bench, segment(1, *rows(), bad), segment(2, *rows(3)))
    assert len(bench.rows(ACCOUNTS)) == 2 * BUCKETS
    assert len(bench.rejected()) == 1
    assert standing(bench) == [LogPosition(210)] * BUCKETS


async def test_another_owners_epoch_ends_it() -> None:
    bench = Bench([accounts()], buckets=BUCKETS)
    async with bench.session() as session:
        bench.lane.every[1].seq = 7
        with pytest.raises(FenceFailedError):
            await _serve(bench, session, segment(1, *rows()))
    assert bench.done == []


async def _serve(bench: Bench, session: MemorySession, one: Segment) -> None:
    bench.lane.offer(one)
    await run_applier(bench.station, session)


async def test_an_applier_without_work_is_given_a_share() -> None:
    scheduler = Scheduler()
    idle = asyncio.create_task(scheduler.take())
    await asyncio.sleep(0)
    shares = [Share([], [], LogPosition(1)) for _ in range(2)]
    division = scheduler.divide(shares)
    help_ = await idle
    assert isinstance(help_, Help)
    assert help_.share is shares[0]
    assert list(division.waiting) == shares[1:]
    assert scheduler.busy == 1
    over = asyncio.create_task(division.over())
    division.finished()
    await asyncio.sleep(0)
    assert not over.done()
    division.finished()
    await over
    scheduler.give_back(help_)
    assert scheduler.busy == 0
