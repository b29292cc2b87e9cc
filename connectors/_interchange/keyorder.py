"""Values of key columns in the server's own order. (pure)

A chunk's bounds are compared on the server when its rows are read, and here when the stream asks
which chunk a key lies in. Both must agree on every value, so only types are taken whose order is
that of their bytes or of the integer they are stored as:

- integers, uuid, bytea: PostgreSQL compares the number, or the bytes;
- date, timestamp: stored as days and microseconds since 2000-01-01, infinities at both ends
  (src/include/datatype/timestamp.h);
- text, varchar: bytes, when the collation is C and the encoding UTF8. The caller checks both.

Left out: numeric and float (equal values of different bytes, NaN), citext, bpchar (padding), every
other collation, and whatever depends on an extension.
"""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from engine.model.relation import Column, Format

Comparable: TypeAlias = int | bytes
"""A key value here: two of one column compare as the server compares them."""

Decoder: TypeAlias = Callable[[bytes], Comparable]

BYTEA: Final = 17
INT8: Final = 20
INT2: Final = 21
INT4: Final = 23
TEXT: Final = 25
VARCHAR: Final = 1043
DATE: Final = 1082
TIMESTAMP: Final = 1114
TIMESTAMPTZ: Final = 1184
UUID: Final = 2950

COLLATED: Final = frozenset({TEXT, VARCHAR})
"""Types whose order is that of bytes only under collation C."""

DATE_INFINITY: Final = 2**31 - 1
DATE_MINUS_INFINITY: Final = -(2**31)
TIMESTAMP_INFINITY: Final = 2**63 - 1
TIMESTAMP_MINUS_INFINITY: Final = -(2**63)

DAY_MICROSECONDS: Final = 86_400_000_000
POSTGRES_EPOCH_JULIAN: Final = 2_451_545
"""Julian day of 2000-01-01, PostgreSQL's day 0."""

_DATE: Final = rb"(\d{4,7})-(\d\d)-(\d\d)"
_TIME: Final = rb"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?"
_ZONE: Final = rb"(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?"
_DATE_TEXT: Final = re.compile(_DATE + rb"( BC)?")
_INTEGER_TEXT: Final = re.compile(rb"-?[0-9]{1,19}")
_UUID_TEXT: Final = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BYTEA_TEXT: Final = re.compile(rb"\\x(?:[0-9a-f]{2})*")
_TIMESTAMP_TEXT: Final = re.compile(_DATE + rb" " + _TIME + _ZONE + rb"( BC)?")


def decoder(column: Column) -> Decoder:
    """What turns a column's wire value into a comparable one, by its wire format.

    Raises:
        KeyError: the type's order cannot be computed here (`orderable` tells).
    """
    return _BINARY[column.type.oid] if column.format is Format.BINARY else _TEXT[column.type.oid]


def text_decoder(oid: int) -> Decoder:
    """What turns the server's text of a value (ISO dates, UTC, hex bytea) into a comparable one."""
    return _TEXT[oid]


def orderable(oid: int) -> bool:
    """Whether the order of a type can be computed here (text only under collation C)."""
    return oid in _BINARY


def _signed(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _raw(value: bytes) -> bytes:
    return bytes(value)


def _integer_text(value: bytes) -> int:
    if _INTEGER_TEXT.fullmatch(value) is None:
        # int() would quote the value in its error.
        raise ValueError("an integer is not in decimal form")
    return int(value)


def _uuid_text(value: bytes) -> bytes:
    if _UUID_TEXT.fullmatch(value) is None:
        raise ValueError("a uuid is not in the server's form")
    return bytes.fromhex(bytes(value).replace(b"-", b"").decode("ascii"))


def _bytea_text(value: bytes) -> bytes:
    if _BYTEA_TEXT.fullmatch(value) is None:
        raise ValueError("bytea is not in hex form")
    return bytes.fromhex(bytes(value[2:]).decode("ascii"))


def _date_text(value: bytes) -> int:
    if value in (b"infinity", b"-infinity"):
        return DATE_INFINITY if value == b"infinity" else DATE_MINUS_INFINITY
    match = _DATE_TEXT.fullmatch(value)
    if match is None:
        raise ValueError("a date is not in ISO form")
    year, month, day, before_christ = match.groups()
    return _days(int(year), int(month), int(day), before_christ is not None)


def _timestamp_text(value: bytes) -> int:
    if value in (b"infinity", b"-infinity"):
        return TIMESTAMP_INFINITY if value == b"infinity" else TIMESTAMP_MINUS_INFINITY
    match = _TIMESTAMP_TEXT.fullmatch(value)
    if match is None:
        raise ValueError("a timestamp is not in ISO form")
    year, month, day, hour, minute, second, fraction = match.groups()[:7]
    days = _days(int(year), int(month), int(day), match[12] is not None)
    seconds = (int(hour) * 60 + int(minute)) * 60 + int(second) - _offset(match)
    return days * DAY_MICROSECONDS + seconds * 1_000_000 + int((fraction or b"").ljust(6, b"0"))


def _offset(match: re.Match[bytes]) -> int:
    """Seconds east of UTC."""
    sign, hours, minutes, seconds = match.groups()[7:11]
    east = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    return -east if sign == b"-" else east


def _days(year: int, month: int, day: int, before_christ: bool) -> int:
    """Days since 2000-01-01 in the proleptic Gregorian calendar; 1 BC is year 0.

    Python's own dates end at the years 1 and 9999; PostgreSQL's go from 4714 BC to 5874897.
    """
    if before_christ:
        year = 1 - year
    shifted = year + 4800 - (month < 3)
    months = month + 9 if month < 3 else month - 3
    julian = day + (153 * months + 2) // 5 + 365 * shifted + shifted // 4
    return julian - shifted // 100 + shifted // 400 - 32045 - POSTGRES_EPOCH_JULIAN


_BINARY: Final[dict[int, Decoder]] = {
    INT2: _signed,
    INT4: _signed,
    INT8: _signed,
    DATE: _signed,
    TIMESTAMP: _signed,
    TIMESTAMPTZ: _signed,
    UUID: _raw,
    BYTEA: _raw,
    TEXT: _raw,
    VARCHAR: _raw,
}

_TEXT: Final[dict[int, Decoder]] = {
    INT2: _integer_text,
    INT4: _integer_text,
    INT8: _integer_text,
    DATE: _date_text,
    TIMESTAMP: _timestamp_text,
    TIMESTAMPTZ: _timestamp_text,
    UUID: _uuid_text,
    BYTEA: _bytea_text,
    TEXT: _raw,
    VARCHAR: _raw,
}
