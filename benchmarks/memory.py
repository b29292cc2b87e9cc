"""Memory of the worker under a limit: idle, saturated, and with one huge transaction."""

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.calibration import calibrate
from benchmarks.case import Options
from benchmarks.penstock import Replication, compare, running
from benchmarks.result import Figure, Pair, Result, from_pairs
from benchmarks.servers import ACTIVE, Servers, Watcher
from tests.servers.postgres import Database

LIMIT_MIB: Final = 256.0
"""`unit_memory` of every run here."""

IDLE_MIB: Final = 100.0

PAGE_KIB: Final = 1024.0


@dataclass(frozen=True, slots=True)
class Situation:
    """What the worker goes through. `act` returns the rows it moved."""

    case: str
    limit_mib: float
    prepare: Callable[[Database], None]
    act: Callable[[Database, Database], int]


def rss_idle(servers: Servers, options: Options) -> Iterator[Result]:
    """A running replication with nothing to do."""
    seconds = options.sized(20, 3)
    yield _result(servers, Situation("rss-idle", IDLE_MIB, _ticks, partial(_idle, seconds)))


def rss_steady(servers: Servers, options: Options) -> Iterator[Result]:
    """Four pgbench clients as fast as they can."""
    seconds, scale = options.sized(60, 5), options.sized(10, 1)
    yield _result(
        servers,
        Situation(
            "rss-steady",
            LIMIT_MIB,
            partial(_pgbench_tables, servers, scale),
            partial(_saturate, servers, seconds),
        ),
    )


def rss_transaction(servers: Servers, options: Options) -> Iterator[Result]:
    """One transaction of five million rows."""
    rows = options.sized(5_000_000, 100_000)
    yield _result(servers, Situation("rss-transaction", LIMIT_MIB, _ticks, partial(_big, rows)))


def _result(servers: Servers, situation: Situation) -> Result:
    figure = _measured(servers, situation)
    limit = Figure(situation.limit_mib)
    speed = calibrate()
    return from_pairs(
        situation.case,
        [Pair(figure, limit, (speed, speed))],
        unit="MiB",
        better="lower",
        reach=1.0,
        versions=servers.versions,
        facts={"mode": "table-parallel", "unit_memory_mib": LIMIT_MIB, "against": "the limit"},
    )


def _measured(servers: Servers, situation: Situation) -> Figure:
    with (
        servers.source_database() as source,
        servers.target_database() as target,
        Watcher(source.dsn) as watcher,
    ):
        situation.prepare(source)
        situation.prepare(target)
        replication = Replication(
            source=source.dsn,
            target=target.dsn,
            id="memory",
            sections={"source": {"without_identity": "insert-only"}},
        )
        with running(replication) as run:
            active = watcher.until(ACTIVE, "penstock_memory", alive=run.alive)
            rows = situation.act(source, target)
            peaks = peak_mib(run.worker()), peak_mib(run.process.pid)
            run.stop()
        equal = compare(source, target)
    return Figure(
        peaks[0],
        startup_seconds=active - run.started,
        cpu_seconds=run.cpu_seconds,
        rows=rows,
        equal=equal,
        facts={"worker_mib": round(peaks[0], 1), "supervisor_mib": round(peaks[1], 1)},
    )


def _idle(seconds: int, *_: Database) -> int:
    time.sleep(seconds)
    return 0


def _big(rows: int, source: Database, target: Database) -> int:
    source.execute(f"INSERT INTO ticks SELECT generate_series(1, {rows})")
    with Watcher(target.dsn) as watcher:
        watcher.until(f"SELECT EXISTS (SELECT FROM ticks WHERE number = {rows})")
    return rows


def _saturate(servers: Servers, seconds: int, source: Database, target: Database) -> int:
    command = [servers.program("pgbench"), "-n", "-c", "4", "-T", str(seconds), source.dsn]
    subprocess.run(command, check=True, capture_output=True)
    source.execute("INSERT INTO pgbench_history (tid) VALUES (-1)")
    count = "SELECT count(*) FROM pgbench_history"
    rows = source.execute(count)[0][0]
    with Watcher(target.dsn) as watcher:
        watcher.until(f"SELECT ({count}) = {rows}")
    assert isinstance(rows, int)
    return rows * 4


def _ticks(database: Database) -> None:
    database.execute("CREATE TABLE ticks (number bigint PRIMARY KEY, filler char(40))")


def _pgbench_tables(servers: Servers, scale: int, database: Database) -> None:
    command = [servers.program("pgbench"), "-i", "-q", "-s", str(scale), database.dsn]
    subprocess.run(command, check=True, capture_output=True)


def peak_mib(pid: int) -> float:
    """The largest resident set a process has had, from Linux's /proc."""
    return _status_mib(pid, "VmHWM")


def resident_mib(pid: int) -> float:
    """The resident set that a process has, likewise."""
    return _status_mib(pid, "VmRSS")


def _status_mib(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / PAGE_KIB
    raise RuntimeError(f"process {pid} has no {name}")
