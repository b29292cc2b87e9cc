"""A storm that never lets a load come to its end must not keep the story from going on."""

import asyncio
from typing import Final

from engine.model.relation import TableName
from engine.model.state import TableState
from tests.simulation.world import World

PATIENCE_SECONDS: Final = 300.0
"""Virtual time that a storm may keep a table from its stream. Most loads take some seconds; where
writers go on and every attempt breaks, one that grows faster than it is copied takes for ever."""


async def until_streaming(world: World, table: TableName) -> None:
    """Wait until the table streams; after a while the faults pause until it does."""
    until = world.loop.time() + PATIENCE_SECONDS
    while world.states().get(table) is not TableState.STREAMING:
        if world.loop.time() >= until:
            world.decider.lulled = True
        await asyncio.sleep(0.5)
    world.decider.lulled = False
