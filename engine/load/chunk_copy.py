"""Copy chunks: many loaders, each chunk's rows and its "done" record in one target transaction.

The plan of a table (its chunks, without a snapshot) is stored before the first row is copied, in
the transaction that sets the table to LOADING. After a restart the chunks that are not done are
read at a new snapshot, where a row's chunk can be told from its key; other tables begin again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from engine.contracts import (
    Clock,
    Random,
    SchemaTarget,
    Snapshot,
    SnapshotSource,
    TargetSession,
    TargetTransaction,
)
from engine.errors import TargetBusyError
from engine.failpoint import hit, register
from engine.load.chunk_queue import ChunkQueue
from engine.model.change import Truncate
from engine.model.chunk import Chunk, ChunkDone
from engine.model.relation import Relation, TableName
from engine.model.state import Fence, LaneRow, TableRecord, TableState
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


@dataclass(slots=True)
class LoaderLane:
    """The checkpoint row that fences one loader's transactions; it holds no position."""

    name: str
    epoch: int
    seq: int

    def fence(self) -> Fence:
        return Fence(self.name, self.epoch, self.seq, "")

    @classmethod
    def of(cls, name: str, row: LaneRow) -> "LoaderLane":
        return cls(name, row.epoch, row.seq)


@dataclass(slots=True)
class _Table:
    relation: Relation
    form: str
    left: int


@dataclass(slots=True)
class ChunkCopy:
    """Loads tables with the given loaders, one session and one lane each."""

    source: SnapshotSource
    target: SchemaTarget
    clock: Clock
    random: Random
    progress: Progress
    rows_per_chunk: int
    loaders_per_table: int
    committed: Callable[[int], None]

    async def load(
        self,
        relations: Sequence[Relation],
        stored: Mapping[TableName, Sequence[ChunkDone]],
        loaders: Sequence[tuple[TargetSession, LoaderLane]],
        *,
        again: bool = False,
    ) -> None:
        """Copy every chunk of these tables that is not done. `again`: empty them first (reload).

        Raises what source and target raise; chunks that are done stay done.
        """
        async with self.source.snapshot() as snapshot:
            tables: dict[TableName, _Table] = {}
            waiting: list[Chunk] = []
            for relation in relations:
                plan = stored.get(relation.table, ())
                chunks = await self._plan(relation, plan, loaders[0], again=again)
                form = await self.target.load_form(relation)
                tables[relation.table] = _Table(relation, form, len(chunks))
                waiting += chunks
                if not chunks:
                    await self._loaded(relation.table, loaders[0])
            queue = ChunkQueue(waiting, self.loaders_per_table)
            async with asyncio.TaskGroup() as tasks:
                for number, loader in enumerate(loaders):
                    tasks.create_task(
                        self._run(queue, tables, snapshot, loader), name=f"loader-{number}"
                    )

    async def _plan(
        self,
        relation: Relation,
        stored: Sequence[ChunkDone],
        loader: tuple[TargetSession, LoaderLane],
        *,
        again: bool,
    ) -> list[Chunk]:
        """The chunks still to be copied; stores the plan of a table that begins."""
        resumable = all(chunk.by == "key" for chunk in stored)
        done = [chunk for chunk in stored if chunk.snapshot]
        if stored and not again and (resumable or not done):
            return [_chunk(relation, c) for c in stored if not c.snapshot]
        chunks = list(await self.source.chunks(relation, self.rows_per_chunk))
        await self._store_plan(relation, chunks, loader, again=again or bool(done))
        return chunks

    async def _store_plan(
        self,
        relation: Relation,
        chunks: Sequence[Chunk],
        loader: tuple[TargetSession, LoaderLane],
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
        loader: tuple[TargetSession, LoaderLane],
    ) -> None:
        last: TableName | None = None
        while (chunk := queue.take(last)) is not None:
            last = chunk.relation.table
            table = tables[last]
            await self._copy(chunk, table.form, snapshot, loader)
            table.left -= 1
            if table.left == 0:
                await self._loaded(last, loader)

    async def _copy(
        self,
        chunk: Chunk,
        form: str,
        snapshot: Snapshot,
        loader: tuple[TargetSession, LoaderLane],
    ) -> None:
        counts = [0, 0]

        async def write(transaction: TargetTransaction) -> None:
            rows = self.source.rows(chunk, snapshot, form)
            written = await transaction.load(chunk.relation, form, rows)
            await transaction.save_chunk(_done(chunk, snapshot, written.rows))
            counts[:] = written.rows, written.bytes
            hit(CHUNK_BEFORE_COMMIT)

        await self._commit(loader, write)
        self.progress.chunk(chunk.relation.table, counts[0], counts[1])
        hit(CHUNK_DONE)

    async def _loaded(self, table: TableName, loader: tuple[TargetSession, LoaderLane]) -> None:
        async def write(transaction: TargetTransaction) -> None:
            await transaction.save_table(TableRecord(table, TableState.LOADED))

        await self._commit(loader, write)
        self.progress.table(table, TableState.LOADED)
        hit(TABLE_LOADED)

    async def _commit(
        self,
        loader: tuple[TargetSession, LoaderLane],
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
