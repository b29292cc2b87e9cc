"""A replication between two servers, run in the test's own loop."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from connectors.postgres.ddl_capture import MESSAGES_FROM
from connectors.postgres.source import PostgresSource
from connectors.postgres.source import create as create_source
from connectors.postgres.target import create as create_target
from engine.config.intervals import IntervalsConfig
from engine.config.load import parse_replication
from engine.config.replication import ReplicationConfig
from engine.observe.log import Line, Log
from engine.observe.metrics import Metrics
from engine.pipeline import run_replication
from engine.seams import LocalDisk, SystemClock, SystemRandom
from tests.servers.postgres import Database

PATIENCE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.05

CONFIG: Final = """
[replication]
id = "changes"
type = "full-load-and-cdc"
[source]
engine = "postgres"
url = "{source}"
[source.settings]
CaptureDdls = {capture}
[target]
engine = "postgres"
url = "{target}"
[mapping]
include = ["public.%"]
[load]
allow_nonempty = true
[apply]
mode = "{mode}"
on_schema_change = "{on_schema_change}"
"""

CONTENT: Final = (
    "SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text), '[]') FROM {} t"
)


SOON: Final[Mapping[str, float]] = {
    "requests_seconds": 0.2,
    "new_tables_seconds": 1.0,
    "partitions_seconds": 0.3,
}


@dataclass(slots=True)
class Pipe:
    """A source, a target, and what was logged in between."""

    source: Database
    target: Database
    folder: Path
    lines: list[Line] = field(default_factory=list[Line])

    @property
    def told(self) -> bool:
        """Whether this source can tell what its schema changes did."""
        return int(self.source.cluster.major) * 10_000 >= MESSAGES_FROM

    def config(
        self,
        *,
        capture: bool = True,
        on_schema_change: str = "apply",
        mode: str = "table-parallel",
        **intervals: float,
    ) -> ReplicationConfig:
        """`intervals`: of looks, in seconds, by the name of the configuration's field."""
        text = CONFIG.format(
            source=self.source.dsn,
            target=self.target.dsn,
            capture=str(capture).lower(),
            on_schema_change=on_schema_change,
            mode=mode,
        )
        config = parse_replication(text, {}, file=self.folder / "changes.toml")
        return replace(config, intervals=IntervalsConfig(**{**SOON, **intervals}))

    @asynccontextmanager
    async def running(
        self, *, capture: bool = True, **options: Any
    ) -> AsyncIterator["asyncio.Task[Any]"]:
        """Run, as the task that is given; ends with a drain. Its error fails the test.

        `capture`: with event triggers; skips the test where the server does not pass their messages
        on.
        """
        if capture and not self.told:
            pytest.skip("PostgreSQL 14 brought the event triggers' messages to pgoutput")
        stop = asyncio.Event()
        streaming = asyncio.Event()

        def report(event: str, facts: Any) -> None:
            if event == "state" and facts["state"] == "streaming":
                streaming.set()

        config = self.config(capture=capture, **options)
        clock, random = SystemClock(), SystemRandom()
        work = asyncio.create_task(
            run_replication(
                config,
                create_source(config, clock, random),
                create_target(config, clock, random),
                clock=clock,
                random=random,
                disk=LocalDisk(self.folder / "disk"),
                metrics=Metrics(config.id),
                log=Log(self.lines.append, clock),
                stop=stop,
                report=report,
            )
        )
        try:
            await _first(streaming.wait(), work)
            yield work
        finally:
            stop.set()
            await work

    def make_source(self, **options: Any) -> PostgresSource:
        config = self.config(**options)
        return create_source(config, SystemClock(), SystemRandom())

    async def execute(self, sql: str) -> float:
        """Run on the source as the application does; the seconds it took."""
        begun = time.monotonic()
        await asyncio.to_thread(self.source.execute, sql)
        return time.monotonic() - begun

    async def equal(self, table: str = "t", columns: str = "") -> None:
        """Wait until the target holds the same rows, in the source's columns."""

        await self.until(lambda: self.same(table, columns), lambda: self.difference(table))

    def same(self, table: str, columns: str = "") -> bool:
        """Whether the target holds the same rows now, in the source's columns."""
        names = columns or self.columns(table)
        of = f"(SELECT {names} FROM public.{table})"
        if not _there(self.target, f"public.{table}"):
            return False
        try:
            got, wanted = (s.execute(CONTENT.format(of)) for s in (self.target, self.source))
        except Exception:  # noqa: BLE001 - a column that is not there yet, or not any more
            return False
        return bool(got == wanted)

    async def whole(self) -> None:
        """Wait until `t` is equal and streams. Where the source cannot tell what a change did the
        table may stop for it; a reload then makes it whole."""

        def stopped() -> bool:
            return not self.told and self.record()[0] == "needs-reload"

        await self.until(lambda: self.same("t") or stopped(), lambda: self.difference("t"))
        if stopped():
            await self.reload()
            await self.equal()
        await self.state("streaming")

    def columns(self, table: str) -> str:
        return _columns(self.source, table)

    def columns_there(self, table: str) -> str:
        return _columns(self.target, table)

    def difference(self, table: str) -> str:
        of = f"public.{table}"
        shown = [f"{record.message} {dict(record.fields)}" for record in self.lines]
        sides = [
            side.execute(CONTENT.format(of))[0][0] if _there(side, of) else None
            for side in (self.source, self.target)
        ]
        return "\n".join([f"{table}: {sides[0]} on the source, {sides[1]} on the target", *shown])

    async def until(self, done: Callable[[], bool], what: Callable[[], str]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not await asyncio.to_thread(done):
            if time.monotonic() > end:
                pytest.fail(what())
            await asyncio.sleep(LOOK_SECONDS)

    async def state(self, state: str, table: str = "t") -> str:
        """Wait for a table's durable state; its reason."""
        await self.until(lambda: self.record(table)[0] == state, lambda: self.difference(table))
        return self.record(table)[1]

    def record(self, table: str = "t") -> tuple[str, str]:
        rows = self.target.execute(
            "SELECT state, reason FROM penstock.table_state WHERE table_name = %s", table
        )
        return (rows[0][0], rows[0][1]) if rows else ("", "")

    async def passed(self) -> None:
        """Wait until what the source has committed by now has been applied."""
        await self.execute("INSERT INTO marker DEFAULT VALUES")
        await self.equal("marker")

    async def reload(self, table: str = "t") -> None:
        """Have it loaded again, and wait until it streams."""
        await self.load_again(table)
        await self.state("streaming", table)

    async def load_again(self, table: str = "t") -> None:
        """Ask for a load as `penstock reload` does, and wait until one has answered."""
        of = "FROM penstock.table_state WHERE table_name = %s"
        asked = "UPDATE penstock.table_state SET asked = asked + 1 WHERE table_name = %s"
        await asyncio.to_thread(self.target.execute, asked, table)

        def answered() -> bool:
            return bool(self.target.execute(f"SELECT answered = asked {of}", table)[0][0])

        await self.until(answered, lambda: self.difference(table))


def _columns(side: Database, table: str) -> str:
    rows = side.execute(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        f"public.{table}",
    )
    return str(rows[0][0])


def _there(side: Database, table: str) -> bool:
    return bool(side.execute(f"SELECT to_regclass('{table}') IS NOT NULL")[0][0])


async def _first(waiting: Awaitable[Any], work: "asyncio.Task[Any]") -> None:
    """Wait for the first of both; an error of the work is raised."""
    waiter = asyncio.ensure_future(waiting)
    await asyncio.wait({waiter, work}, return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        waiter.cancel()
        work.result()


@pytest.fixture
def pipe(
    source_database: Database,
    target_database: Database,
    tmp_path: Path,
) -> Pipe:
    """With `t (id, a, b, c)` of three rows, and `marker`."""
    source_database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a int, b int, c varchar(5));"
        "INSERT INTO t VALUES (1, 10, 100, 'x'), (2, 20, 200, NULL), (3, NULL, 300, 'zzzzz');"
        "CREATE TABLE marker (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)"
    )
    return Pipe(source_database, target_database, tmp_path)
