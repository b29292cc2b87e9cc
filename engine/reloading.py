"""Tables that are loaded while the stream runs: asked for by `penstock reload`, or new.

The table's lane is held, so what comes for it waits. Its rows are read at a new snapshot; then the
lane goes on through the catch-up filter, which drops exactly what the snapshot has seen.

A stopped lane had dropped what came. It takes in again before the snapshot is made, and the source
is asked to wait for every transaction that began before (`publish`), because a change can be
received before its transaction is visible to a new snapshot.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from engine.apply.evolution import Evolution
from engine.apply.lane import Lane
from engine.apply.scheduler import Scheduler
from engine.contracts import SnapshotSource, TargetSession
from engine.errors import PenstockError, Retry
from engine.load.handover import LaneCatchUp
from engine.loading import RELOAD_REQUESTED, Loading
from engine.model.relation import TableName
from engine.model.state import TableRecord, TableState
from engine.roster import Roster
from engine.surroundings import Surroundings

REQUEST_POLL_SECONDS: Final = 2.0
"""Time between looks for reload requests: a person who asked should see it begin."""

DISCOVERY_SECONDS: Final = 20.0
"""Time between looks for new tables: they are to be there within a minute, load included."""


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

    async def run(self, desk: TargetSession) -> None:
        """Look for requests and new tables until cancelled."""
        waited = 0.0
        while True:
            await asyncio.sleep(REQUEST_POLL_SECONDS)
            waited += REQUEST_POLL_SECONDS
            await self._record_lost(desk)
            for table in await self._requested(desk):
                await self._guarded(table, desk)
            if waited >= DISCOVERY_SECONDS:
                waited = 0.0
                await self._discover(desk)

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

    async def _requested(self, desk: TargetSession) -> list[TableName]:
        async with desk.begin() as transaction:
            records = await transaction.tables()
            await transaction.rollback()
        return [
            record.table
            for record in records
            if record.state is TableState.NEEDS_RELOAD
            and record.reason == RELOAD_REQUESTED
            and self._lanes.lane_of(record.table) is not None
        ]

    async def _guarded(self, table: TableName, desk: TargetSession) -> None:
        """Reload one table; what only concerns that table stops it and nothing else."""
        try:
            await self.reload(table, desk)
        except PenstockError as error:
            if error.retry not in (Retry.NEVER, Retry.QUARANTINE):
                raise
            lane = self._lanes.lane_of(table)
            if lane is not None:
                lane.stopped = True
                lane.held = False
                self._scheduler.wake(lane)
            record = TableRecord(table, TableState.NEEDS_RELOAD, reason=error.message)
            await self._loading.save(desk, [record])
            self._around.log.exception(
                "table could not be loaded",
                action="reload.failed",
                relation=str(table),
                error=error,
            )

    async def reload(self, table: TableName, desk: TargetSession) -> None:
        """Copy a streaming table again."""
        self._around.log.info("loading again", action="reload.start", relation=str(table))
        lane = self._lanes.lane_of(table)
        assert lane is not None
        await self._refresh_roster()
        await self._hold(lane)
        if lane.suspension is not None:
            lane.suspension.clear()
            lane.suspension = None
        lane.stopped = False
        roster = self._loading.roster
        await self._source.publish(roster.streamed, roster.insert_only)
        # every table of the lane: its others may have been stopped with it
        tables = [t for t in lane.tables if t == table or self._stopped(t)]
        await self._copy(tables, lane, desk, again=True)

    def _stopped(self, table: TableName) -> bool:
        record = self._loading.states.get(table)
        return record is not None and record.state in (
            TableState.NEEDS_RELOAD,
            TableState.SUSPENDED,
        )

    async def _copy(
        self, tables: Sequence[TableName], lane: Lane, desk: TargetSession, *, again: bool
    ) -> None:
        loading = self._loading
        relations = [loading.roster.relations[table] for table in tables]
        definitions = await self._source.definitions(tables)
        await loading.make(definitions, desk)
        await loading.copy(relations, desk, again=again)
        await loading.finish(tables)
        for relation in relations:
            loading.known[relation.table] = relation
            self._evolution.reloaded(relation)
        await loading.save(desk, [loading.streaming_record(table) for table in tables])
        filters = loading.catch_up(await loading.stored_chunks(desk), lane.tables)
        lane.admit = LaneCatchUp(filters, lane.caught_up).admit if filters else None
        lane.held = False
        self._scheduler.wake(lane)
        for table in tables:
            self._around.log.info("table loaded", action="reload.done", relation=str(table))

    async def _hold(self, lane: Lane) -> None:
        lane.held = True
        await self._scheduler.released(lane)

    async def _refresh_roster(self) -> None:
        self._loading.roster = await self._rebuild()

    async def _discover(self, desk: TargetSession) -> None:
        """Add tables that the mapping selects and the stream does not carry yet."""
        roster = await self._rebuild()
        new = [table for table in roster.relations if self._lanes.lane_of(table) is None]
        if not new:
            return
        self._loading.roster = roster
        for table in new:
            self._around.log.info("new table", action="discover.table", relation=str(table))
        lanes = [await self._lanes.add_lane(table, desk) for table in new]
        await self._source.publish(roster.streamed, roster.insert_only)
        for table, lane in zip(new, lanes, strict=True):
            await self._copy([table], lane, desk, again=False)
