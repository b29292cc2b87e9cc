"""The actions of an ALTER TABLE that follows a schema change. (pure)

Only what keeps every row of the target right is written here; everything else is refused. A column
that the target has already is taken when its rows hold what the new column would give them
(somebody was faster); otherwise it is what a dropped column left behind, and steps aside under
another name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from connectors.mysql import postgres_ddl
from connectors.mysql.catalog import CatalogTable
from connectors.mysql.column_plan import NATIVE, constant, judge
from connectors.mysql.column_type import BLOBS, TEXTS, parse
from connectors.mysql.declare import declare
from connectors.mysql.literals import UnfitError
from connectors.mysql.native_ddl import adapted
from connectors.mysql.passage import Passage, alters, takes
from connectors.mysql.quoting import IDENTIFIER_CHARACTERS_MAX, identifier
from connectors.mysql.table_ddl import Target, expression
from connectors.mysql.target_table import TargetColumn, TargetTable
from engine.errors import SchemaMismatchError
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import Column

ADD: Final = "add-column"


@dataclass(slots=True)
class Alteration:
    """`there` and `catalog` are the table as it is. `occupied`: columns to be added that the target
    has with other values. A statement names a column once, as it is before: `renamed` and `retyped`
    hold the new name and the new type of each until all steps are taken."""

    change: SchemaChanged
    there: TargetTable
    catalog: CatalogTable
    target: Target
    drop_columns: bool
    occupied: set[str] = field(default_factory=set[str])
    made: list[str] = field(default_factory=list[str])
    renamed: dict[str, str] = field(default_factory=dict[str, str])
    retyped: dict[str, str] = field(default_factory=dict[str, str])
    columns: dict[str, TargetColumn] = field(init=False)

    def __post_init__(self) -> None:
        self.columns = {column.name.lower(): column for column in self.there.columns}

    def refuse(self, why: str) -> SchemaMismatchError:
        return SchemaMismatchError(f"{self.change.table}: {why}", hint="reload the table")

    def after(self, name: str) -> Column | None:
        after = self.change.after
        columns = () if after is None else after.columns
        return next((column for column in columns if column.name == name), None)

    @property
    def wire(self) -> str:
        relation = self.change.after or self.change.before
        return NATIVE if relation is None else relation.wire

    def declared(self, column: Column) -> str:
        """The column's type as this server declares it."""
        if self.wire == NATIVE:
            return adapted(column.type.name, self.target.flavour, self.target.collations)
        after = self.change.after
        keyed = {after.columns[index].name for index in after.key} if after is not None else set()
        made = declare(
            {column.name: column.type}, frozenset({column.name} & keyed), self.target.flavour
        )
        return made[column.name].sql

    def default(self, step: SchemaStep) -> str:
        """What existing rows get, after DEFAULT; empty for NULL."""
        if not step.default or step.default.upper() == "NULL":
            return ""
        if self.wire == NATIVE:
            return expression(step.default)
        column = self.after(step.column)
        found = None if column is None else self._translated(step.default, column)
        if found is None:
            raise self.refuse(
                f"the default of the new column {step.column} has no counterpart on the target"
            )
        long = column is None or parse(self.declared(column)).base in (*TEXTS, *BLOBS)
        # An expression only where it must be one: with a log, early 8.0 adds no such column.
        return f"({found})" if long or found.startswith("CURRENT") else found

    def _translated(self, default: str, column: Column) -> str | None:
        """A default of PostgreSQL; its values are spelt otherwise here, as those of rows are."""
        value = postgres_ddl.constant(default)
        if value is None:
            return postgres_ddl.default(default)
        try:
            return constant(column, parse(self.declared(column)), value)
        except UnfitError:
            return None


def questions(work: Alteration) -> Iterator[tuple[str, str]]:
    """Queries that give a row where a column that is to be added is there with other values, each
    with that column's name."""
    for step in work.change.steps:
        other = work.columns.get(step.column.lower())
        if step.kind == ADD and other is not None:
            value = work.default(step) or "NULL"
            differs = f"NOT ({identifier(other.name)} <=> {value})"
            yield f"SELECT 1 FROM {work.there.sql} WHERE {differs} LIMIT 1", step.column


def actions(work: Alteration) -> list[str]:
    """What stands behind ALTER TABLE, in order; empty when nothing is left to do.

    Raises:
        SchemaMismatchError: a step cannot be followed.
    """
    for step in work.change.steps:
        apply = _STEPS.get(step.kind)
        if apply is None:
            raise work.refuse(f"a change of kind {step.kind} cannot be followed on the target")
        apply(work, step)
    return [*work.made, *_changed_columns(work)]


def _changed_columns(work: Alteration) -> Iterator[str]:
    for name in dict.fromkeys((*work.renamed, *work.retyped)):
        old, new, type_ = identifier(name), work.renamed.get(name, name), work.retyped.get(name)
        if type_ is not None:
            yield f"CHANGE COLUMN {old} {identifier(new)} {type_}"
        elif new != name:
            yield f"RENAME COLUMN {old} TO {identifier(new)}"


def _add_column(work: Alteration, step: SchemaStep) -> None:
    column = work.after(step.column)
    if column is None:
        raise work.refuse(f"the new column {step.column} is not described")
    there = work.columns.get(step.column.lower())
    if there is not None:
        fits = judge(column, there, work.wire) is not Passage.REFUSED
        if fits and step.column not in work.occupied:
            return
        _step_aside(work, there)
    default = work.default(step)
    clause = f" DEFAULT {default}" if default else ""
    required = "NOT NULL" if default and not column.nullable else "NULL"
    work.made.append(
        f"ADD COLUMN {identifier(column.name)} {work.declared(column)} {required}{clause}"
    )


def _step_aside(work: Alteration, column: TargetColumn) -> None:
    taken = set(work.columns)
    names = (
        f"{column.name[: IDENTIFIER_CHARACTERS_MAX - len(tail)]}{tail}"
        for tail in (f"_kept_{n}" for n in range(1, len(taken) + 2))
    )
    new = next(name for name in names if name.lower() not in taken)
    work.columns.pop(column.name.lower())
    work.columns[new.lower()] = column
    work.made.append(f"CHANGE COLUMN {identifier(column.name)} {identifier(new)}"
                     f" {column.full_type} NULL")  # fmt: skip


def _drop_column(work: Alteration, step: SchemaStep) -> None:
    column = work.columns.pop(step.column.lower(), None)
    if column is None:
        return
    if work.drop_columns:
        work.made.append(f"DROP COLUMN {identifier(column.name)}")
    elif not column.nullable and not column.defaulted:
        # It stays with its values, and new rows come without it.
        work.made.append(f"MODIFY COLUMN {identifier(column.name)} {column.full_type} NULL")


def _rename_column(work: Alteration, step: SchemaStep) -> None:
    column = work.columns.pop(step.column.lower(), None)
    there = work.columns.get(step.new_name.lower())
    if column is None and there is not None:
        return
    if column is None:
        raise work.refuse(f"the target has no column {step.column} to rename")
    if there is not None:
        _step_aside(work, there)
    work.columns[step.new_name.lower()] = column
    work.renamed[column.name] = step.new_name


def _retype_column(work: Alteration, step: SchemaStep) -> None:
    there, column = work.columns.get(step.column.lower()), work.after(step.column)
    if there is None or column is None:
        raise work.refuse(f"the target has no column {step.column} to change")
    new = work.declared(column)
    if takes(there.type, parse(new)):
        return
    if not alters(there.type, parse(new)):
        raise work.refuse(
            f"column {step.column} cannot go from {there.declared} to {new} without loss"
        )
    long = parse(new).base in (*TEXTS, *BLOBS)
    work.retyped[there.name] = f"{new}{_attributes(work, there, long=long)}"


def _attributes(work: Alteration, column: TargetColumn, *, long: bool) -> str:
    """What MODIFY would take away where it is not said again. `long`: the new type is one of those
    of which MySQL takes a default as an expression only."""
    known = next(c for c in work.catalog.columns if c.name == column.name)
    pieces = ["NULL" if column.nullable else "NOT NULL"]
    if column.counts:
        pieces.append("AUTO_INCREMENT")
    elif known.default is not None:
        text = known.default
        quoted = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
        default = expression(text) if known.default_expression else quoted
        bare = long and not default.startswith("(")
        pieces.append(f"DEFAULT ({default})" if bare else f"DEFAULT {default}")
    return " " + " ".join(pieces)


def _nothing(_work: Alteration, _step: SchemaStep) -> None:
    """It is there already."""


_STEPS: Final[dict[str, Callable[[Alteration, SchemaStep], None]]] = {
    "create-table": _nothing,
    ADD: _add_column,
    "drop-column": _drop_column,
    "rename-column": _rename_column,
    "retype-column": _retype_column,
    "alter-type": _retype_column,
}
