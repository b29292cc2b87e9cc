"""(pure) The last version of each table, and what is told when another comes.

Two witnesses speak of a table: Relation messages, which say names and types and nothing of what
happened, and the event triggers' messages, which are exact. A version that a trigger announced is
not told again when the Relation message for its first row follows.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from connectors.postgres.ddl_capture_message import (
    DropTold,
    EmptiedTold,
    PartitionTold,
    RewriteTold,
    TableTold,
    UnreadTold,
)
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import Relation, TableName

TRUNCATES_MAX: Final = 64
"""Transactions remembered for each table that they emptied. The last one before a look counts; some
may come between the look and its message."""


class RelationVersions:
    """`known` holds the last version of each relation by OID; it is updated. `name_of` gives the
    name of a table that is read, for one of which nothing has come yet."""

    def __init__(
        self,
        known: dict[int, Relation],
        name_of: Callable[[int], TableName | None] = lambda _: None,
    ) -> None:
        self._known = known
        self._name_of = name_of
        self._announced: set[int] = set()
        self._rewrites: dict[int, list[RewriteTold | PartitionTold]] = {}
        self._truncated: dict[int, deque[int]] = {}

    def begin(self) -> None:
        """A transaction begins: what was noted for a command of the last one is void."""
        self._rewrites.clear()

    def described(
        self, oid: int, relation: Relation, added: Sequence[SchemaStep]
    ) -> tuple[Relation, list[SchemaChanged]]:
        """A Relation message: the version it means, and what is to be told of it. Equal content
        keeps the older object. `added`: facts about columns, should they be new."""
        known = self._known.get(oid)
        announced = oid in self._announced
        kept = known is not None and (_alike(known, relation) if announced else known == relation)
        after = known if kept and known is not None else relation
        before = None if known is after else known
        self._known[oid] = after
        if kept and announced:
            return after, []
        return after, [SchemaChanged(after.table, before, after, False, tuple(added))]

    def told(
        self, told: TableTold, relation: Relation, facts: Sequence[SchemaStep] = ()
    ) -> list[SchemaChanged]:
        """A table as a trigger described it after a command, completed by `relation`. `facts` about
        its columns say what their types need."""
        after = told.completed(relation)
        known = self._known.get(told.oid)
        rewrites = self._rewrites.pop(told.oid, [])
        computed = [rewrite.step for rewrite in rewrites if rewrite.step is not None]
        if known is not None and _same(known, after) and not computed:
            return []
        self._known[told.oid] = after
        self._announced.add(told.oid)
        rewritten = any(isinstance(rewrite, RewriteTold) for rewrite in rewrites)
        types = {fact.column: fact.types for fact in facts}
        added = [
            column.added(rewritten=rewritten, types=types.get(column.name, ()))
            for column in told.columns
            if column.new
        ]
        if known is None or known.table == after.table:
            return [SchemaChanged(after.table, known, after, True, (*computed, *added))]
        return [
            SchemaChanged(known.table, known, after, True, (SchemaStep("rename-table"),)),
            SchemaChanged(after.table, None, after, True, (*computed, *added)),
        ]

    def dropped(self, told: DropTold) -> list[SchemaChanged]:
        known = self._known.pop(told.oid, None)
        before = known or Relation(told.oid, told.schema, told.name, ())
        return [SchemaChanged(before.table, before, None, True, (SchemaStep("drop-table"),))]

    def rewriting(self, told: RewriteTold | PartitionTold) -> None:
        """A command changes rows of a table that the log does not carry; its description
        follows."""
        self._rewrites.setdefault(told.oid, []).append(told)

    def truncated(self, oid: int, xid: int) -> None:
        """This transaction emptied a table as a whole, and the log says so."""
        by = self._truncated.setdefault(oid, deque(maxlen=TRUNCATES_MAX))
        by.append(xid & 0xFFFF_FFFF)

    def emptied(self, told: EmptiedTold) -> list[SchemaChanged]:
        """Partitions lost their rows; the table is as it was, also when no row of it has come."""
        if told.by <= set(self._truncated.get(told.oid, ())):
            return []
        known = self._known.get(told.oid) or Relation(told.oid, told.schema, told.name, ())
        return [SchemaChanged(known.table, known, known, True, (told.step,))]

    def unread(self, told: UnreadTold) -> list[SchemaChanged]:
        """A trigger could not describe a table; it says nothing but its OID."""
        known = self._known.get(told.oid)
        if known is None:
            name = self._name_of(told.oid)
            if name is None:
                return []
            known = Relation(told.oid, name.schema, name.name, ())
        return [SchemaChanged(known.table, known, known, True, (told.step,))]


def _same(known: Relation, after: Relation) -> bool:
    """Equal, and known to have the same attributes."""
    numbers = [column.number for column in known.columns]
    return known == after and numbers == [column.number for column in after.columns]


def _alike(known: Relation, relation: Relation) -> bool:
    """Whether a Relation message describes the version that was announced; what it was completed
    with is of now, and may be younger."""
    if known.table != relation.table or len(known.columns) != len(relation.columns):
        return False
    return known.replica_identity is relation.replica_identity and all(
        (a.name, a.type.oid, a.type.modifier, a.identity)
        == (b.name, b.type.oid, b.type.modifier, b.identity)
        for a, b in zip(known.columns, relation.columns, strict=True)
    )
