"""Tables that are loaded while the stream runs: asked for by `penstock reload`, or new on the
source, or another table under a name that is carried.

The table's lane is held, so what comes for it waits. Its rows are read at a new snapshot; then the
lane goes on through the catch-up filter, which drops exactly what the snapshot has seen.

A stopped lane had dropped what came. It takes in again before the snapshot is made, and the source
is asked to wait for every transaction that began before (`publish`), because a change can be
received before its transaction is visible to a new snapshot.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, Protocol

from engine.apply.evolution import LEFT, Evolution
from engine.apply.lane import Lane
from engine.apply.scheduler import Scheduler
from engine.contracts import SnapshotSource, TargetSession
from engine.errors import (
    FencedError,
    InvariantError,
    PenstockError,
    PositionLostError,
    Retry,
    SourceConnectionError,
    SourceIdentityError,
)
from engine.load.handover import LaneCatchUp
from engine.loading import RELOAD_REQUESTED, Loading
from engine.model import relation_text
from engine.model.relation import Relation, TableName
from engine.model.state import TableRecord, TableState
from engine.observe.report import leading
from engine.roster import Roster
from engine.surroundings import Surroundings

REQUEST_POLL_SECONDS: Final = 2.0
"""Time between looks for reload requests: a person who asked should see it begin."""

DISCOVERY_SECONDS: Final = 20.0
"""Time between looks for new tables: they are to be there within a minute, load included."""


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
        *,
        rebuild: Callable[[], Awaitable[Roster]],
    ) -> None:
        self._source = source
        self._loading = loading
        self._lanes = lanes
        self._scheduler = scheduler
        self._evolution = evolution
        self._around = around
        self._rebuild = rebuild
        self._look = False

    def look_soon(self) -> None:
        """Something new was heard of: look for new tables at the next turn."""
        self._look = True

    async def run(self, desk: TargetSession) -> None:
        """Look for requests and new tables until cancelled."""
        waited = 0.0
        while True:
            await asyncio.sleep(REQUEST_POLL_SECONDS)
            waited += REQUEST_POLL_SECONDS
            await self._record_lost(desk)
            for table in self._requested(await self._records(desk)):
                await self.reload(table, desk)
            if self._look or waited >= DISCOVERY_SECONDS:
                waited = 0.0
                self._look = False
                await self._look_for_tables(desk)

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

    def _requested(self, records: Sequence[TableRecord]) -> list[TableName]:
        return [
            record.table
            for record in records
            if record.state is TableState.NEEDS_RELOAD
            and record.reason == RELOAD_REQUESTED
            and self._lanes.lane_of(record.table) is not None
        ]

    async def reload(self, table: TableName, desk: TargetSession) -> None:
        """Copy a streaming table again."""
        self._around.log.info("loading again", action="reload.start", relation=str(table))
        lane = self._lanes.lane_of(table)
        assert lane is not None
        await self._refresh_roster()
        if table not in self._loading.roster.relations:
            await self._leave([table], desk)
            return
        if await self._refused(table, lane, desk):
            return
        roster = self._loading.roster
        # Waited for twice: what takes long is over before the lane is held.
        await self._source.publish(roster.streamed, roster.insert_only)
        await self._hold(lane)
        tables = [t for t in self._behind(lane, table) if t in roster.relations]
        if lane.suspension is not None:
            lane.suspension.clear()
            lane.suspension = None
        lane.stopped.difference_update(tables)
        await self._source.publish(roster.streamed, roster.insert_only)
        await self._guarded(tables, lane, desk, again=tables)

    async def _refused(self, table: TableName, lane: Lane, desk: TargetSession) -> bool:
        """A table tied by foreign keys cannot be emptied and filled alone while they hold: the
        request is answered, and the table stays what it was."""
        tied = await self._loading.tied_to(table)
        if not tied:
            return False
        behind = table in lane.stopped or lane.suspension is not None
        state = TableState.NEEDS_RELOAD if behind else TableState.STREAMING
        reason = f"not loaded again: foreign keys tie it to {', '.join(map(str, tied))}"
        await self._loading.save(desk, [TableRecord(table, state, reason=reason)])
        self._around.log.error(
            "a table tied by foreign keys cannot be loaded again alone",
            action="reload.refused",
            relation=str(table),
            hint="drop these foreign keys on the target and ask again; they are made anew after "
            "the load",
        )
        return True

    def _behind(self, lane: Lane, table: TableName) -> Sequence[TableName]:
        """The table, and every other of its lane whose changes were kept from the target."""
        if lane.suspension is not None:
            return lane.tables
        return [t for t in lane.tables if t == table or t in lane.stopped]

    async def _guarded(
        self,
        tables: Sequence[TableName],
        lane: Lane,
        desk: TargetSession,
        *,
        again: Collection[TableName],
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
            await self._stop(tables, lane, error, desk)

    async def _stop(
        self, tables: Sequence[TableName], lane: Lane, error: PenstockError, desk: TargetSession
    ) -> None:
        """Recorded first: nothing is dropped before that is durable."""
        state = TableState.NEEDS_RELOAD
        records = [TableRecord(table, state, reason=error.message) for table in tables]
        await self._loading.save(desk, records)
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
        relations = [loading.roster.relations[table] for table in tables]
        definitions = await self._source.definitions(tables)
        await loading.make(definitions, desk)
        await loading.copy([r for r in relations if r.table not in again], desk)
        await loading.copy([r for r in relations if r.table in again], desk, again=True)
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

    async def _refresh_roster(self) -> None:
        self._loading.roster = await self._rebuild()

    async def _look_for_tables(self, desk: TargetSession) -> None:
        try:
            roster = await self._rebuild()
        except SourceConnectionError:
            self._look = True  # capture meets it too, and waits for the source
        else:
            await self._discover(roster, desk)

    async def _discover(self, roster: Roster, desk: TargetSession) -> None:
        """Add tables that the mapping selects and the stream does not carry yet, load those anew
        that are other tables now, and note which are not there any more."""
        before, self._loading.roster = self._loading.roster, roster
        records = await self._records(desk)
        await self._leave(self._gone(records, roster), desk)
        new = [table for table in roster.relations if self._lanes.lane_of(table) is None]
        await self._add(new, desk)
        if (before.streamed, before.insert_only) != (roster.streamed, roster.insert_only):
            await self._source.publish(roster.streamed, roster.insert_only)
        for record in records:
            relation = roster.relations.get(record.table)
            if relation is not None and record.table not in new and _another(record, relation):
                await self.reload(record.table, desk)

    def _gone(self, records: Sequence[TableRecord], roster: Roster) -> list[TableName]:
        """Tables that were carried and cannot be any more, and are not noted as such."""
        return [
            record.table
            for record in records
            if record.table not in roster.relations and record.state is TableState.STREAMING
        ]

    async def _leave(self, tables: Sequence[TableName], desk: TargetSession) -> None:
        """What the log still holds of them is applied; their target tables stay."""
        records = [TableRecord(t, TableState.NEEDS_RELOAD, reason=LEFT) for t in tables]
        if records:
            await self._loading.save(desk, records)
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
        await self._source.publish(roster.streamed, roster.insert_only)
        lanes: dict[str, tuple[Lane, list[TableName]]] = {}
        for table in new:
            lane = await self._lanes.add_lane(table, desk)
            lanes.setdefault(lane.name, (lane, []))[1].append(table)
        await self._source.publish(roster.streamed, roster.insert_only)
        for lane, tables in lanes.values():
            again = [table for table in tables if table in self._loading.states]
            await self._guarded(tables, lane, desk, again=again)


def _another(record: TableRecord, relation: Relation) -> bool:
    """Whether the table on the source is not the one that the record is about."""
    if record.state is TableState.NEEDS_RELOAD and record.reason == LEFT:
        return True
    return bool(record.relation) and relation_text.parse(record.relation).id != relation.id
