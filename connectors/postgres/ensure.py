"""Making the target's tables before the load, or finding out why they do not fit.

Everything is looked at before anything is changed. Each table is made in a transaction of its own,
so neither a crash nor ten thousand tables do harm: running it again goes on where it ended.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import asyncpg

from connectors.postgres import ddl
from connectors.postgres.connecting import NONE_LEFT, certificate_refusal
from connectors.postgres.errors import DRIVER_ERRORS
from connectors.postgres.load_connection import Connection
from connectors.postgres.long_names import LONG_NAME_REMEDY, long_names
from connectors.postgres.shape import TargetColumn, mismatches
from connectors.postgres.target_errors import condition
from connectors.postgres.target_table import KIND, OTHER_KIND_REMEDY, other_kind
from connectors.postgres.user_types import made_if_missing, read_types, without_multirange
from engine.errors import (
    ConfigError,
    SchemaMismatchError,
    TargetBusyError,
    TargetConnectionError,
    TargetError,
    TargetFullError,
)
from engine.model.relation import ColumnType, Relation, TableName
from engine.model.table import TableDefinition, TypeDefinition

PREPARATIONS: Final = ("do-nothing", "drop-and-create", "truncate")

MISSING_OBJECT: Final = frozenset({"42883", "42P01", "42704", "3F000", "42501"})
"""SQLSTATEs of a default that calls what the target does not have, or not for this role."""


async def ensure(
    connection: Connection, definitions: Sequence[TableDefinition], prepare: str
) -> None:
    """Create what is missing: schemas, types, sequences, tables with primary key and defaults.

    `do-nothing` leaves existing tables as they are, `truncate` empties them, `drop-and-create`
    makes them anew (never with CASCADE: what depends on them is named in the error). Idempotent,
    except that rows go where `prepare` says so. The connection is one of `load_connection`.

    Raises:
        SchemaMismatchError: tables or types of another shape, all of them in one message; names
            that the server would cut.
        TargetConnectionError, TargetError.
    """
    if prepare not in PREPARATIONS:
        raise ConfigError("load.prepare", f"must be one of {', '.join(PREPARATIONS)}")
    try:
        await _ensure(connection, definitions, prepare)
    except DRIVER_ERRORS as error:
        raise target_error(error, "preparing the target's tables") from error


async def _ensure(
    connection: Connection, definitions: Sequence[TableDefinition], prepare: str
) -> None:
    long = [sentence for d in definitions for sentence in long_names(d.relation)]
    if long:
        raise SchemaMismatchError("; ".join(long), hint=LONG_NAME_REMEDY)
    version = int(await connection.fetchval("SELECT current_setting('server_version_num')"))
    types = list(dict.fromkeys(t for definition in definitions for t in definition.types))
    no_tables = await _no_tables(connection, [definition.table for definition in definitions])
    missing_types, wrong = await _compare_types(connection, types, version)
    if prepare != "drop-and-create":
        wrong += await _wrong_tables(connection, definitions, version)
    if wrong or no_tables:
        mended = "mend the target, or load with prepare = drop-and-create"
        hint = OTHER_KIND_REMEDY if no_tables else mended
        raise SchemaMismatchError("; ".join([*no_tables, *wrong]), hint=hint)
    existing = await _existing(connection, [definition.table for definition in definitions])
    if existing and prepare != "do-nothing":
        await _clear(connection, existing, prepare)
    for statement in missing_types:
        await connection.execute(statement)
    kept = set() if prepare == "drop-and-create" else set(existing)
    for definition in definitions:
        if definition.table not in kept:
            await _create(connection, definition, version)


# --- types ----------------------------------------------------------------------------------------


async def _compare_types(
    connection: Connection, types: Sequence[TypeDefinition], version: int
) -> tuple[Sequence[str], list[str]]:
    """Statements for what is missing, and a sentence for each type that is another one there. The
    name of a range's multirange makes no other type: the older of two servers may have none."""
    there = await _types_there(connection, types)
    missing = [t for t in types if (t.kind, t.name) not in there]
    wrong = [
        f"type {t.name} is defined differently on the target; make it the same as: {t.statement}"
        for t in types
        if there.get((t.kind, t.name)) not in (None, "", without_multirange(t))
    ]
    return [made_if_missing(t, version) for t in missing], wrong


async def _types_there(
    connection: Connection, types: Sequence[TypeDefinition]
) -> dict[tuple[str, TableName], str]:
    """Statements of those that exist; empty for schemas and extensions, equal by name."""
    schemas = await connection.fetch("SELECT nspname FROM pg_catalog.pg_namespace")
    extensions = await connection.fetch("SELECT extname FROM pg_catalog.pg_extension")
    there = {("schema", TableName(row[0], "")): "" for row in schemas}
    there |= {("extension", TableName("", row[0])): "" for row in extensions}
    named = [t.name for t in types if t.kind not in ("schema", "extension")]
    rows = await connection.fetch(
        "SELECT t.oid FROM pg_catalog.pg_type t"
        " JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
        " JOIN ROWS FROM (unnest($1::text[]), unnest($2::text[])) w(schema, name)"
        " ON n.nspname = w.schema AND t.typname = w.name",
        [name.schema for name in named],
        [name.name for name in named],
    )
    oids = [row[0] for row in rows]
    found = await read_types(connection.fetch, oids)
    for definition in found.needed(oids):
        if definition.kind not in ("schema", "extension"):
            there[definition.kind, definition.name] = without_multirange(definition)
    return there


# --- tables ---------------------------------------------------------------------------------------


async def _no_tables(connection: Connection, tables: Sequence[TableName]) -> list[str]:
    """A sentence for each object that has a table's name and is none: dropping it is no way to
    prepare a load."""
    rows = await connection.fetch(_KINDS, [ddl.table_name(table) for table in tables])
    found = [(tables[row["n"] - 1], other_kind(row["kind"])) for row in rows]
    return [f"{table} {kind}" for table, kind in found if kind is not None]


async def _wrong_tables(
    connection: Connection, definitions: Sequence[TableDefinition], version: int
) -> list[str]:
    relations = [definition.relation for definition in definitions]
    generated = {
        (definition.table, column.name)
        for definition in definitions
        for column in definition.columns
        if column.generated
    }
    rows = await connection.fetch(
        _COLUMNS, [ddl.table_name(relation.table) for relation in relations]
    )
    columns: dict[int, dict[str, TargetColumn]] = {}
    for row in rows:
        columns.setdefault(row["n"], {})
        if row["attname"] is not None:
            columns[row["n"]][row["attname"]] = _target_column(row)
    wrong: list[str] = []
    for n, relation in enumerate(relations, 1):
        if n in columns:
            there = columns[n]
            wrong += mismatches(relation, _without_generated(relation, there, generated), version)
    return wrong


def _without_generated(
    relation: Relation,
    columns: dict[str, TargetColumn],
    generated: set[tuple[TableName, str]],
) -> dict[str, TargetColumn]:
    """Columns generated on both sides are not written, so their shape does not matter."""
    return {
        name: column
        for name, column in columns.items()
        if not (column.generated and (relation.table, name) in generated)
    }


def _target_column(row: asyncpg.Record) -> TargetColumn:
    type_ = ColumnType(row["type"], row["atttypid"], row["atttypmod"])
    return TargetColumn(type_, row["generated"], row["filled"])


async def _existing(connection: Connection, tables: Iterable[TableName]) -> Sequence[TableName]:
    wanted = list(tables)
    rows = await connection.fetch(
        "SELECT n FROM unnest($1::text[]) WITH ORDINALITY w(name, n)"
        " WHERE pg_catalog.to_regclass(name) IS NOT NULL",
        [ddl.table_name(table) for table in wanted],
    )
    return [wanted[row[0] - 1] for row in rows]


async def _clear(connection: Connection, tables: Sequence[TableName], prepare: str) -> None:
    drop = prepare == "drop-and-create"
    statement = ddl.drop_tables(tables) if drop else ddl.truncate_tables(tables)
    try:
        await connection.execute(statement)
    except (asyncpg.DependentObjectsStillExistError, asyncpg.FeatureNotSupportedError) as error:
        raise SchemaMismatchError(
            f"prepare = {prepare} cannot run: another object of the target depends on one of"
            f" {', '.join(map(str, tables))}",
            hint="drop that view or foreign key on the target, or select its table too",
        ) from error


async def _create(connection: Connection, definition: TableDefinition, version: int) -> None:
    async with connection.transaction():
        definition = await _with_free_key_name(connection, definition)
        for statement in ddl.create_sequences(definition):
            await connection.execute(statement)
        await connection.execute(ddl.create_table(definition, version))
        for column in definition.columns:
            if column.default:
                await set_default(connection, ddl.set_default(definition.table, column))
        for statement in ddl.own_sequences(definition):
            await connection.execute(statement)
        if (index := ddl.identity_index(definition)) is not None:
            await connection.execute(index.statement)


async def _with_free_key_name(
    connection: Connection, definition: TableDefinition
) -> TableDefinition:
    """The definition, its primary key under another name when something has that name: a table that
    was renamed on the source keeps its key's name, and so does the one it was here."""
    key = definition.primary_key
    names = [] if key is None else [key.name, *(f"{key.name[:50]}_{n}" for n in range(1, 100))]
    taken = await connection.fetch(
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
        " ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])",
        definition.table.schema,
        names,
    )
    free = next((n for n in names if n not in {row[0] for row in taken}), None)
    if key is None or free is None or free == key.name:
        return definition
    return replace(definition, primary_key=ddl.renamed(key, free))


async def set_default(connection: Connection, statement: str) -> str:
    """Set a default; the SQLSTATE when the target lacks what it calls, else an empty text.

    `finish` tries once more and reports those still missing.
    """
    try:
        async with connection.transaction():
            await connection.execute(statement)
    except asyncpg.PostgresError as error:
        if error.sqlstate not in MISSING_OBJECT:
            raise
        return error.sqlstate
    return ""


def target_error(error: Exception, doing: str) -> TargetError:
    """The engine's error for a driver's."""
    state = getattr(error, "sqlstate", None) or ""
    refused = certificate_refusal(error)
    if refused is not None:
        return TargetError(f"{doing}: {refused[0]}", hint=refused[1])
    lost = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    if isinstance(error, lost) or state[:2] in ("08", "57"):
        return TargetConnectionError(f"{doing}: the connection to the target broke")
    if state == "53300":
        words = f"{_shown(error)} ({condition(state)})"
        return TargetConnectionError(f"{doing}: {words}", hint=NONE_LEFT)
    if state[:2] == "53":
        return TargetFullError(
            f"{doing}: {_shown(error)} ({condition(state)})", hint="make room on the target server"
        )
    if state[:2] == "40" or state == "55P03":
        return TargetBusyError(f"{doing}: the target is busy ({condition(state)})")
    if state == "42501":
        return TargetError(
            f"{doing}: permission denied",
            hint="grant CREATE on the schema (and on the database for new schemas) to the role",
        )
    if state[:2] == "42" or state == "0A000":
        return SchemaMismatchError(f"{doing}: {_shown(error)} ({condition(state)})")
    return TargetError(f"{doing}: {condition(state)}")


def _shown(error: Exception) -> str:
    """The server's message; for these classes it holds names and no values."""
    return str(getattr(error, "message", ""))


_KINDS: Final = f"""
SELECT w.n, ({KIND})::text AS kind
FROM unnest($1::text[]) WITH ORDINALITY w(name, n)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(w.name)
ORDER BY w.n
"""

_COLUMNS: Final = """
SELECT w.n, a.attname, a.atttypid, a.atttypmod,
  format_type(a.atttypid, a.atttypmod) AS type, a.attgenerated::text <> '' AS generated,
  NOT a.attnotnull OR a.atthasdef OR a.attidentity::text <> '' OR a.attgenerated::text <> ''
    AS filled
FROM unnest($1::text[]) WITH ORDINALITY w(name, n)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(w.name)
LEFT JOIN pg_catalog.pg_attribute a
  ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
"""
