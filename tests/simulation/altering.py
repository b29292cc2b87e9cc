"""Stories in which tables change their columns while they are loaded, for the first time or again.

A statement is a SchemaChanged in the log, as an event trigger tells it. One makes a transaction
together with rows of the table, or several do without rows. The application does not wait for loads
to end, so in most runs chunks of one load are read before and after a change.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from string import ascii_lowercase
from typing import Final, TypeAlias

from connectors.memory.definitions import table
from connectors.memory.evolution import evolve
from connectors.memory.locks import WouldBlockError
from connectors.memory.storage import Table, Version
from connectors.memory.transaction import ServerTransaction
from engine.config.replication import ApplyMode
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import ReplicaIdentity, TableName
from engine.model.state import TableState
from engine.plan import schema
from tests.simulation.application import Application, mixed
from tests.simulation.person import look_after, request_reload
from tests.simulation.scenario import Scenario, audit, public
from tests.simulation.world import World

WIDER: Final = {
    "integer": "bigint",
    "character varying(5)": "character varying(9)",
    "character varying(9)": "text",
}
"""What a column's type may become without a value becoming another."""

NEW_FILE: Final = frozenset({"bigint"})
"""Types that PostgreSQL writes every row anew for."""

TYPES: Final = ("bytes", "integer", "character varying(5)")

NAMES: Final = ascii_lowercase[:7]
"""Few, so that a name is soon another column's."""

KEYS: Final = tuple(b"%03d" % i for i in range(0, 60, 2))

Statements: TypeAlias = Iterator[SchemaStep]


# --- what the application alters ------------------------------------------------------------------


class Altering:
    """ALTER TABLE by chance. `computes`: also changes that no target can follow."""

    def __init__(self, application: Application, *, computes: bool = False) -> None:
        self._application = application
        self._chance = application.chance
        kinds = [
            self._add, self._add, self._drop, self._rename, self._rename, self._swap,
            self._take_over, self._replace, self._widen, self._widen, self._new_file,
        ]  # fmt: skip
        self._kinds: Sequence[Callable[[Table], Statements]] = kinds + [self._compute] * computes

    async def alter(self, name: TableName) -> None:
        """A transaction of statements and changes of rows; again while a writer is in the way."""
        while not self._altered(name):
            await self._application.pause(0.1)

    def _altered(self, name: TableName) -> bool:
        database = self._application.database
        server = database.begin()
        try:
            server.lock_table(name)
            steps = list(self._chance.choice(self._kinds)(server.table(name)))
            for step in steps:
                run(server, name, step)
            for _ in range(self._chance.choice((0, 1, 3)) if len(steps) == 1 else 0):
                self._application.take(server, mixed(self._application, name, KEYS))
            database.commit(server)
        except WouldBlockError:
            return False
        finally:
            database.rollback(server)
        return True

    # the columns there are, and are not

    def _columns(self, there: Table) -> list[str]:
        """Those beside the key, in any order."""
        key = there.primary_key
        names = [c.name for i, c in enumerate(there.relation.columns) if i not in key]
        return self._chance.sample(names, len(names))

    def _free(self, there: Table) -> str:
        taken = {column.name for column in there.relation.columns}
        return self._chance.choice([name for name in NAMES if name not in taken])

    # statements

    def _add(self, there: Table) -> Statements:
        if len(there.relation.columns) < len(NAMES) - 1:
            yield self._added(self._free(there))

    def _added(self, name: str) -> SchemaStep:
        default = self._chance.choice(("", "given"))
        return SchemaStep(schema.ADD, name, type=self._chance.choice(TYPES), default=default)

    def _drop(self, there: Table) -> Statements:
        if len(there.relation.columns) > 2:
            yield SchemaStep(schema.DROP, self._columns(there)[0])

    def _rename(self, there: Table) -> Statements:
        name = self._chance.choice(there.relation.columns).name
        yield SchemaStep(schema.RENAME, name, new_name=self._free(there))

    def _swap(self, there: Table) -> Statements:
        """Two columns take each other's names."""
        one, *others = self._columns(there)
        if others:
            yield SchemaStep(schema.RENAME, one, new_name="aside")
            yield SchemaStep(schema.RENAME, others[0], new_name=one)
            yield SchemaStep(schema.RENAME, "aside", new_name=others[0])

    def _take_over(self, there: Table) -> Statements:
        """A column goes, another takes its name, and a new one that one's."""
        one, *others = self._columns(there)
        if others:
            yield SchemaStep(schema.DROP, one)
            yield SchemaStep(schema.RENAME, others[0], new_name=one)
            yield self._added(others[0])

    def _replace(self, there: Table) -> Statements:
        """A column goes, and comes again as another one of the same name and type."""
        column = self._chance.choice(there.relation.columns[1:])
        if column.name in self._columns(there):
            yield SchemaStep(schema.DROP, column.name)
            yield replace(self._added(column.name), type=column.type.name)

    def _widen(self, there: Table) -> Statements:
        widened = [c for c in there.relation.columns if c.type.name in WIDER]
        if widened:
            column = self._chance.choice(widened)
            yield SchemaStep(schema.RETYPE, column.name, type=WIDER[column.type.name])

    def _new_file(self, there: Table) -> Statements:
        """VACUUM FULL: the same rows, and snapshots of before show none of them."""
        yield SchemaStep("vacuum")

    def _compute(self, there: Table) -> Statements:
        """ALTER TABLE ... TYPE ... USING."""
        yield SchemaStep(schema.REWRITE, self._columns(there)[0], default="computed")


def run(server: ServerTransaction, name: TableName, step: SchemaStep) -> None:
    """One statement."""
    if step.kind == "vacuum":
        server.rewrite(name)
        return
    there = server.table(name)
    change = SchemaChanged(name, there.relation, None, exact=True, steps=(step,))
    altered = _computed(there, step) if step.kind == schema.REWRITE else evolve(there, change)
    server.replace_table(name, altered, replace(change, after=altered.relation))
    if step.kind == schema.REWRITE or (step.kind == schema.RETYPE and step.type in NEW_FILE):
        server.rewrite(name)


def _computed(there: Table, step: SchemaStep) -> Table:
    """Every row with the same new value in a column; the description stays."""
    place = [column.name for column in there.relation.columns].index(step.column)

    def after(version: Version) -> Version:
        row = list(version.row)
        row[place] = step.default.encode()
        made = Version(version.number, tuple(row), version.made)
        made.ended = version.ended
        return made

    versions = {number: after(version) for number, version in there.versions.items()}
    return there.altered(versions=versions)


# --- stories --------------------------------------------------------------------------------------

ALTERED: Final = public("altered")
FULL: Final = public("full")
PLAIN: Final = public("plain")


def _tables() -> list[Table]:
    columns = ["id", "a", "b", "c"]
    typed = (
        SchemaStep(schema.RETYPE, "a", type="integer"),
        SchemaStep(schema.RETYPE, "b", type="character varying(5)"),
    )
    altered = table("public.altered", columns, key=["id"], toasted=["c"])
    full = table("public.full", columns[:3], identity=ReplicaIdentity.FULL)
    return [
        *(
            evolve(t, SchemaChanged(t.relation.table, None, None, True, typed))
            for t in (altered, full)
        ),
        table("public.plain", ["id", "a"], key=["id"]),
        audit(),
    ]


def _one_table() -> list[Table]:
    return [_tables()[0], audit()]


async def _write(application: Application, names: Sequence[TableName], times: int) -> None:
    for _ in range(times):
        chosen = [application.chance.choice(names) for _ in range(3)]
        await application.transaction(*[mixed(application, n, KEYS) for n in chosen])
        await application.pause(0.8)


async def _altered_while_loaded(world: World, application: Application) -> None:
    """Two writers, and somebody who alters, from before the slot on."""
    names = [name for name in (ALTERED, FULL, PLAIN) if name in world.source.tables]
    altering = Altering(application)

    async def alter() -> None:
        for seconds_max in (0.5,) * 5 + (3.0,) * 5:
            await application.pause(seconds_max)
            await altering.alter(application.chance.choice(names[:2]))

    await asyncio.gather(_write(application, names, 15), _write(application, names, 15), alter())


async def _altered_while_loaded_again(world: World, application: Application) -> None:
    """The same around loads that somebody asks for, and one that no target can follow."""
    names = [ALTERED, FULL]
    altering = Altering(application, computes=True)

    async def reloading() -> None:
        for _ in range(2):
            await application.pause(4.0)
            await request_reload(world, ALTERED)
            while world.states().get(ALTERED) is TableState.STREAMING:
                await asyncio.sleep(0.01)
            await altering.alter(ALTERED)

    async def alter() -> None:
        for _ in range(8):
            await application.pause(3.0)
            await altering.alter(application.chance.choice(names))

    await asyncio.gather(
        _write(application, names, 15), _write(application, names, 15), reloading(), alter()
    )


ALTERING: Final = (
    Scenario("alter-load", _tables, _altered_while_loaded, rows=30),
    Scenario(
        "alter-load-transactional",
        _tables,
        _altered_while_loaded,
        rows=30,
        mode=ApplyMode.TRANSACTIONAL,
    ),
    Scenario("alter-reload", _tables, _altered_while_loaded_again, rows=30, helper=look_after),
)
