"""What the machine around a process promises the engine: time, chance, what is used, a disk.

`engine.seams` has the real ones; a simulation hands in others. Apart from `engine.contracts`, as
the process that watches a worker knows neither source nor target.
"""

from collections.abc import Sequence
from typing import Protocol

from engine.model.usage import Usage


class Clock(Protocol):
    """Time. Waiting goes through the event loop (`asyncio.sleep`, `asyncio.timeout`)."""

    def monotonic(self) -> float:
        """Seconds that only grow; for intervals."""
        ...

    def wall(self) -> float:
        """Seconds since the Unix epoch; for lag and for people, never for decisions."""
        ...


class Random(Protocol):
    """Randomness: jitter, and the key of this process's overflow files."""

    def uniform(self, low: float, high: float) -> float: ...

    def key(self, size: int) -> bytes:
        """Bytes that nobody can guess."""
        ...


class Meter(Protocol):
    """What the machine says of this process."""

    def read(self) -> Usage:
        """Now, of the thread that asks. Cheap enough for once a second."""
        ...


class Disk(Protocol):
    """Files for overflow, in one directory. Names are plain; no path separators."""

    def append(self, name: str, data: bytes) -> int:
        """Append, return the offset it stands at. Raises StateError (also for a full disk)."""
        ...

    def read(self, name: str, offset: int, size: int) -> bytes: ...

    def remove(self, name: str) -> None:
        """Remove; no error when absent."""
        ...

    def names(self) -> Sequence[str]: ...

    def size(self, name: str) -> int:
        """Bytes of a file; 0 when absent."""
        ...
