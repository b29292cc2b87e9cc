"""Checks of a source before anything is made: each finding with the statement that mends it.

A check that cannot run is a finding of its own and proves nothing.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from connectors.mysql import preflight_grants, preflight_settings, preflight_tables
from connectors.mysql.catalog import CatalogTable, read_tables
from connectors.mysql.connecting import Link
from connectors.mysql.preflight_settings import Variables
from connectors.mysql.quoting import literal
from connectors.mysql.server import STATUS_FROM, Ask, Server, read_head
from connectors.mysql.source_config import MysqlSourceConfig, derived_server_id
from engine.config.endpoint import LoadSnapshot
from engine.errors import SourceError
from engine.model.finding import Finding, Severity
from engine.model.relation import Relation

BLOCKS, WARNS, TELLS = Severity.BLOCKS, Severity.WARNS, Severity.TELLS
UNCHECKED = Severity.UNCHECKED

REPLICA_FROM: Final = (8, 0, 22)
"""MySQL version that calls a replica so; 8.4 has lost the older word."""

XA_DENIED: Final = 1401

NO_LOCK: Final = (
    "the user may not take the lock under which the full load's readers share a snapshot"
)
NO_LOCK_FOR_XA: Final = (
    "distributed transactions (XA) are in use, and the user may not take the lock under which the"
    " full load's snapshots are opened while one is prepared"
)
LATER_MOMENTS: Final = (
    "without RELOAD the full load's readers do not share one moment: each chunk is read at a"
    " snapshot of its own, and foreign keys between tables wait until the stream is past them all"
)
ONE_READER: Final = (
    "without RELOAD the readers of the full load cannot share a snapshot: one session reads all"
)

Check = Callable[[], Awaitable[Sequence[Finding]]]


class PreflightSource:
    """Runs every check, in a fixed order. `open_link` opens one more session."""

    def __init__(
        self,
        ask: Ask,
        open_link: Callable[[], Awaitable[Link]],
        server: Server,
        config: MysqlSourceConfig,
        *,
        generated: bool,
    ) -> None:
        self._ask = ask
        self._open_link = open_link
        self._server = server
        self._config = config
        self._generated = generated

    async def findings(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        """Raises SourceConnectionError, SourceError: the server does not answer at all."""
        variables = await self._variables()
        checks: dict[str, Check] = {"tables": lambda: self._tables(relations, variables)}
        if self._config.streams:
            checks |= {
                "settings": lambda: self._settings(variables),
                "replication-right": self._stream,
                "monitor-right": self._head,
                "binlog-filter": lambda: self._filter(relations),
                "replica-updates": lambda: self._replica_updates(variables),
                "prepared": self._prepared,
            }
        if self._config.loads:
            checks["select-right"] = lambda: preflight_grants.tables(self._ask, relations)
            if self._server.mariadb:
                checks["lock-right"] = self._lock_for_xa
            elif self._config.snapshot is not LoadSnapshot.WATERMARK:
                checks["lock-right"] = self._lock
            if self._places_by_lock:
                checks["table-lock-right"] = lambda: preflight_grants.table_locks(
                    self._ask, relations
                )
        found: list[Finding] = []
        for name, check in checks.items():
            try:
                found += await check()
            except SourceError as error:
                found.append(Finding(name, UNCHECKED, error.message, error.hint))
        return found

    async def _variables(self) -> Variables:
        names = ", ".join(map(literal, preflight_settings.NAMES))
        query = f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})"
        rows = await self._ask("reading settings", query)
        return {(name or "").lower(): value or "" for name, value in rows}

    async def _settings(self, variables: Variables) -> Sequence[Finding]:
        found = preflight_settings.findings(self._server, variables)
        if preflight_settings.on_rds(variables):
            found = [*found, *await self._rds()]
        return found

    async def _rds(self) -> Sequence[Finding]:
        rows = await self._ask("reading settings", _RDS)
        return preflight_settings.rds_retention(rows[0][0] if rows else None)

    async def _tables(
        self, relations: Sequence[Relation], variables: Variables
    ) -> Sequence[Finding]:
        names = [relation.table for relation in relations]
        tables: Sequence[CatalogTable] = await read_tables(self._ask, self._server, names)
        packet = int(variables.get("max_allowed_packet", 0) or 0)
        return preflight_tables.findings(
            tables,
            packet,
            streams=self._config.streams,
            generated=self._generated,
            acts_logged=variables.get("innodb_native_foreign_keys") == "OFF",
        )

    async def _stream(self) -> Sequence[Finding]:
        """Under a name of its own, so that a replication that runs is left alone."""
        server_id = derived_server_id(f"{self._config.replication} check")
        return await preflight_grants.stream(self._ask, self._open_link, server_id)

    async def _head(self) -> Sequence[Finding]:
        server = self._server
        return await preflight_grants.head(self._ask, server, lambda: read_head(self._ask, server))

    @property
    def _places_by_lock(self) -> bool:
        """Whether snapshots may have to be placed under locks of their tables."""
        server, choice = self._server, self._config.snapshot
        without = not server.mariadb and not server.gtid and self._config.streams
        return without and choice is not LoadSnapshot.LOCK

    async def _lock(self) -> Sequence[Finding]:
        if self._config.snapshot is LoadSnapshot.LOCK:
            return await preflight_grants.lock(self._ask, NO_LOCK, BLOCKS)
        means = LATER_MOMENTS if self._config.streams else ONE_READER
        return await preflight_grants.lock(self._ask, means, TELLS)

    async def _lock_for_xa(self) -> Sequence[Finding]:
        """With a stream MariaDB's snapshots need the lock only where distributed transactions are
        in use."""
        if not self._config.streams:
            return await self._lock()
        if not await self._ask("looking for XA", _XA_USED):
            return []
        return await preflight_grants.lock(self._ask, NO_LOCK_FOR_XA, WARNS)

    async def _filter(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        """Databases that the log leaves out."""
        old = self._server.mariadb or self._server.flavour.version < STATUS_FROM
        status = "SHOW MASTER STATUS" if old else "SHOW BINARY LOG STATUS"
        rows = await self._ask("looking at the binary log", status)
        only, never = ([d for d in (cell or "").split(",") if d] for cell in rows[0][2:4])
        schemas = sorted({relation.schema for relation in relations})
        missing = [s for s in schemas if s in never or (only and s not in only)]
        return [
            Finding(
                "binlog-filter",
                BLOCKS,
                f"changes in database {schema} are not written to the binary log",
                "take binlog_do_db and binlog_ignore_db out of the option file; restart",
                schema,
            )
            for schema in missing
        ]

    async def _replica_updates(self, variables: Variables) -> Sequence[Finding]:
        """A replica may keep to itself what it replicates."""
        names = ("log_replica_updates", "log_slave_updates")
        name = next((name for name in names if variables.get(name) == "OFF"), None)
        if name is None:
            return []
        old = self._server.mariadb or self._server.flavour.version < REPLICA_FROM
        status = "SHOW SLAVE STATUS" if old else "SHOW REPLICA STATUS"
        if not await self._ask("asking whether the source is a replica", status):
            return []
        text = "the source is a replica that does not log what it replicates"
        remedy = f"{name} = ON in its option file; restart"
        return [Finding("replica-updates", BLOCKS, text, remedy)]

    async def _prepared(self) -> Sequence[Finding]:
        try:
            how = "FORMAT = 'SQL'" if self._server.mariadb else "CONVERT XID"
            rows = await self._ask("looking for prepared transactions", f"XA RECOVER {how}")
        except SourceError as error:
            if error.context.get("error") != XA_DENIED:
                raise
            account = await preflight_grants.grantee(self._ask)
            remedy = f"GRANT XA_RECOVER_ADMIN ON *.* TO {account}"
            text = "whether distributed transactions (XA) are prepared could not be looked up"
            return [Finding("prepared", UNCHECKED, text, remedy)]
        if not rows:
            return []
        text = (
            f"{len(rows)} distributed transactions (XA) are prepared: their rows are carried when"
            " they are committed, as long as the binary log goes back to where they were prepared"
        )
        names = [row[3] if self._server.mariadb else _xid(row) for row in rows]
        remedy = "\n".join(f"XA COMMIT {name} or XA ROLLBACK {name}" for name in names)
        return [Finding("prepared", WARNS, text, remedy)]


def _xid(row: Sequence[str | None]) -> str:
    """A transaction's name, from its format, the sizes of its two parts, and these in digits."""
    form, size, _, digits = (cell or "" for cell in row)
    data = digits.removeprefix("0x")
    cut = 2 * int(size)
    return f"X'{data[:cut]}', X'{data[cut:]}', {form}"


_XA_USED: Final = """
SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_xa_start', 'Com_xa_commit') AND Value > 0
"""

_RDS: Final = """
SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'
"""
