"""Follow schema changes inside a lane's transaction.

The version last applied is stored with the table's state in the same transaction, so a version that
the source describes again (after a reconnect, after a restart) is seen to be the one that is known.

A table that is dropped or renamed on the source leaves the replication: its target table stays as
it is, and nothing is renamed or dropped there. Another table that gets its name is another table,
which the target's rows do not belong to: it is loaded from its beginning. What the log has of it
until then is passed over, be it in the very transaction in which the first one left.
"""

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from engine.contracts import TargetTransaction
from engine.errors import SchemaChangeError
from engine.model import relation_text
from engine.model.change import SchemaChanged
from engine.model.relation import Relation, TableName
from engine.model.state import TableRecord, TableState
from engine.plan import schema

LEFT: Final = "the table is not carried any more: dropped, renamed, or not selected"
"""`TableRecord.reason` of a table that left."""


@dataclass(slots=True)
class _Pending:
    """What a lane's open transaction will make true."""

    known: dict[TableName, Relation] = field(default_factory=dict[TableName, Relation])
    left: set[TableName] = field(default_factory=set[TableName])
    steps: dict[TableName, str] = field(default_factory=dict[TableName, str])

    def copy(self) -> "_Pending":
        return _Pending(dict(self.known), set(self.left), dict(self.steps))


class Evolution:
    """`known` are the versions stored in the target. `evolved(table, what)` is told when a change
    is durable, `left(table)` when a table has left. With `follow` False every change stops its
    table. `there` gives the target's table as it is, where the target is a source as well: a change
    that came from it is made there already."""

    def __init__(
        self,
        known: Mapping[TableName, Relation],
        *,
        follow: bool,
        evolved: Callable[[TableName, str], None],
        left: Callable[[TableName], None],
        there: Callable[[TableName], Awaitable[Relation | None]] | None = None,
    ) -> None:
        self._known = dict(known)
        self._left: set[TableName] = set()
        self._follow = follow
        self._told_evolved = evolved
        self._told_left = left
        self._there = there
        self._pending: dict[str, _Pending] = {}
        self._saved: dict[str, _Pending] = {}

    async def evolve(
        self, lane: str, transaction: TargetTransaction, change: SchemaChanged
    ) -> None:
        """Raises SchemaChangeError when it cannot be followed exactly."""
        pending = self._pending.setdefault(lane, _Pending())
        known = pending.known.get(change.table) or self._known.get(change.table)
        after = change.after
        if after is None or after.table != change.table:
            await self._leave(pending, transaction, change, known)
            return
        if change.table in self._left or change.table in pending.left:
            return
        if known is not None:
            if known.id != after.id:
                await self._gone(pending, transaction, change.table)
                return
            if not _news(known, change):
                return
            if not await self._made_there(known, change):
                await self._follow_steps(pending, transaction, change, known)
            after = _numbered(after, known)
        pending.known[change.table] = after
        await transaction.save_table(
            TableRecord(change.table, TableState.STREAMING, relation=relation_text.dump(after))
        )

    async def _made_there(self, known: Relation, change: SchemaChanged) -> bool:
        """Whether the target's table is already what the change makes of it."""
        after = change.after
        if self._there is None or after is None:
            return False
        if any(step.kind not in schema.FOLLOWED for step in change.steps):
            return False
        there = await self._there(change.table)
        return there is not None and _is_made(known, after, there)

    async def _follow_steps(
        self,
        pending: _Pending,
        transaction: TargetTransaction,
        change: SchemaChanged,
        known: Relation,
    ) -> None:
        steps = schema.steps(known, change)
        if not steps:
            return
        what = schema.describe(steps)
        if not self._follow:
            raise SchemaChangeError(
                f"{known.qualified} has changed on the source ({what}), and on_schema_change is"
                " stop",
                hint="change the target by hand, then run"
                f" `penstock reload FILE {known.qualified}`",
            )
        pending.steps[change.table] = what
        await transaction.evolve(replace(change, before=known, steps=steps))

    async def _leave(
        self,
        pending: _Pending,
        transaction: TargetTransaction,
        change: SchemaChanged,
        known: Relation | None,
    ) -> None:
        before = change.before
        if known is None or (before is not None and before.id != known.id):
            return  # it had left before: another table with its name
        await self._gone(pending, transaction, change.table)

    async def _gone(
        self, pending: _Pending, transaction: TargetTransaction, table: TableName
    ) -> None:
        pending.left.add(table)
        await transaction.save_table(TableRecord(table, TableState.NEEDS_RELOAD, reason=LEFT))

    def left(self, lane: str) -> AbstractSet[TableName]:
        """Tables that have left, also by the lane's open transaction: what comes under their names
        is of other tables."""
        pending = self._pending.get(lane)
        return self._left if pending is None else self._left.union(pending.left)

    def reloaded(self, relation: Relation) -> None:
        """A table was loaded anew with this version."""
        self._known[relation.table] = relation
        self._left.discard(relation.table)

    def started(self, lane: str) -> None:
        """A transaction of this lane begins (again): what an earlier try noted is void."""
        self._pending.pop(lane, None)

    def savepoint(self, lane: str) -> None:
        """The lane's transaction has set a savepoint."""
        self._saved[lane] = self._pending.get(lane, _Pending()).copy()

    def rolled_back(self, lane: str) -> None:
        """The lane's transaction went back to its savepoint."""
        self._pending[lane] = self._saved.pop(lane)

    def committed(self, lane: str) -> None:
        """The lane's transaction with its schema changes is durable."""
        pending = self._pending.pop(lane, None)
        if pending is None:
            return
        self._known.update(pending.known)
        for table, what in pending.steps.items():
            self._told_evolved(table, what)
        for table in sorted(pending.left):
            self._left.add(table)
            self._told_left(table)


def _news(known: Relation, change: SchemaChanged) -> bool:
    """Whether a description tells of anything that is not known. A rewrite leaves no trace in it;
    a column that took the name and type of another has another number. What only the source needs
    to know of a version (a default, say) is kept for it."""
    after = change.after
    assert after is not None
    if known.native != after.native:
        return True
    if known.columns != after.columns or known.key != after.key:
        return True
    if any(step.kind not in schema.FOLLOWED for step in change.steps):
        return True
    numbers = [column.number for column in after.columns]
    return after.numbered and numbers != [column.number for column in known.columns]


def _is_made(known: Relation, after: Relation, there: Relation) -> bool:
    """Every column of the new version is there, and none that is gone from it."""
    gone = {column.name for column in known.columns} - {column.name for column in after.columns}
    return not gone & {column.name for column in there.columns} and schema.holds(there, after)


def _numbered(after: Relation, known: Relation) -> Relation:
    """The version with the attribute numbers that are known of its columns, when it came without:
    what was followed left them where they are."""
    if after.numbered:
        return after
    numbers = {column.name: column.number for column in known.columns}
    columns = [
        replace(column, number=column.number or numbers.get(column.name, 0))
        for column in after.columns
    ]
    return replace(after, columns=tuple(columns))
