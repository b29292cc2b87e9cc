"""What is measured about a running stream, and the alarms that follow from it."""

import asyncio
from collections.abc import Callable
from typing import Final

from engine.abilities import CoercingSource
from engine.apply.scheduler import Scheduler
from engine.capacity.sample import SAMPLE_SECONDS, Phase, Sample
from engine.config.replication import ReplicationConfig
from engine.contracts import Source
from engine.errors import SourceConnectionError
from engine.judging import Judging, Standing
from engine.lagging import Lagging
from engine.lane_table import LaneTable
from engine.measuring import Reading, rate
from engine.model.change import Block
from engine.model.retained import Retained
from engine.queue.bounded import Budget
from engine.retention import SOURCE_SECONDS
from engine.surroundings import Surroundings

NEWEST_SECONDS: Final = SAMPLE_SECONDS / 2
"""Age up to which a sample is given to whoever asks: all who ask once a second see the same one."""


class Gauges:
    """Reads the stations; changes nothing in them. `retained` judges what the source keeps."""

    def __init__(
        self,
        config: ReplicationConfig,
        source: Source,
        around: Surroundings,
        budget: Budget,
        scheduler: Scheduler,
        lanes: LaneTable,
        judging: Judging,
        lagging: Lagging,
        *,
        retained: Callable[[Retained], None],
    ) -> None:
        self._config = config
        self._source = source
        self._around = around
        self._budget = budget
        self._scheduler = scheduler
        self._lanes = lanes
        self._judging = judging
        self._source_age = 0.0
        self._clocks_apart: float | None = None
        self._lagging = lagging
        self._judge = retained
        self._received_us = 0
        self._at_head = False
        self._retained = Retained()
        self._last = Reading.take(around)
        self._newest: Sample | None = None

    def received(self, block: Block, rows: int, size: int) -> None:
        """A block was handed out."""
        if block.parts:
            self._received_us = block.parts[-1].transaction.committed_at_us
        self._at_head = block.idle is not None
        self._source_age = self._age(block)
        self._lagging.received(block)
        if rows:
            self._around.metrics.received(rows, size)

    def _age(self, block: Block) -> float:
        """How old the newest change of a block was when it came, without what the two clocks differ
        by. The age it had when it was sent says nothing of megabytes on a slow way; the shortest
        way there ever was tells the clocks' difference."""
        if self._at_head or not self._received_us:
            return 0.0
        seen = self._around.clock.wall() - self._received_us / 1e6
        apart = seen - block.age
        known = self._clocks_apart
        self._clocks_apart = apart if known is None else min(known, apart)
        return max(0.0, seen - self._clocks_apart)

    async def run(self) -> None:
        """Measure, and show the gauges every second, until cancelled; what only a stream can
        measure is not shown any longer then."""
        try:
            with self._around.sampler.by(self.sample):
                while True:
                    await asyncio.sleep(SAMPLE_SECONDS)
                    self._show(self.sample())
        finally:
            self._around.metrics.without_stream()

    def sample(self) -> Sample:
        """What happened in the second that ends now, or ended just now."""
        now = self._around.clock.monotonic()
        newest = self._newest
        if newest is None or not 0.0 <= now - newest.at < NEWEST_SECONDS:
            newest = self._newest = self._measure()
        return newest

    def _measure(self) -> Sample:
        last, reading = self._last, Reading.take(self._around)
        self._last = reading
        provision = self._around.provision
        budget = provision.budget
        self._judging.take(reading, self._standing(self._appliers))
        return Sample(
            at=reading.at,
            phase=self._phase(),
            units=provision.units,
            memory=reading.memory(budget.memory_bytes),
            queue=self._budget.used / budget.queue_bytes_max,
            appliers=rate(last, reading, "target", self._appliers),
            rows_in=rate(last, reading, "rows_in"),
            rows_out=rate(last, reading, "rows_out"),
            backlog_rows=self._lagging.behind(),
            lag_seconds=self._lagging.waiting_seconds(self._clocks_apart or 0.0),
            lanes=self._working_lanes(),
            cause=self._judging.cause,
        )

    @property
    def _appliers(self) -> int:
        """How many there are: a target may not give all that are provisioned."""
        return self._scheduler.serving or self._around.provision.budget.appliers

    def _standing(self, appliers: int) -> Standing:
        lanes = self._lanes.lanes()
        split = [lane.width for lane in lanes if lane.split and lane.busy and lane.waiting]
        return Standing(
            appliers=appliers,
            backlog_rows=self._lagging.behind(),
            more=sum([max(0, width - appliers) for width in split]),
            source_age=self._source_age,
            overflowed=any(lane.spool is not None for lane in lanes),
        )

    def _phase(self) -> Phase:
        away = self._around.metrics.current_state == Phase.RETRYING
        return Phase.RETRYING if away else Phase.STREAMING

    def _working_lanes(self) -> int:
        """Lanes with work; one that is split may be on as many appliers as it has buckets."""
        return sum([lane.width for lane in self._lanes.lanes() if lane.busy or lane.waiting])

    def _show(self, sample: Sample) -> None:
        metrics = self._around.metrics
        if isinstance(self._source, CoercingSource):
            for reason, count in self._source.coerced().items():
                metrics.coerced(reason, count)
        lanes = self._lanes.lanes()
        metrics.queue(self._budget.used, sample.backlog_rows)
        metrics.appliers(self._appliers, self._scheduler.busy)
        metrics.lanes(sum([lane.width for lane in lanes]))
        self._lagging.show()
        metrics.retained(self._retained.bytes, self._retained.transactions)
        metrics.stages(self._around.stages.seconds())

    async def watch_source(self) -> None:
        """Look at the source every ten seconds, until cancelled."""
        while True:
            try:
                await self._look()
            except SourceConnectionError:
                # Capture meets it too, and waits for the source; nothing is measured meanwhile.
                self._retained = Retained()
            await asyncio.sleep(SOURCE_SECONDS)

    async def _look(self) -> None:
        self._retained = await self._source.retained()
        self._judge(self._retained)
        self._around.noticed(self._source)
