"""Work that a wish to stop cuts short."""

import asyncio
from collections.abc import Awaitable


async def unless_stopped(work: Awaitable[None], stop: asyncio.Event) -> bool:
    """Do the work; False when it was cut short because a stop was asked for."""
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(_as_coroutine(work), name="work")
        stopping = tasks.create_task(stop.wait(), name="stop")
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        finished = working.done()
        working.cancel()
        stopping.cancel()
    return finished


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work
