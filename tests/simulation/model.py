"""What the target must hold: the source's log, replayed up to a position."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast
from zlib import crc32

from connectors.memory.events import LoggedTransaction
from connectors.memory.storage import Cells, Columns
from engine.model.change import DELETE, INSERT, Change, Event, SchemaChanged, Truncate
from engine.model.position import LogPosition
from engine.model.relation import Relation, TableName
from engine.model.value import UNCHANGED, Key, Row


@dataclass
class TableModel:
    """One table's rows at `position`. Moves forward cheaply, backward by starting again."""

    table: TableName
    log: Sequence[LoggedTransaction]
    position: LogPosition = LogPosition(0)
    rows: list[Row] = field(default_factory=list[Row])
    _keys: dict[Row, Row] = field(default_factory=dict[Row, Row])
    _entry: int = 0
    _ordinal: int = 0
    _counted: Counter[Cells] | None = None

    def at(self, position: LogPosition) -> Counter[Cells]:
        """Rows and how often each is there; the same object again while nothing has changed."""
        if position < self.position:
            self._keys, self.rows, self._entry, self._ordinal = {}, [], 0, 0
            self._counted = None
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
            self._entry, self._ordinal = self._entry + 1, 0
        if self._counted is None:
            self._counted = Counter[Cells]([*self._keys.values(), *self.rows])
        return self._counted

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
        events = entry.events if whole and not self._ordinal else entry.published()
        ordinal = 0
        for event in events:
            counted = not isinstance(event, SchemaChanged)
            ordinal += counted
            if counted and ordinal <= self._ordinal:
                continue
            if not whole and not position.covers(entry.transaction.coordinate, ordinal):
                break
            self._apply(event)
            if not whole:
                self._ordinal = ordinal

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
        """What a change of columns does to the rows there are: nothing but for a new column."""
        for step in change.steps:
            if step.kind == "add-column":
                value = step.default.encode() if step.default else None
                self.rows = [(*row, value) for row in self.rows]
                self._keys = {key: (*row, value) for key, row in self._keys.items()}

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
