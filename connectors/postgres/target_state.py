"""Questions about tables of the target."""

from collections.abc import Sequence
from typing import Final

from connectors.postgres.ddl import table_name
from connectors.postgres.ensure import target_error
from connectors.postgres.errors import DRIVER_ERRORS
from connectors.postgres.load_connection import Connection
from engine.model.relation import TableName
from engine.model.table import ForeignKey


async def empty(connection: Connection, table: TableName) -> bool:
    """Whether the table holds no row; an absent one holds none. Reads one row at most.

    Raises:
        TargetConnectionError, TargetError.
    """
    name = table_name(table)
    try:
        if await connection.fetchval("SELECT pg_catalog.to_regclass($1) IS NULL", name):
            return True
        return not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {name})")
    except DRIVER_ERRORS as error:
        raise target_error(error, f"looking for rows in {table}") from error


async def foreign_keys(connection: Connection, *, replica: bool = False) -> Sequence[ForeignKey]:
    """Which tables refer to which others, sorted, and whether a key of theirs fires in apply
    sessions.

    `replica`: apply sessions set `session_replication_role = replica`; then only keys fire whose
    triggers were enabled for replicas. Keys of partitions count for the partitioned table, and a
    table that refers to itself is in no pair.

    Raises:
        TargetConnectionError, TargetError.
    """
    try:
        rows = await connection.fetch(_FOREIGN_KEYS, ["R", "A"] if replica else ["O", "A"])
    except DRIVER_ERRORS as error:
        raise target_error(error, "reading the target's foreign keys") from error
    return [
        ForeignKey(TableName(row[0], row[1]), TableName(row[2], row[3]), row[4]) for row in rows
    ]


_FOREIGN_KEYS: Final = """
WITH keys AS (
  SELECT coalesce(pg_catalog.pg_partition_root(c.conrelid), c.conrelid) AS child,
    coalesce(pg_catalog.pg_partition_root(c.confrelid), c.confrelid) AS parent,
    bool_or(EXISTS (SELECT FROM pg_catalog.pg_trigger t
      WHERE t.tgconstraint = c.oid AND t.tgenabled::text = ANY($1::text[]))) AS enforced
  FROM pg_catalog.pg_constraint c
  WHERE c.contype = 'f'
  GROUP BY 1, 2
)
SELECT cn.nspname, c.relname, pn.nspname, p.relname, keys.enforced
FROM keys
JOIN pg_catalog.pg_class c ON c.oid = keys.child
JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = keys.parent
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE keys.child <> keys.parent
ORDER BY 1, 2, 3, 4
"""
