"""Stories in which the target refuses rows for a while, in the load or in the stream: stopped
tables, what waits, full disks."""

import asyncio
from dataclasses import replace
from typing import Final

from connectors.memory.definitions import References, table
from connectors.memory.storage import Table
from connectors.memory.transaction import ServerTransaction
from engine.config.replication import OnRowError
from engine.model.state import TableState
from tests.simulation.application import Application, Step, mixed
from tests.simulation.comparing import ViolationError
from tests.simulation.lull import until_streaming
from tests.simulation.person import look_after
from tests.simulation.scenario import KEYS, Scenario, audit, public
from tests.simulation.world import World

STRICT: Final = public("strict")

SPELLS: Final = 3
"""How often the target is strict for a while."""

SMALL_DISK_BYTES: Final = 1_500

DISK_FAULTS: Final = ("disk_full", "disk_damaged")


def _tables() -> list[Table]:
    return [
        table("public.strict", ["id", "a", "b"], key=["id"]),
        table("public.plain", ["id", "a"], key=["id"]),
        audit(),
    ]


def _tied_tables() -> list[Table]:
    return [
        table("public.parents", ["id", "a"], key=["id"]),
        table(
            "public.strict",
            ["id", "parent", "b"],
            key=["id"],
            references=[References(("parent",), "public.parents", deferrable=True)],
        ),
        audit(),
    ]


async def _refuse(world: World, application: Application) -> None:
    """Writers, while the target takes no NULL in one table for a while."""
    names = [t.relation.table for t in world.source.tables.values()]
    names = [name for name in names if name.name != "audit"]

    async def writer() -> None:
        for _ in range(20):
            chosen = [application.chance.choice(names) for _ in range(4)]
            await application.transaction(*[mixed(application, n, KEYS) for n in chosen])
            await application.pause(2.5)

    async def offender() -> None:
        for _ in range(25):
            await application.transaction(_toggle(application), commit=True)
            await application.pause(2.5)

    async def strictness() -> None:
        for _ in range(SPELLS):
            await application.pause(6.0)
            await _streaming(world)
            _be_strict(world, strict=True)
            await asyncio.sleep(4.0)
            await application.pause(8.0)
            _be_strict(world, strict=False)

    await asyncio.gather(writer(), writer(), offender(), strictness())


def _toggle(application: Application) -> Step:
    """Give a row of the strict table a NULL, or a value in place of it."""

    def step(server: ServerTransaction) -> None:
        rows = list(server.scan(STRICT))
        if rows:
            version = application.chance.choice(rows)
            last = None if version.row[-1] is not None else application.value()
            server.update(STRICT, version, (*version.row[:-1], last))

    return step


def _strict_target() -> list[Table]:
    return [table("public.strict", ["id", "a", "b"], key=["id"], required=["b"])]


def _tied_to_strict_tables() -> list[Table]:
    child = table(
        "public.children",
        ["id", "parent"],
        key=["id"],
        references=[References(("parent",), "public.strict", deferrable=True)],
    )
    return [*_tables(), child]


async def _write(world: World, application: Application) -> None:
    """Writers all the while, from before the load. The target is strict until somebody mends it."""
    names = [t.relation.table for t in world.source.tables.values()]
    names = [name for name in names if name.name not in ("audit", "children")]
    tied = public("children") in world.source.tables

    async def writer() -> None:
        for _ in range(20):
            chosen = [application.chance.choice(names) for _ in range(3)]
            steps = [mixed(application, n, KEYS) for n in chosen]
            await application.transaction(*steps, *([_child(application)] if tied else []))
            await application.pause(2.5)

    await asyncio.gather(writer(), writer())
    _be_strict(world, strict=False)


def _child(application: Application) -> Step:
    def step(server: ServerTransaction) -> None:
        parents = list(server.scan(STRICT))
        if parents:
            parent = application.chance.choice(parents).row[0]
            number = b"%06d" % application.chance.randint(0, 10**6)
            server.insert(public("children"), (number, parent))

    return step


def _no_key_leads_out_of_the_stream(world: World) -> None:
    """No foreign key of a table that streams leads to one that was set aside."""
    states = world.states()
    for name, there in world.target.tables.items():
        for key in there.foreign_keys:
            streams = states.get(name) is TableState.STREAMING
            if streams and states.get(key.parent) is TableState.NEEDS_RELOAD:
                raise ViolationError(f"{name} refers to {key.parent}, which is not whole")


async def _streaming(world: World) -> None:
    """A row refused in the load is another story, below."""
    await until_streaming(world, STRICT)


async def _mend_and_load(world: World, over: asyncio.Event) -> None:
    """What the guide says about a table that needs a reload: mend the cause first."""
    await look_after(world, over, before=lambda: _be_strict(world, strict=False))


def _be_strict(world: World, *, strict: bool) -> None:
    """What is there already is let be."""
    there = world.target.tables.get(STRICT)
    if there is None:
        return
    last = there.relation.columns[-1]
    columns = (*there.relation.columns[:-1], replace(last, nullable=not strict))
    there.relation = replace(there.relation, columns=columns)


def _nothing_lost_by_one_process(world: World) -> None:
    """Nothing that waited is lost while a process and its disk live, whatever happens to links."""
    if len(world.clients) > 1 or not world.decider.met.keys().isdisjoint(DISK_FAULTS):
        return
    for record in world.records():
        if record.state is TableState.NEEDS_RELOAD:
            raise ViolationError(f"{record.table} lost what waited: {record.reason}")


REFUSALS: Final = (
    Scenario(
        "refuse",
        _tables,
        _refuse,
        mend_interval_seconds=3.0,
        refuses=True,
        helper=_mend_and_load,
        extra_check=_nothing_lost_by_one_process,
    ),
    Scenario(
        "refuse-tied",
        _tied_tables,
        _refuse,
        mend_interval_seconds=3.0,
        refuses=True,
        helper=_mend_and_load,
        extra_check=_nothing_lost_by_one_process,
    ),
    Scenario(
        "refuse-full-disk",
        _tables,
        _refuse,
        mend_interval_seconds=3.0,
        refuses=True,
        helper=_mend_and_load,
        disk_bytes_max=SMALL_DISK_BYTES,
    ),
    Scenario(
        "quarantine",
        _tables,
        _refuse,
        refuses=True,
        on_row_error=OnRowError.QUARANTINE,
    ),
    Scenario(
        "refuse-load",
        _tables,
        _write,
        rows=10,
        null_every=4,
        target_tables=_strict_target,
        refuses=True,
        helper=_mend_and_load,
    ),
    Scenario(
        "refuse-load-tied",
        _tied_to_strict_tables,
        _write,
        rows=10,
        null_every=4,
        target_tables=_strict_target,
        refuses=True,
        helper=_mend_and_load,
        extra_check=_no_key_leads_out_of_the_stream,
    ),
    Scenario(
        "quarantine-load",
        _tables,
        _write,
        rows=10,
        null_every=4,
        target_tables=_strict_target,
        refuses=True,
        on_row_error=OnRowError.QUARANTINE,
    ),
)
