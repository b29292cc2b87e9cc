"""How far a stream is behind, where the source does not tell all of it."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import cast

import pytest

from engine import lagging
from engine.checkpoint.frontier import Frontier
from engine.contracts import Source
from engine.errors import SourceError
from engine.lagging import Lagging
from engine.lane_table import LaneTable
from engine.model.position import LogPosition, Position
from engine.observe.log import Line, Log
from engine.observe.metrics import Metrics
from engine.surroundings import Surroundings
from tests.unit.set_clock import Clock

START = LogPosition(100)


class Refusing:
    """A source that tells its head, and later not even that."""

    def __init__(self) -> None:
        self.asked = 0
        self.tells = True

    async def head(self) -> Position:
        if not self.tells:
            raise SourceError("no head")
        return START

    async def oldest_open(self) -> float | None:
        self.asked += 1
        raise SourceError("no open ones", hint="allow it")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lagging, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(lagging, "OpenTransactions", Refusing)


async def test_what_the_source_refuses_to_tell_is_said_once_and_ends_nothing() -> None:
    clock, lines, source, metrics = Clock(), list[Line](), Refusing(), Metrics("r")
    around = SimpleNamespace(clock=clock, metrics=metrics, log=Log(lines.append, clock))
    lag = Lagging(
        cast("Source", source),
        cast("Surroundings", around),
        Frontier(START),
        cast("LaneTable", SimpleNamespace(lanes=list)),
        START,
    )
    watching = asyncio.create_task(lag.watch())
    async with asyncio.timeout(5):
        while source.asked < 3:
            await asyncio.sleep(0)
    lag.show()
    assert (metrics.latency_source_seconds, metrics.lag_bytes) == (0.0, 0)
    assert [line.message for line in lines] == [
        "the lag is measured in part only: the source refuses to tell",
        "latency",
    ]
    source.tells, seen = False, source.asked
    async with asyncio.timeout(5):
        while source.asked < seen + 3:
            await asyncio.sleep(0)
    lag.show()
    assert metrics.lag_bytes is None
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


def test_what_the_clocks_differ_by_can_be_left_out() -> None:
    clock, frontier = Clock(), Frontier(START)
    around = SimpleNamespace(clock=clock, metrics=Metrics("r"))
    lanes = cast("LaneTable", SimpleNamespace(lanes=list))
    lag = Lagging(cast("Source", Refusing()), cast("Surroundings", around), frontier, lanes, START)
    assert lag.waiting_seconds(-5.0) == 0.0  # nothing waits
    frontier.begin(997_000_000)
    assert (lag.target_seconds, lag.waiting_seconds(2.5)) == (3.0, 0.5)
    assert lag.waiting_seconds(5.0) == 0.0
    assert lag.waiting_seconds(-1.0) == 4.0  # the source's clock is ahead


def test_how_far_it_is_stands_in_the_log_now_and_then() -> None:
    clock, frontier, lines, metrics = Clock(), Frontier(START), list[Line](), Metrics("r")
    metrics.position = "0/64"
    around = SimpleNamespace(clock=clock, metrics=metrics, log=Log(lines.append, clock))
    lanes = cast("LaneTable", SimpleNamespace(lanes=list))
    lag = Lagging(cast("Source", Refusing()), cast("Surroundings", around), frontier, lanes, START)
    lag.show()
    assert lines == [], "nobody knows yet"
    lag.reading.received(0, drained=True)
    frontier.begin(997_000_000)
    for _ in range(int(lagging.TELL_SECONDS)):
        lag.show()
        clock.now += 1
    (line,) = lines
    told = {name: line.fields[name] for name in ("action", "target_seconds", "position")}
    assert told == {"action": "lag.latency", "target_seconds": 3.0, "position": "0/64"}
    lag.show()
    assert len(lines) == 2
