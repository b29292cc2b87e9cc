"""A lane: one ordered stream of changes, served by at most one applier at a time (pure).

A lane holds one table, or tables tied by foreign keys, or the whole replication. Its stored
positions are its *checkpoints*: one for each table, or a single one for the whole replication. So
tables can be tied together or untied between two runs without moving any position: the lane is who
is served together, the checkpoint is what is stored.

In `key-parallel` mode a table has a checkpoint for each bucket of its keys, and its lane may be
`split`: the appliers help each other with what it holds, each with buckets of its own.

What a lane is told again after a restart, it drops by the checkpoints.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.apply.checkpoint import Buckets, Checkpoint, Progress, left_of
from engine.apply.suspension import Suspension
from engine.errors import StateError
from engine.model.change import Event, SchemaChanged, Transaction, only_of, tables_of
from engine.model.position import Position
from engine.model.relation import TableName
from engine.model.segment import Mark, Segment, apart
from engine.model.state import Fence
from engine.spool import Spool, Spooled

Admit = Callable[[Transaction, Event], Event | None]
"""Catch-up filter of tables just loaded: what of an event their chunks have not seen."""


@dataclass(slots=True)
class LaneBatch:
    """What an applier takes at once: segments in order, their events, and the checkpoints that
    they move to `position`. `cut`: it ends before a schema change that has to begin the next one.
    """

    segments: list[Segment]
    events: list[Event]
    touched: list[Checkpoint]
    rows: int
    size: int
    ends_transaction: bool
    cut: bool = False

    @property
    def position(self) -> Position:
        return self.segments[-1].position

    def take_apart(self) -> None:
        """Leave segments of one transaction each, which tell every event's position."""
        self.segments = apart(self.segments)

    def fences(self, position: Position | None) -> list[Fence]:
        return [checkpoint.fence(position) for checkpoint in self.touched]

    def committed(self, positions: Mapping[str, str]) -> int:
        """A transaction begun with `fences` is durable, with these positions by name of checkpoint;
        returns the number of fences it had."""
        for checkpoint in self.touched:
            checkpoint.seq += 1
            checkpoint.position = positions[checkpoint.name]
        return len(self.touched)

    def at(self, position: Position) -> dict[str, str]:
        """All that it touches at one position."""
        return {checkpoint.name: str(position) for checkpoint in self.touched}


@dataclass(slots=True)
class Lane:
    """`checkpoints` maps each table to its checkpoint or its buckets, or all of them to the same
    checkpoint."""

    name: str
    checkpoints: Mapping[TableName, Progress]
    grouped: bool = True
    """Changes may be gathered per table within a batch (no foreign key or trigger sees order)."""
    split: bool = False
    """Buckets of its one table may be applied side by side."""
    changes_first: bool = False
    """A schema change begins a batch: the target cannot make it inside a transaction."""
    held: bool = False
    """Its tables are being loaded: it takes in and is not served."""
    stopped: set[TableName] = field(default_factory=set[TableName])
    """Tables that left the frontier by a durable record: what comes for them is dropped."""
    busy: bool = False
    parked: bool = False
    """Its applier waits for the rest of a transaction."""
    admit: Admit | None = None
    suspension: Suspension | None = None
    """Its tables left the frontier by a durable record, and what comes waits on disk."""
    spool: Spool | None = None
    """Overflow between `segments` (older) and `tail` (newer)."""
    tail: deque[Segment] = field(default_factory=deque[Segment])
    no_room: StateError | None = None
    """Why the last that was to go to disk stayed in memory."""
    wake: Callable[["Lane"], None] | None = None
    size: int = 0
    rows: int = 0
    taken_rows: int = 0
    taken_bytes: int = 0
    taken_us: int = 0
    """What is on its applier, and when the oldest of it was committed on the source."""
    segments: deque[Segment] = field(default_factory=deque[Segment])
    every: Sequence[Checkpoint] = field(init=False)
    """Each checkpoint once."""
    single: Checkpoint | None = field(init=False)
    """The lane's only checkpoint; None when each table has its own."""
    _last: Mark | None = None
    _replaying: list[Checkpoint] = field(init=False)

    def __post_init__(self) -> None:
        found = [c for progress in self.checkpoints.values() for c in progress.every]
        self.every = list({id(c): c for c in found}.values())
        self.single = self.every[0] if len(self.every) == 1 else None
        self._replaying = [c for c in self.every if c.replay is not None]

    @property
    def tables(self) -> tuple[TableName, ...]:
        return tuple(self.checkpoints)

    @property
    def only(self) -> TableName | None:
        """Its table, where it has a single one."""
        return next(iter(self.checkpoints)) if len(self.checkpoints) == 1 else None

    @property
    def buckets(self) -> Buckets | None:
        """Those of its one table, where they may be applied side by side."""
        if not self.split:
            return None
        (progress,) = self.checkpoints.values()
        return progress if isinstance(progress, Buckets) else None

    @property
    def width(self) -> int:
        """How many ordered streams it holds that may be applied side by side."""
        return len(self.every) if self.split else 1

    def offer(self, segment: Segment) -> int:
        """Queue a segment; returns the bytes kept of it (0: all of it was applied before)."""
        if self._single and len(segment.members) > 1:
            return sum([self.offer(piece) for piece in segment.pieces()])
        if self.stopped and self._all_stopped(segment):
            return 0
        if self._replayed(segment):
            return 0
        if self.suspension is not None:
            self.suspension.take_in(segment)
            return 0
        segment.mark.pending += 1
        self._last = segment.mark
        held = 0
        if self.spool is None or self.tail or not self._spilled(self.spool, segment):
            (self.segments if self.spool is None else self.tail).append(segment)
            held = segment.size
            self.size += held
            self.rows += len(segment.events)
        if self.wake is not None:
            self.wake(self)
        return held

    def close(self, mark: Mark, transaction: Transaction, end: Position) -> None:
        """The transaction ended without a further event of this lane. Only a lane that never cuts
        a transaction needs to be told."""
        if self._last is not mark:
            return
        waiting = self.segments if self.spool is None else self.tail
        queued = waiting[-1] if waiting else None
        if queued is not None and queued.mark is mark:
            queued.end = end
            if self.wake is not None:
                self.wake(self)
            return
        self.offer(Segment(mark, transaction, [], [], 0, end))

    def _replayed(self, segment: Segment) -> bool:
        """Drop what the checkpoints cover; True when nothing is left."""
        if not segment.events or not self._replaying:
            return False
        kept: list[Event] = []
        ordinals: list[int] = []
        for event, ordinal in zip(segment.events, segment.ordinals, strict=True):
            # A schema change stands before the next ordinal, which tells that it was applied.
            after = ordinal + 1 if isinstance(event, SchemaChanged) else ordinal
            behind = self._behind(event, segment.transaction, after)
            if behind is not None:
                kept.append(behind)
                ordinals.append(ordinal)
        segment.events = kept
        segment.ordinals = ordinals
        self._replaying = [c for c in self._replaying if c.replay is not None]
        return not kept

    def _behind(self, event: Event, transaction: Transaction, ordinal: int) -> Event | None:
        """What of the event its tables have not applied."""

        def left(table: TableName) -> Event | None:
            progress = self.checkpoints.get(table)
            return event if progress is None else progress.left(event, transaction, ordinal)

        return left_of(event, left)

    def take(self, rows_max: int, size_max: int, *, whole: bool = False) -> LaneBatch | None:
        """Remove segments up to the limits, at least one; None when there is none. `whole`: end
        with a transaction, unless the first one alone exceeds the limits or is not all here."""
        segments: list[Segment] = []
        rows = size = 0
        if not self.segments:
            self._refill(rows_max, size_max)
        queue = self.segments
        while queue and (not segments or (rows < rows_max and size < size_max)):
            segment = queue.popleft()
            segments.append(segment)
            rows += len(segment.events)
            size += segment.size
        if not segments:
            return None
        back = cut_before_change(segments) if self.changes_first else []
        cut = bool(back)
        if whole and not cut:
            back = _unfinished_tail(segments)
        queue.extendleft(reversed(back))
        rows -= sum([len(segment.events) for segment in back])
        size -= sum([segment.size for segment in back])
        self.size -= size
        self.rows -= rows
        self.taken_us = self.taken_us or segments[0].committed_at_us
        self.taken_rows += rows
        self.taken_bytes += size
        if self.stopped or self.admit is not None:
            segments = apart(segments)
            self.sift(segments)
        batch = self.batch(segments, rows, size)
        batch.cut = cut
        return batch

    def settled(self) -> None:
        """All that was taken is durable, or has been let go of."""
        self.taken_rows = self.taken_bytes = self.taken_us = 0

    def sift(self, segments: Sequence[Segment]) -> None:
        """Leave in segments, of one transaction each, what is neither of stopped tables nor in the
        chunks of a load."""
        if self.stopped:
            _filter(self._of_flowing, segments)
        if self.admit is not None:
            _filter(self.admit, segments)

    def batch(self, segments: list[Segment], rows: int = 0, size: int = 0) -> LaneBatch:
        """What an applier needs to know of these segments."""
        events = segments[0].events if len(segments) == 1 else _joined(segments)
        ends = segments[-1].end is not None
        return LaneBatch(segments, events, self.touched(events), rows, size, ends)

    def spill(self, spool: Spool, size_kept: int) -> int:
        """Move the newest of what waits in memory to disk, down to `size_kept`; returns the bytes
        that memory no longer holds. What does not fit on the disk stays."""
        if self.spool is not None:
            return 0
        moved: deque[Segment] = deque()
        size = self.size
        while self.segments and size > size_kept:
            segment = self.segments.pop()
            size -= segment.size
            moved.extendleft(reversed(apart([segment])))
        freed = 0
        self.spool = spool
        while moved and self._spilled(spool, moved[0]):
            segment = moved.popleft()
            freed += segment.size
            self.rows -= len(segment.events)
        self.tail.extend(moved)
        self.size -= freed
        if not len(spool):
            self._unspool()
        return freed

    def _spilled(self, spool: Spool, segment: Segment) -> bool:
        """Write a segment to disk; False when there is no room."""
        try:
            spool.put(
                segment.transaction, segment.events, segment.ordinals, segment.end, segment.mark
            )
        except StateError as error:
            self.no_room = error
            return False
        self.no_room = None
        return True

    def _refill(self, rows_max: int, size_max: int) -> None:
        """Bring the oldest overflow back, a batch of it; it holds nothing of the budget."""
        if self.spool is None:
            return
        rows = size = 0
        while len(self.spool) and rows < rows_max and size < size_max:
            spooled = self.spool.peek()
            self.spool.drop()
            self.segments.append(_read(spooled))
            rows += len(spooled.events)
            size += spooled.size
        self.rows += rows
        if not len(self.spool):
            self._unspool()

    def _unspool(self) -> None:
        self.spool = None
        self.segments.extend(self.tail)
        self.tail.clear()

    def touched(self, events: Sequence[Event]) -> list[Checkpoint]:
        """The checkpoints that move when these are applied."""
        single = self.single
        if single is not None:
            return [single]
        if len(self.every) > len(self.checkpoints):
            return self._touched_buckets(events)
        names = {table: None for event in events for table in tables_of(event)}
        known = [self.checkpoints[name] for name in names if name in self.checkpoints]
        return [checkpoint for progress in known for checkpoint in progress.every]

    def _touched_buckets(self, events: Sequence[Event]) -> list[Checkpoint]:
        found: dict[str, Checkpoint] = {}
        for event in events:
            for table in tables_of(event):
                progress = self.checkpoints.get(table)
                if progress is not None and len(found) < len(self.every):
                    found.update({c.name: c for c in progress.of(event)})
        return list(found.values())

    def _all_stopped(self, segment: Segment) -> bool:
        """Drop what is of stopped tables; True when that was all."""
        if not segment.events:
            return self.stopped.issuperset(self.checkpoints)
        _filter(self._of_flowing, [segment])
        return not segment.events

    def _of_flowing(self, _transaction: Transaction, event: Event) -> Event | None:
        """The event as far as it is of tables that are not stopped."""
        return only_of(event, set(tables_of(event)) - self.stopped)

    def caught_up(self) -> None:
        """The stream has passed every snapshot that the lane's tables were loaded at."""
        self.admit = None

    @property
    def replaying(self) -> bool:
        """Whether the stream has not come yet to what a checkpoint does not cover."""
        return bool(self._replaying)

    @property
    def _single(self) -> bool:
        """Whether segments must hold one transaction each: something is decided for each event, or
        they are written down."""
        apart = self.spool is not None or self.suspension is not None
        return apart or bool(self.stopped or self._replaying)

    @property
    def waiting(self) -> bool:
        """Whether there is something to take."""
        return bool(self.segments) or self.spool is not None

    @property
    def serviceable(self) -> bool:
        if self.busy or self.held:
            return False
        if self.suspension is not None:
            return self.suspension.due
        return self.waiting


def _read(spooled: Spooled) -> Segment:
    return Segment(
        spooled.mark, spooled.transaction, spooled.events, spooled.ordinals, 0, spooled.end
    )


def _joined(segments: list[Segment]) -> list[Event]:
    events: list[Event] = []
    for segment in segments:
        events += segment.events
    return events


def cut_before_change(segments: list[Segment]) -> list[Segment]:
    """Cut off, and return, what begins with the first schema change that is not the first event of
    all. A transaction that is cut inside counts one piece more."""
    if not any(SchemaChanged in map(type, segment.events) for segment in segments):
        return []
    segments[:] = apart(segments)
    first = True
    for place, segment in enumerate(segments):
        for index, event in enumerate(segment.events):
            if isinstance(event, SchemaChanged) and not first:
                rest = segments[place + 1 :]
                del segments[place + (index > 0) :]
                return [_cut(segment, index) if index else segment, *rest]
            first = False
    return []


def _cut(segment: Segment, index: int) -> Segment:
    """Leave the events before `index` in a segment of one transaction; returns the others."""
    size = segment.size * (len(segment.events) - index) // len(segment.events)
    rest = Segment(
        segment.mark,
        segment.transaction,
        segment.events[index:],
        list(segment.ordinals[index:]),
        size,
        segment.end,
    )
    segment.mark.pending += 1
    segment.events = segment.events[:index]
    segment.ordinals = list(segment.ordinals[:index])
    segment.size -= size
    segment.end = None
    return rest


def _unfinished_tail(segments: list[Segment]) -> list[Segment]:
    """Cut off, and return, what follows the last finished transaction, when there is one."""
    for index in range(len(segments) - 1, -1, -1):
        if segments[index].end is not None:
            tail = segments[index + 1 :]
            del segments[index + 1 :]
            return tail
    return []


def _filter(admit: Admit, segments: Sequence[Segment]) -> None:
    """Leave in each segment what the filter admits, with its ordinals. A segment that loses all
    keeps its last ordinal, so the lane still moves past it."""
    for segment in segments:
        last = list(segment.ordinals[-1:])
        kept: list[Event] = []
        ordinals: list[int] = []
        for event, ordinal in zip(segment.events, segment.ordinals, strict=False):
            admitted = admit(segment.transaction, event)
            if admitted is not None:
                kept.append(admitted)
                ordinals.append(ordinal)
        segment.events = kept
        segment.ordinals = ordinals or last
