"""What a column can hold on its way: a value, NULL, or nothing that the log sent.

Values stay in the source's wire form (`bytes`) until someone needs them. `None` is NULL.
`UNCHANGED` means the log did not send the value (TOAST, minimal row image); it is never written.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, TypeAlias


class Unchanged(Enum):
    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged.UNCHANGED

Value: TypeAlias = bytes | Unchanged | None
Row: TypeAlias = tuple[Value, ...]
"""Values in the relation's column order."""

Key: TypeAlias = tuple[Value, ...]
"""Values of the key columns, in the order of `Relation.key`."""

KeyHash: TypeAlias = Callable[[Row], int | None]
"""A row's key as a number of 32 bits; None when the row does not hold its whole key."""
