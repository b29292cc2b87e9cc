"""Questions about tables of the target. (pure)"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from connectors.mysql.quoting import literal, qualified
from connectors.mysql.result import Result
from engine.model.relation import TableName
from engine.model.table import ForeignKey

FOREIGN_KEYS: Final = (
    b"SELECT DISTINCT TABLE_SCHEMA, TABLE_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME"
    b" FROM information_schema.KEY_COLUMN_USAGE"
    b" WHERE REFERENCED_TABLE_NAME IS NOT NULL ORDER BY 1, 2, 3, 4"
)


def pairs(results: Sequence[Result], *, checked: bool = True) -> list[ForeignKey]:
    """Which tables refer to which others, sorted; a table that refers to itself is in no pair.
    `checked`: apply sessions have foreign keys on."""
    keys = [ForeignKey(child, parent, checked) for child, parent in _read(results)]
    return sorted({key for key in keys if key.child != key.parent})


def to_themselves(results: Sequence[Result]) -> set[TableName]:
    """Tables with a foreign key to themselves."""
    return {child for child, parent in _read(results) if child == parent}


def _read(results: Sequence[Result]) -> Iterator[tuple[TableName, TableName]]:
    for row in results[-1].rows:
        schema, name, parent_schema, parent = [(cell or b"").decode() for cell in row]
        yield TableName(schema, name), TableName(parent_schema, parent)


def exists(table: TableName) -> bytes:
    """One row when there is such a table or view."""
    return (
        "SELECT 1 FROM information_schema.TABLES"
        f" WHERE TABLE_SCHEMA = {literal(table.schema)} AND TABLE_NAME = {literal(table.name)}"
    ).encode()


def any_row(table: TableName) -> bytes:
    """One row when the table holds one."""
    return f"SELECT 1 FROM {qualified(table.schema, table.name)} LIMIT 1".encode()


async def has_database(run: Callable[[bytes], Awaitable[Sequence[Result]]], name: str) -> bool:
    """Whether the server has a database of that name."""
    where = f"SCHEMA_NAME = {literal(name)}"
    (found,) = await run(f"SELECT 1 FROM information_schema.SCHEMATA WHERE {where}".encode())
    return bool(found.rows)
