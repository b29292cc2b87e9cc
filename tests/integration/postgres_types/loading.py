"""Loads one table per type from one server into another, the way the full load does."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import psycopg

from connectors.postgres.catalog import Catalog
from connectors.postgres.definitions import read_definitions
from connectors.postgres.ensure import ensure
from connectors.postgres.load_connection import Connection, close, prepare
from connectors.postgres.load_form import TEXT, load_form
from connectors.postgres.snapshot import FORMATS, SnapshotReader
from connectors.postgres.sql import Sql
from engine.model.chunk import Chunk
from engine.model.relation import Relation
from tests.integration.postgres_types.values import EVERY_CASE, ArrayCase, Case, TypeCase
from tests.servers.postgres import Database


@dataclass(slots=True)
class Loaded:
    """What one pair of servers proved. `source` and `target`: their versions. `forms`: the form
    chosen, by declaration. `printed`: what each side prints of every value, by declaration and the
    form it was copied in."""

    source: int
    target: int
    forms: dict[str, str] = field(default_factory=dict[str, str])
    printed: dict[tuple[str, str], tuple[list[str | None], list[str | None]]] = field(
        default_factory=dict[tuple[str, str], tuple[list[str | None], list[str | None]]]
    )


def create(source: Database, target: Database) -> Sequence[tuple[str, Case]]:
    """Make a table `t<n>` for each type that both servers have; tell which is which."""
    version = min(int(d.execute("SHOW server_version_num")[0][0]) for d in (source, target))
    made: dict[str, Case] = {}
    missing = set()
    for n, case in enumerate(EVERY_CASE):
        base = case.element if isinstance(case, ArrayCase) else case
        if base.since > version or base.declaration in missing:
            continue
        if not _available(base, source, target) or not _fill(source, f"t{n}", case, base, version):
            missing.add(base.declaration)
            continue
        made[f"t{n}"] = case
    return list(made.items())


def _available(case: TypeCase, *databases: Database) -> bool:
    query = f"SELECT 1 FROM pg_available_extensions WHERE name = '{case.extension}'"
    return not case.extension or all(database.execute(query) for database in databases)


def _fill(source: Database, table: str, case: Case, base: TypeCase, version: int) -> bool:
    """False when this server was built without the type (xml)."""
    extension = f"CREATE EXTENSION IF NOT EXISTS {base.extension}"
    setup = extension if base.extension else base.setup
    rows = ", ".join(f"({n}, {text})" for n, text in enumerate(case.expressions(version)))
    create = f"CREATE TABLE {table} (k int PRIMARY KEY, v {case.declaration})"
    first = case is base and setup
    try:
        source.execute(
            f"{setup if first else 'SELECT 1'};{create};INSERT INTO {table} VALUES {rows}"
        )
    except psycopg.errors.FeatureNotSupported:
        return False
    return True


async def load(source: Database, target: Database) -> Loaded:
    """Create, describe, make on the target, choose the form, copy, print on both sides; each table
    in its form, and in text form as well."""
    cases = create(source, target)
    async with session_on(source) as ours, session_on(target) as theirs:
        relations = await relations_of(source)
        wanted = [relations[name] for name, _ in cases]
        everything = list(relations.values())
        await ensure(theirs, await read_definitions(ours, everything), "do-nothing")
        there = await relations_of(target)
        from_, version = (side.get_server_version().major * 10_000 for side in (ours, theirs))
        loaded = Loaded(from_, version)
        reader = SnapshotReader(lambda: asyncpg.connect(source.dsn))
        async with reader.snapshot() as snapshot:
            for (name, case), relation in zip(cases, wanted, strict=True):
                form = load_form(relation, there.get(name), version)
                loaded.forms[case.declaration] = form
                for each in dict.fromkeys((form, TEXT)):
                    await theirs.execute(f"TRUNCATE public.{name}")
                    rows = reader.rows(Chunk(relation, 0), snapshot, each)
                    await theirs.copy_to_table(
                        name, schema_name="public", source=rows, format=FORMATS[each]
                    )
                    loaded.printed[case.declaration, each] = (
                        await _print(ours, name),
                        await _print(theirs, name),
                    )
    return loaded


async def _print(connection: Connection, table: str) -> list[str | None]:
    """Every value through its type's output function; a cast to text would skip it for xml and trim
    character(n), and a row of NULLs is no NULL."""
    query = "SELECT CASE num_nulls(v) WHEN 0 THEN concat(v) END FROM public.{} ORDER BY k"
    return [row[0] for row in await connection.fetch(query.format(table))]


async def relations_of(database: Database) -> Mapping[str, Relation]:
    sql = Sql(database.dsn, "test")
    try:
        return {relation.name: relation for relation in await Catalog(sql).relations()}
    finally:
        await sql.close()


@asynccontextmanager
async def session_on(database: Database) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database.dsn)
    try:
        await prepare(connection)
        yield connection
    finally:
        await close(connection)
