"""Row by row: what happens to a batch that the target refused as a whole.

The original changes are replayed in order, in one target transaction, by bisection under
savepoints, so the refused rows are found in logarithmic time and everything else is applied as it
was sent (a unique swap is legal step by step where its net effect is not). What happens to a
refused row is the policy's: kept aside (`quarantine`), or its tables stop (`stop-table`), or the
replication does (`stop`). A row to change that is not there is kept aside and counted, and stops
nothing but under `stop`.
"""

import asyncio
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from engine.apply.applier import BUSY, Evolutions, carried, write_special
from engine.apply.fold import in_order
from engine.apply.lane import Lane, LaneBatch
from engine.apply.misfits import refuse_misfits
from engine.apply.suspension import Suspension
from engine.apply.tally import Tally
from engine.contracts import TargetSession, TargetTransaction
from engine.errors import (
    PenstockError,
    RowMissingError,
    RowRejectedError,
    SchemaChangeError,
    SchemaMismatchError,
    TargetBusyError,
)
from engine.machine import Clock, Random
from engine.model.change import OPERATIONS, Change, Event
from engine.model.position import Position
from engine.model.rejected import MISSING, REJECTED, payload
from engine.model.relation import TableName
from engine.model.segment import Segment
from engine.model.state import RejectedRow, TableRecord, TableState
from engine.retry import Backoff

STOP_TABLE: Final = "stop-table"
QUARANTINE: Final = "quarantine"
STOP: Final = "stop"


@dataclass(slots=True)
class _Item:
    """One event with its place."""

    event: Event
    segment: Segment
    index: int

    @property
    def position(self) -> Position:
        return self.segment.transaction.at(self.segment.ordinals[self.index])

    @property
    def position_before(self) -> Position:
        return self.segment.position_before(self.index)


@dataclass(slots=True)
class _Stopped:
    item: _Item
    error: PenstockError


class RowByRow:
    """`rejected(table, reason)` counts, `stopped(lane, error)` tells that tables of a lane stopped.
    `suspend(lane)` gives room for what a stopped lane may not apply, `sealed(row)` a kept row as it
    may stand in the target."""

    def __init__(
        self,
        policy: str,
        evolutions: Evolutions,
        clock: Clock,
        random: Random,
        *,
        rejected: Callable[[TableName, str], None],
        stopped: Callable[[Lane, PenstockError], None],
        committed: Callable[[int], None],
        suspend: Callable[[Lane], Suspension],
        sealed: Callable[[RejectedRow], RejectedRow],
    ) -> None:
        self._policy = policy
        self._evolutions = evolutions
        self._clock = clock
        self._random = random
        self._rejected = rejected
        self._stopped = stopped
        self._committed = committed
        self._waiting = suspend
        self._sealed = sealed

    async def apply(
        self, session: TargetSession, lane: Lane, batch: LaneBatch, tally: Tally
    ) -> bool:
        """See `applier.Rejections.apply`."""
        batch.take_apart()
        backoff = Backoff(BUSY, self._clock, self._random)
        while True:
            try:
                return await self._attempt(session, lane, batch, tally)
            except TargetBusyError:
                delay = backoff.next_delay()
                if delay is None:
                    raise
                await asyncio.sleep(delay)

    async def apply_within(
        self, transaction: TargetTransaction, lane: Lane, batch: LaneBatch, tally: Tally
    ) -> None:
        """See `applier.Rejections.apply_within`."""
        batch.take_apart()
        replay = _Replay(STOP, self._evolutions, transaction, lane, [], checked=False)
        await replay.all(_items(batch))
        replay.count(tally)

    async def _attempt(
        self, session: TargetSession, lane: Lane, batch: LaneBatch, tally: Tally
    ) -> bool:
        items = _items(batch)
        kept: list[RejectedRow] = []
        self._evolutions.started(lane.name)
        async with session.begin(batch.fences(batch.position)) as transaction:
            replay = _Replay(self._policy, self._evolutions, transaction, lane, kept)
            stopped = await replay.all(items)
            for row in kept:
                await transaction.reject(self._sealed(row))
            positions = batch.at(batch.position)
            if stopped is not None:
                await _record(transaction, lane, stopped, self._evolutions.left(lane.name))
                positions = _positions(lane, batch, items, stopped)
            await transaction.commit(positions)
        self._committed(batch.committed(positions))
        replay.count(tally)
        for row in kept:
            self._rejected(row.table, row.reason)
        if stopped is None:
            return True
        self._suspend(lane, batch, stopped)
        return False

    def _suspend(self, lane: Lane, batch: LaneBatch, stopped: _Stopped) -> None:
        """What is not applied, and all that comes, waits apart from the stream."""
        if isinstance(stopped.error, SchemaChangeError):
            lane.stopped.update(lane.tables)
        else:
            lane.suspension = self._waiting(lane)
            for segment in _rest(batch, stopped.item):
                lane.suspension.take_in(segment)
        self._stopped(lane, stopped.error)


async def _record(
    transaction: TargetTransaction,
    lane: Lane,
    stopped: _Stopped,
    left: AbstractSet[TableName],
) -> None:
    """A schema change that cannot be followed will not mend itself: its tables need a reload. Those
    that have left are recorded as such."""
    position = stopped.item.position_before
    unfollowed = isinstance(stopped.error, SchemaChangeError)
    state = TableState.NEEDS_RELOAD if unfollowed else TableState.SUSPENDED
    for table in lane.tables:
        if table in left:
            continue
        record = TableRecord(table, state, str(position), reason=stopped.error.message)
        await transaction.save_table(record)


def _positions(
    lane: Lane, batch: LaneBatch, items: Sequence[_Item], stopped: _Stopped
) -> dict[str, str]:
    """Where checkpoints stand when a batch stops. One of which nothing was applied may stand past
    that place: an earlier process had come further with it."""
    applied = takewhile(lambda item: item is not stopped.item, items)
    moved = {checkpoint.name for checkpoint in lane.touched([item.event for item in applied])}
    at = str(stopped.item.position_before)
    return {c.name: at if c.name in moved else c.position for c in batch.touched}


def _rest(batch: LaneBatch, item: _Item) -> list[Segment]:
    """The refused event and what follows it in the batch."""
    index = batch.segments.index(item.segment)
    first = item.segment
    cut = Segment(
        first.mark,
        first.transaction,
        first.events[item.index :],
        list(first.ordinals[item.index :]),
        0,
        first.end,
    )
    return [cut, *batch.segments[index + 1 :]]


def _items(batch: LaneBatch) -> list[_Item]:
    return [
        _Item(event, segment, index)
        for segment in batch.segments
        for index, event in enumerate(segment.events)
    ]


@dataclass(slots=True)
class _Replay:
    """One pass over a batch inside one target transaction. `checked`: what deferred constraints
    refuse is told of its row; not where later parts of the transaction may be what they wait for.
    """

    policy: str
    evolutions: Evolutions
    transaction: TargetTransaction
    lane: Lane
    kept: list[RejectedRow]
    checked: bool = True
    applied: list[Event] = field(default_factory=list[Event])
    bytes: int = 0

    def count(self, tally: Tally) -> None:
        """Add what was applied."""
        tally.add(self.applied)
        tally.bytes += self.bytes

    async def all(self, items: Sequence[_Item]) -> _Stopped | None:
        start = 0
        for index, item in enumerate(items):
            if item.event.__class__ is Change:
                continue
            stopped = await self._span(items[start:index]) or await self._special(item)
            if stopped is not None:
                return stopped
            start = index + 1
        return await self._span(items[start:])

    async def _special(self, item: _Item) -> _Stopped | None:
        transaction = self.transaction
        await transaction.savepoint()
        self.evolutions.savepoint(self.lane.name)
        try:
            applied = await write_special(self.evolutions, transaction, self.lane, item.event)
            await transaction.release_savepoint(checked=self.checked)
        except (RowRejectedError, SchemaMismatchError, SchemaChangeError) as error:
            await transaction.rollback_to_savepoint()
            self.evolutions.rolled_back(self.lane.name)
            if self.policy == STOP:
                raise
            return _Stopped(item, error)
        self.applied += applied
        return None

    async def _span(self, items: Sequence[_Item]) -> _Stopped | None:
        """Apply neighbours in order; halve what is refused until single rows are left."""
        if not items:
            return None
        transaction = self.transaction
        await transaction.savepoint()
        try:
            changes = [item.event for item in items if isinstance(item.event, Change)]
            kept = carried(self.lane, changes, self.evolutions.left(self.lane.name))
            runs = in_order(kept)
            refuse_misfits(runs)
            written = await transaction.write(runs)
            await transaction.release_savepoint(checked=self.checked)
        except (RowRejectedError, SchemaMismatchError) as error:
            await transaction.rollback_to_savepoint()
            if len(items) == 1:
                return self._refused(items[0], error)
        else:
            self.applied += kept
            self.bytes += written.bytes
            return None
        middle = len(items) // 2
        return await self._span(items[:middle]) or await self._span(items[middle:])

    def _refused(self, item: _Item, error: PenstockError) -> _Stopped | None:
        if self.policy == STOP:
            raise error
        if not isinstance(error, RowRejectedError):
            # The table's fault, not the row's: every row would meet it.
            return _Stopped(item, error)
        self.kept.append(_rejected_row(self.lane, item, error))
        if self.policy == QUARANTINE or isinstance(error, RowMissingError):
            return None
        return _Stopped(item, error)


def _rejected_row(lane: Lane, item: _Item, error: RowRejectedError) -> RejectedRow:
    change = item.event
    assert isinstance(change, Change)
    missing = isinstance(error, RowMissingError)
    return RejectedRow(
        table=change.relation.table,
        lane=lane.name,
        position=str(item.position),
        operation=OPERATIONS[change.kind],
        reason=MISSING if missing else REJECTED,
        sqlstate=error.sqlstate,
        message=error.message,
        payload=payload(OPERATIONS[change.kind], change.relation, change.new, change.old),
    )
