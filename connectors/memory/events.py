"""(pure) What the memory database's log says of a change, and who may read it."""

from dataclasses import dataclass

from connectors.memory.storage import Cells, Columns, Table
from engine.model.change import (
    DELETE,
    INSERT,
    UPDATE,
    Change,
    Event,
    SchemaChanged,
    Transaction,
    Truncate,
)
from engine.model.position import LogPosition
from engine.model.relation import Relation, ReplicaIdentity, TableName
from engine.model.value import UNCHANGED, Row, Value


@dataclass(frozen=True, slots=True)
class Publication:
    """Which tables the log's readers get. A transaction is read with the one it began under."""

    streamed: frozenset[TableName] = frozenset()
    insert_only: frozenset[TableName] = frozenset()

    def lets(self, table: TableName, kind: int) -> bool:
        return table in self.streamed or (table in self.insert_only and kind == INSERT)

    def select(self, event: Event) -> Event | None:
        """The event as a reader gets it; None when he does not."""
        if isinstance(event, Change):
            return event if self.lets(event.relation.table, event.kind) else None
        if isinstance(event, SchemaChanged):
            return event
        relations = tuple(r for r in event.relations if self.lets(r.table, INSERT))
        if not relations:
            return None
        return Truncate(relations, event.cascade, event.restart_identity)


@dataclass(frozen=True, slots=True)
class LoggedTransaction:
    """A committed transaction as it stands in the log, before any selection."""

    transaction: Transaction
    events: tuple[Event, ...]
    end: LogPosition
    publication: Publication

    def published(self) -> list[Event]:
        selected = (self.publication.select(event) for event in self.events)
        return [event for event in selected if event is not None]


def inserted(table: Table, row: Cells) -> Change:
    return Change(INSERT, table.relation, _row(row), None)


def updated(table: Table, old: Cells, new: Cells) -> Change:
    sent = tuple(
        UNCHANGED if i in table.toasted and value is not None and value == old[i] else value
        for i, value in enumerate(_row(new))
    )
    return Change(UPDATE, table.relation, sent, _old_of_update(table.relation, old, new))


def deleted(table: Table, old: Cells) -> Change:
    relation = table.relation
    if relation.replica_identity is ReplicaIdentity.FULL:
        return Change(DELETE, relation, None, _row(old))
    return Change(DELETE, relation, None, _only(_row(old), relation.key))


def can_send_old_rows(relation: Relation) -> bool:
    """Whether UPDATE and DELETE can be logged; if not, publishing them makes them fail."""
    full = relation.replica_identity is ReplicaIdentity.FULL
    nothing = relation.replica_identity is ReplicaIdentity.NOTHING
    return full or (bool(relation.key) and not nothing)


def _old_of_update(relation: Relation, old: Cells, new: Cells) -> Row | None:
    if relation.replica_identity is ReplicaIdentity.FULL:
        return _row(old)
    if any(old[i] != new[i] for i in relation.key):
        return _only(_row(old), relation.key)
    return None


def _only(row: Row, columns: Columns) -> Row:
    return tuple(value if i in columns else UNCHANGED for i, value in enumerate(row))


def _row(cells: Cells) -> Row:
    row: list[Value] = []
    for value in cells:
        assert value is None or isinstance(value, bytes)
        row.append(value)
    return tuple(row)
