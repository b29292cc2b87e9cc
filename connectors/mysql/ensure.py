"""Making the target's tables before the load, or finding out why they do not fit.

Everything is looked at before anything is changed. DDL commits by itself, a table at a time:
running it again goes on where it ended.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from connectors.mysql import table_ddl, target_state
from connectors.mysql.plan import engine_remedy, problems_of
from connectors.mysql.table_ddl import Target
from connectors.mysql.target_table import OTHER_KIND_REMEDY
from engine.errors import ConfigError, SchemaMismatchError
from engine.failpoint import hit, register
from engine.model.relation import TableName
from engine.model.table import TableDefinition

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession

MADE: Final = register("mysql.table-made", "a table is there, others are not yet")

PREPARATIONS: Final = ("do-nothing", "drop-and-create", "truncate")

MENDED: Final = "mend the target, or load with prepare = drop-and-create"


async def ensure(
    session: "MysqlSession", definitions: Sequence[TableDefinition], prepare: str
) -> None:
    """Create what is missing: databases, tables with primary key and defaults.

    `do-nothing` leaves existing tables as they are, `truncate` empties them, `drop-and-create`
    makes them anew. Idempotent, except that rows go where `prepare` says so.

    Raises:
        SchemaMismatchError: tables of another shape, all of them in one message.
        TargetConnectionError, TargetError.
    """
    if prepare not in PREPARATIONS:
        raise ConfigError("load.prepare", f"must be one of {', '.join(PREPARATIONS)}")
    target = await read_target(session)
    await _require_distinct(session, definitions)
    existing = await _existing(session, definitions, prepare)
    if existing and prepare != "do-nothing":
        await _clear(session, existing, prepare)
    for schema in dict.fromkeys(definition.table.schema for definition in definitions):
        await _make_database(session, schema)
    kept = set() if prepare == "drop-and-create" else set(existing)
    for definition in definitions:
        if definition.table not in kept:
            statement = table_ddl.create_table(definition, target)
            await session.run(statement.encode(), subject=str(definition.table))
            hit(MADE)
    session.forget()


async def read_target(session: "MysqlSession") -> Target:
    """What decides how tables are declared on this server."""
    (result,) = await session.run(
        b"SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE COLLATION_NAME IS NOT NULL"
    )
    names = frozenset([(row[0] or b"").decode() for row in result.rows])
    # MariaDB lists its newest ones without the character set that they are used with.
    full = {f"utf8mb4_{name}" for name in sorted(names) if name.startswith("uca")}
    return Target(session.flavour, names | full)


async def _make_database(session: "MysqlSession", schema: str) -> None:
    """Not IF NOT EXISTS alone: that needs the privilege also where the database is there."""
    if not await target_state.has_database(session.run, schema):
        await session.run(table_ddl.database(schema).encode(), subject=f"database {schema}")


async def _require_distinct(
    session: "MysqlSession", definitions: Sequence[TableDefinition]
) -> None:
    """Names that the server does not tell apart belong to one table."""
    (result,) = await session.run(b"SELECT @@lower_case_table_names")
    if result.rows[0][0] == b"0":
        return
    met: dict[str, TableName] = {}
    for definition in definitions:
        other = met.setdefault(str(definition.table).lower(), definition.table)
        if other != definition.table:
            raise SchemaMismatchError(
                f"{other} and {definition.table} are one and the same table on the target",
                hint="start its server with lower_case_table_names = 0, or leave one out by"
                " [mapping]",
            )


async def _existing(
    session: "MysqlSession", definitions: Sequence[TableDefinition], prepare: str
) -> list[TableName]:
    """Tables that are there; refuses what is no table, and tables of another shape."""
    existing: list[TableName] = []
    wrong: list[str] = []
    hint = MENDED
    for definition in definitions:
        table = await session.table_now(definition.table)
        if table is None:
            continue
        existing.append(definition.table)
        if table.objection and (not table.is_table or prepare != "drop-and-create"):
            wrong.append(f"{definition.table} {table.objection}")
            hint = engine_remedy(table) if table.is_table else OTHER_KIND_REMEDY
        elif prepare != "drop-and-create":
            wrong += [f"{definition.table}: {p}" for p in problems_of(definition.relation, table)]
    if wrong:
        raise SchemaMismatchError("; ".join(wrong), hint=hint)
    return existing


async def _clear(session: "MysqlSession", tables: Sequence[TableName], prepare: str) -> None:
    """Drop or empty tables that refer to each other, in any order."""
    pairs = target_state.pairs(await session.run(target_state.FOREIGN_KEYS))
    outside = [key for key in pairs if key.parent in tables and key.child not in tables]
    if outside:
        raise SchemaMismatchError(
            f"prepare = {prepare} cannot run: {outside[0].child} on the target refers to"
            f" {outside[0].parent}",
            hint="drop that foreign key on the target, or select its table too",
        )
    listed = [table_ddl.table_name(table) for table in tables]
    drop = prepare == "drop-and-create"
    statements = [f"DROP TABLE {', '.join(listed)}"] if drop else [f"TRUNCATE {n}" for n in listed]
    try:
        await session.run(
            b"SET SESSION foreign_key_checks = 0",
            *[statement.encode() for statement in statements],
            subject=", ".join(map(str, tables)),
        )
    finally:
        if not session.broken:
            await session.run(b"SET SESSION foreign_key_checks = %d" % session.config.checks_keys)
