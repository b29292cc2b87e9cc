"""The stream's lanes: which tables share one, made from what is stored about them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial

from engine.apply.lane import Checkpoint, Lane
from engine.apply.scheduler import Scheduler
from engine.apply.suspension import Dropped, Suspensions
from engine.checkpoint.ownership import read_rows, store_rows
from engine.config.replication import ApplyMode, ReplicationConfig
from engine.contracts import SchemaTarget, Source, TargetSession, TransactionalTarget
from engine.errors import StateError
from engine.load.handover import LaneCatchUp
from engine.loading import Loading
from engine.model.position import Position
from engine.model.relation import TableName
from engine.model.state import LaneRow, TableRecord, TableState
from engine.model.table import ForeignKey
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
    ) -> None:
        self._config = config
        self._source = source
        self._target = target
        self._loading = loading
        self._scheduler = scheduler
        self._epoch = epoch
        self._suspensions = suspensions
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
        """The stream has ended: what overflowed is read again from the source."""
        for lane in self.lanes():
            if lane.spool is not None:
                lane.spool.clear()

    async def build(
        self,
        tables: Sequence[TableName],
        control: TargetSession,
        position: Position,
        dropped: Callable[[Lane, StateError], None],
    ) -> None:
        """Make the lanes of these tables; a table without a checkpoint begins at `position`.
        `dropped` is told of a lane that lost what waited for it."""
        names = {table: self._checkpoint_name(table) for table in tables}
        rows = await self._stored_rows(list(dict.fromkeys(names.values())), control, position)
        checkpoints = {name: self._checkpoint(name, row) for name, row in rows.items()}
        chunks = await self._loading.stored_chunks(control)
        for group in await self._groups(tables):
            lane = self._lane({table: checkpoints[names[table]] for table in group})
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
        whole = kept is not None and len(kept.tables) == len(records) == len(lane.tables)
        if (
            kept is not None
            and whole
            and kept.resume(lane.checkpoints, self._source.position, dropped)
        ):
            lane.suspension = kept
            return
        brought = [r for r in records if self._stands_at(lane.checkpoints[r.table], r, start)]
        streaming = [TableRecord(r.table, TableState.STREAMING) for r in brought]
        await self._loading.save(control, streaming)
        await self._give_up([r.table for r in records if r not in brought], control)

    def _stands_at(self, checkpoint: Checkpoint, record: TableRecord, start: Position) -> bool:
        """Its own last change may be older than the place at which its lane stopped."""
        texts = [text for text in (checkpoint.position, record.position) if text]
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
            name = checkpoint_name(table)
            rows = await self._stored_rows([name], desk, position)
            lane = self._lane({table: self._checkpoint(name, rows[name])})
        lane.held = True
        await self._scheduler.released(lane)
        self._by_table[table] = lane
        return lane

    async def _stored_rows(
        self, names: Sequence[str], session: TargetSession, position: Position
    ) -> dict[str, LaneRow]:
        stored = await read_rows(session, self._epoch)
        missing = {n: LaneRow(self._epoch, 0, str(position)) for n in names if n not in stored}
        await store_rows(session, self._epoch, missing)
        return {name: stored.get(name) or missing[name] for name in names}

    def _lane(self, checkpoints: dict[TableName, Checkpoint]) -> Lane:
        return Lane(
            self._checkpoint_name(next(iter(checkpoints))),
            checkpoints,
            grouped=len(checkpoints) == 1 or not self._fires(checkpoints),
            wake=self._scheduler.wake,
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

    async def outdated(self) -> bool:
        """Whether foreign keys have come since the lanes were made that ask for others. Not while a
        lane is held or has stopped: it would lose what it waits for."""
        before = {(key.child, key.parent, key.enforced) for key in self._keys}
        new = [key for key in await self._foreign_keys() if tuple(key) not in before]
        found = [(self.lane_of(key.child), self.lane_of(key.parent), key) for key in new]
        if any(lane.held for lane in self.lanes()):
            return False
        return any(
            child is not None
            and parent is not None
            and child.suspension is None
            and parent.suspension is None
            and (child is not parent or (key.enforced and child.grouped))
            for child, parent, key in found
        )
