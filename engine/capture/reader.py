"""Pull blocks from the source into the queue, through broken links.

After a reconnect the source sends again what was not acknowledged; what had been dispatched is
dropped here, so everything behind the queue sees each change once and in order.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, Protocol

from engine.contracts import Source
from engine.errors import (
    InvariantError,
    PenstockError,
    SlotBusyError,
    SourceConnectionError,
)
from engine.machine import Clock, Random
from engine.model.change import Block, Part, SchemaChanged, Transaction
from engine.model.position import Position
from engine.observe.stages import Stages
from engine.retry import Backoff, Policy

RECONNECT: Final = Policy()
"""Without an end: a source that is down is waited for, and shown as such."""

SLOT_WAIT: Final = Policy(first_delay_seconds=0.2, delay_seconds_max=1.0, budget_seconds=60.0)
"""After a cut the server may hold our old reader until its own timeout (`wal_sender_timeout`, 60 s
by default)."""


class Inlet(Protocol):
    async def put(self, block: Block) -> None: ...


def _nobody(_: Position) -> None:
    """Is told of an end that was not asked for."""


class Reader:
    """`connected` is told None with a connection's first block, and the error when it breaks;
    `stages` of the waits for the source, and for room. Before the first transaction that was
    committed after `until_us` the reader rests; `cut` is told then how far it has come."""

    def __init__(
        self,
        source: Source,
        start: Position,
        inlet: Inlet,
        clock: Clock,
        random: Random,
        *,
        connected: Callable[[PenstockError | None], None],
        stages: Stages | None = None,
        until_us: int | None = None,
        cut: Callable[[Position], None] = _nobody,
    ) -> None:
        self._source = source
        self._inlet = inlet
        self._clock = clock
        self._connected = connected
        self._stages = stages or Stages()
        self._until_us = until_us
        self._cut_at = cut
        self._reconnect = Backoff(RECONNECT, clock, random)
        self._slot = Backoff(SLOT_WAIT, clock, random)
        self._number = 0
        self._current: Transaction | None = None
        self._resting = False
        self._receiving: asyncio.Timeout | None = None
        self._cut = ""
        self.waits_for_room = False
        """Whether it has something in hand that the queue has no room for, or that came too late:
        it does not stand still for want of the source."""
        self.passed = start
        """Everything up to here has been put into the queue."""

    async def run(self) -> None:
        """Read until cancelled. Raises what another connection cannot mend."""
        while True:
            try:
                await self._read()
                raise SourceConnectionError("the source ended the stream")
            except (SourceConnectionError, SlotBusyError) as error:
                busy = isinstance(error, SlotBusyError)
                delay = (self._slot if busy else self._reconnect).next_delay()
                if delay is None:
                    raise
                self._connected(error)
            await asyncio.sleep(delay)

    def rest(self) -> None:
        """Take nothing further in, and keep the link until cancelled: what becomes durable from
        here on is still told to the source over it."""
        self._resting = True

    def cut(self, why: str) -> bool:
        """Give the link up and open another, when nothing is in hand; whether it was."""
        receiving = self._receiving
        if receiving is None or receiving.expired() or self._resting:
            return False
        self._cut = why
        receiving.reschedule(asyncio.get_running_loop().time())
        return True

    async def _next(self, blocks: AsyncGenerator[Block, None]) -> Block | None:
        """The next block, None at the end. Raises SourceConnectionError when it was cut."""
        limit = self._receiving = asyncio.timeout(None)
        try:
            async with limit:
                with self._stages.source:
                    return await anext(blocks, None)
        except TimeoutError:
            if not limit.expired():
                raise
            raise SourceConnectionError(self._cut) from None
        finally:
            self._receiving = None

    async def _put(self, block: Block) -> None:
        self.waits_for_room = True
        with self._stages.queue:
            await self._inlet.put(block)
        self.waits_for_room = False

    async def _read(self) -> None:
        fresh = True
        async with aclosing(self._source.blocks(self.passed)) as blocks:
            while (block := await self._next(blocks)) is not None:
                if fresh:
                    fresh = False
                    self._connected(None)
                    self._reconnect.reset()
                    self._slot.reset()
                if self._resting:
                    await asyncio.Event().wait()
                block.received_at = self._clock.monotonic()
                self._stages.decode += block.decode_seconds
                late = self._until_us is not None and self._leave_late(block, self._until_us)
                self._number_parts(block)
                await self._put(block)
                if late:
                    self.rest()
                    self.waits_for_room = True
                    self._cut_at(self.passed)

    def _leave_late(self, block: Block, until_us: int) -> bool:
        """Cut off what stands from the first new transaction on that was committed too late;
        whether there is one. The one that goes on was in time when it began."""
        for index, part in enumerate(block.parts):
            transaction = part.transaction
            late = transaction.committed_at_us > until_us
            if late and not self.passed.covers(transaction.coordinate, 1):
                block.parts, block.idle = block.parts[:index], None
                return True
        return False

    def _number_parts(self, block: Block) -> None:
        """Give transactions their running number; drop what was dispatched before."""
        kept: list[Part] = []
        for part in block.parts:
            if self._current is None and part.end is not None and part.first == 1:
                if self._whole(part):
                    kept.append(part)
            elif self._adopt(part) and _trim(part, self.passed):
                kept.append(part)
                self._note(part)
        block.parts = kept
        if block.idle is not None:
            if self._current is None:
                self.passed = block.idle
            else:
                block.idle = None  # a transaction cut by the last break is still to be ended

    def _whole(self, part: Part) -> bool:
        """What the next three come to for a transaction in one part: most are short."""
        transaction = part.transaction
        if self.passed.covers(transaction.coordinate, 1):
            return False
        self._number += 1
        transaction.number = self._number
        assert part.end is not None
        self.passed = part.end
        return True

    def _adopt(self, part: Part) -> bool:
        """Tie the part to its transaction; False when that was dispatched whole."""
        transaction = part.transaction
        current = self._current
        if current is not None and current.coordinate == transaction.coordinate:
            part.transaction = current
            return True
        if self.passed.covers(transaction.coordinate, 1):
            return False
        if current is not None:
            raise InvariantError(
                f"the source went on to transaction {transaction.coordinate} without ending "
                f"{current.coordinate}"
            )
        self._number += 1
        transaction.number = self._number
        self._current = transaction
        return True

    def _note(self, part: Part) -> None:
        if part.end is not None:
            self.passed = part.end
            self._current = None
            return
        counted = _counted(part)
        if counted:
            self.passed = part.transaction.at(part.first + counted - 1)


def _counted(part: Part) -> int:
    return sum([not isinstance(event, SchemaChanged) for event in part.events])


def _trim(part: Part, passed: Position) -> bool:
    """Cut off the events that `passed` covers; False when nothing is left of the part. A schema
    change behind the last of them counts as no ordinal: it may not have been dispatched, and who
    hears of it again knows it."""
    coordinate = part.transaction.coordinate
    if not part.events or not passed.covers(coordinate, part.first):
        return True
    kept = 0
    ordinal = part.first
    for index, event in enumerate(part.events):
        if isinstance(event, SchemaChanged):
            continue
        if not passed.covers(coordinate, ordinal):
            break
        ordinal += 1
        kept = index + 1
    part.events = part.events[kept:]
    part.first = ordinal
    return bool(part.events) or part.end is not None
