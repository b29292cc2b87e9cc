"""(pure) What the event triggers' messages say.

A message tells a table as it is after a command, with attribute numbers: a number belongs to one
column for ever, whatever its name, so two descriptions of a table with numbers have one reading.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from connectors._sql.quoting import literal
from connectors.postgres.ddl_capture_sql import VERSION
from connectors.postgres.relation_message import IDENTITIES, MessageColumn, RelationMessage
from engine.errors import DecodeError
from engine.model.change import SchemaStep
from engine.model.relation import Relation, ReplicaIdentity
from engine.model.table import TypeDefinition

COLUMN_REWRITE: Final = 0x04
"""`AT_REWRITE_COLUMN_REWRITE` (src/include/commands/event_trigger.h): a column's type changed."""

COMPUTED: Final = "computed default"
"""`SchemaStep.detail` of a column whose existing rows have values that nobody told."""

TOO_LONG: Final = "default too long for a message"


@dataclass(frozen=True, slots=True)
class ToldColumn:
    """A column after the command. `new`: its catalog row was written by the same transaction.
    `value`: what every row had before the column was first written, `expression` an immutable
    default, `computed` a default that may have given each row another value, `long` that there is a
    value, too long to be told."""

    number: int
    name: str
    type: str
    type_oid: int
    modifier: int
    nullable: bool
    new: bool
    value: str | None = None
    expression: str | None = None
    computed: bool = False
    long: bool = False

    def added(self, *, rewritten: bool, types: tuple[TypeDefinition, ...] = ()) -> SchemaStep:
        """This column as one that was just added, and what its type needs. Without a rewrite
        existing rows can only have got the stored value, or NULL."""
        default, detail = "", ""
        if self.value is not None:
            default = literal(self.value)
        elif self.long:
            detail = TOO_LONG
        elif rewritten and self.expression is not None:
            default = self.expression
        elif self.computed and rewritten:
            detail = COMPUTED
        return SchemaStep("add-column", self.name, "", self.type, default, detail, types)


@dataclass(frozen=True, slots=True)
class TableTold:
    """A table after a command that may have changed it. `primary` and `key` are the attribute
    numbers of the primary key and of the replica identity index, in index order."""

    oid: int
    schema: str
    name: str
    identity: ReplicaIdentity
    columns: tuple[ToldColumn, ...]
    primary: tuple[int, ...]
    key: tuple[int, ...]

    @property
    def message(self) -> RelationMessage:
        """The Relation message that its next row will come with."""
        full = self.identity is ReplicaIdentity.FULL
        columns = [
            MessageColumn(c.name, c.type_oid, c.modifier, full or c.number in self.key)
            for c in self.columns
        ]
        return RelationMessage(self.oid, self.schema, self.name, self.identity, tuple(columns))

    def completed(self, relation: Relation) -> Relation:
        """The relation made from `message`, with what was true then instead of what is now."""
        columns = [
            replace(
                column,
                type=replace(column.type, name=told.type),
                nullable=told.nullable,
                number=told.number,
            )
            for column, told in zip(relation.columns, self.columns, strict=True)
        ]
        places = {told.number: index for index, told in enumerate(self.columns)}
        full = self.identity is ReplicaIdentity.FULL
        numbers = self.primary if full else self.key
        identity = relation.replica_identity
        # A generated column may be in a key; the log has none of its values.
        if not all(number in places for number in numbers):
            numbers = ()
            identity = identity if full else ReplicaIdentity.NOTHING
        if identity is ReplicaIdentity.NOTHING:
            numbers = ()
        key = tuple([places[number] for number in numbers])
        return replace(relation, columns=tuple(columns), key=key, replica_identity=identity)


@dataclass(frozen=True, slots=True)
class DropTold:
    """A table is gone."""

    oid: int
    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class RewriteTold:
    """A command is about to write every row of a table anew, `plain`: without any USING."""

    oid: int
    reason: int
    plain: bool

    @property
    def step(self) -> SchemaStep | None:
        """What it did to values of columns that stay; None when it kept them."""
        if self.plain or not self.reason & COLUMN_REWRITE:
            return None
        return SchemaStep("rewrite", detail="a column was converted with USING, or may have been;")


@dataclass(frozen=True, slots=True)
class PartitionTold:
    """A partition with rows has joined a partitioned table, or one has left it."""

    oid: int
    what: str

    @property
    def step(self) -> SchemaStep:
        detail = f"a partition was {self.what}, and its rows came or went with it;"
        return SchemaStep("rewrite", detail=detail)


@dataclass(frozen=True, slots=True)
class EmptiedTold:
    """Partitions of a table have new files without their old rows, made by these transactions
    (32-bit ids): `partition_watch` says so, behind them in the log."""

    oid: int
    schema: str
    name: str
    by: frozenset[int]

    @property
    def step(self) -> SchemaStep:
        detail = (
            "a partition was truncated by itself, or all its rows were written anew, which looks"
            " the same from outside;"
        )
        return SchemaStep("rewrite", detail=detail)


@dataclass(frozen=True, slots=True)
class UnreadTold:
    """A table changed and the trigger could not describe it."""

    oid: int
    sqlstate: str

    @property
    def step(self) -> SchemaStep:
        detail = f"the event trigger could not describe the table (SQLSTATE {self.sqlstate});"
        return SchemaStep("other", detail=detail)


Told: TypeAlias = TableTold | DropTold | RewriteTold | PartitionTold | EmptiedTold | UnreadTold


def parse(content: bytes) -> Told:
    """Read a message.

    Raises:
        DecodeError: it is of another version, or not understood.
    """
    try:
        raw = json.loads(content)
        version = _number(raw, "v", 0, 2**31)
        if version == VERSION:
            return _READERS[raw["event"]](raw)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DecodeError("a message of the event triggers was not understood") from error
    raise DecodeError(
        f"the event triggers on the source are of version {version}, this program knows {VERSION}",
        hint=_OLDER if version < VERSION else "use a newer penstock",
    )


_OLDER: Final = (
    "a schema change in the log was told by an older version: run that one until it has caught up"
    " (--stop-at caught-up), then this one"
)


_Raw: TypeAlias = Mapping[str, Any]


def _table(raw: _Raw) -> TableTold:
    columns = tuple([_column(one) for one in _list(raw["columns"])])
    if len({column.number for column in columns}) != len(columns):
        raise ValueError("two columns of one number")
    return TableTold(
        oid=_oid(raw),
        schema=_text(raw, "schema"),
        name=_text(raw, "name"),
        identity=IDENTITIES[raw["identity"]],
        columns=columns,
        primary=_numbers(raw["primary"]),
        key=_numbers(raw["key"]),
    )


def _column(raw: _Raw) -> ToldColumn:
    default = raw["default"] or {}
    return ToldColumn(
        number=_number(raw, "number", 1, 2**15),
        name=_text(raw, "name"),
        type=_text(raw, "type"),
        type_oid=_oid(raw),
        modifier=_number(raw, "mod", -(2**31), 2**31),
        nullable=_truth(raw, "nullable"),
        new=_truth(raw, "new"),
        value=_text(default, "value") if "value" in default else None,
        expression=_text(default, "expression") if "expression" in default else None,
        computed="computed" in default and _truth(default, "computed"),
        long="long" in default and _truth(default, "long"),
    )


# --- fields: of the kind that is written, else TypeError or ValueError ----------------------------


def _number(raw: _Raw, name: str, low: int, end: int) -> int:
    value = raw[name]
    if type(value) is not int or not low <= value < end:
        raise ValueError(f"{name} is not a number from {low} to {end - 1}")
    return value


def _numbers(value: object) -> tuple[int, ...]:
    if value is None:
        return ()
    numbers = _list(value)
    if any(type(number) is not int for number in numbers) or len(set(numbers)) != len(numbers):
        raise ValueError("not a list of different numbers")
    return tuple(numbers)


def _oid(raw: _Raw) -> int:
    return _number(raw, "oid", 1, 2**32)


def _text(raw: _Raw, name: str) -> str:
    value = raw[name]
    if type(value) is not str or "\0" in value:
        raise ValueError(f"{name} is not a text")
    value.encode()
    return value


def _truth(raw: _Raw, name: str) -> bool:
    value = raw[name]
    if type(value) is not bool:
        raise ValueError(f"{name} is neither true nor false")
    return value


def _list(value: object) -> list[Any]:
    if type(value) is not list:
        raise TypeError("not a list")
    return value


_READERS: Final[Mapping[str, Callable[[_Raw], Told]]] = {
    "table": _table,
    "drop": lambda raw: DropTold(_oid(raw), _text(raw, "schema"), _text(raw, "name")),
    "rewrite": lambda raw: RewriteTold(
        _oid(raw),
        _number(raw, "reason", 0, 2**31),
        # NULL where the server does not know the command's text.
        raw["plain"] is not None and _truth(raw, "plain"),
    ),
    "partition": lambda raw: PartitionTold(_oid(raw), _text(raw, "what")),
    "emptied": lambda raw: EmptiedTold(
        _oid(raw), _text(raw, "schema"), _text(raw, "name"), frozenset(_numbers(raw["by"]))
    ),
    "unread": lambda raw: UnreadTold(_oid(raw), _text(raw, "sqlstate")),
}
