"""Ways to end: a signal, a goal, and a source that is shut down under us."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.scenario.conftest import Majors, Replicate, one_pair
from tests.scenario.running import Replication, Run, kill, seconds_between, until
from tests.scenario.workload import create
from tests.scenario.writers import Writers
from tests.servers.postgres import Cluster, Database

STOP_SECONDS = 10.0

UNASKED_SECONDS = 20.0
"""Well before an idle server tells its position unasked, after half of `wal_sender_timeout`."""


def _timed_stop(run: Run) -> float:
    began = time.monotonic()
    assert run.stop() == 0, run.story()
    return time.monotonic() - began


@pytest.mark.parametrize("mode", ["table-parallel", "transactional"])
def test_sigterm_drains_in_time_under_writers(
    replicate: Replicate, source: Database, target: Database, mode: str
) -> None:
    create(source)
    replication = replicate(apply={"mode": mode})
    with Writers(source), replication.run() as run:
        run.state("streaming")
        marked = _marked(source)
        until(lambda: _has_mark(target), "the mark", run=run)
        assert _timed_stop(run) < STOP_SECONDS
    assert replication.confirmed_reaches(marked)
    replication.catch_up()
    assert replication.differences() == []


def test_sigterm_ends_in_time_in_the_load(replicate: Replicate, source: Database) -> None:
    source.execute(
        "CREATE TABLE big (id int PRIMARY KEY, v text);"
        "INSERT INTO big SELECT g, repeat('x', 200) FROM generate_series(1, 300000) g; ANALYZE big"
    )
    replication = replicate(load={"rows_per_chunk": 5000, "parallel_tables": 1})
    with replication.run() as run:
        run.await_event(lambda e: e["event"] == "table" and e["rows"], "a chunk")
        assert _timed_stop(run) < STOP_SECONDS
    copied = replication.target.execute("SELECT count(*) FROM big")[0][0]
    assert 0 < copied < 300_000
    replication.catch_up()
    assert replication.differences() == []


def test_sigterm_ends_in_time_when_the_target_does_not_answer(
    replicate: Replicate, source: Database, target: Database
) -> None:
    """A lock on the target holds the appliers; what was not applied is read again."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = replicate()
    with replication.run() as run:
        run.state("streaming")
        with _locked(target, "t"):
            source.execute("INSERT INTO t SELECT generate_series(1, 100)")
            assert _timed_stop(run) < STOP_SECONDS + 1
    replication.catch_up()
    assert replication.differences() == []


@one_pair
@pytest.mark.nightly
def test_sigterm_ends_in_time_when_the_worker_hangs(replicate: Replicate, source: Database) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = replicate()
    with replication.run() as run:
        run.state("streaming")
        kill(run.worker, signal.SIGSTOP)
        assert _timed_stop(run) < STOP_SECONDS + 1
    replication.catch_up()


def test_caught_up_on_an_idle_source_ends_with_equal_tables(
    replicate: Replicate, source: Database
) -> None:
    create(source)
    replication = replicate()
    replication.catch_up()
    lsn = str(source.execute("SELECT pg_current_wal_lsn()")[0][0])
    with replication.run("--stop-at=caught-up") as run:
        assert run.wait() == 0
        starting, caught_up = run.state("starting"), run.event("caught-up")
    assert seconds_between(starting, caught_up) < UNASKED_SECONDS
    assert replication.confirmed_reaches(lsn)
    assert replication.differences() == []


def test_caught_up_on_a_busy_source_has_what_was_committed_when_the_stream_began(
    replicate: Replicate, source: Database
) -> None:
    create(source)
    replication = replicate()
    replication.catch_up()
    with Writers(source) as writers:
        marked = _marked(source)
        with replication.run("--stop-at=caught-up") as run:
            assert run.wait() == 0
        assert replication.confirmed_reaches(marked)
        assert _has_mark(replication.target)
        writers.stop()
    with replication.run(f"--stop-at={_marked(source)}") as run:
        assert run.wait() == 0
    assert replication.differences() == []


def _marked(source: Database) -> str:
    """A position after a row of our own."""
    source.execute("INSERT INTO audit VALUES (-1, 0, 'marked')")
    return str(source.execute("SELECT pg_current_wal_insert_lsn()")[0][0])


def _has_mark(target: Database) -> bool:
    return target.execute("SELECT count(*) FROM audit WHERE writer = -1") == [(1,)]


def test_a_position_in_the_past_ends_at_once(replicate: Replicate, source: Database) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = replicate()
    replication.catch_up()
    with replication.run("--stop-at=0/1") as run:
        assert run.wait() == 0


def test_an_idle_database_lets_the_log_of_others_go(replicate: Replicate, source: Database) -> None:
    """Positions without any change of ours are stored and acknowledged too."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = replicate()
    with replication.run() as run:
        run.state("streaming")
        source.cluster.execute(
            "CREATE TABLE noise AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)"
        )
        replication.await_applied(run)
        assert run.stop() == 0
    source.cluster.execute("DROP TABLE noise")


def test_a_source_that_is_shut_down_does_not_wait_for_us_and_is_waited_for(
    private_cluster: Callable[..., Cluster], majors: Majors, target: Database, tmp_path: Path
) -> None:
    # One that would wait for us as long as it takes.
    cluster = private_cluster(majors[0], settings={"wal_sender_timeout": 0})
    source = Database.create(cluster, "source")
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = Replication.between(tmp_path, "shutdown", source, target)
    with replication.run() as run:
        run.state("streaming")
        source.execute("INSERT INTO t SELECT generate_series(1, 1000)")
        mark = run.mark
        cluster.stop("fast")
        run.state("retrying", after=mark)
        cluster.start()
        run.state("streaming", after=mark)
        source.execute("INSERT INTO t SELECT generate_series(1001, 2000)")
        replication.await_applied(run)
        assert run.stop() == 0
    assert replication.differences() == []


@contextmanager
def _locked(database: Database, table: str) -> Iterator[None]:
    """A table of the target is locked meanwhile."""
    with psycopg.connect(database.dsn) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
