"""The stream: capture -> queue -> route -> apply -> checkpoint, until stopped or a goal is reached."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from engine.apply.applier import ApplyStation, BatchLimits, run_applier
from engine.apply.evolution import Evolution
from engine.apply.fallback import RowByRow
from engine.apply.lane import Checkpoint, Lane
from engine.apply.scheduler import Scheduler
from engine.apply.tally import Tally
from engine.capture.reader import Reader
from engine.checkpoint.committer import Committer
from engine.checkpoint.frontier import Frontier
from engine.checkpoint.ownership import Claim, SeqSum, read_rows, record_sessions, store_rows
from engine.config.replication import ApplyMode, OnSchemaChange, ReplicationConfig
from engine.contracts import SchemaTarget, SnapshotSource, TargetSession, TransactionalTarget
from engine.errors import PenstockError
from engine.load.handover import LaneCatchUp
from engine.loading import Loading
from engine.model.position import Position
from engine.model.relation import TableName
from engine.model.segment import Mark
from engine.model.state import LaneRow, TableState
from engine.outcome import Outcome
from engine.plan.lanes import WHOLE, checkpoint_name, groups
from engine.queue.bounded import BoundedQueue, Budget
from engine.reloading import LANE_POLL_SECONDS, Reloading
from engine.roster import Roster, build
from engine.route.router import Router
from engine.surroundings import Surroundings

CAUGHT_UP: Final = "caught-up"

DRAIN_SECONDS: Final = 10.0
"""Most time a stop waits for what is in flight; what is left is replayed by the next start."""

GOAL_POLL_SECONDS: Final = 0.05

GAUGES_SECONDS: Final = 1.0

SOURCE_SECONDS: Final = 10.0
"""Time between two looks at the source's head and the log it keeps for us."""

STOPPED_STATES: Final = (TableState.SUSPENDED, TableState.NEEDS_RELOAD)


class Streaming:
    """`told` is the newest position acknowledged to the source."""

    def __init__(
        self,
        config: ReplicationConfig,
        source: SnapshotSource,
        target: TransactionalTarget,
        around: Surroundings,
        seqs: SeqSum,
        roster: Roster,
        loading: Loading,
        stop_at: str | None,
    ) -> None:
        self._config = config
        self._source = source
        self._target = target
        self._around = around
        self._seqs = seqs
        self._roster = roster
        self._loading = loading
        self._stop_at = stop_at
        self._budget = Budget(config.budget.queue_bytes_max)
        self._queue = BoundedQueue(self._budget)
        self._scheduler = Scheduler()
        self._lanes: dict[TableName, Lane] = {}
        self._caught_up = False
        self._received_us = 0
        self._committer: Committer | None = None
        self._router: Router | None = None
        self._epoch = 0

    @property
    def told(self) -> Position | None:
        return self._committer.acknowledged if self._committer is not None else None

    async def run(
        self, claimed: Claim, control: TargetSession, position: Position, row: LaneRow
    ) -> Outcome:
        """Carry changes from `position` on. `row` is the frontier's checkpoint row."""
        self._frontier = Frontier(position)
        self._epoch = claimed.epoch
        await self._make_lanes(claimed.epoch, control, position)
        committer = self._committer = Committer(
            self._frontier,
            row,
            self._source,
            self._around.clock,
            committed=lambda: self._seqs.add(1),
            acknowledge_delay_seconds=self._config.apply.acknowledge_delay_seconds,
        )
        async with AsyncExitStack() as stack:
            desk = await stack.enter_async_context(self._target.session())
            sessions = [
                await stack.enter_async_context(self._target.session())
                for _ in range(self._config.budget.appliers)
            ]
            identities = [session.identity for session in (control, desk, *sessions)]
            await record_sessions(control, claimed.epoch, identities)
            return await self._flow(position, committer, control, desk, sessions)

    async def _flow(
        self,
        position: Position,
        committer: Committer,
        control: TargetSession,
        desk: TargetSession,
        sessions: Sequence[TargetSession],
    ) -> Outcome:
        around = self._around
        reader = Reader(
            self._source,
            position,
            self._queue,
            around.clock,
            around.random,
            connected=self._connected,
        )
        evolution = self._evolution()
        station = self._station(evolution)
        goal = await self._goal()
        around.state("catching-up")
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(reader.run(), name="capture")
            routing = tasks.create_task(self._route(), name="route")
            finish = asyncio.Event()
            committing = tasks.create_task(committer.run(control, finish), name="checkpoint")
            others = [
                tasks.create_task(run_applier(station, session), name=f"applier-{number}")
                for number, session in enumerate(sessions)
            ]
            others.append(tasks.create_task(self._gauge(), name="gauges"))
            if self._config.loads:
                reloading = self._reloading(evolution)
                others.append(tasks.create_task(reloading.run(desk), name="reload"))
            others.append(tasks.create_task(self._watch_source(), name="source-watch"))
            reason = await self._until(goal)
            around.state("draining")
            await _end(reading)
            self._queue.close()
            await self._drain(routing)
            await _end(*others)
            finish.set()
            await committing
        self._around.state("stopped")
        return Outcome(reason, str(self._frontier.position))

    # lanes

    async def _make_lanes(
        self, epoch: int, control: TargetSession, position: Position
    ) -> None:
        """One lane for each table or group of tied tables, with what is stored about them."""
        tables = self._roster.carried
        rows = dict(await read_rows(control))
        names = {table: self._checkpoint_name(table) for table in tables}
        missing = {
            name: LaneRow(epoch, 0, str(position))
            for name in sorted(set(names.values()))
            if name not in rows
        }
        await store_rows(control, epoch, missing)
        rows.update(missing)
        checkpoints = {name: self._checkpoint(name, rows[name]) for name in set(names.values())}
        chunks = await self._loading.stored_chunks(control)
        for group in await self._groups(tables):
            lane = self._lane({table: checkpoints[names[table]] for table in group})
            filters = self._loading.catch_up(chunks, group)
            if filters:
                lane.admit = LaneCatchUp(filters, lane.caught_up).admit
            states = [self._loading.states.get(table) for table in group]
            lane.stopped = any([s is not None and s.state in STOPPED_STATES for s in states])
            self._lanes.update(dict.fromkeys(group, lane))
        self._around.metrics.lanes(len(set(map(id, self._lanes.values()))))

    def _lane(self, checkpoints: dict[TableName, Checkpoint]) -> Lane:
        return Lane(
            self._checkpoint_name(next(iter(checkpoints))),
            checkpoints,
            grouped=len(checkpoints) == 1 or (self._transactional and not self._tied),
            wake=self._scheduler.wake,
        )

    def lane_of(self, table: TableName) -> Lane | None:
        return self._lanes.get(table)

    async def add_lane(self, table: TableName, desk: TargetSession) -> Lane:
        """A held lane for a table that is new to the stream; in `transactional` mode the one lane
        takes the table in, held."""
        name = self._checkpoint_name(table)
        if self._transactional:
            lane = next(iter(self._lanes.values()))
            lane.checkpoints = {**lane.checkpoints, table: next(iter(lane.checkpoints.values()))}
        else:
            row = (await read_rows(desk)).get(name)
            if row is None:
                row = LaneRow(self._epoch, 0, str(self._frontier.position))
                await store_rows(desk, self._epoch, {name: row})
            lane = self._lane({table: self._checkpoint(name, row)})
        lane.held = True
        while lane.busy:
            await asyncio.sleep(LANE_POLL_SECONDS)
        self._lanes[table] = lane
        if self._router is not None:
            self._router.forget()
        self._around.metrics.lanes(len(set_of(self._lanes)))
        return lane

    @property
    def _transactional(self) -> bool:
        return self._config.apply.mode is ApplyMode.TRANSACTIONAL

    def _checkpoint_name(self, table: TableName) -> str:
        return WHOLE if self._transactional else checkpoint_name(table)

    def _checkpoint(self, name: str, row: LaneRow) -> Checkpoint:
        replay = self._source.position(row.position)
        return Checkpoint(name, row.epoch, row.seq, row.position, replay)

    async def _groups(self, tables: Sequence[TableName]) -> list[tuple[TableName, ...]]:
        target = self._target
        keys = await target.foreign_keys() if isinstance(target, SchemaTarget) else []
        chosen = set(tables)
        self._tied = any([child in chosen for child, _ in keys])
        if self._transactional:
            return [tuple(tables)] if tables else []
        return groups(tables, keys)

    # stations

    def _evolution(self) -> Evolution:
        return Evolution(
            self._loading.known,
            follow=self._config.apply.on_schema_change is OnSchemaChange.APPLY,
            evolved=self._evolved,
        )

    def _reloading(self, evolution: Evolution) -> Reloading:
        return Reloading(
            self._source,
            self._loading,
            self,
            self._scheduler,
            evolution,
            self._around,
            rebuild=self._rebuild,
        )

    async def _rebuild(self) -> Roster:
        return build(self._config, await self._source.relations())

    def _station(self, evolution: Evolution) -> ApplyStation:
        around = self._around
        rejections = RowByRow(
            self._config.on_row_error.value,
            evolution,
            around.clock,
            around.random,
            rejected=around.metrics.rejected,
            stopped=self._lane_stopped,
            committed=self._seqs.add,
        )
        limits = BatchLimits(
            self._config.apply.batch_rows_max, self._config.batch_bytes_max, self._transactional
        )
        return ApplyStation(
            self._scheduler,
            limits,
            rejections,
            evolution,
            around.clock,
            around.random,
            release=self._budget.release,
            done=self._done,
            applied=self._applied,
            committed=self._seqs.add,
        )

    def _done(self, mark: Mark) -> None:
        self._frontier.done(mark)

    def _applied(self, tally: Tally) -> None:
        size = tally.bytes
        for table, counts in tally.tables.items():
            self._around.metrics.applied(table, counts, size)
            size = 0

    def _evolved(self, table: TableName) -> None:
        self._around.log.info(
            "schema change applied", action="apply.schema", relation=str(table)
        )

    def _lane_stopped(self, lane: Lane, error: PenstockError) -> None:
        for table in lane.tables:
            self._around.log.error(
                "table stopped", action="apply.table-stopped", relation=str(table), error=error
            )
            self._around.report(
                "table", {"table": str(table), "state": TableState.NEEDS_RELOAD.value}
            )

    async def _route(self) -> None:
        lane_of = self._lanes.get
        whole = next(iter(self._lanes.values()), None) if self._transactional else None
        router = self._router = Router(lane_of, self._frontier, self._budget.release, whole)
        while (block := await self._queue.get()) is not None:
            if block.parts:
                self._received_us = block.parts[-1].transaction.committed_at_us
            size = block.size
            rows = router.route(block)
            self._caught_up = block.idle is not None
            if rows:
                self._around.metrics.received(rows, size)

    def _connected(self, error: PenstockError | None) -> None:
        if error is None:
            self._around.state("streaming")
            return
        self._around.log.warning(
            "the source's stream broke", action="capture.reconnect", error=error
        )
        self._around.state("retrying")

    # the end

    async def _goal(self) -> Position | None:
        if self._stop_at is None:
            return None
        if self._stop_at == CAUGHT_UP:
            return await self._source.head()
        return self._source.position(self._stop_at)

    async def _until(self, goal: Position | None) -> str:
        """Wait for the stop or the goal; say which."""
        stop = self._around.stop
        if goal is None:
            await stop.wait()
            return "stopped"
        while not self._frontier.position.reaches(goal):
            try:
                async with asyncio.timeout(GOAL_POLL_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue
            return "stopped"
        self._around.report(CAUGHT_UP, {"position": str(goal)})
        return CAUGHT_UP if self._stop_at == CAUGHT_UP else "position"

    async def _drain(self, routing: "asyncio.Task[None]") -> None:
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await asyncio.shield(routing)
                await self._scheduler.idle()
        except TimeoutError:
            self._around.log.warning(
                "stopped before everything read was applied; the next start reads it again",
                action="pipeline.drain",
            )
            await _end(routing)

    # what is shown

    async def _gauge(self) -> None:
        while True:
            await asyncio.sleep(GAUGES_SECONDS)
            metrics = self._around.metrics
            waiting = sum([lane.rows for lane in set_of(self._lanes)])
            metrics.queue(self._budget.used, waiting)
            metrics.appliers(self._config.budget.appliers, self._scheduler.busy)
            wall_us = self._around.clock.wall() * 1e6
            oldest = self._frontier.oldest_us
            target_lag = max(0.0, (wall_us - oldest) / 1e6) if oldest else 0.0
            behind = self._received_us and not self._caught_up
            source_lag = max(0.0, (wall_us - self._received_us) / 1e6) if behind else 0.0
            metrics.lag(source_lag, target_lag, None, None)
            metrics.utilization(
                max(
                    self._budget.used / self._budget.bytes_max,
                    self._scheduler.busy / self._config.budget.appliers,
                )
            )

    async def _watch_source(self) -> None:
        """Log kept for us on the source, and our distance from its head."""
        while True:
            await asyncio.sleep(SOURCE_SECONDS)
            retained = await self._source.retained_bytes()
            if retained is not None:
                self._around.metrics.lag(None, None, None, retained)
                self._judge_retained(retained)

    def _judge_retained(self, retained: int) -> None:
        limit = self._config.source.wal_retained_warn_bytes
        if retained > limit:
            self._around.log.warning(
                f"the source keeps {retained >> 20} MiB of log for this replication",
                action="source.retained",
                bytes=retained,
                hint="see why the target does not keep up; the source's disk fills meanwhile",
            )


def set_of(lanes: dict[TableName, Lane]) -> list[Lane]:
    """Each lane once."""
    return list({id(lane): lane for lane in lanes.values()}.values())


async def _end(*tasks: "asyncio.Task[None]") -> None:
    """Cancel tasks and wait until they have ended; their errors are the task group's."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
