"""Retrying by what an error's class says, with full jitter and a budget.

`Retry.BACKOFF` and `Retry.WAIT` are tried again here; every other class is for someone who can
change something first (restart at a new snapshot, quarantine a row, a person), and passes through,
as does any exception that is not a `PenstockError`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from engine.errors import PenstockError, Retry
from engine.machine import Clock, Random

FIRST_DELAY_SECONDS: Final = 0.1
"""Upper bound of the first wait: a deadlock or a server that closed one connection is over by
then."""

DELAY_SECONDS_MAX: Final = 10.0
"""Upper bound of any wait: after an outage of any length the link is up within this time."""

GROWTH: Final = 2.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long and how often to try again.

    `budget_seconds` bounds the time from the first failure of an unbroken row of failures; None is
    without end, for a link that must come back. `attempts_max` bounds the number of failures.
    """

    first_delay_seconds: float = FIRST_DELAY_SECONDS
    delay_seconds_max: float = DELAY_SECONDS_MAX
    budget_seconds: float | None = None
    attempts_max: int | None = None


class Backoff:
    """The waits of one row of failures. `reset` after progress begins a new row."""

    def __init__(self, policy: Policy, clock: Clock, random: Random) -> None:
        self._policy = policy
        self._clock = clock
        self._random = random
        self._first_failure_at: float | None = None
        self.attempt = 0

    def reset(self) -> None:
        """Something worked: the next failure is a first one."""
        self.attempt = 0
        self._first_failure_at = None

    def next_delay(self) -> float | None:
        """Count a failure; seconds to wait before the next try, None when the budget is used up.

        Full jitter: uniform between 0 and the bound, so that many who failed together do not come
        back together.
        See: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        now = self._clock.monotonic()
        if self._first_failure_at is None:
            self._first_failure_at = now
        self.attempt += 1
        policy = self._policy
        if policy.attempts_max is not None and self.attempt > policy.attempts_max:
            return None
        # past 63 doublings every bound is the maximum, and a float power would overflow
        bound = policy.first_delay_seconds * GROWTH ** min(self.attempt - 1, 63)
        delay = self._random.uniform(0.0, min(bound, policy.delay_seconds_max))
        if policy.budget_seconds is None:
            return delay
        left = policy.budget_seconds - (now - self._first_failure_at)
        return min(delay, left) if left > 0 else None


def is_retryable(error: BaseException) -> bool:
    """Whether the same call may succeed when it is simply made again later."""
    return isinstance(error, PenstockError) and error.retry in (Retry.BACKOFF, Retry.WAIT)


async def retry(
    call: Callable[[], Awaitable[T]],
    backoff: Backoff,
    *,
    on_retry: Callable[[PenstockError, int, float], None] | None = None,
) -> T:
    """Await `call()` until it succeeds, fails for good, or the budget is used up.

    The last error is raised as it is. `on_retry(error, attempt, delay_seconds)` is told before each
    wait. Cancellation ends the wait at once. A success resets the backoff.
    """
    while True:
        try:
            result = await call()
        except PenstockError as error:
            delay = backoff.next_delay() if is_retryable(error) else None
            if delay is None:
                raise
            if on_retry is not None:
                on_retry(error, backoff.attempt, delay)
        else:
            backoff.reset()
            return result
        await asyncio.sleep(delay)
