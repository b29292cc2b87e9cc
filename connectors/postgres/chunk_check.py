"""May a chunk be read at its snapshot? Rows are read as of then, by a table that is of now.

ALTER TABLE is not transactional for older snapshots: to them a table that was rewritten since is
empty. (So is one that was emptied by TRUNCATE, which the log tells.) And a description that is
older than the snapshot may lack a column whose values the log does not hold any more.

See: PostgreSQL manual, "Caveats" of Concurrency Control (mvcc-caveats).
"""

from typing import Final

from connectors._sql.quoting import qualified
from connectors.postgres.load_connection import Connection
from engine.errors import SnapshotLostError
from engine.model.relation import Relation


async def hold_still(reader: Connection, relation: Relation) -> None:
    """Keep the table from being altered until the reader's transaction ends."""
    table = qualified(relation.schema, relation.name)
    await reader.execute(f"LOCK TABLE {table} IN ACCESS SHARE MODE")


async def as_described(reader: Connection, relation: Relation) -> bool:
    """Whether a table that is held still is, at the reader's snapshot, what `relation` says.

    Raises:
        SnapshotLostError: the snapshot shows none of its rows any more.
    """
    if await reader.fetchval(_REWRITTEN, relation.id):
        raise changed(relation, "was rewritten or emptied")
    return await has_columns(reader, relation)


async def has_columns(connection: Connection, relation: Relation) -> bool:
    """Whether the table has exactly these columns, at the connection's snapshot or now."""
    rows = await connection.fetch(_COLUMNS, relation.id)
    columns = [(c.name, c.type.oid, c.type.modifier) for c in relation.columns]
    return [tuple(row) for row in rows] == columns


def changed(relation: Relation, what: str) -> SnapshotLostError:
    """The error for a table that changed under its load."""
    return SnapshotLostError(
        f"{relation.qualified} {what} while it was loaded",
        hint="it is loaded again from its beginning",
        context={"table": relation.table},
    )


_REWRITTEN: Final = """
SELECT coalesce(bool_or(
  c.relfilenode <> coalesce(pg_catalog.pg_relation_filenode(c.oid)::oid, 0::oid)), true)
FROM pg_catalog.pg_class c
WHERE c.oid = $1::int8::oid OR c.oid IN (
  SELECT p.relid FROM pg_catalog.pg_partition_tree($1::int8::oid::regclass) p
  JOIN pg_catalog.pg_class l ON l.oid = p.relid WHERE p.isleaf AND l.relkind = 'r')
"""

_COLUMNS: Final = """
SELECT a.attname::text, a.atttypid::int8, a.atttypmod FROM pg_catalog.pg_attribute a
WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
"""
