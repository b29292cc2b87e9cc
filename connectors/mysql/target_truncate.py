"""TRUNCATE of the source inside a transaction of the target.

TRUNCATE commits here, so rows are deleted instead. As in PostgreSQL, a table that another refers to
goes only together with it: the statement names all of them, or says CASCADE. Foreign keys are off
for the deletion, as every table that has them is emptied too.
"""

from typing import TYPE_CHECKING

from connectors.mysql import target_state
from connectors.mysql.quoting import qualified
from engine.errors import SchemaMismatchError
from engine.model.change import Truncate
from engine.model.relation import TableName

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession


async def statements(session: "MysqlSession", truncate: Truncate) -> list[bytes]:
    """What empties the tables.

    Raises:
        SchemaMismatchError: a table is not there, or another one refers to it.
    """
    tables = [relation.table for relation in truncate.relations]
    for table in tables:
        if await session.table(table) is None:
            raise SchemaMismatchError(f"{table}: the target has no such table to empty")
    emptied = await _with_children(session, tables, cascade=truncate.cascade)
    deletes = [f"DELETE FROM {qualified(t.schema, t.name)}".encode() for t in emptied]
    if not session.config.checks_keys:
        return deletes
    return [b"SET SESSION foreign_key_checks = 0", *deletes, b"SET SESSION foreign_key_checks = 1"]


async def _with_children(
    session: "MysqlSession", tables: list[TableName], *, cascade: bool
) -> list[TableName]:
    if not session.config.checks_keys:
        return tables
    pairs = target_state.pairs(await session.run(target_state.FOREIGN_KEYS))
    emptied = list(tables)
    for parent in emptied:  # grows while it is walked
        for pair in pairs:
            if pair.parent != parent or pair.child in emptied:
                continue
            if not cascade:
                raise SchemaMismatchError(
                    f"{parent} cannot be emptied on the target: {pair.child} refers to it",
                    hint=f"carry {pair.child} too, or drop its foreign key on the target",
                )
            emptied.append(pair.child)
    return emptied
