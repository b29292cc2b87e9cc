"""Memory of the worker between MariaDB and either family: one huge transaction, and a full load."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from benchmarks import mariadb
from benchmarks.calibration import calibrate
from benchmarks.case import Options
from benchmarks.maria_drain import emptied, last, replication_of
from benchmarks.mariadb import EVENTS_IN_POSTGRES, Ask, Log, MariaWatcher, same_rows
from benchmarks.memory import LIMIT_MIB, peak_mib
from benchmarks.penstock import Replication, running
from benchmarks.result import Figure, Pair, Result, from_pairs
from benchmarks.servers import Servers, Watcher
from tests.servers.mysql import MysqlServer

LOOK_SECONDS: Final = 0.02
"""Between two looks at the peak of a worker that ends by itself."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows go; `until` waits until a statement finds a row."""

    engine: str
    url: str
    ask: Ask
    until: Callable[..., float]
    release: str


def rss_mysql(servers: Servers, options: Options) -> Iterator[Result]:
    """A million rows from MariaDB as one transaction of the log, and by a full load."""
    rows = options.sized(1_000_000, 50_000)
    with mariadb.inserts(rows, each=rows) as log, mariadb.server() as there:
        for target in (_postgres(servers), _mariadb(there)):
            with target as ready:
                transaction = replication_of(log, ready.engine, ready.url)
                yield _result(log, ready, "one transaction", transaction)
        for target in (_postgres(servers), _mariadb(there)):
            with target as ready:
                load = replace(
                    replication_of(log, ready.engine, ready.url),
                    type="full-load",
                    sections={"source": {"engine": "mariadb"}},
                )
                yield _result(log, ready, "a full load", load)


@contextmanager
def _postgres(servers: Servers) -> Iterator[Target]:
    with servers.target_database() as database, Watcher(database.dsn) as watcher:
        database.execute(EVENTS_IN_POSTGRES)
        release = servers.versions["target"]
        yield Target("postgres", database.dsn, database.execute, watcher.until, release)


@contextmanager
def _mariadb(server: MysqlServer) -> Iterator[Target]:
    emptied(server)
    with MariaWatcher(server) as watcher:
        release = f"MariaDB {server.programs.release}"
        yield Target("mariadb", server.url(), server.execute, watcher.until, release)


def _result(log: Log, target: Target, what: str, replication: Replication) -> Result:
    figure, speed = _peak(log, target, replication), calibrate()
    return from_pairs(
        "rss-mysql",
        [Pair(figure, Figure(LIMIT_MIB), (speed, speed))],
        unit="MiB",
        better="lower",
        reach=1.0,
        versions={"source": f"MariaDB {log.server.programs.release}", "target": target.release},
        facts={
            "mode": "table-parallel",
            "what": what,
            "unit_memory_mib": LIMIT_MIB,
            "rows": log.rows,
            "against": "the limit",
        },
    )


def _peak(log: Log, target: Target, replication: Replication) -> Figure:
    peak = 0.0
    with running(replication) as run:
        if replication.type == "cdc":
            target.until(last(log), alive=run.alive)
            peak = peak_mib(run.worker())
            run.stop()
        while run.alive():
            with suppress(RuntimeError, OSError):  # not started yet, or ended
                peak = max(peak, peak_mib(run.worker()))
            time.sleep(LOOK_SECONDS)
    equal = same_rows(log, target.ask)
    return Figure(peak, cpu_seconds=run.cpu_seconds, rows=log.rows, equal=equal)
