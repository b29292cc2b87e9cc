"""What the router hands to a lane, and how its finishing is told."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.model.change import Event, SchemaChanged, Transaction
from engine.model.position import Position


@dataclass(slots=True)
class Mark:
    """One source transaction (or an idle position) on its way to being durable.

    `pending` counts its pieces that lanes hold; `end` is set once all of it has been handed out.
    """

    pending: int = 0
    end: Position | None = None
    committed_at_us: int = 0


@dataclass(slots=True)
class Segment:
    """One lane's share of one part of a transaction, in order.

    `ordinals` are those of `events`, one each; a SchemaChanged carries the ordinal before it.
    `end` is the position after the whole transaction, set when this share came with its last part.
    `size` is what it holds of the queue's budget, in bytes.
    """

    mark: Mark
    transaction: Transaction
    events: list[Event]
    ordinals: Sequence[int]
    size: int
    end: Position | None = None

    @property
    def position(self) -> Position:
        """Where a lane stands that has applied this."""
        if self.end is not None:
            return self.end
        return self.transaction.at(self.ordinals[-1])

    def position_before(self, index: int) -> Position:
        """Where a lane stands that has applied this up to, not including, event `index`."""
        own = not isinstance(self.events[index], SchemaChanged)
        return self.transaction.at(self.ordinals[index] - own)
