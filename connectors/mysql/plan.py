"""How the rows of one relation version reach one table of the target. (pure)

Compiled once and used for every row: what constants are made of values, what is watched, what finds
a row.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.mysql.column_plan import INTERCHANGE, NATIVE, ColumnPlan, compile_column, judge
from connectors.mysql.passage import Passage
from connectors.mysql.target_table import OTHER_KIND_REMEDY, TargetTable
from engine.errors import SchemaMismatchError
from engine.model.relation import Column, Format, Relation


@dataclass(frozen=True, slots=True)
class TablePlan:
    """`columns` are those an INSERT writes, in the source's order; `by_index` also holds the ones
    only looked at (generated on the target); `key` finds a row, empty when nothing does.
    `key_indexed`: the target can look a key up by a unique index. `watched`: the server is asked
    whether it changed a value."""

    relation: Relation
    target: TargetTable
    columns: tuple[ColumnPlan, ...]
    by_index: tuple[ColumnPlan, ...]
    key: tuple[ColumnPlan, ...]
    key_indexed: bool
    watched: bool

    @property
    def subject(self) -> str:
        """The table's name for messages."""
        return self.relation.qualified


def compile_plan(relation: Relation, target: TargetTable | None) -> TablePlan:
    """The plan for a relation version.

    Raises:
        SchemaMismatchError: the target has no such table, lacks a column, has one that every row
            would need, or a type to which the source's values cannot go unharmed.
    """
    if target is None:
        raise SchemaMismatchError(
            f"{relation.qualified}: the target has no such table", hint="create it, or reload it"
        )
    _require_form(relation)
    if target.objection:
        raise SchemaMismatchError(
            f"{relation.qualified} {target.objection}",
            hint=engine_remedy(target) if target.is_table else OTHER_KIND_REMEDY,
        )
    problems = list(problems_of(relation, target))
    if problems:
        raise SchemaMismatchError(f"{relation.qualified}: {'; '.join(problems)}")
    columns = tuple([_column(index, relation, target) for index in range(len(relation.columns))])
    writable = tuple([column for column in columns if column.writable])
    names = {relation.columns[index].name.lower() for index in relation.key}
    return TablePlan(
        relation=relation,
        target=target,
        columns=writable,
        by_index=columns,
        key=tuple([columns[index] for index in relation.key]),
        key_indexed=bool(names) and any({n.lower() for n in key} <= names for key in target.keys),
        watched=any(column.watched for column in writable),
    )


def engine_remedy(target: TargetTable) -> str:
    """What makes a table's engine one that has transactions."""
    return f"ALTER TABLE {target.sql} ENGINE=InnoDB"


def _require_form(relation: Relation) -> None:
    if relation.wire == NATIVE:
        return
    binary = any(column.format is Format.BINARY for column in relation.columns)
    if relation.wire != INTERCHANGE or binary:
        form = f"{relation.wire}{' in binary form' if relation.wire == INTERCHANGE else ''}"
        raise SchemaMismatchError(
            f"{relation.qualified}: rows in the wire form {form} cannot be written here"
        )


def problems_of(relation: Relation, target: TargetTable) -> Iterable[str]:
    """Everything in which the target's table does not fit the source's rows."""
    for column in relation.columns:
        other = target.column(column.name)
        if other is None:
            yield f"the target has no column {column.name}"
        elif not other.generated and judge(column, other, relation.wire) is Passage.REFUSED:
            yield (
                f"column {column.name} is {column.type.name} on the source and {other.declared}"
                " on the target"
            )
    names = {column.name.lower() for column in relation.columns}
    for other in target.columns:
        if other.name.lower() not in names and not other.nullable and not other.defaulted:
            yield (
                f"the target's column {other.name} is NOT NULL without a default"
                " and the source does not have it"
            )
    yield from _clashes(relation.columns)


def _clashes(columns: Iterable[Column]) -> Iterable[str]:
    """Names that the source tells apart by upper and lower case, and the target does not."""
    met: dict[str, str] = {}
    for column in columns:
        other = met.setdefault(column.name.lower(), column.name)
        if other != column.name:
            yield f"columns {other} and {column.name} are one and the same on the target"


def _column(index: int, relation: Relation, target: TargetTable) -> ColumnPlan:
    column = relation.columns[index]
    other = target.column(column.name)
    assert other is not None
    return compile_column(index, column, other, relation.wire)
