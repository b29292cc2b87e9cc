"""A MySQL or MariaDB database as a source: its binary log, and its rows through snapshots.

Nothing is made on the server: a reader of the log is a replica like any other, and what the server
keeps of its log is the server's affair.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from typing import Final

from connectors.mysql.assembler import Assembler
from connectors.mysql.binlog.columns import Form
from connectors.mysql.catalog import CatalogTable, read_tables
from connectors.mysql.chunks import ChunkLookup, cut
from connectors.mysql.commits import become_visible
from connectors.mysql.connecting import Link
from connectors.mysql.definitions import define
from connectors.mysql.description import describe
from connectors.mysql.dump import Dump, open_dump
from connectors.mysql.errors import DRIVER_ERRORS, source_error
from connectors.mysql.gtid import GtidSet
from connectors.mysql.history import History
from connectors.mysql.key_obstacles import obstacle
from connectors.mysql.keyhash import key_hash
from connectors.mysql.load_reader import LoadReader
from connectors.mysql.load_sql import FORMS, POSTGRES_TEXT
from connectors.mysql.log_check import check_history, check_reachable, check_server
from connectors.mysql.log_mark import LogMark, LogMarks
from connectors.mysql.log_reader import lock_holder, reading
from connectors.mysql.log_search import LogSearch
from connectors.mysql.log_stream import LogStream
from connectors.mysql.maria_gtid import MariaGtids
from connectors.mysql.mark_lock import mark_name
from connectors.mysql.open_transactions import OpenTransactions
from connectors.mysql.places import places_of
from connectors.mysql.position import (
    AnyPosition,
    FilePosition,
    GtidPosition,
    LogPlace,
    parse_position,
)
from connectors.mysql.preflight_source import PreflightSource
from connectors.mysql.server import Server, read_end, read_head, read_server
from connectors.mysql.snapshot import Snapshots
from connectors.mysql.source_config import MysqlSourceConfig, derived_server_id, replica_uuid
from connectors.mysql.sql import Sql, asker, open_session
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.xa import PreparedGroups
from connectors.mysql.xa_log import XaLog
from engine.config.endpoint import ZeroDate
from engine.config.replication import ReplicationConfig
from engine.contracts import Attached, Waiting
from engine.errors import ConfigError, SourceConnectionError, SourceError, SourceIdentityError
from engine.machine import Clock, Random
from engine.model.change import Block, Transaction
from engine.model.chunk import Chunk, ChunkDone
from engine.model.finding import Finding
from engine.model.position import Position
from engine.model.relation import Relation, TableName
from engine.model.retained import Retained
from engine.model.snapshot import Snapshot
from engine.model.table import TableDefinition
from engine.model.value import Key, KeyHash

MARKING: Final = "marking the source, to know it from the target"

CLOCK: Final = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
"""Microseconds since the Unix epoch, whatever the session's time zone."""

CATALOG_ATTEMPTS: Final = 10
"""Readings of the catalog while tables change; each takes a fraction of a second."""


def create(config: ReplicationConfig, clock: Clock, _random: Random) -> "MysqlSource":
    """The source that a replication file names; connects to nothing yet. Raises ConfigError."""
    readers = config.budget(config.capacity.units_min).copiers if config.loads else 1
    return MysqlSource(MysqlSourceConfig.of(config), clock, readers)


class MysqlSource:
    """See `engine.contracts.SnapshotSource`, `KeyedSource`, `SpeakingSource`, `BranchingSource`,
    `RememberingSource`, `ReaderSnapshots`, `CountedReaders`, `DecodingSource`, `NoticingSource`,
    `ReadSource`, `DatedSource`, `NamingSource` and `Checked`."""

    def __init__(self, config: MysqlSourceConfig, clock: Clock, readers: int = 1) -> None:
        self._config = config
        self._clock = clock
        self._readers = readers
        self._program = f"penstock {config.replication}"
        self._sql = Sql(config.url, self._program, config.execute_timeout_seconds)
        self._form = Form.INTERCHANGE
        self._zero = ZeroDates(config.zero_dates)
        self._server: Server | None = None
        self._history: History | None = None
        self._known: Mapping[TableName, Relation] = {}
        self._reader: LoadReader | None = None
        self._decoded = 0.0
        """Of earlier readers."""
        self._lookup = ChunkLookup()
        self._visible: dict[str, AnyPosition] = {}
        self._notices: list[str] = []
        self._open = OpenTransactions(self._sql.ask, self._notices.append)

    # --- life -------------------------------------------------------------------------------------

    def speak(self, forms: Sequence[str]) -> None:
        """See `abilities.SpeakingSource`: the native form where the target takes it."""
        for form in (Form.NATIVE, Form.INTERCHANGE):
            if form.value in forms:
                self._form = form
                return
        raise ConfigError(
            "target.engine", f"takes rows as {', '.join(forms)}, not as this source gives them"
        )

    async def open(self) -> str:
        """See `contracts.Source.open`. The identity is that of a history of GTIDs, which any server
        may carry on; without GTIDs it is the server's."""
        self._sql.reopen()
        server = await read_server(self._sql.ask)
        if self._config.streams and not server.log_bin:
            raise SourceError(
                "the source writes no binary log",
                hint="turn it on: log_bin and server_id, and restart the server",
            )
        if self._server is not None and self._server.identity != server.identity:
            raise SourceIdentityError(
                f"the source is {server.identity}, it was {self._server.identity}"
            )
        self._server = server
        if self._history is None:
            self._history = History(
                self._form, self._zero, server.flavour, lower_names=server.lower_names
            )
            self._history.remember(self._known)
        snapshots = Snapshots(
            self._session,
            server,
            self._readers,
            self._config.snapshot,
            places_of(self._session, server, self._config),
            self._notices.append,
        )
        self._decoded = self.decode_seconds
        self._reader = LoadReader(snapshots, self._zero, self._clock)
        return server.identity

    def readers(self, count: int) -> None:
        """See `abilities.CountedReaders`."""
        _, _, reader = self._opened()
        reader.snapshots.readers_max = count

    async def _session(self) -> Link:
        return await open_session(self._config.url, self._program)

    async def close(self) -> None:
        await self._sql.close()

    def _opened(self) -> tuple[Server, History, LoadReader]:
        if self._server is None or self._history is None or self._reader is None:
            raise SourceConnectionError("the source is not open")
        return self._server, self._history, self._reader

    @asynccontextmanager
    async def marked(self, number: int) -> AsyncIterator[None]:
        """See `abilities.MarkingSource`: a lock of the server by name."""
        name = mark_name(number)
        await self._sql.ask(MARKING, f"SELECT GET_LOCK('{name}', 0)")
        try:
            yield
        finally:
            await self._sql.ask(MARKING, f"SELECT RELEASE_LOCK('{name}')")

    # --- catalog ----------------------------------------------------------------------------------

    async def relations(self) -> Sequence[Relation]:
        """See `contracts.Source.relations`. A table with a column of a type that is unknown here is
        not published."""
        return [relation for _, relation in await self._described(None)]

    async def definitions(
        self, tables: Sequence[TableName], *, to_load: bool = False
    ) -> Sequence[TableDefinition]:
        """See `contracts.SnapshotSource.definitions`."""
        described = await self._described(tables, to_load=to_load)
        found = {table.name: (table, r) for table, r in described}
        names = frozenset(found)
        return [
            define(*found[name], self._form, names)
            for name in tables
            if name in found and found[name][1].published
        ]

    async def _described(
        self, tables: Iterable[TableName] | None, *, to_load: bool = False
    ) -> Sequence[tuple[CatalogTable, Relation]]:
        """Tables with the versions that they are at a known place of the log: the catalog says the
        same before and after it was asked for, and the stream has not come past it meanwhile."""
        server, history, _ = self._opened()
        wanted = None if tables is None else list(tables)
        before = await read_tables(self._sql.ask, server, wanted)
        for _ in range(CATALOG_ATTEMPTS):
            at = await read_head(self._sql.ask, server) if server.log_bin else None
            after = await read_tables(self._sql.ask, server, wanted)
            same = [*map(_shape, before)] == [*map(_shape, after)]
            if same and not (at is not None and history.outruns(at)):
                return [(t, self._relation(t, at, to_load=to_load)) for t in after]
            before = after
        raise SourceConnectionError(
            f"the source's tables changed while they were described, {CATALOG_ATTEMPTS} times"
        )

    def _relation(self, table: CatalogTable, at: AnyPosition | None, *, to_load: bool) -> Relation:
        server, history, _ = self._opened()
        try:
            description = describe(table, generated=self._generated(server))
        except ValueError:
            return Relation(0, table.name.schema, table.name.name, (), published=False)
        if at is None:
            return description.relation(self._form, "", zero_dates=True)
        return history.describe(description, at, to_load=to_load)

    async def key_obstacles(self, relations: Sequence[Relation]) -> Mapping[TableName, str]:
        """See `contracts.KeyedTables.key_obstacles`."""
        server, _, _ = self._opened()
        keyed = [relation.table for relation in relations if relation.key]
        tables = await read_tables(self._sql.ask, server, keyed)
        found = {table.name: obstacle(table) for table in tables}
        return {table: reason for table, reason in found.items() if reason}

    def key_hash(self, relation: Relation) -> KeyHash | None:
        """See `contracts.KeyedSource.key_hash`."""
        return key_hash(relation)

    async def preflight(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        """See `contracts.Checked`."""
        server, _, _ = self._opened()
        told = self._generated(server)
        checks = PreflightSource(self._sql.ask, self._session, server, self._config, generated=told)
        return await checks.findings(relations)

    def _generated(self, server: Server) -> bool:
        """Whether generated columns are right on the target: one of the native form has them
        generated too, elsewhere they are what the log tells."""
        native = self._form is Form.NATIVE
        return native or not self._config.streams or server.flavour.logs_generated

    # --- what reading the log needs ---------------------------------------------------------------

    async def attach(
        self,
        streamed: Sequence[TableName],
        insert_only: Sequence[TableName],
        *,
        create: bool = True,
    ) -> Attached:
        """See `contracts.Source.attach`: nothing is made."""
        server, _, _ = self._opened()
        await self._want(streamed, insert_only)
        start = await read_head(self._sql.ask, server)
        return Attached(server.identity, start, created=create)

    async def publish(
        self,
        streamed: Sequence[TableName],
        insert_only: Sequence[TableName],
        *,
        waiting: Waiting | None = None,
    ) -> None:
        """See `contracts.Source.publish`. A transaction is in the log as a whole, where it was
        committed, so only those that are committing have to be waited for."""
        server, _, _ = self._opened()
        await self._want(streamed, insert_only)
        limit = self._config.snapshot_wait_seconds
        await become_visible(self._sql.ask, self._session, server, limit, waiting)

    async def _want(self, streamed: Sequence[TableName], insert_only: Sequence[TableName]) -> None:
        _, history, _ = self._opened()
        history.want(streamed, insert_only)
        await self._described(history.unknown())

    async def detach(self) -> None:
        """There is nothing to drop."""

    def position(self, text: str) -> Position:
        return parse_position(text)

    def remember(self, known: Mapping[TableName, Relation]) -> None:
        """See `abilities.RememberingSource`."""
        self._known = known
        if self._history is not None:
            self._history.remember(known)

    # --- the stream -------------------------------------------------------------------------------

    async def blocks(self, after: Position) -> AsyncGenerator[Block, None]:
        """See `contracts.Source.blocks`."""
        server, history, _ = self._opened()
        start = parse_position(str(after))
        dump = await self._dump(await self._checked(start), start, self._config.server_id)
        prepared = PreparedGroups(self._config.prepared_bytes)
        log = XaLog(self._dump_again, self._marks(server).files, prepared)
        assembler = Assembler(history, start, prepared)
        stream = LogStream(dump, assembler, log, self._clock, mariadb=server.mariadb)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(dump.close)
            held = reading(await self._session(), self._config.replication, self._clock)
            lock = await stack.enter_async_context(held)
            blocks = await stack.enter_async_context(aclosing(stream.blocks()))
            async for block in blocks:  # at least one a second: heartbeats
                await lock.keep()
                yield block

    async def _dump_again(self, place: LogPlace) -> Dump:
        """The log from an earlier place on, beside the stream and under another name."""
        return await self._dump_as("prepared", place)

    async def _dump_searched(self, place: LogPlace) -> Dump:
        return await self._dump_as("searching", place)

    async def _dump_as(self, name: str, place: LogPlace) -> Dump:
        start = FilePosition(place)
        server_id = derived_server_id(f"{self._config.replication} {name}")
        return await self._dump(await self._checked(start), start, server_id)

    async def _dump(self, link: Link, start: AnyPosition, server_id: int) -> Dump:
        return await open_dump(
            link,
            start,
            mariadb=self._opened()[0].mariadb,
            server_id=server_id,
            uuid=replica_uuid(self._config, server_id),
            silence_seconds=self._config.silence_seconds,
        )

    async def _checked(self, start: AnyPosition) -> Link:
        """A session on the server that was opened, whose log goes on from there."""
        link = await self._session()
        try:
            ask = asker(link)
            await check_server(ask, self._opened()[0])
            await check_reachable(ask, start)
        except DRIVER_ERRORS as error:
            link.close()
            raise source_error(error, "checking the source's binary log") from error
        except BaseException:
            link.close()
            raise
        return link

    async def acknowledge(self, position: Position) -> None:
        """Nobody is told: the server does not keep its log for us."""

    async def head(self) -> Position:
        server, _, _ = self._opened()
        return await read_head(self._sql.ask, server)

    async def now_us(self) -> int:
        """See `abilities.DatedSource`, and `commit_time` for what the log tells."""
        ((now,),) = await self._sql.ask("reading the source's clock", CLOCK)
        return int(now or 0)

    async def committed_from(self, moment_us: int, attached_us: int, end: Position) -> Position:
        """See `abilities.DatedSource`."""
        search, place = await self._search(), parse_position(str(end)).log
        assert place is not None
        return await search.since(moment_us, place)

    def check_kind(self, position: Position) -> None:
        """See `abilities.NamingSource`: GTIDs are MySQL's or MariaDB's, and some have none."""
        server, _, _ = self._opened()
        if not isinstance(position, GtidPosition):
            return
        if not server.gtid:
            raise ValueError("names GTIDs, and the source has no GTIDs: give file=<file>:<offset>")
        if isinstance(position.done, MariaGtids) != server.mariadb:
            own = "MariaDB, maria=" if server.mariadb else "MySQL, gtid="
            raise ValueError(f"is of another kind: the source has GTIDs of {own}<GTIDs>")

    async def named(self, position: Position) -> Position:
        """See `abilities.NamingSource`: a place in a file, by its GTIDs where the server has them,
        as a stream knows it."""
        server, _, _ = self._opened()
        if not isinstance(position, FilePosition) or not server.gtid:
            return position
        await check_reachable(self._sql.ask, position)
        search = await self._search()
        return await search.at(position.place, await read_end(self._sql.ask, server))

    async def _search(self) -> LogSearch:
        server, _, _ = self._opened()
        purged = GtidSet()
        if server.gtid and not server.mariadb:
            doing = "asking the source for what its binary log has lost"
            ((text,),) = await self._sql.ask(doing, "SELECT @@global.gtid_purged")
            purged = GtidSet.parse(text or "")
        files = await self._marks(server).files()
        return LogSearch(self._dump_searched, files, gtids=server.gtid, purged=purged)

    async def reader(self) -> str | None:
        """See `contracts.ReadSource.reader`."""
        self._opened()
        return await lock_holder(self._sql.ask, self._config.replication)

    async def retained(self) -> Retained:
        """Unknown: what the server keeps, it does not keep for us."""
        return Retained()

    async def oldest_open(self) -> float | None:
        """See `abilities.OpenTransactions`."""
        return await self._open.oldest()

    async def branch(self) -> str:
        """See `contracts.BranchingSource`: which server writes the log, and which log it is."""
        server, _, _ = self._opened()
        if not self._config.streams or not server.log_bin:
            return str(LogMark(server.uuid))
        return str(await self._marks(server).newest())

    def _marks(self, server: Server) -> LogMarks:
        return LogMarks(self._sql.ask, self._session, server, self._config)

    async def check_branch(self, left: str, reached: Sequence[Position]) -> None:
        """See `contracts.BranchingSource`."""
        server, _, _ = self._opened()
        mark = LogMark.parse(left)
        if mark.server != server.uuid:
            positions = [parse_position(str(position)) for position in reached]
            await check_history(self._sql.ask, server, mark.server, positions)
        elif mark.file and server.log_bin:
            await self._marks(server).check(mark)

    def coerced(self) -> Mapping[str, int]:
        """See `abilities.CoercingSource`: dates that are none, which `zero_dates` makes something
        else. Of a load they are counted once a chunk is read."""
        met, self._zero.met = self._zero.met, 0
        return {"zero-date": met} if met and self._zero.policy is not ZeroDate.ERROR else {}

    def notices(self) -> Sequence[str]:
        """See `abilities.NoticingSource`."""
        told, self._notices[:] = list(self._notices), []
        return told

    # --- existing rows ----------------------------------------------------------------------------

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """See `contracts.SnapshotSource.snapshot`."""
        return self._opened()[2].snapshot()

    async def chunks(self, relation: Relation, rows_max: int) -> Sequence[Chunk]:
        """See `contracts.SnapshotSource.chunks`."""
        server, _, _ = self._opened()
        (table,) = await read_tables(self._sql.ask, server, [relation.table]) or (None,)
        if table is None:
            raise SourceError(f"{relation.qualified} is not there any more")
        return await cut(self._sql.ask, describe(table), relation, table.rows, rows_max)

    def load_form(self, asked: str) -> str:
        """See `abilities.LoadForms`: in text, whatever the target would like best."""
        return asked if asked in FORMS else POSTGRES_TEXT

    def rows(self, chunk: Chunk, snapshot: Snapshot, form: str) -> AsyncGenerator[bytes, None]:
        """See `contracts.SnapshotSource.rows`."""
        return self._opened()[2].rows(chunk, form)

    @property
    def decode_seconds(self) -> float:
        """See `abilities.DecodingSource`."""
        return self._decoded + (0.0 if self._reader is None else self._reader.decode_seconds)

    def read_at(self, chunk: Chunk, snapshot: Snapshot) -> Snapshot:
        """See `abilities.ReaderSnapshots`."""
        return self._opened()[2].read_at(chunk)

    def visible(self, snapshot: str, transaction: Transaction) -> bool:
        """See `contracts.SnapshotSource.visible`."""
        position = self._visible.get(snapshot)
        if position is None:
            position = self._visible[snapshot] = parse_position(snapshot)
        return position.covers(transaction.coordinate, 1)

    def chunk_of(self, done: Sequence[ChunkDone], relation: Relation, key: Key) -> ChunkDone | None:
        """See `contracts.SnapshotSource.chunk_of`."""
        return self._lookup.chunk_of(done, relation, key)


def _shape(table: CatalogTable) -> object:
    """What of a table rows are decoded with."""
    return table.name, table.columns, table.indexes
