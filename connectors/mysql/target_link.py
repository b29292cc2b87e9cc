"""One connection of a MySQL or MariaDB target: scripts of many statements, and LOAD DATA from
memory.

`connecting` makes the connection; from then on its streams are driven here. A script is one query
of several statements: the server stops at the first that fails. (MySQL source documentation,
"Protocol::COM_QUERY Response"; "LOCAL INFILE Request".)

A server may ask for a file of the client in answer to anything. It is answered from memory, in a
LOAD DATA of ours and with the name that stood in it; in any other case the connection is cut. No
file is ever opened.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from connectors.mysql.connecting import Link
from connectors.mysql.load_statement import FILE_NAME
from connectors.mysql.packets import FULL_BYTES
from connectors.mysql.result import Result

READ_BYTES: Final = 262_144
"""Most that is read from the socket at once, in bytes."""

DATA_BYTES_MAX: Final = 262_144
"""Largest packet of LOAD DATA's rows, in bytes; below every server's max_allowed_packet."""

CLOSE_SECONDS: Final = 1.0
"""Time for a server to take what was sent before the end; then the socket is dropped."""

_NO_FEEDS: Final[Mapping[int, AsyncIterable[bytes]]] = MappingProxyType({})

_COM_QUERY: Final = b"\x03"
_OK, _FILE, _EOF, _ERROR, _NULL = 0x00, 0xFB, 0xFE, 0xFF, 0xFB
_MORE_RESULTS: Final = 0x0008

_KEEPALIVE: Final = (
    ("TCP_KEEPIDLE", 10),
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", 3),
    # Data we sent that stays unacknowledged, in ms; the kernel's own default is 15 minutes.
    ("TCP_USER_TIMEOUT", 30_000),
)


class ServerError(Exception):
    """The server refused a statement. `index` is the statement's place in the script; `before` are
    the results of those before it.

    `message` is the server's own text and may hold values of the row: only `target_errors.refusal`
    decides what of it may be shown.
    """

    def __init__(
        self, errno: int, sqlstate: str, message: str, before: Sequence["Result"] = ()
    ) -> None:
        super().__init__(f"{errno} ({sqlstate})")
        self.errno = errno
        self.sqlstate = sqlstate
        self.message = message
        self.before = tuple(before)

    @property
    def index(self) -> int:
        return len(self.before)


class LinkLostError(Exception):
    """The connection is gone; what had been sent may or may not have been done."""


class ForeignRequestError(LinkLostError):
    """The server asked for a file that nobody offered."""


class TargetLink:
    """Not shared; one call at a time. After an error other than ServerError, and after a
    cancellation, `broken` is True and only `close` is left."""

    def __init__(self, connection: Link) -> None:
        self._connection = connection
        self._reader = connection.reader
        self._writer = connection.writer
        self._sequence = 0
        self._buffer = b""
        self._at = 0
        self.version: str = connection.server_version
        self.broken = False
        self._waits_since: float | None = None
        self._unsent = 0
        """Bytes not yet taken in when that was last looked at."""
        self._loop = asyncio.get_running_loop()
        _keep_alive(self._writer)

    async def close(self) -> None:
        """Close at once; an open transaction is rolled back by the server. Idempotent."""
        self.broken = True
        self._connection.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._writer.wait_closed()
            except TimeoutError:
                # What was written is not taken, or the end of TLS not answered: a frozen server.
                self._writer.transport.abort()

    async def script(
        self, statements: Sequence[bytes], feeds: Mapping[int, AsyncIterable[bytes]] = _NO_FEEDS
    ) -> list[Result]:
        """Run statements in one query; `feeds` has the data of those that are LOAD DATA LOCAL, by
        their place.

        Returns a result per statement. A feed that raises ends the data there, then its error
        leaves as it is and the connection stays usable.

        Raises:
            ServerError: the first refused statement; nothing after it was run.
            LinkLostError: the connection is gone.
        """
        try:
            return await self._script(b";".join(statements), feeds)
        except ServerError:
            raise
        except LinkLostError:
            self.broken = True
            raise
        except (OSError, EOFError, ssl.SSLError) as error:
            self.broken = True
            raise LinkLostError("the connection to the server is gone") from error
        except _FeedError as error:
            raise error.cause from None
        except BaseException:
            self.broken = True
            raise

    async def _script(self, sql: bytes, feeds: Mapping[int, AsyncIterable[bytes]]) -> list[Result]:
        self._send_command(sql)
        await self._drain()
        results: list[Result] = []
        failed: Exception | None = None
        more = True
        while more:
            packet = await self._packet()
            if packet[0] == _FILE and len(packet) > 1:
                failed = await self._feed(packet[1:], feeds.get(len(results))) or failed
                packet = await self._packet()
            try:
                result, more = await self._result(packet, results)
            except ServerError:
                if failed is not None:
                    raise _FeedError(failed) from None
                raise
            results.append(result)
        if failed is not None:
            raise _FeedError(failed)
        return results

    # --- sending ------------------------------------------------------------------------------

    def _send_command(self, sql: bytes) -> None:
        self._sequence = 0
        payload = _COM_QUERY + sql
        for start in range(0, len(payload) + 1, FULL_BYTES):
            self._send(payload[start : start + FULL_BYTES])

    def _send(self, payload: bytes) -> None:
        head = struct.pack("<I", len(payload))[:3] + bytes([self._sequence])
        try:
            self._writer.write(head + payload)
        except RuntimeError as error:
            # uvloop had closed it, after an error that nobody waited for.
            raise LinkLostError("the connection to the server is gone") from error
        self._sequence = (self._sequence + 1) % 256

    async def _feed(self, name: bytes, feed: AsyncIterable[bytes] | None) -> Exception | None:
        """Send a LOAD DATA's rows. What the feed raised is returned once the server has been told
        that they end."""
        if feed is None or name != FILE_NAME.encode():
            raise ForeignRequestError("the server asked for a file, which it is never given")
        failed: Exception | None = None
        pending = bytearray()
        try:
            async for piece in feed:
                pending += piece
                while len(pending) >= DATA_BYTES_MAX:
                    self._send(bytes(pending[:DATA_BYTES_MAX]))
                    del pending[:DATA_BYTES_MAX]
                    await self._drain()
        except LinkLostError:
            raise
        except (OSError, EOFError) as error:
            if self._writer.is_closing() or self._reader.at_eof():
                raise
            failed = error
        except Exception as error:  # noqa: BLE001 - raised again once the server knows
            failed = error
        if pending and failed is None:
            self._send(bytes(pending))
        self._send(b"")
        await self._drain()
        return failed

    @property
    def waits_since(self) -> float | None:
        """When it began to wait for the server, or when it was last seen to take in what was sent:
        a large row over a slow link is no silence. By the clock of the event loop; None while it
        waits for nothing."""
        unsent, before = self._writer.transport.get_write_buffer_size(), self._unsent
        self._unsent = unsent
        if self._waits_since is not None and unsent < before:
            self._waits_since = self._loop.time()
        return self._waits_since

    async def _drain(self) -> None:
        self._waits_since = self._loop.time()
        await self._writer.drain()
        self._waits_since = None

    # --- reading ------------------------------------------------------------------------------

    async def _packet(self) -> bytes:
        payload = await self._part()
        if len(payload) < FULL_BYTES:
            return payload
        parts = [payload]
        while len(payload) == FULL_BYTES:
            payload = await self._part()
            parts.append(payload)
        return b"".join(parts)

    async def _part(self) -> bytes:
        await self._need(4)
        buffer, at = self._buffer, self._at
        length = buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16
        sequence = buffer[at + 3]
        # A server that is shutting down says so out of turn, as packet 0.
        if sequence not in (self._sequence, 0):
            raise LinkLostError("the server's packets are out of order")
        self._sequence = (sequence + 1) % 256
        self._at += 4
        await self._need(length)
        payload = self._buffer[self._at : self._at + length]
        self._at += length
        if not payload and length == 0:
            raise LinkLostError("the server sent an empty packet")
        return payload

    async def _need(self, size: int) -> None:
        missing = size - (len(self._buffer) - self._at)
        if missing <= 0:
            return
        pieces = [self._buffer[self._at :]]
        while missing > 0:
            self._waits_since = self._loop.time()
            piece = await self._reader.read(READ_BYTES)
            self._waits_since = None
            if not piece:
                raise LinkLostError("the server closed the connection")
            pieces.append(piece)
            missing -= len(piece)
        self._buffer = b"".join(pieces)
        self._at = 0

    async def _result(self, packet: bytes, before: Sequence[Result]) -> tuple[Result, bool]:
        """One statement's result, and whether another follows."""
        kind = packet[0]
        if kind == _ERROR:
            raise _server_error(packet, before)
        if kind == _OK:
            affected, at = _length(packet, 1)
            _, at = _length(packet, at)
            status, warnings = _two(packet, at), _two(packet, at + 2)
            return Result(affected, warnings), bool(status & _MORE_RESULTS)
        if kind == _FILE:
            raise ForeignRequestError("the server asked for a file, which it is never given")
        columns, _ = _length(packet, 0)
        for _ in range(columns):
            await self._packet()
        await self._packet()
        return await self._rows(columns, before)

    async def _rows(self, columns: int, before: Sequence[Result]) -> tuple[Result, bool]:
        rows: list[list[bytes | None]] = []
        while True:
            packet = await self._packet()
            if packet[0] == _EOF and len(packet) < 9:
                warnings, status = _two(packet, 1), _two(packet, 3)
                return Result(len(rows), warnings, rows), bool(status & _MORE_RESULTS)
            if packet[0] == _ERROR:
                raise _server_error(packet, before)
            rows.append(_row(packet, columns))


class _FeedError(Exception):
    """Carries a feed's own error past the link's."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is None or raw.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for name, value in _KEEPALIVE:
        option = getattr(socket, name, None)
        if option is not None:
            raw.setsockopt(socket.IPPROTO_TCP, option, value)


def _two(packet: bytes, at: int) -> int:
    _within(packet, at + 2)
    return packet[at] | packet[at + 1] << 8


def _within(packet: bytes, end: int) -> None:
    if end > len(packet):
        raise LinkLostError("the server sent a packet that ends too early")


def _length(packet: bytes, at: int) -> tuple[int, int]:
    """A length-encoded integer and where it ends."""
    _within(packet, at + 1)
    first = packet[at]
    if first < 0xFB:
        return first, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first)
    if size is None:
        raise LinkLostError("the server sent a number that was not understood")
    _within(packet, at + 1 + size)
    return int.from_bytes(packet[at + 1 : at + 1 + size], "little"), at + 1 + size


def _row(packet: bytes, columns: int) -> list[bytes | None]:
    row: list[bytes | None] = []
    at = 0
    for _ in range(columns):
        _within(packet, at + 1)
        if packet[at] == _NULL:
            row.append(None)
            at += 1
            continue
        size, at = _length(packet, at)
        _within(packet, at + size)
        row.append(packet[at : at + size])
        at += size
    return row


def _server_error(packet: bytes, before: Sequence[Result]) -> ServerError:
    errno = _two(packet, 1)
    state, text = "HY000", packet[3:]
    if text[:1] == b"#":
        state, text = text[1:6].decode(errors="replace"), text[6:]
    return ServerError(errno, state, text.decode(errors="replace"), before)
