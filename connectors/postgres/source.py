"""A PostgreSQL database as a source: its log through a slot, its rows through snapshots.

Order of making: publications first, then the slot. A slot reads the catalog as it was at each
change, so a publication that is younger than the slot does not exist for it.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from psycopg.conninfo import make_conninfo

from connectors.postgres.added_columns import added_columns
from connectors.postgres.catalog import Catalog, CatalogTable
from connectors.postgres.chunk_lookup import ChunkLookups
from connectors.postgres.chunks import cut
from connectors.postgres.config import STATUS_SECONDS_MAX, PostgresSourceConfig, TextMode
from connectors.postgres.ddl_capture import MESSAGES_FROM, DdlCapture
from connectors.postgres.ddl_capture_sql import DEFAULT_SCHEMA
from connectors.postgres.definitions import read_definitions
from connectors.postgres.errors import DRIVER_ERRORS, LOAD_AGAIN, TextModeNeededError, source_error
from connectors.postgres.feedback import Feedback
from connectors.postgres.load_connection import Connection, close, prepare
from connectors.postgres.lsn import lsn_text, parse_lsn
from connectors.postgres.pgoutput import PgOutputDecoder
from connectors.postgres.preflight_source import PreflightSource
from connectors.postgres.publication import EVERYTHING, INSERTS, Publications, change
from connectors.postgres.relation_message import RelationMessage
from connectors.postgres.replication import DATA_HEADER_BYTES, ReplicationConnection
from connectors.postgres.server import (
    BINARY_FROM,
    FAILOVER_FROM,
    ORIGIN_FROM,
    Server,
    check_timeline,
    read_server,
)
from connectors.postgres.slot import Slot, Slots
from connectors.postgres.snapshot import SnapshotReader
from connectors.postgres.sql import Sql, connect
from connectors.postgres.stream import LogStream
from connectors.postgres.visibility import visible
from engine.config.endpoint import Origin, WithoutIdentity
from engine.config.replication import ReplicationConfig
from engine.contracts import Attached, Clock, Random, Snapshot
from engine.errors import (
    ConfigError,
    PositionLostError,
    ReplicaIdentityError,
    SlotBusyError,
    SourceConnectionError,
    SourceError,
    SourceIdentityError,
)
from engine.model.change import Block, SchemaStep, Transaction
from engine.model.chunk import Chunk, ChunkDone
from engine.model.finding import Finding
from engine.model.position import LogPosition, Position
from engine.model.relation import Relation, ReplicaIdentity, TableName
from engine.model.table import TableDefinition
from engine.model.value import Key

APPLICATION: Final = "penstock"
"""`application_name` of our sessions begins with it."""

UNCLAIMED_SNAPSHOT_SECONDS: Final = 600.0
"""Time a new slot's snapshot is held for a load that has not asked for it. It keeps the source from
cleaning up dead rows; a load that comes later reads at a snapshot of its own, as well."""

SENDER_TIMEOUT_SHARE: Final = 3
"""Status updates in one `wal_sender_timeout`."""

DEFINITIONS_ATTEMPTS: Final = 10
"""Readings of table definitions while tables change; each takes a fraction of a second."""

VISIBLE_POLL_SECONDS: Final = 0.005
"""Between two looks whether a transaction that was sent can be seen: mostly a matter of µs."""

VISIBLE_SECONDS_MAX: Final = 60.0

OLDER_POLL_SECONDS: Final = 0.2
"""Between two looks whether the transactions before a change have ended."""


def create(config: ReplicationConfig, clock: Clock, _random: Random) -> "PostgresSource":
    """The source that a replication file names; connects to nothing yet. Raises ConfigError."""
    source = config.source
    if source.url is None:
        raise ConfigError("source.url", "is needed for a PostgreSQL source")
    password = source.url.password
    secret = {} if password is None else {"password": password.reveal()}
    return PostgresSource(
        PostgresSourceConfig.of(
            config.id.lower(),
            make_conninfo("", **source.url.libpq_parameters(), **secret),
            slot="" if config.slot_is_ours else config.slot_name,
            insert_only=source.without_identity is WithoutIdentity.INSERT_ONLY,
            origin_none=source.origin is Origin.NONE,
            capture_ddl=source.settings.capture_ddls,
            ddl_schema=source.settings.ddl_artifacts_schema or DEFAULT_SCHEMA,
        ),
        clock,
    )


@dataclass(slots=True)
class _Held:
    """The snapshot of a slot made just now."""

    snapshot: Snapshot
    stack: AsyncExitStack
    until: float


class PostgresSource:
    """See `engine.contracts.SnapshotSource`, `ExclusiveSource` and `Checked`."""

    def __init__(self, config: PostgresSourceConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        application = f"{APPLICATION} {config.id}"
        self._application = application
        self._sql = Sql(config.conninfo, application)
        self._catalog = Catalog(self._sql)
        self._slots = Slots(self._sql, config.slot)
        self._reader = SnapshotReader(self._connect)
        self._lookups = ChunkLookups()
        self._server: Server | None = None
        self._known: dict[int, Relation] = {}
        self._capture = DdlCapture(self._sql, config.ddl_schema, config.made)
        self._capturing = False
        self._timeline: int | None = None
        self._acknowledged = 0
        self._text_forced = config.text_mode is TextMode.TEXT
        self._stream: LogStream | None = None
        self._held: _Held | None = None

    # --- life ------------------------------------------------------------------------------------

    async def open(self) -> str:
        self._sql.reopen()
        return (await self._identified()).identity

    async def _identified(self) -> Server:
        """The server as it is now; the same one as before."""
        server = await read_server(self._sql)
        if self._server is not None and server.identity != self._server.identity:
            raise SourceIdentityError(
                f"the source is {server.identity}, it was {self._server.identity}"
            )
        self._server = server
        if self._text_forced or server.version < BINARY_FROM:
            self._catalog.text_mode = True
        return server

    async def close(self) -> None:
        await self._release_snapshot()
        await self._sql.close()

    # --- catalog ---------------------------------------------------------------------------------

    async def relations(self) -> Sequence[Relation]:
        return await self._catalog.relations()

    async def preflight(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        """Every finding about the server, the role and these tables. Reads only."""
        return await PreflightSource(self._sql, self._catalog, self._config).findings(relations)

    # --- what reading the log needs --------------------------------------------------------------

    async def attach(
        self,
        streamed: Sequence[TableName],
        insert_only: Sequence[TableName],
        *,
        create: bool = True,
    ) -> Attached:
        server = await self._checked_server()
        slot = await self._slots.find()
        if slot is not None:
            slot.check(server.database)
            for publication in self._publications():
                await publication.check()
        elif not create:
            raise self._slot_missing()
        if self._config.capture_ddl and server.version >= MESSAGES_FROM:
            self._capturing = await self._capture.ensure()
        altered = await self._set_tables(streamed, insert_only)
        await self._choose_mode(server)
        if slot is not None:
            if altered:
                await self._older_transactions_ended()
            return Attached(server.identity, LogPosition(slot.confirmed or 0), created=False)
        start = await self._create_slot(server)
        return Attached(server.identity, LogPosition(start), created=True)

    async def publish(
        self, streamed: Sequence[TableName], insert_only: Sequence[TableName]
    ) -> None:
        server = await self._checked_server()
        await self._set_tables(streamed, insert_only)
        binary = not self._catalog.text_mode
        await self._choose_mode(server)
        if binary and self._catalog.text_mode and self._stream is not None:
            self._stream.interrupt(TextModeNeededError("a new table needs the text mode"))
        await self._older_transactions_ended()

    async def detach(self) -> None:
        await self._release_snapshot()
        if self._config.slot not in self._config.user_named:
            await self._slots.drop()
        if self._config.capture_ddl:
            await self._capture.remove()
        statements = [text for one in self._publications() for text in await one.drop()]
        if statements:
            await change(self._sql, "dropping the publications", statements)

    async def reader(self) -> str | None:
        return await self._slots.owner()

    async def evict(self) -> None:
        await self._slots.evict()

    async def _set_tables(
        self, streamed: Sequence[TableName], insert_only: Sequence[TableName]
    ) -> bool:
        """Make the publications hold these tables; whether anything had to be changed."""
        if insert_only and not self._config.insert_only:
            raise SourceError(
                "tables were given to be streamed with their inserts only, which is switched off"
            )
        tables = {TableName(t.schema, t.name): t for t in await self._catalog.tables()}
        main, *rest = self._publications()
        wanted = [(main, _existing(tables, streamed))]
        wanted += [(one, _existing(tables, insert_only)) for one in rest]
        _check_identities(wanted[0][1])
        statements = [
            text
            for publication, members in wanted
            for text in await publication.changes({t.oid: TableName(t.schema, t.name)
                                                   for t in members})
        ]  # fmt: skip
        if statements:
            await change(self._sql, "changing the source's publications", statements)
        return bool(statements)

    def _publications(self) -> list[Publications]:
        config = self._config
        return [
            Publications(self._sql, name, config.id, publishes, given=name in config.user_named)
            for name, publishes in zip(config.made, (EVERYTHING, INSERTS), strict=False)
        ]

    async def _create_slot(self, server: Server) -> int:
        """Make the slot; its exported snapshot is taken over by a session of its own."""
        config = self._config
        options = "(SNAPSHOT 'export', FAILOVER true)"
        if not config.failover or server.version < FAILOVER_FROM:
            options = "EXPORT_SNAPSHOT"
        command = f'CREATE_REPLICATION_SLOT "{config.slot}" LOGICAL pgoutput {options}'
        connection = await self._replication()
        try:
            doing = f"making replication slot {config.slot} on the source"
            (row,) = await connection.query(doing, command)
            await self._hold(row["snapshot_name"] or "")
        finally:
            await connection.close()
        return parse_lsn(row["consistent_point"] or "")

    async def _hold(self, exported: str) -> None:
        stack = AsyncExitStack()
        snapshot = await stack.enter_async_context(self._reader.snapshot(exported))
        until = asyncio.get_running_loop().time() + UNCLAIMED_SNAPSHOT_SECONDS
        self._held = _Held(snapshot, stack, until)

    async def _release_snapshot(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            await held.stack.aclose()

    async def _older_transactions_ended(self) -> None:
        """Wait until no transaction runs that began before now. As long as it takes."""
        newest = int(await self._sql.value("reading the snapshot", _NEWEST_XID))
        while await self._oldest_transaction() < newest:  # noqa: ASYNC110 - the server has no event
            await asyncio.sleep(OLDER_POLL_SECONDS)

    async def _oldest_transaction(self) -> int:
        return int(await self._sql.value("reading the snapshot", _OLDEST_XID))

    # --- stream ----------------------------------------------------------------------------------

    def position(self, text: str) -> Position:
        return LogPosition.parse(text)

    async def blocks(self, after: Position) -> AsyncGenerator[Block, None]:
        assert isinstance(after, LogPosition)
        stream = await self._open_stream(after.offset)
        self._stream = stream
        try:
            async with aclosing(stream.blocks()) as blocks:
                async for block in blocks:
                    yield block
        except TextModeNeededError:
            self._text_forced = True
            raise
        finally:
            self._stream = None

    async def acknowledge(self, position: Position) -> None:
        assert isinstance(position, LogPosition)
        self._acknowledged = max(self._acknowledged, position.offset)
        if self._stream is not None:
            self._stream.feedback.acknowledge(self._acknowledged)

    async def head(self) -> Position:
        """The end of what is flushed; the stream is asked to tell when it has come there.

        A commit under `synchronous_commit = off` counts from when the server has flushed it.
        """
        lsn = parse_lsn(await self._sql.value("reading the head of the log", _HEAD))
        if self._stream is not None:
            self._stream.feedback.ask()
        return LogPosition(lsn)

    async def retained_bytes(self) -> int | None:
        return await self._slots.retained_bytes()

    async def _open_stream(self, after: int) -> LogStream:
        server = await self._checked_server()
        slot = await self._readable_slot(server, after)
        await self._check_publications()
        await self._choose_mode(server)
        connection = await self._replication()
        try:
            self._timeline = await check_timeline(connection, server, self._timeline, after)
            await self._start(connection, server, after)
            return self._log_stream(connection, server, after, slot.confirmed or 0)
        except BaseException:
            await connection.close()
            raise

    async def _readable_slot(self, server: Server, after: int) -> Slot:
        slot = await self._slots.find()
        if slot is None:
            raise self._slot_missing()
        slot.check(server.database)
        slot.check_position(after)
        await self._slots.check_free()
        return slot

    async def _start(self, connection: ReplicationConnection, server: Server, after: int) -> None:
        names = ",".join('"' + name.replace('"', '""') + '"' for name in self._config.publications)
        options = {"proto_version": "1", "publication_names": names}
        if not self._catalog.text_mode:
            options["binary"] = "true"
        if self._config.capture_ddl and server.version >= MESSAGES_FROM:
            options["messages"] = "true"
        if self._config.origin_none and server.version >= ORIGIN_FROM:
            options["origin"] = "none"
        try:
            await connection.start(self._config.slot, lsn_text(after), options)
        except SlotBusyError:
            await self._slots.check_free()
            raise

    def _log_stream(
        self, connection: ReplicationConnection, server: Server, after: int, confirmed: int
    ) -> LogStream:
        timeout = self._config.wal_sender_timeout_ms
        timeout_ms = server.sender_timeout_ms if timeout is None else timeout
        interval = timeout_ms / 1000 / SENDER_TIMEOUT_SHARE or STATUS_SECONDS_MAX
        # A server that wants to hear from us that often lets us hear from it as often.
        heartbeat = min(self._config.heartbeat_seconds, timeout_ms / 2000 or math.inf)
        flushed = max(confirmed, self._acknowledged)
        return LogStream(
            connection,
            PgOutputDecoder(self._known, start=DATA_HEADER_BYTES, xid=server.next_xid),
            Feedback(connection, self._clock, min(interval, STATUS_SECONDS_MAX), flushed),
            self._describe,
            self._clock,
            after=after,
            heartbeat=heartbeat,
            bytes_max=self._config.block_bytes_max,
            check=self._check_now_and_then,
        )

    async def _describe(
        self, message: RelationMessage, xid: int
    ) -> tuple[Relation, Sequence[SchemaStep]]:
        await self._visible(xid)
        relation, facts = await self._catalog.describe(message, numbered=not self._capturing)
        if not self._catalog.text_mode:
            for column in relation.columns:
                if facts.unsendable(column.type.oid):
                    raise TextModeNeededError(
                        f"{relation.qualified}, column {column.name}: {column.type.name} has no"
                        " binary form that means the same elsewhere"
                    )
        return relation, await added_columns(self._sql, message, relation)

    async def _visible(self, xid: int) -> None:
        """Wait until the catalog shows what a transaction did: it is sent as soon as it is in the
        log, and seen by others when its COMMIT returns, which may wait for a standby."""
        deadline = asyncio.get_running_loop().time() + VISIBLE_SECONDS_MAX
        while not await self._sql.value("looking for a transaction", _VISIBLE, str(xid)):
            if asyncio.get_running_loop().time() > deadline:
                raise SourceConnectionError(
                    f"transaction {xid} is in the log and has not returned from its COMMIT for"
                    f" {VISIBLE_SECONDS_MAX:.0f} s",
                    hint="a synchronous standby of the source may be away",
                )
            await asyncio.sleep(VISIBLE_POLL_SECONDS)

    async def _check_now_and_then(self) -> None:
        await self._check_publications()
        if self._held is not None and asyncio.get_running_loop().time() > self._held.until:
            await self._release_snapshot()

    async def _check_publications(self) -> None:
        """Check that they are as we left them, and that no published table lost its identity.

        The application's own UPDATE fails on such a table for as long as we publish it: it is taken
        out first, and then the stream stops.
        """
        main, *rest = self._publications()
        for publication in (main, *rest):
            await publication.check()
        found = await main.find()
        if found is None or found.replication is None or not found.members:
            return
        tables = {table.oid: table for table in await self._catalog.tables(found.members)}
        hurt = [t for t in tables.values() if t.usable_identity is ReplicaIdentity.NOTHING]
        if hurt:
            kept = found.members.keys() - {table.oid for table in hurt}
            statements = await main.changes({oid: found.members[oid] for oid in sorted(kept)})
            await change(self._sql, "taking tables out of the publication", statements)
            _check_identities(hurt)

    async def _choose_mode(self, server: Server) -> None:
        """Text or binary, from what the publications hold now."""
        if self._text_forced or server.version < BINARY_FROM:
            self._catalog.text_mode = True
            return
        names = list(self._config.publications)
        rows = await self._sql.fetch("reading published types", _PUBLISHED_TYPES, names)
        oids = [row[0] for row in rows]
        facts = await self._catalog.types(oids)
        self._catalog.text_mode = any(facts.unsendable(oid) for oid in oids)

    async def _checked_server(self) -> Server:
        server = await self._identified()
        server.check()
        return server

    def _slot_missing(self) -> PositionLostError:
        return PositionLostError(
            f"replication slot {self._config.slot} does not exist any more",
            hint=f"the changes since the stored position cannot be had; {LOAD_AGAIN}",
        )

    # --- snapshots -------------------------------------------------------------------------------

    async def definitions(self, tables: Sequence[TableName]) -> Sequence[TableDefinition]:
        """Of one moment: read again while a table changes in between."""
        found = await self._described(tables)
        async with self._session("reading table definitions") as connection:
            for _ in range(DEFINITIONS_ATTEMPTS):
                definitions = await read_definitions(connection, found)
                before, found = found, await self._described(tables)
                if found == before:
                    return definitions
        raise SourceConnectionError(
            "the definitions of tables keep changing while they are read",
            hint="wait until the application has finished its ALTER TABLE statements",
        )

    async def _described(self, tables: Sequence[TableName]) -> list[Relation]:
        relations = {relation.table: relation for relation in await self.relations()}
        return [relations[table] for table in tables if table in relations]

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return self._snapshot()

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Snapshot]:
        held, self._held = self._held, None
        if held is None:
            async with self._reader.snapshot() as snapshot:
                yield snapshot
        else:
            async with held.stack:
                yield held.snapshot

    async def chunks(self, relation: Relation, rows_max: int) -> Sequence[Chunk]:
        async with self._session(f"cutting {relation.qualified} into chunks") as connection:
            return await cut(connection, relation, rows_max)

    def rows(self, chunk: Chunk, snapshot: Snapshot, form: str) -> AsyncIterator[bytes]:
        return self._reader.rows(chunk, snapshot, form)

    def visible(self, snapshot: str, transaction: Transaction) -> bool:
        return visible(snapshot, transaction)

    def chunk_of(self, done: Sequence[ChunkDone], relation: Relation, key: Key) -> ChunkDone | None:
        return self._lookups.chunk_of(done, relation, key)

    # --- connections -----------------------------------------------------------------------------

    async def _connect(self) -> Connection:
        return await connect(self._config.conninfo, self._application)

    @asynccontextmanager
    async def _session(self, doing: str) -> AsyncIterator[Connection]:
        """A SQL session of its own, with everything pinned."""
        try:
            connection = await self._connect()
        except DRIVER_ERRORS as error:
            raise source_error(error, doing) from error
        try:
            await prepare(connection)
            yield connection
        except DRIVER_ERRORS as error:
            raise source_error(error, doing) from error
        finally:
            await close(connection)

    async def _replication(self) -> ReplicationConnection:
        timeout = self._config.wal_sender_timeout_ms
        settings = {} if timeout is None else {"wal_sender_timeout": f"{timeout}ms"}
        return await ReplicationConnection.open(self._config.conninfo, self._application, settings)


def _existing(
    tables: dict[TableName, CatalogTable], names: Sequence[TableName]
) -> Sequence[CatalogTable]:
    """Those that are still there; of a table that is gone there is nothing to stream."""
    return [tables[name] for name in names if name in tables]


def _check_identities(tables: Sequence[CatalogTable]) -> None:
    """Refuse to publish updates of a table whose own UPDATE would then be refused."""
    for table in tables:
        if table.usable_identity is ReplicaIdentity.NOTHING:
            name = f"{table.schema}.{table.name}"
            raise ReplicaIdentityError(
                f"{name} has no usable replica identity: publishing its updates would make the"
                " application's own UPDATE and DELETE fail",
                hint=f"add a primary key, or ALTER TABLE {name} REPLICA IDENTITY FULL",
            )


_HEAD: Final = "SELECT pg_catalog.pg_current_wal_flush_lsn()::text"
_NEWEST_XID: Final = "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text"
_OLDEST_XID: Final = "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text"
_VISIBLE: Final = (
    "SELECT pg_catalog.pg_visible_in_snapshot($1::text::xid8, pg_catalog.pg_current_snapshot())"
)
_PUBLISHED_TYPES: Final = """
SELECT DISTINCT a.atttypid::int8
FROM pg_catalog.pg_publication_tables p
JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE p.pubname = ANY ($1::text[]) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
"""
