"""What the target must hold: the source's log, replayed up to a position."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast
from zlib import crc32

from connectors.memory.events import LoggedTransaction
from connectors.memory.storage import Cells, Columns
from engine.model.change import DELETE, INSERT, Change, Event, SchemaChanged, Truncate
from engine.model.position import LogPosition
from engine.model.relation import Column, Relation, TableName
from engine.model.value import UNCHANGED, Key, Row, Value


@dataclass
class TableModel:
    """One table's rows at `position`. Moves forward cheaply, backward by starting again."""

    first: Relation
    """The table before anything stands in the log."""
    log: Sequence[LoggedTransaction]
    position: LogPosition = LogPosition(0)
    rows: list[Row] = field(default_factory=list[Row])
    _keys: dict[Row, Row] = field(default_factory=dict[Row, Row])
    _entry: int = 0
    _passed: int = 0
    """Events of that entry that were replayed."""
    _counted: Counter[Cells] | None = None
    _relation: Relation = field(init=False)

    def __post_init__(self) -> None:
        self._relation = self.first

    @property
    def table(self) -> TableName:
        return self.first.table

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the order of the rows."""
        return [column.name for column in self._relation.columns]

    def at(self, position: LogPosition) -> Counter[Cells]:
        """Rows and how often each is there; the same object again while nothing has changed."""
        if position < self.position:
            self._keys, self.rows, self._entry, self._passed = {}, [], 0, 0
            self._counted, self._relation = None, self.first
        self.position = position
        while self._entry < len(self.log):
            entry = self.log[self._entry]
            coordinate = entry.transaction.coordinate
            if not position.covers(coordinate, 1) and position < entry.end:
                break
            whole = position >= entry.end
            self._replay(entry, position, whole=whole)
            if not whole:
                break
            self._entry, self._passed = self._entry + 1, 0
        if self._counted is None:
            self._counted = self._count()
        return self._counted

    def _count(self) -> Counter[Cells]:
        return Counter[Cells]([*self._keys.values(), *self.rows])

    def within(self, position: LogPosition) -> Iterator[tuple[Counter[Cells], Sequence[str]]]:
        """Rows and columns at a position: those of `at`, then after each change of columns that
        stands right behind it in its transaction. Such a change moves no position."""
        yield self.at(position), self.columns
        entry = self.log[self._entry] if self._entry < len(self.log) else None
        if entry is None or entry.transaction.coordinate != position.offset:
            return
        later = replace(self, _keys=dict(self._keys), rows=list(self.rows))
        later._relation = self._relation
        for event in entry.published()[self._passed :]:
            if not isinstance(event, SchemaChanged):
                return
            later._apply(event)
            yield later._count(), later.columns

    def deleted_next(self, position: LogPosition) -> set[Key]:
        """Keys that the table's first transaction beyond a position deletes."""
        for entry in self.log:
            if entry.end > position and (keys := self._deleted(entry, position)) is not None:
                return keys
        return set()

    def _deleted(self, entry: LoggedTransaction, position: LogPosition) -> set[Key] | None:
        """None when nothing of it is about the table."""
        changes = [
            event
            for ordinal, event in enumerate(entry.published(), 1)
            if not position.covers(entry.transaction.coordinate, ordinal)
            and isinstance(event, Change)
            and event.relation.table == self.table
        ]
        if not changes:
            return None
        return {c.relation.key_of(c.old) for c in changes if c.kind == DELETE and c.old is not None}

    def _replay(self, entry: LoggedTransaction, position: LogPosition, *, whole: bool) -> None:
        """Inside a transaction positions count what is published; before and after all counts."""
        events = entry.events if whole and not self._passed else entry.published()
        reached = ordinal = 0
        for index, event in enumerate(events, 1):
            counted = not isinstance(event, SchemaChanged)
            ordinal += counted
            if counted and position.covers(entry.transaction.coordinate, ordinal):
                reached = index
        for event in events[self._passed : len(events) if whole else reached]:
            self._apply(event)
        self._passed = max(self._passed, reached)

    def _apply(self, event: Event) -> None:
        if isinstance(event, Truncate):
            if self.table in {relation.table for relation in event.relations}:
                self._keys.clear()
                self.rows.clear()
                self._counted = None
        elif isinstance(event, SchemaChanged) and event.table == self.table:
            self._evolve(event)
            self._counted = None
        elif isinstance(event, Change) and event.relation.table == self.table:
            self._change(event, event.relation)
            self._counted = None

    def _evolve(self, change: SchemaChanged) -> None:
        """What a change of columns does to the rows there are: a column is its number, whatever
        its name; a new one has its default; one that was computed has what the step says."""
        assert change.after is not None
        before = {column.number: place for place, column in enumerate(self._relation.columns)}
        given = {step.column: step.default.encode() or None for step in change.steps}
        computed = {step.column for step in change.steps if step.kind == "rewrite"}
        self._relation = change.after

        def value(row: Row, column: Column) -> Value:
            place = before.get(column.number)
            return (
                given.get(column.name) if place is None or column.name in computed else row[place]
            )

        def after(row: Row) -> Row:
            return tuple([value(row, column) for column in self._relation.columns])

        self.rows = [after(row) for row in self.rows]
        self._keys = {key: after(row) for key, row in self._keys.items()}

    def _change(self, change: Change, relation: Relation) -> None:
        if change.kind == INSERT:
            assert change.new is not None
            if relation.key:
                self._keys[relation.key_of(change.new)] = change.new
            else:
                self.rows.append(change.new)
            return
        old = change.old or change.new
        assert old is not None
        before = self._take(relation, old)
        if change.kind == DELETE:
            return
        assert change.new is not None
        new = tuple(b if v is UNCHANGED else v for v, b in zip(change.new, before, strict=True))
        if relation.key:
            self._keys[relation.key_of(new)] = new
        else:
            self.rows.append(new)

    def _take(self, relation: Relation, old: Row) -> Row:
        if relation.key:
            return self._keys.pop(relation.key_of(old))
        self.rows.remove(old)
        return old


def by_bucket(rows: Counter[Cells], key: Columns, count: int) -> Sequence[Counter[Cells]]:
    """How a key is hashed is said anew here: what is stored depends on it."""
    if count == 1:
        return (rows,)
    found: list[Counter[Cells]] = [Counter() for _ in range(count)]
    for row, number in rows.items():
        hashed = 0
        for index in key:
            hashed = crc32(cast(bytes, row[index]), hashed)
        found[hashed % count][row] = number
    return found


def without(rows: Counter[Cells], keys: Collection[Key]) -> Counter[Cells]:
    """The rows that have none of these keys, which are their first columns."""
    return Counter({row: number for row, number in rows.items() if row[:1] not in keys})
