"""How many are somewhere, added up over time (pure)."""

from collections.abc import Callable
from types import TracebackType


class Occupancy:
    """How many are somewhere, added up over time: two of them for three seconds are six."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._since = now()
        self._before = 0.0
        self.count = 0

    @property
    def seconds(self) -> float:
        """The sum up to now; it only grows."""
        return self._before + self.count * (self._now() - self._since)

    def add(self, change: int) -> None:
        """So many more are there, or fewer."""
        now = self._now()
        self._before += self.count * (now - self._since)
        self._since = now
        self.count += change

    def clear(self) -> None:
        """Nobody is there any more. What was added up stays."""
        self.add(-self.count)

    def __enter__(self) -> None:
        self.add(1)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.add(-1)


def no_time() -> float:
    """The clock of who counts nothing."""
    return 0.0
