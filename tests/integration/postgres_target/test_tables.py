"""TRUNCATE, schema changes, and loading whole chunks."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Literal

import asyncpg
import pytest

from connectors.postgres.target import PostgresTarget
from engine.errors import RowRejectedError, SchemaMismatchError, SnapshotLostError, TargetError
from engine.model.batch import Run
from engine.model.change import INSERT, UPDATE, SchemaChanged, SchemaStep, Truncate
from engine.model.relation import Relation, TableName
from tests.integration.postgres_target.conftest import Rig, config

pytestmark = pytest.mark.in_turn

T = TableName("public", "t")


async def truncate(rig: Rig, *names: str, cascade: bool = False, restart: bool = False) -> None:
    relations = tuple([await rig.relation(name) for name in names])
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.truncate(Truncate(relations, cascade, restart))
        await transaction.commit()
    rig.seq += 1


async def evolve(rig: Rig, *steps: SchemaStep, after: Relation | None = None) -> None:
    before = await rig.relation()
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.evolve(SchemaChanged(before.table, before, after, True, steps))
        await transaction.commit()
    rig.seq += 1


async def test_a_session_changes_a_table_as_another_session_has_left_it(
    target: PostgresTarget, rig: Rig
) -> None:
    """Steps of one lane are applied by whichever applier is free."""
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    rows = rig.wire("SELECT 1")
    await rig.apply(Run(INSERT, await rig.relation(), rows))
    async with target.session() as other:
        with_other = replace(rig, session=other)
        await evolve(with_other, SchemaStep("add-column", "a", type="int", default="1"))
        await evolve(with_other, SchemaStep("add-column", "b", type="int", default="2"))
    rig.seq = with_other.seq
    await evolve(rig, SchemaStep("rename-column", "b", new_name="c"))
    dropping = PostgresTarget(config(rig.database.dsn, drop_columns=True))
    async with dropping.session() as first, dropping.session() as second:
        runs = Run(UPDATE, await rig.relation(), rig.wire("SELECT 1, 1, 3"), (0, 1, 2))
        await replace(rig, session=first).apply(runs)
        rig.seq += 1
        await evolve(replace(rig, session=second), SchemaStep("add-column", "d", type="int"))
        rig.seq += 1
        await evolve(replace(rig, session=first), SchemaStep("drop-column", "d"))
    assert rig.rows() == [(1, 1, 3)]


# --- truncate -------------------------------------------------------------------------------------


@pytest.fixture
def family(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE t (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY);"
        "CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t);"
        "INSERT INTO t DEFAULT VALUES; INSERT INTO child VALUES (1, 1)"
    )


@pytest.mark.usefixtures("family")
async def test_tables_that_refer_to_each_other_are_emptied_by_one_statement(rig: Rig) -> None:
    await truncate(rig, "t", "child", restart=True)
    rig.execute("INSERT INTO t DEFAULT VALUES")
    assert rig.rows() == [(1,)]
    assert rig.rows("SELECT * FROM child") == []


@pytest.mark.usefixtures("family")
async def test_a_referenced_table_alone_is_refused_without_cascade(rig: Rig) -> None:
    with pytest.raises(TargetError):
        await truncate(rig, "t")
    await truncate(rig, "t", cascade=True)
    assert rig.rows("SELECT count(*) FROM child") == [(0,)]
    rig.execute("INSERT INTO t DEFAULT VALUES")
    assert rig.rows() == [(2,)]


async def test_a_partitioned_table_is_emptied_and_children_by_inheritance_are_not(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE part PARTITION OF t DEFAULT; INSERT INTO t VALUES (1);"
        "CREATE TABLE parent (id int); CREATE TABLE heir () INHERITS (parent);"
        "INSERT INTO parent VALUES (1); INSERT INTO heir VALUES (1)"
    )
    await truncate(rig, "t", "parent")
    assert rig.rows("SELECT count(*) FROM t") == [(0,)]
    assert rig.rows("SELECT count(*) FROM parent") == [(1,)]


async def test_truncating_a_table_the_target_lacks_is_an_error(rig: Rig) -> None:
    rig.execute("CREATE TABLE t ()")
    relation = await rig.relation()
    rig.execute("DROP TABLE t")
    async with rig.session.begin([rig.fence]) as transaction:
        with pytest.raises(SchemaMismatchError, match="no such table to empty"):
            await transaction.truncate(Truncate((relation,)))


async def test_truncate_stays_between_the_rows_before_and_after(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    relation = await rig.relation()
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.write([Run(INSERT, relation, rig.wire("SELECT 1"))])
        await transaction.truncate(Truncate((relation,)))
        await transaction.write([Run(INSERT, relation, rig.wire("SELECT 2"))])
        await transaction.commit()
    assert rig.rows() == [(2,)]


# --- schema changes -------------------------------------------------------------------------------


@pytest.fixture
def columns(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b varchar(5))")
    rig.execute("INSERT INTO t VALUES (1, 1, 'x')")


@pytest.mark.usefixtures("columns")
async def test_steps_are_applied_in_order_and_rows_go_on(rig: Rig) -> None:
    old = await rig.relation()
    await rig.apply(Run(UPDATE, old, rig.wire("SELECT 1, 2, 'y'"), (0, 1, 2)))
    await evolve(
        rig,
        SchemaStep("add-column", "c", type="text", default="'it''s'"),
        SchemaStep("rename-column", "b", new_name="B 2"),
        SchemaStep("drop-column", "a"),
        SchemaStep("rename-table", new_name="T 2"),
    )
    assert rig.rows('SELECT * FROM "T 2"') == [(1, 2, "y", "it's")]
    rig.execute('CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, "B 2" varchar(5), c text)')
    new = await rig.relation("T 2", like="s.t")
    await rig.apply(Run(INSERT, new, rig.wire("SELECT 2, 'z', 'n'")))
    assert rig.rows('SELECT * FROM "T 2" WHERE id = 2') == [(2, None, "z", "n")]


@pytest.mark.usefixtures("columns")
async def test_another_session_sees_the_new_table_for_a_new_relation(rig: Rig) -> None:
    async with rig.target.session() as other:
        assert await other.table(T) is not None
        await evolve(rig, SchemaStep("add-column", "c", type="text"))
        relation = await rig.relation()
        async with other.begin() as transaction:
            await transaction.write([Run(INSERT, relation, rig.wire("SELECT 2, 2, 'b', 'c'"))])
            await transaction.commit()
    assert len(rig.rows()) == 2


@pytest.mark.usefixtures("columns")
async def test_rows_after_a_change_in_the_same_transaction(rig: Rig) -> None:
    before = await rig.relation()
    rig.execute(
        "CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, a int, b varchar(5), c int)"
    )
    after = await rig.relation("t", like="s.t")
    step = SchemaStep("add-column", "c", type="integer")
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.write([Run(INSERT, before, rig.wire("SELECT 2, 2, 'b'"))])
        await transaction.evolve(SchemaChanged(T, before, after, True, (step,)))
        await transaction.write([Run(INSERT, after, rig.wire("SELECT 3, 3, 'c', 3"))])
        await transaction.commit()
    assert rig.rows("SELECT id, c FROM t ORDER BY id") == [(1, None), (2, None), (3, 3)]


@pytest.mark.usefixtures("columns")
async def test_columns_are_dropped_only_when_told(rig: Rig, target_dsn: str) -> None:
    target = PostgresTarget(config(target_dsn, drop_columns=True))
    before = await rig.relation()
    change = SchemaChanged(T, before, None, True, (SchemaStep("drop-column", "a"),))
    async with target.session() as session, session.begin() as transaction:
        await transaction.evolve(change)
        await transaction.commit()
    await target.close()
    assert rig.rows() == [(1, "x")]


@pytest.mark.usefixtures("columns")
async def test_a_wider_type_is_followed_and_a_narrower_one_is_not(rig: Rig) -> None:
    rig.execute("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, a bigint, b varchar(3))")
    after = await rig.relation("t", like="s.t")
    await evolve(rig, SchemaStep("retype-column", "a", type="bigint"), after=after)
    with pytest.raises(SchemaMismatchError, match="without loss"):
        await evolve(rig, SchemaStep("retype-column", "b", type="varchar(3)"), after=after)
    types = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attnum > 0 AND"
    assert rig.rows(f"{types} attrelid = 't'::regclass ORDER BY attnum") == [
        ("integer",), ("bigint",), ("character varying(5)",),
    ]  # fmt: skip


@pytest.mark.usefixtures("columns")
async def test_a_rewrite_cannot_be_followed(rig: Rig) -> None:
    with pytest.raises(SchemaMismatchError, match="kind rewrite"):
        await evolve(rig, SchemaStep("rewrite"))
    assert rig.lane().seq == 0


# --- load -----------------------------------------------------------------------------------------


async def pieces(data: Sequence[bytes], failure: Exception | None = None) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece
    if failure is not None:
        raise failure


async def copied(rig: Rig, query: str, form: Literal["binary", "text"]) -> list[bytes]:
    """A query's COPY data in pieces that end anywhere."""
    data = bytearray()
    connection = await asyncpg.connect(rig.database.dsn)

    async def keep(piece: bytes) -> None:
        data.extend(piece)

    await connection.copy_from_query(query, output=keep, format=form)
    await connection.close()
    return [bytes(data[i : i + 1000]) for i in range(0, len(data), 1000)]


@pytest.fixture
def loaded(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text,"
        " twice int GENERATED ALWAYS AS (id * 2) STORED)"
    )


QUERY = "SELECT g::int, repeat('é\\', g % 7) FROM generate_series(1, 2000) g"


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("form", ["binary", "text"])
async def test_a_chunk_goes_straight_through(rig: Rig, form: Literal["binary", "text"]) -> None:
    relation = await rig.relation()
    data = await copied(rig, QUERY, form)
    async with rig.session.begin([rig.fence]) as transaction:
        written = await transaction.load(relation, f"postgres-{form}", pieces(data))
        await transaction.commit()
    assert (written.rows, written.bytes) == (2000, sum(map(len, data)))
    assert rig.rows("SELECT id, v FROM t ORDER BY id") == rig.rows(QUERY)


@pytest.mark.usefixtures("loaded")
async def test_a_source_that_fails_ends_the_chunk_and_leaves_the_session_usable(rig: Rig) -> None:
    relation = await rig.relation()
    data = await copied(rig, QUERY, "binary")
    lost = SnapshotLostError("gone")
    with pytest.raises(SnapshotLostError):
        async with rig.session.begin([rig.fence]) as transaction:
            await transaction.load(relation, "postgres-binary", pieces(data[:3], lost))
    assert not rig.session.broken
    assert rig.rows() == []
    await rig.apply(Run(INSERT, relation, rig.wire("SELECT 1, 'x'")))
    assert len(rig.rows()) == 1


@pytest.mark.usefixtures("loaded")
async def test_a_chunk_with_a_bad_row_is_refused(rig: Rig) -> None:
    relation = await rig.relation()
    async with rig.session.begin([rig.fence]) as transaction:
        with pytest.raises(RowRejectedError) as caught:
            await transaction.load(relation, "postgres-text", pieces([b"1\tx\n", b"secret\ty\n"]))
    assert caught.value.sqlstate == "22P02"
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("loaded")
async def test_a_large_chunk_needs_no_large_memory(rig: Rig) -> None:
    relation = await rig.relation()
    line = b"\t" + b"x" * 1_000_000 + b"\n"
    data = pieces([str(n).encode() + line for n in range(1, 31)])
    async with rig.session.begin() as transaction:
        written = await transaction.load(relation, "postgres-text", data)
        await transaction.commit()
    assert written.rows == 30
    assert rig.rows("SELECT sum(length(v)) FROM t") == [(30_000_000,)]
