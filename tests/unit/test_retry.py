"""What is retried, how often, and how long the waits are."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import (
    FencedError,
    PenstockError,
    SourceConnectionError,
    TargetBusyError,
    TargetRewoundError,
)
from engine.retry import Backoff, Policy, is_retryable, retry

NO_WAIT = Policy(first_delay_seconds=0.0, delay_seconds_max=0.0)


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


class Highest:
    def uniform(self, low: float, high: float) -> float:
        return high

    def key(self, size: int) -> bytes:
        return bytes(size)


class Share:
    def __init__(self, share: float) -> None:
        self.share = share

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.share

    def key(self, size: int) -> bytes:
        return bytes(size)


def _fails(
    times: int, error: Callable[[], Exception]
) -> "tuple[list[int], Callable[[], Awaitable[str]]]":
    calls: list[int] = []

    async def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error()
        return "done"

    return calls, call


def _backoff(policy: Policy) -> Backoff:
    return Backoff(policy, FakeClock(), Highest())


def test_the_error_class_decides() -> None:
    assert is_retryable(SourceConnectionError("x"))
    assert is_retryable(TargetBusyError("x"))
    assert not is_retryable(FencedError("x"))
    assert not is_retryable(TargetRewoundError("x"))
    assert not is_retryable(OSError("x"))


@pytest.mark.parametrize("error", [SourceConnectionError, TargetBusyError])
async def test_a_passing_failure_is_tried_again(error: type[PenstockError]) -> None:
    calls, call = _fails(3, lambda: error("x"))
    told: list[int] = []
    result = await retry(
        call, _backoff(NO_WAIT), on_retry=lambda _error, attempt, _delay: told.append(attempt)
    )
    assert (result, len(calls), told) == ("done", 4, [1, 2, 3])


@pytest.mark.parametrize("error", [FencedError("x"), TargetRewoundError("x"), ValueError("x")])
async def test_any_other_failure_passes_through_at_once(error: Exception) -> None:
    calls, call = _fails(9, lambda: error)
    with pytest.raises(type(error)):
        await retry(call, _backoff(NO_WAIT))
    assert len(calls) == 1


async def test_the_last_error_is_raised_when_the_attempts_are_used_up() -> None:
    calls, call = _fails(9, lambda: SourceConnectionError("x"))
    with pytest.raises(SourceConnectionError):
        await retry(call, _backoff(Policy(first_delay_seconds=0.0, attempts_max=2)))
    assert len(calls) == 3


async def test_cancellation_ends_the_wait() -> None:
    _, call = _fails(9, lambda: SourceConnectionError("x"))
    waiting = asyncio.create_task(retry(call, _backoff(Policy(first_delay_seconds=3600))))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_bounds_double_up_to_the_maximum_and_reset_starts_over() -> None:
    backoff = _backoff(Policy(first_delay_seconds=1.0, delay_seconds_max=5.0))
    assert [backoff.next_delay() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    backoff.reset()
    assert backoff.next_delay() == 1.0


@given(share=st.floats(0, 1), attempts=st.integers(1, 2000))
def test_a_wait_is_never_negative_nor_above_the_maximum(share: float, attempts: int) -> None:
    backoff = Backoff(Policy(), FakeClock(), Share(share))
    for _ in range(attempts):
        delay = backoff.next_delay()
        assert delay is not None
        assert 0.0 <= delay <= 10.0


def test_the_budget_counts_from_the_first_failure_of_a_row() -> None:
    clock = FakeClock()
    backoff = Backoff(
        Policy(first_delay_seconds=4.0, delay_seconds_max=4.0, budget_seconds=10.0),
        clock,
        Highest(),
    )
    clock.now = 100.0
    assert backoff.next_delay() == 4.0
    clock.now = 107.0
    assert backoff.next_delay() == 3.0  # no later than the budget's end
    clock.now = 110.0
    assert backoff.next_delay() is None
    backoff.reset()
    assert backoff.next_delay() == 4.0
