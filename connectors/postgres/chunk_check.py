"""May a chunk be read at its snapshot? Rows are read as of then, by a table that is of now.

ALTER TABLE is not transactional for older snapshots: to them a table that was rewritten since is
empty. (So is one that was emptied by TRUNCATE, which the log tells.) A column that was renamed is
found by its new name alone, and its old one may be another column's by now.

So a description must be that of the snapshot. One that is older may lack a column whose values the
log does not hold any more; for one that is younger the log holds changes of columns that are gone.

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


async def check(reader: Connection, relation: Relation) -> None:
    """Check that a table that is held still may be read at the reader's snapshot.

    Raises:
        SnapshotLostError: the snapshot shows none of its rows any more, or it is not what
            `relation` says.
    """
    if await reader.fetchval(_REWRITTEN, relation.id):
        raise changed(relation, "was rewritten or emptied")
    rows = await reader.fetch(_COLUMNS, relation.id)
    columns = [(c.name, c.number, c.type.oid, c.type.modifier) for c in relation.columns]
    if [tuple(row)[:-1] for row in rows] != columns:
        raise changed(relation, "got other columns")
    if any(row["now"] != row["name"] for row in rows):
        raise changed(relation, "had a column renamed or dropped")


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
SELECT a.attname::text AS name, a.attnum::int4, a.atttypid::int8, a.atttypmod,
  (pg_catalog.pg_identify_object_as_address('pg_catalog.pg_class'::regclass, a.attrelid, a.attnum)
  ).object_names[3] AS now
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
"""
"""A table's columns at the snapshot. `now`: what such a column is called today, also in a query at
the snapshot, as functions of the server look at the catalog of today."""
