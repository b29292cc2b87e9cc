"""A clock that stands where a test sets it."""


class Clock:
    """`now`: seconds, of both its times."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now
