"""Ten thousand endpoints and as many replications: no page and no look-up walks them all."""

import re
from collections.abc import Sequence
from typing import Final

import pytest

from engine.control.store import sql
from engine.control.store.contract import Store
from engine.control.store.records import EventFilter, Where
from engine.control.store.sql import Statement
from engine.control.store.sqlite import SqliteStore
from engine.control.store.transaction import Transaction
from tests.integration.store.conftest import NEWEST, MakeStore

RECORDS: Final = 10_000

DOCUMENT: Final = '{"EngineName":"postgres","pad":"' + "x" * 1500 + '"}'

PAGES: Final[dict[str, tuple[Where, str]]] = {
    "first": ({}, ""),
    "next": ({}, "name15000"),
    "half": ({"type": ["source"]}, "name15000"),
    "few": ({"engine": ["engine77"]}, ""),
    "few of half": ({"engine": ["engine77"], "type": ["source"]}, ""),
    "some engines": ({"engine": ["engine77", "engine78", "engine79"]}, "name15000"),
    "one id": ({"id": ["id10123"]}, ""),
    "ids": ({"id": [f"id{number}" for number in range(10_000, 10_050)]}, ""),
    "names": ({"name": ["name10001", "name10002"], "type": ["target"]}, ""),
}

STATEMENTS: Final[dict[str, Statement]] = {
    "get": (sql.GET, ("endpoint", "id10007")),
    "named": (sql.NAMED, ("endpoint", "name10007")),
    "facts": sql.facts("replication", "id10007", "table/", "table/1", 100),
    "tags": sql.tags("endpoint", [f"id{number}" for number in range(10_000, 10_010)]),
    "fields of one": (sql.DELETE_FIELDS, ("endpoint", "id10007")),
    "last hour": sql.events(EventFilter(since=19_990.0, source_type="replication"), 0, 100),
    "of one": sql.events(EventFilter(source_type="replication", source_id="name10007"), 0, 100),
    "next events": sql.events(EventFilter(), 15_000, 100),
    "failures": sql.events(EventFilter(categories=["failure"]), 15_000, 100),
    "failures of replications": sql.events(
        EventFilter(source_type="replication", categories=["failure", "creation"], since=11_000.0),
        0,
        100,
    ),
}


KINDS: Final = "(SELECT 'endpoint' AS kind UNION ALL SELECT 'replication')"

NUMBERS: Final = (
    "WITH RECURSIVE n(i) AS (SELECT 10000 UNION ALL SELECT i + 1 FROM n"
    f" WHERE i + 1 < 10000 + {RECORDS})"
)

TYPE: Final = "CASE i % 2 WHEN 0 THEN 'source' ELSE 'target' END"

FILL: Final = (
    f"SELECT kind, 'id' || i, 'name' || i, '{DOCUMENT}', '{{}}', 1, 0.0, 0.0 FROM {KINDS} k, n",
    f"SELECT kind, 'type', {TYPE}, 'name' || i, 'id' || i FROM {KINDS} k, n",
    f"SELECT kind, 'engine', 'engine' || (i % 100), 'name' || i, 'id' || i FROM {KINDS} k, n",
    "SELECT i, i, 'replication', 'name' || i, 'changed', '{}', '[]' FROM n",
    "SELECT i, CASE i % 100 WHEN 0 THEN 'failure' ELSE 'state change' END FROM n",
    f"SELECT kind, 'id10007', 'table/' || i, '{{}}' FROM {KINDS} k, n",
    f"SELECT kind, 'id' || i, 'team', 'a' FROM {KINDS} k, n",
)
"""What `insert` and its like would store, one record at a time."""

TABLES: Final = ("record", "field", "field", "event", "event_category", "fact", "tag")


async def fill(writing: Transaction) -> None:
    for table, rows in zip(TABLES, FILL, strict=True):
        await writing._change(f"INSERT INTO {table} {NUMBERS} {rows}", ())


async def plan_of(store: Store, statement: Statement) -> str:
    text, values = statement
    explain = "EXPLAIN QUERY PLAN" if isinstance(store, SqliteStore) else "EXPLAIN"
    async with store.write() as writing:
        assert isinstance(writing, Transaction)
        return "\n".join(str(row[-1]) for row in await writing._rows(f"{explain} {text}", values))


async def walked(store: Store, statement: Statement) -> Sequence[str]:
    """The plan, if the statement reads a table from end to end."""
    plan = await plan_of(store, statement)
    return re.findall(r"SCAN (?!p\b|.*USING INDEX)(\w+)|Seq Scan on (\w+)", plan) and [plan]


pytestmark = pytest.mark.parametrize("make_store", ["sqlite", NEWEST], indirect=True)


@pytest.fixture
async def filled(make_store: MakeStore) -> Store:
    """The statistics are fresh after housekeeping, as they are in a daemon that has run a week."""
    store = make_store()
    async with store:
        async with store.write() as writing:
            assert isinstance(writing, Transaction)
            await fill(writing)
        await store.tend()
    return store


async def test_an_index_serves_every_page_and_every_look_up(filled: Store) -> None:
    async with filled as store:
        for where, after in PAGES.values():
            assert await walked(store, sql.find("endpoint", where, after, 100)) == []
        for statement in STATEMENTS.values():
            assert await walked(store, statement) == []
        by_category = await plan_of(store, STATEMENTS["failures of replications"])
        assert re.search(r"SEARCH c USING|event_category_pkey", by_category)
        by_id = await plan_of(store, sql.find("endpoint", PAGES["ids"][0], "", 100))
        assert re.search(r"m USING.*id=\?|id = ANY", by_id)
        async with store.read() as reading:
            half = await reading.find("endpoint", {"type": ["source"]}, after="name15000", limit=3)
            assert [record.name for record in half] == ["name15002", "name15004", "name15006"]
            assert await reading.count("replication", {"engine": ["engine77"]}) == RECORDS // 100


async def test_without_statistics_too(make_store: MakeStore) -> None:
    """Until its first housekeeping SQLite plans by what it knows of the indexes alone."""
    store = make_store()
    if not isinstance(store, SqliteStore):
        pytest.skip("a server looks at the size of a table when it plans: empty ones are walked")
    async with store:
        for where, after in PAGES.values():
            assert await walked(store, sql.find("endpoint", where, after, 100)) == []
        for statement in STATEMENTS.values():
            assert await walked(store, statement) == []
