"""How large a replication may be now, where others share the machine: who watches over its memory
grants a number of units, and more only when it is free.

A replication holds what it has, and nothing in store: what it does not need it gives back, and asks
again when it grows. Asking costs a line over a pipe, so it is done with each sample until the
answer comes; without one the size stays.
"""

from collections.abc import Callable
from typing import Final, Protocol

WANTED: Final = "capacity-wanted"
KEPT: Final = "capacity-kept"
"""What a worker tells: that it wants so many units, that it keeps no more than so many."""


class Allowance(Protocol):
    """What is granted."""

    @property
    def units(self) -> int | None:
        """That many, at most; None: as many as the configuration allows."""
        ...

    @property
    def reckoned(self) -> str:
        """How that many were reckoned from catalog and log of the source just now; empty: they were
        not. A first start, whose size nothing else has decided, begins with them."""
        ...

    def ask(self, units: int) -> None:
        """Ask for that many."""
        ...

    def keep(self, units: int) -> None:
        """Give back what is granted beyond these."""
        ...


class Unlimited:
    """Nobody shares the machine."""

    units: int | None = None
    reckoned = ""

    def ask(self, units: int) -> None:
        """There is nothing to ask for."""

    def keep(self, units: int) -> None:
        """There is nothing to give back."""


class Granted:
    """What whoever started this process grants. `tell` tells it something (`WANTED`, `KEPT`)."""

    def __init__(
        self, units: int, tell: Callable[[str, int], object], *, reckoned: str = ""
    ) -> None:
        self.units: int | None = units
        self.reckoned = reckoned
        self._tell = tell

    def ask(self, units: int) -> None:
        """See `Allowance.ask`."""
        self._tell(WANTED, units)

    def keep(self, units: int) -> None:
        """See `Allowance.keep`."""
        if self.units is not None and units < self.units:
            self.units = units
            self._tell(KEPT, units)

    def grant(self, units: int) -> None:
        """So many are granted now."""
        self.units = units


def covers(allowance: Allowance, units: int) -> bool:
    """Whether a replication may have that many."""
    return allowance.units is None or units <= allowance.units
