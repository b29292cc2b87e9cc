"""One owner of a replication, whatever else is started."""

import signal
import time

from tests.scenario.conftest import Replicate
from tests.scenario.running import Replication, Run, alive, kill, seconds_between, until
from tests.scenario.workload import create
from tests.scenario.writers import Writers
from tests.servers.postgres import Database

WAIT_SECONDS = 10.0
"""How long a newcomer waits for the slot."""


def _streaming(replication: Replication, *arguments: str) -> Run:
    run = replication.run(*arguments)
    run.state("streaming")
    return run


def _start_seconds(run: Run) -> float:
    return seconds_between(run.state("starting"), run.state("streaming"))


def test_a_second_file_with_the_id_waits_for_the_slot_and_ends_naming_the_living_owner(
    replicate: Replicate, source: Database
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = replicate()
    with _streaming(replication) as first:
        began = time.monotonic()
        with replicate(id=replication.id, file="another.toml").run() as second:
            assert second.wait() == 3
            took = time.monotonic() - began
            assert WAIT_SECONDS <= took < WAIT_SECONDS + 15
            assert "another process reads this replication's log: pid " in second.ending
            assert "--take-over" in second.ending
        source.execute("INSERT INTO t VALUES (1)")
        replication.await_applied(first)
        assert first.stop() == 0
    assert replication.differences() == []


def test_a_second_run_takes_the_slot_when_the_first_ends_meanwhile(
    replicate: Replicate, source: Database
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = replicate()
    with _streaming(replication) as first, replication.run() as second:
        second.state("starting")
        assert first.stop() == 0
        second.state("streaming")
        assert second.stop() == 0


def test_take_over_ends_a_busy_owner_with_exit_3(replicate: Replicate, source: Database) -> None:
    create(source)
    replication = replicate()
    with (
        Writers(source) as writers,
        _streaming(replication) as older,
        _streaming(replication, "--take-over") as newer,
    ):
        assert older.wait() == 3
        assert "another process" in older.ending
        writers.stop()
        replication.await_applied(newer)
        assert newer.stop() == 0
    assert replication.differences() == []


def test_take_over_ends_an_idle_owner_with_exit_3(replicate: Replicate, source: Database) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = replicate()
    with _streaming(replication) as older, _streaming(replication, "--take-over") as newer:
        assert older.wait() == 3
        assert f"{newer.worker} (epoch 2)" in older.ending
        source.execute("INSERT INTO t VALUES (1)")
        replication.await_applied(newer)
        assert newer.stop() == 0
    assert replication.differences() == []


def test_an_owner_that_was_frozen_changes_nothing_when_it_goes_on(
    replicate: Replicate, source: Database
) -> None:
    """Stopped in the middle of whatever it did, with its connections open and its locks held."""
    create(source)
    replication = replicate()
    with Writers(source) as writers, _streaming(replication) as older:
        frozen = older.worker
        kill(frozen, signal.SIGSTOP)
        with _streaming(replication, "--take-over") as newer:
            assert _start_seconds(newer) < WAIT_SECONDS
            writers.stop()
            replication.await_applied(newer)
            kill(frozen, signal.SIGCONT)
            assert older.wait() == 3
            assert replication.differences() == []
            assert newer.stop() == 0
    assert not alive(frozen)


def test_a_loader_that_stands_still_with_rows_and_locks_is_ended_by_the_successor(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    source.execute("INSERT INTO t SELECT g FROM generate_series(1, 50000) g")
    replication = replicate()
    with replication.run(PENSTOCK_FAILPOINT="load.chunk-before-commit:1:sleep") as older:
        until(lambda: _in_transaction(replication, target), "the loader's rows", run=older)
        frozen = older.worker
        kill(frozen, signal.SIGSTOP)
        assert _in_transaction(replication, target)
        with _streaming(replication, "--take-over") as newer:
            assert replication.differences() == []
            kill(frozen, signal.SIGCONT)
            assert older.wait() == 3
            assert newer.stop() == 0
    assert not alive(frozen)


def _in_transaction(replication: Replication, target: Database) -> bool:
    """Whether a loader has written and not committed."""
    found = target.execute(
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.relation = to_regclass('public.t') AND l.mode = 'RowExclusiveLock'"
        f" AND a.application_name = 'penstock/{replication.id}' AND a.state LIKE 'idle in%'"
    )
    return bool(found[0][0])


def test_after_a_kill_of_both_the_next_start_needs_no_flag(
    replicate: Replicate, source: Database
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = replicate()
    with _streaming(replication) as run:
        run.kill_supervisor()
    with _streaming(replication) as run:
        assert _start_seconds(run) < WAIT_SECONDS
        assert run.stop() == 0


def test_the_same_id_with_another_source_is_refused_and_changes_nothing(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = replicate()
    replication.catch_up()
    before = _control(target)
    other = Database.create(source.cluster, f"{source.name}_other")
    try:
        other.execute("CREATE TABLE t (id int PRIMARY KEY)")
        wrong = replicate(id=replication.id, file="wrong.toml", source_dsn=other.dsn)
        with wrong.run() as run:
            assert run.wait() == 3
            assert "belongs to source" in run.ending
    finally:
        other.drop()
    assert _control(target) == before
    replication.catch_up()


def test_another_apply_mode_is_refused_and_changes_nothing(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY)")
    replication = replicate()
    replication.catch_up()
    before = _control(target)
    changed = replicate(id=replication.id, file="changed.toml", apply={"mode": "transactional"})
    with changed.run() as run:
        assert run.wait() == 2
        assert "apply mode" in run.ending
    assert _control(target) == before
    replication.catch_up()


def _control(database: Database) -> list[object]:
    return [
        database.execute("SELECT * FROM penstock.owner ORDER BY 1"),
        database.execute("SELECT * FROM penstock.checkpoint ORDER BY 1, 2"),
        database.execute("SELECT * FROM penstock.table_state ORDER BY 1, 2, 3"),
    ]
