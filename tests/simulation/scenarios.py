"""Stories over the whole engine. Each says what the source holds and what happens to it."""

import asyncio
from typing import Final

from connectors.memory.definitions import References, table
from connectors.memory.storage import Table
from connectors.memory.transaction import ServerTransaction
from engine.config.replication import ApplyMode
from engine.model.relation import ReplicaIdentity
from tests.simulation.altering import ALTERING
from tests.simulation.application import Application, insert, mixed, remove, truncate
from tests.simulation.cascading import CASCADING
from tests.simulation.comparing import ViolationError
from tests.simulation.evolving import EVOLVING
from tests.simulation.keyed import KEYED
from tests.simulation.person import request_reload
from tests.simulation.refusals import REFUSALS
from tests.simulation.scenario import KEYS, Scenario, audit, public
from tests.simulation.stuck import STICKING
from tests.simulation.world import World

LONG: Final = b"long" * 30


# --- inserts --------------------------------------------------------------------------------------


def _insert_tables() -> list[Table]:
    return [table("public.events", ["id", "value"], key=["id"]), audit()]


async def _insert(world: World, application: Application) -> None:
    """Two writers that only append."""

    async def writer(name: bytes) -> None:
        for number in range(12):
            rows = [
                insert(public("events"), (b"%b%03d-%d" % (name, number, i), application.value()))
                for i in range(application.chance.randint(1, 4))
            ]
            await application.transaction(*rows)
            await application.pause(1.2)

    await asyncio.gather(writer(b"a"), writer(b"b"))


# --- mixed ----------------------------------------------------------------------------------------


def _mixed_tables() -> list[Table]:
    return [
        table("public.plain", ["id", "a", "b"], key=["id"]),
        table("public.toasted", ["id", "body", "note"], key=["id"], toasted=["body"]),
        table("public.full", ["id", "a"], key=["id"], identity=ReplicaIdentity.FULL),
        table("public.keyless", ["id", "a"], identity=ReplicaIdentity.FULL),
        audit(),
    ]


async def _mix(world: World, application: Application) -> None:
    """Three writers over all tables and few keys."""
    names = [public(n) for n in ("plain", "toasted", "full", "keyless")]

    async def writer() -> None:
        for _ in range(12):
            chosen = [application.chance.choice(names) for _ in range(4)]
            await application.transaction(*[mixed(application, n, KEYS) for n in chosen])
            await application.pause(1.2)

    await asyncio.gather(writer(), writer(), writer())


# --- large ----------------------------------------------------------------------------------------


async def _large(world: World, application: Application) -> None:
    """Transactions over many blocks and batches, empty ones between, others beside."""
    events = public("events")

    async def large(name: bytes, size: int) -> None:
        rows = [insert(events, (b"%b%04d" % (name, i), LONG)) for i in range(size)]
        gone = [remove(events, (b"%b%04d" % (name, i),)) for i in range(0, size, 3)]
        await application.transaction(*rows, *gone, commit=True)

    async def small() -> None:
        for number in range(10):
            application.database.commit(application.database.begin())
            await application.transaction(insert(events, (b"small%03d" % number, b"x")))
            await application.pause(1.5)

    await large(b"first", 30)
    await asyncio.gather(large(b"a", 60), large(b"b", 25), small())


# --- load -----------------------------------------------------------------------------------------


def _load_tables() -> list[Table]:
    return [
        table("public.plain", ["id", "a", "b"], key=["id"]),
        table("public.toasted", ["id", "body", "note"], key=["id"], toasted=["body"]),
        table("public.keyless", ["id", "a"], identity=ReplicaIdentity.FULL),
        audit(),
    ]


async def _load(world: World, application: Application) -> None:
    """Rows there before, and writers that move them all the while."""
    keys = tuple(b"%03d" % i for i in range(0, 60, 2))
    names = [public(n) for n in ("plain", "toasted", "keyless")]

    async def writer() -> None:
        for _ in range(20):
            chosen = [application.chance.choice(names) for _ in range(3)]
            await application.transaction(*[mixed(application, n, keys) for n in chosen])
            await application.pause(0.8)

    await asyncio.gather(writer(), writer())


async def _load_cleared(world: World, application: Application) -> None:
    """The same, with tables that are emptied meanwhile, and transactions without a change."""
    names = [public(n) for n in ("plain", "toasted", "keyless")]

    async def clearing() -> None:
        for _ in range(4):
            await application.pause(4.0)
            await application.transaction(truncate(*application.chance.sample(names, 2)))
            application.database.commit(application.database.begin())

    await asyncio.gather(_load(world, application), clearing())


# --- reload ---------------------------------------------------------------------------------------


def _tied_tables() -> list[Table]:
    return [
        table("public.parents", ["id", "a"], key=["id"]),
        table(
            "public.children",
            ["id", "parent"],
            key=["id"],
            references=[References(("parent",), "public.parents")],
        ),
        table("public.plain", ["id", "a", "b"], key=["id"]),
        audit(),
    ]


async def _reload(world: World, application: Application) -> None:
    """Parents and children, truncates, and a table that is copied again in between."""
    parents, children, plain = public("parents"), public("children"), public("plain")

    def child(server: ServerTransaction) -> None:
        rows = list(server.scan(parents))
        if rows:
            parent = application.chance.choice(rows).row[0]
            number = b"%06d" % application.chance.randint(0, 10**6)
            server.insert(children, (number, parent))

    def orphaned(server: ServerTransaction) -> None:
        rows = list(server.scan(children))
        if rows:
            server.delete(children, application.chance.choice(rows))

    async def writer() -> None:
        for _ in range(15):
            steps = [mixed(application, parents, KEYS), child, child, orphaned]
            steps += [mixed(application, plain, KEYS) for _ in range(2)]
            await application.transaction(*steps)
            await application.pause(1.5)

    async def clearing() -> None:
        for _ in range(2):
            await application.pause(9.0)
            await application.transaction(truncate(plain), commit=True)
            await application.pause(9.0)
            await application.transaction(truncate(parents, children), commit=True)

    async def reloading() -> None:
        await application.pause(12.0)
        await request_reload(world, application.chance.choice([plain, parents, children]))

    await asyncio.gather(writer(), writer(), clearing(), reloading())


# --- bank -----------------------------------------------------------------------------------------

ACCOUNTS: Final = 6
BALANCE: Final = 100


def _bank_tables() -> list[Table]:
    return [
        table("public.accounts", ["id", "balance"], key=["id"]),
        table("public.savings", ["id", "balance"], key=["id"]),
        audit(),
    ]


async def _bank(world: World, application: Application) -> None:
    """Money moves between rows of two tables; none is made or lost in any state ever seen."""
    tables = [public("accounts"), public("savings")]
    open_all = [
        insert(name, (b"%d" % i, b"%d" % BALANCE)) for name in tables for i in range(ACCOUNTS)
    ]
    await application.transaction(*open_all, commit=True)

    def transfer(server: ServerTransaction) -> None:
        amount = application.chance.randint(1, 9)
        for change in (-amount, amount):
            name = application.chance.choice(tables)
            key = (b"%d" % application.chance.randrange(ACCOUNTS),)
            version = server.find(name, (0,), key)
            assert version is not None
            balance = version.row[1]
            assert isinstance(balance, bytes)
            server.update(name, version, (key[0], b"%d" % (int(balance) + change)))

    async def teller() -> None:
        for _ in range(15):
            await application.transaction(transfer, transfer)
            await application.pause(1.2)

    await asyncio.gather(teller(), teller())


def _sum_is_kept(world: World) -> None:
    tables = [public("accounts"), public("savings")]
    rows = [row for name in tables for row in world.target.visible_rows(name)]
    total = sum(int(row[1]) for row in rows if isinstance(row[1], bytes))
    if rows and world.handed_over.issuperset(tables) and total != 2 * ACCOUNTS * BALANCE:
        raise ViolationError(f"the target's sum is {total}")


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario("insert", _insert_tables, _insert),
        Scenario("mixed", _mixed_tables, _mix),
        Scenario("large", _insert_tables, _large, events_per_block=5, batch_rows_max=7),
        Scenario(
            "large-transactional",
            _insert_tables,
            _large,
            mode=ApplyMode.TRANSACTIONAL,
            events_per_block=5,
            batch_rows_max=7,
        ),
        Scenario("load", _load_tables, _load, rows=40),
        Scenario("load-cleared", _load_tables, _load_cleared, rows=40),
        Scenario("reload", _tied_tables, _reload, rows=10),
        Scenario(
            "reload-transactional", _tied_tables, _reload, rows=10, mode=ApplyMode.TRANSACTIONAL
        ),
        Scenario(
            "bank",
            _bank_tables,
            _bank,
            mode=ApplyMode.TRANSACTIONAL,
            extra_check=_sum_is_kept,
        ),
        Scenario("zombie", _mixed_tables, _mix, zombies=2),
        Scenario("rewind", _mixed_tables, _mix, acknowledge_delay_seconds=20.0, target_losses=3),
        *REFUSALS,
        *EVOLVING,
        *ALTERING,
        *STICKING,
        *KEYED,
        *CASCADING,
    )
}
