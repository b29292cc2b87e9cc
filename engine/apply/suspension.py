"""A table that stopped: its changes wait on disk until it is mended, or until there is no room.

It has left the frontier by a durable record, so it holds no log on the source. Its failing row and
position are kept. From time to time what waits is tried again; when all of it has been applied the
table is back in the stream. When the disk has no room the changes are dropped, and only loading the
table again makes it whole.

What waits outlives an attempt of this process: after trouble with the target the stream is read
again from the stored frontier, which may be before or after what has been taken in already.
"""

from collections.abc import Callable, Iterable, Mapping

from engine.apply.checkpoint import Checkpoint, Progress, left_of, require_passed
from engine.errors import StateError
from engine.model.change import Event, SchemaChanged, Transaction
from engine.model.position import Position
from engine.model.relation import TableName
from engine.model.segment import Mark, Segment
from engine.spool import Spool, SpoolRoom

Dropped = Callable[[StateError], None]


class Suspension:
    """`standing` are the checkpoints of its tables. `dropped` is called once, when changes had to
    be dropped, with the reason; `ended` once, when nothing waits any more, or is needed."""

    def __init__(
        self,
        spool: Spool,
        standing: Mapping[TableName, Progress],
        dropped: Dropped,
        ended: Callable[["Suspension"], None] = lambda _: None,
    ) -> None:
        self._spool = spool
        self._standing = standing
        self._dropped = dropped
        self._ended = ended
        self._taken: Position | None = None
        self._replay: Position | None = None
        """What was taken in before the stream began again; None once the stream is past it."""
        self._gone: set[TableName] = set()
        """Tables that were not carried any more when the stream began again."""
        self._applied: Mapping[str, Position] = {}
        """Where the checkpoints stood then: the oldest that waits may have been applied."""
        self.due = False
        """Whether it is time to try again."""
        self.lost = False
        """Whether changes were dropped."""

    @property
    def tables(self) -> tuple[TableName, ...]:
        return tuple(self._standing)

    @property
    def waiting(self) -> Spool:
        """What waits, for who measures it."""
        return self._spool

    def resume(
        self,
        standing: Mapping[TableName, Progress],
        parse: Callable[[str], Position],
        dropped: Dropped,
    ) -> bool:
        """The stream begins again, and its tables stand there; what waits of others is left out
        from now on: they have left the source. False: the target has lost what is not waiting here
        any more."""
        applied = _positions(standing, parse)
        kept = {table: self._standing[table] for table in standing if table in self._standing}
        before = _positions(kept, parse)
        if applied.keys() != before.keys():
            return False
        if not all(applied[name].reaches(position) for name, position in before.items()):
            return False
        self._gone.update(self._standing.keys() - standing.keys())
        self._standing = standing
        self._applied = applied
        self._replay = self._taken
        self._dropped = dropped
        return True

    def rest(self) -> None:
        """The stream has ended. Nobody is told of anything until it begins again."""
        self._dropped = lambda _: None

    def take_in(self, segment: Segment) -> None:
        """Keep a segment; drop everything when there is no room."""
        for piece in segment.pieces():
            if not self.lost and self._new(piece):
                self._put(piece)

    def _put(self, segment: Segment) -> None:
        try:
            self._spool.put(segment.transaction, segment.events, segment.ordinals, segment.end)
        except StateError as error:
            self._lose(error)
        else:
            self._taken = segment.position

    def _new(self, segment: Segment) -> bool:
        """Leave in a segment what has not been taken in; False when that is nothing."""
        if self._replay is None:
            return True
        covers = self._replay.covers

        def left(transaction: Transaction, event: Event, ordinal: int) -> Event | None:
            return None if covers(transaction.coordinate, ordinal) else event

        _keep(segment, left)
        if segment.events:
            after = _after(segment.events[0], segment.ordinals[0])
            require_passed(self._replay, segment.transaction, after, str(self.tables[0]))
            self._replay = None
        return bool(segment.events)

    def _lose(self, error: StateError) -> None:
        self.lost = True
        self.end()
        self._dropped(error)

    def oldest(self) -> Segment | None:
        """The oldest segment that waits; it stays until `drop`."""
        while len(self._spool) and not self.lost:
            try:
                spooled = self._spool.peek()
            except StateError as error:
                self._lose(error)
                return None
            segment = Segment(
                Mark(),
                spooled.transaction,
                spooled.events,
                spooled.ordinals,
                0,
                spooled.end,
            )
            if self._gone:
                _keep(segment, self._of_present)
            if segment.events and (not self._applied or self._unapplied(segment)):
                return segment
            self._spool.drop()
        return None

    def _of_present(self, _transaction: Transaction, event: Event, _ordinal: int) -> Event | None:
        gone = self._gone
        return left_of(event, lambda table: None if table in gone else event)

    def _unapplied(self, segment: Segment) -> bool:
        """Leave in a segment what the target did not have when the stream began again."""
        before = segment.events
        _keep(segment, self._behind)
        if segment.events == before:
            self._applied = {}  # in order: nothing later was applied
        return bool(segment.events)

    def _behind(self, transaction: Transaction, event: Event, ordinal: int) -> Event | None:
        """What of it the target did not have when the stream began again."""

        def covers(checkpoint: Checkpoint) -> bool:
            return self._applied[checkpoint.name].covers(transaction.coordinate, ordinal)

        def left(table: TableName) -> Event | None:
            progress = self._standing.get(table)
            return event if progress is None else progress.left_by(event, covers)

        return left_of(event, left)

    def drop(self) -> None:
        """The oldest segment is durable in the target. Meanwhile all may have been dropped."""
        if not self.lost:
            self._spool.drop()

    def end(self) -> None:
        """Nothing of this is needed any more: applied, or the table is loaded again."""
        self._spool.clear()
        self._ended(self)


def _positions(
    standing: Mapping[TableName, Progress], parse: Callable[[str], Position]
) -> dict[str, Position]:
    """Where each checkpoint stands, by its name."""
    found = [checkpoint for progress in standing.values() for checkpoint in progress.every]
    return {checkpoint.name: parse(checkpoint.position) for checkpoint in found}


def _keep(segment: Segment, left: Callable[[Transaction, Event, int], Event | None]) -> None:
    """Leave what is left."""
    events: list[Event] = []
    ordinals: list[int] = []
    for event, ordinal in zip(segment.events, segment.ordinals, strict=True):
        kept = left(segment.transaction, event, _after(event, ordinal))
        if kept is not None:
            events.append(kept)
            ordinals.append(ordinal)
    segment.events, segment.ordinals = events, ordinals


def _after(event: Event, ordinal: int) -> int:
    """By which ordinal an event is judged: a schema change by that which it stands before."""
    return ordinal + 1 if isinstance(event, SchemaChanged) else ordinal


class Suspensions:
    """What waits in this process, for as long as it lives."""

    def __init__(self, room: SpoolRoom) -> None:
        self._room = room
        self._open: list[Suspension] = []

    def begin(self, standing: Mapping[TableName, Progress], dropped: Dropped) -> Suspension:
        suspension = Suspension(self._room.spool(), standing, dropped, self._forget)
        self._open.append(suspension)
        return suspension

    def _forget(self, suspension: Suspension) -> None:
        self._open = [open_ for open_ in self._open if open_ is not suspension]

    def of(self, table: TableName) -> Suspension | None:
        """What waits for this table."""
        return next((s for s in self._open if table in s.tables), None)

    def keep(self, needed: Iterable[Suspension]) -> None:
        """Let go of all others."""
        kept = [id(suspension) for suspension in needed]
        for suspension in [s for s in self._open if id(s) not in kept]:
            suspension.end()

    def ties(self) -> list[tuple[TableName, TableName]]:
        """Pairs of tables that wait together."""
        return [(table, s.tables[0]) for s in self._open for table in s.tables[1:]]
