"""Which tables share a lane, and what a table's checkpoint is called (pure)."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from engine.model.relation import TableName
from engine.model.state import FRONTIER

WHOLE: Final = "*"
"""Name of the one checkpoint of `transactional` mode; no table's name can be equal to it."""

_PLAIN: Final = re.compile(r"\A[^.\"*:]+\Z")


def checkpoint_name(table: TableName) -> str:
    """A text that no two tables share: parts with a dot, quote, star or colon are quoted."""
    return ".".join(
        [
            part if _PLAIN.match(part) else '"' + part.replace('"', '""') + '"'
            for part in (table.schema, table.name)
        ]
    )


def holds_position(name: str) -> bool:
    """Whether the checkpoint row of this name holds a position, as those of tables, buckets and the
    whole replication do. Rows of other names, without a dot, keep facts of ours."""
    return name in (FRONTIER, WHOLE) or "." in name


def groups(
    tables: Iterable[TableName], foreign_keys: Sequence[tuple[TableName, TableName]]
) -> list[tuple[TableName, ...]]:
    """The selected tables, those tied by foreign keys together. Sorted, so equal input gives equal
    output."""
    parent = {table: table for table in sorted(tables)}

    def root(table: TableName) -> TableName:
        while parent[table] != table:
            parent[table] = parent[parent[table]]
            table = parent[table]
        return table

    for child, referenced in foreign_keys:
        if child in parent and referenced in parent:
            low, high = sorted((root(child), root(referenced)))
            parent[high] = low
    members: dict[TableName, list[TableName]] = {}
    for table in parent:
        members.setdefault(root(table), []).append(table)
    return [tuple(group) for group in members.values()]
