"""What keeps rows of different keys from being applied side by side, asked of the target."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from connectors.mysql import target_state
from connectors.mysql.column_type import CHARACTER
from connectors.mysql.target_table import TargetColumn, TargetTable
from engine.model.relation import Relation, TableName

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession

_INEXACT = frozenset({"float", "double", "decimal", "json"})
"""Types in which equal values may have different bytes."""


async def obstacles(
    session: "MysqlSession", relations: Sequence[Relation]
) -> Mapping[TableName, str]:
    """See `contracts.KeyedTables.key_obstacles`.

    Raises:
        TargetConnectionError, TargetError.
    """
    itself = target_state.to_themselves(await session.run(target_state.FOREIGN_KEYS))
    found: dict[TableName, str] = {}
    for relation in relations:
        table = await session.table_now(relation.table) if relation.key else None
        if table is None:
            continue
        reason = next(_reasons(relation, table), "")
        if not reason and relation.table in itself:
            reason = "a foreign key refers to the table itself"
        if reason:
            found[relation.table] = reason
    return found


def _reasons(relation: Relation, table: TargetTable) -> Iterator[str]:
    names = {relation.columns[index].name.lower() for index in relation.key}
    for index, columns in table.unique.items():
        if {column.lower() for column in columns} != names:
            yield f"unique index {index} beside the key"
    for name in sorted(names):
        column = table.column(name)
        if column is not None and (reason := _column(column)):
            yield reason


def _column(column: TargetColumn) -> str:
    kind = column.type
    if kind.base in _INEXACT:
        return f"key column {column.name} is {kind.base}: equal values may have different bytes"
    if kind.base in CHARACTER and not kind.tells_bytes:
        return (
            f"key column {column.name} has collation {kind.collation}, in which different texts"
            " may be equal"
        )
    return ""
