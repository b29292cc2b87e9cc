"""(pure) A table as rows of the log are decoded with it, and the relation version that it is.

A relation keeps everything that a description is made of: stored beside the data, it brings the
description back after a restart.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from connectors.mysql.binlog.columns import Form
from connectors.mysql.catalog import CatalogColumn, CatalogTable
from connectors.mysql.charsets import ALWAYS_TEXT, known
from connectors.mysql.column_default import Constant, of_catalog
from connectors.mysql.types import MysqlType, interchange, native, parse_type
from engine.errors import StateError
from engine.model.relation import Column, Format, Relation, ReplicaIdentity, TableName

PRIMARY: Final = "PRIMARY"

_DECLARED: Final = re.compile(
    r"(?P<type>.*?)(?: character set (?P<charset>\w+)(?: collate (?P<collation>\w+))?)?", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """`default`: what a new row has that does not name the column; None where that is not the same
    for each row, or not known. `numbered`: the server gives numbers to rows without one."""

    name: str
    type: MysqlType
    nullable: bool
    default: Constant | None = None
    generated: bool = False
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Description:
    """`columns` are those of the log, in its order. `keys`: unique keys of whole columns by name,
    in the server's order.
    `charset` and `collation`: what new columns get."""

    table: TableName
    columns: tuple[DescribedColumn, ...]
    keys: Mapping[str, tuple[str, ...]]
    charset: str = ""
    collation: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns by which a row is found: the primary key's, else those of the first unique
        key whose columns cannot be NULL; empty when there is no such. The server goes by the same
        key where it logs a part of an old row."""
        nullable = {column.name for column in self.columns if column.nullable}
        for name in sorted(self.keys, key=lambda name: name != PRIMARY):
            if name == PRIMARY or not nullable.intersection(self.keys[name]):
                return self.keys[name]
        return ()

    def relation(self, form: Form, since: str, *, zero_dates: bool) -> Relation:
        """The version it is from position `since` on. `zero_dates`: dates that are none have no
        place in the form."""
        places = {column.name: place for place, column in enumerate(self.columns)}
        identity = self.identity
        facts = {
            "keys": {name: list(columns) for name, columns in self.keys.items()},
            "charset": self.charset,
            "collation": self.collation,
            "defaults": {c.name: c.default.text for c in self.columns if c.default is not None},
            "generated": [c.name for c in self.columns if c.generated],
            "numbered": [c.name for c in self.columns if c.numbered],
        }
        return Relation(
            id=_number(self.table),
            schema=self.table.schema,
            name=self.table.name,
            columns=tuple([_column(column, form, identity) for column in self.columns]),
            key=tuple([places[name] for name in identity]),
            replica_identity=ReplicaIdentity.DEFAULT if identity else ReplicaIdentity.FULL,
            wire=form.value,
            native=orjson.dumps(facts).decode(),
            since=since,
            misfits=tuple(_misfits(self.columns, zero_dates and form is Form.INTERCHANGE)),
        )


def _number(table: TableName) -> int:
    """The server has no number that a table keeps, so its name makes one. Whoever renames a table
    makes another one."""
    name = f"{len(table.schema)} {table.schema} {table.name}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])


def _column(column: DescribedColumn, form: Form, identity: Sequence[str]) -> Column:
    declared = native(column.type)
    return Column(
        name=column.name,
        type=declared if form is Form.NATIVE else interchange(column.type),
        format=Format.TEXT if form is Form.NATIVE else Format.BINARY,
        nullable=column.nullable,
        identity=not identity or column.name in identity,
        native=declared.name,
    )


_DATES: Final = frozenset(("date", "datetime", "timestamp"))
_JSON: Final = "json"


def _misfits(columns: Sequence[DescribedColumn], zero_dates: bool) -> Sequence[int]:
    """Columns whose values may have no place in the form, or are logged as changes of one that is
    not there."""
    always_text = ("", "binary", *ALWAYS_TEXT)
    doubtful = {_JSON, *_DATES} if zero_dates else {_JSON}
    return [
        place
        for place, column in enumerate(columns)
        if column.type.base in doubtful or column.type.charset not in always_text
    ]


def describe(table: CatalogTable, *, generated: bool = True) -> Description:
    """A description from the catalog. `generated`: generated columns can be carried.

    Raises:
        ValueError: a type that is unknown here, a table whose old rows stand in the log among the
            others, or one with a generated column that cannot be carried.
    """
    if table.versioned:
        raise ValueError("it keeps its old rows (system versioning), which are logged as rows")
    made = [column.name for column in table.columns if column.generated]
    if made and not generated:
        raise ValueError(
            f"this server's log leaves the new values of generated columns ({', '.join(made)}) out"
            " of updates"
        )
    keys = {index.name: index.columns for index in table.indexes if index.unique and index.whole}
    columns = [_described(column) for column in table.columns]
    charset = table.collation.partition("_")[0]
    return Description(table.name, tuple(columns), keys, charset, table.collation)


def _described(column: CatalogColumn) -> DescribedColumn:
    type_ = declared(column.type, column.charset, column.collation)
    default = of_catalog(column, type_)
    return DescribedColumn(
        column.name,
        type_,
        column.nullable,
        default,
        generated=bool(column.generated),
        numbered=column.auto_increment,
    )


def restore(relation: Relation) -> Description:
    """The description that a relation was made of. Raises StateError for one of another source."""
    try:
        facts = orjson.loads(relation.native)
        # Versions that were stored before these facts were known do not tell them.
        defaults = {name: Constant(text) for name, text in facts.get("defaults", {}).items()}
        generated, numbered = facts.get("generated", ()), facts.get("numbered", ())
        columns = [
            DescribedColumn(
                c.name,
                parse_declared(c.native),
                c.nullable,
                defaults.get(c.name),
                generated=c.name in generated,
                numbered=c.name in numbered,
            )
            for c in relation.columns
        ]
        keys = {name: tuple(map(str, columns)) for name, columns in facts["keys"].items()}
        charset, collation = str(facts["charset"]), str(facts["collation"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(
            f"the stored version of {relation.qualified} is not of a MySQL source"
        ) from error
    return Description(relation.table, tuple(columns), keys, charset, collation)


def declared(type_: str, charset: str, collation: str) -> MysqlType:
    """A type without what does not matter to values (a display width), so that two ways to word one
    type come to the same. Raises ValueError, also for a character set that is not read exactly."""
    found = parse_declared(native(parse_type(type_, charset, collation)).name)
    if found.charset and not known(found.charset):
        raise ValueError(f"character set {found.charset} has no exact counterpart elsewhere")
    return found


def parse_declared(text: str) -> MysqlType:
    """A type as `types.native` writes it. Raises ValueError."""
    match = _DECLARED.fullmatch(text)
    assert match is not None
    return parse_type(match["type"], match["charset"], match["collation"])
