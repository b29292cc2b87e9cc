"""What keeps a PostgreSQL target from taking the rows, found before anything is written.

Reads only. A question the server refuses is a finding of its own (`unchecked`): it proves nothing.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias

from connectors._sql.quoting import identifier, literal, qualified
from connectors.postgres import acting_keys, control_schema, preflight_origins
from connectors.postgres.link import cells
from connectors.postgres.long_names import LONG_NAME_REMEDY, long_names
from connectors.postgres.plan import (
    Problem,
    in_text,
    not_received,
    problems_of,
    refused_in_binary,
)
from connectors.postgres.session import PostgresSession
from connectors.postgres.target_table import OTHER_KIND_REMEDY, TargetTable, other_kind
from engine.errors import TargetConnectionError, TargetError
from engine.model.finding import Finding, Severity
from engine.model.relation import Format, Relation

VERSION_MIN: Final = 130000
"""Oldest server that is tested: PostgreSQL 13."""

CONNECTIONS_FREE_MIN: Final = 10
"""Free connections below which a warning is given: four appliers, four loaders, the control
session, and one for whoever looks what is going on."""

REPLICA_ROLE_REFUSED: Final = Finding(
    "replica-role",
    Severity.BLOCKS,
    "the role may not set session_replication_role = replica on the target",
    "GRANT SET ON PARAMETER session_replication_role TO <role> (PostgreSQL 15+; before, only a"
    " superuser may), or leave the setting out",
)

Check: TypeAlias = Callable[[PostgresSession], Awaitable[Iterable[Finding]]]


async def preflight(session: PostgresSession, relations: Sequence[Relation]) -> Sequence[Finding]:
    """Every finding about this target for these tables.

    Raises:
        TargetConnectionError: the connection broke.
    """
    findings: list[Finding] = []
    for name, check in _SERVER_CHECKS.items():
        findings += await _tried(session, name, check)
    # A load alone chooses the form of each table.
    for relation in relations if session.config.streams else map(in_text, relations):

        async def about(session: PostgresSession, relation: Relation = relation) -> list[Finding]:
            return await _table(session, relation)

        findings += await _tried(session, f"table {relation.qualified}", about)

    async def acting(session: PostgresSession) -> Iterable[Finding]:
        (result,) = await session.run(acting_keys.QUERY)
        return acting_keys.findings(acting_keys.read(cells(result)), relations)

    return [*findings, *await _tried(session, "foreign keys", acting)]


async def _tried(session: PostgresSession, name: str, check: Check) -> Iterable[Finding]:
    try:
        return await check(session)
    except TargetConnectionError:
        raise
    except TargetError as error:
        return [Finding("unchecked", Severity.UNCHECKED, f"{name}: {error.message}", error.hint)]


async def _row(session: PostgresSession, sql: str) -> Sequence[str]:
    (result,) = await session.run(sql)
    return [cell or "" for cell in cells(result)[0]]


# --- the server -----------------------------------------------------------------------------------


async def _version(session: PostgresSession) -> Iterable[Finding]:
    if session.version >= VERSION_MIN:
        return ()
    text = f"the target is PostgreSQL {session.version // 10000}; 13 is the oldest supported"
    return (Finding("target-version", Severity.BLOCKS, text, "upgrade the target server"),)


async def _writable(session: PostgresSession) -> Iterable[Finding]:
    recovery, read_only = await _row(
        session, "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')"
    )
    if recovery == "t":
        text = "the target is a standby, which takes no writes"
        return (Finding("target-read-only", Severity.BLOCKS, text, "give the primary's address"),)
    if read_only == "on":
        text = "the target's transactions are read-only for this role or database"
        remedy = "ALTER ROLE CURRENT_USER SET default_transaction_read_only = off"
        return (Finding("target-read-only", Severity.BLOCKS, text, remedy),)
    return ()


async def _encoding(session: PostgresSession) -> Iterable[Finding]:
    (encoding,) = await _row(session, "SELECT current_setting('server_encoding')")
    if encoding == "UTF8":
        return ()
    text = f"the target database stores text as {encoding}: rows with other characters are refused"
    remedy = "create the target database with ENCODING 'UTF8'"
    return (Finding("target-encoding", Severity.WARNS, text, remedy),)


async def _durability(session: PostgresSession) -> Iterable[Finding]:
    fsync, pages = await _row(
        session, "SELECT current_setting('fsync'), current_setting('full_page_writes')"
    )
    if fsync == "on" and pages == "on":
        return ()
    name = "fsync" if fsync != "on" else "full_page_writes"
    text = f"{name} is off on the target: after its machine fails, stored rows may be gone"
    remedy = f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf()"
    return (Finding("target-durability", Severity.WARNS, text, remedy),)


async def _connections(session: PostgresSession) -> Iterable[Finding]:
    free, limit = await _row(
        session,
        "SELECT current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int"
        " - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
        " current_setting('max_connections')",
    )
    if int(free) >= CONNECTIONS_FREE_MIN:
        return ()
    text = f"{free} of the target's {limit} connections are free"
    remedy = "raise max_connections on the target and restart it"
    return (Finding("target-connections", Severity.WARNS, text, remedy),)


async def _privileges(session: PostgresSession) -> Iterable[Finding]:
    database, user, create, temporary, schema = await _row(
        session,
        "SELECT current_database(), current_user,"
        " has_database_privilege(current_database(), 'CREATE'),"
        " has_database_privilege(current_database(), 'TEMPORARY'),"
        f" to_regnamespace({literal(control_schema.SCHEMA)}) IS NOT NULL",
    )
    findings: list[Finding] = []
    for allowed, privilege, use in (
        (create == "t" or schema == "t", "CREATE", "make schema penstock"),
        (temporary == "t", "TEMPORARY", "make staging tables"),
    ):
        if not allowed:
            text = f"role {user} may not {use} in database {database}"
            remedy = f"GRANT {privilege} ON DATABASE {identifier(database)} TO {identifier(user)}"
            findings.append(Finding("target-privilege", Severity.BLOCKS, text, remedy))
    return findings


async def _control(session: PostgresSession) -> Iterable[Finding]:
    (exists,) = await _row(session, control_schema.EXISTS)
    if exists != "t":
        return ()
    (version,) = await _row(session, control_schema.CURRENT)
    if int(version) <= control_schema.VERSION:
        return ()
    text = (
        f"schema penstock on the target is of version {version}, made by a newer Penstock;"
        f" this one knows version {control_schema.VERSION}"
    )
    return (Finding("control-version", Severity.BLOCKS, text, "run the newer Penstock"),)


async def _replica_role(session: PostgresSession) -> Iterable[Finding]:
    """A session that was refused the setting was never opened: here only the consequence."""
    if not session.config.replica:
        return ()
    text = (
        "session_replication_role = replica: the target's foreign keys and triggers do not fire,"
        " and its deferrable unique constraints are not checked"
    )
    return (Finding("replica-role", Severity.TELLS, text),)


_SERVER_CHECKS: Final[dict[str, Check]] = {
    "version": _version,
    "writable": _writable,
    "encoding": _encoding,
    "durability": _durability,
    "connections": _connections,
    "privileges": _privileges,
    "control schema": _control,
    "replica role": _replica_role,
    "replication origins": preflight_origins.findings,
}


# --- a table --------------------------------------------------------------------------------------


async def _table(session: PostgresSession, relation: Relation) -> list[Finding]:
    table = await session.table(relation.table)
    if table is None:
        return await _absent(session, relation)
    kind = other_kind(table.kind)
    if kind is not None:
        text = f"{relation.qualified} {kind}"
        return [Finding("target-kind", Severity.BLOCKS, text, OTHER_KIND_REMEDY,
                        relation.qualified)]  # fmt: skip
    findings = [
        Finding("target-shape", Severity.BLOCKS, f"{relation.qualified}: {problem.text}",
                problem.remedy or f"ALTER TABLE {table.sql} ...", relation.qualified)
        for problem in problems_of(relation, table)
    ]  # fmt: skip
    findings += _key(relation, table)
    return findings + await _table_rights(session, relation, table)


async def _absent(session: PostgresSession, relation: Relation) -> list[Finding]:
    schema = literal(relation.schema)
    user, allowed = await _row(
        session,
        f"SELECT current_user, CASE WHEN to_regnamespace(quote_ident({schema})) IS NULL"
        " THEN has_database_privilege(current_database(), 'CREATE')"
        f" ELSE has_schema_privilege({schema}, 'CREATE') END",
    )
    name = relation.qualified
    refused = [
        Finding("target-shape", Severity.BLOCKS, f"{name}: {problem.text}", problem.remedy, name)
        for problem in await _not_taken(session, relation)
    ]
    long = list(long_names(relation))
    if long:
        return [Finding("target-names", Severity.BLOCKS, long[0], LONG_NAME_REMEDY, name)]
    if allowed == "t":
        text = f"{name} will be created"
        return [*refused, Finding("target-table", Severity.TELLS, text, "", name)]
    remedy = f"GRANT CREATE ON SCHEMA {identifier(relation.schema)} TO {identifier(user)}"
    text = f"{name} is not on the target and role {user} may not create it"
    return [*refused, Finding("target-table", Severity.BLOCKS, text, remedy, name)]


async def _not_taken(session: PostgresSession, relation: Relation) -> list[Problem]:
    """Columns whose values the target would not take in the form they come in."""
    refused = {c.name: refused_in_binary(c, session.version) for c in relation.columns}
    binary = [
        c for c in relation.columns
        if c.format is Format.BINARY and c.type.definition and refused[c.name] is None
    ]  # fmt: skip
    names = ", ".join(f"to_regtype({literal(column.type.name)})::oid::int8" for column in binary)
    found = await _row(session, f"SELECT {names}") if binary else ()
    oids = [int(oid or 0) for oid in found]
    types = await session.types([oid for oid in oids if oid], relation.qualified)
    unknown = [c for c, oid in zip(binary, oids, strict=True) if not types.receivable(oid)]
    return [*filter(None, refused.values()), *map(not_received, unknown)]


def _key(relation: Relation, table: TargetTable) -> Iterable[Finding]:
    names = [relation.columns[index].name for index in relation.key]
    if not names or any(key <= frozenset(names) for key in table.keys):
        return ()
    columns = ", ".join(identifier(name) for name in names)
    text = (
        f"{relation.qualified}: the target has no unique index on the key ({', '.join(names)}):"
        " every change reads the whole table, and a key held twice there stops it"
    )
    remedy = f"CREATE UNIQUE INDEX ON {table.sql} ({columns})"
    return (Finding("target-key", Severity.WARNS, text, remedy, relation.qualified),)


async def _table_rights(
    session: PostgresSession, relation: Relation, table: TargetTable
) -> list[Finding]:
    name = relation.qualified
    user, missing, hidden, triggers = await _row(
        session,
        "SELECT current_user, (SELECT string_agg(p, ', ') FROM"
        " unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p"
        f" WHERE NOT has_table_privilege({table.oid}, p)),"
        f" row_security_active({table.oid}),"
        f" (SELECT string_agg(tgname, ', ') FROM pg_trigger WHERE tgrelid = {table.oid}"
        f" AND NOT tgisinternal AND tgenabled {'IN' if session.config.replica else 'NOT IN'}"
        f" {_FIRES_AS_REPLICA if session.config.replica else _NOT_AS_ORIGIN})",
    )
    findings: list[Finding] = []
    if missing:
        remedy = (
            f"GRANT {missing} ON {qualified(relation.schema, relation.name)} TO {identifier(user)}"
        )
        text = f"{name}: role {user} lacks {missing} on the target"
        findings.append(Finding("target-privilege", Severity.BLOCKS, text, remedy, name))
    if hidden == "t":
        text = f"{name}: row security applies to role {user} on the target"
        remedy = f"ALTER ROLE {identifier(user)} BYPASSRLS"
        findings.append(Finding("target-row-security", Severity.BLOCKS, text, remedy, name))
    if triggers:
        text = f"{name}: triggers of the target fire for every row that arrives: {triggers}"
        remedy = f"ALTER TABLE {table.sql} DISABLE TRIGGER ..."
        findings.append(Finding("target-trigger", Severity.WARNS, text, remedy, name))
    return findings


_FIRES_AS_REPLICA: Final = "('R', 'A')"
_NOT_AS_ORIGIN: Final = "('D', 'R')"
