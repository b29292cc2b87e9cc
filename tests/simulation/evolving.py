"""Stories in which tables change their columns while they are written to."""

import asyncio
from dataclasses import replace
from typing import Final

from connectors.memory.definitions import table
from connectors.memory.evolution import evolve
from connectors.memory.locks import WouldBlockError
from connectors.memory.storage import Table
from connectors.memory.transaction import ServerTransaction
from engine.config.replication import ApplyMode
from engine.model.change import SchemaChanged, SchemaStep
from tests.simulation.application import Application, mixed
from tests.simulation.lull import until_streaming
from tests.simulation.scenario import KEYS, Scenario, audit, public
from tests.simulation.world import World

ALTERED: Final = public("altered")

STEPS: Final = (
    SchemaStep("add-column", "c", type="bytes", default="here"),
    SchemaStep("rename-column", "a", new_name="z"),
    SchemaStep("add-column", "a", type="bytes"),
)


def _tables() -> list[Table]:
    return [
        table("public.altered", ["id", "a", "b"], key=["id"]),
        table("public.plain", ["id", "a"], key=["id"]),
        audit(),
    ]


async def _evolve(world: World, application: Application) -> None:
    """Writers, while columns are added and renamed."""

    async def writer() -> None:
        for _ in range(15):
            chosen = [application.chance.choice([ALTERED, public("plain")]) for _ in range(4)]
            await application.transaction(*[mixed(application, n, KEYS) for n in chosen])
            await application.pause(2.0)

    async def altering() -> None:
        for step in STEPS:
            await application.pause(6.0)
            await until_streaming(world, ALTERED)
            while not _alter(world, step):
                await application.pause(0.2)

    await asyncio.gather(writer(), writer(), altering())


def _alter(world: World, step: SchemaStep) -> bool:
    """A transaction of its own; False when a writer was in the way."""
    server: ServerTransaction = world.source.begin()
    try:
        there = server.table(ALTERED)
        change = SchemaChanged(ALTERED, there.relation, None, exact=True, steps=(step,))
        altered = evolve(there, change)
        server.replace_table(ALTERED, altered, replace(change, after=altered.relation))
        world.source.commit(server)
    except WouldBlockError:
        return False
    finally:
        world.source.rollback(server)
    return True


EVOLVING: Final = (
    Scenario("evolve", _tables, _evolve, rows=10),
    Scenario("evolve-transactional", _tables, _evolve, rows=10, mode=ApplyMode.TRANSACTIONAL),
)
