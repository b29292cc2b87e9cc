"""Whether a replication lives and flows, from states, counters and the loop's own lag (pure).

Liveness (`/healthz`) asks whether the process is of any use; a blocked loop does not answer at all.
Readiness (`/readyz`) asks whether rows flow. A probe must not stay green while nothing moves, so it
is false:

- before the load or the stream has begun, while draining and after the end;
- when the replication failed, or has been retrying for `PATIENCE_SECONDS`;
- when a stage is stuck (`Metrics.stuck`), in whatever state it is;
- when changes wait and none was read or applied for `PATIENCE_SECONDS`;
- when the event loop stood still for `LOOP_LAG_SECONDS_MAX`, until `PATIENCE_SECONDS` later: the
  stage `loop` counts as stuck.
"""

from dataclasses import dataclass
from typing import Final

from engine.machine import Clock
from engine.observe.metrics import Metrics, Stage

PATIENCE_SECONDS: Final = 30.0
"""How long a retrying or motionless replication still counts as flowing.

A server's restart takes some seconds and should not take a replication out of rotation.
"""

LOOP_LAG_SECONDS_MAX: Final = 2.0
"""The longest the event loop may stand still. A source's keepalive waits at most this long."""

FLOWING: Final = frozenset({"loading", "catching-up", "streaming"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer to a probe. `reason` says why not, and is empty when `ok`."""

    ok: bool
    state: str
    reason: str = ""


class Health:
    """Watches a replication's `Metrics`. Call `tick` about once a second."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        now = clock.monotonic()
        self._state = metrics.current_state
        self._state_since = now
        self._moved_at = now
        self._moved = self._motion()
        self._blocked_at: float | None = None

    def tick(self) -> None:
        """Take note of the state and of what moved since the last tick."""
        now = self._clock.monotonic()
        if self._metrics.current_state != self._state:
            self._state = self._metrics.current_state
            self._state_since = now
        motion = self._motion()
        if motion != self._moved or not self._metrics.incoming_changes:
            self._moved = motion
            self._moved_at = now
        blocked = self._blocked_at is not None and now - self._blocked_at < PATIENCE_SECONDS
        self._metrics.stage(Stage.LOOP, "the event loop was blocked" if blocked else "")

    def loop_lagged(self, seconds: float) -> None:
        """Tell that the event loop came this much too late."""
        if seconds >= LOOP_LAG_SECONDS_MAX:
            self._blocked_at = self._clock.monotonic()

    def live(self) -> Verdict:
        """Whether the process should go on; false once the replication has failed."""
        self.tick()
        if self._state == "failed":
            return Verdict(False, self._state, "the replication failed")
        return Verdict(True, self._state)

    def ready(self) -> Verdict:
        """Whether rows flow."""
        self.tick()
        reason = self._obstacle(self._clock.monotonic())
        return Verdict(not reason, self._state, reason)

    def _obstacle(self, now: float) -> str:
        for stage, reason in self._metrics.stuck.items():
            if reason:
                return f"the {stage.value} stage is stuck: {reason}"
        if self._state == "retrying":
            waited = now - self._state_since
            return f"retrying for {waited:.0f} s" if waited >= PATIENCE_SECONDS else ""
        if self._state not in FLOWING:
            return f"the replication is {self._state}"
        still = now - self._moved_at
        return f"changes wait, none moved for {still:.0f} s" if still >= PATIENCE_SECONDS else ""

    def _motion(self) -> tuple[int, int, int]:
        metrics = self._metrics
        return metrics.source_rows, metrics.target_rows, metrics.load_rows
