"""A replication connection: libpq in the walsender's protocol, without blocking.

Commands are awaited; once START_REPLICATION was answered, `drain`, `send_status` and `readable` are
all there is. Nothing here decides when: pacing is `stream.py`'s, the feedback's timing is
`feedback.py`'s.

See: PostgreSQL manual, Streaming Replication Protocol.
"""

import asyncio
import os
import struct
from collections.abc import Mapping
from typing import Final, Self

import psycopg
from psycopg import generators, pq
from psycopg.conninfo import make_conninfo

from connectors.postgres.address import permit_known
from connectors.postgres.errors import DRIVER_ERRORS, source_error
from connectors.postgres.load_connection import PINNED
from connectors.postgres.lsn import EPOCH_OFFSET_US
from connectors.postgres.messages import take
from connectors.postgres.sql import CONNECT_SECONDS, parse
from engine.errors import DecodeError, PenstockError, SourceConnectionError

DATA_HEADER_BYTES: Final = 25
"""XLogData: `w`, start LSN, end LSN, send time; then the plugin's message."""

TCP_OPTIONS: Final[Mapping[str, int]] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
"""Seconds, and milliseconds for the last: a peer that vanished is noticed by the kernel after half
a minute, also while the server is busy decoding and says nothing."""

CLOSE_SECONDS: Final = 0.5
"""Time the server gets to end the stream politely, so that the slot is free when we are gone."""

SURE_READ_BYTES: Final = 8192
"""A read that gave less took all there was: libpq offers at least so much room to each (fe-misc.c,
pqReadData) and goes on by itself while more than twice as much comes."""

_DATA: Final = ord("w")
_STATUS: Final = struct.Struct(">cQQQqB")
_KEEPALIVE: Final = struct.Struct(">cQqB")
_LONG: Final = struct.Struct(">q").unpack_from
_WRITTEN: Final = 1
_SENT_AT: Final = 17
_TLS_READS: Final = 3


class Drained:
    """What one drain gave: whole XLogData messages, and what keepalives said beside them. `dry`:
    for certain nothing was left to read, and what comes will be told by `readable`."""

    __slots__ = ("bytes", "dry", "ended", "keepalive", "keepalive_at", "messages", "reply_asked")

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.bytes = 0
        self.keepalive = 0
        self.keepalive_at = 0
        self.reply_asked = False
        self.dry = False
        self.ended = False

    @property
    def sent_at_us(self) -> int:
        """When the server sent the last message, by its clock, since the Unix epoch; 0 if none."""
        return self._header(_SENT_AT) + EPOCH_OFFSET_US if self.messages else 0

    @property
    def written(self) -> int:
        """The newest LSN that the server has named."""
        return max(self._header(_WRITTEN) if self.messages else 0, self.keepalive)

    @property
    def all_sent(self) -> int:
        """End of what a keepalive behind the last message says has been sent; 0 if none."""
        return self.keepalive if self.keepalive_at == len(self.messages) else 0

    def _header(self, at: int) -> int:
        """A field of the last message's header. Raises DecodeError when it is cut off."""
        message = self.messages[-1]
        if len(message) < DATA_HEADER_BYTES:
            raise DecodeError(f"a stream message of {len(message)} bytes has no whole header")
        number: int = _LONG(message, at)[0]
        return number


class ReplicationConnection:
    """One session of a walsender, for one database."""

    def __init__(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._tls = bool(connection.pgconn.ssl_in_use)
        self._streaming = False
        self._loop = asyncio.get_running_loop()
        # Our own descriptor of the socket: libpq closes its own inside any call once it finds the
        # link broken, and the next connection of the process may get the same number.
        self._descriptor = -1
        self._watched = False
        self._waiter: asyncio.Future[bool] | None = None

    @classmethod
    async def open(cls, conninfo: str, application: str, settings: Mapping[str, str]) -> Self:
        """Connect in replication mode, with every setting pinned that a value's text depends on.

        Raises:
            SourceConnectionError, SourceError, ConfigError where the address is refused.
        """
        known = parse(conninfo)
        await permit_known(known)
        pinned = {k: v for k, v in PINNED.items() if k != "client_encoding"} | dict(settings)
        options = " ".join([known.pop("options", ""), *map(_option, pinned.items())]).strip()
        defaults = {"connect_timeout": CONNECT_SECONDS, "application_name": application}
        known = {**defaults, **TCP_OPTIONS, **known}
        known |= {"replication": "database", "options": options, "client_encoding": "UTF8"}
        try:
            text = make_conninfo(**known)
            return cls(await psycopg.AsyncConnection.connect(text, autocommit=True))
        except DRIVER_ERRORS as error:
            raise source_error(error, "opening a replication connection to the source") from error

    async def query(self, doing: str, command: str) -> list[dict[str, str | None]]:
        """Rows of a replication command or of plain SQL, as texts by column name."""
        result = await self._run(doing, command)
        names = [(result.fname(i) or b"").decode() for i in range(result.nfields)]
        return [
            {name: _text(result.get_value(row, i)) for i, name in enumerate(names)}
            for row in range(result.ntuples)
        ]

    async def start(self, slot: str, lsn: str, options: Mapping[str, str]) -> None:
        """Begin to stream. From here on only `drain`, `send_status`, `readable` and `close`."""
        wanted = ", ".join(f"{name} {_quote(value)}" for name, value in options.items())
        command = f'START_REPLICATION SLOT "{slot}" LOGICAL {lsn} ({wanted})'
        await self._run(f"reading slot {slot}", command)
        self._pgconn.nonblocking = 1
        self._descriptor = os.dup(self._pgconn.socket)
        self._streaming = True

    async def _run(self, doing: str, command: str) -> pq.abc.PGresult:
        try:
            self._pgconn.send_query(command.encode())
            results = await self._connection.wait(generators.execute(self._pgconn))
            result: pq.abc.PGresult = results[-1]
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result)
        except DRIVER_ERRORS as error:
            raise source_error(error, doing) from error
        return result

    # --- streaming -------------------------------------------------------------------------------

    def drain(self, bytes_max: int) -> Drained:
        """Take everything the server has sent so far, up to a limit.

        `consume_input` takes 16 KiB at a time, and of TLS it leaves decrypted bytes behind which do
        not wake the poller: both calls are repeated until they give nothing.

        Raises:
            SourceConnectionError, and whatever the server ended the stream with.
        """
        drained = Drained()
        try:
            self._take(drained, bytes_max)
            fruitless = 0
            while drained.bytes < bytes_max and not drained.ended:
                before = drained.bytes
                self._pgconn.consume_input()
                self._take(drained, bytes_max)
                taken = drained.bytes - before
                if not self._tls and taken < SURE_READ_BYTES:
                    drained.dry = not drained.ended
                    break
                fruitless = 0 if taken else fruitless + 1
                if fruitless >= _TLS_READS:
                    break
        except DRIVER_ERRORS as error:
            raise source_error(error, "reading the stream") from error
        return drained

    def _take(self, drained: Drained, bytes_max: int) -> None:
        """Move whole messages out of libpq's buffer."""
        while not drained.ended and (room := bytes_max - drained.bytes) > 0:
            taken = take(self._pgconn, room, _DATA, drained.messages)
            drained.bytes += taken.size
            drained.ended = taken.ended
            if taken.other is None:
                break
            _keepalive(drained, taken.other)

    async def failure(self) -> Exception:
        """Why the server ended the stream."""
        try:
            results = await self._connection.wait(generators.fetch_many(self._pgconn))
            for result in results:
                if result.status == pq.ExecStatus.FATAL_ERROR:
                    return source_error(psycopg.errors.error_from_result(result), "streaming")
        except DRIVER_ERRORS as error:
            return source_error(error, "streaming")
        return SourceConnectionError("the server ended the stream")

    def send_status(self, written: int, flushed: int, now_us: int, ask: bool) -> bool:
        """Send a standby status update; False when it could not be sent whole yet (see `flush`).

        Raises:
            SourceConnectionError.
        """
        times = now_us - EPOCH_OFFSET_US
        try:
            self._pgconn.put_copy_data(_STATUS.pack(b"r", written, flushed, flushed, times, ask))
        except DRIVER_ERRORS as error:
            raise source_error(error, "sending feedback") from error
        return self.flush()

    def flush(self) -> bool:
        """Send what is queued; False when some of it still waits. Raises SourceConnectionError."""
        try:
            return self._pgconn.flush() == 0
        except DRIVER_ERRORS as error:
            raise source_error(error, "sending feedback") from error

    async def readable(self, seconds: float) -> bool:
        """Wait until the server has sent something; False when it has not within that time."""
        if not self._watched:
            self._loop.add_reader(self._descriptor, self._arrived)
            self._watched = True
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiter = waiter
        timer = self._loop.call_later(seconds, _answer, waiter, False)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _arrived(self) -> None:
        """Something can be read. It goes on being told until it is read: when nobody waits, the
        socket is let be until somebody does."""
        if self._waiter is None or self._waiter.done():
            self._unwatch()
        else:
            self._waiter.set_result(True)

    def _unwatch(self) -> None:
        if self._watched:
            self._loop.remove_reader(self._descriptor)
            self._watched = False

    async def close(self) -> None:
        """End the stream, giving the server a moment to let go of the slot. Never raises."""
        try:
            if self._streaming:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._finish()
        except (PenstockError, *DRIVER_ERRORS):
            pass  # it is being closed: what it would still have said is of no use
        finally:
            self._unwatch()
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
            await self._connection.close()

    async def _finish(self) -> None:
        self._pgconn.put_copy_end()
        self._pgconn.flush()
        while not self.drain(1 << 20).ended:
            await self.readable(CLOSE_SECONDS)
        # The slot is released between the end of the stream and the end of the command.
        await self._connection.wait(generators.fetch_many(self._pgconn))


def _keepalive(drained: Drained, message: bytes) -> None:
    if message[:1] != b"k" or len(message) != _KEEPALIVE.size:
        raise DecodeError(f"unknown stream message {message[:1]!r}")
    _, end, _, ask = _KEEPALIVE.unpack(message)
    drained.keepalive, drained.keepalive_at = end, len(drained.messages)
    drained.reply_asked = drained.reply_asked or bool(ask)


def _answer(waiter: "asyncio.Future[bool]", answer: bool) -> None:
    if not waiter.done():
        waiter.set_result(answer)


def _option(setting: tuple[str, str]) -> str:
    name, value = setting
    return f"-c {name}=" + value.replace("\\", "\\\\").replace(" ", "\\ ")


def _quote(value: str) -> str:
    """A string constant of the replication grammar, which knows no escapes but a doubled quote."""
    return "'" + value.replace("'", "''") + "'"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
