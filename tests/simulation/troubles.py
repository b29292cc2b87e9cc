"""What befalls the processes of a run, at moments of its seed's choosing."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from tests.simulation.comparing import ViolationError
from tests.simulation.spell import Spell
from tests.simulation.world import Client, World

MOMENT_SECONDS_MAX: Final = 8.0
"""Time between two troubles of one kind; a story takes about twice as long."""

RESIZE_SECONDS: Final = (0.0, 0.05, 0.5, 2.0, 16.0)
"""Most time between two changes of size, one as often as the other: some come while a session is
opened, some within one batch, some after all has settled."""

STILL_SECONDS_MAX: Final = 30.0

STOP_SECONDS: Final = 30.0
"""Virtual time within which a process must end once it is asked to: the drain may take ten seconds,
and a target that is slow, or holds a lock, as long again."""

SIZES: Final = (1, 2, 4, 16)
"""Units to change among."""

DAY_SECONDS: Final = 86_400.0

Strike = Callable[[World, Client], Coroutine[Any, Any, None]]


def troubles(
    world: World, spell: Spell, *, zombies: int, losses: int, stops: int
) -> dict[str, Coroutine[Any, Any, None]]:
    """Each to be run beside the workload, by name."""
    return {
        "crash": _often(world, spell.crashes, _crash),
        "still": _often(world, zombies, _stand_still),
        "lose": _often(world, losses, _lose),
        "stop": _often(world, spell.stops + stops, _stop),
        "cancel": _often(world, spell.cancels, _cancel),
        "rival": _often(world, spell.rivals, _rival),
        "jump": _often(world, spell.jumps, _jump),
        "resize": _often(world, spell.resizes, _resize, RESIZE_SECONDS),
    }


async def _often(
    world: World,
    times: int,
    strike: Strike,
    seconds_max: Sequence[float] = (MOMENT_SECONDS_MAX,),
) -> None:
    """At moments spread over the workload, upon the process of that moment."""
    for _ in range(times):
        await asyncio.sleep(world.chance.uniform(0.0, world.chance.choice(seconds_max)))
        client = world.current
        if client.process.alive and not client.process.stopped and not client.task.done():
            await strike(world, client)


async def _crash(world: World, client: Client) -> None:
    world.crash(client)


async def _stand_still(world: World, client: Client) -> None:
    """Freeze it, let a successor take over, let the old one go on."""
    world.freeze(client)
    await asyncio.sleep(world.chance.uniform(0.0, STILL_SECONDS_MAX))
    world.thaw(client)


async def _lose(world: World, _: Client) -> None:
    await world.lose_commits()


async def _stop(world: World, client: Client) -> None:
    world.terminate(client)
    deadline = world.loop.time() + STOP_SECONDS
    while client.process.alive and not client.process.stopped and not client.task.done():
        if world.loop.time() > deadline:
            raise ViolationError(
                f"{client.process.name} goes on {STOP_SECONDS} seconds after SIGTERM:\n"
                f"{world.loop.describe_tasks()}"
            )
        await asyncio.sleep(0.5)


async def _cancel(world: World, client: Client) -> None:
    world.cancel(client)


async def _rival(world: World, _: Client) -> None:
    world.rival(take_over=world.chance.random() < 0.5)


async def _jump(world: World, _: Client) -> None:
    world.clock.set_by(world.chance.uniform(-DAY_SECONDS, DAY_SECONDS))


async def _resize(world: World, client: Client) -> None:
    world.resize(client, world.chance.choice(SIZES))
