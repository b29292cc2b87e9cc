"""The stream's lanes: which tables share one, made from what is stored about them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from engine.abilities import ChangesFirst
from engine.apply.checkpoint import Buckets, Checkpoint, Progress
from engine.apply.lane import Lane
from engine.apply.scheduler import Scheduler
from engine.apply.suspension import Dropped, Suspension, Suspensions
from engine.bucketing import moved, source_obstacles, target_obstacles
from engine.checkpoint.ownership import read_rows, store_rows
from engine.config.replication import ApplyMode, ReplicationConfig
from engine.contracts import KeyedSource, SchemaTarget, Source, TargetSession, TransactionalTarget
from engine.errors import SourceConnectionError, StateError, TargetConnectionError
from engine.load.handover import LaneCatchUp
from engine.loading import Loading
from engine.model.position import Position
from engine.model.relation import TableName
from engine.model.state import LaneRow, TableRecord, TableState
from engine.model.table import ForeignKey
from engine.observe.log import Log
from engine.plan.buckets import StoredNames, bucket_names, obstacles
from engine.plan.lanes import WHOLE, checkpoint_name, groups


class LaneTable:
    """Lanes by table. `whole` is the one lane of `transactional` mode."""

    def __init__(
        self,
        config: ReplicationConfig,
        source: Source,
        target: TransactionalTarget,
        loading: Loading,
        scheduler: Scheduler,
        epoch: int,
        suspensions: Suspensions,
        log: Log,
    ) -> None:
        self._config = config
        self._source = source
        self._target = target
        self._loading = loading
        self._scheduler = scheduler
        self._epoch = epoch
        self._suspensions = suspensions
        self._log = log
        self._obstacles: Mapping[TableName, str] = {}
        self._looked_at: Collection[TableName] = ()
        self._by_table: dict[TableName, Lane] = {}
        self._keys: Sequence[ForeignKey] = ()
        self.whole: Lane | None = None

    @property
    def transactional(self) -> bool:
        return self._config.apply.mode is ApplyMode.TRANSACTIONAL

    def lane_of(self, table: TableName) -> Lane | None:
        return self._by_table.get(table)

    def lanes(self) -> list[Lane]:
        """Each lane once."""
        return list({id(lane): lane for lane in self._by_table.values()}.values())

    def clear(self) -> None:
        """The stream has ended: what overflowed is read again from the source. What waits for
        stopped tables stays."""
        for lane in self.lanes():
            if lane.spool is not None:
                lane.spool.clear()
            if lane.suspension is not None:
                lane.suspension.rest()

    async def build(
        self,
        tables: Sequence[TableName],
        control: TargetSession,
        position: Position,
        dropped: Callable[[Lane, StateError], None],
    ) -> None:
        """Make the lanes of these tables; a table without a checkpoint begins at `position`.
        `dropped` is told of a lane that lost what waited for it."""
        groups = await self._groups(tables)
        await self._look_for_obstacles(groups)
        progress = await self._progress(tables, control, position)
        chunks = await self._loading.stored_chunks(control)
        for group in groups:
            lane = self._lane({table: progress[table] for table in group})
            filters = self._loading.catch_up(chunks, group)
            if filters:
                lane.admit = LaneCatchUp(filters, lane.caught_up).admit
            if self._is_suspended(lane):
                await self._resume(lane, control, position, partial(dropped, lane))
            lane.stopped = {table for table in group if self._is_stopped(table)}
            lane.held = any(self._is_requested(table) for table in group)
            self._by_table.update(dict.fromkeys(group, lane))
            if self.transactional:
                self.whole = lane
        self._suspensions.keep([s for lane in self.lanes() if (s := lane.suspension) is not None])
        await self._give_up(
            [table for table in self._loading.states if table not in self._by_table], control
        )

    def _is_suspended(self, lane: Lane) -> bool:
        return bool(self._of_state(lane.tables, TableState.SUSPENDED))

    def _of_state(self, tables: Iterable[TableName], state: TableState) -> list[TableRecord]:
        records = [self._loading.states.get(table) for table in tables]
        return [record for record in records if record is not None and record.state is state]

    async def _resume(
        self, lane: Lane, control: TargetSession, start: Position, dropped: Dropped
    ) -> None:
        """A lane with stopped tables goes on waiting with what this process has kept for them. One
        that stands at or past the start of the stream has nothing that waits: the stream brings
        all of it again. For others the changes between are gone, from the source's log too."""
        records = self._of_state(lane.tables, TableState.SUSPENDED)
        kept = self._suspensions.of(records[0].table)
        if (
            kept is not None
            and len(records) == len(lane.tables)
            and self._waits_for_all(kept, lane.tables)
            and kept.resume(lane.checkpoints, self._source.position, dropped)
        ):
            lane.suspension = kept
            return
        brought = [r for r in records if self._stands_at(lane.checkpoints[r.table], r, start)]
        streaming = [TableRecord(r.table, TableState.STREAMING) for r in brought]
        await self._loading.save(control, streaming)
        await self._give_up([r.table for r in records if r not in brought], control)

    def _waits_for_all(self, kept: Suspension, tables: Collection[TableName]) -> bool:
        """Whether it is what waits for these tables, beside some that have left the source."""
        others = set(kept.tables).difference(tables)
        carried = self._loading.roster.relations
        return len(others) + len(tables) == len(kept.tables) and others.isdisjoint(carried)

    def _stands_at(self, progress: Progress, record: TableRecord, start: Position) -> bool:
        """Its own last change may be older than the place at which its lane stopped. The buckets of
        a table may stand past that place, all but those that stopped."""
        own = progress.position if isinstance(progress, Checkpoint) else ""
        texts = [text for text in (own, record.position) if text]
        return any(self._source.position(text).reaches(start) for text in texts)

    async def _give_up(self, tables: Iterable[TableName], control: TargetSession) -> None:
        records = self._of_state(tables, TableState.SUSPENDED)
        state = TableState.NEEDS_RELOAD
        await self._loading.save(control, [replace(record, state=state) for record in records])

    def _is_stopped(self, table: TableName) -> bool:
        record = self._loading.states.get(table)
        if record is None or self._is_requested(table):
            return False
        return record.state is TableState.NEEDS_RELOAD

    def _is_requested(self, table: TableName) -> bool:
        """It will be loaded again at once: until then its lane takes in, and nothing is applied."""
        record = self._loading.states.get(table)
        return self._config.loads and record is not None and record.requested

    async def add(self, table: TableName, desk: TargetSession, position: Position) -> Lane:
        """A held lane for a table that is new to the stream. In `transactional` mode the one lane
        takes the table in, and is held."""
        if self.whole is not None:
            lane = self.whole
            only = next(iter(lane.checkpoints.values()))
            lane.checkpoints = {**lane.checkpoints, table: only}
        else:
            lane = self._lane(await self._progress([table], desk, position))
        lane.held = True
        await self._scheduler.released(lane)
        self._by_table[table] = lane
        return lane

    async def _progress(
        self, tables: Sequence[TableName], session: TargetSession, start: Position
    ) -> dict[TableName, Progress]:
        """How far each table is, by its stored rows. They become rows of another layout first where
        the mode asks for that and all of a table's stand at one place: in one transaction."""
        rows = dict(await read_rows(session, self._epoch))
        stored = StoredNames(rows)
        names: dict[TableName, list[str]] = {}
        made: dict[str, LaneRow] = {}
        replaced: list[str] = []
        for table in tables:
            there = [WHOLE] if WHOLE in rows and self.transactional else stored.of(table)
            names[table], new = self._layout(table, there, rows, start)
            if new is not None:
                made |= new
                replaced += there
        await store_rows(session, self._epoch, made, instead_of=replaced)
        rows |= made
        known = {n: self._checkpoint(n, rows[n]) for each in names.values() for n in each}
        return {table: self._of_names([known[n] for n in each]) for table, each in names.items()}

    def _layout(
        self,
        table: TableName,
        there: Sequence[str],
        rows: Mapping[str, LaneRow],
        start: Position,
    ) -> tuple[list[str], Mapping[str, LaneRow] | None]:
        """The names of a table's rows from now on, and the rows to store for that, if any. What
        waits for a stopped table goes by the rows that it has."""
        wanted = [self._checkpoint_name(table)]
        if self._splits(table):
            wanted = bucket_names(table)
        if list(there) == wanted or (self._of_state([table], TableState.SUSPENDED) and there):
            return list(there), None
        present = [rows[name] for name in there]
        new = moved(present, wanted, self._epoch, start, self._source.position)
        return (wanted, new) if new is not None else (list(there), None)

    def _of_names(self, checkpoints: Sequence[Checkpoint]) -> Progress:
        source = self._source
        if len(checkpoints) == 1 or not isinstance(source, KeyedSource):
            return checkpoints[0]
        return Buckets(checkpoints, source.key_hash)

    def _lane(self, progress: Mapping[TableName, Progress]) -> Lane:
        first = next(iter(progress))
        lane = Lane(
            self._checkpoint_name(first),
            progress,
            grouped=len(progress) == 1 or not self._fires(progress),
            changes_first=isinstance(self._target, ChangesFirst) and self._target.changes_first,
            wake=self._scheduler.wake,
        )
        lane.split = self._may_split(lane)
        return lane

    def _may_split(self, lane: Lane) -> bool:
        return len(lane.tables) == 1 and self._splits(lane.tables[0])

    def _splits(self, table: TableName) -> bool:
        """Whether its changes may be applied side by side; a table that is new is looked at when it
        has been loaded."""
        return self._by_key and table in self._looked_at and table not in self._obstacles

    @property
    def _by_key(self) -> bool:
        return self._config.apply.mode is ApplyMode.KEY_PARALLEL

    async def _look_for_obstacles(self, groups: Sequence[tuple[TableName, ...]]) -> None:
        """Note which tables cannot be split; a new reason is said once."""
        if not self._by_key:
            return
        relations = [self._loading.roster.relations[table] for group in groups for table in group]
        there = await source_obstacles(self._source, relations)
        here = await target_obstacles(self._target, relations)
        before, self._obstacles = self._obstacles, obstacles(relations, groups, there, here)
        self._looked_at = {relation.table for relation in relations}
        for table, reason in self._obstacles.items():
            if before.get(table) != reason:
                self._log.info(
                    "the rows of a table are applied by one lane, not split by their keys",
                    action="lanes.whole-table",
                    relation=str(table),
                    reason=reason,
                )

    def _checkpoint_name(self, table: TableName) -> str:
        return WHOLE if self.transactional else checkpoint_name(table)

    def _checkpoint(self, name: str, row: LaneRow) -> Checkpoint:
        replay = self._source.position(row.position)
        return Checkpoint(name, row.epoch, row.seq, row.position, replay)

    async def _groups(self, tables: Sequence[TableName]) -> list[tuple[TableName, ...]]:
        self._keys = await self._foreign_keys()
        if self.transactional:
            return [tuple(tables)] if tables else []
        pairs = [(key.child, key.parent) for key in self._keys]
        return groups(tables, [*pairs, *self._suspensions.ties()])

    async def _foreign_keys(self) -> Sequence[ForeignKey]:
        """Also those that are not enforced: a TRUNCATE of a table that another refers to is refused
        unless one statement names both."""
        target = self._target
        return await target.foreign_keys() if isinstance(target, SchemaTarget) else ()

    def _fires(self, tables: Collection[TableName]) -> bool:
        """Whether the order in which these tables are written matters to a foreign key."""
        return any(key.enforced and key.child in tables for key in self._keys)

    async def outdated(self) -> str:
        """Why the lanes should be made anew, in words; empty when they need not, or when a server
        does not tell. Not while a lane is held or has stopped: it would lose what it waits for."""
        try:
            return await self._outdated()
        except (SourceConnectionError, TargetConnectionError):
            # Who carries changes meets it too, unless the server has no connection left for this.
            return ""

    async def _outdated(self) -> str:
        before = {(key.child, key.parent, key.enforced) for key in self._keys}
        keys = await self._foreign_keys()
        if any(lane.held for lane in self.lanes()):
            return ""
        if any(self._ties(key) for key in keys if tuple(key) not in before):
            return (
                "tables are tied by new foreign keys on the target; they share a lane from now on"
            )
        if self._by_key and await self._look_at_keys(keys):
            return "a table can be split into buckets of keys now"
        return ""

    def _ties(self, key: ForeignKey) -> bool:
        """Whether a new foreign key asks for other lanes."""
        child, parent = self.lane_of(key.child), self.lane_of(key.parent)
        if child is None or parent is None or child.suspension or parent.suspension:
            return False
        return child is not parent or (key.enforced and child.grouped)

    async def _look_at_keys(self, keys: Sequence[ForeignKey]) -> bool:
        """Look whether tables may still be split, and whether one may be that is not."""
        known = [table for table in self._loading.roster.carried if table in self._by_table]
        tied = groups(known, [(key.child, key.parent) for key in keys])
        await self._look_for_obstacles(tied)
        for lane in self.lanes():
            lane.split = self._may_split(lane)
        return any(
            lane.split and lane.buckets is None and lane.suspension is None and not lane.stopped
            for lane in self.lanes()
        )
