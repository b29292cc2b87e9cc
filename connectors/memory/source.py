"""The memory server as a source: its log in commit order, its rows at a snapshot.

One object is one client process. `sever` is its death as the server sees it.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Final

from connectors.memory import definitions, keys, preflight, rows
from connectors.memory.cutting import Cutter
from connectors.memory.database import MemoryDatabase, ServerSession, Slot
from connectors.memory.events import Publication
from connectors.memory.servers import named
from connectors.memory.storage import Cells, Columns, Table, View, pick
from engine.config.replication import ReplicationConfig
from engine.contracts import Attached, Waiting
from engine.errors import (
    PositionLostError,
    SlotBusyError,
    SnapshotLostError,
    SourceConnectionError,
    SourceError,
    SourceIdentityError,
)
from engine.machine import Clock, Random
from engine.model.change import Block, Transaction
from engine.model.chunk import Chunk, ChunkDone
from engine.model.finding import Finding
from engine.model.position import LogPosition, Position
from engine.model.relation import Column, Relation, TableName
from engine.model.retained import Retained
from engine.model.snapshot import Snapshot
from engine.model.table import TableDefinition
from engine.model.value import Key, KeyHash

KEEPALIVE_SECONDS: Final = 10.0
"""Time between two idle positions while nothing is written; PostgreSQL sends one every half of
`wal_sender_timeout` (60 s) at the latest."""

EVENTS_PER_BLOCK: Final = 100
"""Changes in a block at most; a larger transaction is cut."""

ROWS_PER_BUFFER: Final = 50
"""Rows in a buffer of a full load."""


def create(config: ReplicationConfig, clock: Clock, _random: Random) -> "MemorySource":
    """The source that a replication file names; connects to nothing yet. Raises ConfigError."""
    return MemorySource(named(config, "source", clock), config.slot_name)


class MemorySource:
    """`send_empty`: transactions without a published change are sent too, as PostgreSQL did before
    version 15; otherwise only idle positions tell of them."""

    def __init__(
        self,
        database: MemoryDatabase,
        slot: str = "penstock",
        *,
        events_per_block: int = EVENTS_PER_BLOCK,
        rows_per_buffer: int = ROWS_PER_BUFFER,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        send_empty: bool = True,
    ) -> None:
        self._database = database
        self._slot_name = slot
        self._events_per_block = events_per_block
        self._rows_per_buffer = rows_per_buffer
        self._keepalive_seconds = keepalive_seconds
        self._send_empty = send_empty
        self._identity = ""
        self._opened = False
        self._session: ServerSession | None = None
        self._sessions: list[ServerSession] = []
        self._first_view: tuple[Snapshot, ServerSession] | None = None

    # --- life ---------------------------------------------------------------------------------

    async def open(self) -> str:
        await asyncio.sleep(0)
        self._session = self._connect()
        self._opened = True
        self._identity = self._database.identity
        return self._identity

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.sever()

    def sever(self) -> None:
        """The client is dead: no effect any more, and every connection cut."""
        self._opened = False
        self.cut()

    def cut(self) -> None:
        """Cut every connection; the stream may be opened again."""
        for session in self._sessions:
            self._database.drop_session(session)
        self._sessions.clear()
        self._session = None
        self._first_view = None

    def _connect(self) -> ServerSession:
        session = self._database.connect()
        self._sessions.append(session)
        return session

    def _disconnect(self, session: ServerSession) -> None:
        self._database.drop_session(session)
        if session in self._sessions:
            self._sessions.remove(session)

    def _live(self) -> ServerSession:
        if self._session is None or not self._session.alive:
            raise SourceConnectionError("the connection to the source is closed")
        return self._session

    # --- the catalog --------------------------------------------------------------------------

    async def relations(self) -> Sequence[Relation]:
        await asyncio.sleep(0)
        self._live()
        tables = self._database.tables
        return [tables[name].relation for name in sorted(tables) if _is_users(name)]

    async def definitions(
        self, tables: Sequence[TableName], *, to_load: bool = False
    ) -> Sequence[TableDefinition]:
        await asyncio.sleep(0)
        self._live()
        return [definitions.describe(self._table(name)) for name in tables]

    async def key_obstacles(self, relations: Sequence[Relation]) -> Mapping[TableName, str]:
        await asyncio.sleep(0)
        self._live()
        return keys.obstacles(relations, self._database.tables)

    async def preflight(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        """See `contracts.Checked.preflight`."""
        await asyncio.sleep(0)
        self._live()
        return preflight.of_source(relations, self._database.tables)

    def key_hash(self, relation: Relation) -> KeyHash | None:
        return keys.key_hash(relation)

    def _table(self, name: TableName) -> Table:
        try:
            return self._database.tables[name]
        except KeyError:
            raise SourceError(f"table {name} does not exist") from None

    # --- what reading needs -------------------------------------------------------------------

    async def attach(
        self,
        streamed: Sequence[TableName],
        insert_only: Sequence[TableName],
        *,
        create: bool = True,
    ) -> Attached:
        slot = self._database.slots.get(self._slot_name)
        if slot is None and not create:
            raise PositionLostError(f"slot {self._slot_name} is gone")
        await self.publish(streamed, insert_only)
        created = slot is None
        if slot is None:
            if self._slot_name in self._database.slots:
                raise SourceConnectionError(f"slot {self._slot_name} was made meanwhile")
            slot = self._create_slot()
        elif slot.lost:
            raise PositionLostError(f"slot {self._slot_name} is lost")
        return Attached(self._identity, LogPosition(slot.confirmed), created)

    def _create_slot(self) -> Slot:
        """A slot and, of the same moment, a snapshot that lives until `snapshot()` is closed."""
        slot = Slot(self._database.offset)
        self._database.slots[self._slot_name] = slot
        self._database.worked()
        self._first_view = self._export()
        return slot

    async def publish(
        self,
        streamed: Sequence[TableName],
        insert_only: Sequence[TableName],
        *,
        waiting: Waiting | None = None,
    ) -> None:
        """See `contracts.Source.publish`. Waits as long as it takes, and tells nobody."""
        await asyncio.sleep(0)
        self._live()
        database = self._database
        publication = Publication(frozenset(streamed), frozenset(insert_only))
        if publication != database.publication:
            database.publication = publication
            database.worked()
        older = list(database.open)
        while any(xid in database.open for xid in older):
            await database.changed.wait()
            self._live()

    async def detach(self) -> None:
        await asyncio.sleep(0)
        self._live()
        self._database.slots.pop(self._slot_name, None)
        self._database.publication = Publication()
        self._database.worked()

    def position(self, text: str) -> Position:
        return LogPosition.parse(text)

    # --- the stream ---------------------------------------------------------------------------

    async def blocks(self, after: Position) -> AsyncGenerator[Block, None]:
        await asyncio.sleep(0)
        if not self._opened:
            raise SourceConnectionError("the source is not open")
        assert isinstance(after, LogPosition)
        slot = self._readable_slot(after)
        session = self._connect()
        slot.reader = session
        try:
            async with aclosing(self._stream(slot, session, after)) as stream:
                async for block in stream:
                    yield block
        finally:
            self._disconnect(session)

    def _readable_slot(self, after: LogPosition) -> Slot:
        if self._database.identity != self._identity:
            raise SourceIdentityError(f"{self._database.identity} answers for {self._identity}")
        slot = self._database.slots.get(self._slot_name)
        if slot is None or slot.lost:
            raise PositionLostError(f"slot {self._slot_name} does not exist or is lost")
        if slot.reader is not None:
            raise SlotBusyError(f"slot {self._slot_name} is read by {slot.reader.pid}")
        if after.offset < slot.confirmed:
            raise PositionLostError(f"the log was acknowledged up to {LogPosition(slot.confirmed)}")
        return slot

    async def _stream(
        self, slot: Slot, session: ServerSession, after: LogPosition
    ) -> AsyncGenerator[Block, None]:
        database = self._database
        index = bisect_right(database.log, after, key=lambda entry: LogPosition(entry.end.offset))
        cutter = Cutter(database.log, index, self._events_per_block, send_empty=self._send_empty)
        told: int | None = None
        while True:
            block = cutter.next_block()
            if block is None and told != database.offset:
                told = database.offset
                block = Block([], 0, LogPosition(told))
            if block is None:
                told = None if await self._keepalive_due() else told
            else:
                block.received_at = asyncio.get_running_loop().time()
                yield block
            self._still_reads(slot, session)

    async def _keepalive_due(self) -> bool:
        """Wait until something happens on the server; True when nothing does for a while."""
        try:
            async with asyncio.timeout(self._keepalive_seconds):
                await self._database.changed.wait()
        except TimeoutError:
            return True
        return False

    def _still_reads(self, slot: Slot, session: ServerSession) -> None:
        if slot.lost:
            raise PositionLostError(f"slot {self._slot_name} was invalidated")
        if not session.alive:
            raise SourceConnectionError("the connection that read the log was cut")

    async def acknowledge(self, position: Position) -> None:
        assert isinstance(position, LogPosition)
        slot = self._database.slots.get(self._slot_name)
        if slot is not None and self._opened:
            self._database.acknowledge(slot, position.offset)

    async def head(self) -> Position:
        await asyncio.sleep(0)
        self._live()
        return LogPosition(self._database.offset)

    async def retained(self) -> Retained:
        await asyncio.sleep(0)
        self._live()
        slot = self._database.slots.get(self._slot_name)
        return Retained(None if slot is None else self._database.offset - slot.confirmed)

    async def reader(self) -> str | None:
        await asyncio.sleep(0)
        self._live()
        slot = self._database.slots.get(self._slot_name)
        return f"session {slot.reader.pid}" if slot is not None and slot.reader else None

    async def evict(self) -> None:
        await asyncio.sleep(0)
        self._live()
        slot = self._database.slots.get(self._slot_name)
        if slot is not None and slot.reader is not None:
            self._database.drop_session(slot.reader)

    # --- existing rows ------------------------------------------------------------------------

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        await asyncio.sleep(0)
        self._live()
        (snapshot, session), self._first_view = self._first_view or self._export(), None
        try:
            yield snapshot
        finally:
            self._disconnect(session)

    async def let_go(self) -> None:
        """See `abilities.HoldingSource`."""
        await asyncio.sleep(0)
        held, self._first_view = self._first_view, None
        if held is not None:
            self._disconnect(held[1])

    def _export(self) -> tuple[Snapshot, ServerSession]:
        """A view of now, kept by a session of its own."""
        session = self._connect()
        view = self._database.view()
        until = LogPosition(self._database.offset)
        return Snapshot(str(view), until, self._database.export(session, view)), session

    async def chunks(self, relation: Relation, rows_max: int) -> Sequence[Chunk]:
        await asyncio.sleep(0)
        self._live()
        table = self._there(relation)
        places = _places(table, relation)
        if not relation.key or places is None:
            return [Chunk(relation, 0)]
        stored = _visible_rows(table, self._database.view())
        keys = sorted(_key_text(pick(pick(row, places), relation.key)) for row in stored)
        bounds = [None, *keys[rows_max - 1 : -1 : rows_max], None]
        return [
            Chunk(relation, ordinal, "key", low, high, rows_max)
            for ordinal, (low, high) in enumerate(pairwise(bounds))
        ]

    async def rows(
        self, chunk: Chunk, snapshot: Snapshot, form: str
    ) -> AsyncGenerator[bytes, None]:
        if form != rows.FORM:
            raise SourceError(f"the memory source cannot give rows as {form}")
        await self._still(chunk.relation.table)
        view = self._imported(snapshot)
        found = self._as_described(chunk.relation, view)
        chosen = [row for row in found if _within(chunk, row)]
        for start in range(0, len(chosen), self._rows_per_buffer):
            await asyncio.sleep(0)
            self._imported(snapshot)
            yield b"".join(map(rows.encode, chosen[start : start + self._rows_per_buffer]))

    async def _still(self, table: TableName) -> None:
        """Wait while a transaction that is open alters or empties the table."""
        while self._database.locks.is_exclusive(table):
            await self._database.changed.wait()

    def _as_described(self, relation: Relation, view: View) -> list[Cells]:
        """The table's rows in the relation's columns, as the view sees them through the table of
        now. Refuses what PostgreSQL's connector refuses; see `postgres.chunk_check`."""
        table = self._there(relation)
        if not view.sees(table.rewritten):
            raise _changed(relation, "was rewritten or emptied")
        if _described(table.relation_at(view)) != _described(relation):
            raise _changed(relation, "got other columns")
        places = _places(table, relation)
        if places is None:
            raise _changed(relation, "lost a column, or gave its name to another one,")
        return [pick(row, places) for row in _visible_rows(table, view)]

    def _there(self, relation: Relation) -> Table:
        table = self._database.tables.get(relation.table)
        if table is None:
            raise _changed(relation, "was renamed or dropped")
        return table

    def _imported(self, snapshot: Snapshot) -> View:
        self._live()
        view = self._database.exported(snapshot.token)
        if view is None:
            raise SnapshotLostError("the snapshot's session has ended")
        return view

    def visible(self, snapshot: str, transaction: Transaction) -> bool:
        return View.parse(snapshot).sees(transaction.xid)

    def chunk_of(self, done: Sequence[ChunkDone], relation: Relation, key: Key) -> ChunkDone | None:
        text = _key_text(key)
        for chunk in done:
            if _between(text, chunk.low, chunk.high):
                return chunk
        return None


def _is_users(name: TableName) -> bool:
    return name.schema != definitions.CONTROL_SCHEMA


def _visible_rows(table: Table, view: View) -> list[Cells]:
    return [version.row for version in table.versions.values() if version.visible_in(view)]


def _described(relation: Relation) -> list[tuple[Column, int]]:
    return [(column, column.number) for column in relation.columns]


def _places(table: Table, relation: Relation) -> Columns | None:
    """Where the relation's columns stand in the table; None when one of their names does not mean
    the same column any more."""
    there = {(c.name, c.number): place for place, c in enumerate(table.relation.columns)}
    places = [there.get((column.name, column.number)) for column in relation.columns]
    found = tuple([place for place in places if place is not None])
    return found if len(found) == len(places) else None


def _changed(relation: Relation, what: str) -> SnapshotLostError:
    return SnapshotLostError(
        f"{relation.qualified} {what} while it was loaded",
        hint="it is loaded again from its beginning",
        context={"table": relation.table},
    )


def _key_text(key: Cells) -> tuple[str, ...]:
    """A key as text that sorts like its bytes."""
    texts: list[str] = []
    for value in key:
        assert isinstance(value, bytes)
        texts.append(value.decode("latin-1"))
    return tuple(texts)


def _within(chunk: Chunk, row: Cells) -> bool:
    if chunk.by != "key":
        return True
    return _between(_key_text(pick(row, chunk.relation.key)), chunk.low, chunk.high)


def _between(
    text: tuple[str, ...], low: tuple[str, ...] | None, high: tuple[str, ...] | None
) -> bool:
    return (low is None or low < text) and (high is None or text <= high)
