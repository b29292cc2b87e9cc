"""(pure) Cut the log into blocks as a socket would: transactions whole, large ones in parts."""

from collections.abc import Sequence

from connectors.memory.events import LoggedTransaction
from engine.model.change import Block, Change, Event, Part, SchemaChanged, Transaction
from engine.model.value import Row

EVENT_BYTES = 64
"""What an event takes in memory beside its values, roughly."""


class Cutter:
    """Reads on in a log that grows."""

    def __init__(
        self, log: Sequence[LoggedTransaction], index: int, events_max: int, *, send_empty: bool
    ) -> None:
        self._log = log
        self._index = index
        self._events_max = events_max
        self._send_empty = send_empty
        self._rest: list[Event] = []
        self._transaction: Transaction | None = None
        self._ordinal = 1

    def next_block(self) -> Block | None:
        """What follows, up to the limit; None when the log has no more."""
        parts: list[Part] = []
        room = self._events_max
        size = 0
        while room > 0 and (part := self._next_part(room)) is not None:
            parts.append(part)
            room -= max(1, len(part.events))
            size += sum(map(size_of, part.events))
        return Block(parts, size + EVENT_BYTES) if parts else None

    def _next_part(self, room: int) -> Part | None:
        if self._transaction is None and not self._open_next():
            return None
        assert self._transaction is not None
        events, self._rest = self._rest[:room], self._rest[room:]
        part = Part(self._transaction, self._ordinal, events)
        self._ordinal += sum(not isinstance(event, SchemaChanged) for event in events)
        if not self._rest:
            part.end = self._log[self._index].end
            self._index += 1
            self._transaction = None
        return part

    def _open_next(self) -> bool:
        """Start the next transaction that is sent; False when there is none."""
        while self._index < len(self._log):
            entry = self._log[self._index]
            self._rest = entry.published()
            if self._rest or self._send_empty:
                head = entry.transaction
                self._transaction = Transaction(head.coordinate, head.xid, head.committed_at_us)
                self._ordinal = 1
                return True
            self._index += 1
        return False


def size_of(event: Event) -> int:
    if not isinstance(event, Change):
        return EVENT_BYTES
    return EVENT_BYTES + _row_size(event.new) + _row_size(event.old)


def _row_size(row: Row | None) -> int:
    return sum(len(value) for value in row if isinstance(value, bytes)) if row else 0
