"""(pure) Rows as the text protocol gives them, to lines of COPY or LOAD DATA.

Most rows are written by a loop in C, where it is (`compiled.py`); this module says what it must do,
and does what it leaves: rows of more than one packet, dates that need a closer look, and whatever
is not as expected.

See: MySQL, "Client/Server Protocol", Text Resultset Row; PostgreSQL manual, COPY, "Text Format";
MySQL manual, "LOAD DATA Statement".
"""

from collections.abc import Sequence
from typing import Final

from connectors._interchange import compiled
from connectors.mysql.packets import HEAD_BYTES, PacketSplitter
from connectors.mysql.temporal import days_of
from engine.config.endpoint import ZeroDate
from engine.errors import DecodeError

PLAIN: Final = 0
"""Its text stands in a line as it is."""

ESCAPED: Final = 1
ESCAPED_NUL: Final = 2
"""As `ESCAPED`, and a NUL is escaped too."""

HEX: Final = 3
"""Bytes, as PostgreSQL reads them."""

DATE: Final = 4
DATETIME: Final = 5
TIMESTAMP: Final = 6
"""What PostgreSQL reads as the same day: year 0 is 1 BC there; a timestamp is in UTC."""

CHECKED: Final = 7
"""As `ESCAPED`; the server was asked to say `TOO_LONG` for what it does not make."""

TOO_LONG: Final = b"\xfe"

_NULL: Final = 0xFB
_NO_FIELD: Final = b"\\N"
_LENGTHS: Final = {0xFC: 2, 0xFD: 3, 0xFE: 8}
_ESCAPES: Final = ((b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\n", b"\\n"), (b"\r", b"\\r"))
_ZONES: Final = {DATE: b"", DATETIME: b"", TIMESTAMP: b"+00"}
_EARLIEST: Final = {
    DATE: b"0001-01-01",
    DATETIME: b"0001-01-01 00:00:00",
    TIMESTAMP: b"0001-01-01 00:00:00+00",
}
_END: Final = 0xFE
_MAY_END: Final = bytes([_END])
_ERROR: Final = 0xFF
_END_BYTES_MAX: Final = 9
"""An end of rows is shorter; a row that begins like one is longer."""


class LineWriter:
    """Lines of the rows of one query; `kinds` has an entry for each of its columns. `zero`: what a
    date that is none becomes; `met` counts those that became something else."""

    def __init__(self, kinds: Sequence[int], zero: ZeroDate) -> None:
        self._kinds = bytes(kinds)
        self._zero = zero
        self._splitter = PacketSplitter()
        self.met = 0

    def feed(self, data: bytes) -> tuple[list[bytes], bytes | None]:
        """The lines that are whole by now, some in each piece, and the packet that ends the rows.

        Raises:
            DecodeError: a row is not one, or longer than the server can say.
        """
        lines: list[bytes] = []
        loops, kinds = compiled.LOOPS, self._kinds
        inside = loops is not None

        def take(buffer: bytes, at: int) -> int:
            nonlocal inside
            if loops is not None and inside:
                at = loops.write_lines(kinds, buffer, at, lines)
                first = at + HEAD_BYTES
                inside = buffer[first : first + 1] < _MAY_END
            return at

        for payload in self._splitter.feed(data, take):
            if _ends(payload):
                return lines, payload
            lines.append(self._line(payload))
        return lines, None

    def _line(self, payload: bytes) -> bytes:
        fields: list[bytes] = []
        at, end = 0, len(payload)
        for kind in self._kinds:
            size = payload[at] if at < end else _ERROR
            at += 1
            if size == _NULL:
                fields.append(_NO_FIELD)
                continue
            if size > _NULL:
                width = _LENGTHS.get(size, end)
                size = int.from_bytes(payload[at : at + width], "little")
                at += width
            begin, at = at, at + size
            if at > end:
                raise DecodeError("a row of the source is shorter than it says")
            value = payload[begin:at]
            fields.append(value if kind == PLAIN else self._field(kind, value))
        if at != end:
            raise DecodeError("a row of the source has more columns than were asked for")
        return b"\t".join(fields) + b"\n"

    def _field(self, kind: int, value: bytes) -> bytes:
        if kind == HEX:
            return b"\\\\x" + value.hex().upper().encode()
        if kind in _ZONES:
            return self._date(kind, value)
        if kind == CHECKED and value == TOO_LONG:
            raise DecodeError(
                "a row of the source is longer than the server lets a text be",
                hint="raise max_allowed_packet on the source",
            )
        for raw, escape in _ESCAPES:
            value = value.replace(raw, escape)
        return value.replace(b"\0", b"\\0") if kind == ESCAPED_NUL else value

    def _date(self, kind: int, value: bytes) -> bytes:
        """A date that is none becomes what the setting says; its own text is none to PostgreSQL
        either, which refuses it."""
        zone = _ZONES[kind]
        try:
            year, month, day = int(value[:4]), int(value[5:7]), int(value[8:10])
        except ValueError:
            raise DecodeError("a date of the source is not of the form that dates have") from None
        if days_of(year, month, day) is None:
            if self._zero is ZeroDate.ERROR:
                return value + zone
            self.met += 1
            return _NO_FIELD if self._zero is ZeroDate.NULL else _EARLIEST[kind]
        return value + zone if year else b"0001" + value[4:] + zone + b" BC"


def _ends(payload: bytes) -> bool:
    first = payload[0] if payload else 0
    return first == _ERROR or (first == _END and len(payload) < _END_BYTES_MAX)
