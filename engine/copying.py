"""Copying tables with copiers of their own: lanes and sessions for them, and what they report."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from engine.abilities import CountedReaders
from engine.checkpoint.ownership import SeqSum, read_rows, store_rows
from engine.checkpoint.sessions import Sessions
from engine.config.replication import ReplicationConfig
from engine.contracts import SchemaTarget, SnapshotSource, TargetSession
from engine.copiers import Copiers
from engine.errors import RowRejectedError
from engine.load.chunk_copy import ChunkCopy, Progress
from engine.load.loader import LoaderLane
from engine.load_silence import watch_source
from engine.model.chunk import ChunkDone
from engine.model.relation import Relation, TableName
from engine.model.state import LaneRow
from engine.quarantine import Sealer
from engine.surroundings import Surroundings


class Copying:
    """Copies for one owner, which claimed with `epoch`. `tied`: see `ChunkCopy`."""

    def __init__(
        self,
        config: ReplicationConfig,
        source: SnapshotSource,
        target: SchemaTarget,
        around: Surroundings,
        epoch: int,
        seqs: SeqSum,
        sessions: Sessions,
        progress: Progress,
        tied: Callable[[TableName], Awaitable[Sequence[TableName]]],
    ) -> None:
        self._config = config
        self._source = source
        self._target = target
        self._around = around
        self._stages = around.stages.load
        self._epoch = epoch
        self._seqs = seqs
        self._sessions = sessions
        self._progress = progress
        self._tied = tied

    async def copy(
        self,
        relations: Sequence[Relation],
        stored: Mapping[TableName, Sequence[ChunkDone]],
        control: TargetSession,
        *,
        again: bool,
    ) -> Mapping[TableName, RowRejectedError]:
        """See `ChunkCopy.load`."""
        lanes = await self._lanes(control, self._count(len(relations)))
        copiers = Copiers(
            self._sessions, lanes, self._around.provision, self._around.log, self._stages.staff
        )
        with self._around.stalls.loading(self._stages):
            return await self._watched(relations, stored, copiers, again=again)

    async def _watched(
        self,
        relations: Sequence[Relation],
        stored: Mapping[TableName, Sequence[ChunkDone]],
        copiers: Copiers,
        *,
        again: bool,
    ) -> Mapping[TableName, RowRejectedError]:
        async with asyncio.TaskGroup() as tasks:
            life = watch_source(self._stages, self._around.log)
            watching = tasks.create_task(life, name="load-source")
            async with copiers.opened() as first:
                copy = self._chunk_copy()
                aside = await copy.load(relations, stored, copiers, first, again=again)
            watching.cancel()
        return aside

    def _count(self, tables: int) -> int:
        """How many copiers there may come to be: as many as find something to do, and as the
        largest size has, or this one where the source's readers are opened once for all."""
        provision, config = self._around.provision, self._config
        useful = max(config.load.loaders_per_table, tables)
        if isinstance(self._source, CountedReaders):
            count = min(provision.budget.copiers, useful)
            self._source.readers(count)
            return count
        return min(config.budget(config.capacity.units_max).copiers, useful)

    async def _lanes(self, control: TargetSession, count: int) -> list[LoaderLane]:
        names = [f"load:{number}" for number in range(count)]
        rows = await read_rows(control, self._epoch)
        missing = {n: LaneRow(self._epoch, 0, "") for n in names if n not in rows}
        await store_rows(control, self._epoch, missing)
        return [LoaderLane.of(name, rows.get(name) or missing[name]) for name in names]

    def _chunk_copy(self) -> ChunkCopy:
        load = self._config.load
        return ChunkCopy(
            self._source,
            self._target,
            self._around.clock,
            self._around.random,
            self._progress,
            load.rows_per_chunk,
            load.loaders_per_table,
            self._config.on_row_error,
            self._tied,
            self._seqs.add,
            Sealer(self._config.id, self._config.quarantine_key, self._around.random).sealed,
            self._stages,
            self._around.stalls.questions,
        )
