"""How often something may happen: a bucket that fills again at a steady rate. (pure)"""


class Bucket:
    """`burst` at once after a pause, `rate` a second over time. It is full at first."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take one at `now`, in seconds that only grow; False when none is left."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
