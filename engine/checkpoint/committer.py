"""Store the frontier in the target, then tell the source: in this order, never another."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from engine.checkpoint.frontier import Frontier
from engine.config.intervals import IntervalsConfig
from engine.contracts import Source, TargetSession
from engine.failpoint import hit, register
from engine.machine import Clock
from engine.model.position import Position
from engine.model.state import FRONTIER, Fence, LaneRow

STORED: Final = register("checkpoint.stored", "the frontier is durable, the source not told")
ACKNOWLEDGED: Final = register("checkpoint.acknowledged", "the source has been told")


class Committer:
    """Stores `frontier.position` beside the lanes. `acknowledge_delay_seconds` keeps log on the
    source for targets that fail over to a copy that may lack the newest commits."""

    def __init__(
        self,
        frontier: Frontier,
        row: LaneRow,
        source: Source,
        clock: Clock,
        intervals: IntervalsConfig,
        *,
        committed: Callable[[], None],
        acknowledge_delay_seconds: float = 0.0,
    ) -> None:
        self._frontier = frontier
        self._row = row
        self._source = source
        self._clock = clock
        self._intervals = intervals
        self._committed = committed
        self._delay = acknowledge_delay_seconds
        self._waiting: deque[tuple[float, Position]] = deque()
        self._stored_at = clock.monotonic()
        self.stored = str(row.position)
        self.acknowledged: Position | None = None

    async def run(self, session: TargetSession, stop: asyncio.Event) -> None:
        """Store and acknowledge until `stop` is set, then once more. Not to be cancelled for a
        clean end: a store whose outcome is unknown could not be followed by another."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(self._intervals.frontier_seconds):
                    await stop.wait()
            except TimeoutError:
                pass
            if stop.is_set() or self._due():
                await self.commit(session)
            await self._acknowledge()

    def _due(self) -> bool:
        if self._frontier.rows_moved:
            return True
        return self._clock.monotonic() - self._stored_at >= self._intervals.frontier_idle_seconds

    async def commit(self, session: TargetSession) -> None:
        """Store the frontier if it has moved; then acknowledge what was stored long enough ago."""
        position = self._frontier.position
        self._frontier.rows_moved = False
        text = str(position)
        if text != self._row.position:
            row = self._row
            fence = Fence(FRONTIER, row.epoch, row.seq, text)
            async with session.begin([fence]) as transaction:
                await transaction.commit()
            self._row = LaneRow(row.epoch, row.seq + 1, text)
            self._stored_at = self._clock.monotonic()
            self.stored = text
            self._committed()
            hit(STORED)
            self._waiting.append((self._stored_at + self._delay, position))
        await self._acknowledge()

    async def _acknowledge(self) -> None:
        now = self._clock.monotonic()
        position: Position | None = None
        while self._waiting and self._waiting[0][0] <= now:
            position = self._waiting.popleft()[1]
        if position is not None:
            await self._source.acknowledge(position)
            self.acknowledged = position
            hit(ACKNOWLEDGED)
