"""Copy chunks: many loaders, each chunk's rows and its "done" record in one target transaction.

The plan of a table (its chunks, without a snapshot) is stored before the first row is copied, in
the transaction that sets the table to LOADING. After a restart the chunks that are not done are
read at a new snapshot, where a row's chunk can be told from its key; other tables begin again.

A table of which the target refuses a row is set aside, with those that foreign keys tie to it: that
is recorded with the row, its other chunks are not copied, and the load of the others goes on.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from engine.abilities import DecodingSource, LoadForms, ReaderSnapshots
from engine.config.replication import OnRowError
from engine.contracts import SchemaTarget, SnapshotSource, TargetTransaction
from engine.errors import RowRejectedError, TargetBusyError
from engine.failpoint import hit, register
from engine.load.chunk_queue import ChunkQueue
from engine.load.loader import Crew, Loader
from engine.load.row_by_row import FirstRefusalError, RowByRow
from engine.machine import Clock, Random
from engine.model.batch import Written
from engine.model.change import Truncate
from engine.model.chunk import Chunk, ChunkDone
from engine.model.rejected import REJECTED
from engine.model.relation import Relation, TableName
from engine.model.snapshot import Snapshot
from engine.model.state import RejectedRow, TableRecord, TableState
from engine.observe.load_stages import LoadStages, no_chunk
from engine.observe.questions import Questions
from engine.retry import Backoff, Policy

PLANNED: Final = register("load.planned", "a table's chunks are stored, no row copied")
CHUNK_BEFORE_COMMIT: Final = register("load.chunk-before-commit", "rows copied, not committed")
CHUNK_DONE: Final = register("load.chunk-done", "a chunk and its record are durable")
TABLE_LOADED: Final = register("load.table-loaded", "all chunks of a table are durable")

BUSY: Final = Policy(delay_seconds_max=2.0, attempts_max=50)


class Progress(Protocol):
    """Told of what became durable."""

    def chunk(self, table: TableName, rows: int, size: int) -> None: ...

    def table(self, table: TableName, state: TableState) -> None: ...

    def rejected(self, table: TableName, reason: str, rows: int) -> None:
        """Rows are kept in the quarantine table."""
        ...

    def set_aside(self, records: Sequence[TableRecord], error: RowRejectedError) -> None:
        """A table, and those tied to it, are not loaded: a row of it was refused."""
        ...


@dataclass(slots=True)
class _Table:
    relation: Relation
    form: str
    left: int


@dataclass(slots=True)
class ChunkCopy:
    """Loads tables with copiers, one session and one lane each. `tied` gives the tables
    that are set aside with one of which a row is refused, itself among them; `sealed` such a row as
    it may stand in the target."""

    source: SnapshotSource
    target: SchemaTarget
    clock: Clock
    random: Random
    progress: Progress
    rows_per_chunk: int
    loaders_per_table: int
    on_row_error: OnRowError
    tied: Callable[[TableName], Awaitable[Sequence[TableName]]]
    committed: Callable[[int], None]
    sealed: Callable[[RejectedRow], RejectedRow]
    stages: LoadStages
    questions: Questions
    _aside: dict[TableName, RowRejectedError] = field(default_factory=dict)
    _recording: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while what became of a table is recorded: one that is set aside stays so."""

    async def load(
        self,
        relations: Sequence[Relation],
        stored: Mapping[TableName, Sequence[ChunkDone]],
        copiers: Crew,
        first: Loader,
        *,
        again: bool = False,
    ) -> Mapping[TableName, RowRejectedError]:
        """Copy every chunk of these tables that is not done. `first`: the copier that there is
        already, which plans. `again`: empty them first (reload). Returns the tables that were
        set aside, with the reason.

        Raises what source and target raise; chunks that are done stay done.
        """
        async with AsyncExitStack() as stack:
            async with self.questions.meanwhile(self.source.head):
                snapshot = await stack.enter_async_context(self.source.snapshot())
            tables: dict[TableName, _Table] = {}
            waiting: list[Chunk] = []
            for relation in relations:
                plan = stored.get(relation.table, ())
                chunks = await self._plan(relation, plan, first, again=again)
                form = await self.target.load_form(relation)
                if isinstance(self.source, LoadForms):
                    form = self.source.load_form(form)
                tables[relation.table] = _Table(relation, form, len(chunks))
                waiting += chunks
                if not chunks:
                    await self._loaded(relation.table, first)
            if isinstance(self.source, DecodingSource):
                self.stages.decoded = partial(_decoded, self.source)
            queue = ChunkQueue(waiting, self.loaders_per_table)
            self.stages.has_more = queue.has_more
            try:
                await copiers.run(
                    lambda loader: self._run(queue, tables, snapshot, copiers, loader),
                    queue.has_more,
                    first,
                )
            finally:
                self.stages.has_more = no_chunk
        return self._aside

    async def _plan(
        self,
        relation: Relation,
        stored: Sequence[ChunkDone],
        loader: Loader,
        *,
        again: bool,
    ) -> list[Chunk]:
        """The chunks still to be copied; stores the plan of a table that begins."""
        resumable = all(chunk.by == "key" for chunk in stored)
        done = [chunk for chunk in stored if chunk.snapshot]
        if stored and not again and (resumable or not done):
            return [_chunk(relation, c) for c in stored if not c.snapshot]
        with self.questions.asking(f"the chunks of {relation.table}"):
            chunks = list(await self.source.chunks(relation, self.rows_per_chunk))
        await self._store_plan(relation, chunks, loader, again=again or bool(done))
        return chunks

    async def _store_plan(
        self,
        relation: Relation,
        chunks: Sequence[Chunk],
        loader: Loader,
        *,
        again: bool,
    ) -> None:
        async def write(transaction: TargetTransaction) -> None:
            if again:
                await transaction.truncate(Truncate((relation,)))
            await transaction.remove_chunks(relation.table)
            for chunk in chunks:
                await transaction.save_chunk(_planned(chunk))
            await transaction.save_table(TableRecord(relation.table, TableState.LOADING))
            await transaction.answer_reload(relation.table)

        await self._commit(loader, write)
        self.progress.table(relation.table, TableState.LOADING)
        hit(PLANNED)

    async def _run(
        self,
        queue: ChunkQueue,
        tables: Mapping[TableName, _Table],
        snapshot: Snapshot,
        copiers: Crew,
        loader: Loader,
    ) -> None:
        last: TableName | None = None
        while True:
            if copiers.is_surplus(loader):
                queue.leave(last)
                return
            chunk = queue.take(last)
            if chunk is None:
                return
            last = chunk.relation.table
            table = tables[last]
            with self.stages.copying:
                await self._copy(chunk, table.form, snapshot, loader)
            self.stages.moved()
            queue.drop(self._aside)
            table.left -= 1
            if table.left == 0:
                await self._loaded(last, loader)

    async def _copy(
        self,
        chunk: Chunk,
        form: str,
        snapshot: Snapshot,
        loader: Loader,
    ) -> None:
        written = Written()

        async def write(transaction: TargetTransaction) -> None:
            nonlocal written
            async with aclosing(self._rows(chunk, snapshot, form)) as data:
                written = await transaction.load(chunk.relation, form, data)
            await transaction.save_chunk(self._done(chunk, snapshot, written.rows))
            hit(CHUNK_BEFORE_COMMIT)

        try:
            await self._commit(loader, write)
        except RowRejectedError:
            if self.on_row_error is OnRowError.STOP:
                raise
            await self._copy_row_by_row(chunk, form, snapshot, loader)
            return
        self._chunk_done(chunk, written)

    def _rows(self, chunk: Chunk, snapshot: Snapshot, form: str) -> AsyncGenerator[bytes, None]:
        rows = self.source.rows(chunk, snapshot, form)
        return self.stages.counted(rows, str(chunk.relation.table))

    def _done(self, chunk: Chunk, snapshot: Snapshot, rows: int) -> ChunkDone:
        source = self.source
        if isinstance(source, ReaderSnapshots):
            snapshot = source.read_at(chunk, snapshot)
        return _done(chunk, snapshot, rows)

    def _chunk_done(self, chunk: Chunk, written: Written) -> None:
        self.progress.chunk(chunk.relation.table, written.rows, written.bytes)
        hit(CHUNK_DONE)

    async def _copy_row_by_row(
        self,
        chunk: Chunk,
        form: str,
        snapshot: Snapshot,
        loader: Loader,
    ) -> None:
        """Find the refused rows; leave them out, or set the table aside."""
        relation, place = chunk.relation, str(snapshot.until)
        leave_out = self.on_row_error is OnRowError.QUARANTINE
        written = Written()
        kept = 0

        async def write(transaction: TargetTransaction) -> None:
            nonlocal written, kept
            rows = self.target.load_rows(relation, form)
            load = RowByRow(
                transaction, relation, form, rows, loader[1].name, place, leave_out, self.sealed
            )
            async with aclosing(self._rows(chunk, snapshot, form)) as data:
                written = await load.load(data)
            await transaction.save_chunk(self._done(chunk, snapshot, written.rows))
            kept = load.kept
            hit(CHUNK_BEFORE_COMMIT)

        try:
            await self._commit(loader, write)
        except FirstRefusalError as first:
            await self._set_aside(relation.table, place, first.error, loader, first.row)
        except RowRejectedError as error:  # which row it was is known to COMMIT only
            await self._set_aside(relation.table, place, error, loader, None)
        else:
            self.progress.rejected(relation.table, REJECTED, kept)
            self._chunk_done(chunk, written)

    async def _set_aside(
        self,
        table: TableName,
        place: str,
        error: RowRejectedError,
        loader: Loader,
        row: RejectedRow | None,
    ) -> None:
        state, reason = TableState.NEEDS_RELOAD, error.message
        tied = await self.tied(table)
        records = [TableRecord(name, state, place, reason) for name in tied]

        async def write(transaction: TargetTransaction) -> None:
            if row is not None:
                await transaction.reject(self.sealed(row))
            for record in records:
                await transaction.save_table(record)
                await transaction.remove_chunks(record.table)

        async with self._recording:
            if table in self._aside:
                return
            self._aside.update(dict.fromkeys(tied, error))
            await self._commit(loader, write)
            self.progress.rejected(table, REJECTED, int(row is not None))
            self.progress.set_aside(records, error)

    async def _loaded(self, table: TableName, loader: Loader) -> None:
        async def write(transaction: TargetTransaction) -> None:
            await transaction.save_table(TableRecord(table, TableState.LOADED))

        async with self._recording:
            if table in self._aside:
                return
            await self._commit(loader, write)
            self.progress.table(table, TableState.LOADED)
            hit(TABLE_LOADED)

    async def _commit(
        self,
        loader: Loader,
        write: Callable[[TargetTransaction], Awaitable[None]],
    ) -> None:
        """One fenced transaction of a loader, again while the target is busy."""
        session, lane = loader
        backoff = Backoff(BUSY, self.clock, self.random)
        while True:
            try:
                async with session.begin([lane.fence()]) as transaction:
                    await write(transaction)
                    await transaction.commit()
            except TargetBusyError:
                delay = backoff.next_delay()
                if delay is None:
                    raise
                await asyncio.sleep(delay)
                continue
            lane.seq += 1
            self.committed(1)
            return


def _decoded(source: DecodingSource) -> float:
    return source.decode_seconds


def _planned(chunk: Chunk) -> ChunkDone:
    table = chunk.relation.table
    return ChunkDone(table, chunk.ordinal, chunk.by, chunk.low, chunk.high, "", "", 0)


def _done(chunk: Chunk, snapshot: Snapshot, rows: int) -> ChunkDone:
    return ChunkDone(
        chunk.relation.table,
        chunk.ordinal,
        chunk.by,
        chunk.low,
        chunk.high,
        snapshot.text,
        str(snapshot.until),
        rows,
    )


def _chunk(relation: Relation, planned: ChunkDone) -> Chunk:
    return Chunk(relation, planned.ordinal, planned.by, planned.low, planned.high)
