"""Where a stream ends by itself."""

import asyncio
from collections.abc import Iterator

import pytest

from connectors.memory.database import MemoryDatabase
from connectors.memory.source import MemorySource
from engine.errors import ConfigError, SourceConnectionError, SourceError
from engine.goal import MARGIN_US, Goal, stop_time_us
from engine.model.position import LogPosition, Position
from engine.outcome import CAUGHT_UP, COMMIT_TIME, POSITION

MOMENT = "commit_time:2018-02-09T12:12:12"
MOMENT_US = 1_518_178_332_000_000


class Dated(MemorySource):
    """A source whose clock shows one time after another; its log grows with each look."""

    def __init__(self, *clock: int | Exception) -> None:
        super().__init__(MemoryDatabase())
        self._clock: Iterator[int | Exception] = iter(clock)
        self._log_end = 0

    async def now_us(self) -> int:
        self._log_end += 100
        now = next(self._clock)
        if isinstance(now, Exception):
            raise now
        return now

    async def committed_from(self, moment_us: int, attached_us: int, end: Position) -> Position:
        raise AssertionError("a goal is no beginning")

    async def head(self) -> Position:
        return LogPosition(self._log_end)


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long it was waited, without waiting."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return waits


def test_a_text_that_begins_with_the_word_is_a_time() -> None:
    assert stop_time_us(MOMENT) == MOMENT_US
    assert stop_time_us("4AF/B0") is None
    with pytest.raises(ValueError, match="no moment"):
        stop_time_us("commit_time:soon")


async def test_each_kind_has_its_place_and_its_name() -> None:
    source = Dated()
    nowhere, caught_up = Goal(source, None), Goal(source, CAUGHT_UP)
    there, timed = Goal(source, "0/64"), Goal(source, MOMENT)
    for goal in (nowhere, caught_up, there, timed):
        await goal.aim()
    assert [nowhere.position, timed.position] == [None, None]
    assert [caught_up.position, there.position] == [LogPosition(0), LogPosition(100)]
    assert [caught_up.reason, there.reason, timed.reason] == [CAUGHT_UP, POSITION, COMMIT_TIME]
    assert (nowhere.set, timed.set, timed.until_us) == (False, True, MOMENT_US)
    await nowhere.watch_clock()
    assert nowhere.position is None


async def test_the_end_is_taken_when_the_clock_is_past_the_moment_for_sure(
    slept: list[float],
) -> None:
    early = MOMENT_US - 100_000_000
    goal = Goal(Dated(early, MOMENT_US, MOMENT_US + MARGIN_US, 0), MOMENT)
    await goal.watch_clock()
    assert goal.position == LogPosition(300)
    assert not goal.cut
    assert slept == [60.0, 1.0]


async def test_a_source_that_is_away_is_asked_again_and_one_that_refuses_is_not() -> None:
    past = MOMENT_US + MARGIN_US
    goal = Goal(Dated(SourceConnectionError("away"), past), MOMENT)
    await goal.watch_clock()
    assert goal.position == LogPosition(200)
    with pytest.raises(SourceError, match="refused"):
        await Goal(Dated(SourceError("refused")), MOMENT).watch_clock()


async def test_a_transaction_that_was_too_late_ends_it_before_the_clock_does() -> None:
    goal = Goal(Dated(MOMENT_US + MARGIN_US), MOMENT)
    goal.cut_at(LogPosition(42))
    await goal.watch_clock()
    assert (goal.position, goal.cut) == (LogPosition(42), True)


def test_a_log_without_commit_times_has_no_such_goal() -> None:
    class Undated:
        """Tells none."""

    with pytest.raises(ConfigError, match="tells no commit times"):
        Goal(Undated(), MOMENT)  # type: ignore[arg-type]


async def test_a_position_that_no_stream_of_the_source_comes_to_is_no_goal() -> None:
    class Naming(Dated):
        async def named(self, position: Position) -> Position:
            raise AssertionError("a goal is no beginning")

        def check_kind(self, position: Position) -> None:
            raise ValueError("is of another source")

    with pytest.raises(ConfigError, match="--stop-at: is of another source"):
        await Goal(Naming(), "0/64").aim()
