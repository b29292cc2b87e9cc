"""How far a table is: by one stored position, or by one for each bucket of its keys (pure)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from engine.errors import PositionLostError
from engine.model.change import (
    DELETE,
    INSERT,
    Change,
    Event,
    SchemaChanged,
    Transaction,
    only_of,
    tables_of,
)
from engine.model.position import Position, position_at
from engine.model.relation import Relation, TableName
from engine.model.state import Fence
from engine.model.value import UNCHANGED, KeyHash, Row

SEVERAL: Final = -1
"""Place of an event that belongs to more than one bucket."""

Covers: TypeAlias = Callable[["Checkpoint"], bool]
"""Whether a checkpoint stands past an event."""

RELATIONS_KEPT: Final = 64
"""Versions of a table whose hash is remembered; it has one at a time."""


@dataclass(slots=True)
class Checkpoint:
    """A stored position as far as we know it. `replay` is that position until the stream has
    passed it; what it covers was applied before."""

    name: str
    epoch: int
    seq: int
    position: str
    replay: Position | None = None

    def fence(self, position: Position | None) -> Fence:
        """The compare-and-set for the next transaction that touches it."""
        text = self.position if position is None else str(position)
        return Fence(self.name, self.epoch, self.seq, text)

    def covers(self, transaction: Transaction, ordinal: int) -> bool:
        """Whether this was applied before; the first that was not ends the replay.

        Raises:
            PositionLostError: something that was applied before comes later.
        """
        if self.replay is None:
            return False
        if self.replay.covers(transaction.coordinate, ordinal):
            return True
        require_passed(self.replay, transaction, ordinal, self.name)
        self.replay = None
        return False

    # A table's progress: what it shares with `Buckets`.

    @property
    def every(self) -> Sequence["Checkpoint"]:
        return (self,)

    def of(self, _event: Event) -> Sequence["Checkpoint"]:
        return (self,)

    def left(self, event: Event, transaction: Transaction, ordinal: int) -> Event | None:
        return None if self.covers(transaction, ordinal) else event

    def left_by(self, event: Event, covers: Covers) -> Event | None:
        return None if covers(self) else event


def require_passed(replay: Position, transaction: Transaction, ordinal: int, name: str) -> None:
    """Check that all that `replay` covers stands in the log before this change, as it did when it
    was applied.

    A log may come back in another order: after a fail-over to a server that applied several domains
    or sessions side by side. Then the place of this change does not tell what was applied.

    Raises:
        PositionLostError: it does not.
    """
    if not position_at(transaction.coordinate, ordinal - 1).reaches(replay):
        raise PositionLostError(
            f"the source's log has transactions in another order than when {name} was applied up to"
            f" {replay}: what is applied already cannot be told from what is not",
            hint="point the source at the server that was read before, or load the tables again:"
            " penstock reload",
        )


class Buckets:
    """The checkpoints of one table, one for each bucket of its keys.

    A change belongs to the bucket of its key. What belongs to more than one is applied in one
    transaction that moves all of them, so either all of them cover it or none: a key that moves to
    another bucket, a TRUNCATE, a schema change, a change whose key cannot be hashed.
    """

    def __init__(
        self,
        checkpoints: Sequence[Checkpoint],
        key_hash: Callable[[Relation], KeyHash | None],
    ) -> None:
        self.every = tuple(checkpoints)
        self._key_hash = key_hash
        self._hashes: dict[int, tuple[Relation, KeyHash | None]] = {}
        self._replaying = any(checkpoint.replay is not None for checkpoint in checkpoints)

    def of(self, event: Event) -> Sequence[Checkpoint]:
        """Those that an event belongs to."""
        if isinstance(event, Change):
            hashed = self._hash(event.relation)
            found = _buckets(event, hashed, len(self.every)) if hashed is not None else ()
            return [self.every[bucket] for bucket in found] or self.every
        return self.every

    def place(self, events: Sequence[Event]) -> list[int]:
        """The bucket of each event, or `SEVERAL`."""
        count = len(self.every)
        last: Relation | None = None
        hashed: KeyHash | None = None
        places: list[int] = []
        for event in events:
            if event.__class__ is not Change:
                places.append(SEVERAL)
                continue
            kind, relation, new, old = event
            if relation is not last:
                last = relation
                hashed = self._hash(relation)
            if hashed is None:
                places.append(SEVERAL)
                continue
            row = old if kind == DELETE else new
            if row is not None and (old is None or kind == DELETE):
                number = hashed(row)
                places.append(SEVERAL if number is None else number % count)
                continue
            found = _buckets(event, hashed, count)
            places.append(found[0] if len(found) == 1 else SEVERAL)
        return places

    def left(self, event: Event, transaction: Transaction, ordinal: int) -> Event | None:
        """What of an event was not applied before; the first that no bucket covers ends the
        replay."""
        if not self._replaying:
            return event
        covering = {c.name for c in self.every if c.covers(transaction, ordinal)}
        self._replaying = bool(covering)
        return self.left_by(event, lambda checkpoint: checkpoint.name in covering)

    def left_by(self, event: Event, covers: Covers) -> Event | None:
        """All of it, nothing, or one half of a key's move. Where a load had seen one half, the
        other was an ordinary change of its own bucket, and either may stand before it or past it.
        A schema change moves them all at once, to a place before the next change of rows, which
        does not tell whether it was applied; one that has come further since does.
        """
        if isinstance(event, SchemaChanged):
            return None if any(map(covers, self.every)) else event
        halves = self._halves(event)
        left = [half for half in halves if not all(map(covers, self.of(half)))]
        if len(left) == len(halves):
            return event
        return left[0] if left else None

    def _halves(self, event: Event) -> Sequence[Event]:
        """A key's move to another bucket as what each of the two must do; else the event."""
        if not isinstance(event, Change) or event.new is None or event.old is None:
            return (event,)
        hashed = self._hash(event.relation)
        if hashed is not None and len(_buckets(event, hashed, len(self.every))) > 1:
            return (
                Change(DELETE, event.relation, None, event.old),
                Change(INSERT, event.relation, _completed(event.new, event.old), None),
            )
        return (event,)

    def _hash(self, relation: Relation) -> KeyHash | None:
        known = self._hashes.get(id(relation))
        if known is None or known[0] is not relation:
            if len(self._hashes) >= RELATIONS_KEPT:
                self._hashes.clear()
            known = self._hashes[id(relation)] = (relation, self._key_hash(relation))
        return known[1]


Progress: TypeAlias = Checkpoint | Buckets
"""How far one table is."""


def left_of(event: Event, left: Callable[[TableName], Event | None]) -> Event | None:
    """The event as far as its tables have not applied it. A TRUNCATE may have reached some of its
    tables before they were tied to the others."""
    if isinstance(event, Change):
        return left(event.relation.table)
    return only_of(event, {table for table in tables_of(event) if left(table) is not None})


def _buckets(change: Change, hashed: KeyHash, count: int) -> Sequence[int]:
    """The buckets of the old and the new key; none when one of them is not known."""
    kind, _, new, old = change
    if kind == DELETE or new is None:
        rows = [old]
    elif old is None or kind == INSERT:
        rows = [new]
    else:
        rows = [old, _completed(new, old)]
    numbers = [hashed(row) for row in rows if row is not None]
    known = [number % count for number in numbers if number is not None]
    return tuple(dict.fromkeys(known)) if len(known) == len(numbers) else ()


def _completed(new: Row, old: Row) -> Row:
    """The new row, with what it did not send taken from the old one."""
    if UNCHANGED not in new:
        return new
    return tuple([b if v is UNCHANGED else v for v, b in zip(new, old, strict=True)])
