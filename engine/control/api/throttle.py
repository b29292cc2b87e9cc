"""How often one caller may call.

AWS holds back a whole account at a few calls a second; here each key has its own bucket, wide
enough for any tool that means well, so that a loop gone wild takes nothing from the other keys.
Clients of AWS wait and try again by themselves.
"""

from engine.config.limits import Limits
from engine.control.api.faults import ThrottlingException
from engine.control.bucket import Bucket
from engine.machine import Clock


class Throttle:
    """The buckets of a daemon, one for each key: there are as many as its file has, at most."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._rate = limits.calls_per_second
        self._burst = max(limits.calls_burst, 1)
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def take(self, who: str) -> None:
        """One call of the key with this name. Raises ThrottlingException when it has none left."""
        if not self._rate:
            return
        now = self._clock.monotonic()
        bucket = self._buckets.setdefault(who, Bucket(self._rate, self._burst, now))
        if not bucket.take(now):
            raise ThrottlingException("Rate exceeded")
