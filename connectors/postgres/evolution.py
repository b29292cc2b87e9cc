"""A schema change of the source as statements for the target's table. (pure)

Only what keeps every row of the target right is written here; everything else is refused, so the
caller can put the table into `needs-reload`. A column that the target has already is taken when its
rows hold what the new column would give them (somebody was faster); otherwise it is what a dropped
column left behind, and steps aside under another name.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from connectors._sql.quoting import identifier, literal, qualified
from connectors.postgres.config import NAME_BYTES_MAX
from connectors.postgres.long_names import cut
from connectors.postgres.passthrough import Passage, judge
from connectors.postgres.target_table import TargetColumn, TargetTable
from connectors.postgres.user_types import made_if_missing
from engine.errors import SchemaMismatchError
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import ColumnType, TableName
from engine.model.type_text import enum_labels


@dataclass(slots=True)
class _Work:
    change: SchemaChanged
    there: TargetTable
    drop_columns: bool
    drop_tables: bool
    name: TableName
    columns: dict[str, TargetColumn]
    kept: dict[str, TargetColumn] = field(default_factory=dict[str, TargetColumn])
    """Columns that the source has dropped and the target keeps."""
    statements: list[str] = field(default_factory=list[str])

    def alter(self, action: str) -> None:
        table = qualified(self.name.schema, self.name.name)
        self.statements.append(f"ALTER TABLE {table} {action}")

    def present(self, name: str) -> TargetColumn | None:
        return self.columns.get(name) or self.kept.get(name)

    def aside(self, column: TargetColumn) -> list[str]:
        """Actions that give a column another name, and let rows come without it."""
        taken = {*self.columns, *self.kept, *(c.name for c in self.there.columns)}
        names = (_suffixed(column.name, f"_kept_{n}") for n in range(1, len(taken) + 2))
        new = next(name for name in names if name not in taken)
        self.columns.pop(column.name, None)
        self.kept.pop(column.name, None)
        self.kept[new] = replace(column, name=new, nullable=True)
        actions = [f"RENAME COLUMN {identifier(column.name)} TO {identifier(new)}"]
        if not column.nullable and not column.defaulted:
            actions.insert(0, f"ALTER COLUMN {identifier(column.name)} DROP NOT NULL")
        return actions

    def type_after(self, column: str) -> ColumnType | None:
        after = self.change.after
        columns = () if after is None else after.columns
        return next((c.type for c in columns if c.name == column), None)

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
        long = [*cut([step.column, step.new_name])]
        if long:
            raise work.refuse(f"PostgreSQL would cut the name {long[0]}")
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
    default = f" DEFAULT {step.default}" if step.default else ""
    after = work.change.after
    never_null = (
        default
        and after is not None
        and any(column.name == step.column and not column.nullable for column in after.columns)
    )
    required = " NOT NULL" if never_null else ""
    add = f"ADD COLUMN {identifier(step.column)} {step.type}{default}{required}"
    there = work.present(step.column)
    work.statements += [made_if_missing(type_, work.there.version) for type_ in step.types]
    if there is None:
        work.alter(add)
    elif step.column in work.kept or not _fits(work, step, there):
        for action in (*work.aside(there), add):
            work.alter(action)
    else:
        work.statements.append(_unless_equal(work, step, there, add))


def _fits(work: _Work, step: SchemaStep, there: TargetColumn) -> bool:
    new = work.type_after(step.column)
    return new is not None and judge(new, there.type, work.there.version) is not Passage.REFUSED


def _unless_equal(work: _Work, step: SchemaStep, there: TargetColumn, add: str) -> str:
    """A block that takes the column that is there when every row has the new column's value in it.
    Compared as text: not every type has an equality."""
    table = qualified(work.name.schema, work.name.name)
    value = f"({step.default or 'NULL'})::{step.type}"
    differs = f"{identifier(there.name)}::text IS DISTINCT FROM ({value})::text"
    actions = "".join(f"ALTER TABLE {table} {action};" for action in (*work.aside(there), add))
    work.columns[there.name] = there
    body = f"BEGIN IF EXISTS (SELECT FROM {table} WHERE {differs}) THEN {actions} END IF; END"
    return f"DO {literal(body)}"


def _drop_column(work: _Work, step: SchemaStep) -> None:
    column = work.columns.pop(step.column, None)
    if column is None:
        return
    if work.drop_columns:
        work.alter(f"DROP COLUMN {identifier(step.column)}")
        return
    work.kept[step.column] = column
    if not column.nullable and not column.defaulted:
        # It stays with its values, and new rows come without it.
        work.alter(f"ALTER COLUMN {identifier(step.column)} DROP NOT NULL")


def _rename_column(work: _Work, step: SchemaStep) -> None:
    column = work.columns.pop(step.column, None)
    there = work.present(step.new_name)
    if column is None and there is not None:
        return
    if column is None:
        raise work.refuse(f"the target has no column {step.column} to rename")
    if there is not None:
        for action in work.aside(there):
            work.alter(action)
    work.columns[step.new_name] = column
    work.alter(f"RENAME COLUMN {identifier(step.column)} TO {identifier(step.new_name)}")


def _retype_column(work: _Work, step: SchemaStep) -> None:
    there = work.columns.get(step.column)
    new = work.type_after(step.column)
    if there is None or new is None:
        raise work.refuse(f"the target has no column {step.column} to change")
    if there.type == new or there.type.name == step.type:
        return
    if judge(there.type, new, work.there.version) is not Passage.CAST:
        raise work.refuse(
            f"column {step.column} cannot go from {there.type.name} to {new.name} without loss"
        )
    work.alter(f"ALTER COLUMN {identifier(step.column)} TYPE {step.type or new.name}")


def _alter_type(_work: _Work, _step: SchemaStep) -> None:
    """Labels stand in `labels`: the transaction that adds one may not use it."""


def labels(change: SchemaChanged) -> Sequence[str]:
    """Statements that give enum types of the target the labels that the source's have got. To be
    run before, each in a transaction of its own. A label that is there already is no error."""
    before = {column.name: column.type for column in change.before.columns} if change.before else {}
    after = {column.name: column.type for column in change.after.columns} if change.after else {}
    renamed = {step.new_name: step.column for step in change.steps if step.kind == "rename-column"}
    statements: dict[str, None] = {}
    for step in change.steps:
        if step.kind == "alter-type":
            old, new = before[renamed.get(step.column, step.column)], after[step.column]
            known, found = enum_labels(old.definition), enum_labels(new.definition)
            name = new.name.removesuffix("[]")
            statements |= dict.fromkeys(_added_labels(name, known or (), found or ()))
    return list(statements)


def _added_labels(name: str, known: Sequence[str], found: Sequence[str]) -> Iterator[str]:
    """Each new label behind the one before it; the first ones before the first that was there."""
    for place, label in enumerate(found):
        if label in known:
            continue
        where = ""
        if place:
            where = f" AFTER {literal(found[place - 1])}"
        elif known:
            where = f" BEFORE {literal(known[0])}"
        yield f"ALTER TYPE {name} ADD VALUE IF NOT EXISTS {literal(label)}{where}"


def _suffixed(name: str, suffix: str) -> str:
    """The name with a suffix, cut to what a server keeps of it."""
    room = NAME_BYTES_MAX - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + suffix


_STEPS: Final[dict[str, Callable[[_Work, SchemaStep], None]]] = {
    "create-table": _create_table,
    "drop-table": _drop_table,
    "rename-table": _rename_table,
    "add-column": _add_column,
    "drop-column": _drop_column,
    "rename-column": _rename_column,
    "retype-column": _retype_column,
    "alter-type": _alter_type,
}
