"""Whether and when a worker that ended is started again. (pure)

A crash (killed, out of memory, a defect) and a failure whose class says that it may pass are
answered by a new start; what needs a person, what is wrong in the file, and what will fail the same
way again are not. Nor is a server that could not be reached in the minute that a pipeline tries
when it starts, as long as no worker of this run has moved a row: that is more often a wrong address
than an outage, and someone is looking.

A worker that moved rows before it ended shows that starting again helps: it is started at once, and
the row of failures begins anew.
"""

from dataclasses import dataclass
from typing import Final

from engine.errors import Retry
from engine.machine import Clock, Random
from engine.observe.report import Outcome
from engine.retry import Backoff, Policy

FIRST_START_CRASHES_MAX: Final = 5
"""Crashes in a row of a replication that never moved a row, until it gives up: about 10 s."""

FAILURES_MAX: Final = 100
"""Failures in a row of a replication that has moved rows before, until it gives up."""

FAILING_SECONDS_MAX: Final = 3_600.0
"""How long such a row of failures may last: an hour of outage needs no person, a day does."""

FIRST_DELAY_SECONDS: Final = 1.0
DELAY_SECONDS_MAX: Final = 30.0
"""Bounds of the wait between starts (full jitter)."""

START_INTERVAL_SECONDS: Final = 1.0
"""Least time between two starts, so that a worker that dies at once does not take a core."""


@dataclass(frozen=True, slots=True)
class Life:
    """One worker's life. `outcome` is None when it ended without one: it was killed or crashed.

    `moved`: it read, loaded or applied at least one row, or the stream was flowing.
    """

    outcome: Outcome | None
    moved: bool
    seconds: float


class Restarts:
    """Decides after each life; keeps count of failures in a row."""

    def __init__(self, clock: Clock, random: Random, *, moved: bool = False) -> None:
        """`moved`: it is known to have moved rows before."""
        delays = Policy(
            first_delay_seconds=FIRST_DELAY_SECONDS,
            delay_seconds_max=DELAY_SECONDS_MAX,
            budget_seconds=FAILING_SECONDS_MAX,
            attempts_max=FAILURES_MAX,
        )
        self._backoff = Backoff(delays, clock, random)
        self._ever_moved = moved

    def delay(self, life: Life) -> float | None:
        """Seconds until the next start; None: it is not started again."""
        if not restartable(life.outcome):
            return None
        if life.moved:
            self._ever_moved = True
            self._backoff.reset()
        delay = self._backoff.next_delay()
        if delay is None or not (self._ever_moved or self._first_start(life)):
            return None
        first = self._backoff.attempt == 1
        return max(0.0 if first else delay, START_INTERVAL_SECONDS - life.seconds, 0.0)

    def _first_start(self, life: Life) -> bool:
        """Whether a worker that never moved a row gets another try."""
        crashed = life.outcome is None or life.outcome.retry == Retry.RESTART.value
        return crashed and self._backoff.attempt <= FIRST_START_CRASHES_MAX


def restartable(outcome: Outcome | None) -> bool:
    """Whether starting again may help."""
    if outcome is None:
        return True
    return outcome.exit == 1 and outcome.retry in (
        Retry.BACKOFF.value,
        Retry.WAIT.value,
        Retry.RESTART.value,
    )
