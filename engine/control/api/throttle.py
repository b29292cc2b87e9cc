"""How often one caller may call: a bucket of calls that fills again at a steady rate.

AWS holds back a whole account at a few calls a second; here each key has its own bucket, wide
enough for any tool that means well, so that a loop gone wild takes nothing from the other keys.
Clients of AWS wait and try again by themselves.
"""

from dataclasses import dataclass

from engine.config.limits import Limits
from engine.control.api.faults import ThrottlingException
from engine.machine import Clock


@dataclass(slots=True)
class _Bucket:
    calls: float
    at: float


class Throttle:
    """The buckets of a daemon, one for each key: there are as many as its file has, at most."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._rate = limits.calls_per_second
        self._burst = max(limits.calls_burst, 1)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, who: str) -> None:
        """One call of the key with this name. Raises ThrottlingException when it has none left."""
        if not self._rate:
            return
        now = self._clock.monotonic()
        bucket = self._buckets.setdefault(who, _Bucket(self._burst, now))
        bucket.calls = min(self._burst, bucket.calls + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.calls < 1:
            raise ThrottlingException("Rate exceeded")
        bucket.calls -= 1
