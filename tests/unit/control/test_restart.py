"""Which ends of a worker are answered by a new start, and how soon."""

from dataclasses import replace

import pytest

from engine.control.restart import (
    DELAY_SECONDS_MAX,
    FAILURES_MAX,
    FIRST_START_CRASHES_MAX,
    START_INTERVAL_SECONDS,
    STEADY_SECONDS,
    UNHELPFUL_MAX,
    Life,
    Restarts,
)
from engine.errors import (
    ConfigError,
    FencedError,
    InvariantError,
    Retry,
    SlotBusyError,
    SourceConnectionError,
    SourceError,
)
from engine.observe.report import Outcome
from engine.seams import SystemClock, SystemRandom


class FakeClock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


class Highest:
    def uniform(self, low: float, high: float) -> float:
        return high

    def key(self, size: int) -> bytes:
        return bytes(size)


def _restarts() -> Restarts:
    return Restarts(FakeClock(), Highest())


def _crash(*, moved: bool, seconds: float = 60.0) -> Life:
    return Life(None, moved, seconds)


def test_a_crash_after_progress_is_answered_at_once_every_time() -> None:
    restarts = _restarts()
    assert [restarts.delay(_crash(moved=True)) for _ in range(FAILURES_MAX * 2)] == (
        [0.0] * FAILURES_MAX * 2
    )


def test_starts_keep_a_distance_however_soon_a_worker_dies() -> None:
    assert _restarts().delay(_crash(moved=True, seconds=0.25)) == START_INTERVAL_SECONDS - 0.25


def test_a_change_that_kills_whoever_reads_it_is_read_more_and_more_rarely() -> None:
    restarts = _restarts()
    poisoned = _crash(moved=True, seconds=START_INTERVAL_SECONDS)
    delays = [restarts.delay(poisoned) for _ in range(UNHELPFUL_MAX + 5)]
    assert delays == [0.0] * UNHELPFUL_MAX + [2.0, 4.0, 8.0, 16.0, DELAY_SECONDS_MAX]
    assert restarts.delay(replace(poisoned, durable=True)) == 0.0
    assert restarts.delay(poisoned) == 0.0
    assert [restarts.delay(poisoned) for _ in range(UNHELPFUL_MAX + FAILURES_MAX)][-1] is None


def test_an_idle_stream_that_is_ended_now_and_then_goes_on_at_once() -> None:
    restarts = _restarts()
    idle = _crash(moved=True, seconds=STEADY_SECONDS)
    assert {restarts.delay(idle) for _ in range(FAILURES_MAX * 2)} == {0.0}


def test_a_worker_that_never_moves_a_row_is_given_up_soon() -> None:
    restarts = _restarts()
    delays = [restarts.delay(_crash(moved=False)) for _ in range(FIRST_START_CRASHES_MAX + 1)]
    assert delays == [0.0, 2.0, 4.0, 8.0, 16.0, None]


def test_once_it_has_moved_rows_failures_back_off_for_long() -> None:
    restarts = _restarts()
    restarts.delay(_crash(moved=True))
    delays = [restarts.delay(_crash(moved=False)) for _ in range(FAILURES_MAX)]
    assert delays[:3] == [2.0, 4.0, 8.0]
    assert delays[-2] == DELAY_SECONDS_MAX
    assert delays[-1] is None


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("a", "b"),
        FencedError("x"),
        SlotBusyError("x"),
        SourceError("x"),
    ],
)
def test_what_a_person_must_mend_is_not_started_again(error: Exception) -> None:
    assert _restarts().delay(Life(Outcome.of(error), moved=True, seconds=60)) is None


@pytest.mark.parametrize("error", [InvariantError("x"), ValueError("x")])
def test_a_defect_is_a_crash(error: Exception) -> None:
    assert _restarts().delay(Life(Outcome.of(error), moved=False, seconds=60)) == 0.0


def test_an_unreachable_server_is_retried_only_where_rows_have_flowed_before() -> None:
    away = Outcome.of(SourceConnectionError("x"))
    restarts = _restarts()
    assert restarts.delay(Life(away, moved=False, seconds=60)) is None
    restarts.delay(_crash(moved=True))
    assert restarts.delay(Life(away, moved=False, seconds=60)) is not None


def test_a_replication_known_to_have_moved_waits_for_a_server_from_its_first_failure_on() -> None:
    away = Life(Outcome(1, retry=Retry.BACKOFF.value), moved=False, seconds=60.0)
    assert Restarts(SystemClock(), SystemRandom()).delay(away) is None
    assert Restarts(SystemClock(), SystemRandom(), moved=True).delay(away) is not None
