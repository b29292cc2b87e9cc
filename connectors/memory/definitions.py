"""(pure) A table's description: built by hand in tests, handed on for a full load.

Constraints travel as JSON in `Definition.statement`: {"unique": [...]}, {"columns": [...],
"parent": [schema, name], "parent_columns": [...], "deferrable": false, "cascade": false}.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from zlib import crc32

from connectors.memory.storage import Columns, ForeignKey, Table, Unique
from engine.model.relation import (
    Column,
    ColumnType,
    Format,
    Relation,
    ReplicaIdentity,
    TableName,
)
from engine.model.table import ColumnDefinition, Definition, TableDefinition

CONTROL_SCHEMA: Final = "penstock"
TYPE: Final = "bytes"
TOASTED: Final = "toasted"
"""The two column types; a toasted column's value is logged by an UPDATE only when it changed."""


@dataclass(frozen=True, slots=True)
class References:
    """A foreign key from named columns to the parent's columns by number (its first by default)."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: Columns = (0,)
    deferrable: bool = False
    cascade: bool = False


def table(
    name: str,
    columns: Sequence[str],
    *,
    key: Sequence[str] = (),
    identity: ReplicaIdentity = ReplicaIdentity.DEFAULT,
    unique: Sequence[Sequence[str]] = (),
    references: Sequence[References] = (),
    toasted: Sequence[str] = (),
    required: Sequence[str] = (),
) -> Table:
    """A new, empty table; `name` is `schema.name`, `required` columns refuse NULL."""
    schema, _, plain = name.partition(".")
    described = [
        Column(
            column,
            ColumnType(TOASTED if column in toasted else TYPE),
            Format.BINARY,
            nullable=column not in required and column not in key,
            identity=_in_identity(column, key, identity),
            number=number,
        )
        for number, column in enumerate(columns, 1)
    ]
    relation = make_relation(schema, plain, described, key, identity)
    uniques = [Unique(_indexes(columns, key), primary=True)] if key else []
    uniques += [Unique(_indexes(columns, names)) for names in unique]
    return Table(
        relation,
        tuple(uniques),
        tuple(_foreign(columns, reference) for reference in references),
        frozenset(_indexes(columns, toasted)),
    )


def make_relation(
    schema: str,
    name: str,
    columns: Sequence[Column],
    key: Sequence[str],
    identity: ReplicaIdentity,
) -> Relation:
    """A relation whose key is usable: without a replica identity it has none."""
    usable = () if identity is ReplicaIdentity.NOTHING else key
    indexes = _indexes([column.name for column in columns], usable)
    number = crc32(f"{schema}.{name}".encode())  # equal by content, so no running number
    return Relation(number, schema, name, tuple(columns), indexes, identity)


def numbered(relation: Relation) -> Relation:
    """The relation of a table that is new here: its columns have numbers of their own."""
    columns = [replace(column, number=n) for n, column in enumerate(relation.columns, 1)]
    return replace(relation, columns=tuple(columns))


def _in_identity(column: str, key: Sequence[str], identity: ReplicaIdentity) -> bool:
    if identity is ReplicaIdentity.FULL:
        return True
    return column in key and identity is not ReplicaIdentity.NOTHING


def _indexes(columns: Sequence[str], names: Sequence[str]) -> Columns:
    return tuple([list(columns).index(name) for name in names])


def _foreign(columns: Sequence[str], reference: References) -> ForeignKey:
    schema, _, name = reference.parent.partition(".")
    return ForeignKey(
        _indexes(columns, reference.columns),
        TableName(schema, name),
        reference.parent_columns,
        reference.deferrable,
        reference.cascade,
    )


def describe(table: Table) -> TableDefinition:
    """What another memory server needs to make this table."""
    relation = table.relation
    names = [column.name for column in relation.columns]
    columns = tuple(ColumnDefinition(c.name, c.type.name, c.nullable) for c in relation.columns)
    primary = table.primary_key
    return TableDefinition(
        relation,
        columns,
        _unique_definition("primary", names, primary) if primary else None,
        constraints=tuple(
            _unique_definition(f"unique_{i}", names, unique.columns)
            for i, unique in enumerate(table.uniques)
            if not unique.primary
        ),
        foreign_keys=tuple(
            _foreign_definition(f"foreign_{i}", names, foreign)
            for i, foreign in enumerate(table.foreign_keys)
        ),
    )


def _unique_definition(name: str, names: Sequence[str], columns: Columns) -> Definition:
    chosen = tuple([names[i] for i in columns])
    return Definition(name, json.dumps({"unique": chosen}), chosen)


def _foreign_definition(name: str, names: Sequence[str], foreign: ForeignKey) -> Definition:
    chosen = tuple([names[i] for i in foreign.columns])
    statement = {
        "columns": chosen,
        "parent": [foreign.parent.schema, foreign.parent.name],
        "parent_columns": foreign.parent_columns,
        "deferrable": foreign.deferrable,
        "cascade": foreign.cascade,
    }
    return Definition(name, json.dumps(statement), chosen, foreign.parent)


def create(definition: TableDefinition) -> Table:
    """The table as it is before its load: columns and primary key."""
    relation = numbered(definition.relation)
    names = [column.name for column in relation.columns]
    key = definition.primary_key
    uniques = (Unique(_indexes(names, key.columns), primary=True),) if key else ()
    toasted = [i for i, c in enumerate(relation.columns) if c.type.name == TOASTED]
    return Table(relation, uniques, (), frozenset(toasted))


def unique_of(relation: Relation, definition: Definition) -> Unique:
    names = [column.name for column in relation.columns]
    return Unique(_indexes(names, definition.columns))


def foreign_key_of(relation: Relation, definition: Definition) -> ForeignKey:
    names = [column.name for column in relation.columns]
    statement: Mapping[str, object] = json.loads(definition.statement)
    parent, parent_columns = statement["parent"], statement["parent_columns"]
    assert isinstance(parent, list)
    assert isinstance(parent_columns, list)
    return ForeignKey(
        _indexes(names, definition.columns),
        TableName(*parent),
        tuple(parent_columns),
        bool(statement["deferrable"]),
        bool(statement["cascade"]),
    )
