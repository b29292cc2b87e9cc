"""Virtual days of timers, reconnects and reloads, and what the engine holds after each.

    python -m tests.soak.virtual --days 2 --seed 7

The simulated replication writes little and rests for long; now and then its connections are cut on
one side or both, or a table is loaded again. What is counted are the engine's moving parts: rows
and positions are also the simulated servers' own, whose log is never cut, and are counted where
real servers keep them (`tests.soak.run`).
"""

import argparse
import asyncio
import gc
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

from connectors.memory.definitions import table
from connectors.memory.storage import Table
from engine.model.state import TableState
from tests.simulation.application import Application, mixed
from tests.simulation.comparing import ViolationError
from tests.simulation.person import request_reload
from tests.simulation.run import Report, simulate
from tests.simulation.scenario import KEYS, Scenario, audit, public
from tests.simulation.spell import Spell
from tests.simulation.world import World
from tests.soak.judge import rising
from tests.soak.resting import Figures
from tests.soak.worker import PREFIX

DAY_SECONDS: Final = 86_400.0

ROUND_SECONDS: Final = 600.0
"""Virtual time from one rest to the next."""

SETTLED_SECONDS: Final = 60.0
"""After the last trouble of a round: retries, and what waits for a quiet moment, are over."""

PLAIN: Final = public("plain")
OTHER: Final = public("other")

PARTS: Final = ("engine.", "connectors.memory.source", "connectors.memory.target", "asyncio.")
VALUES: Final = ("engine.model.", "engine.errors", "engine.observe.log.Line")
SUSPENDED: Final = ("coroutine", "async_generator", "generator", "frame", "traceback")


def _tables() -> Sequence[Table]:
    return [
        table("public.plain", ["id", "a", "b"], key=["id"]),
        table("public.other", ["id", "a"], key=["id"]),
        audit(),
    ]


def moving_parts() -> Figures:
    """Objects by type, of what runs: no value of a row, no error, nothing of the servers."""
    gc.collect()
    kinds = Counter([type(thing) for thing in gc.get_objects()])
    found = Counter[str]()
    for kind, count in kinds.items():
        name = f"{kind.__module__}.{kind.__qualname__}"
        ours = name.startswith(PARTS) and not name.startswith(VALUES)
        if ours or kind.__qualname__ in SUSPENDED:
            found[PREFIX + name] += count
    return found


class Days:
    """The story of a scenario; `rounds` is what was held at each rest."""

    def __init__(self, days: float) -> None:
        self.rounds: list[Figures] = []
        self._seconds = days * DAY_SECONDS

    async def work(self, world: World, application: Application) -> None:
        """Rounds until the days are over."""
        await self._rest(world)
        while world.loop.time() < self._seconds:
            end = world.loop.time() + ROUND_SECONDS
            for trouble in (_cut_source, _cut_target, _cut_both, _load_again):
                await self._write(application)
                await trouble(world)
                await self._rest(world)
            await asyncio.sleep(max(0.0, end - world.loop.time()))
            world.loop.forget()
            self.rounds.append(moving_parts())

    async def _write(self, application: Application) -> None:
        for _ in range(3):
            chosen = [application.chance.choice((PLAIN, OTHER)) for _ in range(3)]
            await application.transaction(*[mixed(application, name, KEYS) for name in chosen])

    async def _rest(self, world: World) -> None:
        """Everything applied, every table in the stream, and a while after."""
        while not _whole(world):
            await asyncio.sleep(1.0)
        await asyncio.sleep(SETTLED_SECONDS)
        if world.restarts:
            raise ViolationError("a process that only met cut connections was started again")


def _whole(world: World) -> bool:
    states = world.states()
    streaming = all(states.get(name) is TableState.STREAMING for name in world.models)
    return streaming and world.frontier.offset >= world.source.offset


async def _cut_source(world: World) -> None:
    world.current.source.cut()


async def _cut_target(world: World) -> None:
    world.current.target.sever()


async def _cut_both(world: World) -> None:
    world.current.source.cut()
    world.current.target.sever()


async def _load_again(world: World) -> None:
    await request_reload(world, PLAIN)


def soak(days: float, seed: int) -> tuple[Sequence[Figures], Report]:
    """What was held at each rest of so many virtual days, and the run's own report."""
    story = Days(days)
    report = simulate(Scenario("soak", _tables, story.work, rows=8), Spell(seed))
    return story.rounds, report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.virtual", description=__doc__)
    parser.add_argument("--days", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rounds, report = soak(given.days, given.seed)
    found = rising(rounds)
    for what in found:
        sys.stdout.write(f"{what}\n")
    sys.stdout.write(
        f"{len(rounds)} rounds, {report.seconds / DAY_SECONDS:.1f} virtual days,"
        f" {report.steps:,} steps, {len(found)} figures rise\n"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
