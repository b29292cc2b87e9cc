"""Turns within one process: of writers, and of readers when all connections are in use."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from engine.control.store.errors import StoreBusyError

TURN_SECONDS: Final = 10.0
"""How long a transaction waits for its turn, within a process and among several: one takes
milliseconds, a rotation or a backup a second."""

READERS: Final = 4
"""Read transactions at a time. A page takes a few milliseconds, mostly of Python's, so more would
not be faster."""


@asynccontextmanager
async def turn(
    turns: asyncio.Lock | asyncio.Semaphore, busy: Callable[[], StoreBusyError]
) -> AsyncIterator[None]:
    """Raises what `busy` makes when the turn does not come in time."""
    try:
        async with asyncio.timeout(TURN_SECONDS):
            await turns.acquire()
    except TimeoutError:
        raise busy() from None
    try:
        yield
    finally:
        turns.release()
