"""DDL text that makes a table from its definition, in either dialect. (pure)

A definition in MySQL's own dialect is taken as it is, but for collations and types that the target
does not know. One in PostgreSQL's is translated; what has no counterpart is left out and told.

Of the dialect `mysql`: `ColumnDefinition.type` is the whole type with its character set, `default`
what follows DEFAULT, `identity` is not empty for AUTO_INCREMENT; statements of keys and indexes are
`ALTER TABLE ... ADD ...`.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from connectors.mysql import postgres_ddl
from connectors.mysql.column_type import INTEGERS, parse
from connectors.mysql.declare import Declared, declare
from connectors.mysql.flavour import Flavour
from connectors.mysql.native_ddl import adapted
from connectors.mysql.quoting import identifier, qualified
from engine.model.relation import TableName
from engine.model.table import ColumnDefinition, Definition, TableDefinition

DIALECT: Final = "mysql"

OPTIONS: Final = (
    "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"
)

NAME_MAX: Final = 64
PREFIX_LENGTH: Final = 191
"""Characters of a text that a plain index holds."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the target knows. `collations`: by name."""

    flavour: Flavour
    collations: frozenset[str]


@dataclass(slots=True)
class Made:
    """A table in this dialect. `untranslated` are parts that have no counterpart: kind and name."""

    columns: dict[str, str] = field(default_factory=dict[str, str])
    primary: str = ""
    untranslated: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    shortened: list[str] = field(default_factory=list[str])


def database(schema: str) -> str:
    return f"CREATE DATABASE IF NOT EXISTS {identifier(schema)} DEFAULT CHARACTER SET utf8mb4"


def table_name(table: TableName) -> str:
    return qualified(table.schema, table.name)


def make(definition: TableDefinition, target: Target) -> Made:
    """The table's columns and the key that is needed as soon as changes are applied."""
    if definition.dialect == DIALECT:
        return _native(definition, target)
    return _translated(definition, target)


def create_table(definition: TableDefinition, target: Target) -> str:
    made = make(definition, target)
    lines = [f"{identifier(name)} {text}" for name, text in made.columns.items()]
    lines += [made.primary] * bool(made.primary)
    options = OPTIONS.format(collation=target.flavour.bytewise_collation)
    return f"CREATE TABLE {table_name(definition.table)} ({', '.join(lines)}) {options}"


def _native(definition: TableDefinition, target: Target) -> Made:
    made = Made()
    for column in definition.columns:
        type_ = adapted(column.type, target.flavour, target.collations)
        default = expression(column.default) if column.default else ""
        made.columns[column.name] = _column(column, type_, default)
    key = definition.primary_key or _identity_index(definition)
    needed = [key, _counted_index(definition, key)]
    made.primary = ", ".join([d.statement.partition(" ADD ")[2] for d in needed if d is not None])
    return made


_SIMPLE: Final = re.compile(
    r"-?[\d.]+(?:e-?\d+)?|(?:_\w+ ?)?'(?:[^'\\]|''|\\.)*'|[bx]'[0-9a-f]*'|NULL"
    r"|current_timestamp(?:\(\d?\))?(?: on update current_timestamp(?:\(\d?\))?)?|\(.*\)",
    re.IGNORECASE | re.DOTALL,
)


def expression(text: str) -> str:
    """A default of the native dialect as it follows DEFAULT: what is no plain constant stands in
    parentheses. The catalog of MySQL writes quotes inside an expression with a backslash."""
    if _SIMPLE.fullmatch(text):
        return text
    return f"({text.replace(chr(92) + chr(39), chr(39))})"


def _counted_index(definition: TableDefinition, made_with: Definition | None) -> Definition | None:
    """The index that a counting column needs from the start, where the key does not begin with
    it."""
    counted = next((column.name for column in definition.columns if column.identity), None)
    if counted is None or (made_with is not None and made_with.columns[:1] == (counted,)):
        return None
    return next((d for d in definition.indexes if d.columns[:1] == (counted,)), None)


def _identity_index(definition: TableDefinition) -> Definition | None:
    """The unique index that finds rows when there is no primary key."""
    relation = definition.relation
    key = {relation.columns[index].name for index in relation.key}
    unique = [*definition.indexes, *definition.constraints]
    return next(
        (d for d in unique if key and set(d.columns) == key and is_unique(definition, d)), None
    )


def is_unique(definition: TableDefinition, index: Definition) -> bool:
    if definition.dialect == DIALECT:
        return " ADD UNIQUE " in index.statement
    return postgres_ddl.is_unique(index)


def _column(column: ColumnDefinition, type_: str, default: str) -> str:
    pieces = [type_]
    if column.generated:
        stored = "STORED" if column.generated_stored else "VIRTUAL"
        text = column.generated.replace("\\'", "'")
        pieces.append(f"GENERATED ALWAYS AS ({text}) {stored}")
    if not column.nullable:
        pieces.append("NOT NULL")
    elif not column.generated:
        pieces.append("NULL")
    if column.identity:
        pieces.append("AUTO_INCREMENT")
    elif default:
        pieces.append(f"DEFAULT {default}")
    return " ".join(pieces)


# --- from PostgreSQL ------------------------------------------------------------------------------


def _translated(definition: TableDefinition, target: Target) -> Made:
    made = Made()
    relation = definition.relation
    types = {column.name: column.type for column in relation.columns}
    keyed = _keyed(definition)
    declared = declare(types, keyed & types.keys(), target.flavour)
    key = _key(definition)
    counted = _counted(definition, declared, key)
    for column in definition.columns:
        if column.name not in declared:
            made.untranslated.append(("generated column", column.name))
            continue
        made.columns[column.name] = _translated_column(column, declared, counted, key, made)
    if key:
        kind = "PRIMARY KEY" if definition.primary_key is not None else "UNIQUE KEY"
        made.primary = f"{kind} ({', '.join(map(identifier, key))})"
    made.shortened = [name for name, found in declared.items() if found.shortened]
    return made


def _translated_column(
    column: ColumnDefinition,
    declared: dict[str, Declared],
    counted: str,
    key: Collection[str],
    made: Made,
) -> str:
    default = ""
    if column.default and column.name != counted and "nextval(" not in column.default:
        found = postgres_ddl.default(column.default)
        if found is None:
            made.untranslated.append(("default of column", column.name))
        else:
            default = f"({found})"
    plain = ColumnDefinition(
        name=column.name,
        type="",
        nullable=column.nullable and column.name not in key,
        identity="by default" if column.name == counted else "",
    )
    return _column(plain, declared[column.name].sql, default)


def _key(definition: TableDefinition) -> tuple[str, ...]:
    """Columns of the primary key, or of the index that rows are found by."""
    if definition.primary_key is not None:
        return definition.primary_key.columns
    index = _identity_index(definition)
    return () if index is None else index.columns


def _keyed(definition: TableDefinition) -> frozenset[str]:
    """Columns that a key takes whole."""
    found = set(_key(definition))
    for index in (*definition.indexes, *definition.constraints):
        if postgres_ddl.is_unique(index):
            found.update(index.columns)
    for foreign in definition.foreign_keys:
        found.update(foreign.columns)
    return frozenset(found)


def _counted(
    definition: TableDefinition, declared: dict[str, Declared], key: tuple[str, ...]
) -> str:
    """The column that becomes AUTO_INCREMENT: one of integers, and the first of the key."""
    sequences = {sequence.column for sequence in definition.sequences}
    for column in definition.columns:
        numbered = column.identity or column.name in sequences
        if numbered and key[:1] == (column.name,) and column.name in declared:
            base = parse(declared[column.name].sql).base
            return column.name if base in INTEGERS else ""
    return ""


# --- after the load -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Addition:
    """An index or foreign key to be added: its kind for messages, name and whole statement; an
    empty statement has no counterpart here."""

    kind: str
    name: str
    statement: str
    columns: tuple[str, ...] = ()
    parent: TableName | None = None


def indexes(definition: TableDefinition, target: Target) -> Iterator[Addition]:
    """Indexes and unique keys beside the one that the table was made with."""
    made_with = definition.primary_key or _identity_index(definition)
    for index in (*definition.indexes, *definition.constraints):
        if index is made_with:
            continue
        if definition.dialect == DIALECT:
            yield Addition("index", index.name, index.statement, index.columns)
        else:
            yield _translated_index(definition, index, target)


def _translated_index(definition: TableDefinition, index: Definition, target: Target) -> Addition:
    unique = postgres_ddl.is_unique(index)
    kind = "constraint" if " ADD CONSTRAINT " in index.statement else "index"
    if not unique and not postgres_ddl.is_plain_index(index):
        return Addition(kind, index.name, "", index.columns)
    columns = {column.name: column.type for column in definition.relation.columns}
    if any(name not in columns for name in index.columns):
        return Addition(kind, index.name, "", index.columns)
    declared = declare(columns, _keyed(definition) & columns.keys(), target.flavour)
    part = identifier if unique else lambda name: _part(name, declared[name])
    parts = ", ".join(map(part, index.columns))
    word = "UNIQUE INDEX" if unique else "INDEX"
    statement = (
        f"ALTER TABLE {table_name(definition.table)} ADD {word}"
        f" {identifier(index.name[:NAME_MAX])} ({parts})"
    )
    return Addition(kind, index.name, statement, index.columns)


def _part(name: str, declared: Declared) -> str:
    """A column within an index; of a long text only its beginning."""
    kind = parse(declared.sql)
    whole = kind.length is not None or kind.base not in ("longtext", "longblob")
    fits = declared.size - 2 <= 4 * PREFIX_LENGTH or not declared.sql.startswith("varchar")
    return identifier(name) if whole and fits else f"{identifier(name)}({PREFIX_LENGTH})"


def foreign_keys(definition: TableDefinition) -> Iterator[Addition]:
    for key in definition.foreign_keys:
        statement = key.statement
        if definition.dialect != DIALECT:
            statement = _translated_foreign_key(definition.table, key)
        yield Addition("foreign-key", key.name, statement, key.columns, key.parent)


def _translated_foreign_key(table: TableName, key: Definition) -> str:
    found = postgres_ddl.reference(key)
    if found is None or key.parent is None or "SET DEFAULT" in (found.on_update, found.on_delete):
        return ""
    update = f" ON UPDATE {found.on_update}" if found.on_update else ""
    delete = f" ON DELETE {found.on_delete}" if found.on_delete else ""
    return (
        f"ALTER TABLE {table_name(table)} ADD CONSTRAINT {identifier(key.name[:NAME_MAX])}"
        f" FOREIGN KEY ({', '.join(map(identifier, found.columns))})"
        f" REFERENCES {table_name(key.parent)} ({', '.join(map(identifier, found.parents))})"
        f"{update}{delete}"
    )


def next_value(definition: TableDefinition) -> int | None:
    """The first value that AUTO_INCREMENT may give; None where it does not count."""
    counted = {c.name for c in definition.columns if c.identity} | {
        sequence.column for sequence in definition.sequences
    }
    last = [s.last for s in definition.sequences if s.column in counted and s.last is not None]
    return max(last) + 1 if last and max(last) > 0 else None
