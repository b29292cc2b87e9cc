"""(pure) TABLE_MAP: the table that rows are of, as far as the log describes it.

Types and what is needed to walk over a row are always there. Names, labels, charsets and the key
come with `binlog_row_metadata=FULL`; signedness and charsets also with MINIMAL; MariaDB's default
NO_LOG leaves out everything. Which columns a field counts depends on the server that wrote it.

See: MySQL source, `rows_event.h`, "Table_map_event"; MariaDB source, `log_event_server.cc`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from connectors.mysql.binlog.cursor import Cursor
from connectors.mysql.flavour import Flavour
from engine.errors import DecodeError

DECIMAL: Final = 0
TINY: Final = 1
SHORT: Final = 2
LONG: Final = 3
FLOAT: Final = 4
DOUBLE: Final = 5
NULL: Final = 6
TIMESTAMP: Final = 7
LONGLONG: Final = 8
INT24: Final = 9
DATE: Final = 10
TIME: Final = 11
DATETIME: Final = 12
YEAR: Final = 13
NEWDATE: Final = 14
VARCHAR: Final = 15
BIT: Final = 16
TIMESTAMP2: Final = 17
DATETIME2: Final = 18
TIME2: Final = 19
BLOB_COMPRESSED: Final = 140
VARCHAR_COMPRESSED: Final = 141
VECTOR: Final = 242
JSON: Final = 245
NEWDECIMAL: Final = 246
ENUM: Final = 247
SET: Final = 248
TINY_BLOB: Final = 249
MEDIUM_BLOB: Final = 250
LONG_BLOB: Final = 251
BLOB: Final = 252
VAR_STRING: Final = 253
STRING: Final = 254
GEOMETRY: Final = 255

COLUMNS_MAX: Final = 4096
"""The servers' own limit of columns in a table."""

_ONE_BYTE: Final = frozenset(
    (FLOAT, DOUBLE, BLOB, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB_COMPRESSED, GEOMETRY, JSON,
     VECTOR, TIMESTAMP2, DATETIME2, TIME2)
)  # fmt: skip
_TWO_BYTES: Final = frozenset(
    (VARCHAR, VAR_STRING, VARCHAR_COMPRESSED, BIT, NEWDECIMAL, STRING, ENUM, SET)
)
_NUMERIC: Final = frozenset((TINY, SHORT, INT24, LONG, LONGLONG, NEWDECIMAL, FLOAT, DOUBLE, YEAR))
_CHARACTER: Final = frozenset(
    (STRING, VAR_STRING, VARCHAR, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, BLOB_COMPRESSED,
     VARCHAR_COMPRESSED)
)  # fmt: skip

_COUNTS_YEAR: Final = (8, 0, 29)
"""MySQL version from which YEAR is known to be among the numbers. Some before do not count it."""

BINARY_COLLATION: Final = 63


@dataclass(frozen=True, slots=True)
class MetadataColumn:
    """What the log says of one column. None: it does not say."""

    name: str | None = None
    unsigned: bool | None = None
    collation: int | None = None
    labels: tuple[bytes, ...] | None = None
    """Of an ENUM or SET, in the charset of `collation`."""
    geometry: int | None = None
    dimensions: int | None = None
    """Of a VECTOR."""
    visible: bool | None = None


@dataclass(frozen=True, slots=True)
class TableMetadata:
    """The optional part. `key` holds the column indexes of the primary key, in its order; None when
    the log does not say whether there is one. `key_prefixes`, beside them: how much of each column
    is part of the key, 0 for all of it."""

    columns: tuple[MetadataColumn, ...]
    key: tuple[int, ...] | None
    key_prefixes: tuple[int, ...]


@dataclass(frozen=True)
class TableMap:
    """A table at one moment of the log.

    `types` are the columns' real types: ENUM and SET are told from STRING. `metadata` is, by type:
    bytes of the length (blobs, JSON, GEOMETRY), the largest length in bytes (strings), digits of
    the fraction (times), bytes (ENUM, SET), `precision << 8 | scale` (NEWDECIMAL),
    `bits` (BIT), bytes (FLOAT, DOUBLE). The same description is the same object while its decoder
    remembers it.
    """

    table_id: int
    schema: str
    name: str
    types: tuple[int, ...]
    metadata: tuple[int, ...]
    nullable: tuple[bool, ...]
    optional: bytes
    server: Flavour

    @cached_property
    def described(self) -> TableMetadata:
        """The optional part, read when first asked for.

        Raises:
            DecodeError: it was not understood.
        """
        try:
            return _Optional(self.types, self.optional, self.server).read()
        except ValueError as error:
            what = f"the binlog's description of {self.qualified} is malformed: {error}"
            raise DecodeError(what) from error

    @cached_property
    def json_columns(self) -> int:
        return self.types.count(JSON)

    @property
    def qualified(self) -> str:
        return f"{self.schema}.{self.name}"


def parse_table_map(cursor: Cursor, id_bytes: int, server: Flavour) -> TableMap:
    """Read an event's body, which this server wrote. Raises ValueError."""
    table_id = cursor.uint(id_bytes)
    cursor.skip(2)
    schema = cursor.terminated(cursor.u8()).decode()
    name = cursor.terminated(cursor.u8()).decode()
    count = cursor.packed()
    if not 0 < count <= COLUMNS_MAX:
        raise ValueError("it has more columns than a table can have")
    types = cursor.take(count)
    facts = cursor.packed_bytes()
    real, metadata = _column_metadata(types, Cursor(facts, 0, len(facts)))
    bits = cursor.take((count + 7) // 8)
    nullable = tuple([bool(bits[i >> 3] >> (i & 7) & 1) for i in range(count)])
    return TableMap(table_id, schema, name, real, metadata, nullable, cursor.rest(), server)


def _column_metadata(types: bytes, facts: Cursor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    real: list[int] = []
    metadata: list[int] = []
    for told in types:
        code, fact = told, 0
        if told in _ONE_BYTE:
            fact = facts.u8()
        elif told in _TWO_BYTES:
            code, fact = _wide_fact(told, facts.take(2))
        real.append(code)
        metadata.append(fact)
    if facts.left:
        raise ValueError("its columns' facts are longer than its columns")
    return tuple(real), tuple(metadata)


def _wide_fact(code: int, fact: bytes) -> tuple[int, int]:
    """A fact of two bytes, which for STRING hold the real type and a length of ten bits: the two
    uppermost ones stand, inverted, among the bits of the type."""
    first, second = fact
    if code == NEWDECIMAL:
        return code, first << 8 | second
    if code == BIT:
        return code, second * 8 + first
    if code != STRING:
        return code, second << 8 | first
    if first & 0x30 != 0x30:
        return first | 0x30, second | ((first & 0x30) ^ 0x30) << 4
    return first, second


class _Optional:
    """Reads the optional part: fields of a type, a length and a body, in any order."""

    def __init__(self, types: Sequence[int], data: bytes, server: Flavour) -> None:
        self._types = types
        self._data = data
        self._server = server
        # MariaDB makes a geometry of a blob.
        characters = _CHARACTER | ({GEOMETRY} if server.mariadb else set())
        self._found: list[dict[str, object]] = [{} for _ in types]
        self._key: list[int] | None = None
        self._prefixes: list[int] = []
        self._readers: dict[int, Callable[[Cursor], None]] = {
            1: self._signedness,
            2: lambda cursor: self._default_charset(cursor, self._of(characters)),
            3: lambda cursor: self._charsets(cursor, self._of(characters)),
            4: self._names,
            5: lambda cursor: self._labels(cursor, SET),
            6: lambda cursor: self._labels(cursor, ENUM),
            7: lambda cursor: self._numbers(cursor, "geometry", GEOMETRY),
            8: self._simple_key,
            9: self._prefixed_key,
            10: lambda cursor: self._default_charset(cursor, self._of({ENUM, SET})),
            11: lambda cursor: self._charsets(cursor, self._of({ENUM, SET})),
            12: self._visibility,
            13: lambda cursor: self._numbers(cursor, "dimensions", VECTOR),
        }

    def read(self) -> TableMetadata:
        cursor = Cursor(self._data, 0, len(self._data))
        while cursor.left:
            kind = cursor.u8()
            body = cursor.packed_bytes()
            reader = self._readers.get(kind)
            if reader is not None:
                reader(Cursor(body, 0, len(body)))
        if self._key is None and any("name" in found for found in self._found):
            self._key = []
        columns = tuple([MetadataColumn(**found) for found in self._found])  # type: ignore[arg-type]
        key = None if self._key is None else tuple(self._key)
        return TableMetadata(columns, key, tuple(self._prefixes))

    def _of(self, kinds: frozenset[int] | set[int]) -> list[int]:
        """Indexes of the columns that a field counts."""
        return [i for i, code in enumerate(self._types) if code in kinds]

    def _bits(self, cursor: Cursor, name: str, columns: Sequence[int]) -> None:
        """A bit for each column, most significant first."""
        bits = cursor.take((len(columns) + 7) // 8)
        for place, column in enumerate(columns):
            self._found[column][name] = bool(bits[place >> 3] >> (7 - (place & 7)) & 1)

    def _signedness(self, cursor: Cursor) -> None:
        """Behind a YEAR of an old MySQL it is not known whose bit one is."""
        if self._server.mariadb or self._server.version >= _COUNTS_YEAR:
            self._bits(cursor, "unsigned", self._of(_NUMERIC))
        else:
            first = self._types.index(YEAR) if YEAR in self._types else len(self._types)
            self._bits(cursor, "unsigned", [i for i in self._of(_NUMERIC) if i < first])

    def _visibility(self, cursor: Cursor) -> None:
        self._bits(cursor, "visible", range(len(self._types)))

    def _default_charset(self, cursor: Cursor, columns: Sequence[int]) -> None:
        default = cursor.packed()
        for column in columns:
            self._found[column]["collation"] = default
        while cursor.left:
            place, collation = cursor.packed(), cursor.packed()
            if place >= len(columns):
                raise ValueError("a charset is of a column that there is not")
            self._found[columns[place]]["collation"] = collation

    def _charsets(self, cursor: Cursor, columns: Sequence[int]) -> None:
        for column in columns:
            self._found[column]["collation"] = cursor.packed()

    def _names(self, cursor: Cursor) -> None:
        for found in self._found:
            found["name"] = cursor.packed_bytes().decode()

    def _labels(self, cursor: Cursor, kind: int) -> None:
        for column in self._of({kind}):
            count = cursor.packed()
            if count > cursor.left:
                raise ValueError("it ends too early")
            self._found[column]["labels"] = tuple([cursor.packed_bytes() for _ in range(count)])

    def _numbers(self, cursor: Cursor, name: str, kind: int) -> None:
        for column in self._of({kind}):
            self._found[column][name] = cursor.packed()

    def _key_column(self, cursor: Cursor) -> int:
        column = cursor.packed()
        if column >= len(self._types):
            raise ValueError("a key has a column that there is not")
        return column

    def _simple_key(self, cursor: Cursor) -> None:
        self._key = []
        while cursor.left:
            self._key.append(self._key_column(cursor))
            self._prefixes.append(0)

    def _prefixed_key(self, cursor: Cursor) -> None:
        self._key = []
        while cursor.left:
            self._key.append(self._key_column(cursor))
            self._prefixes.append(cursor.packed())
