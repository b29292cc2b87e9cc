"""Checks of the selected tables of a source."""

from collections.abc import Callable, Sequence
from typing import Final

import asyncpg

from connectors._sql.quoting import identifier, qualified
from connectors.postgres.catalog import CONTROL_SCHEMA
from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.sql import Sql
from engine.model.finding import Finding, Severity
from engine.model.relation import Relation, ReplicaIdentity

BLOCKS, WARNS, TELLS = Severity.BLOCKS, Severity.WARNS, Severity.TELLS


async def findings(
    sql: Sql, config: PostgresSourceConfig, relations: Sequence[Relation]
) -> Sequence[Finding]:
    """Identity, privileges, ownership, partitions, generated columns; then what is left out."""
    oids = [relation.id for relation in relations]
    rows = await sql.fetch("looking at the tables", _TABLES, oids)
    left_out = await sql.fetch("looking for tables left out", _UNLOGGED, CONTROL_SCHEMA)
    found = [_identity(relation, config) for relation in relations]
    found += [one for row in rows for check in _CHECKS for one in check(row, config)]
    found += [_unlogged(row[0], row[1]) for row in left_out]
    return [finding for finding in found if finding is not None]


def _identity(relation: Relation, config: PostgresSourceConfig) -> Finding | None:
    if relation.replica_identity is not ReplicaIdentity.NOTHING:
        return None
    carried = "its inserts are streamed" if config.insert_only else "it is left out of the stream"
    table = qualified(relation.schema, relation.name)
    return Finding(
        "replica-identity",
        WARNS,
        f"{relation.qualified} has no usable replica identity: {carried},"
        " its updates and deletes are not",
        f"ALTER TABLE {table} ADD PRIMARY KEY (...), or ALTER TABLE {table} REPLICA IDENTITY FULL"
        " (on every partition too)",
        relation.qualified,
    )


def _owner(row: asyncpg.Record, config: PostgresSourceConfig) -> Sequence[Finding]:
    if row["owned"] or config.publication_given:
        return ()
    text = f"{row['qualified']} belongs to {row['owner']}: only its owner can publish it"
    remedy = (
        f"GRANT {identifier(row['owner'])} TO {identifier(row['role'])},"
        " or make the publication as its owner and give its name"
    )
    return (Finding("owner", BLOCKS, text, remedy, row["qualified"]),)


def _readable(row: asyncpg.Record, _: PostgresSourceConfig) -> Sequence[Finding]:
    if row["readable"] and row["reachable"]:
        return ()
    role, table = identifier(row["role"]), qualified(row["schema"], row["name"])
    grants = [f"GRANT USAGE ON SCHEMA {identifier(row['schema'])} TO {role}"] * (
        not row["reachable"]
    )
    grants += [f"GRANT SELECT ON {table} TO {role}"] * (not row["readable"])
    text = f"role {row['role']} may not read {row['qualified']}"
    return (Finding("select", BLOCKS, text, "; ".join(grants), row["qualified"]),)


def _row_security(row: asyncpg.Record, _: PostgresSourceConfig) -> Sequence[Finding]:
    if not row["policies"]:
        return ()
    text = f"{row['qualified']} has row security, which would hide rows from role {row['role']}"
    remedy = f"ALTER ROLE {identifier(row['role'])} BYPASSRLS"
    return (Finding("row-security", BLOCKS, text, remedy, row["qualified"]),)


def _partitions(row: asyncpg.Record, _: PostgresSourceConfig) -> Sequence[Finding]:
    if not row["partitioned"]:
        return ()
    text = (
        f"{row['qualified']} is partitioned: TRUNCATE, ATTACH and DETACH of a single partition are"
        " not in the log of the whole table"
    )
    return (Finding("partitions", WARNS, text, "reload the table after one", row["qualified"]),)


def _generated(row: asyncpg.Record, _: PostgresSourceConfig) -> Sequence[Finding]:
    if not row["generated"]:
        return ()
    names = ", ".join(row["generated"])
    text = f"{row['qualified']}: generated columns are computed by the target: {names}"
    return (Finding("generated-columns", TELLS, text, subject=row["qualified"]),)


def _unlogged(schema: str, name: str) -> Finding:
    text = f"{schema}.{name} is unlogged: it has no log and is left out"
    remedy = f"ALTER TABLE {qualified(schema, name)} SET LOGGED"
    return Finding("unlogged", WARNS, text, remedy, f"{schema}.{name}")


_CHECKS: Final[Sequence[Callable[[asyncpg.Record, PostgresSourceConfig], Sequence[Finding]]]] = (
    _owner,
    _readable,
    _row_security,
    _partitions,
    _generated,
)

_TABLES: Final = """
SELECT n.nspname::text AS schema, c.relname::text AS name,
  n.nspname || '.' || c.relname AS qualified,
  c.relkind = 'p' AS partitioned, current_user::text AS role,
  pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
  pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned,
  pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable,
  pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS reachable,
  pg_catalog.row_security_active(c.oid) AS policies,
  (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attgenerated <> '') AS generated
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1::int8[]::oid[])
ORDER BY 1, 2
"""

_UNLOGGED: Final = """
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND n.nspname NOT LIKE 'pg\\_%'
  AND n.nspname NOT IN ('information_schema', $1::text)
ORDER BY 1, 2
"""
