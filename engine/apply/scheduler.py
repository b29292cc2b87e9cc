"""What is served next: a share of a batch that is being applied, else the ready lane that has
waited longest."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from engine.apply.lane import Lane
from engine.apply.shares import Share
from engine.errors import InvariantError
from engine.observe.stages import Stages


class Division:
    """Shares of one piece, on their way. Who divides takes shares like any other applier, so it
    waits for nothing but what others have taken."""

    def __init__(self, shares: Sequence[Share]) -> None:
        self.waiting = deque(shares)
        self._open = len(shares)
        self._over = asyncio.Event()

    def finished(self) -> None:
        """One share is durable or refused."""
        self._open -= 1
        if not self._open:
            self._over.set()

    async def over(self) -> None:
        """Wait for every share."""
        await self._over.wait()


@dataclass(slots=True)
class Help:
    """A share that an applier takes beside the one who divides."""

    share: Share
    division: Division


class Scheduler:
    """Ready lanes in the order they became ready. A lane is in at most one place: waiting here,
    or on one applier. `stages` is told of lanes that wait and of appliers at work."""

    def __init__(self, stages: Stages | None = None) -> None:
        self._stages = stages or Stages()
        self._ready: deque[Lane] = deque()
        self._queued: set[str] = set()
        self._divisions: deque[Division] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self.busy = 0
        self.serving = 0
        """Appliers that have joined and were not dismissed."""
        self._wanted = 0
        self._parked: list[Lane] = []
        """Lanes whose applier waits for more, or has yet to notice that there is."""
        self._more = asyncio.Event()
        self._freed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def wake(self, lane: Lane) -> None:
        """Something may be there to serve in this lane."""
        if lane.busy:
            self._more.set()
            self._idle.clear()
        elif lane.serviceable and lane.name not in self._queued:
            self._queued.add(lane.name)
            self._ready.append(lane)
            self._stages.applier.add(1)
            self._idle.clear()
            self._notify()

    def divide(self, shares: Sequence[Share]) -> Division:
        """Offer shares to appliers that have nothing to do, or come to look for more."""
        division = Division(shares)
        self._divisions.append(division)
        for _ in shares[1:]:
            self._notify()
        return division

    def staff(self, wanted: int) -> None:
        """That many appliers are to serve: who is one too many is dismissed by its next `take`,
        between two works and never within one."""
        self._wanted = wanted
        for _ in range(self.serving - wanted):
            self._notify()  # a call for each: one for work may reach who leaves, and this another

    def join(self) -> None:
        """One more applier serves from now on."""
        self.serving += 1

    async def take(self) -> Lane | Help | None:
        """Wait for a share, or for a lane and mark it busy; `give_back` must follow. None: who asks
        is dismissed, and holds nothing."""
        while True:
            if self.serving > self._wanted:
                self.serving -= 1
                return None
            while self._divisions:
                division = self._divisions[0]
                if division.waiting:
                    self._begin()
                    return Help(division.waiting.popleft(), division)
                self._divisions.popleft()
            while self._ready:
                lane = self._ready.popleft()
                self._stages.applier.add(-1)
                self._queued.discard(lane.name)
                if lane.busy:
                    raise InvariantError(f"lane {lane.name} is on two appliers")
                if lane.serviceable:
                    lane.busy = True
                    self._begin()
                    return lane
                self._settle()
            await self._wait()

    def _begin(self) -> None:
        self.busy += 1
        self._stages.target.add(1)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """An applier has work, and does nothing for it inside the context."""
        self._stages.target.add(-1)
        try:
            yield
        finally:
            self._stages.target.add(1)

    def give_back(self, work: Lane | Help) -> None:
        self.busy -= 1
        self._stages.target.add(-1)
        self._stages.batches += 1
        if isinstance(work, Lane):
            work.busy = False
            self._freed.set()
            self.wake(work)
        self._settle()

    @property
    def pressed(self) -> bool:
        """Whether lanes wait for an applier."""
        return bool(self._ready)

    async def more(self, lane: Lane) -> None:
        """Wait until a lane that is on an applier holds something again."""
        while not lane.waiting:
            self._more.clear()
            self._parked.append(lane)
            self._settle()
            try:
                with self.resting():
                    await self._more.wait()
            finally:
                self._parked.remove(lane)

    async def released(self, lane: Lane) -> None:
        """Wait until the lane is on no applier. Hold it first, or it may be taken again."""
        while lane.busy:
            self._freed.clear()
            await self._freed.wait()

    async def idle(self) -> None:
        """Wait until no lane is ready and none is on an applier that has something to do."""
        self._settle()
        await self._idle.wait()

    def _settle(self) -> None:
        waiting = any(lane.waiting for lane in self._parked)
        if not self._ready and self.busy == len(self._parked) and not waiting:
            self._idle.set()

    async def _wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._notify()  # it was called, and is dismissed: another one is to come
            raise
        finally:
            if future in self._waiters:
                self._waiters.remove(future)

    def _notify(self) -> None:
        while self._waiters:
            future = self._waiters.popleft()
            if not future.done():
                future.set_result(None)
                return
