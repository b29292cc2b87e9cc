"""Run a scenario from a seed, to its end or its first violation."""

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from connectors.memory.transaction import ServerTransaction
from engine.model.position import LogPosition
from engine.model.state import TableState
from tests.simulation.application import Application
from tests.simulation.comparing import ViolationError
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.scenario import KEYS, Scenario
from tests.simulation.seams import SimulatedDisk
from tests.simulation.situations import attach
from tests.simulation.spell import Spell
from tests.simulation.troubles import troubles
from tests.simulation.watching import Watch, watched
from tests.simulation.world import PATIENCE_SECONDS, World

POLL_SECONDS: Final = 0.5


@dataclass(slots=True)
class Report:
    """What a run was and what it met."""

    steps: int
    seconds: float
    checks: int
    crashes: int
    restarts: int
    met: dict[str, int]
    """Faults that struck."""
    reached: Counter[str]
    """Situations that came of them."""
    trace: list[str]


def simulate(
    scenario: Scenario,
    spell: Spell,
    *,
    traced: bool = False,
    watch: Callable[[World, Process], None] | None = None,
) -> Report:
    """Run to the end and compare everything. `watch` is called before every step of a process.

    Raises:
        ViolationError: an invariant did not hold. Others: what the engine raised unexpectedly.
    """
    loop = SimulatedLoop(traced=traced)
    gc.disable()
    world = World(
        loop,
        spell.seed,
        scenario.configs(),
        spell.faults,
        events_per_block=scenario.events_per_block,
        half_open_seconds_max=20.0 if spell.half_open else 0.0,
        resized=spell.resized,
        resizes=spell.resizes > 0,
        refuses=scenario.refuses,
        disk=SimulatedDisk(scenario.disk_bytes_max),
        lossy_target=scenario.target_losses > 0,
        extra_check=scenario.extra_check,
    )
    attach(world)
    try:
        asyncio.set_event_loop(loop)
        with watched(world) as inside:
            loop.before_step = _before_step(world, scenario.crashed, spell, inside, watch)
            loop.run_until_complete(_drive(world, scenario, spell, inside))
        loop.raise_failures()
        return Report(
            loop.steps,
            loop.time(),
            world.tables.checks,
            world.crashes,
            world.restarts,
            world.decider.met,
            world.reached,
            loop.trace or [],
        )
    except BaseException as error:
        if world.violation is not None:
            raise world.violation from error
        raise (_first(error) if isinstance(error, BaseExceptionGroup) else error) from None
    finally:
        loop.discard()
        asyncio.set_event_loop(None)
        gc.enable()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """A violation before anything that followed from it."""
    leaves = [
        _first(error) if isinstance(error, BaseExceptionGroup) else error
        for error in group.exceptions
    ]
    return next((e for e in leaves if isinstance(e, ViolationError)), leaves[0])


def _before_step(
    world: World,
    struck: int,
    spell: Spell,
    inside: Watch,
    watch: Callable[[World, Process], None] | None,
) -> Callable[[Process], None]:
    def before_step(process: Process) -> None:
        inside.step(process)
        if watch is not None:
            watch(world, process)
        step = process.steps + 1
        if step not in (spell.crash_at, spell.cancel_at) or process is not world.process(struck):
            return
        strike = world.crash if step == spell.crash_at else world.cancel
        strike(world.clients[struck])

    return before_step


async def _drive(world: World, scenario: Scenario, spell: Spell, inside: Watch) -> None:
    world.create(scenario.tables())
    for table in scenario.target_tables():
        world.target.put_table(table.relation.table, table)
    application = Application(world.source, world.seed)
    _seed_rows(world, scenario, application)
    until = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        supervising = tasks.create_task(world.supervise(until), name="supervise")
        if scenario.helper is not None:
            tasks.create_task(_as_task(scenario.helper(world, until)), name="helper")
        if spell.late:
            world.decider.healed = True
            await _caught_up(world, LogPosition(0))
            world.decider.healed = False
        befalling = troubles(
            world,
            spell,
            zombies=scenario.zombies,
            losses=scenario.target_losses,
            stops=scenario.stops,
        )
        trouble = [tasks.create_task(work, name=name) for name, work in befalling.items()]
        await scenario.work(world, application)
        await asyncio.wait(trouble)
        world.decider.healed = True
        await _caught_up(world, LogPosition(world.source.offset))
        await world.bury()
        inside.settled()
        until.set()
        await supervising
    world.check_end()


def _seed_rows(world: World, scenario: Scenario, application: Application) -> None:
    """Rows that are there before anything is replicated, in every table but the audit."""
    for table in scenario.tables():
        name, width = table.relation.table, len(table.relation.columns)
        plain = not table.foreign_keys and len(table.uniques) <= 1
        if scenario.rows and name.name != "audit" and plain:
            server: ServerTransaction = world.source.begin()
            for number in range(scenario.rows):
                key = KEYS[number] if scenario.rows < len(KEYS) else b"%03d" % number
                values: list[bytes | None] = [application.value() for _ in range(width - 1)]
                if scenario.null_every and number % scenario.null_every == 0:
                    values[-1] = None
                server.insert(name, (key, *values))
            world.source.commit(server)


async def _as_task(work: Awaitable[None]) -> None:
    await work


async def _caught_up(world: World, goal: LogPosition) -> None:
    """Liveness: with faults healed the replication reaches the source's head by itself."""
    deadline = world.loop.time() + PATIENCE_SECONDS
    while not _whole(world, goal):
        if world.loop.time() > deadline:
            tasks = world.loop.describe_tasks()
            states = {str(t): s.value for t, s in world.states().items()}
            raise ViolationError(f"stands at {world.frontier} before {goal}; {states}\n{tasks}")
        await asyncio.sleep(POLL_SECONDS)


def _whole(world: World, goal: LogPosition) -> bool:
    states = world.states()
    streaming = all(states.get(t) is TableState.STREAMING for t in world.models)
    return streaming and world.frontier >= goal
