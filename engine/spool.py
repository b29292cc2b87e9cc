"""Overflow on disk: what memory may not hold any longer and the target cannot take yet.

One file a lane, written and read in order, encrypted and authenticated with a key that never leaves
the process (AES-256-GCM): a file that a crash leaves behind is noise, and the next start removes
it. Everything in it can be read again from the source, or its table is loaded again.

Records are lists of plain values (`marshal`: ints, bytes, None, tuples); relation versions stay in
memory and are named by number.
"""

import marshal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.contracts import Disk
from engine.errors import InvariantError, StateError
from engine.model.change import Change, Event, SchemaChanged, Transaction, Truncate
from engine.model.relation import Relation
from engine.model.value import UNCHANGED, Row

NONCE_BYTES: Final = 12

KEY_BYTES: Final = 32

SPOOL_PREFIX: Final = "spool-"
"""Beginning of the names of all spool files; a start removes what a predecessor left."""

_UNCHANGED: Final = Ellipsis


class SpoolFullError(StateError):
    """The budget for overflow is used up."""


@dataclass(slots=True)
class SpoolBudget:
    """Bytes of overflow that all lanes of a replication may hold together."""

    bytes_max: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class Spooled:
    """One list of events of one transaction, with their ordinals. `tag` is the caller's, `size` its
    bytes on disk."""

    transaction: Transaction
    events: list[Event]
    ordinals: list[int]
    tag: object
    size: int


@dataclass(frozen=True, slots=True)
class _Entry:
    offset: int
    size: int
    number: int
    transaction: Transaction
    specials: tuple[Event, ...]
    tag: object


class Spool:
    """A first-in first-out of events, on disk."""

    def __init__(self, name: str, disk: Disk, budget: SpoolBudget, key: bytes) -> None:
        self._name = SPOOL_PREFIX + name
        self._disk = disk
        self._budget = budget
        self._cipher = AESGCM(key)
        self._entries: deque[_Entry] = deque()
        self._relations: list[Relation] = []
        self._numbers: dict[int, int] = {}
        self._written = 0
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What it holds of the budget: everything since it was last empty."""
        return self._bytes

    def put(
        self,
        transaction: Transaction,
        events: Sequence[Event],
        ordinals: Sequence[int],
        tag: object = None,
    ) -> None:
        """Append. Raises SpoolFullError (nothing was written), StateError for a failing disk."""
        specials: list[Event] = []
        plain = [self._plain(event, specials) for event in events]
        text = marshal.dumps((plain, list(ordinals)))
        number = self._written
        sealed = self._cipher.encrypt(number.to_bytes(NONCE_BYTES, "big"), text, None)
        if self._budget.used + len(sealed) > self._budget.bytes_max:
            raise SpoolFullError(
                "the disk space for overflow is used up",
                hint="raise [capacity] spool_max, or mend what holds the target up",
            )
        offset = self._disk.append(self._name, sealed)
        self._written += 1
        self._bytes += len(sealed)
        self._budget.used += len(sealed)
        self._entries.append(_Entry(offset, len(sealed), number, transaction, tuple(specials), tag))

    def peek(self) -> Spooled:
        """The oldest entry, which stays. Raises StateError when it does not read back intact."""
        entry = self._entries[0]
        sealed = self._disk.read(self._name, entry.offset, entry.size)
        try:
            text = self._cipher.decrypt(entry.number.to_bytes(NONCE_BYTES, "big"), sealed, None)
        except Exception as error:
            raise StateError(f"overflow file {self._name} is damaged at {entry.offset}") from error
        plain, ordinals = marshal.loads(text)  # noqa: S302 - authenticated above, with our own key
        specials = iter(entry.specials)
        events = [self._event(item, specials) for item in plain]
        return Spooled(entry.transaction, events, ordinals, entry.tag, entry.size)

    def drop(self) -> None:
        """Forget the oldest entry; the file goes with the last one."""
        self._entries.popleft()
        if not self._entries:
            self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._disk.remove(self._name)
        self._budget.used -= self._bytes
        self._bytes = 0
        self._relations.clear()
        self._numbers.clear()

    def _plain(self, event: Event, specials: list[Event]) -> Any:
        if isinstance(event, Change):
            return (event.kind, self._number(event.relation), _out(event.new), _out(event.old))
        specials.append(event)
        return None

    def _event(self, item: Any, specials: Any) -> Event:
        if item is None:
            event = next(specials)
            if not isinstance(event, Truncate | SchemaChanged):
                raise InvariantError("a row change was kept outside the overflow file")
            return event
        kind, number, new, old = item
        return Change(kind, self._relations[number], _in(new), _in(old))

    def _number(self, relation: Relation) -> int:
        number = self._numbers.get(id(relation))
        if number is None:
            number = self._numbers[id(relation)] = len(self._relations)
            self._relations.append(relation)
        return number


def _out(row: Row | None) -> Any:
    if row is None or UNCHANGED not in row:
        return row
    return tuple([_UNCHANGED if value is UNCHANGED else value for value in row])


def _in(row: Any) -> Row | None:
    if row is None or _UNCHANGED not in row:
        return row
    return tuple([UNCHANGED if value is _UNCHANGED else value for value in row])


class SpoolRoom:
    """Makes the spools of one replication, all within one budget. `key` is 32 random bytes made
    for this process."""

    def __init__(self, disk: Disk, bytes_max: int, key: bytes) -> None:
        self._disk = disk
        self._budget = SpoolBudget(bytes_max)
        self._key = key
        self._count = 0

    def sweep(self) -> None:
        """Remove what a predecessor left."""
        for name in self._disk.names():
            if name.startswith(SPOOL_PREFIX):
                self._disk.remove(name)

    def spool(self) -> Spool:
        """A new, empty spool. Each has a key of its own, so nonces never repeat."""
        self._count += 1
        return Spool(f"{self._count:06d}", self._disk, self._budget, self._derived(self._count))

    def _derived(self, number: int) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, None, number.to_bytes(8, "big")).derive(self._key)
