"""What the target's server does for our sessions, and which of its tables lack an index."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from connectors.mysql.result import Result
from connectors.mysql.session import MysqlSession
from engine.abilities import Working
from engine.model.activity import Activity
from tests.integration.mysql_target.conftest import Rig

KEYS = {
    "keyed": "id int PRIMARY KEY, v varchar(20)",
    "found": "id int, v varchar(20), KEY (id, v)",
    "elsewhere": "id int, v varchar(20) UNIQUE",
    "bare": "id int, v varchar(20)",
}


async def _until(rig: Rig, seen: Callable[[Activity], bool]) -> Activity:
    async with asyncio.timeout(20):
        while not seen(activity := await rig.target.activity([rig.session.identity])):
            await asyncio.sleep(0.02)
    return activity


async def test_a_session_that_waits_for_us_is_none_that_the_server_works_for(rig: Rig) -> None:
    assert await rig.target.activity([rig.session.identity]) == Activity(working=0)


async def test_what_a_session_stands_still_for_is_told(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(rig.session.run(b"DO SLEEP(1)"))
        assert await _until(rig, lambda a: a.sleeping == 1) == Activity(working=1, sleeping=1)
    async with rig.target.session() as other:
        await other.run(f"LOCK TABLES {rig.database.name}.t WRITE".encode())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(rig.session.run(f"SELECT * FROM {rig.database.name}.t".encode()))
            assert await _until(rig, lambda a: a.locked == 1) == Activity(working=1, locked=1)
            await other.run(b"UNLOCK TABLES")


async def test_each_session_is_looked_at_in_one_question(rig: Rig) -> None:
    """One that only waits for us, and one whose number another session has by now, are none that
    the server is at work for."""
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    table = f"{rig.database.name}.t".encode()
    mine = rig.session.identity
    number, _ = mine
    async with rig.target.session() as other, asyncio.TaskGroup() as tasks:
        await other.run(b"LOCK TABLES " + table + b" WRITE")
        asked = [mine, (number, "of another"), other.identity]
        assert await rig.target.inspect(asked) == {}
        tasks.create_task(rig.session.run(b"SELECT * FROM " + table))
        async with asyncio.timeout(20):
            while not (found := await rig.target.inspect(asked)).get(mine, Working()).waits_for:
                await asyncio.sleep(0.02)
        assert list(found) == [mine]
        assert found[mine].waits_for.startswith("Waiting for table")
        await other.run(b"UNLOCK TABLES")


async def test_a_session_at_work_waits_for_no_lock(rig: Rig) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(rig.session.run(b"DO SLEEP(1)"))
        await _until(rig, lambda a: a.sleeping == 1)
        identity = rig.session.identity
        assert await rig.target.inspect([identity]) == {identity: Working()}


async def test_no_session_and_no_table_need_no_question(rig: Rig) -> None:
    assert await rig.target.activity([]) == Activity(working=0)
    assert await rig.target.inspect([]) == {}
    assert await rig.target.unindexed([]) == ()


async def test_as_many_sessions_as_there_may_be_take_one_round_trip(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[int] = []
    run = MysqlSession.run

    async def counted(session: MysqlSession, *statements: bytes, subject: str = "") -> list[Result]:
        questions.append(len(statements))
        return await run(session, *statements, subject=subject)

    sessions = [(10_000_000 + number, f"{number:032x}") for number in range(256)]
    await rig.target.inspect(sessions)  # opens its session
    monkeypatch.setattr(MysqlSession, "run", counted)
    assert await rig.target.inspect([*sessions, rig.session.identity]) == {}
    await rig.target.activity(sessions)
    assert len(questions) == 2


async def test_tables_without_an_index_that_leads_to_a_key_are_named(rig: Rig) -> None:
    for name, columns in KEYS.items():
        rig.execute(f"CREATE TABLE {name} ({columns})")
    keyed = await rig.relation("keyed")
    relations = [replace(keyed, name=name) for name in (*KEYS, "absent")]
    found = await rig.target.unindexed(relations)
    assert [table.name for table in found] == ["bare", "elsewhere"]
    by_values = [replace(relation, key=()) for relation in relations]
    assert [table.name for table in await rig.target.unindexed(by_values)] == ["bare"]
