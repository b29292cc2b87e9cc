"""Tables as the source's catalog defines them, as statements a PostgreSQL target can run.

What is kept: columns with type, collation, default, identity and generation; the primary key;
indexes, unique, exclusion, check and foreign key constraints with their deferrability; sequences
and user-defined types. Not kept: owners, privileges, row security, triggers, rules, comments,
storage parameters, tablespaces, statistics objects.

A partitioned table becomes one plain table: its partitions are a matter of the source's storage
and retention, a target often wants others or none, and rows are routed into any partitioned table
that is already there under that name. Inheriting tables become tables of their own, with every
column and constraint they inherit.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import asyncpg

from connectors._sql.quoting import qualified
from connectors.postgres.definition_queries import (
    COLUMNS,
    CONSTRAINTS,
    INDEXES,
    SEQUENCES,
    TABLES,
)
from connectors.postgres.errors import DRIVER_ERRORS, source_error
from connectors.postgres.load_connection import Connection
from connectors.postgres.user_types import UserTypes, read_types, schema_definition
from engine.model.relation import Relation, TableName
from engine.model.table import (
    ColumnDefinition,
    Definition,
    SequenceDefinition,
    TableDefinition,
    TypeDefinition,
)

DIALECT: Final = "postgres"

_IDENTITY: Final = {"a": "always", "d": "by default", "": ""}

_Rows = Mapping[int, Sequence[asyncpg.Record]]


async def read_definitions(
    connection: Connection, relations: Sequence[Relation]
) -> Sequence[TableDefinition]:
    """A definition for each relation that is a table now, in the order given.

    Foreign keys are those between these tables. The connection is one of `load_connection`: names
    come out qualified. A handful of round trips, whatever the number of tables.

    Raises:
        SourceConnectionError, SourceError.
    """
    try:
        return await _read(connection, relations)
    except DRIVER_ERRORS as error:
        raise source_error(error, "reading table definitions") from error


async def _read(connection: Connection, relations: Sequence[Relation]) -> Sequence[TableDefinition]:
    names = [qualified(relation.schema, relation.name) for relation in relations]
    tables = await connection.fetch(TABLES, names)
    oids = [row["oid"] for row in tables]
    columns = _by_table(await connection.fetch(COLUMNS, oids))
    constraints = _by_table(await connection.fetch(CONSTRAINTS, oids))
    indexes = _by_table(await connection.fetch(INDEXES, oids))
    sequences = _by_table(await connection.fetch(SEQUENCES, oids))
    types = await read_types(connection.fetch, _type_oids(columns))
    return [
        _table(
            relations[row["n"] - 1],
            row,
            columns[row["oid"]],
            constraints[row["oid"]],
            indexes[row["oid"]],
            sequences[row["oid"]],
            types,
        )
        for row in tables
    ]


def _table(
    relation: Relation,
    row: asyncpg.Record,
    columns: Sequence[asyncpg.Record],
    constraints: Sequence[asyncpg.Record],
    indexes: Sequence[asyncpg.Record],
    sequences: Sequence[asyncpg.Record],
    types: UserTypes,
) -> TableDefinition:
    by_kind: dict[bytes, list[Definition]] = defaultdict(list)
    for constraint in constraints:
        by_kind[constraint["contype"]].append(_constraint(relation, constraint))
    return TableDefinition(
        relation=relation,
        columns=tuple(map(_column, columns)),
        primary_key=next(iter(by_kind[b"p"]), None),
        indexes=tuple(_index(index) for index in indexes),
        constraints=tuple(by_kind[b"u"] + by_kind[b"x"] + by_kind[b"c"]),
        foreign_keys=tuple(by_kind[b"f"]),
        sequences=tuple(map(_sequence, sequences)),
        types=_types(relation, columns, sequences, types),
        partition_key=row["partition_key"] or "",
        rows_estimated=row["rows"],
        bytes_estimated=row["bytes"],
        dialect=DIALECT,
    )


def _column(row: asyncpg.Record) -> ColumnDefinition:
    generated = row["generated"] != ""
    expression = row["expression"] or ""
    return ColumnDefinition(
        name=row["attname"],
        type=row["type"],
        nullable=not row["attnotnull"],
        default="" if generated else expression,
        identity=_IDENTITY[row["identity"]],
        generated=expression if generated else "",
        generated_stored=row["generated"] != "v",
        collation=row["collation"] or "",
    )


def _constraint(relation: Relation, row: asyncpg.Record) -> Definition:
    table = qualified(relation.schema, relation.name)
    statement = f"ALTER TABLE {table} ADD CONSTRAINT {row['name']} {row['definition']}"
    parent = TableName(row["parent_schema"], row["parent_name"]) if row["parent_name"] else None
    return Definition(row["conname"], statement, tuple(row["columns"]), parent)


def _index(row: asyncpg.Record) -> Definition:
    return Definition(row["relname"], row["definition"], tuple(row["columns"]))


def _sequence(row: asyncpg.Record) -> SequenceDefinition:
    """`column`: the one that owns it, empty when a default merely uses it. `create`: the whole
    statement, or for an identity column's the options that stand in its parentheses."""
    name = TableName(row["schema"], row["name"])
    identity = row["deptype"] == b"i"
    quoted = qualified(name.schema, name.name)
    create = (
        f"SEQUENCE NAME {quoted} {row['options']}"
        if identity
        else f"CREATE SEQUENCE IF NOT EXISTS {quoted} AS {row['type']} {row['options']}"
    )
    return SequenceDefinition(name, row["column"] or "", create, row["last"])


def _types(
    relation: Relation,
    columns: Sequence[asyncpg.Record],
    sequences: Sequence[asyncpg.Record],
    types: UserTypes,
) -> tuple[TypeDefinition, ...]:
    """What must be there before the table: its schema, its types, the schemas of its sequences."""
    found = [schema_definition(relation.schema), *types.needed(c["atttypid"] for c in columns)]
    found += [schema_definition(sequence["schema"]) for sequence in sequences]
    return tuple(dict.fromkeys(found))


def _type_oids(columns: _Rows) -> Iterable[int]:
    return {column["atttypid"] for rows in columns.values() for column in rows}


def _by_table(rows: Sequence[asyncpg.Record]) -> _Rows:
    grouped: dict[int, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        grouped[row["relation"]].append(row)
    return grouped
