"""What the two sides of a comparison agree on, and what they read (pure).

Values never leave a server here, only hashes of rows and the text of keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from engine.model.canonical import TextForm
from engine.model.relation import TableName

RowKey: TypeAlias = tuple[str, ...]
"""A row's key as text, in key order; of a table without key the hash of its whole row."""


class Digest(NamedTuple):
    """Rows and the sum of their 64-bit hashes, which does not depend on their order."""

    rows: int
    hash: int

    def __add__(self, other: object) -> "Digest":
        assert isinstance(other, Digest)
        return Digest(self.rows + other.rows, self.hash + other.hash)


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table on one side, as far as comparing needs it.

    `key`: the columns that identify a row, empty when nothing does. `generated`: columns whose
    values the server computes. `orders`: columns that may be looked up by an index of that server,
    with the name of their order; two sides order alike when the name is the same and not empty.
    `indexes`: columns of each index that holds every row. `forms`: in which texts this side can
    print a column's values, best first; a column of a type that has none is absent.
    """

    table: TableName
    columns: tuple[str, ...]
    generated: frozenset[str]
    key: tuple[str, ...]
    orders: Mapping[str, str]
    indexes: frozenset[tuple[str, ...]]
    rows_estimated: int = 0
    forms: Mapping[str, tuple[TextForm, ...]] = field(
        default_factory=dict[str, tuple[TextForm, ...]]
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """How one side reads a table: the same on both sides but for the table's name.

    `method` names the row hash. `indexed`: both sides find a key by an index. `ranged`: and order
    keys alike, so a table is cut into key ranges; otherwise into `buckets` parts by hash. `forms`:
    the text of each column, where `method` is over such texts; keys are then in these texts too.
    """

    table: TableName
    columns: tuple[str, ...]
    key: tuple[str, ...]
    method: str
    indexed: bool = False
    ranged: bool = False
    buckets: int = 1
    forms: Mapping[str, TextForm] = field(default_factory=dict[str, TextForm])


@dataclass(frozen=True, slots=True)
class Span:
    """Rows with `low < key <= high`; None is open."""

    low: RowKey | None = None
    high: RowKey | None = None


Part: TypeAlias = Span | frozenset[int]
"""A key range, or numbers of hash buckets."""
