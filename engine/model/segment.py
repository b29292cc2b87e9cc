"""What the router hands to a lane, and how its finishing is told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from engine.model.change import Event, SchemaChanged, Transaction
from engine.model.position import Position


@dataclass(slots=True)
class Mark:
    """One source transaction, or a stretch of whole ones (or an idle position), on its way to being
    durable.

    `pending` counts its pieces that lanes hold; `end` is set once all of it has been handed out;
    `committed_at_us` is the first transaction's.
    """

    pending: int = 0
    end: Position | None = None
    committed_at_us: int = 0


Member: TypeAlias = tuple[Transaction, Position | None]
"""A transaction of a stretch, and the position after it."""


@dataclass(slots=True)
class Segment:
    """One lane's share of one part of a transaction, or of a stretch of whole transactions, in
    order.

    `transaction` is the only one or the last. `ordinals` are those of `events`, one each; a
    SchemaChanged carries the ordinal before it. `end` is the position after the whole transaction
    or stretch, set when this share came with its last part. `size` is what it holds of the queue's
    budget, in bytes. Of a stretch, `members` are all transactions, and `numbers` says of each event
    which of them it belongs to.
    """

    mark: Mark
    transaction: Transaction
    events: list[Event]
    ordinals: Sequence[int]
    size: int
    end: Position | None = None
    members: Sequence[Member] = ()
    numbers: Sequence[int] = ()

    @property
    def position(self) -> Position:
        """Where a lane stands that has applied this."""
        if self.end is not None:
            return self.end
        return self.transaction.at(self.ordinals[-1])

    @property
    def committed_at_us(self) -> int:
        """Source commit time of the first transaction that it has anything of; 0 when unknown."""
        if self.numbers:
            return self.members[self.numbers[0]][0].committed_at_us
        return self.transaction.committed_at_us

    def position_before(self, index: int) -> Position:
        """Where a lane stands that has applied this up to, not including, event `index`."""
        own = not isinstance(self.events[index], SchemaChanged)
        return self.transaction.at(self.ordinals[index] - own)

    def pieces(self) -> Sequence["Segment"]:
        """The same, one segment for each transaction. They share the mark, which counts one."""
        if len(self.members) <= 1 or not self.events:
            return (self,)
        pieces: list[Segment] = []
        share = self.size // len(self.events)
        stop = 0
        for number, run in groupby(self.numbers):
            start, stop = stop, stop + len(list(run))
            transaction, end = self.members[number]
            events, ordinals = self.events[start:stop], self.ordinals[start:stop]
            pieces.append(
                Segment(self.mark, transaction, events, ordinals, share * len(events), end)
            )
        pieces[0].size += self.size - share * stop
        pieces[-1].end = self.end
        return pieces


def apart(segments: Iterable[Segment]) -> list[Segment]:
    """Segments of one transaction each in place of these; the marks count them."""
    found: list[Segment] = []
    for segment in segments:
        pieces = segment.pieces()
        segment.mark.pending += len(pieces) - 1
        found += pieces
    return found
