"""What keeps rows of different keys from being applied side by side, asked of either side.

Partitions count: a unique index of one is met by every row that is routed there.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from connectors._interchange import keyorder
from connectors._sql.quoting import qualified
from connectors.postgres.sql import Sql
from engine.model.relation import Relation, TableName

DOING: Final = "looking at keys and unique constraints"


async def key_obstacles(sql: Sql, relations: Sequence[Relation]) -> Mapping[TableName, str]:
    """See `contracts.KeyedTables.key_obstacles`. Three questions, whatever the number of tables.

    Raises:
        SourceConnectionError, SourceError.
    """
    keyed = [relation for relation in relations if relation.key]
    names = [qualified(relation.schema, relation.name) for relation in keyed]
    keys = [[relation.columns[index].name for index in relation.key] for relation in keyed]
    pairs = [(name, column) for name, key in zip(names, keys, strict=True) for column in key]
    found: dict[str, str] = {}
    for row in await sql.fetch(DOING, _OWN_KEYS, names):
        found[row["name"]] = f"foreign key {row['key']} refers to the table itself"
    by_name = dict(zip(names, keys, strict=True))
    for row in await sql.fetch(DOING, _INDEXES, names):
        reason = _index(row, by_name[row["name"]])
        if reason:
            found[row["name"]] = reason
    for row in await sql.fetch(DOING, _COLUMNS, [p[0] for p in pairs], [p[1] for p in pairs]):
        reason = _column(row)
        if reason:
            found[row["name"]] = reason
    tables = zip(names, keyed, strict=True)
    return {relation.table: found[name] for name, relation in tables if name in found}


def _index(row: asyncpg.Record, key: Sequence[str]) -> str:
    """An index of exactly the key's columns refuses nothing but rows of one key."""
    if row["exclusion"]:
        return f"exclusion constraint {row['index']}"
    if set(row["columns"]) == set(key):
        return ""
    return f"unique index {row['index']} beside the key"


def _column(row: asyncpg.Record) -> str:
    if not keyorder.orderable(row["oid"]):
        return (
            f"key column {row['column']} is of type {row['type']}: equal values may have different"
            " bytes"
        )
    if not row["deterministic"]:
        return (
            f"key column {row['column']} has collation {row['collation']}, in which different texts"
            " may be equal"
        )
    return ""


_OWN_KEYS: Final = """
SELECT wanted.name, c.conname AS key
FROM unnest($1::text[]) wanted(name)
JOIN pg_catalog.pg_constraint c ON c.conrelid = pg_catalog.to_regclass(wanted.name)
WHERE c.contype = 'f' AND c.confrelid = c.conrelid
ORDER BY c.conname DESC
"""

_INDEXES: Final = """
SELECT wanted.name, i.relname AS index, x.indisexclusion AS exclusion,
  ARRAY(SELECT coalesce(a.attname::text, '')
        FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, place)
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
        WHERE k.place <= x.indnkeyatts) AS columns
FROM unnest($1::text[]) wanted(name)
CROSS JOIN LATERAL (
  SELECT pg_catalog.to_regclass(wanted.name)::oid AS oid
  UNION
  SELECT p.relid::oid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(wanted.name)) p
) part
JOIN pg_catalog.pg_index x ON x.indrelid = part.oid
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
WHERE (x.indisunique OR x.indisexclusion) AND x.indislive
ORDER BY i.relname DESC
"""
"""Live ones: an index that is not valid yet refuses values all the same. An expression is a column
without name."""

_COLUMNS: Final = """
SELECT wanted.name, a.attname AS column, a.atttypid::int8 AS oid, l.collname AS collation,
  pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
  coalesce(l.collisdeterministic, true) AS deterministic
FROM unnest($1::text[], $2::text[]) wanted(name, attname)
JOIN pg_catalog.pg_attribute a ON a.attrelid = pg_catalog.to_regclass(wanted.name)
  AND a.attname = wanted.attname
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
ORDER BY a.attnum DESC
"""
