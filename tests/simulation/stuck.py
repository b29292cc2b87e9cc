"""Stories in which one table's writes take very long, and memory is small."""

import asyncio
from functools import partial
from typing import Final

from connectors.memory.definitions import table
from connectors.memory.storage import Table
from engine.overflow import STOP_SECONDS
from tests.simulation.application import AUDIT, Application, insert, mixed
from tests.simulation.comparing import ViolationError
from tests.simulation.lull import until_streaming
from tests.simulation.person import look_after
from tests.simulation.scenario import KEYS, Scenario, audit, public
from tests.simulation.world import World

STUCK: Final = public("stuck")
PLAIN: Final = public("plain")

WRITE_SECONDS: Final = 12.0
"""What a write to the stuck table takes; longer than it takes to be noticed as stuck."""

STUCK_SECONDS: Final = 16.0

HOPELESS_SECONDS: Final = 10 * STOP_SECONDS
"""What a write takes that nobody waits for to the end."""

STOPPED: Final = 0.2
"""Share of runs in which somebody has had enough of it: a drain then takes longer than it may."""

BEHIND_SECONDS_MAX: Final = 8.0
"""How far the neighbours of a stuck lane may be behind on a network without faults: the time until
it is noticed and its share of memory goes to disk."""

STOPPED_SECONDS_MAX: Final = STOP_SECONDS + 2 * BEHIND_SECONDS_MAX
"""The same where the disk is full: the time until its tables stop, and the start of the stream that
then follows."""


MEMORY_BYTES: Final = 24 << 10
"""Of which the queue gets an eighth: some ten changes."""

LONG: Final = b"long" * 20


def _tables() -> list[Table]:
    return [
        table("public.stuck", ["id", "a"], key=["id"]),
        table("public.plain", ["id", "a"], key=["id"]),
        audit(),
    ]


async def _stick(world: World, application: Application, *, hopeless: bool = False) -> None:
    """Writers, the stuck table's more than the others."""
    write, behind, watched = WRITE_SECONDS, BEHIND_SECONDS_MAX, STUCK_SECONDS
    if hopeless:
        write, behind, watched = HOPELESS_SECONDS, STOPPED_SECONDS_MAX, 2 * STOPPED_SECONDS_MAX
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
        await until_streaming(world, STUCK)
        world.decider.slow_tables[STUCK] = write
        if application.chance.random() < STOPPED:
            await asyncio.sleep(STUCK_SECONDS / 4)
            world.terminate(world.current)
        await _neighbours_flow(world, watched, behind)
        world.decider.slow_tables.clear()
        over.set()

    await asyncio.gather(writer(b"a"), writer(b"b"), sticking())


async def _neighbours_flow(world: World, seconds: float, behind_seconds_max: float) -> None:
    """I-22, where nothing else holds them up, as a full disk does, a write to the audit table that
    is slow itself, or an applier that is the only one. Every transaction writes to it."""
    until = world.loop.time() + seconds
    while world.loop.time() < until:
        written = len(world.source.visible_rows(AUDIT))
        await asyncio.sleep(behind_seconds_max)
        applied = len(world.target.visible_rows(AUDIT))
        if applied < written and not _held_up(world):
            raise ViolationError(f"{applied} rows of the audit, {written} were written long ago")


def _held_up(world: World) -> bool:
    """A stuck lane that finds no room on a full disk holds up the source, and so its neighbours;
    one in which the only applier stands leaves nobody for them."""
    alone = world.current.appliers == 1
    full = bool(world.decider.met.get("disk_full"))
    return not world.calm or bool(world.faults.slow) or full or alone


async def _mend_and_load(world: World, over: asyncio.Event) -> None:
    """What the log says about a table that was stopped: first what holds its writes up."""
    await look_after(world, over, before=world.decider.slow_tables.clear)


STICKING: Final = (
    Scenario("stuck", _tables, _stick, memory_bytes=MEMORY_BYTES),
    Scenario(
        "stuck-full-disk",
        _tables,
        partial(_stick, hopeless=True),
        memory_bytes=MEMORY_BYTES,
        disk_bytes_max=1_500,
        helper=_mend_and_load,
    ),
)
