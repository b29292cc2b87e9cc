"""Lanes are served in the order they became ready, and never by two."""

import asyncio

import pytest

from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane
from engine.apply.scheduler import Scheduler
from engine.errors import InvariantError
from engine.model.relation import TableName
from engine.observe.stages import Stages
from engine.spool import Spool, SpoolBudget
from tests.simulation.seams import SimulatedDisk
from tests.unit.apply.bench import accounts, insert, segment

A = accounts().relation


def lane_of(scheduler: Scheduler, name: str) -> Lane:
    checkpoint = Checkpoint(name, 1, 0, "0/0")
    return Lane(name, {TableName("public", name): checkpoint}, wake=scheduler.wake)


def fill(lane: Lane, number: int = 1) -> None:
    lane.offer(segment(number, insert(A, b"1", b"x")))


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_lane_that_waited_longest_comes_first() -> None:
    scheduler = Scheduler()
    lanes = [lane_of(scheduler, name) for name in "abc"]
    for lane in (lanes[1], lanes[0], lanes[2]):
        fill(lane)
    taken = [await scheduler.take() for _ in range(3)]
    assert taken == [lanes[1], lanes[0], lanes[2]]


async def test_a_lane_is_on_one_applier_at_a_time() -> None:
    scheduler = Scheduler()
    lane = lane_of(scheduler, "a")
    fill(lane)
    assert await scheduler.take() is lane
    fill(lane, 2)
    second = asyncio.create_task(scheduler.take())
    await settled()
    assert not second.done()
    scheduler.give_back(lane)
    assert await second is lane


async def test_a_lane_that_got_busy_while_it_was_ready_is_a_broken_invariant() -> None:
    scheduler = Scheduler()
    lane = lane_of(scheduler, "a")
    fill(lane)
    lane.busy = True
    with pytest.raises(InvariantError):
        await scheduler.take()


async def test_a_held_lane_is_not_served_until_it_is_let_go() -> None:
    scheduler = Scheduler()
    lane = lane_of(scheduler, "a")
    fill(lane)
    lane.held = True
    taking = asyncio.create_task(scheduler.take())
    await settled()
    assert not taking.done()
    lane.held = False
    scheduler.wake(lane)
    assert await taking is lane


async def test_who_holds_a_lane_waits_until_its_applier_is_through() -> None:
    scheduler = Scheduler()
    lane = lane_of(scheduler, "a")
    fill(lane)
    await scheduler.take()
    lane.held = True
    released = asyncio.create_task(scheduler.released(lane))
    await settled()
    assert not released.done()
    scheduler.give_back(lane)
    await released
    assert not lane.busy


async def test_idle_means_nothing_ready_and_nobody_at_work() -> None:
    scheduler = Scheduler()
    lane = lane_of(scheduler, "a")
    await scheduler.idle()
    fill(lane)
    idle = asyncio.create_task(scheduler.idle())
    await settled()
    assert not idle.done()
    assert await scheduler.take() is lane
    await settled()
    assert not idle.done()
    lane.take(10, 1 << 30)
    scheduler.give_back(lane)
    await idle


async def test_an_applier_that_waits_for_the_rest_of_a_transaction_counts_as_idle() -> None:
    scheduler = Scheduler()
    lane = lane_of(scheduler, "a")
    fill(lane)
    await scheduler.take()
    lane.take(10, 1 << 30)
    more = asyncio.create_task(scheduler.more(lane))
    await settled()
    await scheduler.idle()
    fill(lane, 2)
    idle = asyncio.create_task(scheduler.idle())
    await more
    assert not idle.done(), "what came is not applied yet"
    scheduler.give_back(lane)
    await settled()
    assert not idle.done()
    idle.cancel()


async def test_what_came_by_way_of_the_disk_is_more() -> None:
    scheduler = Scheduler()
    lane = lane_of(scheduler, "a")
    fill(lane)
    await scheduler.take()
    lane.take(10, 1 << 30)
    more = asyncio.create_task(scheduler.more(lane))
    await settled()
    lane.spool = Spool("s", SimulatedDisk(), SpoolBudget(1 << 20), bytes(32))
    fill(lane, 2)
    await asyncio.wait_for(more, 1.0)


async def test_a_lane_with_nothing_left_is_passed_over() -> None:
    scheduler = Scheduler()
    empty, full = lane_of(scheduler, "a"), lane_of(scheduler, "b")
    fill(empty)
    fill(full)
    empty.take(10, 1 << 30)
    assert await scheduler.take() is full


async def test_an_applier_that_is_one_too_many_passes_on_what_it_was_called_for() -> None:
    scheduler = Scheduler()
    lane = lane_of(scheduler, "a")
    scheduler.staff(2)
    for _ in range(2):
        scheduler.join()
    first, second = [asyncio.create_task(scheduler.take()) for _ in range(2)]
    await settled()
    fill(lane)
    scheduler.staff(1)
    assert await first is None
    assert await asyncio.wait_for(second, 1.0) is lane
    assert scheduler.serving == 1


async def test_an_applier_that_is_cancelled_as_it_is_called_passes_the_call_on() -> None:
    scheduler = Scheduler()
    lane = lane_of(scheduler, "a")
    first, second = [asyncio.create_task(scheduler.take()) for _ in range(2)]
    await settled()
    fill(lane)
    first.cancel()
    assert await asyncio.wait_for(second, 1.0) is lane


async def test_lanes_that_wait_and_appliers_at_work_are_counted() -> None:
    stages = Stages()
    scheduler = Scheduler(stages)
    lanes = [lane_of(scheduler, name) for name in "ab"]
    for lane in lanes:
        fill(lane)
    assert stages.applier.count == 2
    first, second = await scheduler.take(), await scheduler.take()
    assert first is lanes[0]
    assert second is lanes[1]
    assert (stages.applier.count, stages.target.count) == (0, 2)
    with scheduler.resting():
        assert stages.target.count == 1
    assert stages.target.count == 2
    scheduler.give_back(first)
    lanes[1].segments.clear()
    scheduler.give_back(second)
    assert (stages.applier.count, stages.target.count) == (1, 0)
    lanes[0].held = True
    waiting = asyncio.create_task(scheduler.take())
    await settled()
    assert (stages.applier.count, stages.target.count) == (0, 0)
    waiting.cancel()
