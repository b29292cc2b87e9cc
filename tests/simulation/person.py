"""What a person does about a simulated replication: `penstock reload`."""

import asyncio
from collections.abc import Callable

from connectors.memory.target import MemoryTarget
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
    target = MemoryTarget(world.target, REPLICATION)
    await target.open()
    async with target.session() as session, session.begin() as transaction:
        await transaction.request_reload(name)
        await transaction.commit()
    await target.close()
