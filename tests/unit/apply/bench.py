"""One lane, one applier and a memory target, with everything the applier tells somebody kept."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from connectors.memory.control import CHECKPOINT, QUARANTINE, TABLES, prepare
from connectors.memory.database import MemoryDatabase
from connectors.memory.definitions import table
from connectors.memory.keys import key_hash
from connectors.memory.storage import Cells, Table
from connectors.memory.target import MemorySession, MemoryTarget
from engine.apply.applier import ApplyStation, BatchLimits
from engine.apply.checkpoint import Buckets, Checkpoint, Progress
from engine.apply.evolution import Evolution
from engine.apply.fallback import RowByRow
from engine.apply.lane import Lane
from engine.apply.scheduler import Scheduler
from engine.apply.suspension import Suspension
from engine.apply.tally import Tally
from engine.checkpoint.ownership import Claimant, claim, store_rows
from engine.errors import PenstockError, StateError
from engine.model.change import DELETE, INSERT, UPDATE, Change, Event, SchemaChanged, Transaction
from engine.model.position import LogPosition
from engine.model.relation import Relation, TableName
from engine.model.segment import Mark, Segment
from engine.model.state import LaneRow, RejectedRow, TableRecord
from engine.spool import Spool, SpoolBudget
from tests.simulation.seams import SimulatedDisk

REPLICATION = "memory"


class Clock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return 0.0


class Random:
    def uniform(self, low: float, high: float) -> float:
        return low

    def key(self, size: int) -> bytes:
        return bytes(size)


def insert(relation: Relation, *values: bytes | None) -> Change:
    return Change(INSERT, relation, values, None)


def update(relation: Relation, *values: bytes | None) -> Change:
    return Change(UPDATE, relation, values, None)


def delete(relation: Relation, *values: bytes | None) -> Change:
    return Change(DELETE, relation, None, values)


def segment(
    number: int, *events: Event, first: int = 1, ends: bool = True, size: int = 10
) -> Segment:
    """Events of the transaction that commits at 100 times `number`."""
    ordinals: list[int] = []
    for event in events:
        ordinals.append(first - isinstance(event, SchemaChanged))
        first += not isinstance(event, SchemaChanged)
    end = LogPosition(100 * number + 10) if ends else None
    transaction = Transaction(100 * number, xid=number)
    return Segment(Mark(), transaction, list(events), ordinals, size, end)


def stretch(*segments: Segment) -> Segment:
    """What the router makes of whole transactions that one lane gets in one block."""
    numbers = [n for n, one in enumerate(segments) for _ in one.events]
    return Segment(
        Mark(),
        segments[numbers[-1]].transaction,
        [event for one in segments for event in one.events],
        [ordinal for one in segments for ordinal in one.ordinals],
        sum([one.size for one in segments]),
        segments[-1].end,
        [(one.transaction, one.end) for one in segments],
        numbers,
    )


@dataclass
class Bench:
    """`tables` are the target's. Lists hold what was told."""

    tables: Sequence[Table]
    policy: str = "stop-table"
    whole: bool = False
    rows_max: int = 1000
    buckets: int = 0
    """Into how many its one table is split."""
    database: MemoryDatabase = field(init=False)
    lane: Lane = field(init=False)
    station: ApplyStation = field(init=False)
    scheduler: Scheduler = field(default_factory=Scheduler)
    evolution: Evolution = field(init=False)
    disk: SimulatedDisk = field(default_factory=SimulatedDisk)
    spool_bytes_max: int = 1 << 20
    tally: Tally = field(default_factory=Tally)
    """Of what was applied row by row."""
    applied: Tally = field(default_factory=Tally)
    """What metrics would be told of."""
    released: int = 0
    commits: int = 0
    done: list[Mark] = field(default_factory=list[Mark])
    stopped: list[PenstockError] = field(default_factory=list[PenstockError])
    told: list[tuple[TableName, str]] = field(default_factory=list[tuple[TableName, str]])
    dropped: int = 0
    mended: int = 0
    evolved: list[TableName] = field(default_factory=list[TableName])

    def __post_init__(self) -> None:
        self.database = MemoryDatabase("target", logging=False)
        prepare(self.database)
        for made in self.tables:
            self.database.put_table(made.relation.table, made)
        self.evolution = Evolution(
            {t.relation.table: t.relation for t in self.tables},
            follow=True,
            evolved=lambda name, _what: self.evolved.append(name),
            left=self._left,
        )

    @asynccontextmanager
    async def session(self) -> AsyncIterator[MemorySession]:
        """A session of an owner whose lane has its checkpoint rows."""
        target = MemoryTarget(self.database, REPLICATION, lock_timeout_seconds=0.01)
        await target.open()
        async with target.session() as session:
            claimed = await claim(target, session, Claimant("s", "f", "p", "00" * 16))
            names = [t.relation.name for t in self.tables]
            names = [f"{n}:{b}" for n in names for b in range(self.buckets)] or names
            rows = {name: LaneRow(claimed.epoch, 0, "0/0") for name in names}
            await store_rows(session, claimed.epoch, rows)
            self._make(claimed.epoch)
            yield session

    @asynccontextmanager
    async def more_session(self) -> AsyncIterator[MemorySession]:
        """One more, of the same owner."""
        target = MemoryTarget(self.database, REPLICATION, lock_timeout_seconds=0.01)
        await target.open()
        async with target.session() as session:
            yield session

    def _make(self, epoch: int) -> None:
        names = [t.relation for t in self.tables]
        checkpoints: dict[TableName, Progress]
        checkpoints = {r.table: Checkpoint(r.name, epoch, 0, "0/0") for r in names}
        if self.whole:
            checkpoints = dict.fromkeys(checkpoints, checkpoints[names[0].table])
        if self.buckets:
            checkpoints = {r.table: self._split(r, epoch) for r in names}
        self.lane = Lane("lane", checkpoints, wake=self.scheduler.wake)
        self.lane.split = bool(self.buckets)
        rejections = RowByRow(
            self.policy,
            self.evolution,
            Clock(),
            Random(),
            rejected=lambda table, reason: self.told.append((table, reason)),
            stopped=lambda _lane, error: self.stopped.append(error),
            committed=self._committed,
            suspend=self._suspend,
            sealed=lambda row: row,
        )
        self.station = ApplyStation(
            self.scheduler,
            BatchLimits(self.rows_max, 1 << 30, self.whole, shares_max=3, share_rows_min=1),
            rejections,
            self.evolution,
            Clock(),
            Random(),
            release=self._release,
            done=self.done.append,
            applied=self.applied.merge,
            committed=self._committed,
            mended=self._mended,
        )

    def _split(self, relation: Relation, epoch: int) -> Buckets:
        names = [f"{relation.name}:{bucket}" for bucket in range(self.buckets)]
        return Buckets([Checkpoint(name, epoch, 0, "0/0") for name in names], key_hash)

    def _release(self, size: int) -> None:
        self.released += size

    def _committed(self, fences: int) -> None:
        self.commits += fences

    def _suspend(self, lane: Lane) -> Suspension:
        spool = Spool("s", self.disk, SpoolBudget(self.spool_bytes_max), bytes(32))
        return Suspension(spool, lane.checkpoints, self._dropped)

    def _dropped(self, _error: StateError) -> None:
        self.dropped += 1

    def _left(self, name: TableName) -> None:
        self.lane.stopped.add(name)

    def _mended(self, _lane: Lane) -> None:
        self.mended += 1

    # --- what the target holds ----------------------------------------------------------------

    def rows(self, made: Table) -> list[Cells]:
        return sorted(self.database.visible_rows(made.relation.table))

    def checkpoint(self, made: Table, bucket: int | None = None) -> LaneRow:
        rows = {row[1]: row[2] for row in self.database.visible_rows(CHECKPOINT)}
        name = made.relation.name
        found = rows[name if bucket is None else f"{name}:{bucket}"]
        assert isinstance(found, LaneRow)
        return found

    def record(self, made: Table) -> TableRecord:
        rows = {row[1]: row[2] for row in self.database.visible_rows(TABLES)}
        found = rows[made.relation.table]
        assert isinstance(found, TableRecord)
        return found

    def rejected(self) -> list[RejectedRow]:
        rows = self.database.visible_rows(QUARANTINE)
        return [cell for row in rows for cell in row if isinstance(cell, RejectedRow)]


def accounts() -> Table:
    return table("public.accounts", ["id", "value"], key=["id"], required=["value"])


def copies() -> Table:
    """A table without key."""
    return table("public.copies", ["id", "value"])
