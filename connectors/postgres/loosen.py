"""Takes foreign keys away before tables are loaded again: a table that another refers to cannot be
emptied, and chunks come in no order that a foreign key would accept. `finish` makes them again.
"""

from collections.abc import Collection, Sequence
from typing import Final

from connectors.postgres import ddl
from connectors.postgres.definitions import read_definitions
from connectors.postgres.ensure import DRIVER_ERRORS, target_error
from connectors.postgres.load_connection import Connection
from engine.model.relation import TableName
from engine.model.table import TableDefinition


async def loosen(
    connection: Connection, definitions: Sequence[TableDefinition], tables: Collection[TableName]
) -> None:
    """Drop the foreign keys of these definitions that start from or lead to one of `tables`. What
    only the target has stays. Idempotent.

    Raises:
        TargetConnectionError, TargetBusyError, TargetError.
    """
    ours = {
        (definition.table, ddl.constraint_body(key.statement))
        for definition in definitions
        for key in definition.foreign_keys
    }
    try:
        there = await read_definitions(connection, [d.relation for d in definitions])
        parents = {
            (TableName(row[0], row[1]), row[2]): TableName(row[3], row[4])
            for row in await connection.fetch(_PARENTS)
        }
        for definition in there:
            table = definition.table
            for key in definition.foreign_keys:
                touched = table in tables or parents.get((table, key.name)) in tables
                if touched and (table, ddl.constraint_body(key.statement)) in ours:
                    await connection.execute(ddl.drop_constraint(table, key.name))
    except DRIVER_ERRORS as error:
        raise target_error(error, "taking foreign keys away for a load") from error


_PARENTS: Final = """
SELECT cn.nspname::text, c.relname::text, k.conname::text, pn.nspname::text, p.relname::text
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = k.confrelid
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f'
"""
