"""Tables that are loaded while the stream runs: asked for by `penstock reload`, or new on the
source, or another table under a name that is carried.

The table's lane is held, so what comes for it waits. Its rows are read at a new snapshot; then the
lane goes on through the catch-up filter, which drops exactly what the snapshot has seen.

A stopped lane had dropped what came. It takes in again before the snapshot is made, and the source
is asked to wait for every transaction that began before (`publish`), because a change can be
received before its transaction is visible to a new snapshot.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

from engine.apply.evolution import LEFT, Evolution
from engine.apply.lane import Lane
from engine.apply.scheduler import Scheduler
from engine.checkpoint.ownership import NO_ANSWERS
from engine.config.intervals import IntervalsConfig
from engine.contracts import SnapshotSource, TargetSession
from engine.errors import (
    FencedError,
    InvariantError,
    PenstockError,
    PositionLostError,
    Retry,
    SourceBusyError,
    SourceConnectionError,
    SourceIdentityError,
)
from engine.load.handover import LaneCatchUp
from engine.loading import Loading
from engine.model import relation_text
from engine.model.relation import Relation, TableName
from engine.model.state import TableRecord, TableState
from engine.observe.report import leading
from engine.roster import Roster, tell_exceptions
from engine.surroundings import Surroundings

NOT_A_TABLE: Final = (FencedError, InvariantError, PositionLostError, SourceIdentityError)
"""Final errors that are never about one table."""


class Lanes(Protocol):
    """The stream's lanes, by table."""

    def lane_of(self, table: TableName) -> Lane | None: ...

    async def add_lane(self, table: TableName, desk: TargetSession) -> Lane:
        """A held lane for a table that is new to the stream."""
        ...


class Reloading:
    """`desk` is a target session of its own. `rebuild` gives the roster as it is now."""

    def __init__(
        self,
        source: SnapshotSource,
        loading: Loading,
        lanes: Lanes,
        scheduler: Scheduler,
        evolution: Evolution,
        around: Surroundings,
        intervals: IntervalsConfig,
        *,
        rebuild: Callable[[], Awaitable[Roster]],
    ) -> None:
        self._source = source
        self._loading = loading
        self._lanes = lanes
        self._scheduler = scheduler
        self._evolution = evolution
        self._around = around
        self._intervals = intervals
        self._rebuild = rebuild
        self._look = False
        self.carried_out = 0
        """Reloads that have ended, one way or the other."""
        self._awake = asyncio.Event()
        self._settling: list[asyncio.Future[None]] = []

    def look_soon(self) -> None:
        """Something new was heard of: look for new tables at the next turn."""
        self._look = True

    async def settle(self) -> None:
        """Return when every request committed before this call has been carried out, or its table
        has been stopped with the reason."""
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settling.append(settled)
        self._awake.set()
        await settled

    async def run(self, desk: TargetSession) -> None:
        """Look for requests and new tables until cancelled."""
        looked_at = self._around.clock.monotonic()
        while True:
            await self._pause()
            settling, self._settling = self._settling, []
            await self._record_lost(desk)
            for lane, records in self._requested(await self._records(desk)):
                await self.reload(records, lane, desk)
            now = self._around.clock.monotonic()
            if self._look or now - looked_at >= self._intervals.new_tables_seconds:
                looked_at = now
                self._look = False
                await self._look_for_tables(desk)
            for settled in settling:
                if not settled.done():
                    settled.set_result(None)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._intervals.requests_seconds):
                await self._awake.wait()
        except TimeoutError:
            return
        self._awake.clear()

    async def _record_lost(self, desk: TargetSession) -> None:
        """Tables whose waiting changes were dropped need a reload; make that durable."""
        lost, self._loading.lost = self._loading.lost, []
        await self._loading.save(
            desk,
            [
                TableRecord(table, TableState.NEEDS_RELOAD, reason="waiting changes were dropped")
                for table in lost
            ],
        )

    async def _records(self, desk: TargetSession) -> Sequence[TableRecord]:
        async with desk.begin() as transaction:
            records = await transaction.tables()
            await transaction.rollback()
        return records

    def _requested(
        self, records: Sequence[TableRecord]
    ) -> Sequence[tuple[Lane, Sequence[TableRecord]]]:
        """Tables to be loaded again, those of one lane together."""
        requested: dict[str, tuple[Lane, list[TableRecord]]] = {}
        for record in records:
            lane = self._lanes.lane_of(record.table)
            if lane is not None and record.requested:
                requested.setdefault(lane.name, (lane, []))[1].append(record)
        return list(requested.values())

    async def reload(self, records: Sequence[TableRecord], lane: Lane, desk: TargetSession) -> None:
        """Copy streaming tables of one lane again, as these records ask for."""
        asked = {record.table: record.asked for record in records}
        for table in asked:
            self._around.log.info("loading again", action="reload.start", relation=str(table))
        roster = self._loading.roster = await self._rebuild()
        gone = {table: number for table, number in asked.items() if table not in roster.relations}
        await self._leave(list(gone), desk, gone)
        tables = [table for table in asked if table not in gone]
        try:
            # Waited for twice: what takes long is over before the lane is held.
            await self._publish(roster)
            again = await self._take_in(tables, lane, desk, roster)
        except SourceBusyError as error:
            self._tell_busy(tables, error)
            return
        if again:
            await self._guarded(again, lane, desk, again=again, asked=asked)
        else:
            self._release(lane)
        self.carried_out += 1

    async def _take_in(
        self, tables: Sequence[TableName], lane: Lane, desk: TargetSession, roster: Roster
    ) -> list[TableName]:
        """Hold the lane, have it take in all that a snapshot of now would not see; returns what is
        to be loaded."""
        await self._hold(lane)
        again = [table for table in self._behind(lane, tables) if table in roster.relations]
        kept_back = (
            again if lane.suspension is not None else sorted(lane.stopped.intersection(again))
        )
        if lane.suspension is not None:
            lane.suspension.end()
            lane.suspension = None
        lane.stopped.difference_update(again)
        try:
            await self._publish(roster)
        except SourceBusyError as error:
            await self._stop(kept_back, lane, error, desk, NO_ANSWERS)
            raise
        return again

    async def _publish(self, roster: Roster) -> None:
        await self._source.publish(
            roster.streamed, roster.insert_only, waiting=self._around.waiting
        )

    def _tell_busy(self, tables: Sequence[TableName], error: SourceBusyError) -> None:
        """Who asked is not forgotten: it is tried again at the next turn."""
        for table in tables:
            self._around.log.error(
                "table could not be read yet",
                action="reload.busy",
                relation=str(table),
                error=error,
            )

    def _behind(self, lane: Lane, tables: Sequence[TableName]) -> Sequence[TableName]:
        """These tables, and every other of their lane whose changes were kept from the target."""
        if lane.suspension is not None:
            return lane.tables
        return [table for table in lane.tables if table in tables or table in lane.stopped]

    async def _guarded(
        self,
        tables: Sequence[TableName],
        lane: Lane,
        desk: TargetSession,
        *,
        again: Collection[TableName],
        asked: Mapping[TableName, int] = NO_ANSWERS,
    ) -> None:
        """Copy tables into a held lane; what only concerns them stops them and nothing else."""
        try:
            await self._copy(tables, lane, desk, again=again)
        except (PenstockError, BaseExceptionGroup) as raised:
            error = leading(raised)
            if error is None or isinstance(error, NOT_A_TABLE):
                raise
            if error.retry not in (Retry.NEVER, Retry.QUARANTINE):
                raise
            await self._stop(tables, lane, error, desk, asked)

    async def _stop(
        self,
        tables: Sequence[TableName],
        lane: Lane,
        error: PenstockError,
        desk: TargetSession,
        asked: Mapping[TableName, int],
    ) -> None:
        """Recorded first: nothing is dropped before that is durable."""
        state = TableState.NEEDS_RELOAD
        records = [TableRecord(table, state, reason=error.message) for table in tables]
        await self._loading.save(desk, records, asked)
        lane.stopped.update(tables)
        self._release(lane)
        for table in tables:
            self._around.log.error(
                "table could not be loaded",
                action="reload.failed",
                relation=str(table),
                error=error,
            )

    def _release(self, lane: Lane) -> None:
        lane.held = False
        self._scheduler.wake(lane)

    async def _copy(
        self,
        tables: Sequence[TableName],
        lane: Lane,
        desk: TargetSession,
        *,
        again: Collection[TableName],
    ) -> None:
        loading = self._loading
        definitions = await loading.prepare(tables, desk)
        tables = [definition.table for definition in definitions]
        relations = [loading.roster.relations[table] for table in tables]
        fresh = [table for table in tables if table not in again]
        if fresh and await loading.tied(fresh):
            await loading.put_off_keys(desk)
        aside = {
            **await loading.copy([r for r in relations if r.table in fresh], desk),
            **await loading.copy([r for r in relations if r.table in again], desk, again=True),
        }
        if aside:
            raise next(iter(aside.values()))
        await loading.finish(tables)
        for relation in relations:
            loading.known[relation.table] = relation
            self._evolution.reloaded(relation)
        await loading.save(desk, [loading.streaming_record(table) for table in tables])
        chunks = await loading.stored_chunks(desk)
        loading.late_chunks = chunks if loading.late_keys else None
        filters = loading.catch_up(chunks, lane.tables)
        lane.admit = LaneCatchUp(filters, lane.caught_up).admit if filters else None
        self._release(lane)
        for table in tables:
            self._around.log.info("table loaded", action="reload.done", relation=str(table))

    async def _hold(self, lane: Lane) -> None:
        lane.held = True
        await self._scheduler.released(lane)

    async def _look_for_tables(self, desk: TargetSession) -> None:
        try:
            roster = await self._rebuild()
        except SourceConnectionError:
            self._look = True  # capture meets it too, and waits for the source
            return
        try:
            await self._discover(roster, desk)
        except SourceBusyError as error:
            self._look = True
            self._tell_busy([], error)

    async def _discover(self, roster: Roster, desk: TargetSession) -> None:
        """Add tables that the mapping selects and the stream does not carry yet, load those anew
        that are other tables now, and note which are not there any more."""
        before, self._loading.roster = self._loading.roster, roster
        tell_exceptions(roster, self._around.log, before)
        records = await self._records(desk)
        await self._leave(self._gone(records, roster), desk)
        new = [table for table in roster.relations if self._lanes.lane_of(table) is None]
        await self._add(new, desk)
        if (before.streamed, before.insert_only) != (roster.streamed, roster.insert_only):
            await self._publish(roster)
        for record in records:
            relation = roster.relations.get(record.table)
            lane = self._lanes.lane_of(record.table)
            if relation is None or lane is None or record.table in new:
                continue
            if _another(record, relation):
                await self.reload([record], lane, desk)

    def _gone(self, records: Sequence[TableRecord], roster: Roster) -> list[TableName]:
        """Tables that were carried and cannot be any more, and are not noted as such."""
        return [
            record.table
            for record in records
            if record.table not in roster.relations and record.state is TableState.STREAMING
        ]

    async def _leave(
        self,
        tables: Sequence[TableName],
        desk: TargetSession,
        asked: Mapping[TableName, int] = NO_ANSWERS,
    ) -> None:
        """What the log still holds of them is applied; their target tables stay. One that comes
        back is loaded anew, which answers what was asked for."""
        records = [TableRecord(t, TableState.NEEDS_RELOAD, reason=LEFT) for t in tables]
        if records:
            await self._loading.save(desk, records, asked)
        for table in tables:
            self._around.log.warning(
                "the table cannot be carried any more; its target table stays as it is",
                action="discover.table-left",
                relation=str(table),
                hint="it was dropped or renamed, or lost its replica identity",
            )

    async def _add(self, new: Sequence[TableName], desk: TargetSession) -> None:
        if not new:
            return
        for table in new:
            self._around.log.info("new table", action="discover.table", relation=str(table))
        roster = self._loading.roster
        await self._publish(roster)
        lanes: dict[str, tuple[Lane, list[TableName]]] = {}
        for table in new:
            lane = await self._lanes.add_lane(table, desk)
            lanes.setdefault(lane.name, (lane, []))[1].append(table)
        try:
            await self._publish(roster)
        except SourceBusyError as error:
            for lane, tables in lanes.values():
                await self._stop(tables, lane, error, desk, NO_ANSWERS)
            return
        for lane, tables in lanes.values():
            again = [table for table in tables if table in self._loading.states]
            await self._guarded(tables, lane, desk, again=again)


def _another(record: TableRecord, relation: Relation) -> bool:
    """Whether the table on the source is not the one that the record is about."""
    if record.state is TableState.NEEDS_RELOAD and record.reason == LEFT:
        return True
    return bool(record.relation) and relation_text.parse(record.relation).id != relation.id
