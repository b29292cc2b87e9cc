"""What one side of a comparison promises (`penstock compare`)."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from engine.model.compared import Digest, Part, Reading, RowKey, Span, TableShape
from engine.model.position import Position
from engine.model.relation import TableName


@runtime_checkable
class Comparable(Protocol):
    """Optional: one side of a comparison, in sessions of its own. Reads only, takes no lock that a
    writer waits for. Every method may be called by several tasks at once.

    Raises, from any method:
        ComparisonError: the side or the table cannot be read.
    """

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Release every connection. Idempotent."""
        ...

    async def hash_methods(self) -> Mapping[str, str]:
        """Names of the row hashes this side can compute, fastest first, each with what it gives for
        a fixed text: two sides hash alike by a method when that is the same."""
        ...

    async def shape(self, table: TableName) -> TableShape | None:
        """What the table looks like now; None when absent. Comes before the table is read."""
        ...

    async def boundary(self, reading: Reading, span: Span, rows: int) -> RowKey | None:
        """The key of the `rows`-th row of a key range, in key order; None when it has fewer."""
        ...

    async def digest(self, reading: Reading, span: Span) -> Digest: ...

    async def bucket_digests(self, reading: Reading) -> Mapping[int, Digest]:
        """Every hash bucket that has rows."""
        ...

    async def rows(self, reading: Reading, part: Part) -> Mapping[RowKey, Digest]:
        """The part's keys; rows of one key, as a table without key may have, are added up."""
        ...

    async def find(self, reading: Reading, keys: Sequence[RowKey]) -> Mapping[RowKey, Digest]:
        """The rows with these keys, as `rows` gives them."""
        ...

    async def head(self) -> Position:
        """A position of this side's log that covers everything that was visible at the call."""
        ...

    def position(self, text: str) -> Position:
        """A position of this side's log from its text. Raises ValueError."""
        ...

    async def stored(self, replication: str, checkpoints: Sequence[str]) -> Sequence[str]:
        """Positions of the other side's log, as texts: up to each of them everything is durable
        here by one of these checkpoint rows. Empty when no replication of that id has stored any.
        """
        ...
