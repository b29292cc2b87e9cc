"""What the target's server does for our sessions, and which of its tables lack an index."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from engine.model.activity import Activity
from engine.model.relation import Relation
from tests.integration.postgres_target.conftest import Rig

pytestmark = pytest.mark.in_turn

KEYS = {
    "keyed": "id int PRIMARY KEY, v text",
    "found": "id int, v text",
    "elsewhere": "id int, v text UNIQUE",
    "bare": "id int, v text",
    "partly": "id int, v text",
}


async def _until(rig: Rig, seen: Callable[[Activity], bool]) -> Activity:
    async with asyncio.timeout(20):
        while not seen(activity := await rig.target.activity([rig.session.identity])):
            await asyncio.sleep(0.02)
    return activity


async def _keyed(rig: Rig, names: Sequence[str]) -> list[Relation]:
    """Tables as a source with a primary key describes them."""
    keyed = await rig.relation("keyed")
    return [
        Relation(number, "public", name, keyed.columns, key=(0,))
        for number, name in enumerate(names, 1)
    ]


async def test_a_session_that_waits_for_us_is_none_that_the_server_works_for(rig: Rig) -> None:
    assert await rig.target.activity([rig.session.identity]) == Activity(working=0)
    await rig.session.run("BEGIN")
    assert await rig.target.activity([rig.session.identity]) == Activity(working=0)


async def test_what_a_session_stands_still_for_is_told(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(rig.session.run("SELECT pg_sleep(1)"))
        assert await _until(rig, lambda a: a.sleeping == 1) == Activity(working=1, sleeping=1)
    async with rig.target.session() as other:
        await other.run("BEGIN;LOCK TABLE public.t")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(rig.session.run("SELECT * FROM public.t"))
            assert await _until(rig, lambda a: a.locked == 1) == Activity(working=1, locked=1)
            await other.run("ROLLBACK")


async def test_another_s_session_does_not_count(rig: Rig) -> None:
    async with rig.target.session() as other, asyncio.TaskGroup() as tasks:
        tasks.create_task(other.run("SELECT pg_sleep(0.3)"))
        async with asyncio.timeout(20):
            while not (await rig.target.activity([other.identity])).working:
                await asyncio.sleep(0.01)
        assert await rig.target.activity([rig.session.identity]) == Activity(working=0)


async def test_tables_without_an_index_that_leads_to_a_key_are_named(rig: Rig) -> None:
    for name, columns in KEYS.items():
        rig.execute(f"CREATE TABLE {name} ({columns})")
    rig.execute("CREATE INDEX ON found (id, v)")
    rig.execute("CREATE INDEX ON partly (id) WHERE id > 5")
    relations = await _keyed(rig, [*KEYS, "absent"])
    found = await rig.target.unindexed(relations)
    assert [table.name for table in found] == ["bare", "elsewhere", "partly"]


async def test_where_there_is_no_key_any_index_may_lead_to_a_row(rig: Rig) -> None:
    rig.execute("CREATE TABLE keyed (id int PRIMARY KEY, v text)")
    rig.execute("CREATE TABLE elsewhere (id int, v text UNIQUE)")
    rig.execute('CREATE TABLE "odd ""name" (id int, v text)')
    keyed = await rig.relation("keyed")
    relations = [
        Relation(number, "public", name, keyed.columns, key=())
        for number, name in enumerate(["elsewhere", 'odd "name'])
    ]
    assert [t.name for t in await rig.target.unindexed(relations)] == ['odd "name']
