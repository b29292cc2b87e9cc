"""(pure) How one column stands in a row of the log, and what it becomes.

A column takes a fixed number of bytes, or bytes behind their count. What turns them into a value of
the form that is asked for is chosen once per table; neither form depends on how the log was read.

See: MySQL source, `sql/field.cc`, `pack`, and `log_event.cc`, `log_event_print_value`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from connectors.mysql import temporal
from connectors.mysql.binlog import table_map as codes
from connectors.mysql.binlog.column_values import Converters, decompressed
from connectors.mysql.binlog.steps import RAW, Operation, operation
from connectors.mysql.decimals import packed_bytes, unpacker
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import BINARIES, CHARACTERS, GEOMETRIES, MysqlType
from engine.model.value import Value


class Form(Enum):
    """Which of a column's two faces its values wear: see `types`."""

    NATIVE = "mysql"
    INTERCHANGE = "postgres"


@dataclass(frozen=True, slots=True)
class Reader:
    """A column in a row: `width` bytes, or, with `width` 0, bytes behind a count of `prefix` bytes.
    `convert` None: they are the value as they stand. `operation` is what the compiled loop does in
    place of `convert`, with the same outcome."""

    width: int
    prefix: int
    convert: Callable[[bytes], Value] | None
    operation: Operation


_ALLOWED: Final[dict[str, frozenset[int]]] = {
    "tinyint": frozenset((codes.TINY,)),
    "smallint": frozenset((codes.SHORT,)),
    "mediumint": frozenset((codes.INT24,)),
    "int": frozenset((codes.LONG,)),
    "bigint": frozenset((codes.LONGLONG,)),
    "decimal": frozenset((codes.NEWDECIMAL,)),
    "float": frozenset((codes.FLOAT,)),
    "double": frozenset((codes.DOUBLE,)),
    "bit": frozenset((codes.BIT,)),
    "year": frozenset((codes.YEAR,)),
    "date": frozenset((codes.DATE, codes.NEWDATE)),
    "datetime": frozenset((codes.DATETIME, codes.DATETIME2)),
    "timestamp": frozenset((codes.TIMESTAMP, codes.TIMESTAMP2)),
    "time": frozenset((codes.TIME, codes.TIME2)),
    "enum": frozenset((codes.ENUM,)),
    "set": frozenset((codes.SET,)),
    "json": frozenset((codes.JSON,)),
    "vector": frozenset((codes.VECTOR, codes.VARCHAR, codes.VAR_STRING)),
    **dict.fromkeys(("char", "binary"), frozenset((codes.STRING, codes.VAR_STRING, codes.VARCHAR))),
    **dict.fromkeys(
        ("varchar", "varbinary"),
        frozenset((codes.VARCHAR, codes.VAR_STRING, codes.STRING, codes.VARCHAR_COMPRESSED)),
    ),
    **dict.fromkeys(
        [base for base in (*CHARACTERS, *BINARIES) if base.endswith(("text", "blob"))],
        frozenset((codes.BLOB, codes.TINY_BLOB, codes.MEDIUM_BLOB, codes.LONG_BLOB,
                   codes.BLOB_COMPRESSED)),
    ),
    **dict.fromkeys(GEOMETRIES, frozenset((codes.GEOMETRY, codes.BLOB))),
    **dict.fromkeys(("uuid", "inet4", "inet6"), frozenset((codes.STRING,))),
}  # fmt: skip
"""Types of the log that a type of the catalog can have there."""

_FIXED_WIDTHS: Final = {
    codes.TINY: 1, codes.SHORT: 2, codes.INT24: 3, codes.LONG: 4, codes.LONGLONG: 8,
    codes.FLOAT: 4, codes.DOUBLE: 8, codes.YEAR: 1, codes.DATE: 3, codes.NEWDATE: 3, codes.TIME: 3,
    codes.DATETIME: 8, codes.TIMESTAMP: 4,
}  # fmt: skip
_FRACTIONS: Final = {codes.TIMESTAMP2: 4, codes.DATETIME2: 5, codes.TIME2: 3}
_COUNTED: Final = frozenset(
    (codes.BLOB, codes.TINY_BLOB, codes.MEDIUM_BLOB, codes.LONG_BLOB, codes.BLOB_COMPRESSED,
     codes.JSON, codes.GEOMETRY, codes.VECTOR)
)  # fmt: skip
_LONG_LENGTH: Final = 255
"""Bytes up to which a string's count takes one byte."""

_OLD_TIMES: Final = frozenset((codes.TIME, codes.DATETIME, codes.TIMESTAMP))


def frame(code: int, metadata: int) -> tuple[int, int]:
    """Width, or 0, and prefix of a type of the log. Raises ValueError."""
    width = _FIXED_WIDTHS.get(code)
    if width is not None:
        return width, 0
    if code in _FRACTIONS:
        if metadata > 6:
            raise ValueError("a time has more than six digits of a fraction")
        return _FRACTIONS[code] + temporal.fraction_bytes(metadata), 0
    if code in (codes.ENUM, codes.SET) and 1 <= metadata <= 8:
        return metadata, 0
    if code == codes.BIT and 1 <= metadata <= 64:
        return (metadata + 7) // 8, 0
    if code == codes.NEWDECIMAL:
        unpacker(metadata >> 8, metadata & 0xFF)
        return packed_bytes(metadata >> 8, metadata & 0xFF), 0
    if code in (codes.VARCHAR, codes.VAR_STRING, codes.STRING, codes.VARCHAR_COMPRESSED):
        return 0, 1 if metadata <= _LONG_LENGTH else 2
    if code in _COUNTED and 1 <= metadata <= 4:
        return 0, metadata
    raise ValueError(f"a column is of type number {code}, which is unknown")


def reader(code: int, metadata: int, type: MysqlType, form: Form, zero: ZeroDates) -> Reader:
    """How to read a column that the log and the catalog describe.

    Raises:
        ValueError: the two do not fit.
    """
    if code not in _ALLOWED[type.base]:
        raise ValueError(f"the log has type number {code} where the catalog has {type.base}")
    if code in _OLD_TIMES and type.size:
        raise ValueError(
            f"a {type.base} with a fraction is stored in MariaDB's old form, whose log does not"
            " tell its digits; rebuild the table with mysql56_temporal_format=ON"
        )
    if code == codes.NEWDECIMAL and metadata != type.size << 8 | type.scale:
        raise ValueError(f"the log and the catalog tell other digits of a {type.base}")
    width, prefix = frame(code, metadata)
    native = form is Form.NATIVE
    convert = Converters(code, metadata, type, native=native, zero=zero).convert()
    if code in (codes.BLOB_COMPRESSED, codes.VARCHAR_COMPRESSED):
        convert = decompressed(convert)
    fast = RAW if convert is None else operation(code, metadata, type, native=native)
    return Reader(width, prefix, convert, fast)
