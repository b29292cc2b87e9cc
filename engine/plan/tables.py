"""Which of a source's tables a replication carries: mapping rules x catalog. (pure)"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.config.endpoint import WithoutIdentity
from engine.config.mapping import RuleAction, SelectionRule, TableMapping
from engine.model.relation import Relation, ReplicaIdentity, TableName

CONTROL_SCHEMA: Final = "penstock"
"""Where Penstock keeps its own tables, on either side. Carrying them would make two replications
overwrite each other's positions."""

CONTROL_TABLE_PREFIX: Final = "awsdms_"
"""Control tables of AWS DMS, left behind by it in any schema."""

SYSTEM_SCHEMAS: Final = ("information_schema", "pg_catalog", "pg_toast")
SYSTEM_SCHEMA_PREFIXES: Final = ("pg_temp_", "pg_toast_temp_")


class Reason(StrEnum):
    """Why a table is not carried."""

    CONTROL = "control table"
    SYSTEM = "system table"
    NOT_INCLUDED = "not included by the mapping"
    EXCLUDED = "excluded by the mapping"
    WITHOUT_IDENTITY = "no usable replica identity"
    NOT_PUBLISHED = "not in the publication that the file names"


UNEXPECTED: Final = (Reason.WITHOUT_IDENTITY, Reason.NOT_PUBLISHED)
"""Reasons that whoever wrote the mapping may not know of."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A table that is not carried. `rule` is the id of the rule that excluded it."""

    table: TableName
    reason: Reason
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """The decision for a whole catalog.

    `tables`: all carried, highest load order first, then by name. `insert_only`: those of them
    whose updates and deletes are not carried. `left_out`: the others, by name. `unmatched`: ids of
    including rules that match no table of the catalog, most often a misspelt name.
    """

    tables: tuple[Relation, ...]
    insert_only: frozenset[TableName]
    left_out: tuple[LeftOut, ...]
    unmatched: tuple[str, ...]

    @property
    def streamed(self) -> tuple[TableName, ...]:
        """Tables with every change carried, in load order."""
        return tuple(r.table for r in self.tables if r.table not in self.insert_only)


def select(
    relations: Iterable[Relation],
    mapping: TableMapping,
    *,
    without_identity: WithoutIdentity | None = None,
) -> Selection:
    """Decide for every relation. `without_identity` is None where no changes are carried: a load
    alone needs no identity."""
    chosen: list[tuple[int, Relation]] = []
    insert_only: set[TableName] = set()
    left_out: list[LeftOut] = []
    matched: set[str] = set()
    for relation in relations:
        rules = [r for r in mapping.rules if r.matches(relation.schema, relation.name)]
        matched.update(rule.id for rule in rules)
        refused = _left_out(relation, rules, without_identity)
        if refused is not None:
            left_out.append(refused)
            continue
        chosen.append((max(r.load_order for r in rules), relation))
        if without_identity is not None and not has_identity(relation):
            insert_only.add(relation.table)
    chosen.sort(key=lambda pair: (-pair[0], pair[1].table))
    return Selection(
        tables=tuple(relation for _, relation in chosen),
        insert_only=frozenset(insert_only),
        left_out=tuple(sorted(left_out, key=lambda each: each.table)),
        unmatched=_unmatched(mapping.rules, matched),
    )


def has_identity(relation: Relation) -> bool:
    """Whether the log can say which row an UPDATE or DELETE changed."""
    return bool(relation.key) or relation.replica_identity is ReplicaIdentity.FULL


def is_control(table: TableName) -> bool:
    """Whether it is a table of Penstock's or AWS DMS's own."""
    return table.schema == CONTROL_SCHEMA or table.name.startswith(CONTROL_TABLE_PREFIX)


def _is_system(table: TableName) -> bool:
    return table.schema in SYSTEM_SCHEMAS or table.schema.startswith(SYSTEM_SCHEMA_PREFIXES)


def _left_out(
    relation: Relation, rules: Sequence[SelectionRule], without_identity: WithoutIdentity | None
) -> LeftOut | None:
    table = relation.table
    if is_control(table):
        return LeftOut(table, Reason.CONTROL)
    if _is_system(table):
        return LeftOut(table, Reason.SYSTEM)
    for rule in rules:
        if rule.action is RuleAction.EXCLUDE:
            return LeftOut(table, Reason.EXCLUDED, rule.id)
    if not rules:
        return LeftOut(table, Reason.NOT_INCLUDED)
    if without_identity is WithoutIdentity.LEAVE_OUT and not has_identity(relation):
        return LeftOut(table, Reason.WITHOUT_IDENTITY)
    if without_identity is not None and not relation.published:
        return LeftOut(table, Reason.NOT_PUBLISHED)
    return None


def _unmatched(rules: Sequence[SelectionRule], matched: set[str]) -> tuple[str, ...]:
    return tuple(
        rule.id
        for rule in rules
        if rule.action is not RuleAction.EXCLUDE and rule.id not in matched
    )
