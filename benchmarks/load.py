"""The full load: Penstock against `psql COPY TO | psql COPY FROM`, both binary."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

from benchmarks.case import Options
from benchmarks.native import pipe
from benchmarks.pairs import alternate
from benchmarks.penstock import Replication, compare, running
from benchmarks.result import Figure, Result, from_pairs
from benchmarks.servers import Servers, Watcher
from tests.servers.postgres import Database

TABLE: Final = """
CREATE TABLE {name} (id bigint PRIMARY KEY, kind int NOT NULL, name text NOT NULL,
                     happened timestamptz NOT NULL, amount numeric(12,2), note text)
"""

ROWS: Final = """
INSERT INTO {name} SELECT g, g % 1000, 'row number ' || g, timestamptz '2026-01-01'
    + g * interval '1 s', (g % 100000) / 100.0, repeat(md5(g::text), 2)
  FROM generate_series(1, {rows}) g
"""

COPYING: Final = "SELECT count(*) > 0 FROM pg_stat_progress_copy WHERE command = 'COPY TO'"
"""The first row is being read: what came before is start-up."""

LOADED: Final = """
SELECT count(*) = %s FROM penstock.table_state WHERE state IN ('loaded', 'streaming')
"""
"""Every row of these tables is committed; indexes and keys may still be to come."""

REACH_ONE: Final = 0.95
REACH_SEQUENTIAL: Final = 1.4
REACH_PARALLEL: Final = 0.9


def load_1(servers: Servers, options: Options) -> Iterator[Result]:
    """One table."""
    with _tables(servers, ["load_a"], options) as (source, rows):
        yield _measured("load-1", "one pipe", servers, source, ["load_a"], rows, options)


def load_2(servers: Servers, options: Options) -> Iterator[Result]:
    """Two tables in parallel, against two pipes one after the other and side by side."""
    names = ["load_a", "load_b"]
    with _tables(servers, names, options) as (source, rows):
        for against in ("two pipes in turn", "two pipes side by side"):
            yield _measured("load-2", against, servers, source, names, rows, options)


def _measured(
    case: str,
    against: str,
    servers: Servers,
    source: Database,
    names: Sequence[str],
    rows: int,
    options: Options,
) -> Result:
    reach = {"one pipe": REACH_ONE, "two pipes in turn": REACH_SEQUENTIAL}.get(
        against, REACH_PARALLEL
    )
    together = against == "two pipes side by side"
    pairs = alternate(
        f"{case} against {against}",
        partial(_loaded, servers, source, names, rows),
        partial(_piped, servers, source, names, rows, together=together),
        options.pairs,
    )
    facts = {"mode": "full-load", "against": against, "rows": rows}
    return from_pairs(
        case, pairs, unit="rows/s", better="higher", reach=reach,
        versions=servers.versions, facts=facts,
    )  # fmt: skip


def _loaded(servers: Servers, source: Database, names: Sequence[str], rows: int) -> Figure:
    with (
        servers.target_database() as target,
        Watcher(source.dsn) as source_watcher,
        Watcher(target.dsn) as watcher,
    ):
        _create(target, names)
        replication = Replication(source=source.dsn, target=target.dsn, id="load", type="full-load")
        with running(replication) as run:
            copying = source_watcher.until(COPYING, alive=run.alive)
            done = watcher.until(LOADED, len(names), alive=run.alive)
            run.wait()
            ended = time.perf_counter()
        equal = compare(source, target)
    return Figure(
        rows / (done - copying),
        startup_seconds=copying - run.started,
        cpu_seconds=run.cpu_seconds,
        rows=rows,
        equal=equal,
        facts={"finish_seconds": round(ended - done, 3)},
    )


def _piped(
    servers: Servers, source: Database, names: Sequence[str], rows: int, *, together: bool
) -> Figure:
    with servers.target_database() as target:
        _create(target, names)
        started = time.perf_counter()
        groups = [names] if together else [[name] for name in names]
        for group in groups:
            with ExitStack() as pipes:
                for name in group:
                    pipes.enter_context(pipe(servers, source, target, name))
        done = time.perf_counter()
        equal = compare(source, target)
    return Figure(rows / (done - started), equal=equal)


def _create(database: Database, names: Sequence[str]) -> None:
    for name in names:
        database.execute(TABLE.format(name=name))


@contextmanager
def _tables(
    servers: Servers, names: Sequence[str], options: Options
) -> Iterator[tuple[Database, int]]:
    """A source with these tables filled, and the number of their rows."""
    each = options.sized(1_000_000, 300_000)
    with servers.source_database() as source:
        for name in names:
            source.execute(TABLE.format(name=name))
            source.execute(ROWS.format(name=name, rows=each))
        source.execute("VACUUM ANALYZE")
        yield source, each * len(names)
