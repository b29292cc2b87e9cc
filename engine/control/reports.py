"""The parent's end of what a process of ours tells (`engine/observe/report.py`)."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from typing import Final

from engine.errors import Retry
from engine.observe.report import LINE_BYTES_MAX, Outcome


@contextlib.asynccontextmanager
async def reading(descriptor: int) -> AsyncIterator[asyncio.StreamReader]:
    """What comes through a pipe; the descriptor is closed with the context."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    try:
        yield reader
    finally:
        transport.close()


async def next_line(stream: asyncio.StreamReader) -> bytes:
    """The next line, b'' at the end. One that is too long is dropped."""
    while True:
        try:
            return await stream.readline()
        except ValueError:
            continue


def outcome_of(event: Mapping[str, object]) -> Outcome:
    """What an `outcome` event says."""
    exit_code = event.get("exit")
    texts = {name: str(event.get(name, "")) for name in ("retry", "error", "reason", "remedy")}
    return Outcome(exit_code if isinstance(exit_code, int) else 1, **texts)


REFUSALS: Final = (OSError, RuntimeError)
"""How Python tells that the machine makes no process, or not the thread that waits for one."""

NOT_STARTED: Final = "ProcessNotStartedError"
"""`Outcome.error` of a process that the machine did not make."""


def not_started(error: OSError | RuntimeError) -> Outcome:
    """The outcome of a process that could not be made. It may pass: other processes end."""
    return Outcome(
        1,
        retry=Retry.BACKOFF.value,
        error=NOT_STARTED,
        reason=f"no process could be started: {getattr(error, 'strerror', None) or error}",
        remedy="see the machine's limits of processes, files and memory",
    )
