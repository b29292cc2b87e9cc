"""The control schema and its primitives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connectors.postgres.control_schema import VERSION, VERSIONS
from connectors.postgres.target import PostgresTarget
from engine.errors import PenstockError, SchemaMismatchError, TargetBusyError
from engine.model.chunk import ChunkDone
from engine.model.relation import Column, ColumnType, Relation, TableName
from engine.model.state import LaneRow, Owner, RejectedRow, TableRecord, TableState
from engine.model.table import Definition, TableDefinition
from tests.integration.postgres_target.conftest import LANE, Rig, config
from tests.servers.postgres import Database

pytestmark = pytest.mark.in_turn

OWNER = Owner(3, "id", "print", "host:1", "now", ((7, "2026-01-01"), (8, 'odd "start"')))
ODD = TableName('sch"ema', "tab'le \\ é")


async def test_two_processes_may_prepare_at_once(target_database: Database) -> None:
    targets = [PostgresTarget(config(target_database.dsn)) for _ in range(4)]
    await asyncio.gather(*(target.prepare_control() for target in targets))
    assert target_database.execute("SELECT version FROM penstock.version") == [
        (version,) for version in range(1, VERSION + 1)
    ]
    for target in targets:
        await target.close()


async def test_a_reload_that_the_first_version_noted_as_a_state_stays_asked_for(
    target_database: Database,
) -> None:
    target_database.execute(";".join(VERSIONS[0]))
    target_database.execute(
        "INSERT INTO penstock.version (version) VALUES (1);"
        "INSERT INTO penstock.table_state (replication, schema_name, table_name, state, position,"
        " reason, relation) VALUES ('r', 's', 'asked', 'needs-reload', '', 'requested', ''),"
        " ('r', 's', 'other', 'needs-reload', '', 'refused', '')"
    )
    target = PostgresTarget(config(target_database.dsn))
    await target.prepare_control()
    async with target.session() as session, session.begin() as transaction:
        requested = {r.table.name: r.requested for r in await transaction.tables()}
    assert requested == {"asked": True, "other": False}


async def test_a_newer_control_schema_is_refused(rig: Rig) -> None:
    rig.execute(f"INSERT INTO penstock.version (version) VALUES ({VERSION + 1})")
    with pytest.raises(SchemaMismatchError, match="newer Penstock"):
        await rig.target.prepare_control()


async def test_what_is_saved_is_read_back(rig: Rig) -> None:
    record = TableRecord(ODD, TableState.SUSPENDED, "0/1", "it's \\ broken", '{"a": 1}')
    chunk = ChunkDone(ODD, 2, "key", ('1"2', "\\"), None, "10:20:11", "0/2", 5)
    async with rig.session.begin() as transaction:
        assert await transaction.lock_owner() is None
        await transaction.save_owner(OWNER)
        await transaction.save_table(record)
        await transaction.save_chunk(chunk)
        await transaction.reject(RejectedRow(ODD, "l", "0/1", "insert", "x", "23505", "m", "{}"))
        await transaction.commit()
    async with rig.session.begin() as transaction:
        assert await transaction.lock_owner() == await transaction.peek_owner() == OWNER
        assert await transaction.tables() == [record]
        assert await transaction.chunks() == [chunk]
        assert await transaction.lanes() == {LANE: LaneRow(1, 0, "")}
        assert await transaction.raise_lanes(9) == {LANE: LaneRow(9, 0, "")}
        assert await transaction.glance() == (3, 0)
        await transaction.commit()
    assert rig.lane() == LaneRow(9, 0, "")


async def test_the_owner_is_locked_also_while_there_is_none(rig: Rig) -> None:
    async with rig.target.session() as other, rig.session.begin() as first:
        assert await first.lock_owner() is None
        async with other.begin() as second:
            with pytest.raises(TargetBusyError):
                await second.lock_owner()


async def test_a_glance_waits_for_nobody(rig: Rig) -> None:
    async with rig.target.session() as other, rig.session.begin() as first:
        await first.lock_owner()
        await first.raise_lanes(5)
        async with other.begin() as second:
            assert await second.glance() == (0, 0)


async def test_a_table_saved_without_its_relation_keeps_the_stored_one(rig: Rig) -> None:
    async with rig.session.begin() as transaction:
        await transaction.save_table(TableRecord(ODD, TableState.LOADING, relation="{}"))
        await transaction.save_table(TableRecord(ODD, TableState.STREAMING, "0/1"))
        assert await transaction.tables() == [
            TableRecord(ODD, TableState.STREAMING, "0/1", "", "{}")
        ]
        await transaction.rollback()
    async with rig.session.begin() as transaction:
        assert await transaction.tables() == []


async def test_removing_a_replication_leaves_no_row(rig: Rig) -> None:
    async with rig.session.begin() as transaction:
        await transaction.save_owner(OWNER)
        await transaction.save_table(TableRecord(ODD, TableState.PENDING))
        await transaction.remove_replication()
        await transaction.commit()
    for table in ("owner", "checkpoint", "table_state", "chunk", "quarantine"):
        assert rig.execute(f"SELECT count(*) FROM penstock.{table}") == [(0,)]


async def test_a_session_is_ended_by_pid_and_start(rig: Rig) -> None:
    async with rig.target.session() as hanging:
        await rig.target.terminate([(hanging.identity[0], "another start")])
        await asyncio.sleep(0.1)
        assert not hanging.broken
        await rig.target.terminate([hanging.identity])
        await asyncio.sleep(0.1)
        assert hanging.broken


async def test_checkpoint_updates_stay_in_their_page(rig: Rig) -> None:
    for _ in range(200):
        await rig.apply()
    assert rig.lane().seq == 200
    size = rig.execute("SELECT pg_relation_size('penstock.checkpoint') / 8192")
    assert size[0][0] == 1


async def test_a_session_that_makes_indexes_is_announced_before_it_waits_for_anything(
    rig: Rig, target_database: Database
) -> None:
    """It waits for a lock here; whoever was told of it can end it."""
    told: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    @asynccontextmanager
    async def opened(identity: tuple[int, str]) -> AsyncIterator[None]:
        told.put_nowait(identity)
        yield

    rig.target.announce_to(opened)
    target_database.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
    table = TableName("public", "t")
    index = Definition("t_v", "CREATE INDEX t_v ON public.t (v)", ("v",))
    columns = (Column("id", ColumnType("integer", 23)), Column("v", ColumnType("integer", 23)))
    relation = Relation(1, table.schema, table.name, columns)
    definition = TableDefinition(relation, (), indexes=(index,), dialect="postgres")
    await rig.session.run("BEGIN; LOCK TABLE public.t")
    finishing = asyncio.create_task(rig.target.finish([definition]))
    async with asyncio.timeout(10):
        identity = await told.get()
    await rig.target.terminate([identity])
    with pytest.raises(PenstockError):
        await finishing
    await rig.session.run("ROLLBACK")
