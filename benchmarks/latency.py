"""From commit on the source to visible on the target, at a steady rate of small transactions."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from benchmarks.backlog import PUBLICATION
from benchmarks.case import Options
from benchmarks.native import subscription
from benchmarks.pairs import alternate
from benchmarks.penstock import ROOT, Replication, compare, running
from benchmarks.result import Figure, Pair, Result, from_pairs
from benchmarks.servers import ACTIVE, Servers, Watcher
from tests.servers.postgres import Database

RATE: Final = 500.0
WARM_SECONDS: Final = 1.0
"""The first second is left out: both sides still prepare statements in it."""

REACH_P50: Final = 2.5
REACH_P99: Final = 1.5

TABLE: Final = "CREATE TABLE ticks (number bigint PRIMARY KEY)"
SEEN: Final = "SELECT count(*) > 0 FROM ticks"


def latency(servers: Servers, options: Options) -> Iterator[Result]:
    """p50 and p99, in milliseconds."""
    seconds = float(options.sized(15, 3))
    pairs = alternate(
        "latency p50",
        partial(_through_penstock, servers, seconds),
        partial(_through_subscription, servers, seconds),
        options.pairs,
    )
    for name, reach in (("p50", REACH_P50), ("p99", REACH_P99)):
        yield from_pairs(
            "latency",
            [_only(pair, name) for pair in pairs],
            unit=f"ms {name}",
            better="lower",
            reach=reach,
            versions=servers.versions,
            facts={"mode": "table-parallel", "transactions_per_second": RATE},
        )


def _through_penstock(servers: Servers, seconds: float) -> Figure:
    with (
        servers.source_database() as source,
        servers.target_database() as target,
        Watcher(source.dsn) as source_watcher,
    ):
        source.execute(TABLE)
        target.execute(TABLE)
        replication = Replication(source=source.dsn, target=target.dsn, id="latency")
        with running(replication) as run:
            slot = "penstock_latency"
            active = source_watcher.until(ACTIVE, slot, alive=run.alive)
            times = _measure(source, target, seconds)
            run.stop()
        equal = compare(source, target)
    figure = _figure(times, equal=equal)
    return replace(
        figure,
        startup_seconds=active - run.started,
        cpu_seconds=run.cpu_seconds,
        rows=int(RATE * seconds),
    )


def _through_subscription(servers: Servers, seconds: float) -> Figure:
    with (
        servers.source_database() as source,
        servers.target_database() as target,
        Watcher(source.dsn) as source_watcher,
    ):
        source.execute(TABLE)
        target.execute(TABLE)
        source.execute(f"CREATE PUBLICATION {PUBLICATION} FOR ALL TABLES")
        with (
            _new_slot(servers, source) as slot,
            subscription(servers, source, target, PUBLICATION, slot) as native,
        ):
            asked = native.enable()
            active = source_watcher.until(ACTIVE, slot)
            times = _measure(source, target, seconds)
            equal = compare(source, target)
    return replace(_figure(times, equal=equal), startup_seconds=active - asked)


@contextmanager
def _new_slot(servers: Servers, source: Database) -> Iterator[str]:
    """A slot at the log's end; it goes with its database."""
    name = f"latency_{servers.number()}"
    source.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", name)
    yield name


def _measure(source: Database, target: Database, seconds: float) -> Sequence[float]:
    """Milliseconds from confirmed commit to first sight, in order, without the warm-up."""
    last = int(RATE * seconds)
    reader = _probe("read", target.dsn, str(last))
    writer = _probe("write", source.dsn, str(RATE), str(seconds))
    committed, seen = dict(_answer(writer)), dict(_answer(reader))
    warm = int(RATE * WARM_SECONDS)
    return sorted(1000 * (seen[n] - committed[n]) for n in range(warm + 1, last + 1))


def _probe(*arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "benchmarks.latency_probe", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def _answer(process: "subprocess.Popen[bytes]") -> list[tuple[int, float]]:
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError("a latency probe failed")
    return [(number, at) for number, at in json.loads(output)]


def _figure(times: Sequence[float], *, equal: bool) -> Figure:
    p50, p99 = (round(times[int(len(times) * part)], 4) for part in (0.50, 0.99))
    return Figure(p50, equal=equal, facts={"p50": p50, "p99": p99, "max": round(times[-1], 3)})


def _only(pair: Pair, name: str) -> Pair:
    """The pair with one of its percentiles as the value."""

    def figure(whole: Figure) -> Figure:
        value = whole.facts[name]
        assert isinstance(value, float)
        return replace(whole, value=value)

    return replace(pair, ours=figure(pair.ours), theirs=figure(pair.theirs))
