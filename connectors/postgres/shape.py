"""Does a table that is already on the target have the shape the source's rows need? (pure)"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.postgres.passthrough import FIRST_USER_OID, Passage, judge
from engine.model.relation import Column, ColumnType, Relation

_TEXTS = frozenset({25, 1043})


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """A column as the target's catalog has it. `filled`: it gets a value when a row leaves it out
    (default, identity, generation, or NULL is allowed)."""

    type: ColumnType
    generated: bool
    filled: bool


def mismatches(
    relation: Relation, columns: Mapping[str, TargetColumn], version: int
) -> Sequence[str]:
    """Everything that keeps the relation's rows out of the table, a sentence each."""
    return [*_ours(relation, columns, version), *_theirs(relation, columns)]


def _ours(relation: Relation, columns: Mapping[str, TargetColumn], version: int) -> Iterator[str]:
    for column in relation.columns:
        there = columns.get(column.name)
        place = f"column {column.name} of {relation.qualified}"
        if there is None:
            yield f"{place} is missing on the target; add it as {column.type.name}"
        elif there.generated:
            yield f"{place} is generated on the target; drop its expression there"
        elif not _fits(column, there, version):
            yield (
                f"{place} is {column.type.name} on the source and {there.type.name} on the target;"
                f" alter the target's to {column.type.name}"
            )


def _theirs(relation: Relation, columns: Mapping[str, TargetColumn]) -> Iterator[str]:
    known = {column.name for column in relation.columns}
    for name, column in columns.items():
        if name not in known and not column.filled:
            yield (
                f"column {name} of {relation.qualified} exists on the target only, is NOT NULL and"
                " has no default; give it one or drop NOT NULL"
            )


def _fits(column: Column, there: TargetColumn, version: int) -> bool:
    """User-defined types count as equal by name here: what they are made of is compared when types
    are ensured."""
    ours = column.type
    if max(ours.oid, there.type.oid) < FIRST_USER_OID:
        plain = ColumnType(ours.name, ours.oid, ours.modifier)
        return judge(plain, there.type, version) is not Passage.REFUSED
    to_text = there.type.oid in _TEXTS and there.type.modifier == -1
    return ours.name == there.type.name or (to_text and ours.definition.startswith("enum"))
