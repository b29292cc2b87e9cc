"""Foreign keys that act: what they delete or change by themselves when a parent row changes.

The target does at once what the source's log tells row by row. One key that acts on a row does no
harm: the row is then as the log wants it. It does harm when the same statement of the source
changes the row once more, by a second key or, in a table that refers to itself, by its own hand:
the log's first change of the row still holds the value that a key has yet to change, whose parent
is gone on the target by then, and the target refuses it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from connectors.postgres.target_table import ACTS
from engine.model.finding import Finding, Severity
from engine.model.relation import Relation, TableName

CASCADE: Final = "c"
_ACTIONS: Final = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
"""`pg_constraint.confdeltype` and `confupdtype` of what acts."""

REMEDY: Final = (
    'set session_replication_role = "replica" in [target]: the target\'s keys then do nothing by'
    " themselves, and all that they would do comes from the source"
)


class ActingKey(NamedTuple):
    """`on_delete`, `on_update`: letters of the catalog."""

    child: TableName
    parent: TableName
    name: str
    on_delete: str
    on_update: str

    def __str__(self) -> str:
        events = (("DELETE", self.on_delete), ("UPDATE", self.on_update))
        acts = [f"ON {event} {_ACTIONS[letter]}" for event, letter in events if letter in _ACTIONS]
        return f"{self.name} ({', '.join(acts)})"


QUERY: Final = f"""
SELECT cn.nspname::text, c.relname::text, pn.nspname::text, p.relname::text, k.conname::text,
  k.confdeltype::text, k.confupdtype::text
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = coalesce(pg_catalog.pg_partition_root(k.conrelid), k.conrelid)
JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_catalog.pg_class p
  ON p.oid = coalesce(pg_catalog.pg_partition_root(k.confrelid), k.confrelid)
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND {ACTS}
ORDER BY 1, 2, 5
"""


def read(rows: Iterable[Iterable[str | None]]) -> Sequence[ActingKey]:
    """The keys that `QUERY` finds."""
    found: list[ActingKey] = []
    for row in rows:
        schema, table, parent_schema, parent, *rest = (cell or "" for cell in row)
        found.append(ActingKey(TableName(schema, table), TableName(parent_schema, parent), *rest))
    return found


def findings(keys: Sequence[ActingKey], relations: Iterable[Relation]) -> Sequence[Finding]:
    """A warning for each of these tables with keys that may act where a statement does more."""
    by_child: dict[TableName, list[ActingKey]] = {}
    for key in keys:
        by_child.setdefault(key.child, []).append(key)
    found: list[Finding] = []
    for relation in relations:
        clashing = _clashing(by_child.get(relation.table, ()), by_child)
        if clashing:
            text = (
                f"{relation.qualified}: the target refuses a row, and the table stops, when a"
                " foreign key acts on a row that the same statement changes once more:"
                f" {', '.join(map(str, clashing))}"
            )
            finding = Finding("acting-keys", Severity.WARNS, text, REMEDY, relation.qualified)
            found.append(finding)
    return found


def _clashing(
    keys: Sequence[ActingKey], by_child: Mapping[TableName, Sequence[ActingKey]]
) -> Sequence[ActingKey]:
    return [key for key in keys if any(_clash(key, other, by_child) for other in keys)]


def _clash(
    one: ActingKey, other: ActingKey, by_child: Mapping[TableName, Sequence[ActingKey]]
) -> bool:
    """Rows that are only deleted, however often, do no harm."""
    if one is other:
        return one.child == one.parent and one.on_update in _ACTIONS
    if one.parent == other.parent and one.on_update in _ACTIONS and other.on_update in _ACTIONS:
        return True
    if one.on_delete not in _ACTIONS or other.on_delete not in _ACTIONS:
        return False
    if one.on_delete == other.on_delete == CASCADE:
        return False
    return bool(_origins(one, by_child) & _origins(other, by_child))


def _origins(
    key: ActingKey, by_child: Mapping[TableName, Sequence[ActingKey]]
) -> frozenset[TableName]:
    """Tables with rows whose deletion reaches the key: its parent, and what cascades to it."""
    reached: set[TableName] = set()
    pending = [key.parent]
    while pending:
        table = pending.pop()
        if table not in reached:
            reached.add(table)
            pending += [k.parent for k in by_child.get(table, ()) if k.on_delete == CASCADE]
    return frozenset(reached)
