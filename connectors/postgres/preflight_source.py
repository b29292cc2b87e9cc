"""Checks of a source before anything is made: each finding with the statement that mends it.

A check that cannot run (a missing privilege, a setting this version does not have) is a finding of
its own and proves nothing.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from connectors._sql.quoting import identifier
from connectors.postgres import acting_keys, preflight_tables
from connectors.postgres.catalog import Catalog
from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.connecting import REPLICATION_RIGHT
from connectors.postgres.ddl_capture import WITHOUT, DdlCapture
from connectors.postgres.heartbeat import EMIT_FUNCTION
from connectors.postgres.publication import EVERYTHING, Publications
from connectors.postgres.replication import ReplicationConnection
from connectors.postgres.server import BINARY_FROM, FAILOVER_FROM, Server, read_server
from connectors.postgres.slot import Slots
from connectors.postgres.sql import Sql
from engine.errors import SourceError
from engine.model.finding import Finding, Severity
from engine.model.relation import Relation, ReplicaIdentity

LONG_TRANSACTION_SECONDS: Final = 60
"""A transaction open for longer is named: making the slot waits until it has ended."""

SENDER_TIMEOUT_MS_MIN: Final = 5_000
"""Below this a short pause of our machine may cut the stream off."""

SQL_ASCII_REMEDY: Final = """\
CREATE FUNCTION pg_temp.is_utf8(t text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM convert(textsend(t), ''UTF8'', ''UTF8''); RETURN true; EXCEPTION WHEN OTHERS THEN RETURN false; END';
SELECT * FROM <table> WHERE NOT pg_temp.is_utf8(<column>);
mend the rows that this finds, or leave their table out by [mapping]"""  # noqa: E501 - to be copied

BLOCKS, WARNS, TELLS = Severity.BLOCKS, Severity.WARNS, Severity.TELLS


class PreflightSource:
    """Runs every check, in a fixed order."""

    def __init__(self, sql: Sql, catalog: Catalog, config: PostgresSourceConfig) -> None:
        self._sql = sql
        self._catalog = catalog
        self._config = config

    async def findings(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        """Raises SourceConnectionError, SourceError: the server does not answer at all."""
        server = await read_server(self._sql)
        checks: dict[str, Callable[[], Awaitable[Sequence[Finding]]]] = {
            "database": self._database,
            "tables": lambda: self._tables(server, relations),
        }
        found: list[Finding] = []
        if self._config.streams:
            found += _server(server)
            checks |= {
                "replication-connection": self._replication,
                "settings": self._settings,
                "create-publication": self._create_publication,
                "slot": lambda: self._slot(server),
                "publication": lambda: self._publication(relations),
                "transactions": self._transactions,
                "heartbeat": self._heartbeat,
                "types": lambda: self._types(server, relations),
                "schema-changes": lambda: self._schema_changes(server),
                "foreign-keys": lambda: self._foreign_keys(relations),
            }
        for name, check in checks.items():
            try:
                found += await check()
            except SourceError as error:
                found.append(Finding(name, Severity.UNCHECKED, error.message, error.hint))
        return found

    async def _tables(self, server: Server, relations: Sequence[Relation]) -> Sequence[Finding]:
        config = self._config
        capturing = config.streams and config.capture_ddl
        told = capturing and await self._capture().expected(server.version)
        return await preflight_tables.findings(
            self._sql, self._catalog, config, relations, told=told
        )

    async def _foreign_keys(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        """The target gets those that the source has."""
        if not self._config.keys_act:
            return []
        rows = await self._sql.fetch("looking at foreign keys", acting_keys.QUERY)
        return acting_keys.findings(acting_keys.read(rows), relations)

    def _capture(self) -> DdlCapture:
        config = self._config
        return DdlCapture(self._sql, config.ddl_schema, config.made, config.slot)

    async def _replication(self) -> Sequence[Finding]:
        """Everything that keeps a walsender from starting: privilege, pg_hba.conf, a pooler."""
        try:
            connection = await ReplicationConnection.open(
                self._config.conninfo, f"penstock {self._config.id} check", {}
            )
        except SourceError as error:
            remedy = error.hint.replace(REPLICATION_RIGHT, await self._grant_replication())
            return [Finding("replication-connection", BLOCKS, error.message, remedy)]
        try:
            await connection.query("identifying the source", "IDENTIFY_SYSTEM")
        except SourceError as error:
            return [Finding("replication-connection", BLOCKS, error.message, error.hint)]
        finally:
            await connection.close()
        return []

    async def _grant_replication(self) -> str:
        role = await self._sql.value("looking at the role", "SELECT current_user::text")
        return f"ALTER ROLE {identifier(role)} REPLICATION"

    async def _settings(self) -> Sequence[Finding]:
        rows = await self._sql.fetch("reading settings", _SETTINGS)
        return [finding for row in rows for finding in _setting(row[0], int(row[1]))]

    async def _create_publication(self) -> Sequence[Finding]:
        if self._config.publication_given:
            return []
        row = (await self._sql.fetch("looking at the database", _DATABASE))[0]
        if row["may_create"]:
            return []
        text = f"role {row['role']} may not make publications in database {row['name']}"
        remedy = (
            f"GRANT CREATE ON DATABASE {identifier(row['name'])} TO {identifier(row['role'])}\n"
            "or, without that right, name a publication that somebody else has made: publication"
            " in [source]"
        )
        return [Finding("create-publication", BLOCKS, text, remedy)]

    async def _database(self) -> Sequence[Finding]:
        row = (await self._sql.fetch("looking at the database", _DATABASE))[0]
        found = []
        if row["encoding"] not in ("UTF8", "SQL_ASCII"):
            text = f"the database's encoding is {row['encoding']}; values travel as UTF-8"
            found.append(Finding("encoding", TELLS, text))
        if row["encoding"] == "SQL_ASCII":
            text = (
                "the database's encoding is SQL_ASCII, which takes any bytes as text: a value that"
                " is not UTF-8 ends the replication when it comes to it"
            )
            found.append(Finding("encoding", WARNS, text, SQL_ASCII_REMEDY))
        if row["large_objects"]:
            text = "large objects are not copied and not streamed: the log does not carry them"
            found.append(Finding("large-objects", WARNS, text))
        if row["sequences"] and self._config.streams:
            text = "sequences are not in the stream: they are set when the load has ended"
            found.append(Finding("sequences", TELLS, text))
        return found

    async def _slot(self, server: Server) -> Sequence[Finding]:
        slots = Slots(self._sql, self._config.slot)
        slot = await slots.find()
        if slot is None:
            return [*await self._room(), *self._failover(server)]
        try:
            slot.check(server.database)
        except SourceError as error:
            return [Finding("slot", BLOCKS, error.message, error.hint, slot.name)]
        return self._held((await slots.retained()).transactions or 0)

    def _held(self, transactions: int) -> Sequence[Finding]:
        """What the slot keeps VACUUM from removing."""
        limit, slot = self._config.catalog_xmin_age_warn, self._config.slot
        if not 0 < limit < transactions:
            return []
        text = (
            f"replication slot {slot} has held back the source's catalogs for {transactions}"
            " transactions: VACUUM removes none of their rows that died since, so they grow"
        )
        remedy = "run the replication until it has caught up, or retire it: penstock cleanup"
        return [Finding("catalog-xmin", WARNS, text, remedy, slot)]

    def _failover(self, server: Server) -> Sequence[Finding]:
        if not self._config.failover or server.version >= FAILOVER_FROM:
            return []
        text = "before PostgreSQL 17 failover_slot has no effect: no standby has the slot"
        return [Finding("failover-slot", WARNS, text, "upgrade the source, or leave the key out")]

    async def _room(self) -> Sequence[Finding]:
        """Whether one more slot and two more walsenders fit."""
        row: Any = (await self._sql.fetch("counting slots", _ROOM))[0]
        found = []
        if row["slots"] >= row["slots_max"]:
            found.append(_too_few("max_replication_slots", row["slots_max"]))
        if row["senders"] + 2 > row["senders_max"]:
            found.append(_too_few("max_wal_senders", row["senders_max"]))
        return found

    async def _publication(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        name = self._config.publication
        given = self._config.publication_given
        handle = Publications(self._sql, name, self._config.id, EVERYTHING, given=given)
        tables = {
            r.id: r.table
            for r in relations
            if r.published and r.replica_identity is not ReplicaIdentity.NOTHING
        }
        try:
            await handle.changes(tables)
        except SourceError as error:
            return [Finding("publication", BLOCKS, error.message, error.hint, name)]
        return []

    async def _transactions(self) -> Sequence[Finding]:
        rows = await self._sql.fetch("looking at transactions", _LONG, LONG_TRANSACTION_SECONDS)
        return [
            Finding(
                "long-transaction", WARNS,
                f"a transaction of {row['who'] or 'another role'} has been open for"
                f" {row['seconds']} s; making the slot waits for it",
                f"SELECT pg_terminate_backend({row['pid']})" if row["pid"] else
                "COMMIT or ROLLBACK PREPARED",
            )
            for row in rows
        ]  # fmt: skip

    async def _heartbeat(self) -> Sequence[Finding]:
        if not self._config.heartbeat_write_seconds:
            return []
        row = (await self._sql.fetch("looking at the heartbeat's function", _EMIT))[0]
        if row["allowed"]:
            return []
        text = f"role {row['role']} may not write the heartbeat's logical messages"
        remedy = f"GRANT EXECUTE ON FUNCTION {row['function']} TO {identifier(row['role'])}"
        return [Finding("heartbeat", BLOCKS, text, remedy)]

    async def _schema_changes(self, server: Server) -> Sequence[Finding]:
        config = self._config
        if not config.capture_ddl:
            text = f"CaptureDdls is false; {WITHOUT}"
            return [Finding("schema-changes", TELLS, text)]
        return await self._capture().findings(server.version)

    async def _types(self, server: Server, relations: Sequence[Relation]) -> Sequence[Finding]:
        if server.version < BINARY_FROM:
            text = "PostgreSQL 13 has no binary form of the stream: values travel as text"
            return [Finding("text-mode", TELLS, text)]
        facts = await self._catalog.types(c.type.oid for r in relations for c in r.columns)
        return [
            Finding(
                "text-mode", TELLS,
                f"{r.qualified}, column {c.name}: {c.type.name} has no binary form that means the"
                " same elsewhere; the whole stream travels as text",
                subject=r.qualified,
            )
            for r in relations for c in r.columns if facts.unsendable(c.type.oid)
        ]  # fmt: skip


def _server(server: Server) -> Sequence[Finding]:
    try:
        server.check()
    except SourceError as error:
        return [Finding("server", BLOCKS, error.message, error.hint)]
    return []


def _setting(name: str, value: int) -> Sequence[Finding]:
    if name == "max_slot_wal_keep_size" and value < 0:
        text = "the source keeps log for a stopped replication until its disk is full"
        remedy = (
            "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); (a size"
            " that its disk has room for: past it the slot is lost, and tables load again)"
        )
        return [Finding("wal-limit", TELLS, text, remedy)]
    if name == "max_slot_wal_keep_size":
        text = f"the source gives the slot up once it keeps more than {value} MB of log for it"
        return [Finding("wal-limit", WARNS, text)]
    if name == "wal_sender_timeout" and 0 < value < SENDER_TIMEOUT_MS_MIN:
        text = f"wal_sender_timeout is {value} ms: a short pause cuts the stream off"
        remedy = "ALTER SYSTEM SET wal_sender_timeout = '60s'"
        return [Finding("sender-timeout", WARNS, text, remedy)]
    if name == "idle_replication_slot_timeout" and value > 0:
        text = (
            f"the source gives the slot up once the replication has been stopped for {value} s"
            " (idle_replication_slot_timeout), and tables load again"
        )
        remedy = (
            "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf(); or a time"
            " longer than it may be stopped for"
        )
        return [Finding("slot-timeout", WARNS, text, remedy)]
    return []


def _too_few(setting: str, value: int) -> Finding:
    text = f"no room: {setting} = {value} is used up"
    return Finding(
        "room", BLOCKS, text, f"ALTER SYSTEM SET {setting} = {value + 10}; restart", setting
    )


_SETTINGS: Final = """
SELECT name, setting FROM pg_catalog.pg_settings
WHERE name IN ('max_slot_wal_keep_size', 'wal_sender_timeout', 'idle_replication_slot_timeout')
ORDER BY name
"""

_DATABASE: Final = """
SELECT d.datname::text AS name, current_user::text AS role,
  pg_catalog.pg_encoding_to_char(d.encoding)::text AS encoding,
  pg_catalog.has_database_privilege(d.oid, 'CREATE') AS may_create,
  EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata) AS large_objects,
  EXISTS (SELECT FROM pg_catalog.pg_class WHERE relkind = 'S' AND relpersistence = 'p') AS sequences
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
"""

_ROOM: Final = """
SELECT (SELECT count(*) FROM pg_catalog.pg_replication_slots) AS slots,
  pg_catalog.current_setting('max_replication_slots')::int8 AS slots_max,
  (SELECT count(*) FROM pg_catalog.pg_stat_replication) AS senders,
  pg_catalog.current_setting('max_wal_senders')::int8 AS senders_max
"""

_EMIT: Final = f"""
SELECT f.oid::pg_catalog.regprocedure::text AS function, current_user::text AS role,
  pg_catalog.has_function_privilege(f.oid, 'EXECUTE') AS allowed
FROM {EMIT_FUNCTION} f
"""

_LONG: Final = """
SELECT a.pid, a.usename::text AS who,
  extract(epoch FROM pg_catalog.now() - a.xact_start)::int8 AS seconds
FROM pg_catalog.pg_stat_activity a
WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.xact_start < pg_catalog.now() - pg_catalog.make_interval(secs => $1::int4)
UNION ALL
SELECT NULL, p.owner::text, extract(epoch FROM pg_catalog.now() - p.prepared)::int8
FROM pg_catalog.pg_prepared_xacts p
WHERE p.prepared < pg_catalog.now() - pg_catalog.make_interval(secs => $1::int4)
"""
