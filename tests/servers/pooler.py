"""A stand-in for pgbouncer, as far as a replication client sees it: it is told to go away.

pgbouncer takes a start-up packet, answers `ErrorResponse` to `replication=...` and closes. The
texts are those of its versions before 1.23 (a start-up parameter it does not know) and of a pool in
which replication is not allowed.
"""

import asyncio
import struct
from types import TracebackType
from typing import Final, Self

from tests.servers.ports import LOOPBACK

UNSUPPORTED: Final = "unsupported startup parameter: replication"

SSL_REQUEST: Final = 80877103
GSS_REQUEST: Final = 80877104
"""Codes of the packets before a start-up packet; "N" declines both (PostgreSQL manual, 55.7)."""


class FakePooler:
    """Answers every start-up packet with an error, on a free loopback port."""

    def __init__(self, message: str = UNSUPPORTED, sqlstate: str = "08P01") -> None:
        self._fields = {"S": "FATAL", "C": sqlstate, "M": message}
        self._server: asyncio.Server | None = None
        self.port = 0
        self.parameters: list[dict[str, str]] = []
        """The start-up parameters of every connection so far."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@{LOOPBACK}:{self.port}/{database}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            packet = await _packet(reader)
            while struct.unpack_from("!I", packet)[0] in (SSL_REQUEST, GSS_REQUEST):
                writer.write(b"N")
                packet = await _packet(reader)
            words = packet[4:].decode().rstrip("\0").split("\0")
            self.parameters.append(dict(zip(words[::2], words[1::2], strict=True)))
            writer.write(self._error())
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return  # the client gave up first
        finally:
            writer.close()

    def _error(self) -> bytes:
        body = b"".join(f"{code}{text}\0".encode() for code, text in self._fields.items()) + b"\0"
        return b"E" + struct.pack("!I", len(body) + 4) + body


async def _packet(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack("!I", await reader.readexactly(4))
    return await reader.readexactly(size - 4)
