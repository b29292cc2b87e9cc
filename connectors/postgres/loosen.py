"""Takes foreign keys away before tables are loaded again: a table that another refers to cannot be
emptied, and chunks come in no order that a foreign key would accept. `finish` makes them again.
"""

from collections.abc import Collection, Sequence

from connectors.postgres import ddl
from connectors.postgres.definitions import read_definitions
from connectors.postgres.ensure import target_error
from connectors.postgres.errors import DRIVER_ERRORS
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
        for definition in there:
            table = definition.table
            for key in definition.foreign_keys:
                touched = table in tables or key.parent in tables
                if touched and (table, ddl.constraint_body(key.statement)) in ours:
                    await connection.execute(ddl.drop_constraint(table, key.name))
    except DRIVER_ERRORS as error:
        raise target_error(error, "taking foreign keys away for a load") from error
