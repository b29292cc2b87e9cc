"""Where the time of a stream goes, counted at its stations (pure).

A station is told when something begins to wait and when it no longer does; nothing is counted for a
row. Read at any moment, a count holds what waits still, so a wait of a minute shows in every second
of it.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final

STAGES: Final = ("source", "decode", "route", "queue", "applier", "target")
"""What `Stages.seconds` tells of, in the order of the stream."""


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


class Stages:
    """The stations' counts, from one attempt to the next. `now` gives seconds that only grow."""

    def __init__(self, now: Callable[[], float] = no_time) -> None:
        self.now = now
        self.source = Occupancy(now)
        """The reader asked for a block: it waits for the source, or decodes."""
        self.decode = 0.0
        """Seconds of that spent decoding."""
        self.route = 0.0
        """Seconds spent handing changes to their lanes."""
        self.queue = Occupancy(now)
        """The reader waits for room."""
        self.applier = Occupancy(now)
        """Lanes that are ready and on no applier."""
        self.target = Occupancy(now)
        """Appliers at work: they make the target's form of a batch, or wait for the target."""
        self.batches = 0
        """Batches, and shares of divided ones, that appliers have given back."""

    def seconds(self) -> Mapping[str, float]:
        """Seconds by stage since the process began; they add up what runs side by side."""
        return {
            "source": max(0.0, self.source.seconds - self.decode),
            "decode": self.decode,
            "route": self.route,
            "queue": self.queue.seconds,
            "applier": self.applier.seconds,
            "target": self.target.seconds,
        }

    def clear(self) -> None:
        """The attempt is over: nothing of it waits any more."""
        for place in (self.source, self.queue, self.applier, self.target):
            place.clear()
