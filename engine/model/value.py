"""What a column can hold on its way: a value, NULL, or nothing that the log sent.

Values stay in the source's wire form (`bytes`) until someone needs them. `None` is NULL.
`UNCHANGED` means the log did not send the value (TOAST, minimal row image); it is never written.
A `Misfit` stands for a value that the wire form cannot hold; its row is refused before any target
sees it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias


class Unchanged(Enum):
    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value of the source that its relation's wire form has no form for (a date without a day, a
    text that its character set does not know).

    `reason` is a short fixed word, `message` says what it is and what lets it pass, after the
    column's name; neither holds the value.
    """

    reason: str
    message: str


Value: TypeAlias = bytes | Unchanged | Misfit | None
Row: TypeAlias = tuple[Value, ...]
"""Values in the relation's column order."""

Key: TypeAlias = tuple[Value, ...]
"""Values of the key columns, in the order of `Relation.key`."""

KeyHash: TypeAlias = Callable[[Row], int | None]
"""A row's key as a number of 32 bits; None when the row does not hold its whole key."""
