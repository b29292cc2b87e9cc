"""An applier takes a ready lane, makes what it holds durable with its position, and takes the next.

Every target transaction begins with the compare-and-set of the lane's checkpoint row. Whatever is
not a refused row or a busy target leaves the applier as an error: the pipeline then claims the
replication again and reads from the stored frontier, so rows in memory are never needed twice.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from engine.apply.fold import arrange
from engine.apply.lane import Lane, LaneBatch
from engine.apply.scheduler import Scheduler
from engine.apply.suspension import Suspension
from engine.apply.tally import Tally
from engine.contracts import Clock, Random, TargetSession, TargetTransaction
from engine.errors import (
    RowRejectedError,
    SchemaChangeError,
    SchemaMismatchError,
    TargetBusyError,
)
from engine.failpoint import hit, register
from engine.model.change import Change, Event, SchemaChanged, Truncate
from engine.model.segment import Mark
from engine.model.state import TableRecord, TableState
from engine.retry import Backoff, Policy

BEFORE_COMMIT: Final = register("apply.before-commit", "rows written, not committed")
AFTER_COMMIT: Final = register("apply.after-commit", "a batch is durable, the frontier not moved")

WAITING: Final = "changes that waited are being applied"
"""`TableRecord.reason` of a table that is being mended."""

PACE_SECONDS: Final = 0.01
"""Wait after a small batch while the stream is far behind: each batch costs us and the target a
round trip and a commit, and the next is larger for it. Measured with four tables of which one is
large: a twentieth more rows a second. Never while the stream keeps up."""

SMALL_SHARE: Final = 8
"""A batch of less than this part of the rows it might have is small."""

BUSY: Final = Policy(delay_seconds_max=1.0, attempts_max=100)
"""Deadlocks and lock timeouts are over soon; a hundred in a row are something else."""


class Rejections(Protocol):
    """Applies a batch row by row under the error policy, after the target refused it as a whole."""

    async def apply(self, session: TargetSession, lane: Lane, batch: LaneBatch) -> bool:
        """Make the batch durable as far as the policy says. False: the lane was stopped."""
        ...


class Evolutions(Protocol):
    """Decides and applies schema changes inside a lane's transaction."""

    async def evolve(
        self, lane: str, transaction: TargetTransaction, change: SchemaChanged
    ) -> None:
        """Raises SchemaChangeError when it cannot be followed exactly."""
        ...

    def started(self, lane: str) -> None:
        """A transaction of this lane begins, maybe again."""
        ...

    def savepoint(self, lane: str) -> None:
        """The lane's transaction has set a savepoint."""
        ...

    def rolled_back(self, lane: str) -> None:
        """The lane's transaction went back to its savepoint."""
        ...

    def committed(self, lane: str) -> None:
        """The lane's transaction with its schema changes is durable."""
        ...


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much one target transaction may gather. `whole_transactions`: a source transaction is
    never cut (`transactional` mode)."""

    rows_max: int
    bytes_max: int
    whole_transactions: bool = False


@dataclass(slots=True)
class ApplyStation:
    """What all appliers share. `release` gives bytes back to the queue's budget, `done` tells the
    frontier of a durable piece, `applied` counts a durable transaction."""

    scheduler: Scheduler
    limits: BatchLimits
    rejections: Rejections
    evolutions: Evolutions
    clock: Clock
    random: Random
    release: Callable[[int], None]
    done: Callable[[Mark], None]
    applied: Callable[[Tally], None]
    committed: Callable[[int], None]
    """Told the number of checkpoints that a durable transaction moved."""
    mended: Callable[[Lane], None]
    """A stopped lane is back in the stream."""
    behind: Callable[[], bool] = lambda: False
    """Whether the stream is far behind the source."""


async def run_applier(station: ApplyStation, session: TargetSession) -> None:
    """Serve lanes until cancelled."""
    scheduler = station.scheduler
    while True:
        lane = await scheduler.take()
        try:
            await _serve(station, session, lane)
        finally:
            scheduler.give_back(lane)


async def _serve(station: ApplyStation, session: TargetSession, lane: Lane) -> None:
    if lane.suspension is not None:
        await mend(station, session, lane, lane.suspension)
        return
    limits = station.limits
    whole = limits.whole_transactions
    batch = lane.take(limits.rows_max, limits.bytes_max, whole=whole)
    if batch is None:
        return
    if whole and not batch.ends_transaction:
        await _stream_transaction(station, session, lane, batch)
        return
    await _apply_batch(station, session, lane, batch)
    if batch.rows * SMALL_SHARE < limits.rows_max and station.behind():
        await asyncio.sleep(PACE_SECONDS)


async def _apply_batch(
    station: ApplyStation, session: TargetSession, lane: Lane, batch: LaneBatch
) -> None:
    if not batch.events:
        _settle(station, batch)  # all of it was in the chunks of a load
        return
    backoff = Backoff(BUSY, station.clock, station.random)
    tally = Tally()
    while True:
        try:
            tally.bytes = await _commit(station, session, lane, batch)
        except (RowRejectedError, SchemaMismatchError, SchemaChangeError):
            if await station.rejections.apply(session, lane, batch):
                break
            _give_up(station, lane, batch)
            return
        except TargetBusyError:
            delay = backoff.next_delay()
            if delay is None:
                raise
            await asyncio.sleep(delay)
            continue
        station.committed(batch.committed(batch.position))
        break
    station.evolutions.committed(lane.name)
    _settle(station, batch)
    tally.add(batch.events)
    station.applied(tally)


def _settle(station: ApplyStation, batch: LaneBatch) -> None:
    for segment in batch.segments:
        station.done(segment.mark)
    station.release(batch.size)


def _give_up(station: ApplyStation, lane: Lane, batch: LaneBatch) -> None:
    """A stopped lane lets go of what it holds: its durable record took it off the frontier. What
    came before the refused event is durable too."""
    station.evolutions.committed(lane.name)
    _settle(station, batch)
    while (rest := lane.take(station.limits.rows_max, station.limits.bytes_max)) is not None:
        if lane.suspension is not None:
            for segment in rest.segments:
                lane.suspension.take_in(segment)
        _settle(station, rest)


async def mend(
    station: ApplyStation, session: TargetSession, lane: Lane, suspension: Suspension
) -> None:
    """Try what waits for a stopped lane again; back into the stream when all of it is applied."""
    suspension.due = False
    while (segment := suspension.oldest()) is not None:
        lane.sift([segment])
        batch = lane.batch([segment])
        try:
            tally = Tally()
            tally.bytes = await _commit(station, session, lane, batch)
        except (RowRejectedError, SchemaMismatchError, SchemaChangeError, TargetBusyError):
            return
        station.committed(batch.committed(batch.position))
        station.evolutions.committed(lane.name)
        suspension.drop()
        tally.add(batch.events)
        station.applied(tally)
    if suspension.lost:
        return
    # from here on what comes is held by the frontier again; the record follows before it is applied
    lane.suspension = None
    await _record_streaming(station, session, lane)
    suspension.end()


async def _record_streaming(station: ApplyStation, session: TargetSession, lane: Lane) -> None:
    checkpoints = list({id(c): c for c in lane.checkpoints.values()}.values())
    async with session.begin([c.fence(None) for c in checkpoints]) as transaction:
        for table in lane.tables:
            await transaction.save_table(TableRecord(table, TableState.STREAMING))
        await transaction.commit()
    for checkpoint in checkpoints:
        checkpoint.seq += 1
    station.committed(len(checkpoints))
    station.mended(lane)


async def _commit(
    station: ApplyStation, session: TargetSession, lane: Lane, batch: LaneBatch
) -> int:
    """One target transaction for one batch; returns the bytes handed to the target."""
    station.evolutions.started(lane.name)
    async with session.begin(batch.fences(batch.position)) as transaction:
        size = await write_events(station.evolutions, transaction, lane, batch.events)
        if lane.suspension is not None:
            await _still_suspended(transaction, batch)
        hit(BEFORE_COMMIT)
        await transaction.commit()
    hit(AFTER_COMMIT)
    return size


async def _still_suspended(transaction: TargetTransaction, batch: LaneBatch) -> None:
    """A schema change among what waits is no sign that the table streams again: a restart would go
    on from the frontier, which is past the rest."""
    for event in batch.events:
        if isinstance(event, SchemaChanged):
            await transaction.save_table(
                TableRecord(event.table, TableState.SUSPENDED, str(batch.position), WAITING)
            )


async def write_events(
    evolutions: Evolutions, transaction: TargetTransaction, lane: Lane, events: Sequence[Event]
) -> int:
    """Write changes folded, and what is not a row change in its place between them."""
    size = 0
    start = 0
    for index, event in enumerate(events):
        if event.__class__ is Change:
            continue
        size += await _write_changes(transaction, lane, events[start:index])
        await write_special(evolutions, transaction, lane, event)
        start = index + 1
    return size + await _write_changes(transaction, lane, events[start:] if start else events)


async def write_special(
    evolutions: Evolutions, transaction: TargetTransaction, lane: Lane, event: Event
) -> None:
    """Apply a TRUNCATE or a schema change."""
    if isinstance(event, Truncate):
        await transaction.truncate(event)
    elif isinstance(event, SchemaChanged):
        await evolutions.evolve(lane.name, transaction, event)


async def _write_changes(
    transaction: TargetTransaction, lane: Lane, changes: Sequence[Event]
) -> int:
    if not changes:
        return 0
    runs = arrange(cast(Sequence[Change], changes), grouped=lane.grouped)
    return (await transaction.write(runs)).bytes


async def _stream_transaction(
    station: ApplyStation, session: TargetSession, lane: Lane, batch: LaneBatch
) -> None:
    """A source transaction larger than a batch, as one target transaction.

    Its bytes go back to the budget as they are handed over, or a transaction larger than the budget
    could never end. So a refusal here cannot be replayed from memory: it leaves as an error.
    """
    limits = station.limits
    marks: list[Mark] = []
    tally = Tally()
    first = batch
    station.evolutions.started(lane.name)
    async with session.begin(first.fences(None)) as transaction:
        while True:
            tally.bytes += await write_events(station.evolutions, transaction, lane, batch.events)
            tally.add(batch.events)
            marks += [segment.mark for segment in batch.segments]
            station.release(batch.size)
            if batch.ends_transaction:
                break
            batch = await _next_piece(station, lane, limits)
        hit(BEFORE_COMMIT)
        position = batch.position
        await transaction.commit({c.name: str(position) for c in first.touched})
    hit(AFTER_COMMIT)
    station.committed(first.committed(position))
    station.evolutions.committed(lane.name)
    for mark in marks:
        station.done(mark)
    station.applied(tally)


async def _next_piece(station: ApplyStation, lane: Lane, limits: BatchLimits) -> LaneBatch:
    while True:
        batch = lane.take(limits.rows_max, limits.bytes_max, whole=True)
        if batch is not None:
            return batch
        await station.scheduler.more(lane)
