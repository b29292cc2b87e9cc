"""What a person does about a simulated replication: `penstock reload`."""

import asyncio
import contextlib
from collections.abc import Callable

from connectors.memory.target import MemoryTarget
from engine.errors import TargetBusyError
from engine.model.relation import TableName
from engine.model.state import TableState
from tests.simulation.lull import until_streaming
from tests.simulation.world import REPLICATION, World

LOOK_SECONDS = 5.0


async def request_reload(world: World, name: TableName) -> None:
    """Ask for a streaming table to be copied again, from a process of its own."""
    await until_streaming(world, name)
    await _ask(world, name)


async def look_after(
    world: World, over: asyncio.Event, *, before: Callable[[], None] = lambda: None
) -> None:
    """Have whatever says that it needs a reload loaded again; `before` comes first."""
    while not over.is_set():
        await asyncio.sleep(LOOK_SECONDS)
        for record in world.records():
            if record.state is TableState.NEEDS_RELOAD and not record.requested:
                before()
                await _ask(world, record.table)


async def _ask(world: World, name: TableName) -> None:
    """Again and again while a lock is in the way, as who is refused with that word does."""
    while True:
        with contextlib.suppress(TargetBusyError):
            return await _ask_once(world, name)


async def _ask_once(world: World, name: TableName) -> None:
    target = MemoryTarget(world.target, REPLICATION)
    await target.open()
    try:
        async with target.session() as session, session.begin() as transaction:
            await transaction.request_reload(name)
            await transaction.commit()
    finally:
        await target.close()
