"""How the rows of one relation version reach one table of the target, column by column. (pure)

Compiled once and used for every row: which bytes go through, in which type a value is bound, what
the server casts, what can be matched.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from connectors._sql.quoting import identifier
from connectors.postgres.newer_values import Misread, misread_columns
from connectors.postgres.passthrough import (
    ARRAYS_OF_USER_TYPES_FROM,
    REGCLASS,
    TEXT,
    Passage,
    judge,
)
from connectors.postgres.target_table import (
    OTHER_KIND_REMEDY,
    TargetColumn,
    TargetTable,
    other_kind,
)
from engine.errors import SchemaMismatchError
from engine.model.relation import Column, Format, Relation

WIRE: Final = "postgres"
"""The wire form these plans understand (`Relation.wire`)."""

SEND_TEXT: Final = 'set stream_form = "text" in [source]'
"""What lets an older target take arrays and composites of user-defined types."""


class Problem(NamedTuple):
    """In what a table does not fit; `remedy` is empty where the table has to be altered."""

    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """`index` in the source's row, `name` quoted. A value is bound as type `oid` in `format` (1 is
    binary) and followed by `cast`; in a staging table it stands as `stage_type` and is followed by
    `stage_cast`. `direct`: its bytes are what COPY into the target itself takes."""

    index: int
    name: str
    oid: int
    format: int
    cast: str
    stage_type: str
    stage_cast: str
    direct: bool
    writable: bool
    equal: str = "="


@dataclass(frozen=True, slots=True)
class TablePlan:
    """`columns` are those an INSERT writes, in the source's order; `by_index` also holds the ones
    only looked at (generated on the target); `key` finds a row, empty when nothing does.
    `key_indexed`: the target can look a key up. `direct`: COPY may write the table itself.
    `misread`: columns whose values are looked at first."""

    relation: Relation
    target: TargetTable
    columns: tuple[ColumnPlan, ...]
    by_index: tuple[ColumnPlan, ...]
    key: tuple[ColumnPlan, ...]
    key_indexed: bool
    direct: bool
    misread: tuple[Misread, ...] = ()

    @property
    def subject(self) -> str:
        """The table's name for messages."""
        return self.relation.qualified


def in_text(relation: Relation) -> Relation:
    """The version as its rows come in text form, whatever form the stream has."""
    columns = tuple([replace(column, format=Format.TEXT) for column in relation.columns])
    return replace(relation, columns=columns)


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
    if relation.wire != WIRE:
        raise SchemaMismatchError(
            f"{relation.qualified}: rows in the wire form {relation.wire} cannot be written here"
        )
    kind = other_kind(target.kind)
    if kind is not None:
        raise SchemaMismatchError(f"{relation.qualified} {kind}", hint=OTHER_KIND_REMEDY)
    problems = list(problems_of(relation, target))
    if problems:
        raise SchemaMismatchError(
            f"{relation.qualified}: {'; '.join(problem.text for problem in problems)}",
            hint=next((problem.remedy for problem in problems if problem.remedy), ""),
        )
    columns = tuple(
        _column(index, column, _found(target, column), target)
        for index, column in enumerate(relation.columns)
    )
    writable = tuple(column for column in columns if column.writable)
    names = frozenset(relation.columns[index].name for index in relation.key)
    return TablePlan(
        relation=relation,
        target=target,
        columns=writable,
        by_index=columns,
        key=tuple(columns[index] for index in relation.key),
        key_indexed=bool(names) and any(key <= names for key in target.keys),
        direct=bool(writable) and all(column.direct for column in writable),
        misread=misread_columns(relation, target.version),
    )


def problems_of(relation: Relation, target: TargetTable) -> Iterable[Problem]:
    """Everything in which the target's table does not fit the source's rows."""
    for column in relation.columns:
        other = target.column(column.name)
        if other is None:
            yield Problem(f"the target has no column {column.name}")
        elif not other.generated:
            yield from _problems(column, other, target)
    names = {column.name for column in relation.columns}
    for other in target.columns:
        if other.name not in names and not other.nullable and not other.defaulted:
            yield Problem(
                f"the target's column {other.name} is NOT NULL without a default"
                " and the source does not have it"
            )


def _problems(column: Column, other: TargetColumn, target: TargetTable) -> Iterable[Problem]:
    passage = _passage(column, other, target)
    if passage is Passage.REFUSED:
        yield _refused(column, other, target.version)
    elif passage is Passage.SAME and column.format is Format.BINARY and not other.receivable:
        yield not_received(column)


def not_received(column: Column) -> Problem:
    """What a column is whose type the target takes in text form alone."""
    text = f"column {column.name} is {column.type.name}, which the target does not take"
    return Problem(f"{text} in binary form", SEND_TEXT)


def refused_in_binary(column: Column, version: int) -> Problem | None:
    """Why a server of this version takes the column's values from no binary stream, whatever table
    it has for them."""
    binary = column.format is Format.BINARY
    if not binary or judge(column.type, column.type, version) is not Passage.REFUSED:
        return None
    text = f"column {column.name} is {column.type.name}, which a server before 14 does not take"
    return Problem(f"{text} in binary form", SEND_TEXT)


def _refused(source: Column, target: TargetColumn, version: int) -> Problem:
    equal = source.type.definition == target.type.definition
    name = target.type.name
    if source.type.name == name and equal and (problem := refused_in_binary(source, version)):
        return problem
    there = f"a different {name}" if source.type.name == name else name
    return Problem(
        f"column {source.name} is {source.type.name} on the source and {there} on the target"
    )


def _found(target: TargetTable, column: Column) -> TargetColumn:
    found = target.column(column.name)
    assert found is not None
    return found


def _passage(column: Column, other: TargetColumn, target: TargetTable) -> Passage:
    # In text form nothing is numbered, so an older server takes it too.
    binary = column.format is Format.BINARY
    version = target.version if binary else ARRAYS_OF_USER_TYPES_FROM
    return judge(column.type, other.type, version)


def _column(index: int, column: Column, other: TargetColumn, target: TargetTable) -> ColumnPlan:
    passage = _passage(column, other, target)
    binary = column.format is Format.BINARY
    oid, cast, stage_type, stage_cast = _binding(passage, column, other, binary)
    return ColumnPlan(
        index=index,
        name=identifier(column.name),
        oid=oid,
        format=int(binary),
        cast=cast,
        stage_type=stage_type,
        stage_cast=stage_cast,
        direct=binary and passage is Passage.SAME,
        writable=not other.generated,
        equal=target.operators.get(column.name, "="),
    )


def _binding(
    passage: Passage, column: Column, other: TargetColumn, binary: bool
) -> tuple[int, str, str, str]:
    """(type bound, cast after a parameter, type in a staging table, cast after its column)."""
    to_target = f"::{other.cast}"
    if passage is Passage.LABEL:
        return TEXT, to_target, "text", to_target
    if passage is Passage.CAST:
        through = to_target if binary else f"::{column.type.name}{to_target}"
        return column.type.oid, to_target, column.type.name if binary else "text", through
    if binary:
        return other.type.oid, "", other.cast, ""
    return other.type.oid, "", "text", _from_text(other)


def _from_text(column: TargetColumn) -> str:
    """What makes a staged text what the type's input function makes of it.

    There is a cast from text to regclass, which does not know the name of no relation, `-`; there
    is none from bpchar, so from that the server goes by way of the input function.
    """
    regclass = column.type.oid == REGCLASS or column.type.definition.startswith("domain(regclass")
    return f"{'::bpchar' if regclass else ''}::{column.cast}"
