"""Follow schema changes inside a lane's transaction.

The version last applied is stored with the table's state in the same transaction, so a version that
the source describes again (after a reconnect, after a restart) is seen to be the one that is known.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from engine.contracts import TargetTransaction
from engine.errors import SchemaChangeError
from engine.model import relation_text
from engine.model.change import SchemaChanged
from engine.model.relation import Relation, TableName
from engine.model.state import TableRecord, TableState
from engine.plan import schema


class Evolution:
    """`known` are the versions stored in the target. `evolved(table)` is told when a change is
    durable. With `follow` False every change stops its table."""

    def __init__(
        self,
        known: Mapping[TableName, Relation],
        *,
        follow: bool,
        evolved: Callable[[TableName], None],
    ) -> None:
        self._known = dict(known)
        self._follow = follow
        self._evolved = evolved
        self._pending: dict[str, dict[TableName, Relation]] = {}

    async def evolve(
        self, lane: str, transaction: TargetTransaction, change: SchemaChanged
    ) -> None:
        """Raises SchemaChangeError when it cannot be followed exactly."""
        pending = self._pending.setdefault(lane, {})
        known = pending.get(change.table) or self._known.get(change.table)
        after = change.after
        if known is not None and after is not None and _same(known, after):
            return
        if known is not None:
            steps = schema.steps(known, change)
            if steps:
                self._permit(known)
                await transaction.evolve(replace(change, before=known, steps=steps))
        if after is not None:
            pending[change.table] = after
            await transaction.save_table(
                TableRecord(change.table, TableState.STREAMING, relation=relation_text.dump(after))
            )

    def _permit(self, known: Relation) -> None:
        if not self._follow:
            raise SchemaChangeError(
                f"{known.qualified} has changed on the source, and on_schema_change is stop",
                hint="change the target by hand, then run `penstock reload`",
            )

    def reloaded(self, relation: Relation) -> None:
        """A table was loaded anew with this version."""
        self._known[relation.table] = relation

    def started(self, lane: str) -> None:
        """A transaction of this lane begins (again): what an earlier try noted is void."""
        self._pending.pop(lane, None)

    def committed(self, lane: str) -> None:
        """The lane's transaction with its schema changes is durable."""
        for table, relation in self._pending.pop(lane, {}).items():
            self._known[table] = relation
            self._evolved(table)


def _same(known: Relation, after: Relation) -> bool:
    """Equal but for the object id, which changes when a table is made again."""
    return known.columns == after.columns and known.key == after.key
