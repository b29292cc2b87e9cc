"""Draining a backlog: Penstock against PostgreSQL's own subscription."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Final

from benchmarks import backlog as backlogs
from benchmarks.backlog import PUBLICATION, Backlog
from benchmarks.case import Options
from benchmarks.decode import read_by_penstock, table_checksum
from benchmarks.native import subscription
from benchmarks.pairs import alternate
from benchmarks.penstock import Replication, compare, running
from benchmarks.result import Figure, Result, from_pairs
from benchmarks.servers import ACTIVE, Servers, Watcher

REACH_INSERT: Final = 1.0
REACH_HOT: Final = {"table-parallel": 1.0, "key-parallel": 1.0}
REACH_PGBENCH: Final = {"table-parallel": 1.5, "transactional": 0.9}


def drain_insert(servers: Servers, options: Options) -> Iterator[Result]:
    """Inserts made in transactions of 100."""
    with backlogs.inserts(servers, options.sized(500_000, 50_000)) as backlog:
        checksum = table_checksum(backlog.source, "events")
        reader = median(
            read_by_penstock(backlog, checksum).value for _ in range(min(3, options.pairs))
        )
        for mode in ("table-parallel", "transactional"):
            result = _drain("drain-insert", backlog, mode, REACH_INSERT, options)
            times = {
                "reader_rows_per_second": round(reader),
                "time_to_reader_time": round(reader / result.ours, 3),
            }
            yield replace(result, facts={**result.facts, **times})


def drain_pgbench(servers: Servers, options: Options) -> Iterator[Result]:
    """pgbench transactions, in either mode of applying."""
    sizes = options.sized(60_000, 6_000), options.sized(10, 1)
    with backlogs.pgbench(servers, *sizes) as backlog:
        for mode, reach in REACH_PGBENCH.items():
            yield _drain("drain-pgbench", backlog, mode, reach, options)


def drain_hot(servers: Servers, options: Options) -> Iterator[Result]:
    """Updates of one table, which one session applies, or several by its keys."""
    with backlogs.updates(servers, options.sized(300_000, 30_000)) as backlog:
        for mode, reach in REACH_HOT.items():
            yield _drain("drain-hot", backlog, mode, reach, options)


def _drain(case: str, backlog: Backlog, mode: str, reach: float, options: Options) -> Result:
    ours: Callable[[], Figure] = partial(drained_by_penstock, backlog, mode)
    pairs = alternate(
        f"{case} {mode}", ours, partial(drained_by_subscription, backlog), options.pairs
    )
    return from_pairs(
        case,
        pairs,
        unit="rows/s",
        better="higher",
        reach=reach,
        versions=backlog.servers.versions,
        facts={"mode": mode, "rows": backlog.rows, "transactions": backlog.transactions},
    )


def drained_by_penstock(backlog: Backlog, mode: str) -> Figure:
    """One drain by `penstock run`."""
    servers = backlog.servers
    with (
        backlog.slot() as slot,
        servers.target_database(backlog.template.name) as target,
        Watcher(backlog.source.dsn) as source_watcher,
        Watcher(target.dsn) as watcher,
    ):
        replication = Replication(
            source=backlog.source.dsn,
            target=target.dsn,
            id=backlog.id,
            mode=mode,
            slot=slot,
            sections=backlog.sections,
        )
        with running(replication, "--stop-at", "caught-up") as run:
            active = source_watcher.until(ACTIVE, slot, alive=run.alive)
            done = watcher.until(backlog.drained, alive=run.alive)
            run.wait()
        equal = compare(backlog.source, target)
    return Figure(
        backlog.rows / (done - active),
        startup_seconds=active - run.started,
        cpu_seconds=run.cpu_seconds,
        rows=backlog.rows,
        equal=equal,
    )


def drained_by_subscription(backlog: Backlog) -> Figure:
    """One drain by PostgreSQL's own apply worker."""
    servers = backlog.servers
    with (
        backlog.slot() as slot,
        servers.target_database(backlog.template.name) as target,
        Watcher(backlog.source.dsn) as source_watcher,
        Watcher(target.dsn) as watcher,
        subscription(servers, backlog.source, target, PUBLICATION, slot) as native,
    ):
        asked = native.enable()
        active = source_watcher.until(ACTIVE, slot)
        done = watcher.until(backlog.drained)
        equal = compare(backlog.source, target)
    return Figure(backlog.rows / (done - active), startup_seconds=active - asked, equal=equal)
