"""An applier takes a ready lane, makes what it holds durable with its position, and takes the next.

Every target transaction begins with the compare-and-set of the lane's checkpoint row. Whatever is
not a refused row or a busy target leaves the applier as an error: the pipeline then claims the
replication again and reads from the stored frontier, so rows in memory are never needed twice.
"""

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, Protocol, cast

from engine.apply.checkpoint import Buckets
from engine.apply.fold import arrange
from engine.apply.lane import Lane, LaneBatch
from engine.apply.misfits import refuse_misfits
from engine.apply.scheduler import Division, Help, Scheduler
from engine.apply.shares import Share, pieces, refused
from engine.apply.suspension import Suspension
from engine.apply.tally import Tally
from engine.contracts import TargetSession, TargetTransaction
from engine.errors import (
    RowRejectedError,
    SchemaChangeError,
    SchemaMismatchError,
    TargetBusyError,
)
from engine.failpoint import hit, register
from engine.machine import Clock, Random
from engine.model.change import Change, Event, SchemaChanged, Truncate, only_of, tables_of
from engine.model.relation import TableName
from engine.model.segment import Mark, Segment
from engine.model.state import TableRecord, TableState
from engine.retry import Backoff, Policy

BEFORE_COMMIT: Final = register("apply.before-commit", "rows written, not committed")
AFTER_COMMIT: Final = register("apply.after-commit", "a batch is durable, the frontier not moved")
AFTER_SHARE: Final = register(
    "apply.after-share", "some buckets of a batch are durable, others not"
)

WAITING: Final = "changes that waited are being applied"
"""`TableRecord.reason` of a table that is being mended."""

PACE_SECONDS: Final = 0.01
"""Wait after a small batch while the stream is far behind: each batch costs us and the target a
round trip and a commit, and the next is larger for it. Measured with four tables of which one is
large: a twentieth more rows a second. Never while the stream keeps up, nor while other lanes wait
for an applier: they gather meanwhile."""

SMALL_SHARE: Final = 8
"""A batch of less than this part of the rows it might have is small."""

BUSY: Final = Policy(delay_seconds_max=1.0, attempts_max=100)
"""Deadlocks and lock timeouts are over soon; a hundred in a row are something else."""


class Rejections(Protocol):
    """Applies a batch row by row under the error policy, after the target refused it as a whole."""

    async def apply(
        self, session: TargetSession, lane: Lane, batch: LaneBatch, tally: Tally
    ) -> bool:
        """Make the batch durable as far as the policy says, and count what is. False: the lane was
        stopped."""
        ...

    async def apply_within(
        self, transaction: TargetTransaction, lane: Lane, batch: LaneBatch, tally: Tally
    ) -> None:
        """Write the batch row by row into an open transaction, and count it. Raises what the target
        refuses: a part of a transaction does not become durable alone."""
        ...


class Evolutions(Protocol):
    """Decides and applies schema changes inside a lane's transaction."""

    async def evolve(
        self, lane: str, transaction: TargetTransaction, change: SchemaChanged
    ) -> None:
        """Raises SchemaChangeError when it cannot be followed exactly."""
        ...

    def left(self, lane: str) -> AbstractSet[TableName]:
        """Tables that have left, also by this lane's open transaction."""
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
    never cut (`transactional` mode). What a table with buckets has gathered goes in at most
    `shares_max` transactions side by side, of at least `share_rows_min` changes each."""

    rows_max: int
    bytes_max: int
    whole_transactions: bool = False
    shares_max: int = 1
    share_rows_min: int = 1


@dataclass(slots=True)
class ApplyStation:
    """What all appliers share. `limits` may be others from one batch to the next. `release` gives
    bytes back to the queue's budget, `done` tells the frontier of a durable piece, `applied` counts
    a durable transaction."""

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
    """Serve lanes until cancelled, or dismissed because fewer appliers are wanted: then it holds
    no lane, and what it applied is durable.

    What fails is not given back. Another applier would take the lane at once and send its next
    batch before it is cancelled, with a fence that holds where the failed one is not durable.
    """
    scheduler = station.scheduler
    while (work := await scheduler.take()) is not None:
        if isinstance(work, Help):
            await _apply_share(station, session, work.share, work.division)
        else:
            await _serve(station, session, work)
        scheduler.give_back(work)


async def _serve(station: ApplyStation, session: TargetSession, lane: Lane) -> None:
    if lane.suspension is not None:
        await mend(station, session, lane, lane.suspension)
        return
    limits = station.limits
    whole = limits.whole_transactions
    batch = lane.take(limits.rows_max, limits.bytes_max, whole=whole)
    while whole and batch is not None and not batch.ends_transaction and not batch.cut:
        batch = await _stream_transaction(station, session, lane, batch)
    if batch is None:
        lane.settled()
        return
    await _apply(station, session, lane, batch)
    lane.settled()
    small = batch.rows * SMALL_SHARE < limits.rows_max
    if small and station.behind() and not station.scheduler.pressed:
        with station.scheduler.resting():
            await asyncio.sleep(PACE_SECONDS)


async def _apply(
    station: ApplyStation, session: TargetSession, lane: Lane, batch: LaneBatch
) -> None:
    buckets = lane.buckets
    if not batch.events:
        _settle(station, batch)  # all of it was in the chunks of a load
    elif buckets is not None:
        await _apply_pieces(station, session, lane, batch, buckets)
    elif await _apply_in_order(station, session, lane, batch):
        _settle(station, batch)
    else:
        _give_up(station, lane, batch)


async def _apply_in_order(
    station: ApplyStation, session: TargetSession, lane: Lane, batch: LaneBatch
) -> bool:
    """Make a batch durable by one transaction, or row by row. False: the lane was stopped."""
    backoff = Backoff(BUSY, station.clock, station.random)
    while True:
        try:
            tally = await _commit(station, session, lane, batch)
        except (RowRejectedError, SchemaMismatchError, SchemaChangeError):
            return await _apply_by_row(station, session, lane, batch)
        except TargetBusyError:
            delay = backoff.next_delay()
            if delay is None:
                raise
            await asyncio.sleep(delay)
            continue
        break
    station.committed(batch.committed(batch.at(batch.position)))
    station.evolutions.committed(lane.name)
    station.applied(tally)
    return True


async def _apply_by_row(
    station: ApplyStation, session: TargetSession, lane: Lane, batch: LaneBatch
) -> bool:
    tally = Tally()
    whole = await station.rejections.apply(session, lane, batch, tally)
    if whole:
        station.evolutions.committed(lane.name)
    station.applied(tally)
    return whole


async def _apply_pieces(
    station: ApplyStation,
    session: TargetSession,
    lane: Lane,
    batch: LaneBatch,
    buckets: Buckets,
) -> None:
    """One piece after the other, the shares of a piece side by side. The batch is settled when all
    of it is durable: the frontier never sees a part."""
    limits = station.limits
    rows_min, shares_max = limits.share_rows_min, limits.shares_max
    found = pieces(lane, batch, buckets, rows_min=rows_min, shares_max=shares_max)
    for index, piece in enumerate(found):
        order = piece.order
        if order is not None:
            whole = await _apply_in_order(station, session, lane, order)
        else:
            await _divide(station, session, piece.shares)
            whole = not any(share.refused for share in piece.shares)
            if not whole:
                order = refused(lane, batch, piece, buckets)
                whole = await _apply_by_row(station, session, lane, order)
        if not whole:
            _give_up(station, lane, batch, [s for p in found[index + 1 :] for s in p.segments])
            return
        if lane.stopped:
            break  # its one table has left: the rest is of another one
    _settle(station, batch)


async def _divide(station: ApplyStation, session: TargetSession, shares: Sequence[Share]) -> None:
    """Make shares durable, with the help of appliers that have nothing else to do."""
    division = station.scheduler.divide(shares)
    while division.waiting:
        await _apply_share(station, session, division.waiting.popleft(), division)
    await division.over()


async def _apply_share(
    station: ApplyStation, session: TargetSession, share: Share, division: Division
) -> None:
    """One transaction for one share, unless the target refuses a row: then who divided applies it
    row by row, when the others are through."""
    backoff = Backoff(BUSY, station.clock, station.random)
    while True:
        try:
            tally = await _commit_share(session, share)
        except (RowRejectedError, SchemaMismatchError):
            share.refused = True
        except TargetBusyError:
            delay = backoff.next_delay()
            if delay is None:
                raise
            await asyncio.sleep(delay)
            continue
        else:
            station.committed(share.committed())
            station.applied(tally)
        break
    division.finished()


async def _commit_share(session: TargetSession, share: Share) -> Tally:
    changes = cast(Sequence[Change], share.events)
    runs = arrange(changes, grouped=True)
    refuse_misfits(runs)
    tally = Tally()
    tally.add_arranged(changes, runs, changes[0].relation.table)
    fences = [checkpoint.fence(share.position) for checkpoint in share.touched]
    async with session.begin(fences) as transaction:
        tally.bytes = (await transaction.write(runs)).bytes
        hit(BEFORE_COMMIT)
        await transaction.commit()
    hit(AFTER_SHARE)
    return tally


def _settle(station: ApplyStation, batch: LaneBatch) -> None:
    for segment in batch.segments:
        station.done(segment.mark)
    station.release(batch.size)


def _give_up(
    station: ApplyStation, lane: Lane, batch: LaneBatch, following: Sequence[Segment] = ()
) -> None:
    """A stopped lane lets go of what it holds: its durable record took it off the frontier. What
    came before the refused event is durable too, and what is `following` it in the batch waits."""
    station.evolutions.committed(lane.name)
    if lane.suspension is not None:
        for segment in following:
            lane.suspension.take_in(segment)
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
            tally = await _commit(station, session, lane, batch)
        except (RowRejectedError, SchemaMismatchError, SchemaChangeError, TargetBusyError):
            return
        station.committed(batch.committed(batch.at(batch.position)))
        station.evolutions.committed(lane.name)
        suspension.drop()
        station.applied(tally)
    if suspension.lost:
        return
    # from here on what comes is held by the frontier again; the record follows before it is applied
    lane.suspension = None
    await _record_streaming(station, session, lane)
    suspension.end()


async def _record_streaming(station: ApplyStation, session: TargetSession, lane: Lane) -> None:
    checkpoints = lane.every
    async with session.begin([c.fence(None) for c in checkpoints]) as transaction:
        for table in lane.tables:
            if table not in lane.stopped:
                await transaction.save_table(TableRecord(table, TableState.STREAMING))
        await transaction.commit()
    for checkpoint in checkpoints:
        checkpoint.seq += 1
    station.committed(len(checkpoints))
    station.mended(lane)


async def _commit(
    station: ApplyStation, session: TargetSession, lane: Lane, batch: LaneBatch
) -> Tally:
    """One target transaction for one batch; returns what it made durable."""
    tally = Tally()
    station.evolutions.started(lane.name)
    async with session.begin(batch.fences(batch.position)) as transaction:
        await write_events(station.evolutions, transaction, lane, batch.events, tally)
        if lane.suspension is not None:
            await _still_suspended(transaction, batch, station.evolutions.left(lane.name))
        hit(BEFORE_COMMIT)
        await transaction.commit()
    hit(AFTER_COMMIT)
    return tally


async def _still_suspended(
    transaction: TargetTransaction, batch: LaneBatch, left: AbstractSet[TableName]
) -> None:
    """A schema change among what waits is no sign that the table streams again: a restart would go
    on from the frontier, which is past the rest. One that has left needs a load all the same."""
    for event in batch.events:
        if isinstance(event, SchemaChanged) and event.table not in left:
            await transaction.save_table(
                TableRecord(event.table, TableState.SUSPENDED, str(batch.position), WAITING)
            )


async def write_events(
    evolutions: Evolutions,
    transaction: TargetTransaction,
    lane: Lane,
    events: Sequence[Event],
    tally: Tally,
) -> None:
    """Write changes folded, and what is not a row change in its place between them; count them."""
    start = 0
    for index, event in enumerate(events):
        if event.__class__ is Change:
            continue
        await _write_changes(evolutions, transaction, lane, events[start:index], tally)
        tally.add(await write_special(evolutions, transaction, lane, event))
        start = index + 1
    rest = events[start:] if start else events
    await _write_changes(evolutions, transaction, lane, rest, tally)


async def write_special(
    evolutions: Evolutions, transaction: TargetTransaction, lane: Lane, event: Event
) -> Sequence[Event]:
    """Apply a TRUNCATE or a schema change; what of it was applied: tables that have left are passed
    over."""
    if isinstance(event, Truncate):
        kept = only_of(event, set(tables_of(event)).difference(evolutions.left(lane.name)))
        if not isinstance(kept, Truncate):
            return ()
        await transaction.truncate(kept)
        return (kept,)
    if isinstance(event, SchemaChanged):
        await evolutions.evolve(lane.name, transaction, event)
    return (event,)


def carried(
    lane: Lane, changes: Sequence[Change], left: AbstractSet[TableName]
) -> Sequence[Change]:
    """Those of tables that have not left."""
    if left.isdisjoint(lane.tables):
        return changes
    return [change for change in changes if change.relation.table not in left]


async def _write_changes(
    evolutions: Evolutions,
    transaction: TargetTransaction,
    lane: Lane,
    events: Sequence[Event],
    tally: Tally,
) -> None:
    if not events:
        return
    changes = cast(Sequence[Change], events)
    changes = carried(lane, changes, evolutions.left(lane.name))
    runs = arrange(changes, grouped=lane.grouped)
    tally.add_arranged(changes, runs, lane.only)
    refuse_misfits(runs)
    tally.bytes += (await transaction.write(runs)).bytes


async def _stream_transaction(
    station: ApplyStation, session: TargetSession, lane: Lane, batch: LaneBatch
) -> LaneBatch | None:
    """A source transaction larger than a batch, as one target transaction; returns the piece of it
    that has to begin another one, if any: a schema change, where the target commits for it.

    Its bytes go back to the budget as they are handed over, or a transaction larger than the budget
    could never end. So each piece is known to be taken before the next: what only its folding makes
    wrong is replayed, and what is refused then leaves as an error.
    """
    limits = station.limits
    marks: list[Mark] = []
    tally = Tally()
    first = batch
    following: LaneBatch | None = None
    station.evolutions.started(lane.name)
    async with session.begin(first.fences(None)) as transaction:
        while True:
            tally.merge(await _write_piece(station, transaction, lane, batch))
            marks += [segment.mark for segment in batch.segments]
            station.release(batch.size)
            if batch.ends_transaction:
                break
            following = await _next_piece(station, lane, limits)
            if lane.changes_first and _begins_with_change(following):
                break
            batch, following = following, None
        hit(BEFORE_COMMIT)
        positions = first.at(batch.position)
        await transaction.commit(positions)
    hit(AFTER_COMMIT)
    station.committed(first.committed(positions))
    station.evolutions.committed(lane.name)
    for mark in marks:
        station.done(mark)
    station.applied(tally)
    return following


def _begins_with_change(batch: LaneBatch) -> bool:
    return bool(batch.events) and isinstance(batch.events[0], SchemaChanged)


async def _write_piece(
    station: ApplyStation, transaction: TargetTransaction, lane: Lane, batch: LaneBatch
) -> Tally:
    """Write a piece folded, or as it came where the target refuses that; what was written. What is
    checked at the commit may need later pieces."""
    written = Tally()
    await transaction.savepoint()
    station.evolutions.savepoint(lane.name)
    try:
        await write_events(station.evolutions, transaction, lane, batch.events, written)
        await transaction.release_savepoint(checked=False)
    except (RowRejectedError, SchemaMismatchError):
        await transaction.rollback_to_savepoint()
        station.evolutions.rolled_back(lane.name)
        written = Tally()
        await station.rejections.apply_within(transaction, lane, batch, written)
    return written


async def _next_piece(station: ApplyStation, lane: Lane, limits: BatchLimits) -> LaneBatch:
    while True:
        batch = lane.take(limits.rows_max, limits.bytes_max, whole=True)
        if batch is not None:
            return batch
        lane.parked = True
        await station.scheduler.more(lane)
        lane.parked = False
