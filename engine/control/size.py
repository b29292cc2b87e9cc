"""How much of the machine one replication holds while it runs, and grows into or gives back."""

from collections.abc import Callable

from engine.config.capacity import CapacityConfig
from engine.control.room import Room


class Size:
    """The units that are held for a replication."""

    def __init__(
        self,
        id: str,
        room: Room,
        capacity: CapacityConfig,
        units: int,
        *,
        reckoned: str = "",
    ) -> None:
        """`units` are held already. `reckoned`: how, if the source speaks for them."""
        self._id = id
        self._room = room
        self._capacity = capacity
        self.units = units
        self.reckoned = reckoned
        self.grant: Callable[[int], None] = lambda _: None
        """Tells the worker of a larger size."""

    def wanted(self, units: int) -> None:
        """The worker wants so many: it has them where they are free, and else is told nothing."""
        if units in self._capacity.ladder and self._hold(units):
            self.grant(units)

    def kept(self, units: int) -> None:
        """The worker has so many, and gives the rest back."""
        if 0 < units < self.units:
            self._hold(units)

    def died(self) -> None:
        """The system ended the worker for want of memory: the next one begins with more, if there
        is more."""
        larger = next((size for size in self._capacity.ladder if size > self.units), None)
        if larger is not None:
            self._hold(larger)

    def _hold(self, units: int) -> bool:
        if not self._room.grow(self._id, units * self._capacity.unit_memory_bytes):
            return False
        self.units = units
        return True
