"""What is measured about a running stream, and the alarms that follow from it."""

import asyncio
from collections.abc import Callable
from typing import Final

from engine.abilities import CoercingSource
from engine.apply.scheduler import Scheduler
from engine.checkpoint.frontier import Frontier
from engine.config.replication import ReplicationConfig
from engine.contracts import Source
from engine.errors import SourceConnectionError
from engine.lane_table import LaneTable
from engine.model.change import Block
from engine.model.retained import Retained
from engine.queue.bounded import Budget
from engine.retention import SOURCE_SECONDS
from engine.surroundings import Surroundings

GAUGES_SECONDS: Final = 1.0


class Gauges:
    """Reads the stations; changes nothing in them. `retained` judges what the source keeps."""

    def __init__(
        self,
        config: ReplicationConfig,
        source: Source,
        around: Surroundings,
        budget: Budget,
        scheduler: Scheduler,
        frontier: Frontier,
        lanes: LaneTable,
        *,
        retained: Callable[[Retained], None],
    ) -> None:
        self._config = config
        self._source = source
        self._around = around
        self._budget = budget
        self._scheduler = scheduler
        self._frontier = frontier
        self._lanes = lanes
        self._judge = retained
        self._received_us = 0
        self._at_head = False
        self._lag_bytes: int | None = None
        self._retained = Retained()

    def received(self, block: Block, rows: int, size: int) -> None:
        """A block was handed out."""
        if block.parts:
            self._received_us = block.parts[-1].transaction.committed_at_us
        self._at_head = block.idle is not None
        if rows:
            self._around.metrics.received(rows, size)

    async def run(self) -> None:
        """Show the gauges every second, until cancelled."""
        while True:
            await asyncio.sleep(GAUGES_SECONDS)
            self._show()

    def _show(self) -> None:
        metrics = self._around.metrics
        if isinstance(self._source, CoercingSource):
            for reason, count in self._source.coerced().items():
                metrics.coerced(reason, count)
        lanes = self._lanes.lanes()
        config = self._config
        appliers = config.budget(config.capacity.units_min).appliers
        metrics.queue(self._budget.used, sum([lane.rows for lane in lanes]))
        metrics.appliers(appliers, self._scheduler.busy)
        metrics.lanes(sum([lane.width for lane in lanes]))
        metrics.lag(
            0.0 if self._at_head else self._since(self._received_us),
            self._since(self._frontier.oldest_us),
            self._lag_bytes,
        )
        metrics.retained(self._retained.bytes, self._retained.transactions)
        queue = self._budget.used / self._budget.bytes_max
        metrics.utilization(max(queue, self._scheduler.busy / appliers))

    def _since(self, committed_at_us: int) -> float:
        """Seconds from a source commit to now; 0 when there is none."""
        if not committed_at_us:
            return 0.0
        return max(0.0, self._around.clock.wall() - committed_at_us / 1e6)

    async def watch_source(self) -> None:
        """Look at the source every ten seconds, until cancelled."""
        while True:
            try:
                await self._look()
            except SourceConnectionError:
                # Capture meets it too, and waits for the source; nothing is measured meanwhile.
                self._lag_bytes, self._retained = None, Retained()
            await asyncio.sleep(SOURCE_SECONDS)

    async def _look(self) -> None:
        head = await self._source.head()
        self._lag_bytes = self._frontier.position.distance(head)
        self._retained = await self._source.retained()
        self._judge(self._retained)
        self._around.noticed(self._source)
