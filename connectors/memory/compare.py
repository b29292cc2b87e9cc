"""One memory server as a side of a comparison.

Between two of them a row is hashed over the bytes that a load gives of it, and keys are ordered
byte by byte; with another family over canonical texts (`engine.model.canonical`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final, cast

from connectors.memory import rows
from connectors.memory.control import CHECKPOINT
from connectors.memory.database import MemoryDatabase
from connectors.memory.servers import Side, named
from connectors.memory.storage import Columns, Table, pick
from engine.config.replication import ReplicationConfig
from engine.errors import ComparisonError
from engine.model.canonical import ABSENT, CANONICAL, SEPARATOR, TextForm
from engine.model.compared import Digest, Part, Reading, RowKey, Span, TableShape
from engine.model.position import LogPosition, Position
from engine.model.relation import TableName
from engine.model.state import LaneRow

PLAIN: Final = "memory-sha256"
"""The first 8 bytes of SHA-256 over a row as it is loaded."""

BUCKET_SHIFT: Final = 40
"""Buckets take hash bits from here upwards; a sum of hashes mixes the low ones first."""

ORDER: Final = "bytes"

_PROBED: Final = b"penstock"


def create(config: ReplicationConfig, side: Side) -> "MemoryComparable":
    """The side of a replication. Raises ConfigError."""
    return MemoryComparable(side, named(config, side))


class MemoryComparable:
    """See `engine.comparable.Comparable`. `side` is for messages."""

    def __init__(self, side: str, database: MemoryDatabase) -> None:
        self._side = side
        self._database = database
        self._opened = False

    async def open(self) -> None:
        self._opened = True

    async def close(self) -> None:
        self._opened = False

    async def _reach(self) -> None:
        """One trip to the server."""
        await asyncio.sleep(0)
        if not self._opened:
            raise ComparisonError(f"{self._side}: it is not open")

    # --- what there is --------------------------------------------------------------------------

    async def hash_methods(self) -> Mapping[str, str]:
        await self._reach()
        return {PLAIN: ORDER, CANONICAL: str(_hash(_PROBED))}

    async def shape(self, table: TableName) -> TableShape | None:
        await self._reach()
        found = self._database.tables.get(table)
        if found is None:
            return None
        names = [column.name for column in found.relation.columns]
        return TableShape(
            table,
            columns=tuple(sorted(names)),
            generated=frozenset(),
            key=_names(found, found.primary_key),
            orders=dict.fromkeys(names, ORDER),
            indexes=frozenset([_names(found, unique.columns) for unique in found.uniques]),
            rows_estimated=len(self._database.visible_rows(table)),
            forms=dict.fromkeys(names, (TextForm.BYTES, TextForm.TEXT)),
        )

    # --- reading --------------------------------------------------------------------------------

    async def boundary(self, reading: Reading, span: Span, rows: int) -> RowKey | None:
        found = sorted([key for key, _ in await self._read(reading) if _within(span, key)])
        return found[rows - 1] if len(found) >= rows else None

    async def digest(self, reading: Reading, span: Span) -> Digest:
        found = [hashed for key, hashed in await self._read(reading) if _within(span, key)]
        return Digest(len(found), sum(found))

    async def bucket_digests(self, reading: Reading) -> Mapping[int, Digest]:
        digests: dict[int, Digest] = {}
        for row in await self._rows(reading):
            bucket = _bucket(reading, row)
            digests[bucket] = digests.get(bucket, Digest(0, 0)) + Digest(1, _row(reading, row))
        return digests

    async def rows(self, reading: Reading, part: Part) -> Mapping[RowKey, Digest]:
        found = await self._rows(reading)
        if isinstance(part, Span):
            return _added(reading, [row for row in found if _within(part, _key(reading, row))])
        return _added(reading, [row for row in found if _bucket(reading, row) in part])

    async def find(self, reading: Reading, keys: Sequence[RowKey]) -> Mapping[RowKey, Digest]:
        wanted = set(keys)
        found = _added(reading, await self._rows(reading))
        return {key: digest for key, digest in found.items() if key in wanted}

    async def _read(self, reading: Reading) -> list[tuple[RowKey, int]]:
        return [(_key(reading, row), _row(reading, row)) for row in await self._rows(reading)]

    async def _rows(self, reading: Reading) -> list["_Named"]:
        await self._reach()
        table = self._database.tables.get(reading.table)
        if table is None:
            raise ComparisonError(f"{self._side}: there is no table {reading.table}")
        places = {column.name: place for place, column in enumerate(table.relation.columns)}
        lacking = [name for name in reading.columns if name not in places]
        if lacking:
            raise ComparisonError(f"{self._side}: {reading.table} lacks {', '.join(lacking)}")
        wanted = tuple([places[name] for name in reading.columns])
        stored = self._database.visible_rows(reading.table)
        return [dict(zip(reading.columns, pick(row, wanted), strict=True)) for row in stored]

    # --- positions ------------------------------------------------------------------------------

    async def head(self) -> Position:
        await self._reach()
        return LogPosition(self._database.offset)

    def position(self, text: str) -> Position:
        return LogPosition.parse(text)

    async def stored(self, replication: str, checkpoints: Sequence[str]) -> Sequence[str]:
        await self._reach()
        held = self._database.visible_rows(CHECKPOINT)
        mine = [row for row in held if row[0] == replication and row[1] in checkpoints]
        return [cast(LaneRow, row[2]).position for row in mine]


_Named = dict[str, object]
"""A row's values by column."""


def _names(table: Table, columns: Columns) -> tuple[str, ...]:
    return tuple([table.relation.columns[place].name for place in columns])


def _within(span: Span, key: RowKey) -> bool:
    return (span.low is None or span.low < key) and (span.high is None or key <= span.high)


def _key(reading: Reading, row: _Named) -> RowKey:
    """In hexadecimal digits, which are ordered as the bytes are; or in the text agreed upon."""
    values = [cast(bytes, row[name]) for name in reading.key]
    if TextForm.TEXT not in reading.forms.values():
        return tuple([value.hex() for value in values])
    texts = zip(reading.key, values, strict=True)
    return tuple([_text(reading.forms[name], value) for name, value in texts])


def _text(form: TextForm, value: bytes) -> str:
    return value.decode(errors="surrogateescape") if form is TextForm.TEXT else value.hex()


def _row(reading: Reading, row: _Named) -> int:
    return _hashed(reading, [row[name] for name in reading.columns])


def _bucket(reading: Reading, row: _Named) -> int:
    hashed = _hashed(reading, [row[name] for name in reading.key or reading.columns])
    return hashed >> BUCKET_SHIFT & reading.buckets - 1


def _hashed(reading: Reading, values: Sequence[object]) -> int:
    if reading.method == PLAIN:
        return _hash(rows.encode(tuple(values)))
    return _hash(SEPARATOR.join(map(_token, values)).encode())


def _token(value: object) -> str:
    """Of both forms there are it is that of the bytes."""
    return ABSENT if value is None else sha256(cast(bytes, value)).hexdigest()[:32]


def _hash(data: bytes) -> int:
    return int.from_bytes(sha256(data).digest()[:8], "big", signed=True)


def _added(reading: Reading, found: Sequence[_Named]) -> dict[RowKey, Digest]:
    """Rows of one key, as a table without key may have, are added up."""
    held: dict[RowKey, Digest] = {}
    for row in found:
        hashed = _row(reading, row)
        key = _key(reading, row) if reading.key else (str(hashed),)
        held[key] = held.get(key, Digest(0, 0)) + Digest(1, hashed)
    return held
