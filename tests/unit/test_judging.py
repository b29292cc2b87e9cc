"""What limits is found out while the stream runs, and told when it changes."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import cast

import pytest

from engine.capacity.sample import Cause
from engine.capacity.verdict import WINDOW_SAMPLES
from engine.checkpoint.sessions import Sessions
from engine.errors import TargetConnectionError
from engine.judging import Judging, Standing
from engine.measuring import Reading, core, rate
from engine.model.activity import Activity
from engine.model.relation import Relation, TableName
from engine.model.usage import Usage
from engine.observe.log import Line, Log
from engine.observe.metrics import Metrics
from engine.surroundings import Surroundings
from tests.unit.set_clock import Clock

COUNTS = dict.fromkeys(
    ("source", "decode", "route", "queue", "applier", "target", "rows_in", "rows_out", "batches"),
    0.0,
)

SESSIONS = [(7, "then")]

IDLE = Standing(appliers=4, backlog_rows=0, more=0.0, source_age=0.0, overflowed=False)
LATE = Standing(appliers=4, backlog_rows=9_000, more=0.0, source_age=0.0, overflowed=False)


class Server:
    """A target that says what the test has it say."""

    def __init__(self) -> None:
        self.asked = 0
        self.says: Callable[[], Activity] = lambda: Activity(working=4)

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def activity(self, sessions: Sequence[tuple[int, str]]) -> Activity:
        assert sessions == SESSIONS
        self.asked += 1
        return self.says()

    async def unindexed(self, relations: Sequence[Relation]) -> Sequence[TableName]:
        return [relation.table for relation in relations]


class Stream:
    """A stream of which a second passes at a time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lines: list[Line] = []
        self.metrics = Metrics("r")
        self.server = Server()
        self.provision = SimpleNamespace(helped=None)
        self.changing = [Relation(1, "public", "items", (), key=(0,))]
        self.counts = dict(COUNTS)
        around = SimpleNamespace(
            clock=self.clock,
            metrics=self.metrics,
            log=Log(self.lines.append, self.clock),
            provision=self.provision,
        )
        self.judging = Judging(
            cast(Surroundings, around),
            self.server,
            cast(Sessions, SimpleNamespace(identities=SESSIONS)),
            lambda: self.changing,
        )

    def second(self, standing: Standing, **grown: float) -> Cause | None:
        """One more, in which these counts grew."""
        self.clock.now += 1
        for name, by in grown.items():
            self.counts[name] += by
        reading = Reading(self.clock.now, Usage(), dict(self.counts))
        self.judging.take(reading, standing)
        return self.judging.cause

    def saturated(self) -> Cause | None:
        return self.second(LATE, target=4.0, applier=20.0, rows_out=400.0, batches=20.0)

    async def asked(self, times: int) -> None:
        """The target has been asked so often while something is late; the first answer only shows
        that there is a connection."""
        watching = asyncio.create_task(self.judging.watch_target())
        async with asyncio.timeout(10):
            while self.server.asked < times:
                await asyncio.sleep(0.01)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    def told(self) -> list[tuple[object, str]]:
        return [(line.fields["cause"], str(line.fields["hint"])) for line in self.lines]


async def test_a_round_trip_is_known_from_the_first_answer_that_counts() -> None:
    stream = Stream()
    stream.changing = []
    stream.server.says = lambda: Activity(working=0)
    for _ in range(2):
        stream.saturated()
    await stream.asked(2)
    assert stream.saturated() is Cause.APPLIERS
    assert "a round trip takes" in stream.lines[-1].message


def test_a_verdict_is_told_once_to_metrics_and_log() -> None:
    stream = Stream()
    causes = [stream.second(IDLE) for _ in range(5)]
    assert causes == [None, None, Cause.IDLE, Cause.IDLE, Cause.IDLE]
    assert stream.told() == [("idle", "")]
    assert stream.metrics.limiting_cause == "idle"


def test_what_waits_for_appliers_is_told_within_five_seconds() -> None:
    stream = Stream()
    for _ in range(10):
        stream.second(IDLE)
    causes = [stream.saturated() for _ in range(5)]
    assert causes[-1] is Cause.APPLIERS
    assert stream.told()[-1][0] == "appliers"


async def test_the_target_is_asked_while_something_is_late_and_names_the_missing_index() -> None:
    stream = Stream()
    assert [stream.saturated() for _ in range(3)][-1] is Cause.APPLIERS
    await stream.asked(2)
    assert [stream.saturated() for _ in range(4)][-1] is Cause.TARGET
    cause, remedy = stream.told()[-1]
    assert cause == "target"
    assert "public.items" in remedy


async def test_what_the_target_said_before_the_window_counts_no_more() -> None:
    stream = Stream()
    stream.changing = []

    def far() -> Activity:
        stream.clock.now += 0.2
        return Activity(working=4)

    stream.server.says = far
    assert [stream.saturated() for _ in range(3)][-1] is Cause.APPLIERS
    await stream.asked(2)
    assert [stream.saturated() for _ in range(4)][-1] is Cause.TARGET
    assert [stream.saturated() for _ in range(2 * WINDOW_SAMPLES)][-1] is Cause.APPLIERS


async def test_a_target_with_nothing_late_is_not_asked() -> None:
    stream = Stream()
    for _ in range(3):
        stream.second(IDLE)
    watching = asyncio.create_task(stream.judging.watch_target())
    await asyncio.sleep(0.05)
    assert stream.server.asked == 0
    watching.cancel()


async def test_a_target_that_cannot_be_asked_leaves_the_rest_of_what_is_known() -> None:
    stream = Stream()

    def lost() -> Activity:
        raise TargetConnectionError("gone")

    stream.server.says = lost
    stream.changing = []
    for _ in range(3):
        stream.saturated()
    await stream.asked(1)
    assert stream.saturated() is Cause.APPLIERS


def test_growth_that_gave_nothing_counts_until_something_else_limits() -> None:
    stream = Stream()
    stream.provision.helped = False
    assert [stream.saturated() for _ in range(4)][-1] is Cause.TARGET
    assert stream.provision.helped is False
    assert [stream.second(IDLE) for _ in range(4)][-1] is Cause.IDLE
    assert stream.provision.helped is None


def usage(ran: float | None, denied: float | None) -> Usage:
    return Usage(core_seconds=ran, denied_seconds=denied)


@pytest.mark.parametrize(
    ("ran", "denied", "share"),
    [
        (1.0, 0.0, 1.0),
        (0.25, 0.75, 1.0),
        (0.01, 0.5, 0.02),
        (0.5, None, 0.5),
        (None, None, None),
        (0.3, 1.2, 1.0),
    ],
)
def test_time_that_others_had_the_cores_says_nothing_of_ours(
    ran: float | None, denied: float | None, share: float | None
) -> None:
    before = Reading(5.0, usage(None if ran is None else 0.0, None if denied is None else 0.0), {})
    assert core(before, Reading(6.0, usage(ran, denied), {})) == share


def test_no_time_is_no_rate() -> None:
    reading = Reading(5.0, Usage(), {"rows_in": 7.0})
    assert rate(reading, reading, "rows_in") is None
    assert core(reading, reading) is None
    assert rate(reading, Reading(7.0, Usage(), {"rows_in": 17.0}), "rows_in", 5) == 1.0
