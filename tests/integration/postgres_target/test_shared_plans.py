"""What one session has read of a table serves the others, and misleads none of them."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from connectors._sql import shared_plans
from connectors.postgres.session import PostgresSession
from engine.errors import RowRejectedError, SchemaMismatchError, TargetBusyError
from engine.model.batch import Run
from engine.model.change import INSERT, SchemaChanged, SchemaStep
from engine.model.relation import Column, ColumnType, Format, Relation
from tests.integration.postgres_target.conftest import Rig
from tests.integration.readings import Readings

pytestmark = pytest.mark.in_turn


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    return Readings(monkeypatch, PostgresSession)


@pytest.fixture
async def other(rig: Rig) -> AsyncIterator[PostgresSession]:
    async with rig.target.session() as session:
        yield session


async def known(rig: Rig) -> Relation:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    return await rig.relation()


def insert(rig: Rig, relation: Relation, key: int, *more: str) -> Run:
    values = ", ".join([str(key), "'x'", *more])
    return Run(INSERT, relation, rig.wire(f"SELECT {values}"))


async def write(session: PostgresSession, run: Run) -> None:
    async with session.begin() as transaction:
        await transaction.write([run])
        await transaction.commit()


async def test_a_table_is_described_once_for_all_sessions(
    rig: Rig, other: PostgresSession, readings: Readings
) -> None:
    relation = await known(rig)
    await write(rig.session, insert(rig, relation, 1))
    await write(other, insert(rig, relation, 2))
    assert readings.of == [rig.session]
    assert rig.rows() == [(1, "x"), (2, "x")]


async def test_a_new_version_of_a_relation_is_described_anew(
    rig: Rig, other: PostgresSession, readings: Readings
) -> None:
    relation = await known(rig)
    await write(rig.session, insert(rig, relation, 1))
    await write(other, insert(rig, replace(relation), 2))
    assert readings.of == [rig.session, other]


async def test_what_is_old_is_read_again(
    rig: Rig, other: PostgresSession, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = shared_plans.SharedPlans.find
    monkeypatch.setattr(shared_plans.SharedPlans, "find", lambda *args: find(*args, seconds=0.0))
    relation = await known(rig)
    await write(rig.session, insert(rig, relation, 1))
    await write(other, insert(rig, relation, 2))
    assert readings.of == [rig.session, other]


@pytest.mark.parametrize(
    "alteration", ["ALTER TABLE t ADD e int", "DROP TABLE t; CREATE TABLE t (id int, v text)"]
)
async def test_a_session_that_was_told_of_a_table_that_was_altered_since_reads_it_again(
    rig: Rig, other: PostgresSession, readings: Readings, alteration: str
) -> None:
    """It has committed nothing yet, and still does not take the refusal for the row's."""
    relation = await known(rig)
    await write(rig.session, insert(rig, relation, 1))
    rig.execute(alteration)
    with pytest.raises(TargetBusyError):
        await write(other, insert(rig, relation, 2))
    await write(other, insert(rig, relation, 2))
    assert readings.of == [rig.session, other]
    with pytest.raises(TargetBusyError):
        await write(rig.session, insert(rig, relation, 3))
    await write(rig.session, insert(rig, relation, 3))
    assert readings.of == [rig.session, other, rig.session]


@pytest.mark.parametrize("number", [1, 500])
async def test_a_table_that_another_was_put_in_the_place_of_is_read_again(
    rig: Rig, other: PostgresSession, number: int
) -> None:
    """The one that was read is as it was, under another name."""
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE n (id int, v real)")
    relation = await rig.relation()
    for session in (rig.session, other):
        row = f"SELECT {id(session) % 1000000}, 7"
        await write(session, Run(INSERT, relation, rig.wire(row)))
    rig.execute("ALTER TABLE t RENAME TO old; ALTER TABLE n RENAME TO t")
    run = Run(INSERT, relation, rig.wire(f"SELECT n, 7 FROM generate_series(1, {number}) n"))
    for session in (rig.session, other):
        with pytest.raises(TargetBusyError):
            await write(session, run)
        assert rig.execute("SELECT count(*) FROM t") == [(0,)]


async def test_a_column_renamed_behind_a_shared_plan_is_named_once_it_is_read(
    rig: Rig, other: PostgresSession
) -> None:
    relation = await known(rig)
    await write(rig.session, insert(rig, relation, 1))
    rig.execute("ALTER TABLE t RENAME v TO w")
    with pytest.raises(TargetBusyError):
        await write(other, insert(rig, relation, 2))
    with pytest.raises(SchemaMismatchError, match="no column v"):
        await write(other, insert(rig, relation, 2))


async def test_a_row_that_is_refused_is_refused_whoever_read_the_table(
    rig: Rig, other: PostgresSession, readings: Readings
) -> None:
    relation = await known(rig)
    await write(rig.session, insert(rig, relation, 1))
    with pytest.raises(RowRejectedError):
        await write(other, insert(rig, relation, 1))
    assert readings.of == [rig.session]


async def test_what_the_target_itself_alters_is_read_again(
    rig: Rig, other: PostgresSession, readings: Readings
) -> None:
    relation = await known(rig)
    await write(rig.session, insert(rig, relation, 1))
    await rig.target.finish([])
    await write(other, insert(rig, relation, 2))
    assert readings.of == [rig.session, other]


# --- schema changes -------------------------------------------------------------------------------


def added(relation: Relation) -> SchemaChanged:
    column = Column("c", ColumnType("integer", 23), Format.BINARY)
    after = replace(relation, columns=(*relation.columns, column))
    step = SchemaStep("add-column", "c", type="integer")
    return SchemaChanged(relation.table, relation, after, exact=True, steps=(step,))


async def test_what_is_read_of_an_alteration_is_not_told_before_it_is_committed(
    rig: Rig, other: PostgresSession, readings: Readings
) -> None:
    relation = await known(rig)
    change = added(relation)
    assert change.after is not None
    async with rig.session.begin() as transaction:
        await transaction.evolve(change)
        await transaction.write([insert(rig, change.after, 1, "5")])
        with pytest.raises(SchemaMismatchError, match="no column c"):
            await write(other, insert(rig, change.after, 2, "5"))
        await transaction.rollback()
    readings.of.clear()
    await write(other, insert(rig, relation, 3))
    await write(rig.session, insert(rig, relation, 4))
    assert readings.of == [other, rig.session]
    assert rig.rows() == [(3, "x"), (4, "x")]


async def test_an_alteration_that_is_committed_is_known_to_who_was_told_of_the_table_before(
    rig: Rig, other: PostgresSession, readings: Readings
) -> None:
    relation = await known(rig)
    change = added(relation)
    assert change.after is not None
    await write(rig.session, insert(rig, relation, 1))
    async with rig.session.begin() as transaction:
        await transaction.evolve(change)
        # somebody who looks now sees the table as it was
        assert await other.table_now(relation.table) is not None
        await transaction.write([insert(rig, change.after, 2, "5")])
        await transaction.commit()
    await write(other, insert(rig, change.after, 3, "6"))
    assert rig.rows() == [(1, "x", None), (2, "x", 5), (3, "x", 6)]


async def test_what_was_read_while_another_altered_a_table_is_not_told_after_it(
    rig: Rig, other: PostgresSession, readings: Readings
) -> None:
    """Nothing waits to read a table's description: it is that of before, until the commit."""
    relation = await known(rig)
    async with rig.session.begin() as transaction:
        await transaction.evolve(added(relation))
        await other.statements(relation)
        await transaction.commit()
    readings.of.clear()
    async with rig.target.session() as third:
        await write(third, insert(rig, relation, 1))
        assert readings.of == [third]
    assert rig.rows() == [(1, "x", None)]
