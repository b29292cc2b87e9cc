"""How far a stream is behind: as a whole and of each table, once a second, never per row."""

import asyncio
import math
from dataclasses import replace
from typing import Final

from engine.abilities import OpenTransactions
from engine.apply.backlog import NOTHING, Backlog, backlog
from engine.apply.lane import Lane
from engine.capacity.sample import SAMPLE_SECONDS
from engine.checkpoint.frontier import Frontier
from engine.contracts import Source
from engine.errors import SourceConnectionError, SourceError
from engine.lane_table import LaneTable
from engine.model.change import Block
from engine.model.position import Position
from engine.model.relation import TableName
from engine.observe.lag import SourceLag, TableLag
from engine.surroundings import Surroundings

LOOK_SECONDS: Final = 5.0
"""Time between two looks at the source's head and its open transactions: two cheap questions, and
a stream that stands still is told within half a minute."""

HEAD_SECONDS: Final = 3 * LOOK_SECONDS
"""How old a head may be from which a lag in bytes is told."""

SHOW_SECONDS: Final = SAMPLE_SECONDS

TELL_SECONDS: Final = 300.0
"""Time between two lines of the log on how far it is, as between PostgreSQL's on checkpoints."""

LOST: Final = TableLag(math.inf, None, None)
"""Of a table whose changes were dropped: it does not catch up by itself."""


class Lagging:
    """Reads the stations; changes nothing in them. `start` is where the stream begins."""

    def __init__(
        self,
        source: Source,
        around: Surroundings,
        frontier: Frontier,
        lanes: LaneTable,
        start: Position,
    ) -> None:
        self._source = source
        self._around = around
        self._frontier = frontier
        self._lanes = lanes
        self._read = start
        self._held_since: dict[str, float] = {}
        self._head: Position | None = None
        self._head_at = 0.0
        self._refused = ""
        self._tell_at = 0.0
        self.reading = SourceLag(around.clock)

    def received(self, block: Block) -> None:
        """A block was handed out."""
        committed_us = 0
        if block.parts:
            last = block.parts[-1]
            committed_us = last.transaction.committed_at_us
            self._read = last.end or self._read
        if block.idle is not None:
            self._read = block.idle
        if block.parts or block.idle is not None:
            self.reading.received(committed_us, drained=block.idle is not None)

    def behind(self) -> int:
        """Changes that were read and are not durable; those of stopped tables do not count."""
        found = [backlog(lane) for lane in self._lanes.lanes()]
        return sum([waiting.rows for waiting in found if not waiting.stopped])

    @property
    def target_seconds(self) -> float:
        """Age of the oldest change that was read and is not durable; 0 when there is none."""
        return self.waiting_seconds(0.0)

    def waiting_seconds(self, clocks_apart: float) -> float:
        """The same, where our clock is known to be so many seconds ahead of the source's."""
        return self._since(self._frontier.oldest_us, clocks_apart)

    def show(self) -> None:
        """Tell the metrics. Before it is known how far reading is behind, what is told grows."""
        metrics = self._around.metrics
        self.reading.reached(self._read)
        read = self.reading.seconds
        if read is None and metrics.latency_source_seconds is not None:
            metrics.lag_unmeasured(SHOW_SECONDS)
            return
        metrics.lag(read, self.target_seconds, self._bytes())
        metrics.lag_by_table(self._by_table())
        if read is not None:
            self._tell(read)

    def _tell(self, read: float) -> None:
        """A line of the log now and then, the first as soon as it is known."""
        now = self._around.clock.monotonic()
        if now < self._tell_at:
            return
        self._tell_at = now + TELL_SECONDS
        self._around.log.info(
            "latency",
            action="lag.latency",
            source_seconds=round(read, 1),
            target_seconds=round(self.target_seconds, 1),
            rows_waiting=self.behind(),
            position=self._around.metrics.position,
        )

    def _bytes(self) -> int | None:
        late = self._around.clock.monotonic() - self._head_at > HEAD_SECONDS
        if self._head is None or late:
            return None
        return self._frontier.position.distance(self._head)

    def _by_table(self) -> dict[TableName, TableLag]:
        read = self.reading.read_seconds
        unread = TableLag(read)
        found: dict[TableName, TableLag] = {}
        for lane in self._lanes.lanes():
            lag = self._loading(lane, self._of(backlog(lane), read, unread))
            for table in lane.tables:
                found[table] = LOST if table in lane.stopped else lag
        return found

    def _loading(self, lane: Lane, lag: TableLag) -> TableLag:
        """While its rows are copied a table is what it was before, at best."""
        if not lane.held:
            self._held_since.pop(lane.name, None)
            return lag
        now = self._around.clock.monotonic()
        since = now - self._held_since.setdefault(lane.name, now)
        return replace(lag, seconds=max(lag.seconds or 0.0, since))

    def _of(self, waiting: Backlog, read: float | None, unread: TableLag) -> TableLag:
        """A change that was not read may be of any table."""
        if waiting is NOTHING:
            return unread
        if waiting.lost:
            return LOST
        seconds = max(self._since(waiting.oldest_us), read or 0.0) if waiting.rows else read
        return TableLag(seconds, waiting.bytes, waiting.rows)

    def _since(self, committed_at_us: int, clocks_apart: float = 0.0) -> float:
        """Seconds from a source commit to now; 0 when there is none."""
        if not committed_at_us:
            return 0.0
        return max(0.0, self._around.clock.wall() - clocks_apart - committed_at_us / 1e6)

    async def watch(self) -> None:
        """Look at the source every five seconds, until cancelled. What it refuses to tell is not
        measured; that ends nothing."""
        while True:
            try:
                await self._look_at_head()
                await self._look_for_open()
            except SourceConnectionError:
                # Capture meets it too, and waits for the source; nothing is measured meanwhile.
                self._head = None
            await asyncio.sleep(LOOK_SECONDS)

    async def _look_at_head(self) -> None:
        asked_at = self._around.clock.monotonic()
        try:
            self._head = await self._source.head()
        except SourceConnectionError:
            raise
        except SourceError as error:
            self._head = None
            self._unmeasured(error)
            return
        self._head_at = asked_at
        self.reading.head(self._head, asked_at)

    async def _look_for_open(self) -> None:
        if not isinstance(self._source, OpenTransactions):
            return
        age = None
        try:
            age = await self._source.oldest_open()
        except SourceConnectionError:
            raise
        except SourceError as error:
            self._unmeasured(error)
        self.reading.open_since(None if age is None else self._around.clock.monotonic() - age)

    def _unmeasured(self, error: SourceError) -> None:
        """Say what the source refuses, once while it is the same."""
        if error.message != self._refused:
            self._refused = error.message
            self._around.log.warning(
                "the lag is measured in part only: the source refuses to tell",
                action="lag.refused",
                error=error,
                hint=error.hint,
            )
