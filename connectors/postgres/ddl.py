"""DDL text that makes a table from its definition. (pure)

Every name is quoted. Defaults are no part of CREATE TABLE: one that calls a function the target
does not have must not keep the table from being made, so each is set by a statement of its own.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from connectors._sql.quoting import identifier, literal, qualified
from engine.model.relation import TableName
from engine.model.table import ColumnDefinition, Definition, SequenceDefinition, TableDefinition

VIRTUAL_COLUMNS_FROM: Final = 180_000
"""First server version with virtual generated columns; before it they are stored."""

_NOT_VALID: Final = " NOT VALID"
_UNCHECKED: Final = (_NOT_VALID, " NOT ENFORCED")
"""Ends of constraints that say nothing about the rows there are (NOT ENFORCED: PostgreSQL 18)."""


def create_table(definition: TableDefinition, version: int) -> str:
    """CREATE TABLE with columns, NOT NULL, identity, generation and primary key.

    `version` is the target's `server_version_num`.
    """
    options = {s.column: s.create for s in definition.sequences if _of_identity(s)}
    lines = [_column(c, options.get(c.name, ""), version) for c in definition.columns]
    if definition.primary_key is not None:
        lines.append(_constraint_clause(definition.primary_key))
    return f"CREATE TABLE {table_name(definition.table)} ({', '.join(lines)})"


def set_default(table: TableName, column: ColumnDefinition) -> str:
    return (
        f"ALTER TABLE {table_name(table)} ALTER COLUMN {identifier(column.name)}"
        f" SET DEFAULT {column.default}"
    )


def create_sequences(definition: TableDefinition) -> Sequence[str]:
    """Statements for sequences that defaults call; identity columns bring their own."""
    return [s.create for s in definition.sequences if not _of_identity(s)]


def own_sequences(definition: TableDefinition) -> Sequence[str]:
    """Statements that tie a serial column's sequence to it, as on the source."""
    table = table_name(definition.table)
    return [
        f"ALTER SEQUENCE {table_name(s.name)} OWNED BY {table}.{identifier(s.column)}"
        for s in definition.sequences
        if s.column and not _of_identity(s)
    ]


def identity_index(definition: TableDefinition) -> Definition | None:
    """The unique index that finds rows by their key when there is no primary key; it is needed as
    soon as changes are applied, so it does not wait for the end of the load."""
    relation = definition.relation
    key = {relation.columns[i].name for i in relation.key}
    if definition.primary_key is not None or not key:
        return None
    unique = [*definition.indexes, *definition.constraints]
    return next((d for d in unique if is_unique(d) and set(d.columns) == key), None)


def is_unique(definition: Definition) -> bool:
    """Whether it is a unique index or constraint over whole columns and all rows."""
    statement = definition.statement
    if statement.startswith("CREATE UNIQUE INDEX"):
        return " WHERE " not in statement and "" not in definition.columns
    return constraint_body(statement).startswith("UNIQUE")


def drop_tables(tables: Sequence[TableName]) -> str:
    """One statement, so that tables referring to each other can go; nothing else is dropped."""
    return f"DROP TABLE IF EXISTS {', '.join(map(table_name, tables))}"


def truncate_tables(tables: Sequence[TableName]) -> str:
    """One statement, so that tables referring to each other can be emptied."""
    return f"TRUNCATE {', '.join(map(table_name, tables))}"


def not_valid(foreign_key: Definition) -> str:
    """The statement that adds a foreign key without looking at the rows there are."""
    statement = foreign_key.statement
    return statement if is_not_valid(foreign_key) else statement + _NOT_VALID


def is_not_valid(foreign_key: Definition) -> bool:
    """Whether it says nothing about the rows there are."""
    return foreign_key.statement.endswith(_UNCHECKED)


def validate(table: TableName, name: str) -> str:
    return f"ALTER TABLE {table_name(table)} VALIDATE CONSTRAINT {identifier(name)}"


def drop_constraint(table: TableName, name: str) -> str:
    return f"ALTER TABLE {table_name(table)} DROP CONSTRAINT {identifier(name)}"


def renamed(constraint: Definition, name: str) -> Definition:
    """The same constraint under another name."""
    head = constraint.statement.partition(" ADD CONSTRAINT ")[0]
    body = constraint_body(constraint.statement)
    statement = f"{head} ADD CONSTRAINT {identifier(name)} {body}"
    return replace(constraint, name=name, statement=statement)


def constraint_body(statement: str) -> str:
    """What a constraint says, without its name, table, and whether old rows were checked."""
    after = statement.partition(" ADD CONSTRAINT ")[2]
    if after.startswith('"'):
        end = 1
        while after[end : end + 2] == '""' or after[end] != '"':
            end += 2 if after[end : end + 2] == '""' else 1
        body = after[end + 1 :].lstrip()
    else:
        body = after.partition(" ")[2]
    return body.removesuffix(_NOT_VALID)


def index_body(statement: str) -> str:
    """What an index says, without its name: uniqueness, then table, method and columns."""
    head, _, body = statement.partition(" ON ")
    return f"{'UNIQUE ' * head.startswith('CREATE UNIQUE ')}{body}"


def set_sequence(sequence: str, last: int) -> str:
    """Move a sequence (its quoted name) to `last`, never back."""
    return (
        f"SELECT pg_catalog.setval(s.seqrelid::pg_catalog.regclass, {last})"
        f" FROM pg_catalog.pg_sequence s WHERE s.seqrelid = {literal(sequence).lstrip()}"
        f"::pg_catalog.regclass AND coalesce(CASE WHEN s.seqincrement > 0"
        f" THEN {last} > pg_catalog.pg_sequence_last_value(s.seqrelid)"
        f" ELSE {last} < pg_catalog.pg_sequence_last_value(s.seqrelid) END, true)"
    )


def table_name(table: TableName) -> str:
    return qualified(table.schema, table.name)


def _column(column: ColumnDefinition, identity_options: str, version: int) -> str:
    pieces = [identifier(column.name), column.type]
    if column.collation:
        pieces.append(f"COLLATE {column.collation}")
    if column.generated:
        stored = column.generated_stored or version < VIRTUAL_COLUMNS_FROM
        pieces.append(f"GENERATED ALWAYS AS ({column.generated}) {_STORAGE[stored]}")
    if column.identity:
        pieces.append(f"GENERATED {column.identity.upper()} AS IDENTITY")
        pieces += [f"({identity_options})"] * bool(identity_options)
    if not column.nullable:
        pieces.append("NOT NULL")
    return " ".join(pieces)


_STORAGE: Final = {True: "STORED", False: "VIRTUAL"}


def _constraint_clause(definition: Definition) -> str:
    return f"CONSTRAINT {identifier(definition.name)} {constraint_body(definition.statement)}"


def _of_identity(sequence: SequenceDefinition) -> bool:
    return sequence.create.startswith("SEQUENCE NAME ")
