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

    def added(self, *, rewritten: bool) -> SchemaStep:
        """This column as one that was just added. Without a rewrite existing rows can only have
        got the stored value, or NULL."""
        default, detail = "", ""
        if self.value is not None:
            default = literal(self.value)
        elif self.long:
            detail = TOO_LONG
        elif rewritten and self.expression is not None:
            default = self.expression
        elif self.computed and rewritten:
            detail = COMPUTED
        return SchemaStep(
            "add-column", column=self.name, type=self.type, default=default, detail=detail
        )


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
        numbers = self.primary if self.identity is ReplicaIdentity.FULL else self.key
        key = tuple([places[number] for number in numbers])
        if relation.replica_identity is ReplicaIdentity.NOTHING:
            key = ()
        return replace(relation, columns=tuple(columns), key=key)


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
        if raw["v"] == VERSION:
            return _READERS[raw["event"]](raw)
    except (ValueError, KeyError, TypeError) as error:
        raise DecodeError("a message of the event triggers was not understood") from error
    raise DecodeError(
        f"the event triggers on the source are of version {raw['v']}, this program knows {VERSION}",
        hint="use a newer penstock",
    )


def _table(raw: Mapping[str, Any]) -> TableTold:
    return TableTold(
        oid=raw["oid"],
        schema=raw["schema"],
        name=raw["name"],
        identity=IDENTITIES[raw["identity"]],
        columns=tuple([_column(one) for one in raw["columns"]]),
        primary=tuple(raw["primary"] or ()),
        key=tuple(raw["key"] or ()),
    )


def _column(raw: Mapping[str, Any]) -> ToldColumn:
    default = raw["default"] or {}
    return ToldColumn(
        number=raw["number"],
        name=raw["name"],
        type=raw["type"],
        type_oid=raw["oid"],
        modifier=raw["mod"],
        nullable=raw["nullable"],
        new=raw["new"],
        value=default.get("value"),
        expression=default.get("expression"),
        computed=default.get("computed", False),
        long=default.get("long", False),
    )


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Told]]] = {
    "table": _table,
    "drop": lambda raw: DropTold(raw["oid"], raw["schema"], raw["name"]),
    "rewrite": lambda raw: RewriteTold(raw["oid"], raw["reason"], raw["plain"]),
    "partition": lambda raw: PartitionTold(raw["oid"], str(raw["what"])),
    "emptied": lambda raw: EmptiedTold(
        raw["oid"], raw["schema"], raw["name"], frozenset(raw["by"])
    ),
    "unread": lambda raw: UnreadTold(raw["oid"], raw["sqlstate"]),
}
