"""(pure) Tables as the catalog defines them, for a target that makes them.

Two languages: the native one, where a MySQL-compatible target declares the same again, and
PostgreSQL's, in which indexes and keys are worded as that server prints them, so that what was made
is found again.

Not carried: comments, partitions, engines, triggers, and into PostgreSQL also generated columns
(their values come as those of plain columns), checks, FULLTEXT and SPATIAL indexes and indexes on a
part of a text or on an expression.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from connectors._interchange.names import printed, printed_table
from connectors._sql.quoting import identifier as postgres_identifier
from connectors._sql.quoting import literal as postgres_literal
from connectors._sql.quoting import qualified as postgres_qualified
from connectors.mysql.binlog.columns import Form
from connectors.mysql.catalog import CatalogColumn, CatalogForeignKey, CatalogIndex, CatalogTable
from connectors.mysql.description import PRIMARY
from connectors.mysql.quoting import identifier, literal, qualified, unescaped
from connectors.mysql.types import INTEGERS, MysqlType, parse_type
from engine.model.relation import Relation, TableName
from engine.model.table import (
    ColumnDefinition,
    Definition,
    SequenceDefinition,
    TableDefinition,
    TypeDefinition,
)

NAME_BYTES_MAX: Final = 63
"""Of a PostgreSQL name: NAMEDATALEN - 1."""

NO_ACTIONS: Final = ("RESTRICT", "NO ACTION")
"""The same to InnoDB, and what PostgreSQL does without a word."""

_NOW: Final = re.compile(
    r"(?:current_timestamp|now|localtime(?:stamp)?)(?:\(\d?\))?", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
_QUOTED: Final = re.compile(r"(?:_\w+)?'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_PLAIN_NUMBERS: Final = frozenset((*INTEGERS, "decimal", "float", "double", "year"))
_TEXTS: Final = frozenset(("char", "varchar", "enum", "set"))


def define(
    table: CatalogTable, relation: Relation, form: Form, tables: Collection[TableName]
) -> TableDefinition:
    """A table's definition. Foreign keys are those between `tables`."""
    keys = [key for key in table.foreign_keys if key.parent in tables]
    if form is Form.NATIVE:
        return _native(table, relation, keys)
    return _interchange(table, relation, keys)


# --- PostgreSQL -----------------------------------------------------------------------------------


def _interchange(
    table: CatalogTable, relation: Relation, keys: Sequence[CatalogForeignKey]
) -> TableDefinition:
    names = _IndexNames(table.name.name)
    counted = next((c for c in table.columns if _counts(c, relation)), None)
    return TableDefinition(
        relation=relation,
        columns=tuple(
            [
                _postgres_column(own, column.type.name, own is counted)
                for own, column in zip(table.columns, relation.columns, strict=True)
            ]
        ),
        primary_key=_postgres_primary(table, names),
        indexes=tuple(_postgres_indexes(table, names)),
        foreign_keys=tuple([_postgres_key(table.name, key, names) for key in keys]),
        sequences=() if counted is None else (_identity(table, counted),),
        types=(_schema(table.name.schema),),
        rows_estimated=table.rows,
        bytes_estimated=table.bytes,
        dialect="postgres",
    )


def _schema(schema: str) -> TypeDefinition:
    statement = f"CREATE SCHEMA IF NOT EXISTS {postgres_identifier(schema)}"
    return TypeDefinition(TableName(schema, ""), "schema", statement)


def _counts(column: CatalogColumn, relation: Relation) -> bool:
    """Whether it numbers rows, in a type that an identity column may have."""
    types = {c.name: c.type.name for c in relation.columns}
    integer = types[column.name] in ("smallint", "integer", "bigint")
    return column.auto_increment and integer


def _postgres_column(column: CatalogColumn, type_: str, counted: bool) -> ColumnDefinition:
    return ColumnDefinition(
        name=column.name,
        type=type_,
        nullable=column.nullable,
        default="" if counted else _postgres_default(column),
        identity="by default" if counted else "",
    )


def _postgres_default(column: CatalogColumn) -> str:
    """The default where both languages have the same; empty where there is none, or another."""
    if column.default is None:
        return ""
    type_ = parse_type(column.type, column.charset, column.collation)
    text = column.default
    if column.default_expression:
        if _NOW.fullmatch(text):
            return "CURRENT_TIMESTAMP" if type_.base in ("datetime", "timestamp") else ""
        match = _QUOTED.fullmatch(text)
        if match is None and not _NUMBER.fullmatch(text):
            return ""
        text = unescaped(match[1]) if match is not None else text
    return _constant(text, type_)


def _constant(text: str, type_: MysqlType) -> str:
    if type_.base in _PLAIN_NUMBERS:
        return text if _NUMBER.fullmatch(text) else ""
    if type_.base in _TEXTS:
        return postgres_literal(text)
    if type_.base in ("date", "datetime", "timestamp") and not text.startswith("0000"):
        zone = "+00" if type_.base == "timestamp" else ""
        return postgres_literal(text + zone)
    return ""


class _IndexNames:
    """Names of indexes and keys: unlike here, they are unique in a whole schema there."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._taken: set[str] = set()

    def name(self, own: str) -> str:
        for n in range(1, 1000):
            tail = f"_{own}" if n == 1 else f"_{own}_{n}"
            name = _cut(self._table, NAME_BYTES_MAX - len(tail.encode())) + tail
            name = _cut(name, NAME_BYTES_MAX)
            if name not in self._taken:
                self._taken.add(name)
                return name
        raise AssertionError


def _cut(text: str, size: int) -> str:
    return text.encode()[: max(size, 1)].decode("utf-8", "ignore")


def _postgres_primary(table: CatalogTable, names: _IndexNames) -> Definition | None:
    key = table.primary_key
    if key is None or not key.whole:
        return None
    name = names.name("pkey")
    there = postgres_qualified(table.name.schema, table.name.name)
    body = f"PRIMARY KEY ({', '.join(map(printed, key.columns))})"
    statement = f"ALTER TABLE {there} ADD CONSTRAINT {postgres_identifier(name)} {body}"
    return Definition(name, statement, key.columns)


def _postgres_indexes(table: CatalogTable, names: _IndexNames) -> Iterator[Definition]:
    for index in table.indexes:
        if index.name == PRIMARY or not index.whole or index.kind not in ("BTREE", "HASH"):
            continue
        name = names.name(index.name)
        unique = "UNIQUE " * index.unique
        there = printed_table(table.name.schema, table.name.name)
        columns = ", ".join(map(printed, index.columns))
        statement = (
            f"CREATE {unique}INDEX {postgres_identifier(name)} ON {there} USING btree ({columns})"
        )
        yield Definition(name, statement, index.columns)


def _postgres_key(table: TableName, key: CatalogForeignKey, names: _IndexNames) -> Definition:
    name = names.name(key.name)
    there = postgres_qualified(table.schema, table.name)
    parent = printed_table(key.parent.schema, key.parent.name)
    columns = ", ".join(map(printed, key.columns))
    body = f"FOREIGN KEY ({columns}) REFERENCES {parent}"
    body += f"({', '.join(map(printed, key.parent_columns))})"
    if key.on_update not in NO_ACTIONS:
        body += f" ON UPDATE {key.on_update}"
    if key.on_delete not in NO_ACTIONS:
        body += f" ON DELETE {key.on_delete}"
    statement = f"ALTER TABLE {there} ADD CONSTRAINT {postgres_identifier(name)} {body}"
    return Definition(name, statement, key.columns, key.parent)


def _identity(table: CatalogTable, column: CatalogColumn) -> SequenceDefinition:
    schema, name = table.name.schema, f"{_cut(table.name.name, 30)}_{_cut(column.name, 24)}_seq"
    last = table.auto_increment - 1 if table.auto_increment > 1 else None
    create = f"SEQUENCE NAME {postgres_qualified(schema, name)}"
    return SequenceDefinition(TableName(schema, name), column.name, create, last)


# --- native ---------------------------------------------------------------------------------------


def _native(
    table: CatalogTable, relation: Relation, keys: Sequence[CatalogForeignKey]
) -> TableDefinition:
    name = qualified(table.name.schema, table.name.name)
    counted = next((c.name for c in table.columns if c.auto_increment), None)
    last = table.auto_increment - 1 if table.auto_increment > 1 else None
    sequence = SequenceDefinition(table.name, counted or "", "", last)
    return TableDefinition(
        relation=relation,
        columns=tuple(
            [
                _native_column(own, column.type.name)
                for own, column in zip(table.columns, relation.columns, strict=True)
            ]
        ),
        primary_key=next(
            (_native_index(name, i) for i in table.indexes if i.name == PRIMARY), None
        ),
        indexes=tuple([_native_index(name, i) for i in table.indexes if _is_native(i)]),
        foreign_keys=tuple([_native_key(name, key) for key in keys]),
        sequences=() if counted is None else (sequence,),
        rows_estimated=table.rows,
        bytes_estimated=table.bytes,
        dialect="mysql",
    )


def _is_native(index: CatalogIndex) -> bool:
    return index.name != PRIMARY and all(index.columns)


def _native_column(column: CatalogColumn, type_: str) -> ColumnDefinition:
    default = column.default
    if default is None:
        default = ""
    elif not column.default_expression:
        default = literal(default)
    return ColumnDefinition(
        name=column.name,
        type=type_,
        nullable=column.nullable,
        default=default,
        identity="by default" if column.auto_increment else "",
        generated=column.generated,
        generated_stored=column.stored,
    )


def _native_index(table: str, index: CatalogIndex) -> Definition:
    parts = [
        identifier(column) + (f"({prefix})" if prefix else "")
        for column, prefix in zip(index.columns, index.prefixes, strict=True)
    ]
    columns = f"({', '.join(parts)})"
    if index.name == PRIMARY:
        kind = "PRIMARY KEY"
    else:
        word = (
            "UNIQUE "
            if index.unique
            else {"FULLTEXT": "FULLTEXT ", "SPATIAL": "SPATIAL "}.get(index.kind, "")
        )
        kind = f"{word}KEY {identifier(index.name)}"
    return Definition(index.name, f"ALTER TABLE {table} ADD {kind} {columns}", index.columns)


def _native_key(table: str, key: CatalogForeignKey) -> Definition:
    columns = ", ".join(map(identifier, key.columns))
    parents = ", ".join(map(identifier, key.parent_columns))
    parent = qualified(key.parent.schema, key.parent.name)
    statement = (
        f"ALTER TABLE {table} ADD CONSTRAINT {identifier(key.name)} FOREIGN KEY ({columns})"
        f" REFERENCES {parent} ({parents}) ON DELETE {key.on_delete} ON UPDATE {key.on_update}"
    )
    return Definition(key.name, statement, key.columns, key.parent)
