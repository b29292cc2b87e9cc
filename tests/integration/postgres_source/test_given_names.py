"""A slot and publications that the user made and named: used as they are, never altered."""

import asyncio
from contextlib import aclosing

import pytest

from engine.errors import SourceError
from tests.integration.postgres_source.conftest import (
    PATIENCE_SECONDS,
    Client,
    Connect,
    exhaust,
    name,
)
from tests.servers.postgres import Database

THEIRS = {"publication": "Their Own", "slot": "their_slot", "capture_ddl": False}
MADE = """
SELECT pubname::text FROM pg_publication UNION ALL
SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database() ORDER BY 1
"""


def make(database: Database, publication: str = 'FOR TABLE t, "Odd"') -> None:
    database.execute(
        'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE "Odd" (id int PRIMARY KEY);'
        "CREATE TABLE other (id int PRIMARY KEY)"
    )
    database.execute(f'CREATE PUBLICATION "Their Own" {publication}')
    database.execute("SELECT pg_create_logical_replication_slot('their_slot', 'pgoutput')")


def drop(database: Database) -> None:
    database.execute("SELECT pg_drop_replication_slot('their_slot')")


async def test_they_are_used_and_left_as_they_were(
    source_database: Database, connect: Connect
) -> None:
    make(source_database)
    client = await connect(source_database, **THEIRS)
    await client.attach("t", "Odd")
    source_database.execute('INSERT INTO t VALUES (1); INSERT INTO "Odd" VALUES (2)')
    assert len(await client.rows()) == 2
    assert source_database.execute(MADE) == [("Their Own",), ("their_slot",)]
    await client.source.detach()
    assert source_database.execute(MADE) == [("Their Own",), ("their_slot",)]
    note = "SELECT obj_description(oid, 'pg_publication') FROM pg_publication"
    assert source_database.execute(note) == [(None,)]
    drop(source_database)


async def test_a_slot_of_a_given_name_is_made_and_never_dropped(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    client = await connect(source_database, slot="their_slot", capture_ddl=False)
    assert (await client.source.attach([name("t")], [])).created
    await client.source.detach()
    assert source_database.execute(MADE) == [("their_slot",)]
    drop(source_database)


async def test_a_given_slot_named_like_our_publication_does_not_make_that_theirs(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    ours = f"penstock_{source_database.name}"
    client = await connect(source_database, slot=ours, capture_ddl=False)
    await client.attach("t")
    await client.source.detach()
    assert source_database.execute(MADE) == [(ours,)]
    source_database.execute("SELECT pg_drop_replication_slot(%s)", ours)


async def refusal(client: Client, *tables: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await client.attach(*tables)
    return caught.value


async def test_a_given_slot_without_a_publication_is_told_the_order(
    source_database: Database, connect: Connect
) -> None:
    make(source_database)
    client = await connect(source_database, slot="their_slot", capture_ddl=False)
    assert "make it, then the slot, and name both" in (await refusal(client, "t")).hint
    drop(source_database)


async def test_a_publication_that_lacks_a_table_names_the_statement_that_works(
    source_database: Database, connect: Connect
) -> None:
    make(source_database)
    client = await connect(source_database, **THEIRS)
    error = await refusal(client, "t", "Odd", "other")
    assert "does not hold public.other" in error.message
    source_database.execute(error.hint)
    await client.attach("t", "Odd", "other")
    drop(source_database)


@pytest.mark.parametrize("what", ["insert", "insert, update"])
async def test_a_publication_that_leaves_operations_out_names_the_statement_that_works(
    source_database: Database, connect: Connect, what: str
) -> None:
    make(source_database, f"FOR TABLE t WITH (publish = '{what}')")
    client = await connect(source_database, **THEIRS)
    error = await refusal(client, "t")
    assert "truncate" in error.message
    source_database.execute(error.hint)
    await client.attach("t")
    drop(source_database)


async def test_a_publication_of_everything_serves_and_other_tables_pass_by(
    source_database: Database, connect: Connect
) -> None:
    make(source_database, "FOR ALL TABLES")
    client = await connect(source_database, **THEIRS)
    await client.attach("t")
    source_database.execute("INSERT INTO t VALUES (1); INSERT INTO other VALUES (2)")
    assert {row.relation.name for row in await client.rows()} == {"t", "other"}
    drop(source_database)


async def test_partitions_must_be_published_by_their_root(
    source_database: Database, connect: Connect
) -> None:
    source_database.execute(
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)"
    )
    make(source_database, "FOR TABLE p")
    client = await connect(source_database, **THEIRS)
    error = await refusal(client, "p")
    assert "by their root" in error.message
    source_database.execute(error.hint)
    await client.attach("p")
    drop(source_database)


async def test_a_row_filter_or_column_list_is_refused(
    source_database: Database, connect: Connect
) -> None:
    if int(source_database.cluster.major) < 15:
        pytest.skip("PostgreSQL 15 brought them")
    make(source_database, 'FOR TABLE t WHERE (id > 5), "Odd" (id)')
    client = await connect(source_database, **THEIRS)
    error = await refusal(client, "t", "Odd")
    assert "row filter or column list on public.Odd, public.t" in error.message
    drop(source_database)


async def test_a_table_taken_out_under_the_stream_ends_it(
    source_database: Database, connect: Connect
) -> None:
    make(source_database)
    client = await connect(source_database, **THEIRS, heartbeat_write_seconds=0.2)
    start = await client.attach("t", "Odd")
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(client.source.blocks(start)) as blocks:
        await anext(blocks)
        source_database.execute("DROP TABLE t")  # which is no loss
        await anext(blocks)
        source_database.execute('ALTER PUBLICATION "Their Own" DROP TABLE "Odd"')
        with pytest.raises(SourceError, match=r"does not hold public\.Odd"):
            await exhaust(blocks)
    drop(source_database)
