"""A web server that keeps what is posted to it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass
class Receiver:
    """`answers` are the statuses of the next answers, 200 when there is none; `posted` holds
    requests that came whole: their first line, headers by name in lower case, and JSON."""

    port: int = 0
    answers: list[bytes] = field(default_factory=list[bytes])
    posted: list[tuple[str, dict[str, str], Any]] = field(
        default_factory=list[tuple[str, dict[str, str], Any]]
    )
    stands: asyncio.Event = field(default_factory=asyncio.Event)
    """A request is here that is never answered."""

    @property
    def messages(self) -> list[str]:
        """The messages of the events in what was posted."""
        return [orjson.loads(body["Message"])["Event Message"] for _, _, body in self.posted]

    async def until(self, count: int) -> None:
        """That many requests have come."""
        while len(self.posted) < count:
            await asyncio.sleep(0.01)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {
                name.lower(): value for name, value in (line.split(": ", 1) for line in lines)
            }
            body = await reader.readexactly(int(headers["content-length"]))
            self.posted.append((first, headers, orjson.loads(body)))
            answer = self.answers.pop(0) if self.answers else b"HTTP/1.1 200 OK\r\n\r\n"
            if not answer:
                self.stands.set()
                await reader.read()
            writer.write(answer)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port of loopback."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        receiver.port = server.sockets[0].getsockname()[1]
        yield receiver
