"""Stories in which one table's writes take very long, and memory is small."""

import asyncio
from typing import Final

from connectors.memory.definitions import table
from connectors.memory.storage import Table
from engine.model.state import TableState
from tests.simulation.application import AUDIT, Application, insert, mixed
from tests.simulation.scenario import KEYS, Scenario, audit, public
from tests.simulation.world import ViolationError, World

STUCK: Final = public("stuck")
PLAIN: Final = public("plain")

WRITE_SECONDS: Final = 12.0
"""What a write to the stuck table takes; longer than it takes to be noticed as stuck."""

STUCK_SECONDS: Final = 16.0

STOPPED: Final = 0.2
"""Share of runs in which somebody has had enough of it: a drain then takes longer than it may."""

BEHIND_SECONDS_MAX: Final = 8.0
"""How far the neighbours of a stuck lane may be behind on a network without faults: the time until
it is noticed and its share of memory goes to disk."""

MEMORY_BYTES: Final = 24 << 10
"""Of which the queue gets an eighth: some ten changes."""

LONG: Final = b"long" * 20


def _tables() -> list[Table]:
    return [
        table("public.stuck", ["id", "a"], key=["id"]),
        table("public.plain", ["id", "a"], key=["id"]),
        audit(),
    ]


async def _stick(world: World, application: Application) -> None:
    """Writers, the stuck table's more than the others."""
    over = asyncio.Event()

    async def writer(name: bytes) -> None:
        number = 0
        while not over.is_set():
            rows = [insert(STUCK, (b"%b%04d-%d" % (name, number, i), LONG)) for i in range(3)]
            await application.transaction(*rows, mixed(application, PLAIN, KEYS))
            await application.pause(4.0)
            number += 1

    async def sticking() -> None:
        await application.pause(4.0)
        while world.states().get(STUCK) is not TableState.STREAMING:
            await asyncio.sleep(0.5)
        world.decider.slow_tables[STUCK] = WRITE_SECONDS
        if application.chance.random() < STOPPED:
            await asyncio.sleep(STUCK_SECONDS / 4)
            world.terminate(world.current)
        await _neighbours_flow(world, STUCK_SECONDS)
        world.decider.slow_tables.clear()
        over.set()

    await asyncio.gather(writer(b"a"), writer(b"b"), sticking())


async def _neighbours_flow(world: World, seconds: float) -> None:
    """I-22, where nothing else holds them up, and until the disk is full: then the source waits.
    Every transaction writes to the audit table."""
    until = world.loop.time() + seconds
    while world.loop.time() < until:
        written = len(world.source.visible_rows(AUDIT))
        await asyncio.sleep(BEHIND_SECONDS_MAX)
        applied = len(world.target.visible_rows(AUDIT))
        if world.calm and applied < written and not world.has("spill-refused"):
            raise ViolationError(f"{applied} rows of the audit, {written} were written long ago")


STICKING: Final = (
    Scenario("stuck", _tables, _stick, memory_bytes=MEMORY_BYTES),
    Scenario("stuck-full-disk", _tables, _stick, memory_bytes=MEMORY_BYTES, disk_bytes_max=1_500),
)
