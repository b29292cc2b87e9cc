"""What the machine has for replications, and who holds how much of it. (pure)

A replication holds the memory of the size it is provisioned with, from before its worker starts
until after it ended; nothing is promised twice. Who asks for more than is free waits in line: what
becomes free goes to the first, so a large one is not passed by smaller ones for ever.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from engine.errors import InvariantError, PenstockError


class TooLargeError(PenstockError):
    """More than the machine has, whoever else runs."""


class Ledger:
    """Memory in bytes, by replication. `total`: what all of them together may hold."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._held: dict[str, int] = {}
        self._line: OrderedDict[str, int] = OrderedDict()

    @property
    def held(self) -> Mapping[str, int]:
        """Who holds what."""
        return self._held

    @property
    def line(self) -> Sequence[str]:
        """Who waits, first come first."""
        return tuple(self._line)

    @property
    def free(self) -> int:
        """What nobody holds; part of it may be waited for."""
        return self.total - sum(self._held.values())

    def reserve(self, replication: str, size: int) -> bool:
        """Hold `size` from now on, or be in line for it; asking again keeps the place there. It is
        for who holds nothing: two that hold and wait could wait for each other.

        Raises:
            TooLargeError: it would wait for ever.
            InvariantError: it holds some; `grow` is for that.
        """
        if replication in self._held:
            raise InvariantError(f"{replication} holds memory of the machine and asks for more")
        if size > self.total:
            raise TooLargeError(
                f"{replication} needs {size:,} bytes; all replications together have"
                f" {self.total:,}",
                hint="lower MinCapacityUnits or [capacity] unit_memory, raise [serve] memory, or"
                " use a larger machine",
            )
        self._line[replication] = size
        self._serve()
        return replication not in self._line

    def grow(self, replication: str, size: int) -> bool:
        """Hold `size` in the place of what is held, if that can be now: one that runs does not
        wait, and takes nothing from those who do. Less can be always."""
        more = size - self._held[replication]
        if more > 0 and (self._line or more > self.free):
            return False
        self._held[replication] = size
        self._serve()
        return True

    def release(self, replication: str) -> Sequence[str]:
        """Hold nothing and wait for nothing; who in line has got theirs by that, in order."""
        waited = tuple(self._line)
        self._held.pop(replication, None)
        self._line.pop(replication, None)
        self._serve()
        return tuple(name for name in waited if name not in self._line and name != replication)

    def _serve(self) -> None:
        while self._line:
            first, size = next(iter(self._line.items()))
            if size > self.free:
                return
            self._held[first] = size
            del self._line[first]
