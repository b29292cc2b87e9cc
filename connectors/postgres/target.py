"""A PostgreSQL database as the target of one replication."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Final, TypeVar

from connectors._interchange.load_rows import BinaryRows, TextRows
from connectors._sql import control_rows
from connectors._sql.kept import KeptSession
from connectors._sql.quoting import literal, qualified
from connectors._sql.shared_plans import SharedPlans
from connectors.postgres import (
    control_schema,
    control_sql,
    load_form,
    observed,
    target_preflight,
    target_state,
)
from connectors.postgres.address import conninfo
from connectors.postgres.catalog import WIRE, Catalog
from connectors.postgres.ensure import ensure, target_error
from connectors.postgres.errors import DRIVER_ERRORS
from connectors.postgres.finish import finish
from connectors.postgres.key_obstacles import key_obstacles
from connectors.postgres.link import LinkLostError, ServerError, cells
from connectors.postgres.load_connection import Connection, close, prepare
from connectors.postgres.loosen import loosen
from connectors.postgres.origins import Origins
from connectors.postgres.plan import TablePlan
from connectors.postgres.session import PostgresSession, connect
from connectors.postgres.sql import Sql
from connectors.postgres.sql import connect as connect_sql
from connectors.postgres.target_config import PostgresTargetConfig
from connectors.postgres.target_errors import refusal
from engine.abilities import Working
from engine.config.endpoint import Origin, ReplicationOrigin
from engine.config.replication import ReplicationConfig
from engine.errors import (
    ConfigError,
    SchemaMismatchError,
    SourceConnectionError,
    SourceError,
    TargetConnectionError,
    TargetError,
)
from engine.machine import Clock, Random
from engine.model.activity import Activity
from engine.model.finding import Finding
from engine.model.load_rows import LoadRows
from engine.model.relation import Relation, TableName
from engine.model.state import QuarantinedRow
from engine.model.table import ForeignKey, TableDefinition

T = TypeVar("T")

TERMINATE_WAIT_MS: Final = 5000
"""How long `terminate` waits for each session to be gone, in milliseconds (14+)."""


def create(config: ReplicationConfig, _clock: Clock, _random: Random) -> "PostgresTarget":
    """The target that a replication file names; connects to nothing yet. Raises ConfigError."""
    target = config.target
    if target.url is None:
        raise ConfigError("target.url", "is needed for a PostgreSQL target")
    return PostgresTarget(
        PostgresTargetConfig(
            replication=config.id,
            conninfo=conninfo(target.url),
            synchronous_commit=target.synchronous_commit.value,
            session_replication_role=target.session_replication_role.value,
            drop_columns=config.apply.drop_columns,
            execute_timeout_seconds=target.settings.execute_timeout_seconds,
            replication_origin=target.replication_origin,
            writers=_appliers(config) + _other_writers(config),
            other_writers=_other_writers(config),
            two_way=_two_way(config),
            streams=config.streams,
        )
    )


def _appliers(config: ReplicationConfig) -> int:
    """As many as there are at the smallest size; further ones take places as they come."""
    return config.budget(config.capacity.units_min).appliers if config.streams else 0


def _other_writers(config: ReplicationConfig) -> int:
    """The checkpoint's session, and the loaders of a table that is loaded meanwhile."""
    copiers = config.budget(config.capacity.units_min).copiers if config.loads else 0
    return int(config.streams) + copiers


def _two_way(config: ReplicationConfig) -> bool:
    """Whether the file speaks of a replication in the other direction: one that runs alone has no
    reason to leave changes out, or to insist on marks."""
    required = config.target.replication_origin is ReplicationOrigin.REQUIRED
    return required or config.source.origin is not Origin.ANY


_IDENTITY: Final = (
    "SELECT pid, backend_start::text FROM pg_catalog.pg_stat_activity"
    " WHERE pid = pg_catalog.pg_backend_pid()"
)


_AT_WORK: Final = """
SELECT a.pid, a.backend_start::text, CASE WHEN a.wait_event_type = 'Lock' THEN
  'a lock (' || a.wait_event || ') held by ' || coalesce(nullif((
    SELECT string_agg('session ' || b.pid || coalesce(' of ' || b.usename, '')
      || coalesce(' (' || nullif(b.application_name, '') || ')', ''), ', ' ORDER BY b.pid)
    FROM pg_catalog.pg_stat_activity b WHERE b.pid = ANY (pg_catalog.pg_blocking_pids(a.pid))
  ), ''), 'a prepared transaction') END
FROM pg_catalog.pg_stat_activity a
WHERE a.pid IN ({numbers}) AND a.state NOT LIKE 'idle%'
  AND (a.wait_event_type IS NULL OR a.wait_event_type <> 'Client')
"""
"""An application's name is its own choice, and no row's value."""

_MARK: Final = (
    "SELECT 1 FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND"
    " (classid::int8 << 32 | objid::int8) = $1 AND database ="
    " (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
)


class PostgresTarget:
    """See `contracts.TransactionalTarget`, `SchemaTarget` and `Checked`, and
    `abilities.SeeingTarget` and `ObservedTarget`."""

    forms = (WIRE,)

    def __init__(self, config: PostgresTargetConfig) -> None:
        config.validate()
        self._config = config
        self._opened: Callable[[tuple[int, str]], AbstractAsyncContextManager[None]]
        self._opened = lambda _: nullcontext()
        self._sql = Sql(
            config.conninfo, config.application_name, config.execute_timeout_seconds, "target"
        )
        self._origins = Origins(
            config.replication,
            config.writers,
            config.replication_origin,
            two_way=config.two_way,
            others=config.other_writers,
        )
        self._plans: SharedPlans[TablePlan] = SharedPlans()
        self._inspecting = KeptSession(lambda: connect(self._config))

    async def open(self) -> None:
        """Find out that the server answers and takes this user.

        Raises:
            TargetConnectionError, TargetError.
        """
        self._sql.reopen()
        self._plans.forget()  # another server may answer now
        async with self.session():
            pass

    async def close(self) -> None:
        """Release what is not released by a context of its own. Idempotent."""
        await self._inspecting.close()
        await self._sql.close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[PostgresSession]:
        """See `contracts.TransactionalTarget.session`.

        Raises:
            TargetConnectionError, TargetError.
        """
        session = await connect(self._config, self._origins, self._plans)
        try:
            yield session
        finally:
            await session.close()

    async def terminate(self, sessions: Sequence[tuple[int, str]]) -> None:
        """See `contracts.TransactionalTarget.terminate`. Sessions of other roles are left alone
        where this one may not end them."""
        async with self.session() as session:
            waits = ["", f", {TERMINATE_WAIT_MS}"] if session.version >= 140000 else [""]
            for wait in waits:  # all are told before the first is waited for
                for pid, start in sessions:
                    await session.run(
                        f"SELECT pg_terminate_backend(pid{wait}) FROM pg_stat_activity"
                        f" WHERE pid = {int(pid)} AND backend_start::text = {literal(start)}"
                        " AND (pg_has_role(usesysid, 'MEMBER')"
                        " OR pg_has_role('pg_signal_backend', 'MEMBER'))"
                    )

    async def inspect(
        self, sessions: Sequence[tuple[int, str]]
    ) -> Mapping[tuple[int, str], Working]:
        """See `abilities.InspectedTarget`."""
        numbers = ", ".join([str(int(pid)) for pid, _ in sessions])
        async with self._inspecting.use() as session:
            (result,) = await session.run(_AT_WORK.format(numbers=numbers))
        found = {
            (int(pid or 0), start or ""): Working(waits_for or "")
            for pid, start, waits_for in cells(result)
        }
        return {identity: found[identity] for identity in sessions if identity in found}

    def announce_to(
        self, opened: Callable[[tuple[int, str]], AbstractAsyncContextManager[None]]
    ) -> None:
        """See `contracts.Announcing`."""
        self._opened = opened

    # --- control schema -----------------------------------------------------------------------

    async def prepare_control(self) -> None:
        """See `contracts.TransactionalTarget.prepare_control`. Safe in two processes at once."""
        async with self.session() as session:
            if await _control_version(session) == control_schema.VERSION:
                return
            await session.run(f"BEGIN;SELECT pg_advisory_xact_lock({control_schema.LOCK_KEY})")
            found = await _control_version(session)
            if found < control_schema.VERSION:
                await session.run(control_schema.migration(found), "schema penstock")
            await session.run("COMMIT")

    async def begun(self) -> Sequence[TableName]:
        """See `abilities.ResumingTarget.begun`."""
        return await _of_target(self._begun())

    async def _begun(self) -> Sequence[TableName]:
        doing = "looking for tables that were begun"
        if not await self._sql.value(doing, control_schema.EXISTS):
            return ()
        rows = await self._sql.fetch(doing, control_sql.BEGUN, self._config.replication)
        return [TableName(schema, name) for schema, name in rows]

    async def quarantined(
        self, after: int, rows_max: int, bytes_max: int
    ) -> Sequence[QuarantinedRow]:
        """See `abilities.QuarantineTarget.quarantined`."""
        return await _of_target(self._quarantined(after, rows_max, bytes_max))

    async def _quarantined(
        self, after: int, rows_max: int, bytes_max: int
    ) -> Sequence[QuarantinedRow]:
        doing = "reading rows that were kept aside"
        if not await self._sql.value(doing, control_schema.EXISTS):
            return ()
        rows = await self._sql.fetch(
            doing, control_sql.QUARANTINED, self._config.replication, after, rows_max, bytes_max
        )
        return [control_rows.quarantined(tuple(row)) for row in rows]

    # --- replication origins ------------------------------------------------------------------

    async def prepare_origins(self) -> Finding | None:
        """See `contracts.OriginTarget.prepare_origins`."""
        async with self.session() as session:
            return await _plainly(self._origins.prepare(session.link))

    async def drop_origins(self) -> None:
        """See `contracts.OriginTarget.drop_origins`."""
        async with self.session() as session:
            await _plainly(self._origins.drop(session.link))

    async def sees(self, number: int) -> bool:
        """See `abilities.SeeingTarget`."""
        return await _of_target(self._sees(number))

    async def _sees(self, number: int) -> bool:
        found = await self._sql.value("looking for the source's mark", _MARK, number)
        return found is not None

    # --- tables -------------------------------------------------------------------------------

    async def relation(self, table: TableName) -> Relation | None:
        """See `contracts.SchemaTarget.relation`."""
        return await _of_target(self._relation(table))

    async def _relation(self, table: TableName) -> Relation | None:
        name = qualified(table.schema, table.name)
        oid = await self._sql.value(
            f"describing {table} on the target",
            "SELECT pg_catalog.to_regclass($1)::oid::int8",
            name,
        )
        if oid is None:
            return None
        catalog = Catalog(self._sql)
        found = await catalog.tables([oid])
        return (await catalog.describe(found[0].message))[0] if found else None

    async def key_obstacles(self, relations: Sequence[Relation]) -> Mapping[TableName, str]:
        """See `contracts.KeyedTables.key_obstacles`."""
        return await _of_target(key_obstacles(self._sql, relations))

    async def activity(self, sessions: Sequence[tuple[int, str]]) -> Activity:
        """See `abilities.ObservedTarget.activity`."""
        return await _of_target(observed.activity(self._sql, sessions))

    async def unindexed(self, relations: Sequence[Relation]) -> Sequence[TableName]:
        """See `abilities.ObservedTarget.unindexed`."""
        return await _of_target(observed.unindexed(self._sql, relations))

    async def empty(self, table: TableName) -> bool:
        """See `contracts.SchemaTarget.empty`."""
        async with self._connection() as connection:
            return await target_state.empty(connection, table)

    async def ensure(self, definitions: Sequence[TableDefinition], prepare: str) -> None:
        """See `contracts.SchemaTarget.ensure`."""
        async with self._working() as connection, self._marked(connection):
            await ensure(connection, definitions, prepare)

    @asynccontextmanager
    async def _marked(self, connection: Connection) -> AsyncIterator[None]:
        """Have the TRUNCATE of tables on this connection told from those of others."""
        if not self._origins.on:
            yield
            return
        try:
            number = await self._origins.take(connection.execute)
        except DRIVER_ERRORS as error:
            raise target_error(error, "marking a session of the target") from error
        try:
            yield
        finally:
            self._origins.give_back(number)

    async def finish(self, definitions: Sequence[TableDefinition]) -> Sequence[Finding]:
        """See `contracts.SchemaTarget.finish`."""
        async with self._working() as connection:
            return await finish(connection, definitions)

    async def loosen(
        self, definitions: Sequence[TableDefinition], tables: Collection[TableName]
    ) -> None:
        """See `contracts.SchemaTarget.loosen`."""
        async with self._working() as connection:
            await loosen(connection, definitions, tables)

    async def foreign_keys(self) -> Sequence[ForeignKey]:
        """See `contracts.SchemaTarget.foreign_keys`."""
        async with self._connection() as connection:
            return await target_state.foreign_keys(connection, replica=self._config.replica)

    async def load_form(self, relation: Relation) -> str:
        """See `contracts.SchemaTarget.load_form`."""
        there = await self.relation(relation.table)
        return load_form.load_form(relation, there, await self._version())

    def load_rows(self, relation: Relation, form: str) -> LoadRows:
        """See `contracts.SchemaTarget.load_rows`."""
        return BinaryRows() if form == load_form.BINARY else TextRows(len(relation.columns))

    async def _version(self) -> int:
        async with self._connection() as connection:
            return int(await connection.fetchval("SELECT current_setting('server_version_num')"))

    async def preflight(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        """See `contracts.Checked.preflight`."""
        try:
            async with self.session() as session:
                return await target_preflight.preflight(session, relations)
        except TargetError as error:
            if not self._config.replica or error.context.get("sqlstate") != "42501":
                raise
        as_origin = replace(self._config, session_replication_role="origin")
        found = await PostgresTarget(as_origin).preflight(relations)
        return [target_preflight.REPLICA_ROLE_REFUSED, *found]

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[Connection]:
        """A connection that changes things, announced before it does."""
        async with self._connection() as connection:
            try:
                row = await connection.fetchrow(_IDENTITY)
            except DRIVER_ERRORS as error:
                raise target_error(error, "naming a session of the target") from error
            assert row is not None
            async with self._opened((row[0], row[1])):
                try:
                    yield connection
                finally:
                    self._plans.forget()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """A session for work that takes its time."""
        try:
            connection = await connect_sql(self._config.conninfo, self._config.application_name)
        except DRIVER_ERRORS as error:
            raise target_error(error, "connecting to the target") from error
        try:
            await prepare(connection)
            yield connection
        except DRIVER_ERRORS as error:
            raise target_error(error, "asking the target") from error
        finally:
            await close(connection)


async def _of_target(work: Awaitable[T]) -> T:
    """The work's result, which asks as one asks a source; its errors as the target's."""
    try:
        return await work
    except SourceConnectionError as error:
        raise TargetConnectionError(error.message, hint=error.hint) from error
    except SourceError as error:
        raise TargetError(error.message, hint=error.hint) from error


async def _plainly(work: Awaitable[T]) -> T:
    """The work's result; its errors as the engine's."""
    try:
        return await work
    except ServerError as error:
        raise refusal(error, "replication origins") from error
    except LinkLostError as error:
        raise TargetConnectionError("the connection to the target broke") from error


async def _control_version(session: PostgresSession) -> int:
    """The version there, 0 for none. Raises SchemaMismatchError for a newer one."""
    (exists,) = await session.run(control_schema.EXISTS)
    if cells(exists)[0][0] != "t":
        return 0
    (result,) = await session.run(control_schema.CURRENT)
    found = int(cells(result)[0][0] or 0)
    if found > control_schema.VERSION:
        raise SchemaMismatchError(
            f"schema penstock on the target is of version {found};"
            f" this Penstock knows version {control_schema.VERSION}",
            hint="run the newer Penstock that made it",
        )
    return found
