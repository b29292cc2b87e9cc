"""The hand-over from loaded rows to the stream (pure).

A table's rows were read in chunks, each at its own snapshot. A change is dropped exactly when the
snapshot of the chunk that its key lies in has seen its transaction. Chunks that were all read at
one snapshot need no key. Old and new key of a key change are judged apart. What cannot be judged
(a TRUNCATE that only some chunks have seen) makes the table begin anew.

Once the stream has passed `until` of every chunk, nothing more can be dropped and the filter ends.
"""

from collections.abc import Callable, Sequence

from engine.errors import SnapshotLostError
from engine.model.change import DELETE, INSERT, UPDATE, Change, Event, Transaction, Truncate
from engine.model.chunk import ChunkDone
from engine.model.position import Position
from engine.model.relation import Relation, TableName
from engine.model.value import UNCHANGED, Key, Row

Visible = Callable[[str, Transaction], bool]
ChunkOf = Callable[[Sequence[ChunkDone], Relation, Key], ChunkDone | None]


class TableCatchUp:
    """What of one table's changes its chunks have not seen."""

    def __init__(
        self,
        chunks: Sequence[ChunkDone],
        visible: Visible,
        chunk_of: ChunkOf,
        parse: Callable[[str], Position],
    ) -> None:
        self._chunks = chunks
        self._visible = visible
        self._chunk_of = chunk_of
        self._until = [parse(chunk.until) for chunk in chunks]
        self._snapshots = tuple(dict.fromkeys([chunk.snapshot for chunk in chunks]))
        self._one = self._snapshots[0] if len(self._snapshots) == 1 else None

    def passed(self, transaction: Transaction) -> bool:
        """Whether this transaction and all later ones are past every snapshot."""
        return not any(until.covers(transaction.coordinate, 1) for until in self._until)

    def admit(self, transaction: Transaction, event: Event) -> Event | None:
        """The event, or what of it is still to be done, or None when the chunks hold it."""
        if isinstance(event, Change):
            return self._admit_change(transaction, event)
        seen = [self._visible(snapshot, transaction) for snapshot in self._snapshots]
        if isinstance(event, Truncate) and any(seen) and not all(seen):
            # Applied, it would take the rows of those chunks that were read after it.
            raise self._lost("was emptied between the moments at which its chunks were read")
        return None if all(seen) else event

    def _admit_change(self, transaction: Transaction, change: Change) -> Change | None:
        if self._one is not None:
            return None if self._visible(self._one, transaction) else change
        old = change.old if change.kind != INSERT else None
        row = change.old if change.kind == DELETE else change.new
        assert row is not None
        seen = self._seen(transaction, change.relation, row)
        if change.kind != UPDATE or old is None or not _moved(change.relation, old, row):
            return None if seen else change
        return self._admit_move(change, self._seen(transaction, change.relation, old), seen)

    def _admit_move(self, change: Change, old_seen: bool, new_seen: bool) -> Change | None:
        """A row moved to another key, maybe into a chunk with another snapshot."""
        if old_seen and new_seen:
            return None
        if not old_seen and not new_seen:
            return change
        if new_seen:  # the new chunk has the row, the old chunk still has it under its old key
            return Change(DELETE, change.relation, None, change.old)
        assert change.new is not None
        if UNCHANGED in change.new:  # the row is in neither chunk and the log lacks part of it
            raise self._lost("has a row that moved between chunks, of which the log lacks a part")
        return Change(INSERT, change.relation, change.new, None)

    def _lost(self, what: str) -> SnapshotLostError:
        table = self._chunks[0].table
        return SnapshotLostError(
            f"{table} {what}",
            hint="the table is loaded again from its beginning",
            context={"table": table},
        )

    def _seen(self, transaction: Transaction, relation: Relation, row: Row) -> bool:
        chunk = self._chunk_of(self._chunks, relation, relation.key_of(row))
        return chunk is not None and self._visible(chunk.snapshot, transaction)


def _moved(relation: Relation, old: Row, new: Row) -> bool:
    return any(new[i] is not UNCHANGED and new[i] != old[i] for i in relation.key)


class LaneCatchUp:
    """The filters of a lane's tables; ends by itself. Give its `admit` to the lane."""

    def __init__(self, tables: dict[TableName, TableCatchUp], over: Callable[[], None]) -> None:
        self._tables = tables
        self._over = over

    def admit(self, transaction: Transaction, event: Event) -> Event | None:
        tables = self._tables
        for name in [n for n, table in tables.items() if table.passed(transaction)]:
            del tables[name]
        if not tables:
            self._over()
            return event
        if isinstance(event, Change):
            table = tables.get(event.relation.table)
            return event if table is None else table.admit(transaction, event)
        if isinstance(event, Truncate):
            return self._admit_truncate(transaction, event)
        table = tables.get(event.table)
        return event if table is None else table.admit(transaction, event)

    def _admit_truncate(self, transaction: Transaction, event: Truncate) -> Truncate | None:
        kept = [
            relation
            for relation in event.relations
            if relation.table not in self._tables
            or self._tables[relation.table].admit(transaction, event) is not None
        ]
        if not kept:
            return None
        return Truncate(tuple(kept), event.cascade, event.restart_identity)
