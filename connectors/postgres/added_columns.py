"""What the catalog says, now, about the existing rows of columns that may have been added.

For what no event trigger told. A column added with a constant default has its value stored in the
catalog (`attmissingval`) for the rows that are older. Any other default may have been there from
the beginning or set later: which, nobody can tell, so nobody guesses.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from connectors._sql.quoting import literal
from connectors.postgres.ddl_capture_message import COMPUTED
from connectors.postgres.relation_message import RelationMessage
from connectors.postgres.sql import Sql
from connectors.postgres.user_types import UserTypes, read_types
from engine.model.change import SchemaStep
from engine.model.relation import Relation

GONE: Final = "changed again since, so what existing rows have is not known"


async def added_columns(
    sql: Sql, message: RelationMessage, relation: Relation
) -> Sequence[SchemaStep]:
    """A step for each column, as if it had just been added. `relation` is what `message` means."""
    rows = await sql.fetch("reading defaults", _DEFAULTS, message.oid)
    found = {(row["name"], row["type"], row["modifier"]): row for row in rows}
    own = {column.type.oid for column in relation.columns if column.type.definition}
    types = await read_types(partial(sql.fetch, "reading types"), own) if own else UserTypes({})
    steps = []
    for column, told in zip(relation.columns, message.columns, strict=True):
        row = found.get((told.name, told.type_oid, told.modifier))
        detail = GONE if row is None else COMPUTED if row["unsure"] else ""
        stored = None if row is None else row["value"]
        default = "" if stored is None else literal(stored)
        needed = types.needed([column.type.oid])
        steps.append(
            SchemaStep("add-column", told.name, "", column.type.name, default, detail, needed)
        )
    return steps


_DEFAULTS: Final = """
SELECT a.attname::text AS name, a.atttypid::int8 AS type, a.atttypmod AS modifier,
  CASE WHEN s.atthasmissing THEN array_to_string(s.attmissingval, '') END AS value,
  NOT coalesce(s.atthasmissing, false)
    AND (a.atthasdef OR a.attidentity <> '' OR t.typdefaultbin IS NOT NULL) AS unsure
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attribute s ON s.attname = a.attname AND s.attrelid = CASE c.relkind
  WHEN 'p' THEN (SELECT p.relid FROM pg_catalog.pg_partition_tree(c.oid) p WHERE p.isleaf LIMIT 1)
  ELSE c.oid END
WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
"""
