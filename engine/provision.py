"""What a replication is provisioned with at this moment, and who is told when that changes.

Every limit that follows from capacity is read here, or told from here: none is copied at a start.
Nothing is dropped where it shrinks. What holds more than it may by then holds it until it has
drained, and takes nothing new until it fits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from engine.config.capacity import Budget

Listener: TypeAlias = Callable[[Budget], None]


class Provision:
    """`units` and the `budget` they give. `budget_of` computes it from a number of units."""

    def __init__(self, budget_of: Callable[[int], Budget], units: int) -> None:
        self._budget_of = budget_of
        self._listeners: list[Listener] = []
        self.units = units
        self.budget = budget_of(units)
        self.helped: bool | None = None
        """Whether the last growth gave anything; None until one was judged, and again once
        something else limits than the number of appliers or the target."""

    def resize(self, units: int) -> None:
        """Have that many units from now on. Whoever listens has been told when this returns."""
        if units == self.units:
            return
        self.units = units
        self.budget = self._budget_of(units)
        for listener in list(self._listeners):
            listener(self.budget)

    @contextmanager
    def told(self, listener: Listener) -> Iterator[None]:
        """Tell of the budget that is, and of every other one until the end of the context."""
        listener(self.budget)
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
