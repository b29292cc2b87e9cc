"""Stories of `key-parallel`: one table's rows are applied by several appliers at once."""

import asyncio
from dataclasses import replace
from itertools import count
from typing import Final

from connectors.memory.definitions import table
from connectors.memory.storage import Table
from connectors.memory.transaction import ServerTransaction
from engine.config.replication import ApplyMode
from engine.model.relation import ReplicaIdentity
from engine.model.state import TableState
from tests.simulation.altering import ALTERING
from tests.simulation.application import Application, Step, insert, mixed, truncate
from tests.simulation.evolving import EVOLVING
from tests.simulation.person import request_reload
from tests.simulation.refusals import REFUSALS
from tests.simulation.scenario import KEYS, Scenario, audit, public
from tests.simulation.situations import chunks
from tests.simulation.world import World

HOT: Final = public("hot")
TOASTED: Final = public("toasted")
HALF: Final = 4
"""Of the chunks of a table with 60 rows."""

MANY_KEYS: Final = tuple(b"%03d" % i for i in range(60))


def _tables() -> list[Table]:
    return [
        table("public.hot", ["id", "a", "b"], key=["id"]),
        table("public.toasted", ["tenant", "id", "body"], key=["tenant", "id"], toasted=["body"]),
        table("public.unique", ["id", "email"], key=["id"], unique=[["email"]]),
        table("public.full", ["id", "a"], key=["id"], identity=ReplicaIdentity.FULL),
        audit(),
    ]


def _one_table() -> list[Table]:
    return [table("public.hot", ["id", "a", "b"], key=["id"]), audit()]


async def _hot(world: World, application: Application) -> None:
    """Writers over few and many keys; keys that change, swap places or are taken again at once;
    a TRUNCATE now and then."""
    others = [public(name) for name in ("toasted", "unique", "full")]

    async def writer(keys: tuple[bytes, ...]) -> None:
        for _ in range(8):
            steps = [mixed(application, HOT, keys) for _ in range(5)]
            steps.append(mixed(application, application.chance.choice(others), keys))
            await application.transaction(*steps, _swap(application))
            await application.pause(1.2)

    async def rows() -> None:
        """Enough at once to be divided."""
        for number in range(3):
            made = [
                insert(HOT, (b"%d-%02d" % (number, i), application.value(), b"x"))
                for i in range(15)
            ]
            await application.transaction(*made, commit=True)
            await application.pause(4.0)

    async def clearing() -> None:
        for _ in range(2):
            await application.pause(7.0)
            await application.transaction(truncate(HOT), commit=True)

    await asyncio.gather(writer(KEYS), writer(MANY_KEYS), rows(), clearing())


def _swap(application: Application) -> Step:
    """Two rows take each other's keys, by way of a third."""

    def step(server: ServerTransaction) -> None:
        rows = list(server.scan(HOT))
        if len(rows) < 2 or application.chance.random() < 0.5:
            return
        one, other = application.chance.sample(rows, 2)
        for row, key in (one, b"aside"), (other, one.row[0]):
            server.update(HOT, row, (key, *row.row[1:]))
        aside = server.find(HOT, (0,), (b"aside",))
        assert aside is not None
        server.update(HOT, aside, (other.row[0], *aside.row[1:]))

    return step


async def _moved_while_loading(world: World, application: Application) -> None:
    """The first process dies in the load, and rows move before the second goes on with it: of a
    move one chunk has seen its half, another not. Then bulk that fills all buckets."""
    number = count()

    async def move(times: int) -> None:
        for _ in range(times):
            made = [insert(HOT, (b"n%04d" % next(number), b"n", b"x")) for _ in range(4)]
            moves = [_rekeyed(application) for _ in range(4)]
            await application.transaction(*made[:2], *moves, *made[2:], commit=True)

    await _die_when_loaded_by_half(world)
    await move(6)
    for _ in range(3):
        await application.pause(1.0)
        await move(2)


async def _loaded_again(world: World, application: Application) -> None:
    """The table is copied again while rows of it move, and the process dies in the second copy."""

    async def writer() -> None:
        for _ in range(24):
            steps = [_rekeyed(application), mixed(application, HOT, KEYS)]
            await application.transaction(*steps, mixed(application, HOT, MANY_KEYS))
            await application.pause(1.0)

    async def reloading() -> None:
        await request_reload(world, HOT)
        await application.pause(4.0)
        await request_reload(world, HOT)
        while world.states().get(HOT) is not TableState.LOADING:
            await asyncio.sleep(0.001)
        await _die_when_loaded_by_half(world)

    await asyncio.gather(writer(), writer(), reloading())


async def _die_when_loaded_by_half(world: World) -> None:
    while len([c for c in chunks(world) if c.snapshot]) < HALF or not world.current.process.alive:
        await asyncio.sleep(0.001)
    world.crash(world.current)


def _rekeyed(application: Application) -> Step:
    """A row takes a new key, in the range of any chunk."""

    def step(server: ServerTransaction) -> None:
        rows = list(server.scan(HOT))
        key = b"%s-%02d" % (application.chance.choice(MANY_KEYS), application.chance.randrange(100))
        if rows and server.find(HOT, (0,), (key,)) is None:
            row = application.chance.choice(rows)
            server.update(HOT, row, (key, *row.row[1:]))

    return step


def _by_key(scenario: Scenario) -> Scenario:
    return replace(scenario, name=f"keys-{scenario.name}", mode=ApplyMode.KEY_PARALLEL)


_HOT: Final = Scenario("hot", _tables, _hot, rows=40)

_STOPPED: Final = replace(_HOT, stops=3, crashed=1)
"""The process that is crashed at every step is the second: it moves the positions of every table
from one layout to the other."""

_ALSO_BY_KEY: Final = ("evolve", "alter-load", "refuse")

KEYED: Final = (
    *(
        _by_key(scenario)
        for scenario in (
            _HOT,
            replace(_HOT, name="cut", events_per_block=7, batch_rows_max=9),
            replace(_HOT, name="rewind", acknowledge_delay_seconds=20.0, target_losses=3),
            replace(_STOPPED, name="left", then=ApplyMode.TABLE_PARALLEL),
            *[s for s in (*EVOLVING, *ALTERING, *REFUSALS) if s.name in _ALSO_BY_KEY],
        )
    ),
    replace(_STOPPED, name="keys-entered", then=ApplyMode.KEY_PARALLEL),
    _by_key(Scenario("load", _one_table, _moved_while_loading, rows=60, crashed=1)),
    _by_key(Scenario("reload", _one_table, _loaded_again, rows=60, crashed=1)),
)
