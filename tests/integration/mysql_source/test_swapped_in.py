"""A table that takes another one's place, and is altered at each step of its load."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from connectors.mysql.source import MysqlSource
from connectors.mysql.source import create as create_source
from connectors.postgres.target import create as create_target
from engine.config.load import parse_replication
from engine.observe.log import Log
from engine.observe.metrics import Metrics
from engine.pipeline import run_replication
from engine.seams import LocalDisk, SystemClock, SystemRandom
from tests.conftest import Clusters, MysqlServers
from tests.scenario.pairs.sides import (
    SCHEMA,
    MysqlSide,
    PostgresSide,
    content,
    mysql_side,
    postgres_side,
)

PATIENCE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.1

CONFIG: Final = """
[replication]
id = "swapped"
[source]
engine = "{engine}"
url = "{source}"
[target]
engine = "postgres"
url = "{target}"
[mapping]
include = ["shop.t"]
[apply]
mode = "{mode}"
[intervals]
new_tables = "300ms"
"""

STEPS: Final = ("relations", "publish", "definitions", "snapshot", "chunks", "rows")
MODES: Final = ("transactional", "table-parallel")
SERVERS: Final = ("mariadb-10.11", "mysql-9")
SHORT: Final = (
    ("snapshot", "transactional", "mariadb-10.11"),
    ("chunks", "transactional", "mysql-9"),
)
CASES: Final = [
    pytest.param(*case, marks=() if case in SHORT else pytest.mark.nightly)
    for case in itertools.product(STEPS, MODES, SERVERS)
]

_numbers = itertools.count(1)


@dataclass
class Pipe:
    source: MysqlSide
    target: PostgresSide
    folder: Path
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends what runs."""

    @asynccontextmanager
    async def running(self, mode: str) -> AsyncIterator[None]:
        """Carry until the end of the context; an error of the replication is raised there."""
        text = CONFIG.format(
            engine=self.source.engine, source=self.source.url, target=self.target.url, mode=mode
        )
        config = parse_replication(text, {}, file=self.folder / "swapped.toml")
        clock, random = SystemClock(), SystemRandom()
        stop = self.stop = asyncio.Event()
        work = asyncio.create_task(
            run_replication(
                config,
                create_source(config, clock, random),
                create_target(config, clock, random),
                clock=clock,
                random=random,
                disk=LocalDisk(self.folder / "disk"),
                metrics=Metrics(config.id),
                log=Log(lambda _: None, clock),
                stop=stop,
                report=lambda _event, _facts: None,
            )
        )
        self._work = work
        try:
            yield
        finally:
            stop.set()
            await work

    async def execute(self, *statements: str) -> None:
        for sql in statements:
            await asyncio.to_thread(self.source.execute, sql.replace(" t ", f" {SCHEMA}.t "))

    async def equal(self, columns: str) -> None:
        await self.until(lambda: self._same(columns))

    async def load_again(self) -> None:
        """Ask for a load as `penstock reload` does, and wait until one has answered."""
        asked = "UPDATE penstock.table_state SET asked = asked + 1 WHERE table_name = 't'"
        await asyncio.to_thread(self.target.execute, asked)
        answered = "SELECT answered = asked FROM penstock.table_state WHERE table_name = 't'"
        await self.until(lambda: bool(self.target.execute(answered)[0][0]))

    async def until(self, done: Callable[[], bool]) -> None:
        end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while not await asyncio.to_thread(done):
            if self._work.done():
                self._work.result()
            assert asyncio.get_running_loop().time() < end, "it did not come"
            await asyncio.sleep(LOOK_SECONDS)

    def _same(self, columns: str) -> bool:
        try:
            here, there = (content(side, "t", columns) for side in (self.source, self.target))
        except Exception:  # noqa: BLE001 - the table or a column has not come yet
            return False
        return here == there


@pytest.fixture
def pipe(
    server: str, mysql_servers: MysqlServers, clusters: Clusters, tmp_path: Path
) -> Iterator[Pipe]:
    target = postgres_side(clusters.need("18"), f"swapped_{next(_numbers)}", source=False)
    source = mysql_side(mysql_servers.need(server))
    yield Pipe(source, target, tmp_path)
    source.drop()
    target.drop()


def once_before(method: str, action: Callable[[], object]) -> Callable[..., Any]:
    """The source's method, with something done before its next call."""
    real = getattr(MysqlSource, method)
    left = [action]

    def wrapped(*arguments: Any, **options: Any) -> Any:
        if left:
            left.pop()()
        return real(*arguments, **options)

    return wrapped


def same_again(side: MysqlSide) -> None:
    """A table in the same words takes the place, as where an index is added by gh-ost."""
    for sql in (
        "CREATE TABLE shop._t_gho LIKE shop.t",
        "ALTER TABLE shop._t_gho ADD INDEX (a)",
        "INSERT INTO shop._t_gho SELECT * FROM shop.t",
        "INSERT INTO shop.t VALUES (3, 'to old and new')",
        "INSERT INTO shop._t_gho VALUES (3, 'to old and new')",
        "RENAME TABLE shop.t TO shop._t_del, shop._t_gho TO shop.t",
        "INSERT INTO shop.t VALUES (4, 'to new')",
    ):
        side.execute(sql)


LIKE_SHORT: Final = ("chunks", "table-parallel", "mariadb-10.11", True)
LIKES: Final = [
    pytest.param(*case, marks=() if case == LIKE_SHORT else pytest.mark.nightly)
    for case in itertools.product((*STEPS[2:], "read_at"), MODES, SERVERS, (True, False))
]


@pytest.mark.parametrize(("method", "mode", "server", "first"), LIKES)
async def test_a_table_whose_like_takes_its_place_while_it_is_loaded(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, method: str, mode: str, first: bool
) -> None:
    """Of the one that was read every row is told, whatever the log says of the other."""

    def interfere() -> None:
        monkeypatch.setattr(MysqlSource, method, once_before(method, swap))
        if method != "read_at":
            monkeypatch.setattr(MysqlSource, "read_at", once_before("read_at", write))

    def swap() -> None:
        same_again(pipe.source)

    def write() -> None:
        pipe.source.execute("INSERT INTO shop.t VALUES (5, 'behind the rows')")

    await pipe.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(20))",
        "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
    )
    if first:
        interfere()
    async with pipe.running(mode):
        await pipe.equal("id, a")
        if not first:
            interfere()
            await pipe.load_again()
        await pipe.execute("UPDATE t SET a = 'later' WHERE id < 3", "DELETE FROM t WHERE id = 4")
        await pipe.equal("id, a")


RESTARTED: Final = [
    pytest.param(mode, server, marks=pytest.mark.nightly)
    for mode, server in itertools.product(MODES, SERVERS)
]


@pytest.mark.parametrize(("mode", "server"), RESTARTED)
async def test_what_comes_behind_rows_of_a_like_is_not_passed_over_after_a_restart(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """The stored version is that of the table before; the rows were read of the other."""

    def swap() -> None:
        same_again(pipe.source)

    def stop() -> None:
        pipe.source.execute("INSERT INTO shop.t VALUES (5, 'behind the rows')")
        pipe.stop.set()

    await pipe.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(20))",
        "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
    )
    monkeypatch.setattr(MysqlSource, "snapshot", once_before("snapshot", swap))
    monkeypatch.setattr(MysqlSource, "blocks", once_before("blocks", stop))
    async with pipe.running(mode):
        await pipe.stop.wait()
    async with pipe.running(mode):
        await pipe.equal("id, a")


@pytest.mark.parametrize(("method", "mode", "server"), CASES)
async def test_a_table_that_was_swapped_in_is_altered_while_it_is_loaded(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, method: str, mode: str
) -> None:
    """Rows before and behind the change, and behind the load."""
    new, old = f"{SCHEMA}._t_gho", f"{SCHEMA}._t_del"

    def alter() -> None:
        for sql in (
            "INSERT INTO shop.t (id, a, b) VALUES (10, 'before', 1)",
            "ALTER TABLE shop.t ADD COLUMN c int NOT NULL DEFAULT 7, RENAME COLUMN a TO name",
            "UPDATE shop.t SET c = 8 WHERE id = 10",
            "INSERT INTO shop.t (id, name, b, c) VALUES (11, 'behind', 2, 3)",
        ):
            pipe.source.execute(sql)

    await pipe.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(20))",
        "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
    )
    async with pipe.running(mode):
        await pipe.equal("id, a")
        await pipe.execute(
            f"CREATE TABLE {new} LIKE {SCHEMA}.t",
            f"ALTER TABLE {new} ADD COLUMN b int",
            f"INSERT INTO {new} (id, a) SELECT id, a FROM {SCHEMA}.t",
        )
        monkeypatch.setattr(MysqlSource, method, once_before(method, alter))
        await pipe.execute(
            f"RENAME TABLE {SCHEMA}.t TO {old}, {new} TO {SCHEMA}.t",
            "INSERT INTO t (id, b) VALUES (20, 20)",
        )
        await pipe.equal("id, name, b, c")
        await pipe.execute(
            "UPDATE t SET c = 9 WHERE id < 11", "INSERT INTO t (id, c) VALUES (21, 1)"
        )
        await pipe.equal("id, name, b, c")
