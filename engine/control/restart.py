"""Whether and when a worker that ended is started again. (pure)

A crash (killed, out of memory, a defect) and a failure whose class says that it may pass are
answered by a new start; what needs a person, what is wrong in the file, and what will fail the same
way again are not. Nor is a server that could not be reached in the minute that a pipeline tries
when it starts, as long as no worker of this run has moved a row: that is more often a wrong address
than an outage, and someone is looking.

A worker that made rows durable before it ended, or went on for a while, shows that starting again
helps: it is started at once, and the row of failures begins anew. One that streamed and read, and
left nothing durable, has that benefit a few times: a change that kills whoever reads it would
otherwise be read once a second for ever.
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


UNHELPFUL_MAX: Final = 5
"""Lives in a row that moved and left nothing durable, until the next start waits as after any
failure: kills from outside may come within a second of a start, though seldom so often."""

STEADY_SECONDS: Final = 60.0
"""A life of a stream that had nothing to make durable is no failure to start when it was longer."""


@dataclass(frozen=True, slots=True)
class Life:
    """One worker's life. `outcome` is None when it ended without one: it was killed or crashed.

    `moved`: it read, loaded or applied at least one row, or the stream was flowing. `durable`: it
    made at least one row durable on the target.
    """

    outcome: Outcome | None
    moved: bool
    seconds: float
    durable: bool = False


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
        self._unhelpful = 0

    def delay(self, life: Life) -> float | None:
        """Seconds until the next start; None: it is not started again."""
        if not restartable(life.outcome):
            return None
        self._ever_moved |= life.moved
        if self._helped(life):
            self._backoff.reset()
        delay = self._backoff.next_delay()
        if delay is None or not (self._ever_moved or self._first_start(life)):
            return None
        first = self._backoff.attempt == 1
        return max(0.0 if first else delay, START_INTERVAL_SECONDS - life.seconds, 0.0)

    def _helped(self, life: Life) -> bool:
        """Whether that life shows that starting again helps."""
        if life.durable or (life.moved and life.seconds >= STEADY_SECONDS):
            self._unhelpful = 0
            return True
        self._unhelpful += life.moved
        return life.moved and self._unhelpful <= UNHELPFUL_MAX

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
