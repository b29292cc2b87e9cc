"""A table's whole definition, for a target that must create it.

Texts (`type`, `default`, `definition`) are in the language of `dialect`; a target of another kind
translates or refuses them.
"""

from dataclasses import dataclass
from typing import NamedTuple

from engine.model.relation import Relation, TableName


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """`identity`: '' / 'always' / 'by default'. `generated`: the expression, '' when it is not.
    `generated_stored` tells STORED from VIRTUAL (PostgreSQL 18)."""

    name: str
    type: str
    nullable: bool = True
    default: str = ""
    identity: str = ""
    generated: str = ""
    generated_stored: bool = True
    collation: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """A named piece of a table made by one statement: an index or a constraint. `parent` is the
    table that a foreign key leads to."""

    name: str
    statement: str
    columns: tuple[str, ...] = ()
    parent: TableName | None = None


class ForeignKey(NamedTuple):
    """One or more keys from `child` to `parent`. One that is not `enforced` in apply sessions still
    keeps the parent from being emptied alone."""

    child: TableName
    parent: TableName
    enforced: bool = True


@dataclass(frozen=True, slots=True)
class SequenceDefinition:
    """A sequence that feeds a column. `last` is its last value, None when never used."""

    name: TableName
    column: str
    create: str
    last: int | None


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """A user-defined type or extension that tables need, in creation order."""

    name: TableName
    kind: str
    statement: str


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """Everything a target needs to make the table, in two steps: columns, defaults, NOT NULL and
    primary key before the load; indexes, unique and foreign keys and sequences after it."""

    relation: Relation
    columns: tuple[ColumnDefinition, ...]
    primary_key: Definition | None = None
    indexes: tuple[Definition, ...] = ()
    constraints: tuple[Definition, ...] = ()
    foreign_keys: tuple[Definition, ...] = ()
    sequences: tuple[SequenceDefinition, ...] = ()
    types: tuple[TypeDefinition, ...] = ()
    partition_key: str = ""
    rows_estimated: int = 0
    bytes_estimated: int = 0
    dialect: str = "memory"

    @property
    def table(self) -> TableName:
        return self.relation.table
