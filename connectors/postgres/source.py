"""A PostgreSQL database as a source: its log through a slot, its rows through snapshots.

Order of making: publications first, then the slot. A slot reads the catalog as it was at each
change, so a publication that is younger than the slot does not exist for it.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Final

from connectors._interchange.chunk_lookup import ChunkLookups
from connectors._interchange.keyhash import key_hash
from connectors.postgres.address import conninfo
from connectors.postgres.catalog import WIRE, WIRE_TEXT, Catalog
from connectors.postgres.chunks import cut
from connectors.postgres.config import PostgresSourceConfig, TextMode
from connectors.postgres.ddl_capture import MESSAGES_FROM, DdlCapture
from connectors.postgres.ddl_capture_sql import DEFAULT_SCHEMA
from connectors.postgres.definitions import read_definitions
from connectors.postgres.errors import (
    DRIVER_ERRORS,
    LOAD_AGAIN,
    TextModeNeededError,
    source_error,
)
from connectors.postgres.heartbeat import Heartbeat
from connectors.postgres.held_snapshot import HeldSnapshot
from connectors.postgres.key_obstacles import key_obstacles
from connectors.postgres.load_connection import Connection, close, prepare
from connectors.postgres.lsn import lsn_text, parse_lsn
from connectors.postgres.open_transactions import OpenTransactions
from connectors.postgres.opening import StreamOpener
from connectors.postgres.partition_watch import PartitionWatch
from connectors.postgres.preflight_source import PreflightSource
from connectors.postgres.published import PublishedTables
from connectors.postgres.running_transactions import older_ended
from connectors.postgres.server import Server, read_server
from connectors.postgres.slot import Slots
from connectors.postgres.snapshot import SnapshotReader
from connectors.postgres.sql import Sql, connect
from connectors.postgres.stream import LogStream
from connectors.postgres.visibility import visible
from connectors.postgres.wire_form import WireForm
from engine.config.endpoint import SessionReplicationRole, WithoutIdentity
from engine.config.replication import ReplicationConfig
from engine.contracts import Attached, Waiting
from engine.errors import (
    ConfigError,
    PositionLostError,
    SourceConnectionError,
    SourceIdentityError,
)
from engine.machine import Clock, Random
from engine.model.change import Block, Transaction
from engine.model.chunk import Chunk, ChunkDone
from engine.model.finding import Finding
from engine.model.moment import moment_text
from engine.model.position import LogPosition, Position
from engine.model.relation import Relation, TableName
from engine.model.retained import Retained
from engine.model.snapshot import Snapshot
from engine.model.table import TableDefinition
from engine.model.value import Key, KeyHash

MARKING: Final = "marking the source, to know it from the target"

APPLICATION: Final = "penstock"
"""`application_name` of our sessions begins with it."""

TIMELINE: Final = re.compile(r"\A[0-9]{1,10}\Z")
"""A branch as `PostgresSource.branch` gives it."""

DEFINITIONS_ATTEMPTS: Final = 10
"""Readings of table definitions while tables change; each takes a fraction of a second."""


def create(config: ReplicationConfig, clock: Clock, _random: Random) -> "PostgresSource":
    """The source that a replication file names; connects to nothing yet. Raises ConfigError."""
    source = config.source
    if source.url is None:
        raise ConfigError("source.url", "is needed for a PostgreSQL source")
    return PostgresSource(
        PostgresSourceConfig.of(
            config.id.lower(),
            conninfo(source.url),
            slot="" if config.slot_is_ours else config.slot_name,
            publication=source.publication,
            insert_only_publication=source.publication_inserts,
            text_mode=TextMode(source.stream_form.value),
            streams=config.streams,
            loads=config.loads,
            insert_only=source.without_identity is WithoutIdentity.INSERT_ONLY,
            origin=source.origin,
            capture_ddl=source.settings.capture_ddls,
            ddl_schema=source.settings.ddl_artifacts_schema or DEFAULT_SCHEMA,
            keys_act=config.target.session_replication_role is not SessionReplicationRole.REPLICA,
            watch_partitions=source.watch_partitions,
            partitions_seconds=config.intervals.partitions_seconds,
            failover=source.failover_slot,
            catalog_xmin_age_warn=source.catalog_xmin_age_warn,
            heartbeat_write_seconds=source.heartbeat_interval_seconds,
            execute_timeout_seconds=source.settings.execute_timeout_seconds,
            older_seconds_max=config.load.snapshot_wait_seconds,
        ),
        clock,
    )


class PostgresSource:
    """See `engine.contracts.SnapshotSource`, `ExclusiveSource`, `BranchingSource` and `Checked`,
    and `abilities.DatedSource`, `MarkingSource`, `MakingSource` and `HoldingSource`."""

    def __init__(self, config: PostgresSourceConfig, clock: Clock) -> None:
        self._config = config
        application = f"{APPLICATION} {config.id}"
        self._application = application
        self._sql = Sql(config.conninfo, application, config.execute_timeout_seconds)
        self._catalog = Catalog(self._sql)
        self._slots = Slots(self._sql, config.slot)
        self._published = PublishedTables(self._sql, self._catalog, config)
        self._form = WireForm(self._catalog, self._published, config)
        self._opener = StreamOpener(
            self._sql, self._catalog, self._slots, self._published, clock, config, application
        )
        self._reader = SnapshotReader(self._connect)
        self._held = HeldSnapshot(self._reader)
        self._lookups = ChunkLookups()
        self._heartbeat = Heartbeat(self._sql, config.heartbeat_write_seconds)
        self._server: Server | None = None
        self._capture = DdlCapture(self._sql, config.ddl_schema, config.made, config.slot)
        self._notices: list[str] = []
        self._open = OpenTransactions(self._sql, self._notices.append)
        self._acknowledged = 0
        self._stream: LogStream | None = None
        self._partitions = PartitionWatch(self._sql)

    # --- life ------------------------------------------------------------------------------------

    def speak(self, forms: Sequence[str]) -> None:
        """See `abilities.SpeakingSource`: binary form, or text where the target takes only that."""
        if not {WIRE, WIRE_TEXT}.intersection(forms):
            raise ConfigError(
                "target.engine", f"takes rows as {', '.join(forms)}, not as PostgreSQL gives them"
            )
        if WIRE not in forms:
            self._form.force_text()

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
        self._form.forced(server)
        return server

    async def close(self) -> None:
        await self._held.release()
        await self._sql.close()

    # --- catalog ---------------------------------------------------------------------------------

    async def relations(self) -> Sequence[Relation]:
        return await self._published.marked(await self._catalog.relations())

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
            await self._published.check_left()
        elif not create:
            raise self._opener.slot_missing()
        if self._config.capture_ddl and server.version >= MESSAGES_FROM:
            await self._capture.ensure()
        altered = await self._published.set(streamed, insert_only)
        await self._form.choose(server)
        if slot is not None:
            if altered:
                await older_ended(self._sql)
            return Attached(server.identity, LogPosition(slot.confirmed or 0), created=False)
        hold = self._held.hold if self._config.loads else None
        start = await self._opener.create_slot(server, hold)
        return Attached(server.identity, LogPosition(start), created=True)

    async def publish(
        self,
        streamed: Sequence[TableName],
        insert_only: Sequence[TableName],
        *,
        waiting: Waiting | None = None,
    ) -> None:
        server = await self._checked_server()
        await self._published.set(streamed, insert_only)
        binary = not self._form.text
        await self._form.choose(server)
        if binary and self._form.text and self._stream is not None:
            self._stream.interrupt(TextModeNeededError("a new table needs the text mode"))
        await older_ended(self._sql, self._config.older_seconds_max, waiting)

    async def detach(self) -> None:
        await self._held.release()
        if not self._config.slot_given:
            await self._slots.drop()
        if self._config.capture_ddl:
            await self._capture.remove()
        await self._published.drop()

    def made(self) -> Sequence[str]:
        """See `abilities.MakingSource`."""
        config = self._config
        if not config.streams:
            return ()
        things = [(f"replication slot {config.slot}", config.slot_given)]
        things += [(f"publication {name}", config.given(name)) for name in config.made]
        return [
            f"{thing} stays: it was named in the file" if given else thing
            for thing, given in things
        ]

    async def branch(self) -> str:
        server = await self._checked_server()
        self._opener.timeline = server.timeline
        return str(server.timeline)

    async def check_branch(self, left: str, reached: Sequence[Position]) -> None:
        if not TIMELINE.match(left):
            raise PositionLostError(
                "the timeline stored on the target (source:branch in penstock.checkpoint) is"
                " damaged: it is not a number",
                hint=f"put it back as it was, or {LOAD_AGAIN}",
            )
        server = await self._checked_server()
        offsets = [position.offset for position in reached if isinstance(position, LogPosition)]
        await self._opener.check_timeline(server, int(left), max(offsets, default=0))

    @asynccontextmanager
    async def marked(self, number: int) -> AsyncIterator[None]:
        """See `abilities.MarkingSource`: an advisory lock, which belongs to one database."""
        await self._sql.fetch(MARKING, "SELECT pg_catalog.pg_advisory_lock($1)", number)
        try:
            yield
        finally:
            await self._sql.fetch(MARKING, "SELECT pg_catalog.pg_advisory_unlock($1)", number)

    async def reader(self) -> str | None:
        return await self._slots.owner()

    async def evict(self) -> None:
        await self._slots.evict()

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
            self._form.force_text()
            raise
        finally:
            self._stream = None

    async def acknowledge(self, position: Position) -> None:
        assert isinstance(position, LogPosition)
        self._acknowledged = max(self._acknowledged, position.offset)
        if self._stream is not None:
            self._stream.feedback.acknowledge(self._may_be_told)

    @property
    def _may_be_told(self) -> int:
        """What is acknowledged, as far as the source may know: see `partition_watch`."""
        reached = self._partitions.reached
        return self._acknowledged if reached is None else min(self._acknowledged, reached)

    async def head(self) -> Position:
        """The end of what is flushed; the stream is asked to tell when it has come there.

        A commit under `synchronous_commit = off` counts from when the server has flushed it.
        """
        found = await self._sql.value("reading the head of the log", _HEAD)
        if found is None:
            raise SourceConnectionError("the source is a standby: it writes no log of its own")
        lsn = parse_lsn(found)
        if self._stream is not None:
            self._stream.feedback.ask()
        return LogPosition(lsn)

    async def now_us(self) -> int:
        """See `abilities.DatedSource`. Of a transaction that was made elsewhere, and came with an
        origin, the log tells when it was committed there."""
        return int(await self._sql.value("reading the source's clock", _CLOCK) or 0)

    async def committed_from(self, moment_us: int, attached_us: int, end: Position) -> Position:
        """See `abilities.DatedSource`. The log is kept for the slot alone, so the slot must be
        older than the moment: it is when something in its log is, or when the moment came later
        than the slot."""
        assert isinstance(end, LogPosition)
        server = await self._checked_server()
        slot = await self._opener.slot(server, end.offset)
        found = await self._opener.committed_from(server, slot, moment_us, end.offset)
        if not found.earlier and moment_us <= attached_us:
            begins = lsn_text(slot.confirmed or 0)
            raise PositionLostError(
                f"replication slot {slot.name} begins at {begins}, and nothing in its log is from"
                f" before {moment_text(moment_us)} (UTC): what was committed between may be gone",
                hint="PostgreSQL keeps log for slots alone: give the name of a slot that was made"
                f" before that time (SlotName), or the position {begins} to begin where it does",
            )
        return LogPosition(found.lsn)

    async def retained(self) -> Retained:
        return await self._slots.retained()

    async def oldest_open(self) -> float | None:
        """See `abilities.OpenTransactions`."""
        return await self._open.oldest()

    async def _open_stream(self, after: int) -> LogStream:
        server = await self._checked_server()
        slot = await self._opener.slot(server, after)
        await self._published.check()
        await self._form.choose(server)
        self._opener.token = await self._token(server)
        await self._partitions.begin(self._watched, self._opener.token, slot)
        flushed = max(slot.confirmed or 0, self._may_be_told)
        return await self._opener.open(server, after, flushed, self._check_now_and_then)

    async def _token(self, server: Server) -> bytes | None:
        if not self._config.capture_ddl or server.version < MESSAGES_FROM:
            return None
        return await self._capture.token()

    def notices(self) -> Sequence[str]:
        """See `engine.abilities.NoticingSource.notices`."""
        told, self._notices[:] = list(self._notices), []
        forged = 0 if self._stream is None else self._stream.take_forged()
        if forged:
            told.append(
                f"{forged} logical messages look like those of the event triggers and do not begin"
                " with their token: passed over. Somebody writes them, or the triggers were made"
                " again while this replication ran; then restart it"
            )
        return told

    async def _check_now_and_then(self) -> None:
        await self._heartbeat.beat()
        await self._published.check()
        await self._held.release_unclaimed()
        await self._partitions.look(self._watched, self._opener.token)
        if self._stream is not None:
            self._stream.feedback.acknowledge(self._may_be_told)

    @property
    def _watched(self) -> list[int]:
        """Tables whose partitions are looked at, if they have any."""
        return self._published.oids if self._config.watch_partitions else []

    async def _checked_server(self) -> Server:
        server = await self._identified()
        if server.recovering and self._opener.timeline is not None:
            raise SourceConnectionError(
                "the source is a standby, which it was not before: waiting until it is promoted"
            )
        server.check()
        return server

    # --- snapshots -------------------------------------------------------------------------------

    async def definitions(
        self, tables: Sequence[TableName], *, to_load: bool = False
    ) -> Sequence[TableDefinition]:
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
        return self._held.taken()

    async def let_go(self) -> None:
        """See `abilities.HoldingSource`."""
        await self._held.release()

    async def chunks(self, relation: Relation, rows_max: int) -> Sequence[Chunk]:
        async with self._session(f"cutting {relation.qualified} into chunks") as connection:
            return await cut(connection, relation, rows_max)

    def rows(self, chunk: Chunk, snapshot: Snapshot, form: str) -> AsyncGenerator[bytes, None]:
        return self._reader.rows(chunk, snapshot, form)

    def visible(self, snapshot: str, transaction: Transaction) -> bool:
        return visible(snapshot, transaction)

    def chunk_of(self, done: Sequence[ChunkDone], relation: Relation, key: Key) -> ChunkDone | None:
        return self._lookups.chunk_of(done, relation, key)

    # --- keys ------------------------------------------------------------------------------------

    async def key_obstacles(self, relations: Sequence[Relation]) -> Mapping[TableName, str]:
        """See `contracts.KeyedTables.key_obstacles`."""
        return await key_obstacles(self._sql, relations)

    def key_hash(self, relation: Relation) -> KeyHash | None:
        """See `contracts.KeyedSource.key_hash`."""
        return key_hash(relation)

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


_CLOCK: Final = "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::int8"

_HEAD: Final = (
    "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery()"
    " THEN pg_catalog.pg_current_wal_flush_lsn()::text END"
)
