"""(pure) Which columns the rows of an event hold, and which of them are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.model.change import INSERT, UPDATE

FULL_IMAGES: Final = "set binlog_row_image=FULL at the source"


@dataclass(frozen=True, slots=True)
class Images:
    """`old` and `new`: the columns that the two images hold. Of an old row those in `told` are
    told; where a new row lacks a column it is taken from `filling`, columns of the old one. `read`
    is what of an old image is needed. `compared`: the columns of the key, by which an update tells
    its old row only if one of them changed; None: it always does."""

    kind: int
    old: tuple[int, ...]
    new: tuple[int, ...]
    told: tuple[int, ...]
    filling: tuple[int, ...]
    read: frozenset[int]
    compared: tuple[int, ...] | None

    @classmethod
    def of(
        cls, kind: int, before: bytes, after: bytes, columns: int, key: Sequence[int]
    ) -> "Images":
        """From an event's two masks. Raises ValueError for rows that cannot be told."""
        old, new = columns_of(before, columns), columns_of(after, columns)
        if not (new if kind == INSERT else old):
            # Such a row takes no bytes, so how many there are is not told.
            raise ValueError(f"its rows hold no column; {FULL_IMAGES}")
        if kind != INSERT and not set(key) <= set(old):
            raise ValueError(f"its rows lack a column of the key; {FULL_IMAGES}")
        told = tuple(key) or old
        filling = tuple([i for i in old if i not in new]) if kind == UPDATE else ()
        compared = tuple([i for i in key if i in new]) if key and kind == UPDATE else None
        return cls(kind, old, new, told, filling, frozenset((*told, *filling)), compared)


def columns_of(mask: bytes, count: int) -> tuple[int, ...]:
    """The columns whose bit is set."""
    bits = int.from_bytes(mask, "little")
    return tuple([i for i in range(count) if bits >> i & 1])
