"""Where in a source's log something stands.

A position answers one question, `covers(coordinate, ordinal)`: has the change with this ordinal in
the transaction with this coordinate been passed? There is no `<`: GTID sets have none, and inside a
process order is the running number that capture gives each transaction.
"""

import re
from typing import Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

Coordinate: TypeAlias = object
"""What names a transaction in the log, known with its first change: an int (LSN), or a `Place`."""


@runtime_checkable
class Position(Protocol):
    """An opaque resume point. `str()` gives the form that is stored and that `Source` parses."""

    def covers(self, coordinate: Coordinate, ordinal: int) -> bool:
        """Tell whether the `ordinal`-th change (1 is the first) of that transaction is passed."""
        ...

    def reaches(self, goal: "Position") -> bool:
        """Tell whether everything that `goal` covers is covered."""
        ...

    @property
    def coordinate(self) -> Coordinate:
        """The transaction that it stands in; what `at` of it gives is this position again. Of one
        that stands in none, only that `at(0)` of it covers the same."""
        ...

    def distance(self, head: "Position") -> int | None:
        """Bytes of the log from here to a later position; None where that cannot be told."""
        ...

    def __str__(self) -> str: ...


@runtime_checkable
class Place(Protocol):
    """A coordinate that is no number. Equal for the same transaction, and hashable."""

    def at(self, ordinal: int) -> Position:
        """The position after the `ordinal`-th change of this transaction, before its end."""
        ...


def position_at(coordinate: Coordinate, ordinal: int) -> Position:
    """The position after the `ordinal`-th change of a transaction, before its end."""
    if isinstance(coordinate, int):
        return LogPosition(coordinate, ordinal)
    assert isinstance(coordinate, Place)
    return coordinate.at(ordinal)


_TEXT: Final = re.compile(r"\A([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})(?:\+([0-9]{1,18}))?\Z")


class LogPosition(NamedTuple):
    """A position in a log whose transactions are numbered by one growing integer.

    For PostgreSQL `offset` is an LSN. After a whole transaction: (its end LSN, 0). Inside one:
    (its commit LSN, the last ordinal passed). Ordinals start at 1, so (end, 0) does not cover a
    transaction whose commit record starts exactly at `end`.
    """

    offset: int
    ordinal: int = 0

    def covers(self, coordinate: Coordinate, ordinal: int) -> bool:
        assert isinstance(coordinate, int)
        return (coordinate, ordinal) <= (self.offset, self.ordinal)

    def reaches(self, goal: Position) -> bool:
        assert isinstance(goal, LogPosition)
        return (goal.offset, goal.ordinal) <= (self.offset, self.ordinal)

    @property
    def coordinate(self) -> int:
        return self.offset

    def distance(self, head: Position) -> int | None:
        return max(0, head.offset - self.offset) if isinstance(head, LogPosition) else None

    def __str__(self) -> str:
        text = f"{self.offset >> 32:X}/{self.offset & 0xFFFFFFFF:X}"
        return f"{text}+{self.ordinal}" if self.ordinal else text

    @classmethod
    def parse(cls, text: str) -> "LogPosition":
        """Read what `str()` wrote, e.g. `16/B374D848` or `16/B374D848+12`.

        Raises:
            ValueError: the text is not of that form.
        """
        match = _TEXT.match(text)
        if match is None:
            raise ValueError(f"not a log position such as 16/B374D848: {text[:40]!r}")
        high, low, ordinal = match.groups()
        return cls(int(high, 16) << 32 | int(low, 16), int(ordinal or 0))
