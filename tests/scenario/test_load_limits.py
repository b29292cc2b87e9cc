"""What limits a load is told between real servers, and a source that says nothing is left."""

import os
import signal
import time
from contextlib import ExitStack
from typing import Final

import psycopg
import pytest

from tests.scenario.conftest import Replicate, one_pair
from tests.scenario.faults.proxied import proxied
from tests.scenario.load_limits import FILLED, LOAD_LIMITS, SCHEMA
from tests.scenario.running import Run, until
from tests.scenario.scraped import METRICS, Gauges
from tests.servers.postgres import Database
from tests.servers.proxy import FaultProxy

ALWAYS: Final = ("target",)
"""The others are of every night."""

NOTICED_SECONDS: Final = 30.0

LARGE: Final = (
    "INSERT INTO t0 SELECT g, repeat(md5(g::text), 16) FROM generate_series(6001, 100000) g;"
)
"""50 MB: more than sockets hold."""


@one_pair
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in ALWAYS else pytest.mark.nightly) for n in LOAD_LIMITS],
)
def test_what_limits_a_load_is_told_and_what_helps(
    name: str, replicate: Replicate, source: Database, target: Database
) -> None:
    limit = LOAD_LIMITS[name]
    source.execute(SCHEMA + FILLED + limit.on_source)
    if limit.on_target:
        target.execute(limit.on_target)
    with ExitStack() as stack:
        way = ""
        if limit.slow_source is not None:
            proxy = stack.enter_context(proxied(source.cluster))
            proxy.do(limit.slow_source)
            way = source.cluster.dsn(source.name, port=proxy.port)
        replication = replicate(kind="full-load", source_dsn=way, load=limit.load)
        other = stack.enter_context(ExitStack())
        other.enter_context(limit.beside(target))
        with replication.run("--metrics=127.0.0.1:0") as run:
            run.await_event(
                lambda e: e["event"] == "metrics" and e.get("verdict") == limit.cause.value,
                f"the verdict {limit.cause}",
            )
            other.close()
            assert run.wait() == 0
    lines = [line for line in run.log if "load.verdict" in line]
    assert any(all(word in line for word in limit.words) for line in lines), lines
    verdicts = [e["verdict"] for e in run.events if e["event"] == "metrics" and e.get("verdict")]
    assert verdicts[0] == limit.cause.value, verdicts


@one_pair
@pytest.mark.nightly
@pytest.mark.parametrize("how", ["frozen", "half-open"])
def test_a_source_that_says_nothing_during_a_load_is_left_within_half_a_minute(
    replicate: Replicate, source: Database, how: str
) -> None:
    source.execute(SCHEMA + FILLED + LARGE)
    with proxied(source.cluster) as proxy, ExitStack() as stack:
        proxy.do(lambda p: p.throttle(1_000_000.0))
        way = source.cluster.dsn(source.name, port=proxy.port)
        replication = replicate(source_dsn=way, load={"parallel_tables": 1})
        with replication.run(METRICS) as run:
            gauges = Gauges.of(run, "public")
            run.state("loading")
            reader = _reader(source, run)
            began = time.monotonic()
            if how == "frozen":
                os.kill(reader, signal.SIGSTOP)
                stack.callback(os.kill, reader, signal.SIGCONT)
                proxy.do(FaultProxy.resume)
            else:
                proxy.do(FaultProxy.black_hole)
            run.says("the source has sent nothing for")
            assert time.monotonic() - began < NOTICED_SECONDS
            gauges.until(lambda g: g.stuck("source"), "the source to be stuck")
            assert time.monotonic() - began < NOTICED_SECONDS + 5.0
            proxy.do(FaultProxy.resume)
            run.state("streaming", after=run.mark, patience=90.0)
            gauges.until(lambda g: not g.stuck("source"), "the source to move")
            assert run.stop() == 0
    assert replication.differences() == []


@one_pair
@pytest.mark.nightly
def test_a_target_that_takes_no_rows_of_a_load_is_told_within_half_a_minute(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute(SCHEMA + FILLED)
    target.execute(SCHEMA)
    replication = replicate(kind="full-load")
    with psycopg.connect(target.dsn) as other, replication.run(METRICS) as run:
        other.execute("LOCK TABLE t0 IN ACCESS EXCLUSIVE MODE")
        gauges = Gauges.of(run, "public")
        run.state("loading")
        began = time.monotonic()
        gauges.until(lambda g: g.stuck("target"), "the target to be stuck")
        assert time.monotonic() - began < NOTICED_SECONDS + 5.0
        other.rollback()
        assert run.wait() == 0
    assert replication.differences() == []


def _reader(source: Database, run: Run) -> int:
    """The process of a session that reads rows."""
    reading = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE 'COPY%' AND wait_event = 'ClientWrite'"
    )
    until(lambda: bool(source.execute(reading)), "a session that reads", run=run)
    return int(str(source.execute(reading)[0][0]))
