"""Cutting a table into chunks.

A chunk is a range of the first column of the key, where that is a whole number: its order is the
same everywhere, and an index reads a range without reading the table. A key with few gaps is cut
into even ranges; else bounds are found by walking its index, so chunks have as many rows as was
wished, whatever the gaps. A table with another key, or none, is one chunk.

Bounds are open at both ends and key columns are NOT NULL, so the chunks of a table cover every row,
also those that come later.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from connectors.mysql.description import Description
from connectors.mysql.quoting import identifier, qualified
from connectors.mysql.server import Ask
from connectors.mysql.types import INTEGERS
from connectors.mysql.whole_numbers import reader
from engine.model.chunk import Chunk, ChunkDone
from engine.model.relation import Relation
from engine.model.value import Key

CHUNKS_MAX: Final = 10_000
"""Chunks of one table. Each is a row in the control schema; a table with more rows than that many
chunks of the wished size gets larger ones."""

GAPS_MAX: Final = 2
"""Numbers of a key for each row, from which its index is walked: fewer rows than half of what was
wished are no chunk worth its transaction."""


async def cut(
    ask: Ask, description: Description, relation: Relation, rows: int, rows_max: int
) -> Sequence[Chunk]:
    """Chunks of about `rows_max` rows that together cover every row, by ordinal. `rows`: how many
    the table has, about. Raises what `ask` raises."""
    if rows_max < 1:
        raise ValueError("a chunk has at least one row")
    if rows <= rows_max or not cuttable(description):
        return [Chunk(relation, 0, rows_estimated=rows)]
    step = max(rows_max, -(-rows // CHUNKS_MAX))
    bounds = await _even_bounds(ask, description, step, rows)
    if not bounds:
        bounds = await _bounds(ask, description, step)
    edges = [None, *((bound,) for bound in bounds), None]
    return [
        Chunk(relation, ordinal, "key", low, high, step)
        for ordinal, (low, high) in enumerate(pairwise(edges))
    ]


def cuttable(description: Description) -> bool:
    """Whether the first column of the key is a whole number."""
    first = description.identity[:1]
    return any(c.name in first and c.type.base in INTEGERS for c in description.columns)


async def _even_bounds(ask: Ask, description: Description, step: int, rows: int) -> list[str]:
    """Bounds so far apart as chunks have rows, for a key of one column that has few gaps; empty for
    another."""
    if len(description.identity) > 1:
        return []
    name = identifier(description.identity[0])
    table = qualified(description.table.schema, description.table.name)
    doing = f"cutting {description.table} into chunks"
    ((low, high),) = await ask(doing, f"SELECT MIN({name}), MAX({name}) FROM {table}")
    if low is None or high is None:
        return []
    first, last = int(low), int(high)
    if last - first >= min(GAPS_MAX * rows, CHUNKS_MAX * step):
        return []
    return [str(bound) for bound in range(first + step - 1, last, step)]


async def _bounds(ask: Ask, description: Description, step: int) -> list[str]:
    name = identifier(description.identity[0])
    table = qualified(description.table.schema, description.table.name)
    doing = f"cutting {description.table} into chunks"
    bounds: list[str] = []
    while True:
        after = f" WHERE {name} > {bounds[-1]}" if bounds else ""
        query = f"SELECT {name} FROM {table}{after} ORDER BY {name} LIMIT 2 OFFSET {step - 1}"
        rows = await ask(doing, query)
        if len(rows) < 2 or len(bounds) == CHUNKS_MAX:  # nothing stands behind a last row
            return bounds
        bounds.append(str(int(rows[0][0] or 0)))


class ChunkLookup:
    """Which finished chunk a key of the stream lies in. Prepared once per list of chunks."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Sequence[ChunkDone], int, Relation, _Bounds]] = {}

    def chunk_of(self, done: Sequence[ChunkDone], relation: Relation, key: Key) -> ChunkDone | None:
        """See `contracts.SnapshotSource.chunk_of`."""
        known = self._known.get(id(done))
        if known is None or known[0] is not done or known[1:3] != (len(done), relation):
            if len(self._known) >= PREPARED_MAX:
                self._known.clear()
            known = self._known[id(done)] = (done, len(done), relation, _Bounds(done, relation))
        return known[3].find(key)


PREPARED_MAX: Final = 4096
"""Tables whose chunks stay prepared. Tables in catch-up at one time are far fewer."""


class _Bounds:
    def __init__(self, done: Sequence[ChunkDone], relation: Relation) -> None:
        self._whole = next((chunk for chunk in done if chunk.by != "key"), None)
        ranges = [c for c in done if c.by == "key"]
        self._ranges = sorted(ranges, key=lambda chunk: _low(chunk.low))
        self._lows = [_low(chunk.low) for chunk in self._ranges]
        self._highs = [_high(chunk.high) for chunk in self._ranges]
        self._read = reader(relation.columns[relation.key[0]]) if relation.key else int

    def find(self, key: Key) -> ChunkDone | None:
        if self._whole is not None or not self._ranges:
            return self._whole
        first = key[0]
        assert isinstance(first, bytes)
        value = self._read(first)
        at = bisect_left(self._lows, value) - 1
        return self._ranges[at] if at >= 0 and value <= self._highs[at] else None


_BEYOND: Final = 1 << 65
"""More than any column holds."""


def _low(bound: tuple[str, ...] | None) -> int:
    return -_BEYOND if bound is None else int(bound[0])


def _high(bound: tuple[str, ...] | None) -> int:
    return _BEYOND if bound is None else int(bound[0])
