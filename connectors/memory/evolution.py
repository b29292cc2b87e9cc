"""(pure) A table after a schema change, rows and all."""

from collections.abc import Callable
from dataclasses import replace

from connectors.memory.definitions import TOASTED, make_relation
from connectors.memory.storage import Cells, Columns, ForeignKey, Table, Unique, Version
from engine.errors import SchemaMismatchError
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import Column, ColumnType, ReplicaIdentity, TableName


def evolve(table: Table, change: SchemaChanged) -> Table:
    """Apply the steps of a change of columns.

    Raises:
        SchemaMismatchError: a step that cannot be followed, or none is known.
    """
    if not change.steps:
        raise SchemaMismatchError(f"{change.table}: what changed is not known")
    for step in change.steps:
        table = _STEPS.get(step.kind, _refuse)(table, step)
    return table


def rename(table: Table, name: TableName) -> Table:
    relation = replace(table.relation, schema=name.schema, name=name.name)
    return _rebuilt(table, relation.table, list(relation.columns), lambda row: row)


def _add(table: Table, step: SchemaStep) -> Table:
    """`default` is text; its bytes become the value of every row there is."""
    value = step.default.encode() if step.default else None
    column = Column(
        step.column,
        ColumnType(step.type),
        identity=table.relation.replica_identity is ReplicaIdentity.FULL,
        number=table.attributes + 1,
    )
    columns = [*table.relation.columns, column]
    return _rebuilt(table, table.relation.table, columns, lambda row: (*row, value))


def _drop(table: Table, step: SchemaStep) -> Table:
    index = _index(table, step.column)
    if any(index in unique.columns for unique in table.uniques):
        raise SchemaMismatchError(f"{table.relation.qualified}: a constraint needs {step.column}")
    columns = [c for i, c in enumerate(table.relation.columns) if i != index]
    return _rebuilt(
        table,
        table.relation.table,
        columns,
        lambda row: row[:index] + row[index + 1 :],
        lambda chosen: tuple([i - (i > index) for i in chosen]),
    )


def _rename_column(table: Table, step: SchemaStep) -> Table:
    return _change_column(table, step, lambda c: replace(c, name=step.new_name))


def _retype(table: Table, step: SchemaStep) -> Table:
    return _change_column(table, step, lambda c: replace(c, type=ColumnType(step.type)))


def _change_column(table: Table, step: SchemaStep, change: Callable[[Column], Column]) -> Table:
    columns = list(table.relation.columns)
    index = _index(table, step.column)
    columns[index] = change(columns[index])
    return _rebuilt(table, table.relation.table, columns, lambda row: row)


def _refuse(table: Table, step: SchemaStep) -> Table:
    raise SchemaMismatchError(f"{table.relation.qualified}: cannot follow a {step.kind}")


_STEPS: dict[str, Callable[[Table, SchemaStep], Table]] = {
    "add-column": _add,
    "drop-column": _drop,
    "rename-column": _rename_column,
    "retype-column": _retype,
}


def _index(table: Table, name: str) -> int:
    for index, column in enumerate(table.relation.columns):
        if column.name == name:
            return index
    raise SchemaMismatchError(f"{table.relation.qualified} has no column {name}")


def _rebuilt(
    table: Table,
    name: TableName,
    columns: list[Column],
    convert: Callable[[Cells], Cells],
    moved: Callable[[Columns], Columns] = lambda chosen: chosen,
) -> Table:
    key = [columns[i].name for i in moved(table.relation.key)]
    identity = table.relation.replica_identity
    relation = make_relation(name.schema, name.name, columns, key, identity)
    return table.altered(
        relation=relation,
        uniques=tuple(Unique(moved(u.columns), u.primary) for u in table.uniques),
        foreign_keys=tuple(_moved_key(foreign, moved) for foreign in table.foreign_keys),
        toasted=frozenset(i for i, c in enumerate(columns) if c.type.name == TOASTED),
        versions={n: _converted(version, convert) for n, version in table.versions.items()},
    )


def _moved_key(foreign: ForeignKey, moved: Callable[[Columns], Columns]) -> ForeignKey:
    return replace(foreign, columns=moved(foreign.columns))


def _converted(version: Version, convert: Callable[[Cells], Cells]) -> Version:
    copy = Version(version.number, convert(version.row), version.made)
    copy.ended = version.ended
    return copy
