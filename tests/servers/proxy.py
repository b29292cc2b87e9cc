"""A TCP proxy that misbehaves on command, to stand between a connector and a real server.

async with FaultProxy(cluster.host, cluster.port) as proxy:
    source = PostgresSource(cluster.dsn("orders", port=proxy.port))
    proxy.delay(0.05)      # every chunk of bytes waits 50 ms, each way
    proxy.throttle(1e5)    # 100 kB/s come from the server at most
    proxy.black_hole()     # bytes are taken and never passed on; connections stay open
    proxy.cut()            # reset what is open now
    proxy.refuse()         # and whoever comes next
    proxy.queue()          # whoever comes next waits, as behind a pooler that has none left
    proxy.cut_after(1000)  # reset once 1,000 more bytes came from the server
    proxy.lead_to(host, port)  # as an address that moves to a standby
    proxy.resume()         # behave again
"""

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Final, Self

from tests.servers.ports import LOOPBACK

CHUNK_BYTES: Final = 64 * 1024

SLICE_SECONDS: Final = 0.05
"""What passes at once of a connection that is throttled, in seconds of its rate."""

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends a reset, as a cable or a crashed host would look."""


class FaultProxy:
    """Listens on a free loopback port and passes bytes to one address.

    Commands act at once on what is open and on what comes. Everything runs in the event loop that
    entered the context.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusing = False
        self._open = asyncio.Event()
        self._open.set()
        self._free = asyncio.Event()
        self._free.set()
        self._delay_seconds = 0.0
        self._rate = 0.0
        self._bytes_left: dict[str, int] = {}
        self.port = 0
        self.accepted = 0
        """Connections taken so far."""
        self.bytes_up = 0
        self.bytes_down = 0
        """Bytes passed to the server, and from it."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
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
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- commands -----------------------------------------------------------------------------

    def delay(self, seconds: float) -> None:
        """Hold every chunk back for this long, in each direction: a round trip takes twice that."""
        self._delay_seconds = seconds

    def throttle(self, rate: float) -> None:
        """Take so many bytes a second from the server, on each connection."""
        self._rate = rate

    def cut(self) -> None:
        """Reset every open connection, on both sides. New ones are served."""
        for link in list(self._links):
            link.reset()

    def lead_to(self, host: str, port: int) -> None:
        """Connect whoever comes from now on to another server."""
        self._address = (host, port)

    def refuse(self) -> None:
        """Reset every new connection before a byte of it is answered."""
        self._refusing = True

    def queue(self) -> None:
        """Take new connections and let them wait; those that are open go on."""
        self._free.clear()

    def black_hole(self) -> None:
        """Pass nothing on; connections stay open and new ones are taken, in silence."""
        self._open.clear()

    def cut_after(self, down: int | None = None, *, up: int | None = None) -> None:
        """Cut everything once so many more bytes have come from the server (`down`) or have gone
        to it (`up`). The bytes up to the limit are passed on, which can be inside a message."""
        limits = {"down": down, "up": up}
        self._bytes_left = {way: size for way, size in limits.items() if size is not None}

    def resume(self) -> None:
        """Undo all but `cut` and `lead_to`. What was held back goes on."""
        self._refusing = False
        self._delay_seconds = 0.0
        self._rate = 0.0
        self._bytes_left = {}
        self._open.set()
        self._free.set()

    @property
    def connections(self) -> int:
        """Connections open now."""
        return len(self._links)

    # --- inside -------------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve it in a task of ours: one of asyncio's would report at the end that it was
        cancelled."""
        self.accepted += 1
        if self._refusing:
            _reset(writer)
            return
        task = asyncio.create_task(self._serve(reader, writer), name="proxy link")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._link(reader, writer)
        finally:
            writer.close()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._free.wait()
        try:
            upstream, up_writer = await asyncio.open_connection(*self._address)
        except OSError:
            _reset(writer)
            return
        link = _Link(writer, up_writer)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pump("up", reader, up_writer), name="proxy up")
                tasks.create_task(self._pump("down", upstream, writer), name="proxy down")
        except* OSError:
            link.reset()
        finally:
            self._links.discard(link)
            link.close()

    async def _pump(
        self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(self._piece(way)):
            if self._rate and way == "down":
                await asyncio.sleep(len(data) / self._rate)
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            await self._open.wait()
            allowed = self._take(way, data)
            writer.write(allowed)
            await writer.drain()
            if len(allowed) < len(data) or self._bytes_left.get(way) == 0:
                self._bytes_left = {}
                self.cut()
                return
        with contextlib.suppress(OSError, RuntimeError):  # the other side may be gone already
            writer.write_eof()

    def _piece(self, way: str) -> int:
        slow = self._rate and way == "down"
        return max(1, int(self._rate * SLICE_SECONDS)) if slow else CHUNK_BYTES

    def _take(self, way: str, data: bytes) -> bytes:
        if way in self._bytes_left:
            data = data[: self._bytes_left[way]]
            self._bytes_left[way] -= len(data)
        if way == "up":
            self.bytes_up += len(data)
        else:
            self.bytes_down += len(data)
        return data


class _Link:
    """Both ends of one connection through the proxy."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers

    def reset(self) -> None:
        for writer in self._writers:
            _reset(writer)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket | None = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() != -1:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
