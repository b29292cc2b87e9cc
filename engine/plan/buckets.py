"""Which tables `key-parallel` splits, and how a bucket's checkpoint is called (pure)."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from engine.model.relation import Relation, ReplicaIdentity, TableName
from engine.plan.lanes import checkpoint_name

BUCKETS: Final = 16
"""Into how many buckets the keys of a table fall. Fixed, so that no change of capacity moves a key
from one to another: four times the appliers of one unit, so that more units find work in one table
too, and few enough that a transaction which touches them all has a short list of checkpoints.
Tables keep the number they were split by until the next start at which all stand at one place."""


def bucket_names(table: TableName, count: int = BUCKETS) -> list[str]:
    """The checkpoints of a table that is split, in order of buckets. No table's own is called like
    one of them: a colon in a name is quoted."""
    return [f"{checkpoint_name(table)}:{bucket}/{count}" for bucket in range(count)]


class StoredNames:
    """Under which names among these a table's position is stored."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._counts: dict[str, int] = {}
        for name in names:
            own, _, place = name.rpartition(":")
            bucket, _, count = place.partition("/")
            if bucket == "0" and count.isdigit():
                self._counts[own] = int(count)

    def of(self, table: TableName) -> list[str]:
        """Its own, or one for each bucket, in order; empty when nothing is stored."""
        own = checkpoint_name(table)
        if own in self._names:
            return [own]
        return bucket_names(table, self._counts.get(own, 0))


def obstacles(
    relations: Iterable[Relation],
    groups: Iterable[tuple[TableName, ...]],
    *found: Mapping[TableName, str],
) -> dict[TableName, str]:
    """Why tables cannot be split, in words, for those that cannot. `found` is what each side says
    of its own tables; `groups` are the tables that share a lane."""
    tied = {table: group for group in groups if len(group) > 1 for table in group}
    reasons: dict[TableName, str] = {}
    for relation in relations:
        table = relation.table
        reason = _unkeyed(relation) or _tied(table, tied.get(table, ()))
        reason = reason or next((said[table] for said in found if table in said), "")
        if reason:
            reasons[table] = reason
    return reasons


def _unkeyed(relation: Relation) -> str:
    if relation.replica_identity is ReplicaIdentity.FULL:
        return "its replica identity is FULL: rows are found by all their columns"
    return "" if relation.key else "it has no key that the log carries"


def _tied(table: TableName, group: tuple[TableName, ...]) -> str:
    others = ", ".join(str(other) for other in group if other != table)
    return f"a foreign key on the target ties it to {others}" if others else ""
