"""Carries every type through a real replication slot and a real apply.

`t<n>` holds the values of a type, made by `loading.create`. The application writes them to three
more tables. `s<n>` (key `k`, value `v`) has them inserted, updated and deleted, some row by row and
some as a set. `f<n>` has no key and REPLICA IDENTITY FULL, so each row is found by all of its
values, the first of which came to the target by a full load in the other form. In `q<n>` the value
is part of the key.

Each step is one transaction of the source; its changes are folded as a lane folds them and written
table by table, so a type that fails spoils no other.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import psycopg

from connectors.postgres.catalog import Catalog
from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.definitions import read_definitions
from connectors.postgres.ensure import ensure
from connectors.postgres.load_connection import Connection
from connectors.postgres.load_form import TEXT, load_form
from connectors.postgres.plan import refused_in_binary
from connectors.postgres.rows import CALLS_ROWS_MAX
from connectors.postgres.session import PostgresSession
from connectors.postgres.snapshot import FORMATS, SnapshotReader
from connectors.postgres.source import PostgresSource
from connectors.postgres.sql import Sql
from connectors.postgres.target import PostgresTarget
from connectors.postgres.target_config import PostgresTargetConfig
from engine.apply.fold import arrange
from engine.errors import TargetError
from engine.model.batch import Run
from engine.model.change import Block, Change
from engine.model.chunk import Chunk
from engine.model.position import LogPosition
from engine.model.relation import Format, Relation, TableName
from tests.integration.postgres_types.loading import create, relations_of, session_on
from tests.servers.postgres import Database

PATIENCE_SECONDS: Final = 300.0
"""For one step of two hundred types, on a busy machine."""

SHORT: Final = "octet_length(t.v::text) < 2000"
"""What fits into an index row of the server and is not NULL."""

ENOUGH: Final = (
    f"generate_series(1, 1 + {CALLS_ROWS_MAX} / (SELECT count(*) FROM t{{n}} t WHERE {SHORT}))"
)

SET: Final = ", as a set"

STEPS: Final[Mapping[str, Sequence[str]]] = {
    "insert": (
        "INSERT INTO s{n} SELECT k, v FROM t{n}",
        "INSERT INTO f{n} SELECT k + {count}, v FROM t{n}",
        "INSERT INTO q{n} SELECT k, 0, v FROM t{n} t WHERE {short}",
    ),
    f"insert{SET}": (
        "INSERT INTO s{n} SELECT k + {count} * j, v FROM t{n}, generate_series(1, {times}) j",
        "INSERT INTO q{n} SELECT k + {count} * j, 0, v FROM t{n} t, {enough} j WHERE {short}",
    ),
    "update": (
        "UPDATE s{n} s SET v = t.v FROM t{n} t WHERE s.k < {count} AND t.k = (s.k + 1) % {count}",
        "UPDATE f{n} f SET v = t.v FROM t{n} t WHERE t.k = (f.k + 1) % {count}",
        "UPDATE q{n} SET x = 1 WHERE k < {count}",
    ),
    f"update{SET}": (
        "UPDATE s{n} s SET v = t.v FROM t{n} t WHERE s.k >= {count} AND t.k = (s.k + 1) % {count}",
        "UPDATE q{n} SET x = 1 WHERE k >= {count}",
    ),
    "move": ("UPDATE q{n} q SET v = t.v FROM t{n} t WHERE q.k < {count} AND {next} AND {short}",),
    "delete": (
        "DELETE FROM s{n} WHERE k < {count}",
        "DELETE FROM f{n} WHERE k % 2 = 0",
        "DELETE FROM q{n} WHERE k < {count}",
    ),
    f"delete{SET}": ("DELETE FROM s{n}", "DELETE FROM q{n}"),
}
"""What the application does, by name: in a step with `SET` every table has more changes than go row
by row, in the others fewer."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A type under test: its number in the tables' names, its declaration, how many values it has,
    whether they can be a key, and from which version on servers have a binary form of it."""

    number: int
    declaration: str
    count: int
    key: bool
    sent_from: int

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(f"{kind}{self.number}" for kind in ("sfq" if self.key else "sf"))

    def statements(self, step: str) -> Iterable[str]:
        for text in STEPS[step]:
            if self.key or " q{n}" not in text:
                yield text.format(
                    n=self.number,
                    count=self.count,
                    short=SHORT,
                    next=f"t.k = (q.k + 1) % {self.count}",
                    enough=ENOUGH.format(n=self.number),
                    times=1 + CALLS_ROWS_MAX // self.count,
                )


@dataclass(slots=True)
class Streamed:
    """What one stream between two servers proved. `forms`: the form a type's values came in, by
    declaration; `left_out`: those that would have made it text; `keys`: those whose values were
    found as a key; `wrong`: by declaration, table and step, what was not equal afterwards, or the
    error."""

    forms: dict[str, Format] = field(default_factory=dict[str, Format])
    left_out: frozenset[str] = frozenset()
    keys: set[str] = field(default_factory=set[str])
    wrong: dict[tuple[str, str, str], str] = field(default_factory=dict[tuple[str, str, str], str])


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


async def stream(
    source: Database, target: Database, *, binary: bool, half: int | None = None
) -> Streamed:
    """Carry every type that both servers have, or each other one (`half`: 0 or 1). `binary`: those
    only with which the stream stays binary and which the target takes so; else all of them, and
    then it is text."""
    every = [each for each in _prepare(source, target) if half in (None, each.number % 2)]
    carried: Sequence[Carried] = every
    if binary:
        carried = await _binary_only(source, every)
    left_out = frozenset(each.declaration for each in every if each not in carried)
    if binary:
        carried = await _taken_in_binary(source, target, carried)
    await _load_images(source, target, carried, binary=binary)
    tables = [TableName("public", table) for each in carried for table in each.tables]
    async with _ends(source, target) as (reader, session):
        start = (await reader.attach(tables, [])).start
        async with aclosing(reader.blocks(start)) as blocks:
            proved = await _Stream(source, target, carried, reader, blocks, session).run()
    proved.left_out = left_out
    return proved


class _Stream:
    """One open stream; the steps one after the other."""

    def __init__(
        self,
        source: Database,
        target: Database,
        carried: Sequence[Carried],
        reader: PostgresSource,
        blocks: AsyncGenerator[Block, None],
        session: PostgresSession,
    ) -> None:
        self._source, self._target = source, target
        self._reader, self._blocks, self._session = reader, blocks, session
        self._carried = carried
        self._of = {table: each.declaration for each in carried for table in each.tables}
        self._proved = Streamed(keys={each.declaration for each in carried if each.key})

    async def run(self) -> Streamed:
        async with session_on(self._source) as ours, session_on(self._target) as theirs:
            for side in (ours, theirs):
                await side.execute("SET jit = off")  # compiling takes longer than printing
            for step in STEPS:
                self._source.execute(
                    ";".join(text for each in self._carried for text in each.statements(step))
                )
                await self._apply(step)
                self._compare(step, *await asyncio.gather(self._print(ours), self._print(theirs)))
        return self._proved

    async def _apply(self, step: str) -> None:
        changes = await self._changes()
        for table, told in changes.items():
            declaration = self._of[table]
            self._proved.forms[declaration] = told[0].relation.columns[-1].format
            runs = arrange(told, grouped=True)
            _check_way(step, table, runs)
            try:
                async with self._session.begin() as transaction:
                    await transaction.write(runs)
                    await transaction.commit()
            except TargetError as error:
                self._give_up(table, step, f"{type(error).__name__}: {error}")

    async def _changes(self) -> Mapping[str, list[Change]]:
        """Everything up to the head of the log, by table."""
        found: dict[str, list[Change]] = defaultdict(list)
        head = await self._reader.head()
        assert isinstance(head, LogPosition)
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for block in self._blocks:
                for part in block.parts:
                    for event in part.events:
                        if isinstance(event, Change) and event.relation.name in self._of:
                            found[event.relation.name].append(event)
                end = block.idle or (block.parts[-1].end if block.parts else None)
                if end is not None and end.offset >= head.offset:  # type: ignore[attr-defined]
                    return found
        raise AssertionError("the stream ended")

    async def _print(self, connection: Connection) -> Mapping[str, list[str]]:
        """Every row of every table; values through their type's output function."""
        printed: dict[str, list[str]] = {table: [] for table in self._of}
        union = " UNION ALL ".join(
            f"SELECT '{table}', {'k' if table[0] != 'q' else 'k + 1e6 * x'},"
            f" CASE num_nulls(v) WHEN 0 THEN concat(v) END FROM public.{table}"
            for table in self._of
        )
        for table, key, text in await connection.fetch(f"{union} ORDER BY 1, 2"):
            printed[table].append(f"{key}: {text!r}")
        return printed

    def _compare(
        self, step: str, ours: Mapping[str, list[str]], theirs: Mapping[str, list[str]]
    ) -> None:
        for table in list(self._of):
            if ours[table] != theirs[table]:
                self._give_up(table, step, _difference(ours[table], theirs[table]))

    def _give_up(self, table: str, step: str, why: str) -> None:
        self._proved.wrong[self._of.pop(table), table[0], step] = why


def _check_way(step: str, table: str, runs: Sequence[Run]) -> None:
    """Every run goes the way that the step is to prove."""
    sizes = [len(run.rows) for run in runs]
    if step.endswith(SET):
        assert all(run.net for run in runs), (table, step)
        assert min(sizes) > CALLS_ROWS_MAX, (table, step, sizes)
    else:
        assert max(sizes) <= CALLS_ROWS_MAX, (table, step, sizes)


def _difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, {len(theirs)} on the target"
    pairs = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
    return f"{len(pairs)} of {len(ours)} differ: {pairs[:2]}"[:400]


# --- before the stream --------------------------------------------------------------------------


def _prepare(source: Database, target: Database) -> Sequence[Carried]:
    """Make the tables on the source, `f` with the values in it."""
    carried: list[Carried] = []
    for name, case in create(source, target):
        number, declaration = int(name[1:]), case.declaration
        count = source.execute(f"SELECT count(*) FROM {name}")[0][0]
        each = Carried(number, declaration, count, _orders(source, name), case.sent_from)
        source.execute(
            f"CREATE TABLE s{number} (k int PRIMARY KEY, v {declaration});"
            f"CREATE TABLE f{number} (k int, v {declaration});"
            f"ALTER TABLE f{number} REPLICA IDENTITY FULL;"
            f"INSERT INTO f{number} SELECT k, v FROM t{number};"
            + f"CREATE TABLE q{number} (k int, x int, v {declaration}, PRIMARY KEY (v, k));"
            * each.key
        )
        carried.append(each)
    return carried


def _orders(source: Database, table: str) -> bool:
    """Whether values can be a key: some are short enough, and the type has an order."""
    try:
        found = source.execute(
            f"SELECT row_number() OVER (ORDER BY v) FROM {table} t WHERE {SHORT}"
        )
    except psycopg.errors.UndefinedFunction:
        return False
    return bool(found)


async def _binary_only(source: Database, carried: Sequence[Carried]) -> Sequence[Carried]:
    """Without the types that would make the stream text."""
    relations = await relations_of(source)
    sql = Sql(source.dsn, "test")
    try:
        oids = {each: relations[f"s{each.number}"].columns[-1].type.oid for each in carried}
        facts = await Catalog(sql).types(oids.values())
    finally:
        await sql.close()
    return [each for each in carried if not facts.unsendable(oids[each])]


async def _taken_in_binary(
    source: Database, target: Database, carried: Sequence[Carried]
) -> Sequence[Carried]:
    """Without the types that a replication into this target stops for by name."""
    relations = await relations_of(source)
    version = int(target.execute("SHOW server_version_num")[0][0])
    return [
        each
        for each in carried
        if each.sent_from <= version
        and not refused_in_binary(relations[f"s{each.number}"].columns[-1], version)
    ]


async def _load_images(
    source: Database, target: Database, carried: Sequence[Carried], *, binary: bool
) -> None:
    """Make every table on the target, and load the `f` tables: in text form before a binary stream,
    in their own form before a text stream."""
    async with session_on(source) as ours, session_on(target) as theirs:
        relations = await relations_of(source)
        await ensure(theirs, await read_definitions(ours, list(relations.values())), "do-nothing")
        there = await relations_of(target)
        version = theirs.get_server_version().major * 10_000
        reader = SnapshotReader(lambda: asyncpg.connect(source.dsn))
        async with reader.snapshot() as snapshot:
            for each in carried:
                name = f"f{each.number}"
                relation: Relation = relations[name]
                form = TEXT if binary else load_form(relation, there[name], version)
                rows = reader.rows(Chunk(relation, 0), snapshot, form)
                await theirs.copy_to_table(
                    name, schema_name="public", source=rows, format=FORMATS[form]
                )


@asynccontextmanager
async def _ends(
    source: Database, target: Database
) -> AsyncIterator[tuple[PostgresSource, PostgresSession]]:
    """The connector's two ends, as the loader and the pipeline make them."""
    config = PostgresSourceConfig.of(source.name, source.dsn, slot=source.name)
    reader = PostgresSource(config, SystemClock())
    writer = PostgresTarget(PostgresTargetConfig(replication="types", conninfo=target.dsn))
    try:
        await reader.open()
        await writer.prepare_control()
        async with writer.session() as session:
            yield reader, session
    finally:
        await writer.close()
        await reader.close()
