"""The stream: capture -> queue -> route -> apply -> checkpoint, until a stop or a goal."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from engine.abilities import RememberingSource
from engine.appliers import Appliers
from engine.apply.applier import ApplyStation, BatchLimits
from engine.apply.evolution import Evolution
from engine.apply.fallback import RowByRow
from engine.apply.lane import Lane
from engine.apply.scheduler import Scheduler
from engine.apply.suspension import Suspension
from engine.apply.tally import Tally
from engine.capture.reader import Reader
from engine.checkpoint.committer import Committer
from engine.checkpoint.frontier import Frontier
from engine.checkpoint.ownership import SeqSum
from engine.checkpoint.sessions import Sessions
from engine.config import capacity
from engine.config.endpoint import Origin
from engine.config.replication import OnSchemaChange, ReplicationConfig
from engine.contracts import SnapshotSource, TargetSession, TransactionalTarget
from engine.errors import PenstockError, StateError
from engine.gauges import Gauges
from engine.goal import Goal
from engine.judging import Judging
from engine.lagging import Lagging
from engine.lane_table import LaneTable
from engine.loading import Loading
from engine.model.position import Position
from engine.model.relation import Relation, TableName
from engine.model.state import LaneRow, TableState
from engine.observe.metrics import TableRows
from engine.outcome import CAUGHT_UP, HANDED_OVER, Outcome
from engine.overflow import Overflow
from engine.quarantine import Sealer
from engine.queue.bounded import BoundedQueue, Budget
from engine.reloading import Reloading
from engine.retention import Retention, SlotGivenUpError
from engine.roster import Roster, choose
from engine.route.router import Router
from engine.silence import Silence
from engine.stalls import Watched
from engine.stopping import unless_stopped
from engine.surroundings import Surroundings

DRAIN_SECONDS: Final = 10.0
"""Most time a stop waits for what is in flight; what is left is replayed by the next start."""

BEHIND_SECONDS: Final = 1.0
"""Age of what the source sends from which throughput counts and a hundredth of a second does not.
"""

GOAL_POLL_SECONDS: Final = 0.05

MOMENT_SECONDS: Final = 60.0
"""Time to wait for a moment in which every table stands at the frontier, before one is made by a
drain; and between two such drains, as each lets the source wait."""

IDLE_POLL_SECONDS: Final = 2.0
"""Time between two looks whether a reload has put foreign keys off."""


class Streaming:
    """One stream from a stored frontier on. `told` is the newest position acknowledged to the
    source."""

    def __init__(
        self,
        config: ReplicationConfig,
        source: SnapshotSource,
        target: TransactionalTarget,
        around: Surroundings,
        seqs: SeqSum,
        sessions: Sessions,
        silence: Silence,
        loading: Loading,
        stop_at: str | None,
        epoch: int,
        start: Position,
        row: LaneRow,
    ) -> None:
        self._config = config
        self._source = source
        self._target = target
        self._around = around
        self._seqs = seqs
        self._sessions = sessions
        self._silence = silence
        self._loading = loading
        self._goal = Goal(source, stop_at)
        self._epoch = epoch
        self._start = start
        self._began = around.clock.monotonic()
        self._age = 0.0
        self._budget = Budget(around.provision.budget.queue_bytes_max)
        self._queue = BoundedQueue(self._budget)
        self._reloads: Reloading | None = None
        self._carried_out = 0
        self._reached: float | None = None
        """When the goal was reached."""
        self._regroup = False
        self._scheduler = Scheduler(around.stages)
        self._frontier = Frontier(start)
        self._lanes = LaneTable(
            config,
            source,
            target,
            loading,
            self._scheduler,
            epoch,
            around.suspensions,
            around.log,
        )
        self._lagging = Lagging(source, around, self._frontier, self._lanes, start)
        self._router = Router(self._lanes.lane_of, self._frontier, self._budget.release)
        self._judging = Judging(around, target, sessions, self._changing)
        self._committer = Committer(
            self._frontier,
            row,
            source,
            around.clock,
            config.intervals,
            committed=self._stored,
            acknowledge_delay_seconds=config.apply.acknowledge_delay_seconds,
        )

    def _stored(self) -> None:
        self._seqs.add(1)
        self._around.metrics.position = self._committer.stored

    @property
    def told(self) -> Position | None:
        return self._committer.acknowledged

    async def run(self, control: TargetSession) -> Outcome:
        """Carry changes until stopped or the goal is reached, then drain."""
        await self._lanes.build(
            self._loading.roster.carried, control, self._start, self._changes_dropped
        )
        self._router.whole = self._lanes.whole
        async with AsyncExitStack() as stack:
            stack.callback(self._lanes.clear)
            stack.callback(self._around.stages.clear)
            (desk,) = await stack.enter_async_context(self._sessions.open())
            try:
                return await self._flow(control, desk)
            except* SlotGivenUpError:
                await self._source.detach()
                raise

    async def _flow(self, control: TargetSession, desk: TargetSession) -> Outcome:
        if isinstance(self._source, RememberingSource):
            self._source.remember(self._loading.known)
        evolution = self._evolution()
        station = self._station(evolution)
        reader = self._reader()
        await self._goal.aim()
        if self._loading.late_keys and not self._loading.keys_wait:
            self._loading.late_chunks = await self._loading.stored_chunks(control)
        self._around.state("catching-up")
        finish = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            gauges = self._gauges()
            reading = tasks.create_task(reader.run(), name="capture")
            routing = tasks.create_task(self._route(gauges), name="route")
            committing = tasks.create_task(self._committer.run(control, finish), name="checkpoint")
            others = [tasks.create_task(self._apply(station), name="appliers")]
            others.append(tasks.create_task(gauges.run(), name="gauges"))
            others.append(tasks.create_task(self._overflow().run(), name="overflow"))
            others.append(tasks.create_task(gauges.watch_source(), name="source-watch"))
            others.append(tasks.create_task(self._judging.watch_target(), name="target-watch"))
            others.append(tasks.create_task(self._lagging.watch(), name="lag-watch"))
            others.append(tasks.create_task(self._watch_lanes(), name="lanes-watch"))
            others.append(tasks.create_task(self._goal.watch_clock(), name="clock-watch"))
            if self._config.loads:
                reloading = self._reloads = self._reloading(evolution)
                self._router.noticed = reloading.look_soon
                others.append(tasks.create_task(reloading.run(desk), name="reload"))
            with self._around.stalls.watching(self._watched(reader)):
                reason = await self._until()
            self._around.state("draining")
            reader.rest()
            self._queue.close()
            await self._drain(routing)
            await _end(*others)
            finish.set()
            await committing
            await _end(reading)
        self._around.state("stopped")
        return Outcome(reason, str(self._frontier.position))

    # stations

    def _reader(self) -> Reader:
        return Reader(
            self._source,
            self._start,
            self._queue,
            self._around.clock,
            self._around.random,
            connected=self._connected,
            stages=self._around.stages,
            until_us=self._goal.until_us,
            cut=self._goal.cut_at,
        )

    async def _route(self, gauges: Gauges) -> None:
        stages = self._around.stages
        while (block := await self._queue.get()) is not None:
            size = block.size
            self._age = block.age
            began = stages.now()
            rows = self._router.route(block)
            stages.route += stages.now() - began
            gauges.received(block, rows, size)

    def _evolution(self) -> Evolution:
        return Evolution(
            self._loading.known,
            follow=self._config.apply.on_schema_change is OnSchemaChange.APPLY,
            evolved=self._evolved,
            left=self._left,
            there=self._loading.described if self._two_way else None,
        )

    @property
    def _two_way(self) -> bool:
        """Whether the target may be the source of a replication in the other direction."""
        return self._config.source.origin is not Origin.ANY

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
            suspend=self._suspend,
            sealed=Sealer(self._config.id, self._config.quarantine_key, around.random).sealed,
        )
        return ApplyStation(
            self._scheduler,
            self._limits(around.provision.budget),
            rejections,
            evolution,
            around.clock,
            around.random,
            release=self._budget.release,
            done=self._frontier.done,
            applied=self._applied,
            committed=self._seqs.add,
            mended=self._mended,
            behind=lambda: self._age > BEHIND_SECONDS,
        )

    def _limits(self, provided: capacity.Budget) -> BatchLimits:
        return BatchLimits(
            self._config.apply.batch_rows_max,
            provided.batch_bytes_max,
            self._lanes.transactional,
            shares_max=provided.appliers,
            share_rows_min=self._config.apply.share_rows_min,
        )

    async def _apply(self, station: ApplyStation) -> None:
        """Run appliers within what is provisioned, until cancelled."""
        around = self._around

        def resized(provided: capacity.Budget) -> None:
            station.limits = self._limits(provided)
            self._budget.resize(provided.queue_bytes_max)

        with around.provision.told(resized):
            await Appliers(station, self._sessions, around.provision, around.log).run()

    def _overflow(self) -> Overflow:
        return Overflow(
            self._lanes,
            self._budget,
            self._scheduler,
            self._around.room,
            self._around.clock,
            self._around.log,
            self._around.provision,
            self._config.apply.mend_interval_seconds,
            self._around.unmoved,
        )

    def _reloading(self, evolution: Evolution) -> Reloading:
        return Reloading(
            self._source,
            self._loading,
            self,
            self._scheduler,
            evolution,
            self._around,
            self._config.intervals,
            rebuild=self._rebuild,
        )

    def _watched(self, reader: Reader) -> Watched:
        return Watched(
            reader,
            self._lagging.reading,
            self._lanes.lanes,
            self._seqs,
            waits_for=lambda: self._silence.waits_for,
        )

    def _gauges(self) -> Gauges:
        return Gauges(
            self._config,
            self._source,
            self._around,
            self._budget,
            self._scheduler,
            self._lanes,
            self._judging,
            self._lagging,
            retained=Retention(self._config.source, self._around.log).judge,
        )

    def _changing(self) -> Sequence[Relation]:
        """Tables whose rows the target has to find now: not those that have only got new ones."""
        busy = [t for lane in self._lanes.lanes() if lane.busy or lane.rows for t in lane.tables]
        counts, relations = self._around.metrics.tables, self._loading.roster.relations
        return [relations[t] for t in busy if t in relations and not _only_grows(counts.get(t))]

    # lanes of tables that come later

    def lane_of(self, table: TableName) -> Lane | None:
        return self._lanes.lane_of(table)

    async def add_lane(self, table: TableName, desk: TargetSession) -> Lane:
        """A held lane for a table that is new to the stream."""
        lane = await self._lanes.add(table, desk, self._frontier.position)
        self._router.forget()
        return lane

    async def _rebuild(self) -> Roster:
        return choose(self._config, await self._source.relations())

    async def _watch_lanes(self) -> None:
        """Until lanes are to be made anew, at the next start of the stream: at once."""
        while True:
            await asyncio.sleep(self._config.intervals.foreign_keys_seconds)
            why = await self._lanes.outdated()
            if why:
                break
        self._regroup = True
        self._around.log.info(why, action="lanes.regroup")

    # what is told

    def _applied(self, tally: Tally) -> None:
        size = tally.bytes
        for table, counts in tally.tables.items():
            self._around.metrics.applied(table, counts, size)
            size = 0

    def _evolved(self, table: TableName, what: str) -> None:
        self._around.log.info(
            "schema change applied", action="apply.schema", relation=str(table), steps=what
        )

    def _left(self, table: TableName) -> None:
        """Dropped or renamed on the source. A lane of several tables goes on with the others."""
        lane = self._lanes.lane_of(table)
        if lane is not None:
            lane.stopped.add(table)
        self._around.log.warning(
            "the table left the source; its target table stays as it is",
            action="apply.table-left",
            relation=str(table),
        )
        self._report_reload(table)

    def _report_reload(self, table: TableName) -> None:
        state = TableState.NEEDS_RELOAD.value
        self._around.report("table", {"table": str(table), "state": state})

    def _lane_stopped(self, lane: Lane, error: PenstockError) -> None:
        for table in lane.tables:
            self._around.log.error(
                "table stopped", action="apply.table-stopped", relation=str(table), error=error
            )
            if lane.suspension is None:
                self._report_reload(table)
            else:
                facts = {"table": str(table), "state": TableState.SUSPENDED.value}
                why = {"reason": error.message, "remedy": error.hint}
                self._around.report("table", {**facts, **why})

    def _suspend(self, lane: Lane) -> Suspension:
        return self._around.suspensions.begin(
            lane.checkpoints, lambda error: self._changes_dropped(lane, error)
        )

    def _changes_dropped(self, lane: Lane, error: StateError) -> None:
        """No room for what waits: only a new load makes the tables whole."""
        for table in lane.tables:
            self._loading.lost.append(table)
            self._around.log.error(
                "changes of a stopped table were dropped",
                action="apply.changes-dropped",
                relation=str(table),
                error=error,
                hint=f"mend it, then run `penstock reload FILE {table}`",
            )

    def _mended(self, lane: Lane) -> None:
        for table in lane.tables:
            if table in lane.stopped:
                continue
            self._around.log.info(
                "table is back in the stream", action="apply.mended", relation=str(table)
            )
            self._around.report("table", {"table": str(table), "state": TableState.STREAMING.value})
        if self._loading.keys_wait:
            self._regroup = True

    def _connected(self, error: PenstockError | None) -> None:
        if error is None:
            self._around.state("streaming")
            return
        self._around.log.warning(
            "the source's stream broke", action="capture.reconnect", error=error
        )
        self._around.state("retrying")

    # the end

    async def _until(self) -> str:
        """Wait for the stop, the goal, or, while foreign keys are put off, until the stream has
        passed the snapshots that tables were read at; say which."""
        stop, goal = self._around.stop, self._goal
        while True:
            if goal.position is not None and self._frontier.position.reaches(goal.position):
                if goal.cut:
                    break  # nothing comes that a reload or a snapshot could wait for
                if not await unless_stopped(self._settle(), stop):
                    return "stopped"
                if self._loaded_since():
                    await goal.aim()
                    continue
                if self._passed_snapshots():
                    return HANDED_OVER
                if not self._waits_for_snapshots():
                    break
            if self._regroup or self._handed_over():
                return HANDED_OVER
            idle = not goal.set and self._loading.late_chunks is None
            try:
                async with asyncio.timeout(IDLE_POLL_SECONDS if idle else GOAL_POLL_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue
            return "stopped"
        self._around.report(CAUGHT_UP, {"position": str(goal.position)})
        return goal.reason

    async def _settle(self) -> None:
        """Every reload that was asked for by now is carried out before the end."""
        if self._reloads is not None:
            await self._reloads.settle()

    def _loaded_since(self) -> bool:
        """Whether tables were loaded again since the last call: their rows are newer than the goal
        of then."""
        before = self._carried_out
        self._carried_out = self._reloads.carried_out if self._reloads is not None else 0
        return before != self._carried_out

    def _passed_snapshots(self) -> bool:
        """Foreign keys are put off, and the stream is past every snapshot that tables were read at:
        after a drain they can be made."""
        late = self._loading.late_chunks
        return late is not None and self._loading.handed_over(late, self._frontier.position)

    def _waits_for_snapshots(self) -> bool:
        """Foreign keys are put off, and the goal is reached: a source where nothing happens tells
        a while later that it is past the moment of a snapshot."""
        if self._loading.late_chunks is None:
            return False
        now = self._around.clock.monotonic()
        if self._reached is None:
            self._reached = now
        return now - self._reached < MOMENT_SECONDS

    def _handed_over(self) -> bool:
        """The stream is past every snapshot that tables were read at, and every table stands at
        the frontier; under steady load that moment never comes by itself, but by a drain."""
        if not self._passed_snapshots():
            return False
        position = self._frontier.position
        checkpoints = [c for lane in self._lanes.lanes() for c in lane.every]
        waited = self._around.clock.monotonic() - self._began
        return waited >= MOMENT_SECONDS or all(
            position.reaches(self._source.position(c.position)) for c in checkpoints
        )

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


def _only_grows(rows: TableRows | None) -> bool:
    return rows is not None and bool(rows.insert) and not rows.update + rows.delete


async def _end(*tasks: "asyncio.Task[None]") -> None:
    """Cancel tasks and wait until they have ended; their errors are the task group's."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
