"""Time in which this process did not run says nothing of what it watches."""

from typing import Final

from engine.machine import Clock

FROZEN_SECONDS: Final = 5.0
"""Looks that are a second apart at most are further apart than this only where the whole process
stood still: stopped, in a paused container, on a machine that slept."""


class Frozen:
    """Asked at each of a watcher's looks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_at = clock.monotonic()

    def seconds(self) -> float:
        """Those since the last look, if nothing could happen in them; else 0. Whoever waits for
        something begins to wait that much later."""
        now = self._clock.monotonic()
        passed, self._looked_at = now - self._looked_at, now
        return passed if passed > FROZEN_SECONDS else 0.0
