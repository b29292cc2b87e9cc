"""What keeps a MySQL or MariaDB target from taking the rows, found before anything is written.

Reads only. A question the server refuses is a finding of its own (`unchecked`): it proves nothing.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from connectors.mysql import control_schema, grants
from connectors.mysql.control import cells
from connectors.mysql.plan import engine_remedy, problems_of
from connectors.mysql.quoting import identifier, literal
from connectors.mysql.target_table import OTHER_KIND_REMEDY, TargetTable
from engine.errors import TargetConnectionError, TargetError
from engine.model.finding import Finding, Severity
from engine.model.relation import Relation, ReplicaIdentity

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession

MARIADB_MIN: Final = (10, 6, 0)
MYSQL_MIN: Final = (8, 0, 13)
"""Oldest servers that are meant: DDL that is whole or not at all, defaults that are expressions."""

PACKET_BYTES_MIN: Final = 16_777_216
"""max_allowed_packet below which a warning is given: both dialects' own default is no smaller."""

CONNECTIONS_FREE_MIN: Final = 10
"""Free connections below which a warning is given: four appliers, four loaders, the control
session, and one for whoever looks what is going on."""

ROWS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
TABLES: Final = ("CREATE", "ALTER", "DROP", "INDEX", "REFERENCES")
CONTROL: Final = (*ROWS, "CREATE", "ALTER", "CREATE TEMPORARY TABLES")

Check: TypeAlias = "Callable[[MysqlSession], Awaitable[Iterable[Finding]]]"


async def preflight(session: "MysqlSession", relations: Sequence[Relation]) -> Sequence[Finding]:
    """Every finding about this target for these tables.

    Raises:
        TargetConnectionError: the connection broke.
    """
    findings: list[Finding] = []
    for name, check in _SERVER_CHECKS.items():
        findings += await _tried(session, name, check)

    async def rights(session: "MysqlSession") -> Iterable[Finding]:
        return _rights(await _grants(session), relations)

    findings += await _tried(session, "privileges", rights)
    for relation in relations:

        async def about(
            session: "MysqlSession", relation: Relation = relation
        ) -> Iterable[Finding]:
            return await _table(session, relation)

        findings += await _tried(session, f"table {relation.qualified}", about)
    return findings


async def _tried(session: "MysqlSession", name: str, check: Check) -> list[Finding]:
    try:
        return list(await check(session))
    except TargetConnectionError:
        raise
    except TargetError as error:
        return [Finding("unchecked", Severity.UNCHECKED, f"{name}: {error.message}", error.hint)]


async def _row(session: "MysqlSession", sql: str) -> list[str]:
    (result,) = await session.run(sql.encode())
    return [cell or "" for cell in cells(result)[0]]


# --- the server -----------------------------------------------------------------------------------


async def _version(session: "MysqlSession") -> Iterable[Finding]:
    flavour = session.flavour
    oldest = MARIADB_MIN if flavour.mariadb else MYSQL_MIN
    if flavour.version >= oldest:
        return ()
    text = f"the target is {flavour}; {'.'.join(map(str, oldest))} is the oldest supported"
    return (Finding("target-version", Severity.BLOCKS, text, "upgrade the target server"),)


async def _writable(session: "MysqlSession") -> Iterable[Finding]:
    names = ["read_only", "innodb_read_only"] + ["super_read_only"] * (not session.flavour.mariadb)
    values = await _row(session, f"SELECT {', '.join(f'@@global.{name}' for name in names)}")
    on = [name for name, value in zip(names, values, strict=True) if value not in ("0", "OFF")]
    if not on:
        return ()
    text = f"{', '.join(on)} is on on the target: it takes no writes"
    remedy = f"give the primary's address, or SET GLOBAL {on[0]} = OFF"
    return (Finding("target-read-only", Severity.BLOCKS, text, remedy),)


async def _durability(session: "MysqlSession") -> Iterable[Finding]:
    flush, log, sync = await _row(
        session, "SELECT @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog"
    )
    wrong = ["innodb_flush_log_at_trx_commit"] * (flush != "1")
    wrong += ["sync_binlog"] * (log == "1" and sync != "1")
    return [
        Finding(
            "target-durability",
            Severity.WARNS,
            f"{name} is not 1 on the target: after its machine fails, rows that were reported as"
            " stored may be gone",
            f"SET GLOBAL {name} = 1",
        )
        for name in wrong
    ]


async def _log_format(session: "MysqlSession") -> Iterable[Finding]:
    log, form = await _row(session, "SELECT @@log_bin, @@binlog_format")
    if log != "1" or form != "STATEMENT":
        return ()
    text = (
        "binlog_format is STATEMENT on the target: it refuses writes at the isolation level READ"
        " COMMITTED, and a replica of it would not get the same rows"
    )
    return (Finding("target-log-format", Severity.BLOCKS, text, "SET GLOBAL binlog_format = ROW"),)


async def _packets(session: "MysqlSession") -> Iterator[Finding]:
    (size,) = await _row(session, "SELECT @@max_allowed_packet")
    return _packet_findings(session, int(size))


def _packet_findings(session: "MysqlSession", size: int) -> Iterator[Finding]:
    if size < PACKET_BYTES_MIN:
        text = f"max_allowed_packet is {size} bytes on the target: larger rows are refused"
        yield Finding(
            "target-packet", Severity.WARNS, text, "SET GLOBAL max_allowed_packet = 67108864"
        )
    if not session.loads:
        text = "local_infile is off on the target: rows go by INSERT, which is slower"
        yield Finding("target-load-data", Severity.TELLS, text, "SET GLOBAL local_infile = ON")


async def _connections(session: "MysqlSession") -> Iterable[Finding]:
    (limit,) = await _row(session, "SELECT @@max_connections")
    (result,) = await session.run(b"SHOW GLOBAL STATUS LIKE 'Threads_connected'")
    free = int(limit) - int(cells(result)[0][1] or 0)
    if free >= CONNECTIONS_FREE_MIN:
        return ()
    text = f"{free} of the target's {limit} connections are free"
    return (Finding("target-connections", Severity.WARNS, text, "raise max_connections"),)


async def _control(session: "MysqlSession") -> Iterable[Finding]:
    (exists,) = await _row(session, control_schema.EXISTS.decode())
    if exists != "1":
        return ()
    (version,) = await _row(session, control_schema.CURRENT.decode())
    if int(version) <= control_schema.VERSION:
        return ()
    text = (
        f"database penstock on the target is of version {version}, made by a newer Penstock;"
        f" this one knows version {control_schema.VERSION}"
    )
    return (Finding("control-version", Severity.BLOCKS, text, "run the newer Penstock"),)


async def _keys_off(session: "MysqlSession") -> Iterable[Finding]:
    if session.config.checks_keys:
        return ()
    text = (
        "session_replication_role = replica: foreign keys of the target are not checked and do"
        " nothing by themselves; triggers fire all the same"
    )
    return (Finding("replica-role", Severity.TELLS, text),)


_SERVER_CHECKS: Final[dict[str, Check]] = {
    "version": _version,
    "writable": _writable,
    "durability": _durability,
    "log format": _log_format,
    "packets": _packets,
    "connections": _connections,
    "control tables": _control,
    "foreign keys": _keys_off,
}


# --- privileges -----------------------------------------------------------------------------------


async def _grants(session: "MysqlSession") -> grants.Grants:
    (result,) = await session.run(b"SHOW GRANTS")
    return grants.read([row[0] or "" for row in cells(result)])


def _rights(found: grants.Grants, relations: Sequence[Relation]) -> Iterator[Finding]:
    """What is missing blocks, unless a role may bring it."""
    missing = found.missing(CONTROL, control_schema.DATABASE)
    if missing:
        yield _right(found, missing, f"{identifier(control_schema.DATABASE)}.*", "")
    for schema in dict.fromkeys([relation.schema for relation in relations]):
        tables = [relation for relation in relations if relation.schema == schema]
        missing = found.missing((*ROWS, *TABLES), schema)
        if missing and any(found.missing((*ROWS, *TABLES), schema, t.name) for t in tables):
            yield _right(found, missing, f"{identifier(schema)}.*", schema)


def _right(found: grants.Grants, missing: Sequence[str], on: str, subject: str) -> Finding:
    text = f"the user lacks {', '.join(missing)} on {on} of the target"
    remedy = f"GRANT {', '.join(missing)} ON {on} TO CURRENT_USER()"
    needed = any(one in ROWS for one in missing) or not subject
    severity = Severity.BLOCKS if needed else Severity.WARNS
    if found.roles:
        severity = Severity.UNCHECKED
        text += ", unless a role has it"
    return Finding("target-privilege", severity, text, remedy, subject)


# --- a table --------------------------------------------------------------------------------------


async def _table(session: "MysqlSession", relation: Relation) -> list[Finding]:
    name = relation.qualified
    table = await session.table_now(relation.table)
    if table is None:
        made = Finding("target-table", Severity.TELLS, f"{name} will be created", "", name)
        return [made, *_keyless(session, relation)]
    if table.objection:
        check = "target-engine" if table.is_table else "target-kind"
        remedy = engine_remedy(table) if table.is_table else OTHER_KIND_REMEDY
        text = f"{name} {table.objection}"
        return [Finding(check, Severity.BLOCKS, text, remedy, name)]
    findings = [
        Finding("target-shape", Severity.BLOCKS, f"{name}: {problem}",
                f"ALTER TABLE {table.sql} ...", name)
        for problem in problems_of(relation, table)
    ]  # fmt: skip
    findings += _key(relation, table)
    if not await _indexed(session, relation):
        findings += _keyless(session, relation)
    return [*findings, *await _triggers(session, relation)]


def _key(relation: Relation, table: TargetTable) -> Iterator[Finding]:
    names = [relation.columns[index].name for index in relation.key]
    wanted = {name.lower() for name in names}
    if not names or any({n.lower() for n in key} <= wanted for key in table.keys):
        return
    text = (
        f"{relation.qualified}: the target has no unique index on the key ({', '.join(names)}):"
        " every change reads the whole table, and a key held twice there stops it"
    )
    columns = ", ".join(map(identifier, names))
    remedy = f"ALTER TABLE {table.sql} ADD UNIQUE ({columns})"
    yield Finding("target-key", Severity.WARNS, text, remedy, relation.qualified)


def _keyless(session: "MysqlSession", relation: Relation) -> Iterator[Finding]:
    by_values = not relation.key and relation.replica_identity is ReplicaIdentity.FULL
    if not by_values or not session.config.streams:
        return
    text = (
        f"{relation.qualified} has no key: its rows are found by all their values, so each UPDATE"
        " and DELETE reads the target's table up to its row (some 5 to 20 ms of the server's CPU"
        " for every 10,000 rows), unless an index leads to few of them"
    )
    remedy = "give it a primary key on the source, or an index on its most telling column here"
    yield Finding("target-no-key", Severity.WARNS, text, remedy, relation.qualified)


async def _indexed(session: "MysqlSession", relation: Relation) -> bool:
    (count,) = await _row(
        session,
        "SELECT COUNT(*) FROM information_schema.STATISTICS"
        f" WHERE TABLE_SCHEMA = {literal(relation.schema)}"
        f" AND TABLE_NAME = {literal(relation.name)}",
    )
    return count != "0"


async def _triggers(session: "MysqlSession", relation: Relation) -> list[Finding]:
    (result,) = await session.run(
        (
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS"
            f" WHERE EVENT_OBJECT_SCHEMA = {literal(relation.schema)}"
            f" AND EVENT_OBJECT_TABLE = {literal(relation.name)} ORDER BY TRIGGER_NAME"
        ).encode()
    )
    names = ", ".join([row[0] or "" for row in cells(result)])
    if not names:
        return []
    text = f"{relation.qualified}: triggers of the target fire for every row that arrives: {names}"
    return [Finding("target-trigger", Severity.WARNS, text, "DROP TRIGGER ...", relation.qualified)]
