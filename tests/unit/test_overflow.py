"""When a lane that does not move costs its tables their place in the stream."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import pytest

from engine import overflow
from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane
from engine.apply.scheduler import Scheduler
from engine.errors import LanesStuckError
from engine.lane_table import LaneTable
from engine.model.relation import TableName
from engine.observe.log import Log
from engine.overflow import STOP_SECONDS, Overflow
from engine.queue.bounded import Budget
from engine.spool import SpoolRoom
from tests.simulation.seams import SimulatedDisk
from tests.unit.apply.bench import accounts, insert, segment

SIZE_MAX = 100


class Seconds:
    """A clock that is a second later at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now

    def wall(self) -> float:
        return self.now


@dataclass
class Lanes:
    every: Sequence[Lane]
    whole: Lane | None = None

    def lanes(self) -> Sequence[Lane]:
        return self.every


def _lane(name: str) -> Lane:
    """On an applier, with more than its share."""
    progress = Checkpoint(name, 1, 0, "0/0")
    lane = Lane(name, {TableName("public", name): progress}, busy=True)
    lane.offer(segment(1, insert(accounts().relation, b"1", b"x"), size=2 * SIZE_MAX))
    return lane


async def _look(lanes: Lanes, *, disk_bytes: int = 0, waited_for: bool = True) -> Seconds:
    """Let it look for a while; the clock when it has had enough."""
    clock = Seconds()
    budget = Budget(SIZE_MAX * 100)
    await budget.reserve(SIZE_MAX * 100)
    waiting = asyncio.ensure_future(budget.reserve(1 if waited_for else 0))
    await asyncio.sleep(0)
    watching = Overflow(
        cast(LaneTable, lanes),
        budget,
        Scheduler(),
        SpoolRoom(SimulatedDisk(disk_bytes), 1 << 20, bytes(32)),
        clock,
        Log(lambda _: None, clock),
        SIZE_MAX,
        1e9,
    ).run()
    looking = asyncio.ensure_future(watching)
    try:
        while not looking.done() and clock.now < 2 * STOP_SECONDS:
            await asyncio.sleep(0)
        looking.cancel()
        await looking
    except asyncio.CancelledError:
        return clock
    finally:
        waiting.cancel()
    return clock


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflow, "LOOK_SECONDS", 0)


OTHER = Lane("other", {TableName("public", "other"): Checkpoint("other", 1, 0, "0/0")})


async def test_without_room_a_lane_that_does_not_move_stops_so_that_the_others_flow() -> None:
    with pytest.raises(LanesStuckError, match=r"writes to public\.stuck do not end") as caught:
        await _look(Lanes([_lane("stuck"), OTHER]))
    assert caught.value.context["tables"] == (TableName("public", "stuck"),)


async def test_a_lane_that_nobody_waits_for_keeps_its_place() -> None:
    held, moving = _lane("held"), _lane("moving")
    held.held = True
    await _look(Lanes([held, OTHER]))
    await _look(Lanes([_lane("alone")]))
    whole = _lane("whole")
    await _look(Lanes([whole, OTHER], whole=whole))
    await _look(Lanes([_lane("stuck"), OTHER]), waited_for=False)
    await _look(Lanes([_lane("stuck"), OTHER]), disk_bytes=1 << 20)
    moving.busy = False
    await _look(Lanes([moving, OTHER]))
