"""What one session has read of a table serves the others, and misleads none of them."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from connectors.mysql import session as sessions
from connectors.mysql.session import MysqlSession
from engine.errors import RowRejectedError, SchemaMismatchError, TargetBusyError
from engine.model.batch import Run
from engine.model.change import INSERT, SchemaChanged, SchemaStep
from engine.model.relation import Column, ColumnType, Format, Relation
from tests.integration.mysql_target.conftest import Rig, rows
from tests.integration.readings import Readings


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    return Readings(monkeypatch, MysqlSession)


@pytest.fixture
async def other(rig: Rig) -> AsyncIterator[MysqlSession]:
    async with rig.target.session() as session:
        yield session


async def known(rig: Rig) -> Relation:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, v varchar(10))")
    return await rig.relation()


async def write(session: MysqlSession, relation: Relation, *values: str) -> None:
    async with session.begin() as transaction:
        await transaction.write([Run(INSERT, relation, rows(values))])
        await transaction.commit()


def keys(rig: Rig) -> list[tuple[int]]:
    return rig.execute("SELECT id FROM t ORDER BY id")


async def test_a_table_is_described_once_for_all_sessions(
    rig: Rig, other: MysqlSession, readings: Readings
) -> None:
    relation = await known(rig)
    readings.of.clear()
    await write(rig.session, relation, "1", "x")
    await write(other, relation, "2", "x")
    assert readings.of == [rig.session]
    await write(other, replace(relation), "3", "x")
    assert readings.of == [rig.session, other]
    assert keys(rig) == [(1,), (2,), (3,)]


async def test_one_look_at_a_table_that_is_known_for_long_is_enough_for_all(
    rig: Rig, other: MysqlSession, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    relation = await known(rig)
    await write(rig.session, relation, "1", "x")
    await write(other, relation, "2", "x")
    before = await other.statements(relation)
    readings.of.clear()
    monkeypatch.setattr(sessions, "LOOK_SECONDS", 0.0)
    await rig.session.statements(relation)
    monkeypatch.undo()
    assert await other.statements(relation) is before


@pytest.mark.parametrize("alteration", ["DROP v", "RENAME COLUMN v TO w"])
async def test_a_session_that_was_told_of_a_table_that_was_altered_since_reads_it_again(
    rig: Rig, other: MysqlSession, alteration: str
) -> None:
    """It has committed nothing yet, and still does not take the refusal for the rows'."""
    relation = await known(rig)
    await write(rig.session, relation, "1", "x")
    rig.execute(f"ALTER TABLE t {alteration}")
    with pytest.raises(TargetBusyError):
        await write(other, relation, "2", "x")
    with pytest.raises(SchemaMismatchError, match="no column v"):
        await write(other, relation, "2", "x")


async def test_a_row_that_is_refused_is_refused_whoever_read_the_table(
    rig: Rig, other: MysqlSession, readings: Readings
) -> None:
    relation = await known(rig)
    readings.of.clear()
    await write(rig.session, relation, "1", "x")
    with pytest.raises(RowRejectedError):
        await write(other, relation, "1", "x")
    assert readings.of == [rig.session]


async def test_a_table_that_a_change_altered_is_read_again(rig: Rig, other: MysqlSession) -> None:
    relation = await known(rig)
    column = Column("c", ColumnType("int"), Format.TEXT)
    after = replace(relation, columns=(*relation.columns, column))
    step = SchemaStep("add-column", "c", type="int")
    change = SchemaChanged(relation.table, relation, after, exact=True, steps=(step,))
    await write(other, relation, "1", "x")
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.evolve(change)
        await transaction.write([Run(INSERT, after, rows(("2", "x", "5")))])
        await transaction.commit()
    rig.seq += 1
    await write(other, after, "3", "x", "6")
    assert rig.execute("SELECT id, c FROM t ORDER BY id") == [(1, None), (2, 5), (3, 6)]


async def test_what_the_target_itself_alters_is_read_again(
    rig: Rig, other: MysqlSession, readings: Readings
) -> None:
    relation = await known(rig)
    await write(rig.session, relation, "1", "x")
    await rig.target.finish([])
    readings.of.clear()
    await write(other, relation, "2", "x")
    assert readings.of == [other]
