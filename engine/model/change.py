"""What a source yields: blocks of parts of transactions, each a list of changes.

A *block* is what one drain of the socket decoded to. It holds *parts*: a transaction may span many
blocks, a block many transactions. The order of everything is the log's commit order.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from engine.model.position import Coordinate, Position, position_at
from engine.model.relation import Relation, TableName
from engine.model.table import TypeDefinition
from engine.model.value import Row

INSERT: Final = 1
UPDATE: Final = 2
DELETE: Final = 3

OPERATIONS: Final = {INSERT: "insert", UPDATE: "update", DELETE: "delete"}


class Change(NamedTuple):
    """One row event.

    `new` is the row after it (INSERT, UPDATE), may hold UNCHANGED. `old` is what the log sent of
    the row before it, in full column order with UNCHANGED for what was not sent: always for a
    DELETE, for an UPDATE only when the key changed or the replica identity is FULL.
    """

    kind: int
    relation: Relation
    new: Row | None
    old: Row | None


@dataclass(frozen=True, slots=True)
class Truncate:
    """One TRUNCATE statement. Counts as one ordinal, whatever the number of its tables."""

    relations: tuple[Relation, ...]
    cascade: bool = False
    restart_identity: bool = False


@dataclass(frozen=True, slots=True)
class SchemaChanged:
    """A table's description changed at this place of the log. Counts as no ordinal.

    `before` is None for a table seen first, `after` None for one that was dropped. `exact` is True
    when the source proved what happened (attribute numbers); False when it is a reading of two
    descriptions. `steps` is what happened in order, as far as it is known.
    """

    table: TableName
    before: Relation | None
    after: Relation | None
    exact: bool
    steps: tuple["SchemaStep", ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """One elementary schema change.

    `kind`: create-table, drop-table, rename-table, add-column, drop-column, rename-column,
    retype-column, alter-type (the column's enum type has more labels), rewrite (existing rows got
    values that the log does not carry), other. `default` is what existing rows have in an added
    column; `detail` says why that is not known. `types` is what must exist for an added column's
    type, parts before wholes.
    """

    kind: str
    column: str = ""
    new_name: str = ""
    type: str = ""
    default: str = ""
    detail: str = ""
    types: tuple[TypeDefinition, ...] = ()


Event: TypeAlias = Change | Truncate | SchemaChanged


def tables_of(event: Event) -> tuple[TableName, ...]:
    """The tables that an event is about."""
    if isinstance(event, Change):
        return (event.relation.table,)
    if isinstance(event, Truncate):
        return tuple([relation.table for relation in event.relations])
    return (event.table,)


def only_of(event: Event, tables: Collection[TableName]) -> Event | None:
    """The event without the tables that are not named here; None when none is left."""
    if not tables or not isinstance(event, Truncate) or len(tables) == len(event.relations):
        return event if tables else None
    relations = [relation for relation in event.relations if relation.table in tables]
    return Truncate(tuple(relations), event.cascade, event.restart_identity)


@dataclass(slots=True)
class Transaction:
    """One source transaction, shared by its parts.

    `number` is given by capture and grows by one; `coordinate` names it in the log; `xid` is the
    source's own transaction id, widened (0 when it has none); `committed_at_us` is the source's
    commit time, microseconds since the Unix epoch (0 when unknown).
    """

    coordinate: Coordinate
    xid: int = 0
    committed_at_us: int = 0
    number: int = 0

    def at(self, ordinal: int) -> Position:
        """The position after the `ordinal`-th event of this transaction, before its end."""
        return position_at(self.coordinate, ordinal)


@dataclass(slots=True)
class Part:
    """Consecutive events of one transaction. `first` is the ordinal of the first counted event.

    `end` is the position after the whole transaction; set on its last part only.
    """

    transaction: Transaction
    first: int
    events: list[Event] = field(default_factory=list[Event])
    end: Position | None = None


@dataclass(slots=True)
class Block:
    """What one drain of the socket gave. `size` is an estimate of the memory it holds, in bytes.

    `idle`: the source says that everything up to this position has been sent and no transaction is
    open; it may be acknowledged once all that came before is durable.
    `received_at` is the monotonic clock's time when it was read. `age` is how long ago its last
    transaction had been committed when the source sent it, in seconds and by the source's own
    clock, or else by ours, and then below 0 where the two differ; 0 when that is not known.
    `decode_seconds`: how long it took to make it of what the source had sent.
    """

    parts: list[Part]
    size: int
    idle: Position | None = None
    received_at: float = 0.0
    age: float = 0.0
    decode_seconds: float = 0.0
