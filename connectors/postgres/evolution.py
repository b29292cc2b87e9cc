"""A schema change of the source as statements for the target's table. (pure)

Only what keeps every row of the target right is written here; everything else is refused, so the
caller can put the table into `needs-reload`. What the target has already (somebody was faster) is
left as it is: whether it fits is judged when rows come.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors._sql.quoting import identifier, qualified
from connectors.postgres.passthrough import Passage, judge
from connectors.postgres.target_table import TargetColumn, TargetTable
from engine.errors import SchemaMismatchError
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import TableName


@dataclass(slots=True)
class _Work:
    change: SchemaChanged
    there: TargetTable
    drop_columns: bool
    drop_tables: bool
    name: TableName
    columns: dict[str, TargetColumn]
    statements: list[str] = field(default_factory=list[str])

    def alter(self, action: str) -> None:
        table = qualified(self.name.schema, self.name.name)
        self.statements.append(f"ALTER TABLE {table} {action}")

    def refuse(self, why: str) -> SchemaMismatchError:
        return SchemaMismatchError(f"{self.change.table}: {why}", hint="reload the table")


def statements(
    change: SchemaChanged, there: TargetTable | None, *, drop_columns: bool, drop_tables: bool
) -> Sequence[str]:
    """What to run on the target. `there` is the table as it is before.

    Raises:
        SchemaMismatchError: the table is not there, or a step cannot be followed.
    """
    if there is None:
        if all(step.kind == "drop-table" for step in change.steps):
            return []
        raise SchemaMismatchError(
            f"{change.table}: the target has no such table to change", hint="reload the table"
        )
    columns = {column.name: column for column in there.columns}
    work = _Work(change, there, drop_columns, drop_tables, there.table, columns)
    for step in change.steps:
        apply = _STEPS.get(step.kind)
        if apply is None:
            raise work.refuse(f"a change of kind {step.kind} cannot be followed on the target")
        apply(work, step)
    return work.statements


def _create_table(_work: _Work, _step: SchemaStep) -> None:
    """It is there already."""


def _drop_table(work: _Work, _step: SchemaStep) -> None:
    if work.drop_tables:
        work.statements.append(f"DROP TABLE {qualified(work.name.schema, work.name.name)}")


def _rename_table(work: _Work, step: SchemaStep) -> None:
    after = work.change.after
    schema = work.name.schema if after is None else after.schema
    if schema != work.name.schema:
        work.alter(f"SET SCHEMA {identifier(schema)}")
        work.name = TableName(schema, work.name.name)
    new_name = step.new_name or ("" if after is None else after.name)
    if new_name and new_name != work.name.name:
        work.alter(f"RENAME TO {identifier(new_name)}")
        work.name = TableName(schema, new_name)


def _add_column(work: _Work, step: SchemaStep) -> None:
    if step.column in work.columns:
        return
    default = f" DEFAULT {step.default}" if step.default else ""
    after = work.change.after
    never_null = (
        default
        and after is not None
        and any(column.name == step.column and not column.nullable for column in after.columns)
    )
    required = " NOT NULL" if never_null else ""
    work.alter(f"ADD COLUMN {identifier(step.column)} {step.type}{default}{required}")


def _drop_column(work: _Work, step: SchemaStep) -> None:
    column = work.columns.pop(step.column, None)
    if column is None:
        return
    if work.drop_columns:
        work.alter(f"DROP COLUMN {identifier(step.column)}")
    elif not column.nullable and not column.defaulted:
        # It stays with its values, and new rows come without it.
        work.alter(f"ALTER COLUMN {identifier(step.column)} DROP NOT NULL")


def _rename_column(work: _Work, step: SchemaStep) -> None:
    column = work.columns.pop(step.column, None)
    if column is None and step.new_name in work.columns:
        return
    if column is None:
        raise work.refuse(f"the target has no column {step.column} to rename")
    work.columns[step.new_name] = column
    work.alter(f"RENAME COLUMN {identifier(step.column)} TO {identifier(step.new_name)}")


def _retype_column(work: _Work, step: SchemaStep) -> None:
    there = work.columns.get(step.column)
    after = work.change.after
    columns = () if after is None else after.columns
    new = next((column.type for column in columns if column.name == step.column), None)
    if there is None or new is None:
        raise work.refuse(f"the target has no column {step.column} to change")
    if there.type == new or there.type.name == step.type:
        return
    if judge(there.type, new, work.there.version) is not Passage.CAST:
        raise work.refuse(
            f"column {step.column} cannot go from {there.type.name} to {new.name} without loss"
        )
    work.alter(f"ALTER COLUMN {identifier(step.column)} TYPE {step.type or new.name}")


_STEPS: Final[dict[str, Callable[[_Work, SchemaStep], None]]] = {
    "create-table": _create_table,
    "drop-table": _drop_table,
    "rename-table": _rename_table,
    "add-column": _add_column,
    "drop-column": _drop_column,
    "rename-column": _rename_column,
    "retype-column": _retype_column,
}
