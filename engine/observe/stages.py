"""Where the time of a stream goes, counted at its stations (pure).

A station is told when something begins to wait and when it no longer does; nothing is counted for a
row. Read at any moment, a count holds what waits still, so a wait of a minute shows in every second
of it.
"""

from collections.abc import Callable, Mapping
from typing import Final

from engine.observe.load_stages import STAGES as LOAD_STAGES
from engine.observe.load_stages import LoadStages
from engine.observe.occupancy import Occupancy, no_time

STAGES: Final = ("source", "decode", "route", "queue", "applier", "target", *LOAD_STAGES)
"""What `Stages.seconds` tells of, in the order of the stream; then those of a load."""


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
        self.load = LoadStages(now)

    def seconds(self) -> Mapping[str, float]:
        """Seconds by stage since the process began; they add up what runs side by side."""
        return {
            "source": max(0.0, self.source.seconds - self.decode),
            "decode": self.decode,
            "route": self.route,
            "queue": self.queue.seconds,
            "applier": self.applier.seconds,
            "target": self.target.seconds,
            **self.load.seconds(),
        }

    def clear(self) -> None:
        """The attempt is over: nothing of it waits any more."""
        for place in (self.source, self.queue, self.applier, self.target):
            place.clear()
