"""A small HTTP server for `/metrics`, `/healthz` and `/readyz`; loopback unless told otherwise.

Answers GET and HEAD, one request a connection, and reads nothing but the request line: what it
serves needs no more, and a probe must not be able to hold memory.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from engine.errors import ConfigError

LOOPBACK: Final = "127.0.0.1"
"""Where `--metrics PORT` listens: table names are shown, so the network is the user's choice."""

REQUEST_SECONDS_MAX: Final = 5.0
"""Time for one request; a client that dawdles is closed."""

REQUEST_BYTES_MAX: Final = 8_192
"""Longest request head; a scraper's is a few hundred bytes."""

CONNECTIONS_MAX: Final = 32
"""Connections served at once; a scraper and a prober need two."""

_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Unavailable"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path answers."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. `port` 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `HOST:PORT`, `[IPV6]:PORT`, `:PORT` or `PORT`; without a host it is loopback.

        Raises:
            ConfigError: the text is none of these.
        """
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not port.isascii() or not port.isdecimal() or len(port) > 5 or int(port) > 65_535:
            raise ConfigError("--metrics", "must be HOST:PORT with a port from 0 to 65535")
        return cls(host or LOOPBACK, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Paths = Mapping[str, Callable[[], Answer]]


@contextlib.asynccontextmanager
async def serving(address: Address, paths: Paths) -> AsyncIterator[Address]:
    """Serve while the context is open; gives the address in use.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    handler = _Handler(paths)
    try:
        server = await asyncio.start_server(
            handler.serve, address.host, address.port, limit=REQUEST_BYTES_MAX
        )
    except OSError as error:
        raise ConfigError(
            "--metrics",
            f"cannot listen on {address} (errno {error.errno})",
            hint="choose a free port, or stop what listens there",
        ) from error
    try:
        yield Address(address.host, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await handler.close()


class _Handler:
    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._tasks) >= CONNECTIONS_MAX:
            writer.close()
            return
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
                await self._request(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def close(self) -> None:
        """End what is being served."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(REQUEST_SECONDS_MAX):
            head = await reader.readuntil(b"\r\n\r\n")
            method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
            path = rest.partition(" ")[0].partition("?")[0]
            writer.write(_message(self._answer(method, path), with_body=method != "HEAD"))
            await writer.drain()

    def _answer(self, method: str, path: str) -> Answer:
        if method not in ("GET", "HEAD"):
            return Answer(405, "text/plain", b"only GET and HEAD\n")
        answer = self._paths.get(path)
        if answer is None:
            known = ", ".join(self._paths)
            return Answer(404, "text/plain", f"paths: {known}\n".encode())
        return answer()


def _message(answer: Answer, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (answer.body if with_body else b"")
