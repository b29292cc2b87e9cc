"""COPY TO STDOUT as an asynchronous iterator of large buffers.

asyncpg pushes what it reads into a coroutine of ours; a loader wants to pull. The usual bridge, a
second task and a queue, needs an owner for the task and somewhere to put its errors. Instead the
COPY coroutine is stepped inside the caller's own task: what it awaits from the event loop is passed
on to the loop, and when it has gathered a buffer it yields that, stands still, and so stops reading
the socket. Errors and cancellation travel the plain way.
"""

import asyncio
import types
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any, Final, Literal, TypeAlias

from connectors.postgres.load_connection import Connection

CopyFormat: TypeAlias = Literal["binary", "text"]

BUFFER_BYTES_MIN: Final = 256 * 1024
"""Size at which gathered data is handed over. Measured: 64 KiB already costs nothing that shows;
larger ones save wake-ups of the writer."""


class _Buffer:
    """What the COPY coroutine yields when it hands data over; no event loop ever sees one."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class _Gatherer:
    """The coroutine function that asyncpg gives the copied data to."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    async def __call__(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= BUFFER_BYTES_MIN:
            await _hand_over(_Buffer(self.take()))

    def take(self) -> bytes:
        """Everything gathered and not taken yet."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return data


@types.coroutine
def _hand_over(buffer: _Buffer) -> Generator[_Buffer, None, None]:
    yield buffer


@types.coroutine
def _advance(copy: Coroutine[Any, Any, str]) -> Generator[Any, Any, bytes | None]:
    """Run the COPY until it hands over data, which is returned, or ends: None."""
    resume, argument = copy.send, None
    while True:
        try:
            awaited = resume(argument)
        except StopIteration:
            return None
        if isinstance(awaited, _Buffer):
            return awaited.data
        try:
            argument = yield awaited
            resume = copy.send
        except BaseException as error:  # noqa: BLE001  whatever it is belongs to the COPY
            resume, argument = copy.throw, error


async def copy_out(
    connection: Connection, query: str, form: CopyFormat
) -> AsyncGenerator[bytes, None]:
    """The output of `COPY (query) TO STDOUT`, `form` being `binary` or `text`.

    At most one buffer is held here; a caller that does not pull stops the server. Closing the
    iterator early sends a cancel request; the connection is then only good for being closed.
    """
    gatherer = _Gatherer()
    copy = connection.copy_from_query(query, output=gatherer, format=form)
    finished = False
    try:
        while (data := await _advance(copy)) is not None:
            yield data
        finished = True
    finally:
        if not finished:
            _abandon(copy)
    if rest := gatherer.take():
        yield rest


def _abandon(copy: Coroutine[Any, Any, str]) -> None:
    """Make asyncpg cancel the COPY on the server; it does so on a cancellation only."""
    try:
        copy.throw(asyncio.CancelledError())
    except (asyncio.CancelledError, RuntimeError):
        return  # cancelled as asked, or it had ended with the error now on its way
    copy.close()
