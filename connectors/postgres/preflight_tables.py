"""Checks of the selected tables of a source."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

import asyncpg

from connectors._sql.quoting import identifier, qualified
from connectors.postgres.catalog import CONTROL_SCHEMA, WITHOUT_LOG, Catalog, CatalogTable
from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.publication import EVERYTHING, INSERTS
from connectors.postgres.sql import Sql
from engine.model.finding import Finding, Severity
from engine.model.relation import Relation, ReplicaIdentity

TABLES_NAMED_MAX: Final = 20
"""Tables that one sentence names; the statement beside it holds all."""

BLOCKS, WARNS, TELLS = Severity.BLOCKS, Severity.WARNS, Severity.TELLS


async def findings(
    sql: Sql,
    catalog: Catalog,
    config: PostgresSourceConfig,
    relations: Sequence[Relation],
    *,
    told: bool,
) -> Sequence[Finding]:
    """Identity, privileges, ownership, partitions, generated columns; then what is left out.
    `told`: event triggers tell, or will tell, of schema changes."""
    oids = [relation.id for relation in relations]
    rows = await sql.fetch("looking at the tables", _TABLES, oids)
    left_out = await sql.fetch("looking for tables left out", _WITHOUT_LOG, CONTROL_SCHEMA)
    others = await sql.fetch("looking for what is no table", _NO_TABLES, CONTROL_SCHEMA)
    found: list[Finding | None] = []
    if config.streams:
        nothing = [r.id for r in relations if r.replica_identity is ReplicaIdentity.NOTHING]
        found += [_identity(table, config) for table in await catalog.tables(nothing)]
        found += [_unpublished(relation, config) for relation in relations]
        found += _owners(rows, config, relations)
    left_out_too = _left_out(relations, config)
    found += [
        one
        for row in rows
        if row["oid"] not in left_out_too
        for check in _CHECKS
        for one in check(row, config)
    ]
    if config.streams:
        found += [_partitions(row, config, told=told) for row in rows if row["partitioned"]]
    found += [_without_log(row) for row in left_out]
    found += [_no_tables(row) for row in others]
    return [finding for finding in found if finding is not None]


def _left_out(relations: Sequence[Relation], config: PostgresSourceConfig) -> Collection[int]:
    """Tables that are not carried as they are, so nothing else of them matters."""
    if config.insert_only or not config.streams:
        return ()
    nothing = ReplicaIdentity.NOTHING
    return {r.id for r in relations if r.replica_identity is nothing or not r.published}


def _identity(table: CatalogTable, config: PostgresSourceConfig) -> Finding:
    """Of a table without a usable one. One that has a key looks as if it were carried: that blocks,
    unless the file says that inserts are enough."""
    name = f"{table.schema}.{table.name}"
    carried = "only its inserts are carried" if config.insert_only else "it is left out"
    text = f"{name} has no usable replica identity: {carried}"
    if table.unsent:
        columns = ", ".join(table.unsent)
        text = (
            f"{name} has generated columns in its replica identity ({columns}), and the log has"
            f" none of their values: {carried}"
        )
    severity = BLOCKS if table.unsent and not config.insert_only else WARNS
    return Finding("replica-identity", severity, text, table.identity_remedy, name)


def _unpublished(relation: Relation, config: PostgresSourceConfig) -> Finding | None:
    if relation.published:
        return None
    identified = relation.replica_identity is not ReplicaIdentity.NOTHING
    if not identified and not config.insert_only:
        return None
    name = config.publication if identified else config.insert_only_publication
    table = qualified(relation.schema, relation.name)
    return Finding(
        "not-published",
        WARNS,
        f"{relation.qualified} is not in publication {name}, which the file names: it is left out",
        f"ALTER PUBLICATION {identifier(name)} ADD TABLE ONLY {table}; it is then taken up within a"
        " minute, or leave it out by [mapping]",
        relation.qualified,
    )


def _owners(
    rows: Sequence[asyncpg.Record], config: PostgresSourceConfig, relations: Sequence[Relation]
) -> Sequence[Finding]:
    """A finding for each publication that the role cannot make itself."""
    nothing = ReplicaIdentity.NOTHING
    without = {relation.id for relation in relations if relation.replica_identity is nothing}
    main = [row for row in rows if row["oid"] not in without]
    inserts = [row for row in rows if row["oid"] in without]
    found = []
    if not config.publication_given:
        found.append(_owner(main, "publication", config.publication, EVERYTHING))
    if config.insert_only and not config.insert_only_publication_given:
        name = config.insert_only_publication
        found.append(_owner(inserts, "publication_inserts", name, INSERTS))
    return [one for one in found if one is not None]


def _owner(rows: Sequence[asyncpg.Record], key: str, name: str, publishes: str) -> Finding | None:
    """The narrowest way out needs no right on the tables beyond reading them: their owner makes the
    publication, and the file names it."""
    foreign = [row for row in rows if not row["owned"]]
    if not foreign:
        return None
    owners = sorted({row["owner"] for row in foreign})
    role = identifier(foreign[0]["role"])
    theirs = identifier(name.replace("penstock_", "for_penstock_", 1))
    tables = ", ".join(qualified(row["schema"], row["name"]) for row in rows)
    alone = len(owners) == 1 and not foreign[0]["super"]
    who = f"{owners[0]} or a superuser" if alone else "a superuser"
    # Membership in a superuser would give everything away.
    wider = (
        "\nor, which also lets the role alter these tables:"
        f" GRANT {', '.join(map(identifier, owners))} TO {role}"
    )
    remedy = (
        f"CREATE PUBLICATION {theirs} FOR TABLE {tables}"
        f" WITH (publish = '{publishes}', publish_via_partition_root = true);\n"
        f"run that as {who}, then write {key} = {theirs} into [source]"
        + wider
        * (not any(row["super"] for row in foreign))
    )
    names = [row["qualified"] for row in foreign[:TABLES_NAMED_MAX]]
    more = f" and {len(foreign) - len(names)} more" if len(foreign) > len(names) else ""
    text = (
        f"role {foreign[0]['role']} may not publish {', '.join(names)}{more}: only the owner may"
        f" ({', '.join(owners)})"
    )
    return Finding("owner", BLOCKS, text, remedy)


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


def _partitions(row: asyncpg.Record, config: PostgresSourceConfig, *, told: bool) -> Finding:
    name = row["qualified"]
    text = (
        f"{name} is partitioned: TRUNCATE, DROP, ATTACH and DETACH of a single partition are not in"
        " the log of the whole table"
    )
    if told and config.watch_partitions:
        text += "; it needs a reload after one, which is noticed"
        return Finding("partitions", TELLS, text, subject=name)
    text += (
        ", and TRUNCATE is not looked for (watch_partitions is false)"
        if told
        else ", and without event triggers nobody notices"
    )
    return Finding("partitions", WARNS, text, "reload the table after one", name)


def _generated(row: asyncpg.Record, _: PostgresSourceConfig) -> Sequence[Finding]:
    if not row["generated"]:
        return ()
    names = ", ".join(row["generated"])
    text = f"{row['qualified']}: generated columns are computed by the target: {names}"
    return (Finding("generated-columns", TELLS, text, subject=row["qualified"]),)


def _without_log(row: asyncpg.Record) -> Finding:
    table, name = qualified(row["schema"], row["name"]), f"{row['schema']}.{row['name']}"
    if not row["partitions"]:
        text = f"{name} is unlogged: it has no log and is left out"
        return Finding("unlogged", WARNS, text, f"ALTER TABLE {table} SET LOGGED", name)
    partitions = ", ".join(row["partitions"][:TABLES_NAMED_MAX])
    text = (
        f"{name} has partitions whose changes are in no log, unlogged or on another server"
        f" ({partitions}): it is left out"
    )
    remedy = f"ALTER TABLE ... SET LOGGED, or ALTER TABLE {table} DETACH PARTITION ..."
    return Finding("partition-without-log", WARNS, text, remedy, name)


_KINDS: Final = {
    "v": "views are not carried: they have no rows of their own",
    "m": "materialized views are not carried: they have no log",
    "f": "foreign tables are not carried: their rows are another server's, which is their source",
}


def _no_tables(row: asyncpg.Record) -> Finding:
    """One for each kind; who has views has many."""
    names, count = row["names"], row["count"]
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return Finding("no-table", TELLS, f"{_KINDS[row['kind']]} ({', '.join(names)}{more})")


_CHECKS: Final[Sequence[Callable[[asyncpg.Record, PostgresSourceConfig], Sequence[Finding]]]] = (
    _readable,
    _row_security,
    _generated,
)

_TABLES: Final = """
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name,
  n.nspname || '.' || c.relname AS qualified,
  c.relkind = 'p' AS partitioned, current_user::text AS role,
  pg_catalog.pg_get_userbyid(c.relowner)::text AS owner,
  pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned,
  (SELECT o.rolsuper FROM pg_catalog.pg_roles o WHERE o.oid = c.relowner) AS super,
  pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable,
  pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS reachable,
  pg_catalog.row_security_active(c.oid) AS policies,
  (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attgenerated <> '') AS generated
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1::int8[]::oid[])
ORDER BY 1, 2
"""

_WITHOUT_LOG: Final = f"""
SELECT n.nspname::text AS schema, c.relname::text AS name,
  CASE c.relkind WHEN 'p' THEN ARRAY(SELECT l.relname::text {WITHOUT_LOG} ORDER BY 1) END
    AS partitions
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE (c.relkind = 'r' AND c.relpersistence = 'u'
    OR c.relkind = 'p' AND EXISTS (SELECT {WITHOUT_LOG}))
  AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%'
  AND n.nspname NOT IN ('information_schema', $1::text)
ORDER BY 1, 2
"""

_NO_TABLES: Final = f"""
SELECT c.relkind::text AS kind, count(*) AS count,
  (array_agg(n.nspname || '.' || c.relname ORDER BY n.nspname, c.relname))[:{TABLES_NAMED_MAX}]
    AS names
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm', 'f') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\\_%'
  AND n.nspname NOT IN ('information_schema', $1::text)
GROUP BY 1 ORDER BY 1 DESC
"""
