"""(pure) Decoder of the binary log: one event in, its value out.

State is the format that the file's first event tells, the name of the file, and the tables that
rows refer to by number. Checksums are verified; what an unknown event could mean is never guessed:
unless the server marks it as one that may be ignored, it ends in DecodeError.

See: MySQL internals, "Replication Protocol", "Binlog Event"; `binlog_event.h`; MariaDB knowledge
base, "Replication Protocol".
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import Final
from zlib import crc32

from connectors.mysql.binlog import codes
from connectors.mysql.binlog.compression import inflated, parse_payload, payload_events
from connectors.mysql.binlog.cursor import Cursor
from connectors.mysql.binlog.events import (
    Event,
    FormatDescription,
    Header,
    Heartbeat,
    Ignored,
    PreviousGtids,
    Rotate,
    RowsQuery,
    Statement,
    Stop,
    TransactionPayload,
    Xid,
)
from connectors.mysql.binlog.gtid_events import (
    parse_gtid,
    parse_gtid_list,
    parse_gtid_tagged,
    parse_maria_gtid,
    parse_xa_prepare,
)
from connectors.mysql.binlog.query import parse_query
from connectors.mysql.binlog.rows_event import ROWS_EVENTS
from connectors.mysql.binlog.tables import Tables
from connectors.mysql.flavour import Flavour
from connectors.mysql.gtid import GtidSet
from engine.errors import DecodeError

HEADER_BYTES: Final = 19

_HEADER: Final = struct.Struct("<IBIIIH")
_CHECKSUM_BYTES: Final = 4
_VERSION: Final = 4
_SERVER_VERSION_BYTES: Final = 50
_CRC32: Final = 1
_FLAGS_AT: Final = 17
_FILE_NAME: Final = re.compile(rb"[^\x00-\x1f\x7f]{1,504}\.[0-9]{1,18}")

_CODE: Final = 1
"""The type's place in a header."""

_ODD_FRAMES: Final = frozenset((codes.ROTATE, codes.FORMAT_DESCRIPTION))

_IGNORED: Final = frozenset(
    (codes.IGNORABLE, codes.TRANSACTION_CONTEXT, codes.VIEW_CHANGE, codes.MARIA_BINLOG_CHECKPOINT,
     codes.MARIA_START_ENCRYPTION)
)  # fmt: skip
"""Known and without meaning here. Encrypted files are sent in the clear."""

_STATEMENTS: Final = frozenset(
    (codes.INTVAR, codes.RAND, codes.USER_VAR, codes.LOAD, codes.CREATE_FILE, codes.APPEND_BLOCK,
     codes.EXEC_LOAD, codes.DELETE_FILE, codes.NEW_LOAD, codes.BEGIN_LOAD_QUERY,
     codes.EXECUTE_LOAD_QUERY)
)  # fmt: skip


def _file_name(name: bytes) -> str:
    name = name.rstrip(b"\0")
    if not _FILE_NAME.fullmatch(name):
        raise ValueError("it does not name a binlog file")
    return name.decode()


def _heartbeat_v2(cursor: Cursor) -> Heartbeat:
    file, offset = "", 0
    while cursor.left and (field := cursor.packed()) != 0:
        body = cursor.packed_bytes()
        if field == 1:
            file = _file_name(body)
        elif field == 2:
            offset = Cursor(body, 0, len(body)).packed()
    if not file:
        raise ValueError("it does not name a binlog file")
    return Heartbeat(file, offset)


def _rows_query(cursor: Cursor) -> RowsQuery:
    cursor.skip(1)  # A length that stops at 255: the event's own counts.
    return RowsQuery(cursor.rest())


_BODIES: Final[dict[int, Callable[[Cursor], Event]]] = {
    codes.STOP: lambda _: Stop(),
    codes.XID: lambda cursor: Xid(cursor.u64()),
    codes.QUERY: lambda cursor: parse_query(cursor, Cursor.rest),
    codes.MARIA_QUERY_COMPRESSED: lambda cursor: parse_query(cursor, inflated),
    codes.GTID: lambda cursor: parse_gtid(cursor, anonymous=False),
    codes.ANONYMOUS_GTID: lambda cursor: parse_gtid(cursor, anonymous=True),
    codes.GTID_TAGGED: parse_gtid_tagged,
    codes.MARIA_GTID_LIST: parse_gtid_list,
    codes.PREVIOUS_GTIDS: lambda cursor: PreviousGtids(GtidSet.decode(cursor.rest())),
    codes.XA_PREPARE: parse_xa_prepare,
    codes.HEARTBEAT_V2: _heartbeat_v2,
    codes.MARIA_ANNOTATE_ROWS: lambda cursor: RowsQuery(cursor.rest()),
    codes.ROWS_QUERY: _rows_query,
}
"""Events whose body means the same whatever came before."""

_FRAMED: Final[dict[int, Callable[[Cursor, Header], Event]]] = {
    codes.MARIA_GTID: lambda cursor, header: parse_maria_gtid(cursor, header.server_id),
    codes.HEARTBEAT: lambda cursor, header: Heartbeat(_file_name(cursor.rest()), header.end),
    codes.TRANSACTION_PAYLOAD: parse_payload,
}
"""Events a part of which stands in their header."""


class EventDecoder:
    """Turns events into values, in the order in which a server sends or a file holds them."""

    def __init__(self) -> None:
        self.format: FormatDescription | None = None
        self.file = ""
        """The file that the last ROTATE named; for messages."""
        self._checksums = False
        self._tables: Tables | None = None

    def decode(self, data: bytes, start: int = 0) -> tuple[Header, Event]:
        """Read the event that fills `data[start:]`. Of a ROWS event the rows are left where they
        are: `data` must stay.

        Raises:
            DecodeError: it was not understood, or what it says is that changes are missing.
        """
        header = self._header(data, start)
        try:
            end = len(data)
            if self._checksums and header[_CODE] not in _ODD_FRAMES:
                end -= _CHECKSUM_BYTES
                body = memoryview(data)[start:end]
                if crc32(body) != int.from_bytes(data[end:], "little"):
                    raise ValueError("its checksum does not fit")
            else:
                end = self._checked_end(data, start, header)
            event = self._event(header, data, start + HEADER_BYTES, end)
        except (ValueError, struct.error, IndexError) as error:
            raise self._error(f"malformed: {error}", header) from error
        return header, event

    def unpacked(self, payload: TransactionPayload) -> Iterator[tuple[Header, Event]]:
        """The events of a compressed transaction, one at a time. In their headers stands the end of
        the whole.

        Raises:
            DecodeError: as `decode`.
        """
        outer = payload.header
        try:
            for data in payload_events(payload):
                header = Header._make(_HEADER.unpack_from(data))._replace(end=outer.end)
                if header.code in (codes.TRANSACTION_PAYLOAD, codes.FORMAT_DESCRIPTION):
                    raise self._error("stands inside a compressed transaction", header)
                yield header, self._event(header, data, HEADER_BYTES, len(data))
        except (ValueError, struct.error, IndexError) as error:
            raise self._error(f"malformed: {error}", outer) from error

    # --- the frame --------------------------------------------------------------------------------

    def _header(self, data: bytes, start: int) -> Header:
        if len(data) - start < HEADER_BYTES:
            raise DecodeError(f"an event of the binlog has no header, after {self._where()}")
        header = Header._make(_HEADER.unpack_from(data, start))
        if header.size != len(data) - start:
            raise self._error("is not as long as it says", header)
        return header

    def _checked_end(self, data: bytes, start: int, header: Header) -> int:
        """Where the body ends, of an event that is unlike the others or has no checksum."""
        end = len(data)
        if header.code == codes.FORMAT_DESCRIPTION:
            return self._checked_format(data, start, header)
        if header.code == codes.ROTATE and (self.format is None or not header.end):
            # The server makes it before it tells the format; the name's form shows what is damaged.
            return end - _CHECKSUM_BYTES if _checksum_fits(data, start, end) else end
        if self.format is None:
            raise ValueError("it stands before the one that tells the format")
        if self._checksums and not _checksum_fits(data, start, end):
            raise ValueError("its checksum does not fit")
        return end - _CHECKSUM_BYTES * self._checksums

    def _checked_format(self, data: bytes, start: int, header: Header) -> int:
        """A server that makes no checksums may send an old one here: then only the byte that says
        so can be checked, by its having been another one."""
        end = len(data) - _CHECKSUM_BYTES
        if end - start <= HEADER_BYTES:
            return end
        plain = bytearray(data)
        if header.flags & codes.BINLOG_IN_USE:
            plain[start + _FLAGS_AT] &= ~codes.BINLOG_IN_USE
        algorithm, plain[end - 1] = plain[end - 1], _CRC32
        if _checksum_fits(plain, start, len(plain)) != (algorithm == _CRC32):
            raise ValueError("its checksum does not fit")
        return end

    # --- bodies -----------------------------------------------------------------------------------

    def _event(self, header: Header, data: bytes, at: int, end: int) -> Event:
        code = header[_CODE]
        if self._tables is not None:
            if code in ROWS_EVENTS:
                return self._tables.rows(code, data, at, end)
            if code == codes.TABLE_MAP:
                return self._tables.describe(data, at, end)
        cursor = Cursor(data, at, end)
        body = _BODIES.get(code)
        return self._rare(header, cursor) if body is None else body(cursor)

    def _rare(self, header: Header, cursor: Cursor) -> Event:
        code = header.code
        framed = _FRAMED.get(code)
        if framed is not None:
            return framed(cursor, header)
        if code == codes.ROTATE:
            return self._rotate(header, cursor)
        if code == codes.FORMAT_DESCRIPTION:
            return self._format_description(cursor)
        if code in _STATEMENTS:
            return Statement(codes.NAMES[code])
        if code in _IGNORED:
            return Ignored(code, known=True)
        if code == codes.INCIDENT:
            raise self._incident(header, cursor)
        if code == codes.MARIA_PARTIAL_ROWS:
            raise self._error(
                "holds a part of a ROWS event that was too large, which is not supported",
                header,
                hint="raise the server's binlog_row_event_fragment_threshold",
            )
        if header.flags & codes.MAY_BE_IGNORED:
            return Ignored(code, known=False)
        raise self._error("is of an unknown type, and may not be ignored", header)

    def _incident(self, header: Header, cursor: Cursor) -> DecodeError:
        number = cursor.u16()
        return self._error(
            f"says that changes were lost on the source's side (incident {number})",
            header,
            hint="load the tables again",
        )

    def _rotate(self, header: Header, cursor: Cursor) -> Rotate:
        offset = cursor.u64()
        self.file = _file_name(cursor.rest())
        artificial = bool(header.flags & codes.ARTIFICIAL) or not header.end
        return Rotate(self.file, offset, artificial)

    def _format_description(self, cursor: Cursor) -> FormatDescription:
        version = cursor.u16()
        server = cursor.take(_SERVER_VERSION_BYTES).rstrip(b"\0").decode("ascii", "replace")
        cursor.skip(4)
        if version != _VERSION or cursor.u8() != HEADER_BYTES:
            raise ValueError(f"the log of server {server} is of an unknown version")
        sizes = cursor.take(cursor.left - 1)
        algorithm = cursor.u8()
        if algorithm not in (0, _CRC32):
            raise ValueError(f"checksums are made by algorithm {algorithm}, which is unknown")
        self._tables = Tables(sizes, Flavour.of(server))
        self._checksums = algorithm == _CRC32
        self.format = FormatDescription(server, self._checksums, sizes)
        return self.format

    # --- errors -----------------------------------------------------------------------------------

    def _where(self) -> str:
        return self.file or "the beginning of the stream"

    def _error(self, what: str, header: Header, hint: str = "") -> DecodeError:
        name = codes.NAMES.get(header.code, f"number {header.code}")
        where = f"{self._where()}:{header.end}"
        message = f"the binlog's {name} event that ends at {where} {what}"
        return DecodeError(message, hint=hint, context={"position": where})


def _checksum_fits(data: bytes | bytearray, start: int, end: int) -> bool:
    if end - start < HEADER_BYTES + _CHECKSUM_BYTES:
        return False
    body = memoryview(data)[start : end - _CHECKSUM_BYTES]
    return crc32(body) == int.from_bytes(data[end - _CHECKSUM_BYTES : end], "little")
