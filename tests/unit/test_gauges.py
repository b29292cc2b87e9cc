"""What a stream measures of itself, and what is left of that when it ends."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import cast

import pytest

from engine import gauges as gauges_module
from engine.apply.scheduler import Scheduler
from engine.capacity.sampler import Sampler
from engine.checkpoint.frontier import Frontier
from engine.config.replication import ReplicationConfig
from engine.contracts import Source
from engine.gauges import Gauges
from engine.judging import Judging
from engine.lagging import Lagging
from engine.lane_table import LaneTable
from engine.measuring import without_stream
from engine.model.change import Block, Part, Transaction
from engine.model.position import LogPosition
from engine.model.usage import Usage
from engine.observe.metrics import Metrics
from engine.observe.stages import Stages
from engine.queue.bounded import Budget
from engine.surroundings import Surroundings
from tests.unit.set_clock import Clock

START = LogPosition(100)


class Bench:
    """The gauges of a stream whose stations stand still."""

    def __init__(self) -> None:
        self.clock = clock = Clock()
        self.metrics = metrics = Metrics("r")
        meter = SimpleNamespace(read=Usage)
        budget = SimpleNamespace(appliers=2, memory_bytes=1, queue_bytes_max=1)
        provision = SimpleNamespace(units=1, budget=budget, helped=None)
        sampler = Sampler(lambda: without_stream(clock, meter, metrics, provision))  # type: ignore[arg-type]
        around = cast(
            "Surroundings",
            SimpleNamespace(
                clock=clock,
                metrics=metrics,
                meter=meter,
                stages=Stages(clock.monotonic),
                provision=provision,
                sampler=sampler,
            ),
        )
        lanes = cast("LaneTable", SimpleNamespace(lanes=list))
        source = cast("Source", SimpleNamespace())
        self.frontier = Frontier(START)
        judging = SimpleNamespace(cause="target", take=lambda *_: metrics.verdict("target"))
        self.gauges = Gauges(
            cast("ReplicationConfig", None),
            source,
            around,
            Budget(1),
            cast("Scheduler", SimpleNamespace(serving=0, busy=1)),
            lanes,
            cast("Judging", judging),
            Lagging(source, around, self.frontier, lanes, START),
            retained=lambda _: None,
        )

    def received(self, committed_us: int, age: float) -> None:
        part = Part(Transaction(110, committed_at_us=committed_us), 1)
        part.end = LogPosition(110)
        self.gauges.received(Block([part], 1, age=age), 1, 1)


async def test_what_a_stream_measured_is_absent_once_it_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gauges_module, "SAMPLE_SECONDS", 0.0)
    bench = Bench()
    names = ("queue_bytes", "incoming_changes", "appliers", "appliers_busy", "lanes", "verdict")
    running = asyncio.create_task(bench.gauges.run())
    async with asyncio.timeout(5):
        while bench.metrics.lane_count is None:
            await asyncio.sleep(0)
    assert bench.metrics.snapshot().keys() >= set(names)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert not bench.metrics.snapshot().keys() & set(names)


def test_the_law_is_given_a_lag_without_what_the_clocks_differ_by() -> None:
    """The source's clock is five seconds behind ours; what came last waits since then."""
    bench = Bench()
    bench.received(int((bench.clock.now - 5.2) * 1e6), age=0.2)
    bench.frontier.begin(int((bench.clock.now - 5.2) * 1e6))
    bench.clock.now += 1
    assert bench.gauges.sample().lag_seconds == pytest.approx(1.2)


def test_a_commit_at_the_end_of_its_second_is_no_other_clock() -> None:
    bench = Bench()
    committed = int((bench.clock.now + 0.7) * 1e6)
    bench.received(committed, age=-0.7)
    bench.frontier.begin(committed)
    bench.clock.now += 1
    assert bench.gauges.sample().lag_seconds == pytest.approx(0.3)
