"""Relief for memory: what waits in a lane that is held or stuck goes to disk, so others flow on.

A lane that is merely behind is not touched: then the full queue pushes back on the source, which is
what a full queue is for. A lane is stuck when it has been on an applier, or held, for a while with
more than its share of the queue.

When the disk has no room either, the source waits, and with it every table. A held lane ends that
by itself, when its load is through. One that an applier does not get rid of may not: its tables
stop, and only a new load makes them whole.
"""

import asyncio
from typing import Final

from engine.apply.lane import Lane
from engine.apply.scheduler import Scheduler
from engine.errors import LanesStuckError
from engine.frozen import Frozen
from engine.lane_table import LaneTable
from engine.machine import Clock
from engine.observe.log import Log
from engine.provision import Provision
from engine.queue.bounded import Budget
from engine.spool import SpoolRoom
from engine.surroundings import Unmoved

LOOK_SECONDS: Final = 0.5

STUCK_SECONDS: Final = 5.0
"""Longer than any batch takes on a target that works; short against the time in which neighbours
would be missed."""


STOP_SECONDS: Final = 60.0
"""How long a lane for which the source waits may go without a commit before its tables stop. Longer
than a target that works stands still (a checkpoint, a fail-over), for what is dropped must be
loaded again; short against what the source keeps for us meanwhile."""


class Overflow:
    """Watches lanes; `mend_seconds` is the time between two tries of a stopped table."""

    def __init__(
        self,
        lanes: LaneTable,
        budget: Budget,
        scheduler: Scheduler,
        room: SpoolRoom,
        clock: Clock,
        log: Log,
        provision: Provision,
        mend_seconds: float,
        unmoved: Unmoved,
    ) -> None:
        self._lanes = lanes
        self._budget = budget
        self._scheduler = scheduler
        self._room = room
        self._clock = clock
        self._log = log
        self._provision = provision
        self._mend_seconds = mend_seconds
        self._full: set[str] = set()
        self._since = unmoved
        self._mended_at = clock.monotonic()
        self._frozen = Frozen(clock)

    @property
    def _size_max(self) -> int:
        """One lane's share of the queue's budget."""
        return self._provision.budget.lane_bytes_max

    async def run(self) -> None:
        """Until cancelled.

        Raises:
            LanesStuckError: the source has waited long enough for lanes that do not move.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = self._clock.monotonic()
            self._leave_out(self._frozen.seconds())
            stuck = [lane for lane in self._lanes.lanes() if self._stuck(lane, now)]
            for lane in stuck:
                if lane.size > self._size_max:
                    self._spill(lane)
            hopeless = [lane for lane in stuck if self._hopeless(lane, now)]
            if hopeless:
                self._since.clear()
                raise LanesStuckError([table for lane in hopeless for table in lane.tables])
            if now - self._mended_at >= self._mend_seconds:
                self._mended_at = now
                self._try_stopped()

    def _leave_out(self, frozen: float) -> None:
        """Time in which nothing could be committed."""
        if frozen:
            for name, (since, moved) in self._since.items():
                self._since[name] = (since + frozen, moved)

    def _stuck(self, lane: Lane, now: float) -> bool:
        """Held or on an applier without a commit for `STUCK_SECONDS`."""
        if not lane.held and not lane.busy:
            if not lane.replaying:
                self._since.pop(lane.name, None)
            return False
        moved = sum([checkpoint.seq for checkpoint in lane.every])
        since, before = self._since.setdefault(lane.name, (now, moved))
        if before != moved:
            self._since[lane.name] = (now, moved)
            return False
        return now - since >= STUCK_SECONDS

    def _hopeless(self, lane: Lane, now: float) -> bool:
        """Whether the source, and with it other lanes, has waited long enough for a stuck one."""
        if lane.held or lane.no_room is None or lane.size <= self._size_max:
            return False
        alone = lane is self._lanes.whole or len(self._lanes.lanes()) == 1
        since, _ = self._since[lane.name]
        return self._budget.full and not alone and now - since >= STOP_SECONDS

    def _spill(self, lane: Lane) -> None:
        freed = lane.spill(self._room.spool(), self._size_max)
        self._tell_no_room(lane)
        if freed:
            self._budget.release(freed)
            self._log.warning(
                "a lane does not move; what waits in it goes to disk",
                action="overflow.spill",
                lane=lane.name,
                bytes=freed,
                hint="see what holds its tables up on the target (locks, a slow trigger)",
            )

    def _tell_no_room(self, lane: Lane) -> None:
        """Once, until there was room again."""
        if lane.no_room is None:
            self._full.discard(lane.name)
        elif lane.name not in self._full:
            self._full.add(lane.name)
            self._log.warning(
                "a lane does not move, and there is no room on disk for what waits in it",
                action="overflow.no-room",
                lane=lane.name,
                error=lane.no_room,
            )

    def _try_stopped(self) -> None:
        for lane in self._lanes.lanes():
            if lane.suspension is not None:
                lane.suspension.due = True
                self._scheduler.wake(lane)
