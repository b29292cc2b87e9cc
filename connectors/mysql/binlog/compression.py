"""(pure) What servers compress in the log: whole transactions (MySQL), bodies of events (MariaDB).

Compressed bytes can claim to be anything. A body is never inflated beyond the size that it
declares, nor beyond `EVENT_BYTES_MAX`; a transaction is inflated event by event.

See: MySQL source, `codecs/binary.cpp`, "Transaction_payload"; MariaDB source, `log_event.cc`,
"Compressed Record".
"""

import io
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from connectors.mysql.binlog.cursor import Cursor
from connectors.mysql.binlog.events import Header, TransactionPayload
from engine.errors import DecodeError

EVENT_BYTES_MAX: Final = 1 << 30
"""Bytes of one event, the limit of the servers themselves (`max_allowed_packet`)."""

WINDOW_BYTES_MAX: Final = 1 << 27
"""Memory that zstd may ask for: the window of its highest level."""

_ZSTD: Final = 0
_PLAIN: Final = 255
_SIZE_AT: Final = 9
_HEADER_BYTES: Final = 19


def parse_payload(cursor: Cursor, header: Header) -> TransactionPayload:
    """Read a TRANSACTION_PAYLOAD event's body. Raises ValueError, DecodeError."""
    fields: dict[int, int] = {}
    while (field := cursor.packed()) != 0:
        body = Cursor(cursor.packed_bytes(), 0, 0)
        body.end = len(body.data)
        fields[field] = body.packed()
    size, algorithm = fields.get(1), fields.get(2)
    if size is None or algorithm is None or size != cursor.left:
        raise ValueError("its payload is not as long as it says")
    if algorithm not in (_ZSTD, _PLAIN):
        raise DecodeError(
            f"a transaction in the binlog is compressed by algorithm {algorithm}, which is unknown",
            hint="turn binlog_transaction_compression off, or update Penstock",
        )
    data = cursor.rest()
    plain_size = fields.get(3, len(data))
    return TransactionPayload(header, algorithm == _ZSTD, data, plain_size)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def payload_events(payload: TransactionPayload) -> Iterator[bytes]:
    """The events of a transaction, each as it would stand in a file without checksums; one at a
    time is inflated. Raises ValueError."""
    stream = _zstd_stream(payload.data) if payload.compressed else io.BytesIO(payload.data)
    left = payload.size
    while left:
        head = _exactly(stream, min(_HEADER_BYTES, left))
        size = int.from_bytes(head[_SIZE_AT : _SIZE_AT + 4], "little")
        if not _HEADER_BYTES <= size <= min(left, EVENT_BYTES_MAX):
            raise ValueError("an event in it is not as long as it says")
        yield head + _exactly(stream, size - _HEADER_BYTES)
        left -= size
    if stream.read(1):
        raise ValueError("it is longer than it says")


def _zstd_stream(data: bytes) -> _Readable:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX)
    stream: _Readable = decompressor.stream_reader(data, read_across_frames=True)
    return _Guarded(stream.read, zstandard.ZstdError)


class _Guarded:
    """A stream whose own errors are ValueErrors."""

    def __init__(self, read: Callable[[int], bytes], error: type[Exception]) -> None:
        self._read = read
        self._error = error

    def read(self, size: int, /) -> bytes:
        try:
            return self._read(size)
        except self._error as error:
            raise ValueError("it cannot be inflated") from error


_PIECE_BYTES: Final = 1 << 20
"""Read at a time, so that a size that lies costs no more than what is there."""


def _exactly(stream: _Readable, size: int) -> bytes:
    pieces: list[bytes] = []
    while size:
        piece = stream.read(min(size, _PIECE_BYTES))
        if not piece:
            raise ValueError("it ends too early")
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def inflated(cursor: Cursor) -> bytes:
    """The rest of an event of MariaDB, as it was before it was compressed. Raises ValueError."""
    head = cursor.u8()
    if head & 0xF0 != 0x80:
        raise ValueError("it is compressed by an unknown algorithm")
    size = int.from_bytes(cursor.take(head & 0x07), "big")
    if not 0 < size <= EVENT_BYTES_MAX:
        raise ValueError("its inflated size is not one of an event")
    inflate = zlib.decompressobj()
    try:
        found = inflate.decompress(cursor.rest(), size)
        over = inflate.decompress(inflate.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError("it cannot be inflated") from error
    if len(found) != size or over or not inflate.eof or inflate.unused_data:
        raise ValueError("it is not as long inflated as it says")
    return found
