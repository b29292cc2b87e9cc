"""One owner of a replication whose target is MySQL or MariaDB, whatever else is started."""

import signal
from collections.abc import Iterator
from typing import Final

import pytest

from tests.scenario.pairs.conftest import Ends, Replicate, each_of
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA, Side, content
from tests.scenario.running import Run, alive, kill, until
from tests.scenario.workload import create
from tests.scenario.writers import Writers

PAIRS: Final = (("18", "mysql-9"), ("mysql-9", "mariadb-10.11"))


@pytest.fixture(params=each_of(PAIRS))
def pair(request: pytest.FixtureRequest, ends: Ends) -> Iterator[tuple[Side, Side]]:
    source, target = ends.source(request.param[0]), ends.target(request.param[1])
    yield source, target
    source.drop()
    target.drop()


def _streaming(replication: PairReplication, *arguments: str) -> Run:
    run = replication.run(*arguments)
    run.state("streaming")
    return run


def _await_equal(replication: PairReplication, run: Run) -> None:
    until(lambda: replication.differences() == [], "tables to be equal", run=run)


def test_a_frozen_owner_and_a_busy_one_change_nothing_once_another_has_taken_over(
    replicate: Replicate,
) -> None:
    """The first is stopped in the middle of whatever it does, its connections open and its locks
    held, and goes on later; the second is at work when the third comes."""
    replication = replicate()
    source = replication.source
    create(source.database)
    with Writers(source.database) as writers, _streaming(replication) as frozen:
        until(lambda: writers.committed > 20, "writes")
        pid = frozen.worker
        kill(pid, signal.SIGSTOP)
        with (
            _streaming(replication, "--take-over") as second,
            _streaming(replication, "--take-over") as third,
        ):
            assert second.wait() == 3
            assert "another process" in second.ending
            writers.stop()
            _await_equal(replication, third)
            kill(pid, signal.SIGCONT)
            assert frozen.wait() == 3
            assert "another process" in frozen.ending
            assert replication.differences() == []
            assert third.stop() == 0
    assert not alive(pid)


def test_a_loader_that_stands_still_with_rows_and_locks_is_ended_by_the_successor(
    replicate: Replicate,
) -> None:
    replication = replicate()
    source = replication.source
    source.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY)")
    rows = ", ".join([f"({number})" for number in range(5_000)])
    source.execute(f"INSERT INTO {SCHEMA}.t VALUES {rows}")
    with replication.run(PENSTOCK_FAILPOINT="load.chunk-before-commit:1:sleep") as older:
        older.says("the event loop is blocked")
        pid = older.worker
        kill(pid, signal.SIGSTOP)
        assert content(replication.target, "t", "id") == []
        with _streaming(replication, "--take-over") as newer:
            assert replication.differences(["t"]) == []
            kill(pid, signal.SIGCONT)
            assert older.wait() == 3
            assert newer.stop() == 0
    assert not alive(pid)


def test_a_second_run_waits_and_ends_naming_who_reads_while_the_first_goes_on(
    replicate: Replicate,
) -> None:
    replication = replicate()
    replication.source.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY)")
    with _streaming(replication) as first:
        with replication.run() as second:
            assert second.wait() == 3
        assert "another process reads this replication's log: " in second.ending
        assert "--take-over" in second.ending
        replication.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1)")
        rows = [("1",)]
        until(lambda: content(replication.target, "t", "id") == rows, "the row", run=first)
        assert first.stop() == 0
