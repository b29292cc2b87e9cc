"""(pure) What keeps rows of different keys from being applied side by side, by the catalog."""

from collections.abc import Iterator

from connectors.mysql.catalog import CatalogTable
from connectors.mysql.description import declared
from connectors.mysql.keyhash import tells


def obstacle(table: CatalogTable) -> str:
    """See `contracts.KeyedTables.key_obstacles`; empty when there is none. The table has a key."""
    return next(_obstacles(table), "")


def _obstacles(table: CatalogTable) -> Iterator[str]:
    key = set(table.identity)
    for index in table.indexes:
        if index.unique and (not index.whole or set(index.columns) != key):
            yield f"unique index {index.name} beside the key"
    for foreign in table.foreign_keys:
        if foreign.parent == table.name:
            yield f"foreign key {foreign.name} refers to the table itself"
    for column in table.columns:
        if column.name not in key or tells(declared(column.type, column.charset, column.collation)):
            continue
        if column.collation:
            yield (
                f"key column {column.name} has collation {column.collation}, in which different"
                " texts may be equal"
            )
        else:
            yield (
                f"key column {column.name} is of type {column.type}: equal values may have"
                " different bytes"
            )
