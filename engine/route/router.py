"""Hand each change to the lane of its table, in order (pure).

The hot path: one pass over a part's events, no await, no allocation per row beyond list slots.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from engine.errors import InvariantError
from engine.model.change import (
    Block,
    Change,
    Event,
    Part,
    SchemaChanged,
    Transaction,
    Truncate,
)
from engine.model.position import Position
from engine.model.relation import Relation, TableName
from engine.model.segment import Mark, Segment

LONG_EVENTS: Final = 16
"""Events from which it is worth asking first whether all of a part are of one relation."""


class LaneInbox(Protocol):
    """The receiving side of a lane."""

    def offer(self, segment: Segment) -> int:
        """Queue what is new to the lane of this segment; return the bytes it now holds for it."""
        ...

    def close(self, mark: Mark, transaction: Transaction, end: Position) -> None:
        """The transaction ended without a further event for this lane."""
        ...


class Ledger(Protocol):
    """Who keeps the frontier."""

    def begin(self, committed_at_us: int) -> Mark: ...

    def finish(self, mark: Mark, end: Position) -> None: ...

    def idle(self, position: Position) -> None: ...


class _Share:
    """What one lane gets of a stretch."""

    __slots__ = ("events", "inbox", "numbers", "ordinals")

    def __init__(self, inbox: LaneInbox) -> None:
        self.inbox = inbox
        self.events: list[Event] = []
        self.ordinals: list[int] = []
        self.numbers: list[int] = []

    def add(self, event: Event, ordinal: int, number: int) -> None:
        self.events.append(event)
        self.ordinals.append(ordinal)
        self.numbers.append(number)


class Router:
    """Splits blocks into lane segments. `lane_of` is asked once per table; None means that it is
    not selected: its changes are passed over. `whole` is the lane that never cuts a transaction,
    which is told of every end; `noticed` is told when the source speaks of a table without lane."""

    def __init__(
        self,
        lane_of: Callable[[TableName], LaneInbox | None],
        ledger: Ledger,
        release: Callable[[int], None],
    ) -> None:
        self._lane_of = lane_of
        self._ledger = ledger
        self._release = release
        self.whole: LaneInbox | None = None
        self.noticed: Callable[[], None] | None = None
        self._open: Mark | None = None
        self._by_relation: dict[int, LaneInbox | None] = {}

    def forget(self) -> None:
        """Ask `lane_of` again for every table; after lanes were added."""
        self._by_relation.clear()

    def route(self, block: Block) -> int:
        """Hand out a block; return its number of events. Call in log order."""
        events = sum([len(part.events) for part in block.parts])
        share = block.size // events if events else 0
        held = 0
        for stretch in self._stretches(block.parts):
            held += self._route_stretch(stretch, share)
        if block.idle is not None:
            if self._open is not None:
                raise InvariantError("an idle position inside an open transaction")
            self._ledger.idle(block.idle)
        self._release(block.size - held)
        return events

    def _stretches(self, parts: Sequence[Part]) -> Sequence[Sequence[Part]]:
        """Whole transactions together, which then cost little each; a part of one alone."""
        first = 1 if self._open is not None else 0
        last = len(parts) - (1 if parts and parts[-1].end is None else 0)
        cuts = (parts[:first], parts[first:last], parts[max(first, last) :])
        return [stretch for stretch in cuts if stretch]

    def _route_stretch(self, parts: Sequence[Part], share: int) -> int:
        """Whole transactions, or one part of one."""
        mark = self._open
        if mark is None:
            mark = self._ledger.begin(parts[0].transaction.committed_at_us)
        last = parts[-1]
        relation = _only_relation(last.events) if len(parts) == 1 else None
        if relation is not None:
            held = self._hand_whole(last, relation, mark, share)
        else:
            held = self._hand_shares(parts, mark, share)
        if last.end is None:
            self._open = mark
            return held
        self._open = None
        if self.whole is not None and not held:
            self.whole.close(mark, last.transaction, last.end)
        self._ledger.finish(mark, last.end)
        return held

    def _hand_whole(self, part: Part, relation: Relation, mark: Mark, share: int) -> int:
        inbox = self._inbox(relation)
        if inbox is None:
            return 0
        count = len(part.events)
        ordinals = range(part.first, part.first + count)
        return inbox.offer(
            Segment(mark, part.transaction, part.events, ordinals, share * count, part.end)
        )

    def _hand_shares(self, parts: Sequence[Part], mark: Mark, share: int) -> int:
        shares: dict[int, _Share] = {}
        self._split(parts, shares)
        members = [(part.transaction, part.end) for part in parts]
        held = 0
        for piece in shares.values():
            transaction, size = members[piece.numbers[-1]][0], share * len(piece.events)
            held += piece.inbox.offer(
                Segment(
                    mark,
                    transaction,
                    piece.events,
                    piece.ordinals,
                    size,
                    parts[-1].end,
                    members,
                    piece.numbers,
                )
            )
        return held

    def _split(self, parts: Sequence[Part], shares: dict[int, _Share]) -> None:
        known: dict[int, _Share | None] = {}
        for number, part in enumerate(parts):
            if len(part.events) >= LONG_EVENTS:
                relation = _only_relation(part.events)
                if relation is not None:
                    self._extend(part, number, relation, shares)
                    continue
            ordinal = part.first
            for event in part.events:
                if event.__class__ is Change:
                    relation = event[1]
                    try:
                        share = known[id(relation)]
                    except KeyError:
                        share = self._share(self._inbox(relation), shares)
                        known[id(relation)] = share
                    if share is not None:
                        share.events.append(event)
                        share.ordinals.append(ordinal)
                        share.numbers.append(number)
                    ordinal += 1
                elif isinstance(event, Truncate):
                    self._split_truncate(event, ordinal, number, shares)
                    ordinal += 1
                elif isinstance(event, SchemaChanged):
                    self._split_schema(event, ordinal - 1, number, shares)
                    known.clear()

    def _extend(
        self, part: Part, number: int, relation: Relation, shares: dict[int, _Share]
    ) -> None:
        share = self._share(self._inbox(relation), shares)
        if share is not None:
            count = len(part.events)
            share.events += part.events
            share.ordinals += range(part.first, part.first + count)
            share.numbers += [number] * count

    def _split_truncate(
        self, event: Truncate, ordinal: int, number: int, shares: dict[int, _Share]
    ) -> None:
        """One statement becomes one per lane; tables tied by foreign keys share a lane. The log
        names every table that was emptied, so nothing may cascade: on the target that would reach
        tables of other lanes, at another time than theirs, and tables that are not carried."""
        by_lane: dict[int, tuple[_Share, list[Relation]]] = {}
        for relation in event.relations:
            share = self._share(self._inbox(relation), shares)
            if share is not None:
                by_lane.setdefault(id(share), (share, []))[1].append(relation)
        for share, relations in by_lane.values():
            truncate = Truncate(tuple(relations), restart_identity=event.restart_identity)
            share.add(truncate, ordinal, number)

    def _split_schema(
        self, event: SchemaChanged, ordinal: int, number: int, shares: dict[int, _Share]
    ) -> None:
        for relation in (event.before, event.after):
            if relation is not None:
                self._by_relation.pop(relation.id, None)
        share = self._share(self._lane_of(event.table), shares)
        if share is not None:
            share.add(event, ordinal, number)
        elif event.exact and event.after is not None and self.noticed is not None:
            self.noticed()

    def _share(self, inbox: LaneInbox | None, shares: dict[int, _Share]) -> _Share | None:
        if inbox is None:
            return None
        share = shares.get(id(inbox))
        if share is None:
            share = shares[id(inbox)] = _Share(inbox)
        return share

    def _inbox(self, relation: Relation) -> LaneInbox | None:
        try:
            return self._by_relation[relation.id]
        except KeyError:
            inbox = self._by_relation[relation.id] = self._lane_of(relation.table)
            return inbox


def _only_relation(events: list[Event]) -> Relation | None:
    """The relation of every event, when all are row changes of one version."""
    if not events:
        return None
    first = events[0]
    if first.__class__ is not Change:
        return None
    relation: Relation = first[1]
    try:
        for event in events:
            if event[1] is not relation:  # type: ignore[index]
                return None
    except TypeError:  # a Truncate or SchemaChanged among them
        return None
    return relation
