"""(pure) What the compiled loop does with a column by itself, without calling Python.

Numbers are those of `_accelerated.c`. A value that such an operation does not take on (a date that
is none, a text beyond ASCII) goes to the column's own conversion.
"""

from typing import Final, NamedTuple

from connectors.mysql.binlog import table_map as codes
from connectors.mysql.charsets import like_ascii
from connectors.mysql.interchange import INTEGER_BYTES, integer_bytes
from connectors.mysql.temporal import fraction_bytes
from connectors.mysql.types import CHARACTERS, INTEGERS, MysqlType


class Operation(NamedTuple):
    """`number` says which; `arg` and `more` are what it needs to know."""

    number: int
    arg: int = 0
    more: int = 0


CALL: Final = Operation(0)
RAW: Final = Operation(1)
_REVERSED: Final = 2
_EXTENDED: Final = 3
_TEXT: Final = Operation(4)
_NUMBER: Final = 5
_DECIMAL: Final = 6
_DATETIME: Final = 7
_INSTANT: Final = 8
_DATE: Final = Operation(9)
_DURATION: Final = 10
_DECIMAL_TEXT: Final = 11
_DATETIME_TEXT: Final = 12
_INSTANT_TEXT: Final = 13
_DATE_TEXT: Final = Operation(14)
_DURATION_TEXT: Final = 15

_TIMES: Final = {
    codes.DATETIME2: (_DATETIME, _DATETIME_TEXT),
    codes.TIMESTAMP2: (_INSTANT, _INSTANT_TEXT),
    codes.TIME2: (_DURATION, _DURATION_TEXT),
}
"""In the interchange form, and in the native one."""


def operation(code: int, metadata: int, type: MysqlType, *, native: bool) -> Operation:
    """What to do with a column that needs a conversion."""
    if code in (codes.BLOB_COMPRESSED, codes.VARCHAR_COMPRESSED):
        return CALL
    if type.base in CHARACTERS:
        return _TEXT if like_ascii(type.charset) else CALL
    if native:
        return CALL if type.zerofill else _native(code, metadata, type)
    if type.base in INTEGERS:
        return _integer(type)
    if type.base in ("float", "double"):
        return Operation(_REVERSED)
    if code == codes.NEWDECIMAL:
        return Operation(_DECIMAL, type.scale, type.size)
    if code in _TIMES:
        return Operation(_TIMES[code][0], fraction_bytes(metadata))
    return _DATE if code == codes.DATE else CALL


def _native(code: int, metadata: int, type: MysqlType) -> Operation:
    if type.base in INTEGERS:
        return Operation(_NUMBER, int(type.unsigned))
    if code == codes.NEWDECIMAL:
        return Operation(_DECIMAL_TEXT, type.scale, type.size)
    if code in _TIMES:
        return Operation(_TIMES[code][1], fraction_bytes(metadata), metadata)
    return _DATE_TEXT if code == codes.DATE else CALL


def _integer(type: MysqlType) -> Operation:
    width = integer_bytes(type)
    if width is None:
        return CALL
    fill = width - INTEGER_BYTES[type.base]
    return Operation(_EXTENDED if fill and not type.unsigned else _REVERSED, fill)
