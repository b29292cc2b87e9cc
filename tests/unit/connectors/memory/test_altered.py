"""The memory source when a table was altered between a snapshot and the reading of a chunk."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from connectors.memory import rows
from connectors.memory.database import MemoryDatabase
from connectors.memory.definitions import table
from connectors.memory.evolution import evolve
from connectors.memory.source import MemorySource
from engine.errors import SnapshotLostError
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.chunk import Chunk
from engine.model.relation import Relation, TableName
from engine.model.value import Row

NAME = TableName("public", "t")

ADD = SchemaStep("add-column", "c", type="bytes", default="z")
DROP = SchemaStep("drop-column", "b")
SWAP = (
    SchemaStep("rename-column", "a", new_name="x"),
    SchemaStep("rename-column", "b", new_name="a"),
    SchemaStep("rename-column", "x", new_name="b"),
)


@pytest.fixture
def database() -> MemoryDatabase:
    made = MemoryDatabase()
    made.put_table(NAME, table("public.t", ["id", "a", "b"], key=["id"]))
    server = made.begin()
    server.insert(NAME, (b"1", b"x", b"y"))
    made.commit(server)
    return made


def alter(database: MemoryDatabase, *steps: SchemaStep) -> Relation:
    server = database.begin()
    for step in steps:
        there = server.table(NAME)
        change = SchemaChanged(NAME, there.relation, None, exact=True, steps=(step,))
        altered = evolve(there, change)
        server.replace_table(NAME, altered, replace(change, after=altered.relation))
    database.commit(server)
    return database.tables[NAME].relation


async def read_after(database: MemoryDatabase, *steps: SchemaStep) -> Sequence[Row]:
    """Rows by the description of a snapshot that is older than the steps."""
    source = MemorySource(database)
    await source.open()
    relation = database.tables[NAME].relation
    async with source.snapshot() as snapshot:
        alter(database, *steps)
        apart = rows.MemoryRows(len(relation.columns))
        data = source.rows(Chunk(relation, 0), snapshot, rows.FORM)
        return [apart.values(row) async for buffer in data for row in apart.feed(buffer)]


def test_a_number_is_given_once(database: MemoryDatabase) -> None:
    again = SchemaStep("add-column", "b", type="bytes")
    altered = alter(database, ADD, DROP, SchemaStep("drop-column", "c"), again)
    assert [(c.name, c.number) for c in altered.columns] == [("id", 1), ("a", 2), ("b", 5)]


async def test_a_column_that_came_since_is_not_read(database: MemoryDatabase) -> None:
    assert await read_after(database, ADD) == [(b"1", b"x", b"y")]


@pytest.mark.parametrize(
    "steps",
    [(DROP,), SWAP[:1], SWAP, (DROP, SchemaStep("add-column", "b", type="bytes"))],
    ids=["dropped", "renamed", "swapped", "replaced"],
)
async def test_a_name_that_means_another_column_now_is_refused(
    database: MemoryDatabase, steps: Sequence[SchemaStep]
) -> None:
    with pytest.raises(SnapshotLostError) as raised:
        await read_after(database, *steps)
    assert raised.value.context["table"] == NAME


@pytest.mark.parametrize("emptied", [True, False])
async def test_a_table_with_a_new_file_is_refused_by_older_snapshots(
    database: MemoryDatabase, *, emptied: bool
) -> None:
    source = MemorySource(database)
    await source.open()
    chunk = Chunk(database.tables[NAME].relation, 0)
    async with source.snapshot() as snapshot:
        for ends in (database.rollback, database.commit):
            server = database.begin()
            if emptied:
                server.truncate([NAME])
            else:
                server.rewrite(NAME)
            ends(server)
            data = source.rows(chunk, snapshot, rows.FORM)
            if ends == database.commit:
                with pytest.raises(SnapshotLostError):
                    await anext(data)
            else:
                assert await anext(data)


async def test_a_description_younger_than_the_snapshot_is_refused(database: MemoryDatabase) -> None:
    source = MemorySource(database)
    await source.open()
    async with source.snapshot() as snapshot:
        younger = alter(database, ADD)
        with pytest.raises(SnapshotLostError):
            await anext(source.rows(Chunk(younger, 0), snapshot, rows.FORM))
