"""Chunks cover every row once, and a key is found in the chunk that read its row."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import pytest

from connectors._interchange.chunk_lookup import ChunkLookup
from connectors.postgres.chunk_sql import rows_query
from connectors.postgres.chunks import CHUNKS_SCATTERED_MAX, cut
from connectors.postgres.load_connection import Connection
from engine.errors import SnapshotLostError
from engine.model.chunk import Chunk, ChunkDone
from engine.model.relation import Column, ColumnType, Relation
from tests.integration.postgres_load.conftest import Relations
from tests.integration.postgres_load.test_keyorder import sent
from tests.servers.postgres import Database

pytestmark = pytest.mark.in_turn

ROWS: Final = 20_000

PAD: Final = "repeat('x', 100)"

KEYED: Final = {
    "dense integers": ("k int8 PRIMARY KEY", "g"),
    "skewed integers": ("k int8 PRIMARY KEY", "(exp(g / 500.0))::int8 + g"),
    "random uuids": ("k uuid PRIMARY KEY", "md5(g::text)::uuid"),
    "text under C": ('k text COLLATE "C" PRIMARY KEY', "'key ''\\ ' || md5(g::text)"),
    "bytes": ("k bytea PRIMARY KEY", "decode(md5(g::text), 'hex')"),
    "dates": ("k date PRIMARY KEY", "'1000-01-01 BC'::date + g * 50"),
    "moments": ("k timestamptz PRIMARY KEY", "'1000-01-01 BC'::timestamptz + g * interval '1 d'"),
}


def fill(database: Database, columns: str, key: str, rows: int = ROWS) -> None:
    database.execute(f"CREATE TABLE t ({columns}, pad text)")
    database.execute(f"INSERT INTO t SELECT {key}, {PAD} FROM generate_series(1, {rows}) g")
    database.execute("ANALYZE t")


async def counted(
    source: Connection, chunks: Sequence[Chunk], partitioned: bool = False
) -> list[int]:
    """Rows of each chunk."""
    queries = [rows_query(chunk, partitioned=partitioned) for chunk in chunks]
    return [await source.fetchval(f"SELECT count(*) FROM ({query}) q") for query in queries]


async def assert_every_row_is_read_once(source: Connection, chunks: Sequence[Chunk]) -> None:
    queries = [rows_query(chunk, partitioned=False) for chunk in chunks]
    union = " UNION ALL ".join(f"SELECT k::text FROM ({query}) q" for query in queries)
    difference = await source.fetchval(
        f"SELECT count(*) FROM (({union}) EXCEPT ALL SELECT k::text FROM public.t) d"
    )
    assert difference == 0
    assert sum(await counted(source, chunks)) == await source.fetchval(
        "SELECT count(*) FROM public.t"
    )


@pytest.mark.parametrize("name", KEYED)
async def test_key_chunks_cover_every_row_once(
    source_database: Database, source: Connection, relations: Relations, name: str
) -> None:
    fill(source_database, *KEYED[name])
    relation = (await relations())["public.t"]
    chunks = await cut(source, relation, 2_000)
    assert {chunk.by for chunk in chunks} == {"key"}
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    await assert_every_row_is_read_once(source, chunks)
    sizes = await counted(source, chunks)
    assert len(sizes) >= 8
    assert max(sizes) < 5_000


@pytest.mark.parametrize("name", KEYED)
async def test_a_key_is_found_in_the_chunk_that_read_its_row(
    source_database: Database, source: Connection, relations: Relations, name: str
) -> None:
    fill(source_database, *KEYED[name], rows=3_000)
    relation = (await relations())["public.t"]
    chunks = await cut(source, relation, 300)
    done = [
        ChunkDone(relation.table, c.ordinal, c.by, c.low, c.high, "5:5:", "0/1", 0) for c in chunks
    ]
    lookup = ChunkLookup(done, relation)
    for chunk in chunks:
        query = rows_query(chunk, partitioned=False)
        for key in await sent(source, f"SELECT k FROM ({query}) q"):
            found = lookup.find((key,))
            assert found is not None
            assert found.ordinal == chunk.ordinal


async def test_a_key_of_several_columns_is_cut_even_when_the_first_has_few_values(
    source_database: Database, source: Connection, relations: Relations
) -> None:
    fill(source_database, "v int, k int, PRIMARY KEY (k, v)", "g, g % 3")
    relation = (await relations())["public.t"]
    assert [relation.columns[i].name for i in relation.key] == ["k", "v"]
    chunks = await cut(source, relation, 2_000)
    assert all(len(chunk.high or ("", "")) == 2 for chunk in chunks)
    assert max(await counted(source, chunks)) < 5_000
    await assert_every_row_is_read_once(source, chunks)


async def test_rows_that_come_later_lie_in_a_chunk_too(
    source_database: Database, source: Connection, relations: Relations
) -> None:
    fill(source_database, "k int8 PRIMARY KEY", "g")
    chunks = await cut(source, (await relations())["public.t"], 2_000)
    source_database.execute("INSERT INTO t VALUES (-9223372036854775808), (9223372036854775807)")
    await assert_every_row_is_read_once(source, chunks)


async def test_a_table_that_was_never_analyzed_is_cut_by_what_it_holds(
    source_database: Database, source: Connection, relations: Relations
) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY) WITH (autovacuum_enabled = false)")
    source_database.execute("INSERT INTO t SELECT generate_series(1, 20000)")
    chunks = await cut(source, (await relations())["public.t"], 2_000)
    # told by the size of its file, to which a busy server adds several pages at once
    assert 8 <= len(chunks) <= 20
    await assert_every_row_is_read_once(source, chunks)


NO_KEY_CHUNKS: Final = {
    "no key": ("k int", "g"),
    "numeric": ("k numeric PRIMARY KEY", "g"),
    "double precision": ("k float8 PRIMARY KEY", "g"),
    "another collation": ('k text COLLATE "und-x-icu" PRIMARY KEY', "g"),
    "padded text": ("k char(10) PRIMARY KEY", "g"),
    "citext": ("k citext PRIMARY KEY", "g"),
}


@pytest.mark.parametrize("name", NO_KEY_CHUNKS)
async def test_a_key_of_an_order_of_its_own_is_cut_by_pages(
    source_database: Database, source: Connection, relations: Relations, name: str
) -> None:
    columns, key = NO_KEY_CHUNKS[name]
    if not available(source_database, name):
        pytest.skip(f"this server has no {name}")
    fill(source_database, columns, f"({key})::text::{columns.split()[1]}")
    chunks = await cut(source, (await relations())["public.t"], 2_000)
    by = "whole" if source_database.cluster.major == "13" else "ctid"
    assert {chunk.by for chunk in chunks} == {by}
    await assert_every_row_is_read_once(source, chunks)


def available(database: Database, name: str) -> bool:
    if name == "citext":
        found = "SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"
        if not database.execute(found):
            return False
        database.execute("CREATE EXTENSION citext")
    if name == "another collation":
        return bool(database.execute("SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu'"))
    return True


async def test_a_scattered_key_is_cut_into_few_chunks(
    source_database: Database, source: Connection, relations: Relations
) -> None:
    fill(source_database, *KEYED["random uuids"])
    chunks = await cut(source, (await relations())["public.t"], 200)
    assert len(chunks) == CHUNKS_SCATTERED_MAX


async def test_a_partitioned_table_is_cut_as_one(
    source_database: Database, source: Connection, relations: Relations
) -> None:
    source_database.execute(
        "CREATE TABLE t (k int PRIMARY KEY, pad text) PARTITION BY RANGE (k);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (5000);"
        "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (5000) TO (30000);"
        "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g; ANALYZE t"
    )
    relation = (await relations())["public.t"]
    chunks = await cut(source, relation, 2_000)
    assert {chunk.by for chunk in chunks} == {"key"}
    counts = await counted(source, chunks, partitioned=True)
    assert sum(counts) == ROWS
    assert max(counts) < 5_000


async def test_a_partitioned_table_without_key_is_cut_by_pages_of_every_partition(
    source_database: Database, source: Connection, relations: Relations
) -> None:
    if source_database.cluster.major == "13":
        pytest.skip("page ranges are read by scanning the whole table before 14")
    source_database.execute(
        "CREATE TABLE t (k int, pad text) PARTITION BY HASH (k);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE t2 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 20000) g; ANALYZE t"
    )
    chunks = await cut(source, (await relations())["public.t"], 2_000)
    counts = await counted(source, chunks, partitioned=True)
    assert {chunk.by for chunk in chunks} == {"ctid"}
    assert sum(counts) == ROWS
    assert max(counts) < 5_000


async def test_a_child_table_is_not_read_with_its_parent(
    source_database: Database, source: Connection, relations: Relations
) -> None:
    source_database.execute("CREATE TABLE t (k int); CREATE TABLE c () INHERITS (t)")
    source_database.execute("INSERT INTO t VALUES (1); INSERT INTO c VALUES (2), (3)")
    found = await relations()
    totals = Counter[str]()
    for name, relation in found.items():
        chunks = await cut(source, relation, 100)
        assert [chunk.by for chunk in chunks] == ["whole"]
        totals[name] = sum(await counted(source, chunks))
    assert totals == {"public.t": 1, "public.c": 2}


async def test_an_empty_table_is_one_whole_chunk(
    source_database: Database, source: Connection, relations: Relations
) -> None:
    source_database.execute("CREATE TABLE t (k int PRIMARY KEY)")
    (chunk,) = await cut(source, (await relations())["public.t"], 100)
    assert (chunk.by, chunk.low, chunk.high, chunk.rows_estimated) == ("whole", None, None, 0)


async def test_a_table_that_is_not_there_is_named(source: Connection) -> None:
    gone = Relation(1, "public", "gone", (Column("a", ColumnType("integer", 23)),), (0,))
    with pytest.raises(SnapshotLostError, match=r"public\.gone was renamed or dropped") as raised:
        await cut(source, gone, 100)
    assert raised.value.context["table"] == gone.table


async def test_bounds_are_read_the_same_by_every_session(
    source_database: Database, source: Connection, relations: Relations
) -> None:
    fill(source_database, *KEYED["moments"])
    chunks = await cut(source, (await relations())["public.t"], 5_000)
    before = await counted(source, chunks)
    await source.execute("SET DateStyle = 'SQL, DMY'; SET TimeZone = 'Asia/Kolkata'")
    assert await counted(source, chunks) == before
