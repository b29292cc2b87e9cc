"""A batch of one table cut into shares that appliers make durable side by side (pure).

Between two events that reach several buckets (a key that moves to another bucket, a TRUNCATE, a
schema change) the buckets do not touch each other: what lies between is split, each bucket into
one share. Such an event itself, and what is too little to be split, is a batch in order, with the
checkpoints of all the buckets that it touches. Pieces follow one another; shares of one do not.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.apply.checkpoint import SEVERAL, Buckets, Checkpoint
from engine.apply.lane import Lane, LaneBatch
from engine.model.change import Event
from engine.model.position import Position
from engine.model.segment import Segment

FEWEST: Final = 2
"""Shares from which it is a division."""


@dataclass(slots=True)
class Share:
    """Changes of some buckets, each bucket's in order; their checkpoints move to `position`."""

    events: list[Event]
    touched: list[Checkpoint]
    position: Position
    refused: bool = False
    """The target refused a row of it: nothing of it is durable."""

    def committed(self) -> int:
        """Its transaction is durable; returns the number of fences it had."""
        for checkpoint in self.touched:
            checkpoint.seq += 1
            checkpoint.position = str(self.position)
        return len(self.touched)


@dataclass(slots=True)
class Piece:
    """A part of a batch: in `order`, or in `shares` of different buckets."""

    order: LaneBatch | None = None
    shares: list[Share] = field(default_factory=list[Share])
    segments: Sequence[Segment] = ()


def pieces(
    lane: Lane, batch: LaneBatch, buckets: Buckets, *, rows_min: int, shares_max: int
) -> list[Piece]:
    """The batch in pieces, with at least `rows_min` changes for each share and at most `shares_max`
    shares side by side. A batch of more than one piece is taken apart."""
    events = batch.events
    if shares_max < FEWEST or len(events) < FEWEST * rows_min:
        return [Piece(batch, segments=batch.segments)]
    places = buckets.place(events)
    spans = list(_spans(places, FEWEST * rows_min))
    if len(spans) > 1:
        batch.take_apart()
    found: list[Piece] = []
    parts = _cut(batch.segments, [stop for _, stop, _ in spans[:-1]])
    for part, (start, stop, splits) in zip(parts, spans, strict=True):
        shares: list[Share] = []
        if splits:
            several = min(shares_max, (stop - start) // rows_min)
            span = zip(events[start:stop], places[start:stop], strict=True)
            shares = _shares(span, buckets, several, part[-1].position)
        order = None if shares else batch if len(spans) == 1 else lane.batch(part)
        found.append(Piece(order, shares, part))
    return found


def refused(lane: Lane, batch: LaneBatch, piece: Piece, buckets: Buckets) -> LaneBatch:
    """What the target refused of a piece, in order. A batch of one piece is taken apart."""
    if piece.segments is batch.segments:
        batch.take_apart()
        piece.segments = batch.segments
    names = {c.name for share in piece.shares if share.refused for c in share.touched}
    return lane.batch([s for s in (_of(s, buckets, names) for s in piece.segments) if s.events])


def _spans(places: Sequence[int], rows_min: int) -> Iterator[tuple[int, int, bool]]:
    """(start, stop, whether it may be split), in order: what lies between events of several
    buckets, when there is enough of it, and all else in as few spans as can be."""
    rest = start = 0
    for stop in [*(i for i, place in enumerate(places) if place == SEVERAL), len(places)]:
        if stop - start >= rows_min:
            if rest < start:
                yield rest, start, False
            yield start, stop, True
            rest = stop
        start = stop + 1
    if rest < len(places):
        yield rest, len(places), False


def _cut(segments: list[Segment], stops: Sequence[int]) -> list[list[Segment]]:
    """The segments up to each of these events, and the rest; of one transaction each when there are
    any."""
    if not stops:
        return [segments]
    waiting = deque(stops)
    found: list[list[Segment]] = []
    part: list[Segment] = []
    first = 0
    for segment in segments:
        start, size = 0, len(segment.events)
        while waiting and waiting[0] < first + size:
            stop = waiting.popleft() - first
            if stop > start:
                part.append(_slice(segment, start, stop))
            found.append(part)
            part, start = [], stop
        part.append(_slice(segment, start, size) if start else segment)
        first += size
    return [*found, part]


def _slice(segment: Segment, start: int, stop: int) -> Segment:
    """Some of its events; the transaction ends with the last of them only."""
    end = segment.end if stop == len(segment.events) else None
    events, ordinals = segment.events[start:stop], list(segment.ordinals[start:stop])
    return Segment(segment.mark, segment.transaction, events, ordinals, 0, end)


def _of(segment: Segment, buckets: Buckets, names: set[str]) -> Segment:
    """The segment with the events of these checkpoints only."""
    events: list[Event] = []
    ordinals: list[int] = []
    for event, ordinal in zip(segment.events, segment.ordinals, strict=False):
        if any(checkpoint.name in names for checkpoint in buckets.of(event)):
            events.append(event)
            ordinals.append(ordinal)
    return Segment(segment.mark, segment.transaction, events, ordinals, 0, segment.end)


def _shares(
    span: Iterable[tuple[Event, int]], buckets: Buckets, several: int, position: Position
) -> list[Share]:
    """At most `several` shares, about as large as each other; none when they would be one."""
    by_bucket: list[list[Event]] = [[] for _ in buckets.every]
    for event, place in span:
        by_bucket[place].append(event)
    filled = [bucket for bucket, events in enumerate(by_bucket) if events]
    if min(several, len(filled)) < FEWEST:
        return []
    shares = [Share([], [], position) for _ in range(min(several, len(filled)))]
    for bucket in sorted(filled, key=lambda bucket: -len(by_bucket[bucket])):
        smallest = min(shares, key=lambda share: len(share.events))
        smallest.events += by_bucket[bucket]
        smallest.touched.append(buckets.every[bucket])
    return shares
