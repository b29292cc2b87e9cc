"""Rows in COPY data, one by one: for a chunk that the target refused as a whole. (pure)

Source: PostgreSQL manual, COPY, "Text Format" and "Binary Format". In text form a newline inside a
value is written as a backslash and `n`, so lines are rows.
"""

import re
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final

from connectors._interchange.copy_rows import HEADER, TRAILER
from engine.model.relation import Format
from engine.model.value import Row

_COUNT: Final = Struct("!h")
_LENGTH: Final = Struct("!i")
_EXTENSION: Final = 15
"""Where the length of the header's extension stands, after signature and flags."""

_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_MEANING: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


class BinaryRows:
    """Binary form. See `model.load_rows`."""

    format = Format.BINARY

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._begun = self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        at = 0 if self._begun else self._header()
        while at is not None and (end := self._row_end(at)) is not None:
            yield bytes(self._buffer[at:end])
            at = end
        if at:
            del self._buffer[:at]

    def finish(self) -> None:
        if not self._ended:
            raise ValueError("the data ended before its last row")

    def join(self, rows: Sequence[bytes]) -> bytes:
        return b"".join([HEADER, *rows, TRAILER])

    def values(self, row: bytes) -> Row:
        values: list[bytes | None] = []
        at = _COUNT.size
        while at < len(row):
            (length,) = _LENGTH.unpack_from(row, at)
            at += _LENGTH.size
            values.append(None if length < 0 else row[at : at + length])
            at += max(length, 0)
        return tuple(values)

    def _header(self) -> int | None:
        """The end of the header, once all of it is here."""
        if len(self._buffer) < len(HEADER):
            return None
        (extension,) = _LENGTH.unpack_from(self._buffer, _EXTENSION)
        end = len(HEADER) + int(extension)
        self._begun = len(self._buffer) >= end
        return end if self._begun else None

    def _row_end(self, at: int) -> int | None:
        size = len(self._buffer)
        if self._ended or at + _COUNT.size > size:
            return None
        (count,) = _COUNT.unpack_from(self._buffer, at)
        if count < 0:
            self._ended = True
            return None
        at += _COUNT.size
        for _ in range(count):
            if at + _LENGTH.size > size:
                return None
            at += _LENGTH.size + max(_LENGTH.unpack_from(self._buffer, at)[0], 0)
        return at if at <= size else None


class TextRows:
    """Text form. A table without columns has empty lines. See `model.load_rows`."""

    format = Format.TEXT

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        first, *others = data.split(b"\n")
        self._rest += first
        if others:
            yield bytes(self._rest)
            yield from others[:-1]
            self._rest = bytearray(others[-1])

    def finish(self) -> None:
        if self._rest:
            raise ValueError("the data ended inside a row")

    def join(self, rows: Sequence[bytes]) -> bytes:
        return b"".join([row + b"\n" for row in rows])

    def values(self, row: bytes) -> Row:
        if not self._columns:
            return ()
        return tuple([None if v == rb"\N" else _plain(v) for v in row.split(b"\t")])


def _plain(value: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: _MEANING.get(found[1], found[1]), value)
