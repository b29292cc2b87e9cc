"""One run of the log as blocks, with what it needs from earlier places of it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from connectors.mysql.assembler import Assembler
from connectors.mysql.dump import Dump
from connectors.mysql.xa import Due
from connectors.mysql.xa_log import XaLog
from engine.machine import Clock
from engine.model.change import Block, Part

BEHIND_SECONDS: Final = 0.02
"""Age of a transaction, when it arrives, from which we are behind."""

WHOLE_SECONDS: Final = 1.0
"""MariaDB's log tells the second of a commit; that much of an age may be none."""

EVENT_BYTES: Final = 160
VALUE_BYTES: Final = 44
"""Memory of a change, and of one of its values, beside the bytes themselves."""


class LogStream:
    """Reads `dump`, which it closes."""

    def __init__(
        self, dump: Dump, assembler: Assembler, xa_log: XaLog, clock: Clock, *, mariadb: bool
    ) -> None:
        self._dump = dump
        self._assembler = assembler
        self._xa_log = xa_log
        self._clock = clock
        self._behind_seconds = BEHIND_SECONDS + (WHOLE_SECONDS if mariadb else 0.0)
        self._begun = False
        self._taken_at = 0.0

    async def blocks(self) -> AsyncGenerator[Block, None]:
        """See `contracts.Source.blocks`."""
        behind = False
        assembler = self._assembler
        try:
            while True:
                events = await self._dump.events(behind=behind)
                self._taken_at = self._clock.monotonic()
                assembler.feed(events)
                behind = self._age() > self._behind_seconds
                size = sum(map(len, events))
                while (due := assembler.due) is not None:
                    async with aclosing(self._due(due, size)) as blocks:
                        async for block in blocks:
                            yield block
                    size = 0
                    assembler.settle()
                    self._taken_at = self._clock.monotonic()
                last = self._block(size)
                if last is not None:
                    yield last
        finally:
            await self._dump.close()

    async def _due(self, due: Due, size: int) -> AsyncGenerator[Block, None]:
        """The rows of a transaction that was prepared earlier; first what came before its end."""
        block = self._block(size)
        if block is not None:
            yield block
        group = due.group or await self._xa_log.find(due.xid, due.committed)
        async with aclosing(self._xa_log.rows(group)) as slices:
            async for events, read in slices:
                self._taken_at = self._clock.monotonic()
                self._assembler.replay(events)
                block = self._block(read)
                if block is not None:
                    yield block

    def _block(self, size: int) -> Block | None:
        """What came, of which so many bytes were read; None where that is nothing."""
        parts, idle = self._assembler.take()
        if not parts and idle is None and self._begun:
            return None
        self._begun = True
        size += _overhead(parts) + self._assembler.replayed_bytes
        self._assembler.replayed_bytes = 0
        now, took_since = self._clock.monotonic(), self._taken_at
        self._taken_at = now
        return Block(parts, size, idle, now, self._age(), now - took_since)

    def _age(self) -> float:
        """By our own clock; below 0 where the source's is ahead, or tells whole seconds."""
        committed = self._assembler.committed_at_us
        return self._clock.wall() - committed / 1e6 if committed else 0.0


def _overhead(parts: Sequence[Part]) -> int:
    """Memory of the objects beside the bytes, from one row of each part."""
    size = 0
    for part in parts:
        if part.events:
            columns = len(getattr(getattr(part.events[-1], "relation", None), "columns", ()))
            size += len(part.events) * (EVENT_BYTES + columns * VALUE_BYTES)
    return size
