"""Values as constants inside SQL, compiled per column. (pure)

What is written bare is looked at first: whatever a source sends, no value can end a constant.
Inside quotes a quote and a backslash are doubled; the session has utf8mb4, whose multi-byte
characters hold neither byte, and not NO_BACKSLASH_ESCAPES.
"""

import re
import struct
from collections.abc import Callable
from typing import Final, TypeAlias

from engine.errors import RowRejectedError

Encode: TypeAlias = Callable[[bytes], bytes]
"""A value's bytes as they travel -> a constant. Raises RowRejectedError for one that the column
cannot hold; the message is completed by the caller (`column`)."""

NUMERIC_VALUE_OUT_OF_RANGE: Final = "22003"
DATETIME_OUT_OF_RANGE: Final = "22008"
INVALID_TEXT: Final = "22P02"

_NUMBER: Final = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)
NEGATIVE_ZERO: Final = b"-0"
"""Of a floating-point number, in either form."""
_NEGATIVE_ZERO: Final = b"-0e0"
"""Without an exponent it is a whole number, which knows no such thing."""
_ESCAPED: Final = re.compile(rb"[\\\t\n]")
_FLOAT: Final = struct.Struct("<f")


class UnfitError(Exception):
    """A value that the target's type has no form for. `what` never holds it."""

    def __init__(self, what: str, sqlstate: str) -> None:
        super().__init__(what)
        self.what = what
        self.sqlstate = sqlstate


def rejected(error: UnfitError, table: str, column: str) -> RowRejectedError:
    """The engine's error for a value of a table's column."""
    return RowRejectedError(
        f"{table}, column {column}: {error.what}",
        sqlstate=error.sqlstate,
        hint="mend the row on the source, or alter the column on the target",
        context={"reason": "range", "column": column},
    )


# --- both forms -----------------------------------------------------------------------------------


def number(value: bytes) -> bytes:
    if value == NEGATIVE_ZERO:
        return _NEGATIVE_ZERO
    if value.isdigit() or _NUMBER.match(value):
        return value
    raise UnfitError("the number has no form in the target's type", NUMERIC_VALUE_OUT_OF_RANGE)


def text(value: bytes) -> bytes:
    return b"'" + value.replace(b"\\", rb"\\").replace(b"'", b"''") + b"'"


def raw(value: bytes) -> bytes:
    return b"_binary" + text(value)


def field(value: bytes) -> bytes:
    """A field of LOAD DATA."""
    if not _ESCAPED.search(value):
        return value
    value = value.replace(b"\\", rb"\\")
    return value.replace(b"\t", rb"\t").replace(b"\n", rb"\n")


def raw_bits(value: bytes) -> bytes:
    """Bits as the native form has them, most significant byte first."""
    return b"%d" % int.from_bytes(value, "big")


# --- from PostgreSQL's texts ----------------------------------------------------------------------


def single_float(value: bytes) -> bytes:
    """The exact value of the single-precision number that the text stands for: as a key it is
    compared with that."""
    try:
        (exact,) = _FLOAT.unpack(_FLOAT.pack(float(number(value))))
    except OverflowError:
        raise UnfitError("the number is out of range", NUMERIC_VALUE_OUT_OF_RANGE) from None
    return repr(exact).encode() if exact else number(value)


def truth(value: bytes) -> bytes:
    return b"1" if value == b"t" else b"0"


def hexadecimal(value: bytes) -> bytes:
    """`bytea_output = hex`."""
    digits = value[2:]
    if not value.startswith(rb"\x") or not (digits.isalnum() or not digits):
        raise UnfitError("the bytes are not in hexadecimal form", INVALID_TEXT)
    return b"x'" + digits + b"'"


def moment(value: bytes) -> bytes:
    """A date or timestamp of the years 1 to 9999; `infinity` and BC are none."""
    if value[4:5] != b"-" or value.endswith(b"BC"):
        raise UnfitError("the target has dates of the years 0 to 9999 only", DATETIME_OUT_OF_RANGE)
    return text(value)


def moment_in_utc(value: bytes) -> bytes:
    """A timestamp with time zone; the session that wrote it is at UTC."""
    return moment(value.removesuffix(b"+00"))


def bits(value: bytes) -> bytes:
    """A bit string as a number."""
    try:
        return b"%d" % int(value or b"0", 2)
    except ValueError:
        raise UnfitError("the bits are not written as 0 and 1", INVALID_TEXT) from None
