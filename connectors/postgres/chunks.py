"""Cutting a table into chunks.

A *key* chunk is a range of the leading key columns. It can be resumed, because the engine can tell
which chunk a key of the stream lies in; so it needs types whose order is computed here (`keyorder`)
and an index that reads a range without reading the table. Its bounds come from a sample of the
table's pages: equally many sampled rows between two bounds, so skew does not matter, at the cost of
some megabytes read, whatever the table's size. (Walking the index by OFFSET gives exact bounds but
reads the whole index; the histogram in pg_stats is missing before ANALYZE and has 100 bounds.)

A *ctid* chunk is a range of pages: parallel, and cheap for every table, but after an interruption
the table begins again. A table of about one chunk is read *whole*.

Bounds are open at both ends and key columns are NOT NULL (a replica identity index demands it), so
the chunks of a table cover every row, also those that come later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from connectors._interchange.keyorder import COLLATED, orderable
from connectors._sql.quoting import identifier, qualified
from connectors.postgres.chunk_check import changed
from connectors.postgres.chunk_sql import from_item
from connectors.postgres.errors import DRIVER_ERRORS, source_error
from connectors.postgres.load_connection import Connection
from engine.model.chunk import Chunk
from engine.model.relation import Relation

CHUNKS_MAX: Final = 10_000
"""Chunks of one table. Each is a row in the control schema; a table with more rows than that many
chunks of the wished size gets larger ones."""

CHUNKS_SCATTERED_MAX: Final = 16
"""Key chunks of a table whose rows do not lie in key order (random uuids). Every chunk then visits
most pages, so the table is read as often as it has chunks."""

CORRELATION_MIN: Final = 0.5
"""pg_stats.correlation from which on rows count as lying in key order."""

SAMPLE_PAGES_PER_CHUNK: Final = 50
"""Sampled pages per chunk: the sizes of chunks then vary by about a seventh."""

SAMPLE_PAGES_MAX: Final = 5_000
"""Sampled pages of one table, 40 MB with pages of 8 KiB."""

CTID_RANGE_VERSION: Final = 140_000
"""First server version that reads a ctid range without reading the whole table."""


@dataclass(frozen=True, slots=True)
class Storage:
    """What the catalog says of a table's storage; sums over the partitions of a partitioned one.

    `rows` is an estimate, negative when the table was never analyzed.
    """

    oid: int
    partitioned: bool
    plain: bool
    pages: int
    pages_longest: int
    rows: int
    server_version: int
    utf8: bool


async def cut(connection: Connection, relation: Relation, rows_max: int) -> Sequence[Chunk]:
    """Chunks of about `rows_max` rows that together cover every row, by ordinal.

    Raises:
        SnapshotLostError: the table is not there any more.
        SourceError: it cannot be read.
        SourceConnectionError.
    """
    if rows_max < 1:
        raise ValueError("a chunk has at least one row")
    doing = f"cutting {relation.qualified} into chunks"
    try:
        storage = await _storage(connection, relation)
        return await _cut(connection, relation, storage, rows_max)
    except DRIVER_ERRORS as error:
        raise source_error(error, doing) from error


async def _cut(
    connection: Connection, relation: Relation, storage: Storage, rows_max: int
) -> Sequence[Chunk]:
    rows = storage.rows if storage.rows >= 0 else await _rows_sampled(connection, relation, storage)
    count = min(-(-rows // rows_max), CHUNKS_MAX, max(storage.pages, 1))
    width = await _key_width(connection, relation, storage) if count > 1 else 0
    if width:
        return await _by_key(connection, relation, storage, width, rows, count)
    if count > 1 and storage.plain and storage.server_version >= CTID_RANGE_VERSION:
        return _by_ctid(relation, storage.pages_longest, rows, count)
    return [Chunk(relation, 0, rows_estimated=rows)]


# --- by key ---------------------------------------------------------------------------------------


async def _by_key(
    connection: Connection, relation: Relation, storage: Storage, width: int, rows: int, count: int
) -> Sequence[Chunk]:
    if not await _in_key_order(connection, relation, storage):
        count = min(count, CHUNKS_SCATTERED_MAX)
    bounds = await _sample(connection, relation, storage, width, count)
    edges = [None, *bounds, None]
    each = rows // (len(edges) - 1)
    return [
        Chunk(relation, ordinal, "key", low, high, each)
        for ordinal, (low, high) in enumerate(pairwise(edges))
    ]


async def _sample(
    connection: Connection, relation: Relation, storage: Storage, width: int, count: int
) -> Sequence[tuple[str, ...]]:
    """At most `count - 1` bounds, in order, each different from the one before."""
    names = [identifier(relation.columns[i].name) for i in relation.key[:width]]
    percent = _percent(storage, count * SAMPLE_PAGES_PER_CHUNK)
    rows = await connection.fetch(
        f"SELECT bound FROM (SELECT ARRAY[{', '.join(f'{n}::text' for n in names)}] AS bound,"
        f" row_number() OVER (ORDER BY {', '.join(names)}) AS n, count(*) OVER () AS all_rows"
        f" FROM {from_item(relation, storage.partitioned)} TABLESAMPLE SYSTEM ({percent})) s"
        f" WHERE n * {count} / all_rows > (n - 1) * {count} / all_rows"
        f" AND n * {count} / all_rows < {count} ORDER BY n"
    )
    bounds = [tuple(row[0]) for row in rows]
    return [bound for at, bound in enumerate(bounds) if at == 0 or bound != bounds[at - 1]]


async def _key_width(connection: Connection, relation: Relation, storage: Storage) -> int:
    """How many leading key columns may bound chunks: as many as are of an order computed here and
    lead an index in the same order; 0 when there is no such."""
    usable = await _orderable_columns(connection, relation, storage)
    width = 0
    for index in await _indexes(connection, storage):
        common = 0
        for ours, theirs in zip(usable, index, strict=False):
            if ours != theirs:
                break
            common += 1
        width = max(width, common)
    return width


async def _orderable_columns(
    connection: Connection, relation: Relation, storage: Storage
) -> Sequence[str]:
    """The leading columns of the key whose order can be computed here."""
    bytewise = await _bytewise_columns(connection, storage)
    names: list[str] = []
    for column in (relation.columns[i] for i in relation.key):
        collated = column.type.oid in COLLATED
        if not orderable(column.type.oid) or (collated and column.name not in bytewise):
            break
        names.append(column.name)
    return names


async def _bytewise_columns(connection: Connection, storage: Storage) -> frozenset[str]:
    """Columns whose collation compares bytes: C, POSIX, ucs_basic, and the builtin provider's
    (PostgreSQL 17), the database's default included."""
    if not storage.utf8:
        return frozenset()
    rows = await connection.fetch(
        """
        SELECT a.attname FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
        JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
        WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND c.collisdeterministic
          AND CASE c.collprovider
                WHEN 'b' THEN true
                WHEN 'c' THEN c.collcollate IN ('C', 'POSIX')
                WHEN 'd' THEN pg_catalog.to_jsonb(d) ->> 'datlocprovider' = 'b'
                  OR (coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') = 'c'
                      AND d.datcollate IN ('C', 'POSIX'))
                ELSE false
              END
        """,
        storage.oid,
    )
    return frozenset(row[0] for row in rows)


async def _indexes(connection: Connection, storage: Storage) -> Sequence[Sequence[str]]:
    """Column names of every B-tree index of the whole table, in index order."""
    rows = await connection.fetch(
        """
        SELECT ARRAY(SELECT coalesce(a.attname::text, '')
                     FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
                     LEFT JOIN pg_catalog.pg_attribute a
                       ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                     WHERE k.n <= i.indnkeyatts ORDER BY k.n)
        FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        JOIN pg_catalog.pg_am m ON m.oid = c.relam
        WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree'
        """,
        storage.oid,
    )
    return [row[0] for row in rows]


async def _in_key_order(connection: Connection, relation: Relation, storage: Storage) -> bool:
    """Whether rows lie in key order, as far as ANALYZE knows; unknown counts as yes."""
    correlation = await connection.fetchval(
        "SELECT abs(correlation) FROM pg_catalog.pg_stats"
        " WHERE schemaname = $1 AND tablename = $2 AND attname = $3 AND inherited = $4",
        relation.schema,
        relation.name,
        relation.columns[relation.key[0]].name,
        storage.partitioned,
    )
    return correlation is None or correlation >= CORRELATION_MIN


# --- by pages -------------------------------------------------------------------------------------


def _by_ctid(relation: Relation, pages: int, rows: int, count: int) -> Sequence[Chunk]:
    """Equal ranges of pages; of a partitioned table, of every partition at once."""
    step = max(-(-pages // count), 1)
    edges = [None, *((f"({page},0)",) for page in range(step, pages, step)), None]
    each = rows // (len(edges) - 1)
    return [
        Chunk(relation, ordinal, "ctid", low, high, each)
        for ordinal, (low, high) in enumerate(pairwise(edges))
    ]


# --- size -----------------------------------------------------------------------------------------


async def _storage(connection: Connection, relation: Relation) -> Storage:
    row = await connection.fetchrow(
        """
        WITH root AS (SELECT * FROM pg_catalog.pg_class
                      WHERE oid = pg_catalog.to_regclass($1) AND relkind IN ('r', 'p')),
        leaf AS (SELECT oid FROM root
                 UNION SELECT t.relid FROM root, pg_catalog.pg_partition_tree(root.oid) t
                 WHERE root.relkind = 'p' AND t.isleaf),
        sized AS (SELECT c.*, pg_catalog.pg_relation_size(c.oid)
                         / pg_catalog.current_setting('block_size')::int8 AS pages
                  FROM leaf JOIN pg_catalog.pg_class c ON c.oid = leaf.oid
                  WHERE c.relkind <> 'p'),
        known AS (SELECT sum(reltuples) / sum(relpages) AS density FROM sized
                  WHERE reltuples > 0 AND relpages > 0)
        SELECT root.oid, root.relkind = 'p',
               NOT EXISTS (SELECT FROM sized WHERE relkind <> 'r'),
               coalesce((SELECT sum(pages) FROM sized), 0)::int8,
               coalesce((SELECT max(pages) FROM sized), 0)::int8,
               coalesce((SELECT sum(pages) FROM sized) * known.density, -1)::int8,
               pg_catalog.current_setting('server_version_num')::int4,
               pg_catalog.current_setting('server_encoding') = 'UTF8'
        FROM root, known
        """,
        qualified(relation.schema, relation.name),
    )
    if row is None:
        raise changed(relation, "was renamed or dropped")
    return Storage(*row)


async def _rows_sampled(connection: Connection, relation: Relation, storage: Storage) -> int:
    """Rows of a table that was never analyzed: counted on a sample of its pages."""
    if storage.pages == 0 or not storage.plain:
        return 0
    percent = _percent(storage, SAMPLE_PAGES_PER_CHUNK)
    counted = await connection.fetchval(
        f"SELECT count(*) FROM {from_item(relation, storage.partitioned)}"
        f" TABLESAMPLE SYSTEM ({percent})"
    )
    return int(counted * 100 / percent)


def _percent(storage: Storage, pages: int) -> float:
    """Share of the table that about so many pages are, in percent, for TABLESAMPLE."""
    wanted = min(pages, SAMPLE_PAGES_MAX)
    return min(100.0, round(100.0 * wanted / max(storage.pages, 1), 6) or 0.000001)
