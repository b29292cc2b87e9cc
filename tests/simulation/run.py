"""Run a scenario from a seed, to its end or its first violation."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from connectors.memory.transaction import ServerTransaction
from engine.model.position import LogPosition
from engine.model.state import TableState
from tests.simulation.application import Application
from tests.simulation.faults import CALM, Faults
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.scenario import KEYS, Scenario
from tests.simulation.seams import SimulatedDisk
from tests.simulation.world import PATIENCE_SECONDS, ViolationError, World

POLL_SECONDS: Final = 0.5
PHASES: Final = 0xA5


@dataclass(slots=True)
class Report:
    """What a run was and what it met."""

    steps: int
    seconds: float
    checks: int
    crashes: int
    restarts: int
    met: dict[str, int]
    trace: list[str]


def simulate(
    scenario: Scenario,
    seed: int,
    *,
    faults: Faults = CALM,
    crashes: int = 0,
    crash_at: int = 0,
    half_open: bool = False,
    late: bool = False,
    traced: bool = False,
    watch: Callable[[World, Process], None] | None = None,
) -> Report:
    """Run to the end and compare everything. `crashes`: how often the process is killed at a moment
    of the seed's choosing; `crash_at`: the first process dies before this step of its own; `late`:
    nothing happens before every table streams.

    Raises:
        ViolationError: an invariant did not hold. Others: what the engine raised unexpectedly.
    """
    loop = SimulatedLoop(traced=traced)
    gc.disable()
    world = World(
        loop,
        seed,
        scenario.config(),
        faults,
        events_per_block=scenario.events_per_block,
        half_open_seconds_max=20.0 if half_open else 0.0,
        refuses=scenario.refuses,
        disk=SimulatedDisk(scenario.disk_bytes_max),
        lossy_target=scenario.target_losses > 0,
        extra_check=scenario.extra_check,
    )
    try:
        asyncio.set_event_loop(loop)
        loop.before_step = _watcher(world, crash_at, watch)
        loop.run_until_complete(_drive(world, scenario, crashes, late=late))
        loop.raise_failures()
        return Report(
            loop.steps,
            loop.time(),
            world.checks,
            world.crashes,
            world.restarts,
            world.decider.met,
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


def _watcher(
    world: World, crash_at: int, watch: Callable[[World, Process], None] | None
) -> Callable[[Process], None]:
    def before_step(process: Process) -> None:
        if watch is not None:
            watch(world, process)
        if crash_at and process.steps + 1 == crash_at and not world.crashes:
            world.crash(world.current)

    return before_step


async def _drive(world: World, scenario: Scenario, crashes: int, *, late: bool) -> None:
    world.create(scenario.tables())
    application = Application(world.source, world.seed)
    _seed_rows(world, scenario, application)
    until = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        supervising = tasks.create_task(world.supervise(until), name="supervise")
        if late:
            world.decider.healed = True
            await _caught_up(world, LogPosition(0))
            world.decider.healed = False
        if scenario.helper is not None:
            tasks.create_task(_as_task(scenario.helper(world, until)), name="helper")
        trouble = [tasks.create_task(_crash(world, crashes), name="crash")]
        if scenario.target_losses:
            losing = _lose(world, scenario.target_losses)
            trouble.append(tasks.create_task(losing, name="lose"))
        if scenario.zombies:
            trouble.append(tasks.create_task(_stand_still(world, scenario.zombies), name="still"))
        await scenario.work(world, application)
        await asyncio.wait(trouble)
        world.decider.healed = True
        await _caught_up(world, LogPosition(world.source.offset))
        await world.bury()
        until.set()
        await supervising
    world.check_end()


def _seed_rows(world: World, scenario: Scenario, application: Application) -> None:
    """Rows that are there before anything is replicated, in every table but the audit."""
    for table in scenario.tables():
        name, width = table.relation.table, len(table.relation.columns)
        if scenario.rows and name.name != "audit" and not table.foreign_keys:
            server: ServerTransaction = world.source.begin()
            for number in range(scenario.rows):
                key = KEYS[number] if scenario.rows < len(KEYS) else b"%03d" % number
                values = [application.value() for _ in range(width - 1)]
                server.insert(name, (key, *values))
            world.source.commit(server)


async def _as_task(work: Awaitable[None]) -> None:
    await work


async def _crash(world: World, times: int) -> None:
    """Kill the running process at moments spread over the workload."""
    for _ in range(times):
        await asyncio.sleep(world.chance.uniform(0.0, 8.0))
        client = world.current
        if client.process.alive and not client.task.done():
            world.crash(client)


async def _stand_still(world: World, times: int) -> None:
    """Freeze the running process, let a successor take over, let the old one go on."""
    for _ in range(times):
        await asyncio.sleep(world.chance.uniform(0.0, 8.0))
        client = world.current
        if not client.process.alive or client.task.done():
            continue
        world.freeze(client)
        await asyncio.sleep(world.chance.uniform(0.0, 30.0))
        world.thaw(client)


async def _lose(world: World, times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(world.chance.uniform(0.0, 8.0))
        await world.lose_commits()


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
