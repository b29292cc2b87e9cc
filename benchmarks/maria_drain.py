"""Draining MariaDB's binary log: into PostgreSQL against PostgreSQL's log, and against a replica.

The backlog is in the binary log once and is read from its start by every run.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from benchmarks import backlog, mariadb
from benchmarks.case import Options
from benchmarks.drain import drained_by_penstock
from benchmarks.mariadb import (
    DUMPING,
    EVENTS,
    EVENTS_IN_POSTGRES,
    SCHEMA,
    Ask,
    Log,
    MariaWatcher,
    same_rows,
)
from benchmarks.pairs import alternate
from benchmarks.penstock import Replication, running
from benchmarks.result import Figure, Pair, Result, from_pairs
from benchmarks.servers import Servers, Watcher
from tests.servers.mysql import MysqlServer

REACH_INTO_POSTGRES: Final = 0.7
REACH_REPLICA: Final = 0.3


def maria_pg_drain(servers: Servers, options: Options) -> Iterator[Result]:
    """MariaDB into PostgreSQL, against as many rows from PostgreSQL into PostgreSQL."""
    rows = options.sized(500_000, 20_000)
    with mariadb.inserts(rows) as log, backlog.inserts(servers, rows) as same:
        pairs = alternate(
            "maria-pg-drain",
            partial(_into_postgres, servers, log),
            partial(drained_by_penstock, same, "table-parallel"),
            options.pairs,
        )
        yield _drained(log, pairs, "maria-pg-drain", REACH_INTO_POSTGRES, "PostgreSQL's log",
                       servers.versions["target"])  # fmt: skip


def maria_maria_drain(_servers: Servers, options: Options) -> Iterator[Result]:
    """MariaDB into MariaDB, against a replica of its own."""
    with (
        mariadb.inserts(options.sized(500_000, 20_000)) as log,
        mariadb.server() as ours,
        mariadb.server(skip_slave_start=True) as replica,
    ):
        pairs = alternate(
            "maria-maria-drain",
            partial(_into_mariadb, log, ours),
            partial(_by_replica, log, replica),
            options.pairs,
        )
        target = f"MariaDB {ours.programs.release}"
        yield _drained(log, pairs, "maria-maria-drain", REACH_REPLICA, "a replica", target)


def _drained(
    log: Log, pairs: list[Pair], case: str, reach: float, against: str, target: str
) -> Result:
    return from_pairs(
        case,
        pairs,
        unit="rows/s",
        better="higher",
        reach=reach,
        versions={"source": f"MariaDB {log.server.programs.release}", "target": target},
        facts={
            "mode": "table-parallel",
            "against": against,
            "rows": log.rows,
            "transactions": log.transactions,
        },
    )


def _into_postgres(servers: Servers, log: Log) -> Figure:
    with servers.target_database() as target, Watcher(target.dsn) as watcher:
        target.execute(EVENTS_IN_POSTGRES)
        until = partial(watcher.until, last(log))
        return _by_penstock(log, "postgres", target.dsn, until, target.execute)


def _into_mariadb(log: Log, target: MysqlServer) -> Figure:
    emptied(target)
    with MariaWatcher(target) as watcher:
        until = partial(watcher.until, last(log))
        return _by_penstock(log, "mariadb", target.url(), until, target.execute)


def last(log: Log) -> str:
    return f"SELECT 1 FROM {SCHEMA}.events WHERE id = {log.rows}"


def emptied(server: MysqlServer) -> None:
    server.execute("DROP DATABASE IF EXISTS penstock")
    server.execute(f"DROP TABLE IF EXISTS {SCHEMA}.events")
    server.execute(EVENTS)


def _by_penstock(
    log: Log,
    engine: str,
    url: str,
    until: Callable[..., float],
    ask: Ask,
) -> Figure:
    replication = replication_of(log, engine, url)
    with MariaWatcher(log.server) as watcher:
        watcher.end_readers()
        with running(replication, "--stop-at", "caught-up") as run:
            active = watcher.until(DUMPING, alive=run.alive)
            done = until(alive=run.alive)
            run.wait()
    return Figure(
        log.rows / (done - active),
        startup_seconds=active - run.started,
        cpu_seconds=run.cpu_seconds,
        rows=log.rows,
        equal=same_rows(log, ask),
    )


def replication_of(log: Log, engine: str, url: str) -> Replication:
    return Replication(
        source=log.url,
        target=url,
        engine=engine,
        include=f"{SCHEMA}.%",
        sections={
            "source": {"engine": "mariadb"},
            "replication": {"start_position": log.start},
        },
    )


def _by_replica(log: Log, replica: MysqlServer) -> Figure:
    emptied(replica)
    server, start = log.server, log.start.removeprefix("maria=")
    replica.execute("STOP SLAVE; RESET SLAVE ALL; RESET MASTER")
    replica.execute(
        f"SET GLOBAL gtid_slave_pos = '{start}'; CHANGE MASTER TO MASTER_HOST = '{server.host}',"
        f" MASTER_PORT = {server.port}, MASTER_USER = 'root', MASTER_USE_GTID = slave_pos"
    )
    with MariaWatcher(server) as source, MariaWatcher(replica) as watcher:
        source.end_readers()
        asked = time.perf_counter()
        replica.execute("START SLAVE")
        active = source.until(DUMPING)
        done = watcher.until(last(log))
    equal = same_rows(log, replica.execute)
    replica.execute("STOP SLAVE")
    return Figure(log.rows / (done - active), startup_seconds=active - asked, equal=equal)
