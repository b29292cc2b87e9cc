"""Which finished chunk a key of the stream lies in. (pure)

The catch-up filter asks this for every change of a table that was loaded, so the chunks of a table
are prepared once and searched by bisection.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, TypeAlias

from connectors._interchange.keyorder import Comparable, Decoder, decoder, orderable, text_decoder
from engine.errors import InvariantError, SchemaChangeError
from engine.model.chunk import ChunkDone
from engine.model.relation import Relation, TableName

Bound: TypeAlias = tuple[Comparable, ...]


class ChunkLookup:
    """The finished chunks of one table, for one relation version.

    Chunks by `key` may be a part of the table; a key in none of them gives None. A table copied
    `whole` or by `ctid` was copied at one snapshot, so every key has the same answer.

    Raises:
        SchemaChangeError: the key is no longer of a type whose order is known here.
        InvariantError: chunks that say nothing about keys were read at different snapshots.
    """

    def __init__(self, done: Sequence[ChunkDone], relation: Relation) -> None:
        by_key = [chunk for chunk in done if chunk.by == "key"]
        self._any = _only_snapshot([chunk for chunk in done if chunk.by != "key"])
        bounded = [chunk for chunk in by_key if chunk.high is not None]
        open_ended = [chunk for chunk in by_key if chunk.high is None]
        self._decoders = _decoders(relation, _width(by_key))
        oids = [relation.columns[i].type.oid for i in relation.key[: len(self._decoders)]]
        ordered = sorted(((_bound(chunk.high, oids), chunk) for chunk in bounded), key=_first)
        self._highs = [high for high, _ in ordered]
        self._chunks = [chunk for _, chunk in ordered] + open_ended[:1]
        self._lows = [_bound(chunk.low, oids) if chunk.low else None for chunk in self._chunks]

    def find(self, key: tuple[object, ...]) -> ChunkDone | None:
        """The chunk of a key: wire values (bytes) in `relation.key` order."""
        if self._any is not None or not self._chunks:
            return self._any
        parts = zip(self._decoders, key, strict=False)
        value = tuple([decode(part) for decode, part in parts])  # type: ignore[arg-type]
        at = bisect_left(self._highs, value)
        if at == len(self._chunks):
            return None
        low = self._lows[at]
        return self._chunks[at] if low is None or low < value else None


class ChunkLookups:
    """`SnapshotSource.chunk_of`, prepared once per list of chunks and relation version.

    A list is known again by being the same object of the same length, so callers that keep one
    list per table pay for one search; others pay for the preparation too.
    """

    def __init__(self) -> None:
        self._prepared: dict[TableName, tuple[Sequence[ChunkDone], int, Relation, ChunkLookup]] = {}

    def chunk_of(
        self, done: Sequence[ChunkDone], relation: Relation, key: tuple[object, ...]
    ) -> ChunkDone | None:
        """The finished chunk in whose range the key lies; None when in none."""
        known = self._prepared.get(relation.table)
        if (
            known is None
            or known[0] is not done
            or known[1] != len(done)
            or known[2] is not relation
        ):
            known = (done, len(done), relation, ChunkLookup(done, relation))
            if len(self._prepared) >= PREPARED_TABLES_MAX:
                self._prepared.clear()
            self._prepared[relation.table] = known
        return known[3].find(key)


PREPARED_TABLES_MAX: Final = 4096
"""Tables whose chunks stay prepared. Tables in catch-up at one time are far fewer."""


def _first(pair: tuple[Bound, ChunkDone]) -> Bound:
    return pair[0]


def _only_snapshot(chunks: Sequence[ChunkDone]) -> ChunkDone | None:
    if len({chunk.snapshot for chunk in chunks}) > 1:
        raise InvariantError(
            f"chunks of {chunks[0].table} that cannot be told apart by key have several snapshots"
        )
    return chunks[0] if chunks else None


def _width(chunks: Sequence[ChunkDone]) -> int:
    """How many key columns bound the chunks; none when one chunk is the whole table."""
    return max((len(b) for c in chunks for b in (c.low, c.high) if b is not None), default=0)


def _decoders(relation: Relation, width: int) -> Sequence[Decoder]:
    columns = [relation.columns[i] for i in relation.key[:width]]
    if len(columns) < width or not all(orderable(column.type.oid) for column in columns):
        raise SchemaChangeError(
            f"the key of {relation.qualified} changed while the table was being loaded",
            hint="load the table again",
        )
    return [decoder(column) for column in columns]


def _bound(texts: tuple[str, ...] | None, oids: Sequence[int]) -> Bound:
    assert texts is not None
    return tuple(text_decoder(oid)(text.encode()) for oid, text in zip(oids, texts, strict=True))
