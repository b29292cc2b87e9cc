"""A table as it is at one moment of the log: a relation version.

Versions are equal by content, so the same description sent again after a reconnect is the same
version. Hot loops compare relations with `is`; a source hands out one object per version.
"""

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

from engine.model.value import Key, Row


class ReplicaIdentity(Enum):
    """Which old values the log carries for an UPDATE or DELETE."""

    DEFAULT = "default"
    INDEX = "index"
    FULL = "full"
    NOTHING = "nothing"


class Format(Enum):
    """How a value of a column travels: the type's binary send form, or its text output."""

    BINARY = "binary"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's type: `name` in the source's own language (`numeric(10,2)`), which is what a
    target of the same kind declares; `oid` and `modifier` where the engine has them, else 0, -1.
    `definition` is a canonical text of a user-defined type (labels, attributes, subtype, base), so
    that two catalogs can be compared; empty for a built-in type.
    """

    name: str
    oid: int = 0
    modifier: int = -1
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: ColumnType
    format: Format = Format.BINARY
    nullable: bool = True
    identity: bool = False
    """True when it belongs to what the log sends of an old row (the replica identity)."""
    number: int = field(default=0, compare=False)
    """The column's number in the source's catalog, which it keeps when it is renamed and which no
    other column of the table ever gets; 0 when unknown. Versions are equal without it."""
    native: str = ""
    """Its type in the source's own language, where `type` is a translation of it."""


@dataclass(frozen=True)
class Relation:
    """A table's description. `id`: no other table of the source has it. `key` holds the column
    indexes that identify a row: the columns of the replica identity index, or of the primary key
    under REPLICA IDENTITY FULL; empty when nothing does, then a row is found by its whole old
    image.
    """

    id: int
    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...] = ()
    replica_identity: ReplicaIdentity = ReplicaIdentity.DEFAULT
    wire: str = "memory"
    """The wire form of its values: `postgres`, `mysql`, `memory`. A target that speaks the same
    form passes values through."""
    since: str = field(default="", compare=False)
    """The position of the log from which on it is the table's description, where the source needs
    that told again: see `abilities.RememberingSource`."""
    native: str = field(default="", compare=False)
    """What else the source must know of the version to go on with it, in its own language."""
    misfits: tuple[int, ...] = field(default=(), compare=False)
    """Places of columns that may hold a `Misfit`."""
    published: bool = field(default=True, compare=False)
    """Whether the source may send its changes, where somebody else decides that."""

    @cached_property
    def qualified(self) -> str:
        """`schema.name`, for messages and labels; not quoted, never SQL."""
        return f"{self.schema}.{self.name}"

    @cached_property
    def table(self) -> "TableName":
        return TableName(self.schema, self.name)

    @property
    def numbered(self) -> bool:
        """Whether the attribute number of every column is known."""
        return all(column.number for column in self.columns)

    @property
    def unnumbered(self) -> "Relation":
        """The same version, its attribute numbers unknown."""
        return replace(self, columns=tuple([replace(c, number=0) for c in self.columns]))

    def key_of(self, row: Row) -> Key:
        """The key columns of a row."""
        return tuple([row[i] for i in self.key])


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table's name, without a version."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"
