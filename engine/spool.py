"""Overflow on disk: what memory may not hold any longer and the target cannot take yet.

One file a lane, written and read in order, encrypted and authenticated with a key that never leaves
the process (AES-256-GCM): a file that a crash leaves behind is noise, and the next start removes
it. Everything in it can be read again from the source, or its table is loaded again.

A record is plain values (`marshal`: numbers, texts, bytes, None, tuples), its own length before it,
so nothing is kept in memory of what is read in order anyway; relation versions stay in memory, each
once, and are named by number. What holds the frontier back is kept for stretches of records: all of
a stretch hold its first transaction, which nothing behind it can pass.
"""

import marshal
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import StateError
from engine.machine import Disk
from engine.model.change import Event, Transaction
from engine.model.plain_events import PlainEvents
from engine.model.position import LogPosition, Position
from engine.model.segment import Mark

KEY_BYTES: Final = 32

LENGTH_BYTES: Final = 4

STRETCH_MIN: Final = 64
"""Fewest records worth a mark of their own."""

STRETCHES_EVEN: Final = 64
"""A stretch is a 64th of all: overflow that drains lets the frontier move in steps of that."""

SPOOL_PREFIX: Final = "spool-"
"""Beginning of the names of all spool files; a start removes what a predecessor left."""


class SpoolFullError(StateError):
    """The budget for overflow is used up."""


@dataclass(slots=True)
class SpoolBudget:
    """Bytes of overflow that all lanes of a replication may hold together."""

    bytes_max: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class Spooled:
    """Events of one transaction, with their ordinals. `end` is the position after the whole of it,
    when these are its last. `mark` counts this as one piece; `size` is its bytes on disk."""

    transaction: Transaction
    events: list[Event]
    ordinals: list[int]
    end: Position | None
    mark: Mark
    size: int


@dataclass(slots=True)
class _Stretch:
    """Consecutive records that hold one mark."""

    mark: Mark
    committed_at_us: int
    records: int = 0


class Spool:
    """A first-in first-out of events, on disk. `parse` reads the text of a position. Each of one
    `key` needs a `number` of its own."""

    def __init__(
        self,
        name: str,
        disk: Disk,
        budget: SpoolBudget,
        key: bytes,
        parse: Callable[[str], Position] = LogPosition.parse,
        number: int = 0,
    ) -> None:
        from engine.sealing import Seal  # with its library, which few processes come to need

        self._name = SPOOL_PREFIX + name
        self._disk = disk
        self._budget = budget
        self._seal = Seal(key, number)
        self._parse = parse
        self._stretches: deque[_Stretch] = deque()
        self._records = 0
        self._events = PlainEvents()
        self._written = 0
        self._read_at = 0
        self._size = 0
        self._bytes = 0
        self._events_read: int | None = None
        self.rows = 0
        """Events in it."""

    def __len__(self) -> int:
        return self._records

    @property
    def bytes(self) -> int:
        """What it holds of the budget: everything since it was last empty."""
        return self._bytes

    @property
    def unread(self) -> int:
        """Bytes of what is in it."""
        return self._bytes - self._read_at

    @property
    def oldest_us(self) -> int:
        """Source commit time of the oldest transaction in it, or of one a stretch before; 0 when it
        is empty."""
        return self._stretches[0].committed_at_us if self._stretches else 0

    @property
    def stretches(self) -> int:
        """How many marks it holds: a few hundred, whatever it holds of records."""
        return len(self._stretches)

    def put(
        self,
        transaction: Transaction,
        events: Sequence[Event],
        ordinals: Sequence[int],
        end: Position | None = None,
        mark: Mark | None = None,
    ) -> None:
        """Append. `mark` counts this as one piece, and does so no more: a mark before it does.

        Raises SpoolFullError (nothing was written), StateError for a failing disk.
        """
        plain = [self._events.plain(event) for event in events]
        head = _plain(transaction)
        text = marshal.dumps((head, plain, list(ordinals), None if end is None else str(end)))
        sealed = self._seal.close(self._written, text)
        record = len(sealed).to_bytes(LENGTH_BYTES, "big") + sealed
        if self._budget.used + len(record) > self._budget.bytes_max:
            raise SpoolFullError(
                "the disk space for overflow is used up",
                hint="raise [capacity] spool_max, or mend what holds the target up",
            )
        self._disk.append(self._name, record)
        self._written += 1
        self._records += 1
        self.rows += len(events)
        self._bytes += len(record)
        self._budget.used += len(record)
        self._hold(mark or Mark(pending=1), transaction.committed_at_us)

    def _hold(self, mark: Mark, committed_at_us: int) -> None:
        """Stretches grow with the whole, so their number grows with its logarithm."""
        last = self._stretches[-1] if self._stretches else None
        if last is None or last.records >= max(STRETCH_MIN, self._records // STRETCHES_EVEN):
            self._stretches.append(_Stretch(mark, committed_at_us, 1))
            return
        mark.pending -= 1
        last.mark.pending += 1
        last.records += 1

    def peek(self) -> Spooled:
        """The oldest record, which stays. Raises StateError when it does not read back intact."""
        size = self._oldest_size()
        sealed = self._disk.read(self._name, self._read_at + LENGTH_BYTES, size)
        text = self._seal.open(self._written - self._records, sealed)
        if text is None:
            raise self._damaged()
        head, plain, ordinals, end = marshal.loads(text)  # noqa: S302 - our own, see above
        self._events_read = len(plain)
        return Spooled(
            self._transaction(head),
            [self._events.event(item) for item in plain],
            ordinals,
            None if end is None else self._parse(end),
            self._stretches[0].mark,
            size + LENGTH_BYTES,
        )

    def _transaction(self, head: Sequence[Any]) -> Transaction:
        place, *numbers = head
        coordinate = place if isinstance(place, int) else self._parse(place).coordinate
        return Transaction(coordinate, *numbers)

    def _oldest_size(self) -> int:
        if not self._size:
            length = self._disk.read(self._name, self._read_at, LENGTH_BYTES)
            size = int.from_bytes(length, "big")
            if self._read_at + LENGTH_BYTES + size > self._bytes:
                raise self._damaged()
            self._size = size
        return self._size

    def _damaged(self) -> StateError:
        return StateError(f"overflow file {self._name} is damaged at {self._read_at}")

    def drop(self) -> None:
        """Forget the oldest record; the file goes with the last one."""
        read = self._events_read
        self.rows -= len(self.peek().events) if read is None else read
        self._events_read = None
        self._read_at += LENGTH_BYTES + self._oldest_size()
        self._size = 0
        self._records -= 1
        stretch = self._stretches[0]
        stretch.records -= 1
        if not stretch.records:
            self._stretches.popleft()
        if not self._records:
            self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._disk.remove(self._name)
        self._budget.used -= self._bytes
        self._bytes = self._records = self._read_at = self._size = self.rows = 0
        self._events_read = None
        self._stretches.clear()
        self._events.forget()


def _plain(transaction: Transaction) -> tuple[Any, ...]:
    coordinate = transaction.coordinate
    place = coordinate if isinstance(coordinate, int) else str(transaction.at(0))
    return place, transaction.xid, transaction.committed_at_us, transaction.number


class SpoolRoom:
    """Makes the spools of one replication, all within one budget. `key` is 32 random bytes made
    for this process."""

    def __init__(
        self,
        disk: Disk,
        bytes_max: int,
        key: bytes,
        parse: Callable[[str], Position] = LogPosition.parse,
    ) -> None:
        self._disk = disk
        self._parse = parse
        self._budget = SpoolBudget(bytes_max)
        self._key = key
        self._count = 0

    def resize(self, bytes_max: int) -> None:
        """Another limit, if it is a higher one. A lower one would make tables whose changes wait on
        disk, which takes no memory, lose them."""
        self._budget.bytes_max = max(self._budget.bytes_max, bytes_max)

    def sweep(self) -> None:
        """Remove what a predecessor left."""
        for name in self._disk.names():
            if name.startswith(SPOOL_PREFIX):
                self._disk.remove(name)

    def spool(self) -> Spool:
        """A new, empty spool. Each has a key of its own, so nonces never repeat."""
        self._count += 1
        name = f"{self._count:06d}"
        return Spool(name, self._disk, self._budget, self._key, self._parse, self._count)
