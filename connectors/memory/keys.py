"""(pure) Which tables can be split by their keys: values are bytes, and equal only byte by byte."""

from collections.abc import Mapping, Sequence
from zlib import crc32

from connectors.memory.storage import Table
from engine.model.relation import Relation, TableName
from engine.model.value import KeyHash, Row


def obstacles(
    relations: Sequence[Relation], tables: Mapping[TableName, Table]
) -> Mapping[TableName, str]:
    """See `contracts.KeyedTables.key_obstacles`."""
    found: dict[TableName, str] = {}
    for relation in relations:
        table = tables.get(relation.table)
        if table is None:
            continue
        if any(set(unique.columns) != set(relation.key) for unique in table.uniques):
            found[relation.table] = "another unique constraint beside the key"
        if any(foreign.parent == relation.table for foreign in table.foreign_keys):
            found[relation.table] = "a foreign key to itself"
    return found


def key_hash(relation: Relation) -> KeyHash | None:
    """See `contracts.KeyedSource.key_hash`."""
    key = relation.key
    if not key:
        return None

    def hashed(row: Row) -> int | None:
        number = 0
        for index in key:
            value = row[index]
            if not isinstance(value, bytes):
                return None
            number = crc32(value, number)
        return number

    return hashed
