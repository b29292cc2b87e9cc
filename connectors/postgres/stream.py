"""Reads the log as blocks: paces the reading, decodes, watches the link.

Pacing: the server sends every message by itself, and a reader that takes each at once makes each a
wake-up of its own. While we are behind (the server sends what was committed a while ago) and reads
come back small, a millisecond is waited before the next read; never when the stream was idle, so a
single transaction is not delayed.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from connectors.postgres.errors import TextModeNeededError
from connectors.postgres.feedback import Feedback
from connectors.postgres.pgoutput import PgOutputDecoder
from connectors.postgres.relation_message import RelationMessage
from connectors.postgres.replication import Drained, ReplicationConnection
from engine.errors import SourceConnectionError, SourceError
from engine.machine import Clock
from engine.model.change import Block, Change, Part, SchemaStep
from engine.model.position import LogPosition
from engine.model.relation import Relation

Describe: TypeAlias = Callable[
    [RelationMessage, int], Awaitable[tuple[Relation, Sequence[SchemaStep]]]
]
"""Completes a Relation message of a transaction (its id) from the catalog; with facts about columns
that may be new."""

PACE_SECONDS: Final = 0.001
"""Wait between two reads while behind. At 150,000 messages a second it gathers 15 KB."""

SMALL_READ_BYTES: Final = 65_536
"""A read below this was mostly wake-up."""

BEHIND_US: Final = 20_000
"""Age of a transaction, when the server sends it, from which we are behind."""

WAIT_SECONDS_MAX: Final = 1.0
"""Longest wait for the socket before everything else is looked at again."""

CHECK_SECONDS: Final = 60.0
"""Time between two looks at the publications while streaming."""

_EVENT_BYTES: Final = 160
_VALUE_BYTES: Final = 44
_SAMPLE: Final = 16


class LogStream:
    """One run of the stream over one connection."""

    def __init__(
        self,
        connection: ReplicationConnection,
        decoder: PgOutputDecoder,
        feedback: Feedback,
        describe: Describe,
        clock: Clock,
        *,
        after: int,
        heartbeat: float,
        bytes_max: int,
        check: Callable[[], Awaitable[None]],
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self.feedback = feedback
        self._connection = connection
        self._decoder = decoder
        self._describe = describe
        self._clock = clock
        self._heartbeat = heartbeat
        self._bytes_max = bytes_max
        self._check = check
        self._loop = asyncio.get_running_loop()
        self._check_seconds = check_seconds
        self._check_at = self._loop.time() + check_seconds
        # A server begins to count at what was acknowledged, which may lie before `after`.
        self._end = self._idle_at = max(after, feedback.flushed)
        self._untold = True
        self._begun = False
        self._hurry = True
        self._dry = False
        self._wait_seconds = min(WAIT_SECONDS_MAX, heartbeat)
        self._ended = False
        self._taken_at = 0.0
        self._interruption: SourceError | None = None

    def interrupt(self, error: SourceError) -> None:
        """End the stream with this error, soon."""
        self._interruption = error

    def take_forged(self) -> int:
        """Messages that were passed over as not of the event triggers, since the last call."""
        forged, self._decoder.forged = self._decoder.forged, 0
        return forged

    async def blocks(self) -> AsyncGenerator[Block, None]:
        """Blocks until an error or until closed; either releases the connection. The first tells
        that the server answers, and is empty when it has nothing to send."""
        self.feedback.ask()
        try:
            while True:
                drained = await self._next()
                block = await self._decode(drained)
                if block is not None:
                    yield block
        finally:
            self.feedback.close()
            await self._connection.close()

    async def _next(self) -> Drained:
        """Wait for anything to arrive and take it."""
        silent_since = self._loop.time()
        while True:
            await self._look_around()
            if not self._hurry:
                await asyncio.sleep(PACE_SECONDS)
            elif self._dry and not await self._connection.readable(self._wait_seconds):
                self._quiet(self._loop.time() - silent_since)
                continue
            self._taken_at = self._clock.monotonic()
            drained = self._connection.drain(self._bytes_max)
            self._pace(drained)
            if drained.messages or drained.keepalive:
                self._ended = drained.ended
                return drained
            if drained.ended:
                raise await self._failure()

    def _quiet(self, silence: float) -> None:
        """Nothing came for a while: once after data, and when it lasts, ask for a sign of life."""
        if silence > 2 * self._heartbeat:
            raise SourceConnectionError(f"the source has been silent for {silence:.0f} s")
        if self._untold or silence > self._heartbeat:
            self._untold = False
            self.feedback.ask()

    async def _look_around(self) -> None:
        self.feedback.check()
        if self._interruption is not None:
            raise self._interruption
        if self._ended:
            raise await self._failure()
        if self._loop.time() >= self._check_at:
            await self._look_at_server()
            self._check_at = self._loop.time() + self._check_seconds

    async def _look_at_server(self) -> None:
        """No row is read meanwhile, so a server that does not answer is silent here too."""
        try:
            async with asyncio.timeout(2 * self._heartbeat):
                await self._check()
        except TimeoutError:
            silence = f"the source has answered no question for {2 * self._heartbeat:.0f} s"
            raise SourceConnectionError(silence) from None

    async def _failure(self) -> Exception:
        error = await self._connection.failure()
        if isinstance(error, SourceError) and error.context.get("sqlstate") == "42883":
            return TextModeNeededError(error.message)
        return error

    def _pace(self, drained: Drained) -> None:
        """Whether the next read may come at once, and whether there is anything to read."""
        small = drained.bytes < SMALL_READ_BYTES
        behind = drained.sent_at_us - self._decoder.committed_at_us > BEHIND_US
        self._hurry = not (drained.messages and small and behind and self._decoder.committed_at_us)
        self._dry = drained.dry or not (drained.messages or drained.keepalive)

    async def _decode(self, drained: Drained) -> Block | None:
        decoder, messages = self._decoder, drained.messages
        received_at = self._clock.monotonic()
        self.feedback.written = max(self.feedback.written, drained.written)
        if drained.reply_asked:
            # A server that shuts down waits for what the next check lets us tell, or for our end.
            self._check_at = self._loop.time()
            self.feedback.soon()
        done = 0
        while (done := decoder.feed(messages, done)) < len(messages):
            assert decoder.wanted is not None
            decoder.define(*await self._describe(decoder.wanted, decoder.xid))
            done += 1
        parts = decoder.take()
        idle = self._idle(parts, drained)
        if not parts and idle is None and self._begun:
            return None
        self._begun = True
        size = drained.bytes + _overhead(parts)
        took = self._clock.monotonic() - self._taken_at
        return Block(parts, size, idle, received_at, self._age(drained), took)

    def _age(self, drained: Drained) -> float:
        sent, committed = drained.sent_at_us, self._decoder.committed_at_us
        return max(0.0, (sent - committed) / 1e6) if sent and committed else 0.0

    def _idle(self, parts: list[Part], drained: Drained) -> LogPosition | None:
        """What has been sent beyond the last transaction, while none is open."""
        self._untold = self._untold or bool(drained.messages)
        if parts and isinstance(parts[-1].end, LogPosition):
            self._end = max(self._end, parts[-1].end.offset)
        reached = max(drained.all_sent, self._decoder.passed)
        if self._decoder.open or reached < self._end or reached <= self._idle_at:
            return None
        self._end = self._idle_at = reached
        return LogPosition(reached)


def _overhead(parts: list[Part]) -> int:
    """Memory of the objects beside the bytes, from a sample of the rows."""
    count = columns = skip = 0
    for part in parts:
        events = part.events
        count += len(events)
        if skip >= len(events):
            skip -= len(events)
            continue
        for event in events[skip::_SAMPLE]:
            if isinstance(event, Change):
                columns += len(event.relation.columns) * _SAMPLE
        skip = (skip - len(events)) % _SAMPLE
    return count * _EVENT_BYTES + columns * _VALUE_BYTES
