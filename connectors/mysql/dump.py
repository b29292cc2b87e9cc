"""The server's binary log as it sends it to a replica, event by event. Nothing is decoded here.

A session names itself a replica, says where to begin, and from then on only reads. The two dialects
differ in how they are told: MySQL takes a GTID set with the command itself, MariaDB a GTID list in
a session variable; both take a file and an offset.

Reading is paced: a server that catches up sends every event by itself, and a reader that takes each
at once makes each a wake-up of its own.

See: MySQL, "Replication Protocol" (COM_REGISTER_SLAVE, COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID);
MariaDB Knowledge Base, "COM_BINLOG_DUMP" and "Replica registration".
"""

import asyncio
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from connectors.mysql.connecting import READ_BYTES_MAX, Link, close
from connectors.mysql.errors import DRIVER_ERRORS, source_error
from connectors.mysql.gtid import GtidSet
from connectors.mysql.packets import PacketSplitter
from connectors.mysql.position import FILE_BEGINNING, AnyPosition, FilePosition, LogPlace
from engine.errors import DecodeError, SourceConnectionError

COM_BINLOG_DUMP: Final = 0x12
COM_REGISTER_SLAVE: Final = 0x15
COM_BINLOG_DUMP_GTID: Final = 0x1E

THROUGH_GTID: Final = 0x04
"""Flag of COM_BINLOG_DUMP_GTID: the set follows."""

MARIADB_CAPABILITY: Final = 4
"""MARIA_SLAVE_CAPABILITY_GTID: without it events that we could not know come as dummies."""

HEARTBEAT_SECONDS: Final = 1.0
"""Silence after which the server gives a sign of life, which also says that nothing is left to
send."""

OK: Final = 0x00
END: Final = 0xFE
ERROR: Final = 0xFF

PACE_SECONDS: Final = 0.001
"""Wait between two reads while behind and reads come back small."""

SMALL_READ_BYTES: Final = 65_536
"""A read below this was mostly wake-up."""


class Dump:
    """One run of the log over one connection, which it closes."""

    def __init__(self, link: Link, silence_seconds: float) -> None:
        self._link = link
        self._silence_seconds = silence_seconds
        self._splitter = PacketSplitter()
        self._small = False

    async def close(self) -> None:
        await close(self._link)

    async def events(self, *, behind: bool) -> Sequence[bytes]:
        """What arrives next, at least one event. `behind`: what came before was written a while
        ago, so more is on its way.

        Raises:
            SourceConnectionError: the link broke or was silent for too long.
            PositionLostError: the server cannot send from there.
            SourceError, DecodeError.
        """
        if behind and self._small:
            await asyncio.sleep(PACE_SECONDS)
        try:
            while True:
                data = await self._read()
                self._small = len(data) < SMALL_READ_BYTES
                payloads = self._splitter.feed(data)
                if payloads:
                    return [self._event(payload) for payload in payloads]
        except DRIVER_ERRORS as error:
            raise source_error(error, "reading the source's binary log") from error

    def _event(self, payload: bytes) -> bytes:
        """The event in a packet. Raises the driver's errors, SourceConnectionError, DecodeError."""
        if not payload:
            raise DecodeError("an empty packet among binary log events")
        kind = payload[0]
        if kind == OK:
            return payload[1:]
        if kind == ERROR:
            self._link.refused(payload)
        if kind == END and len(payload) < FILE_BEGINNING + 5:
            raise SourceConnectionError("the source ended the stream of its binary log")
        raise DecodeError(f"a packet of unknown kind {kind} among binary log events")

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout(self._silence_seconds):
                data = await self._link.reader.read(READ_BYTES_MAX)
        except TimeoutError:
            silence = f"the source has been silent for {self._silence_seconds:.0f} s"
            raise SourceConnectionError(silence) from None
        if not data:
            raise SourceConnectionError("the source closed the connection that read its binary log")
        return data


Open: TypeAlias = Callable[[LogPlace], Awaitable[Dump]]
"""Begins to read the log at a place. Raises as `open_dump`."""


async def events_from(open_at: Open, place: LogPlace) -> AsyncGenerator[bytes, None]:
    """The log from a place on, without end; to be closed. Raises as `Open` and `Dump.events`."""
    dump = await open_at(place)
    try:
        while True:
            for data in await dump.events(behind=True):
                yield data
    finally:
        await dump.close()


async def open_dump(
    link: Link,
    start: AnyPosition,
    *,
    mariadb: bool,
    server_id: int,
    uuid: str,
    silence_seconds: float,
) -> Dump:
    """Begin to read after `start`. `server_id` and `uuid` name us among the server's replicas: it
    ends an older session of the same name. `silence_seconds`: a server that gives no sign of life
    for that long is gone. Takes the link over.

    Raises:
        SourceConnectionError, PositionLostError, SourceError.
    """
    try:
        for statement in _settings(start, mariadb, uuid):
            await link.run(statement)
        await register(link, server_id)
        link.send(*_command(start, server_id))
    except DRIVER_ERRORS as error:
        await close(link)
        raise source_error(error, "asking the source for its binary log") from error
    except BaseException:
        await close(link)
        raise
    return Dump(link, silence_seconds)


async def register(link: Link, server_id: int) -> None:
    """Name a session a replica. Raises the driver's errors."""
    link.send(COM_REGISTER_SLAVE, _registration(server_id))
    await link.packet()


def _settings(start: AnyPosition, mariadb: bool, uuid: str) -> Sequence[str]:
    period = round(HEARTBEAT_SECONDS * 1_000_000_000)
    settings = {
        # Events come as they stand in the file, with the checksum they have there.
        "@master_binlog_checksum": "@@global.binlog_checksum",
        "@master_heartbeat_period": str(period),
    }
    if mariadb:
        settings["@mariadb_slave_capability"] = str(MARIADB_CAPABILITY)
        if not isinstance(start, FilePosition):
            settings["@slave_connect_state"] = f"'{start.done}'"
            settings["@slave_gtid_strict_mode"] = "0"
            settings["@slave_gtid_ignore_duplicates"] = "0"
    else:
        settings["@source_binlog_checksum"] = "@@global.binlog_checksum"
        settings["@source_heartbeat_period"] = str(period)
        settings["@slave_uuid"] = settings["@replica_uuid"] = f"'{uuid}'"
    return ["SET " + ", ".join(f"{name} = {value}" for name, value in settings.items())]


def _registration(server_id: int) -> bytes:
    """Without host, user and password: they are for people who ask the server for its replicas."""
    return struct.pack("<IBBBHII", server_id, 0, 0, 0, 0, 0, 0)


def _command(start: AnyPosition, server_id: int) -> tuple[int, bytes]:
    if isinstance(start, FilePosition):
        name = start.place.file.encode()
        return COM_BINLOG_DUMP, struct.pack("<IHI", start.place.offset, 0, server_id) + name
    if isinstance(start.done, GtidSet):
        encoded = start.done.encode()
        head = struct.pack("<HIIQI", THROUGH_GTID, server_id, 0, FILE_BEGINNING, len(encoded))
        return COM_BINLOG_DUMP_GTID, head + encoded
    return COM_BINLOG_DUMP, struct.pack("<IHI", FILE_BEGINNING, 0, server_id)
