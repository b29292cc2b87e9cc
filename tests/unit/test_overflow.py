"""When a lane that does not move costs its tables their place in the stream."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest

from engine import overflow
from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane
from engine.apply.scheduler import Scheduler
from engine.config.capacity import LANE_SHARE, QUEUE_SHARE, CapacityConfig
from engine.errors import LanesStuckError
from engine.lane_table import LaneTable
from engine.model.position import LogPosition
from engine.model.relation import TableName
from engine.observe.log import Log
from engine.overflow import STOP_SECONDS, Overflow
from engine.provision import Provision
from engine.queue.bounded import Budget
from engine.spool import SpoolRoom
from engine.surroundings import Unmoved
from tests.simulation.seams import SimulatedDisk
from tests.unit.apply.bench import accounts, insert, segment

SIZE_MAX = 100
MEMORY_BYTES = SIZE_MAX * QUEUE_SHARE * LANE_SHARE
"""Of which a lane's share is that much."""


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


async def _look(
    lanes: Lanes,
    *,
    disk_bytes: int = 0,
    waited_for: bool = True,
    seconds: float = 2 * STOP_SECONDS,
    clock: Seconds | None = None,
    unmoved: Unmoved | None = None,
) -> None:
    """Let it look for so long, by its own clock."""
    clock = clock or Seconds()
    until = clock.now + seconds
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
        Provision(CapacityConfig(unit_memory_bytes=MEMORY_BYTES).budget, 1),
        1e9,
        {} if unmoved is None else unmoved,
    ).run()
    looking = asyncio.ensure_future(watching)
    try:
        while not looking.done() and clock.now < until:
            await asyncio.sleep(0)
        looking.cancel()
        await looking
    except asyncio.CancelledError:
        return
    finally:
        waiting.cancel()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflow, "LOOK_SECONDS", 0)


OTHER = Lane("other", {TableName("public", "other"): Checkpoint("other", 1, 0, "0/0")})


async def test_without_room_a_lane_that_does_not_move_stops_so_that_the_others_flow() -> None:
    with pytest.raises(LanesStuckError, match=r"writes to public\.stuck do not end") as caught:
        await _look(Lanes([_lane("stuck"), OTHER]))
    assert caught.value.context["tables"] == (TableName("public", "stuck"),)


class FrozenOnce(Seconds):
    """Of a process that stands still for long, once."""

    frozen = False

    def monotonic(self) -> float:
        if self.now > STOP_SECONDS / 2 and not self.frozen:
            self.now += 10 * STOP_SECONDS
            self.frozen = True
        return super().monotonic()


async def test_time_in_which_nothing_ran_gives_no_lane_up() -> None:
    lanes, clock = Lanes([_lane("stuck"), OTHER]), FrozenOnce()
    await _look(lanes, clock=clock, seconds=10.5 * STOP_SECONDS)
    assert clock.frozen
    with pytest.raises(LanesStuckError):
        await _look(Lanes([_lane("stuck"), OTHER]), clock=FrozenOnce(), seconds=12 * STOP_SECONDS)


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


async def test_the_time_goes_on_when_the_link_is_given_up_meanwhile() -> None:
    """A target that reads nothing has its link given up sooner than a table; the stream then comes
    again to what the lane does not get rid of."""
    clock, unmoved = Seconds(), Unmoved()
    half: dict[str, Any] = {"clock": clock, "unmoved": unmoved, "seconds": 0.6 * STOP_SECONDS}
    await _look(Lanes([_lane("stuck"), OTHER]), **half)
    again = Lane(
        "stuck",
        {TableName("public", "stuck"): Checkpoint("stuck", 1, 0, "0/0", replay=LogPosition(1))},
    )
    await _look(Lanes([again, OTHER]), **half | {"seconds": 5.0})
    with pytest.raises(LanesStuckError):
        await _look(Lanes([_lane("stuck"), OTHER]), **half)
    assert unmoved == {}
