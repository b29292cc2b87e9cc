"""Carries every type through a real load, a real binary log and a real apply.

`t_<group>` holds the values of a group and is loaded. The application writes them to two more
tables: `s_<group>` with a key, `f_<group>` without one, whose first rows were loaded and whose rows
are found by all of their values. Each step is one transaction of the source; its changes are folded
as a lane folds them and written table by table, so a group that fails spoils no other.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import pymysql

from connectors.mysql.session import MysqlSession
from connectors.mysql.source import MysqlSource
from connectors.mysql.source_config import SERVER_ID_FIRST, MysqlSourceConfig
from connectors.mysql.target import MysqlTarget
from connectors.mysql.target_config import MysqlTargetConfig
from connectors.postgres.session import PostgresSession
from connectors.postgres.target import PostgresTarget
from connectors.postgres.target_config import PostgresTargetConfig
from engine.apply.fold import arrange
from engine.config.url import parse_url
from engine.errors import TargetError
from engine.model.change import Block, Change
from engine.model.position import Position
from engine.model.relation import Relation, TableName
from engine.seams import SystemClock, SystemRandom
from tests.integration.mysql_types.values import Group, TypeCase, groups
from tests.servers.mysql import MysqlDatabase, MysqlServer
from tests.servers.postgres import Database

PATIENCE_SECONDS: Final = 120.0
"""For one step of all types, on a busy machine."""

SCHEMA: Final = "every_type"

SERVER_ID: Final = SERVER_ID_FIRST + 77_000
"""Like that of no other reader of these servers."""

SETTINGS: Final = "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'"

APART: Final = 1_000
"""Between the keys of rows that one value comes to."""

TIMES: Final = 4
"""Each row, in the steps that come as sets: more than go row by row."""

Print: TypeAlias = Callable[[Group, str], Sequence[Sequence[str | None]]]
"""The rows of one of a group's tables (its first letter) in a target, by key."""

Rows: TypeAlias = list[tuple[int, int]]
"""A table's rows: their keys, and which row of values each has."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the application does to a group's table `table`, and to which rows that leads."""

    name: str
    table: str
    sql: str
    leads_to: Callable[[Rows, int], Rows]


def _inserted(rows: Rows, count: int) -> Rows:
    return rows + [(APART + k, k) for k in range(count)]


def _inserted_often(rows: Rows, count: int) -> Rows:
    more = [(APART * j + k, k) for j in range(2, 2 + TIMES) for k in range(count)]
    return rows + more


def _next(rows: Rows, count: int) -> Rows:
    return [(key, (row + 1) % count) for key, row in rows]


def _even_gone(rows: Rows, _count: int) -> Rows:
    return [(key, row) for key, row in rows if key % 2]


def _first(rows: Rows, _count: int) -> Rows:
    return [(key, row) for key, row in rows if key < 2 * APART]


_COPIES: Final = " UNION ALL ".join([f"SELECT {2 + n} AS j" for n in range(TIMES)])
_COPY: Final = f"(k, {{names}}) SELECT k + {APART}, {{names}} FROM {{t}}"

STEPS: Final = (
    Step("insert", "s", f"INSERT INTO {{s}} {_COPY}", _inserted),
    Step("insert", "f", f"INSERT INTO {{f}} {_COPY}", _inserted),
    Step("insert as a set", "s", f"INSERT INTO {{s}} (k, {{names}}) SELECT k + j * {APART},"
         f" {{names}} FROM {{t}} CROSS JOIN ({_COPIES}) copies", _inserted_often),
    Step("update", "s", f"UPDATE {{s}} o JOIN {{t}} t ON t.k = (o.k % {APART} + 1) % {{count}}"
         " SET {set}", _next),
    Step("update", "f", f"UPDATE {{f}} o JOIN {{t}} t ON t.k = (o.k % {APART} + 1) % {{count}}"
         " SET {set}", _next),
    Step("delete", "s", f"DELETE FROM {{s}} WHERE k >= {2 * APART}", _first),
    Step("delete", "f", "DELETE FROM {f} WHERE k % 2 = 0", _even_gone),
)  # fmt: skip


@dataclass(slots=True)
class Carried:
    """What one replication proved. `types`: the target's, by group and column; `wrong`: by group,
    table and step, what was not as it should be afterwards, or the error."""

    types: dict[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    groups: list[Group] = field(default_factory=list[Group])
    wrong: dict[tuple[str, str, str], str] = field(default_factory=dict[tuple[str, str, str], str])


# --- the source -----------------------------------------------------------------------------------


class Application:
    """The source's tables and who writes them."""

    def __init__(self, server: MysqlServer, groups: Sequence[Group]) -> None:
        self._server = server
        self.groups = groups

    def create(self) -> None:
        self._server.drop_database(SCHEMA)
        self._server.create_database(SCHEMA)
        statements: list[str] = []
        for group in self.groups:
            for table, key in (("t", "PRIMARY KEY"), ("s", "PRIMARY KEY"), ("f", "")):
                columns = f"k int NOT NULL {key}, {group.declarations()}"
                statements.append(f"CREATE TABLE {table}_{group.name} ({columns})")
            names = ", ".join(("k", *group.written))
            rows = ", ".join([f"({', '.join((str(n), *group.sql(n)))})" for n in range(group.rows)])
            statements.append(f"INSERT INTO t_{group.name} ({names}) VALUES {rows}")
            statements.append(
                f"INSERT INTO f_{group.name} ({names}) SELECT {names} FROM t_{group.name}"
            )
        self._run(statements)

    def does(self, name: str) -> None:
        """A step, in one transaction."""
        texts = [(step, group) for group in self.groups for step in STEPS if step.name == name]
        self._run([_statement(step, group) for step, group in texts])

    def _run(self, statements: Sequence[str]) -> None:
        connection = self._server.connect(SCHEMA)
        with connection, connection.cursor() as cursor:
            cursor.execute(SETTINGS)
            cursor.execute("SET autocommit = 0")
            for statement in statements:
                try:
                    cursor.execute(statement)
                except pymysql.Error as error:
                    error.add_note(statement[:2_000])
                    raise
            connection.commit()

    def query(self, sql: str) -> list[tuple[object, ...]]:
        return list(self._server.execute(sql, database=SCHEMA))


def _statement(step: Step, group: Group) -> str:
    return step.sql.format(
        **{table: f"{table}_{group.name}" for table in "tsf"},
        names=", ".join(group.written),
        count=group.rows,
        set=", ".join([f"o.{name} = t.{name}" for name in group.written]),
    )


@asynccontextmanager
async def source_of(server: MysqlServer, form: str) -> AsyncIterator[MysqlSource]:
    config = MysqlSourceConfig(
        replication="every-type",
        engine="mariadb" if server.mariadb else "mysql",
        url=parse_url(server.url()),
        server_id=SERVER_ID,
        execute_timeout_seconds=30,
    )
    source = MysqlSource(config, SystemClock())
    source.speak([form])
    await source.open()
    try:
        yield source
    finally:
        await source.close()


@asynccontextmanager
async def into_postgres(
    database: Database,
) -> AsyncIterator[tuple[PostgresTarget, PostgresSession]]:
    target = PostgresTarget(PostgresTargetConfig(replication="types", conninfo=database.dsn))
    try:
        await target.prepare_control()
        async with target.session() as session:
            yield target, session
    finally:
        await target.close()


@asynccontextmanager
async def into_mysql(server: MysqlServer) -> AsyncIterator[tuple[MysqlTarget, MysqlSession]]:
    server.drop_database(SCHEMA)
    config = MysqlTargetConfig(replication="types", url=parse_url(server.url()))
    target = MysqlTarget(config, SystemRandom())
    try:
        await target.open()
        await target.prepare_control()
        async with target.session() as session:
            yield target, session
    finally:
        await target.close()


# --- both ways ------------------------------------------------------------------------------------

Target: TypeAlias = PostgresTarget | MysqlTarget
Session: TypeAlias = PostgresSession | MysqlSession


async def load(source: MysqlSource, target: Target, session: Session, relation: Relation) -> None:
    """All rows of a table, as the loader copies them."""
    form = source.load_form(await target.load_form(relation))
    async with source.snapshot() as snapshot:
        for chunk in await source.chunks(relation, 1_000):
            async with session.begin() as transaction:
                rows = source.rows(chunk, snapshot, form)
                await transaction.load(relation, form, rows)
                await transaction.commit()


async def relations_of(source: MysqlSource, schema: str) -> list[Relation]:
    return [r for r in await source.relations() if r.schema == schema]


class Carrying:
    """One replication of every group, from `run`."""

    def __init__(
        self,
        application: Application,
        source: MysqlSource,
        target: Target,
        session: Session,
        compare: Callable[[Group, str, Rows], str],
    ) -> None:
        self._application = application
        self._source, self._target, self._session = source, target, session
        self._compare = compare
        self._rows: dict[str, Rows] = {}
        self._proved = Carried(groups=list(application.groups))

    async def run(self) -> Carried:
        relations = await relations_of(self._source, SCHEMA)
        named = {relation.name: relation for relation in relations}
        await self._target.ensure(
            await self._source.definitions([r.table for r in relations]), "do-nothing"
        )
        streamed: list[TableName] = []
        for group in self._application.groups:
            for table in "tsf":
                name = f"{table}_{group.name}"
                self._rows[name] = [] if table == "s" else [(k, k) for k in range(group.rows)]
                if table != "s":
                    await self._load(group, table, named[name])
                if table != "t":
                    streamed.append(TableName(SCHEMA, name))
        start = (await self._source.attach(streamed, ())).start
        async with aclosing(self._source.blocks(start)) as blocks:
            for name in dict.fromkeys(step.name for step in STEPS):
                await self._step(name, blocks)
        return self._proved

    async def _load(self, group: Group, table: str, relation: Relation) -> None:
        try:
            await load(self._source, self._target, self._session, relation)
        except TargetError as error:
            self._give_up(group, table, "load", f"{type(error).__name__}: {error}")
        else:
            self._check(group, table, "load")

    async def _step(self, name: str, blocks: AsyncGenerator[Block, None]) -> None:
        self._application.does(name)
        changes = await self._changes(blocks)
        for group in self._application.groups:
            for step in STEPS:
                table = f"{step.table}_{group.name}"
                if step.name == name and table in self._rows:
                    self._rows[table] = step.leads_to(self._rows[table], group.rows)
                    await self._apply(group, step, changes[table])

    async def _apply(self, group: Group, step: Step, told: list[Change]) -> None:
        assert told, (group.name, step.name, step.table)
        try:
            async with self._session.begin() as transaction:
                await transaction.write(arrange(told, grouped=True))
                await transaction.commit()
        except TargetError as error:
            self._give_up(group, step.table, step.name, f"{type(error).__name__}: {error}")
        else:
            self._check(group, step.table, step.name)

    async def _changes(self, blocks: AsyncGenerator[Block, None]) -> Mapping[str, list[Change]]:
        """Everything up to the head of the log, by table."""
        found: dict[str, list[Change]] = defaultdict(list)
        head = await self._source.head()
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for block in blocks:
                for part in block.parts:
                    for event in part.events:
                        if isinstance(event, Change):
                            found[event.relation.name].append(event)
                if _reached(block, head):
                    return found
        raise AssertionError("the stream ended")

    def _check(self, group: Group, table: str, step: str) -> None:
        difference = self._compare(group, table, self._rows[f"{table}_{group.name}"])
        if difference:
            self._give_up(group, table, step, difference)

    def _give_up(self, group: Group, table: str, step: str, why: str) -> None:
        self._rows.pop(f"{table}_{group.name}", None)
        self._proved.wrong[group.name, table, step] = why


def _reached(block: Block, head: Position) -> bool:
    end = block.idle or (block.parts[-1].end if block.parts else None)
    return end is not None and end.reaches(head)


def difference(
    group: Group, ours: Sequence[Sequence[str | None]], theirs: Sequence[Sequence[str | None]]
) -> str:
    """Empty where both are equal; else which columns are not, with a first pair each."""
    if len(ours) != len(theirs):
        return f"{len(ours)} rows are {len(theirs)} on the target"
    found: dict[str, str] = {}
    for wanted, got in zip(ours, theirs, strict=True):
        for case, one, other in zip(group.cases, wanted, got, strict=True):
            if one != other:
                found.setdefault(case.declared[:60], f"{str(one)[:80]!r} is {str(other)[:80]!r}")
    return "; ".join([f"{declared}: {pair}" for declared, pair in found.items()])


async def carry_into_postgres(server: MysqlServer, database: Database) -> Carried:
    """Every type of a server into PostgreSQL, compared with the texts that are written down."""
    application = Application(server, groups(server.name))
    application.create()

    def compare(group: Group, table: str, rows: Rows) -> str:
        return difference(
            group, [group.texts(row) for _, row in sorted(rows)], _printed(database, group, table)
        )

    async with (
        source_of(server, "postgres") as source,
        into_postgres(database) as (target, session),
    ):
        proved = await Carrying(application, source, target, session, compare).run()
    proved.types = {group.name: _types(database, group) for group in application.groups}
    return proved


def _printed(database: Database, group: Group, table: str) -> list[list[str | None]]:
    """Values through their types' output functions."""
    shown = ", ".join([f"CASE num_nulls({c}) WHEN 0 THEN concat({c}) END" for c in group.columns])
    rows = database.execute(
        "SET TimeZone = 'UTC'; SET extra_float_digits = 1;"
        f"SELECT {shown} FROM {SCHEMA}.{table}_{group.name} ORDER BY k"
    )
    return [list(row) for row in rows]


def _types(database: Database, group: Group) -> Mapping[str, str]:
    rows = database.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        f" WHERE attrelid = '{SCHEMA}.t_{group.name}'::regclass AND attnum > 0"
    )
    return {str(name): str(type_) for name, type_ in rows}


async def carry_into_mysql(server: MysqlServer, other: MysqlServer) -> Carried:
    """Every type of a server into another MySQL-compatible one, each printing its own."""
    application = Application(server, groups(server.name, other.name))
    application.create()
    there = MysqlDatabase(other, SCHEMA)

    def compare(group: Group, table: str, rows: Rows) -> str:
        shown = ", ".join(map(_shown, group.columns, group.cases))
        query = f"{{}}SELECT k, {shown} FROM {table}_{group.name} ORDER BY k"
        ours, theirs = (
            [list(row)[1:] for row in side.execute(query.format(f"{SETTINGS};"))]
            for side in (MysqlDatabase(server, SCHEMA), there)
        )
        assert len(ours) == len(rows)
        return difference(group, ours, theirs)

    async with source_of(server, "mysql") as source, into_mysql(other) as (target, session):
        proved = await Carrying(application, source, target, session, compare).run()
    proved.types = {group.name: _declared(there, group) for group in application.groups}
    return proved


def _shown(column: str, case: TypeCase) -> str:
    """What tells two values apart, as both dialects print it."""
    base = case.declared.partition("(")[0].partition(" ")[0]
    if base == "float":
        return f"CAST({column} * 1e0 AS CHAR)"
    if "gb18030" in case.declared:  # which MariaDB has not
        return f"HEX(CONVERT({column} USING utf8mb4))"
    if base == "bit":
        return f"BIN({column} + 0)"
    if base in ("json", "uuid", "inet4", "inet6"):
        return f"HEX(CAST({column} AS CHAR CHARACTER SET utf8mb4))"
    if case.group == "shapes" or base.endswith(_BYTES):
        return f"HEX({column})"
    return f"CAST({column} AS CHAR)"


_BYTES: Final = ("char", "text", "blob", "binary", "enum", "set", "vector")


def _declared(database: MysqlDatabase, group: Group) -> Mapping[str, str]:
    rows = database.execute(
        "SELECT column_name, column_type, character_set_name, collation_name"
        " FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
        SCHEMA,
        f"t_{group.name}",
    )
    return {str(name): str(type_) for name, type_, *_ in rows}
