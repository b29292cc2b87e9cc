"""Tables that come, stop, return and are loaded again while the others stream."""

import psycopg
import pytest

from engine.config.intervals import NEW_TABLES_SECONDS
from tests.scenario.conftest import Replicate
from tests.scenario.running import Replication, Run, until
from tests.scenario.workload import TABLES, broken_rules, create
from tests.scenario.writers import Writers, audited
from tests.servers.postgres import Database

MINUTE_SECONDS = 60.0

TWO_TABLES = """
CREATE TABLE good (id int PRIMARY KEY, v int);
CREATE TABLE bad (id int PRIMARY KEY, v int);
"""

MEND = {"mend_interval": "1s"}


def _running(replication: Replication) -> Run:
    run = replication.run()
    run.state("streaming")
    return run


@pytest.mark.parametrize("mode", ["table-parallel", "key-parallel", "transactional"])
def test_a_table_is_loaded_again_while_it_is_written_to(
    replicate: Replicate, source: Database, target: Database, mode: str
) -> None:
    """Rows that only the target has are gone, those it lacks are there, the others stream on."""
    create(source)
    replication = replicate(apply={"mode": mode})
    with Writers(source) as writers, _running(replication) as run:
        tables = ["moving"]
        target.execute("INSERT INTO moving SELECT -g, 0 FROM generate_series(1, 100) g")
        if mode != "transactional":  # which a row that is missing ends
            target.execute("DELETE FROM account WHERE id < 10")
            tables.append("account")
        for table in tables:
            mark = run.mark
            code, said = replication.command("reload", f"public.{table}")
            assert code == 0, said
            run.table(f"public.{table}", "streaming", after=mark)
        writers.stop()
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0
    assert broken_rules(target) == []


def test_a_reload_of_a_table_tied_by_a_foreign_key_brings_the_key_back(
    replicate: Replicate, source: Database, target: Database
) -> None:
    create(source)
    replication = replicate()
    with Writers(source) as writers, _running(replication) as run:
        for table in ("line", "invoice"):
            mark = run.mark
            assert replication.command("reload", f"public.{table}")[0] == 0
            run.table(f"public.{table}", "streaming", "needs-reload", after=mark)
        writers.stop()
        replication.await_applied(run)
        assert replication.differences() == []
        until(lambda: _has_foreign_key(target), "the foreign key", run=run)
        assert run.stop() == 0


def _has_foreign_key(target: Database) -> bool:
    found = target.execute("SELECT convalidated FROM pg_constraint WHERE contype = 'f'")
    return found == [(True,)]


def test_a_reload_of_an_untied_table_leaves_the_keys_of_others_and_the_stream_alone(
    replicate: Replicate, source: Database, target: Database
) -> None:
    create(source)
    replication = replicate()
    replication.catch_up()
    with _running(replication) as run:
        before = target.execute("SELECT oid FROM pg_constraint WHERE contype = 'f'")
        mark = run.mark
        assert replication.command("reload", "public.moving")[0] == 0
        run.table("public.moving", "streaming", after=mark)
        replication.await_applied(run)
        assert target.execute("SELECT oid FROM pg_constraint WHERE contype = 'f'") == before
        assert run.stop() == 0
        states = [e["state"] for e in run.events[mark:] if e["event"] == "state"]
        assert states == ["draining", "stopped"]


FAMILY = """
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, parent int);
"""

FAMILIES = """
INSERT INTO parent SELECT g FROM generate_series({0}, {0} + 99) g;
INSERT INTO child SELECT g, g FROM generate_series({0}, {0} + 99) g;
"""


def test_a_new_table_with_a_foreign_key_gets_it_and_shares_a_lane_with_its_parent(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute("CREATE TABLE parent (id int PRIMARY KEY)")
    replication = replicate(apply=MEND)
    with _running(replication) as run:
        source.execute("CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent)")
        source.execute(FAMILIES.format(1000))
        run.table("public.child", "streaming", patience=MINUTE_SECONDS)
        mark = run.mark
        until(lambda: _has_foreign_key(target), "the foreign key", run=run)
        run.state("streaming", after=mark)
        mark = run.mark
        for number in range(2, 12):
            source.execute(FAMILIES.format(number * 1000))
        replication.await_applied(run)
        assert replication.differences() == []
        assert not [e for e in run.events[mark:] if e.get("state") == "suspended"]
        assert run.stop() == 0


def test_a_foreign_key_made_on_the_target_ties_the_lanes_of_its_tables(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute(FAMILY)
    replication = replicate(apply=MEND)
    with _running(replication) as run:
        target.execute("ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES parent")
        mark = run.mark
        run.says("share a lane from now on")
        run.state("streaming", after=mark)
        mark = run.mark
        for number in range(1, 11):
            source.execute(FAMILIES.format(number * 1000))
        replication.await_applied(run)
        assert replication.differences() == []
        assert not [e for e in run.events[mark:] if e.get("state") == "suspended"]
        assert run.stop() == 0


@pytest.mark.parametrize("mode", ["table-parallel", "transactional"])
def test_tables_that_refer_to_each_other_are_emptied_together_under_the_replica_role(
    replicate: Replicate, source: Database, target: Database, mode: str
) -> None:
    """There foreign keys do not fire, and still keep their parent from being emptied alone."""
    source.execute(FAMILY)
    source.execute("ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES parent")
    source.execute(FAMILIES.format(1))
    replication = replicate(target={"session_replication_role": "replica"}, apply={"mode": mode})
    with _running(replication) as run:
        source.execute("TRUNCATE parent, child")
        source.execute(FAMILIES.format(1000))
        source.execute("TRUNCATE child")
        replication.await_applied(run)
        assert replication.differences() == []
        assert replication.state("public.parent") == "streaming"
        assert run.stop() == 0


def test_a_reload_asked_for_while_nothing_runs_is_done_by_the_next_start(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute(TWO_TABLES)
    source.execute("INSERT INTO good SELECT g, g FROM generate_series(1, 100) g")
    replication = replicate()
    replication.catch_up()
    target.execute("DELETE FROM good")
    assert replication.command("reload", "public.good")[0] == 0
    with _running(replication) as run:
        run.table("public.good", "streaming")
        replication.await_tables(["good", "bad"], run)
        assert run.stop() == 0


@pytest.mark.parametrize("kind", ["full-load-and-cdc", "full-load"])
def test_a_run_to_caught_up_first_does_the_reload_that_was_asked_for_before_it(
    replicate: Replicate, source: Database, target: Database, kind: str
) -> None:
    source.execute(TWO_TABLES)
    source.execute("INSERT INTO good SELECT g, g FROM generate_series(1, 100) g")
    replication = replicate(kind=kind)
    replication.catch_up()
    for _ in range(3):  # the looks for a request are seconds apart
        target.execute("DELETE FROM good")
        assert replication.command("reload", "public.good")[0] == 0
        replication.catch_up()
        assert replication.differences() == []


def test_a_reload_request_outlives_a_schema_change_of_the_same_table(
    replicate: Replicate, source: Database, target: Database
) -> None:
    """The change is applied, and its state stored, after the request and before the look for it."""
    source.execute(TWO_TABLES)
    source.execute("INSERT INTO good SELECT g, g FROM generate_series(1, 100) g")
    replication = replicate()
    with _running(replication) as run:
        for number in range(3):
            mark = run.mark
            target.execute("DELETE FROM good")
            assert replication.command("reload", "public.good")[0] == 0
            source.execute(f"ALTER TABLE good ADD COLUMN more{number} int")
            source.execute(f"INSERT INTO good (id) VALUES ({1000 + number})")
            run.table("public.good", "streaming", after=mark)
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0


def test_reloads_killed_anywhere_are_done_by_the_next_start(
    replicate: Replicate, source: Database, target: Database
) -> None:
    create(source)
    replication = replicate(load={"parallel_tables": 1})
    replication.catch_up()
    with Writers(source) as writers:
        for point in ("load.planned:1", "load.chunk-done:1"):
            target.execute("INSERT INTO moving SELECT -g, 0 FROM generate_series(1, 10) g")
            assert replication.command("reload", "public.moving")[0] == 0
            with replication.run(PENSTOCK_FAILPOINT=f"{point}:kill") as run:
                run.event("restarting")
                run.kill_supervisor()
        with _running(replication) as run:
            until(lambda: replication.state("public.moving") == "streaming", "the reload", run=run)
            writers.stop()
            replication.await_applied(run)
            assert run.stop() == 0
    assert replication.differences() == []


def test_a_new_table_is_carried_within_a_minute(replicate: Replicate, source: Database) -> None:
    create(source)
    # nothing tells of it, and the looks are as rare as a user's
    replication = replicate(
        **{"source.settings": {"CaptureDdls": False}},
        intervals={"new_tables": f"{NEW_TABLES_SECONDS:g}s"},
    )
    with Writers(source) as writers, _running(replication) as run:
        source.execute(
            "CREATE TABLE fresh (id int PRIMARY KEY, v text);"
            "INSERT INTO fresh SELECT g, 'loaded' FROM generate_series(1, 1000) g"
        )
        run.table("public.fresh", "streaming", patience=MINUTE_SECONDS)
        source.execute("UPDATE fresh SET v = 'streamed' WHERE id % 2 = 0")
        source.execute("INSERT INTO fresh SELECT g, 'later' FROM generate_series(1001, 1100) g")
        writers.stop()
        replication.await_applied(run)
        assert replication.differences([*TABLES, "fresh"]) == []
        assert run.stop() == 0


def _violated(source: Database, target: Database) -> None:
    """One row that the target refuses, with rows of both tables around it."""
    target.execute("ALTER TABLE bad ADD CONSTRAINT small CHECK (v < 1000)")
    source.execute("INSERT INTO bad VALUES (1, 1), (2, 2000), (3, 3)")
    source.execute("INSERT INTO good VALUES (1, 1)")
    source.execute("UPDATE bad SET v = 4 WHERE id = 1")


def test_a_refused_row_stops_its_table_and_no_other_and_mended_it_returns_by_itself(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute(TWO_TABLES)
    replication = replicate(apply=MEND)
    with _running(replication) as run:
        _violated(source, target)
        run.table("public.bad", "suspended")
        until(lambda: not replication.differences(["good"]), "the other table", run=run)
        kept = target.execute(
            "SELECT table_name, operation, reason, sqlstate, message FROM penstock.quarantine"
        )
        assert [row[:4] for row in kept] == [("bad", "insert", "rejected-row", "23514")]
        assert "2000" not in kept[0][4]
        assert replication.state("public.bad") == "suspended"
        source.execute("DELETE FROM bad WHERE id = 3")
        replication.await_applied(run)  # a stopped table holds no log back
        mark = run.mark
        target.execute("ALTER TABLE bad DROP CONSTRAINT small")
        run.table("public.bad", "streaming", after=mark)
        replication.await_tables(["good", "bad"], run)
        source.execute("INSERT INTO bad VALUES (5, 5)")
        replication.await_applied(run)
        assert replication.differences() == []
        assert replication.state("public.bad") == "streaming"
        assert run.stop() == 0


def test_a_refused_row_of_a_lane_of_several_tables_leaves_the_others_and_all_return_mended(
    replicate: Replicate, source: Database, target: Database
) -> None:
    create(source)
    replication = replicate(apply=MEND)
    with Writers(source) as writers, _running(replication) as run:
        target.execute("ALTER TABLE line ADD CONSTRAINT small CHECK (amount <> 13) NOT VALID")
        run.table("public.line", "suspended")
        mark = run.mark
        replication.await_applied(run)
        writers.stop()
        replication.await_applied(run)
        rest = [table for table in TABLES if table not in ("invoice", "line")]
        assert replication.differences(rest) == []
        target.execute("ALTER TABLE line DROP CONSTRAINT small")
        run.table("public.line", "streaming", after=mark)
        replication.await_tables(TABLES, run)
        assert run.stop() == 0
    assert broken_rules(target) == []


def test_what_waits_outlives_that_a_table_tied_to_it_leaves_the_source_and_the_target_is_away(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute(f"{TWO_TABLES}; ALTER TABLE good ADD FOREIGN KEY (v) REFERENCES bad")
    replication = replicate(apply=MEND)
    with _running(replication) as run:
        target.execute("ALTER TABLE bad ADD CONSTRAINT small CHECK (v < 1000)")
        source.execute("INSERT INTO bad VALUES (1, 1), (2, 2000)")
        run.table("public.bad", "suspended")
        source.execute("INSERT INTO good VALUES (1, 2); INSERT INTO bad VALUES (3, 3)")
        source.execute("DROP TABLE good")
        replication.await_applied(run)
        mark = run.mark
        target.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'penstock%' AND datname = current_database()"
        )
        run.state("retrying", after=mark)
        run.state("streaming", after=mark)
        assert replication.state("public.bad") == "suspended"
        target.execute("ALTER TABLE bad DROP CONSTRAINT small")
        run.table("public.bad", "streaming", after=mark)
        replication.await_tables(["bad"], run)
        assert run.stop() == 0


def test_a_stopped_table_returns_by_a_reload(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute(TWO_TABLES)
    replication = replicate(apply={"mend_interval": "1h"})
    with _running(replication) as run:
        _violated(source, target)
        run.table("public.bad", "suspended")
        target.execute("ALTER TABLE bad DROP CONSTRAINT small")
        mark = run.mark
        assert replication.command("reload", "public.bad")[0] == 0
        run.table("public.bad", "streaming", after=mark)
        source.execute("INSERT INTO bad VALUES (5, 5)")
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0


def test_a_table_stopped_before_a_restart_needs_a_reload_and_says_so(
    replicate: Replicate, source: Database, target: Database
) -> None:
    """What waited for it was in the files of a process that is gone, and the source's log was
    released."""
    source.execute(TWO_TABLES)
    replication = replicate(apply={"mend_interval": "1h"})
    with _running(replication) as run:
        _violated(source, target)
        run.table("public.bad", "suspended")
        replication.await_applied(run)
        run.kill_worker()
        run.table("public.bad", "needs-reload")
        target.execute("ALTER TABLE bad DROP CONSTRAINT small")
        assert replication.command("reload", "public.bad")[0] == 0
        run.table("public.bad", "streaming", after=run.mark)
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0


def test_quarantine_keeps_the_row_aside_and_goes_on(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute(TWO_TABLES)
    replication = replicate(apply={"on_row_error": "quarantine"})
    with _running(replication) as run:
        _violated(source, target)
        replication.await_applied(run)
        assert run.stop() == 0
    assert target.execute("SELECT id, v FROM bad ORDER BY id") == [(1, 4), (3, 3)]
    assert target.execute("SELECT count(*) FROM penstock.quarantine") == [(1,)]
    assert replication.differences(["good"]) == []


@pytest.mark.parametrize("apply", [{"on_row_error": "stop"}, {"mode": "transactional"}])
def test_stop_ends_the_replication_before_the_refused_row(
    replicate: Replicate, source: Database, target: Database, apply: dict[str, object]
) -> None:
    source.execute(TWO_TABLES)
    replication = replicate(apply=apply)
    with _running(replication) as run:
        _violated(source, target)
        assert run.wait() == 1
        assert "bad" in run.ending
        assert "2000" not in run.ending
    target.execute("ALTER TABLE bad DROP CONSTRAINT small")
    replication.catch_up()
    assert replication.differences() == []


def test_no_reading_shows_a_torn_transaction_while_tables_are_added(
    replicate: Replicate, source: Database, target: Database
) -> None:
    create(source)
    replication = replicate(apply={"mode": "transactional"})
    replication.catch_up()
    with Writers(source) as writers, audited(target), _running(replication) as run:
        source.execute("CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh VALUES (1)")
        run.table("public.fresh", "streaming", patience=MINUTE_SECONDS)
        writers.stop()
        replication.await_applied(run)
        assert run.stop() == 0
    assert replication.differences() == []


def test_a_stopped_table_outlives_trouble_with_the_target(
    replicate: Replicate, source: Database, target: Database
) -> None:
    """Every connection of the process is cut; what waited is still there, and nothing twice."""
    source.execute(TWO_TABLES)
    replication = replicate(apply={"mend_interval": "2s"})
    with _running(replication) as run:
        _violated(source, target)
        run.table("public.bad", "suspended")
        replication.await_applied(run)
        worker = run.worker
        for number in (10, 11):
            mark = run.mark
            target.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE application_name = 'penstock/{replication.id}'"
            )
            run.state("streaming", after=mark)
            source.execute(f"INSERT INTO bad VALUES ({number}, 1); UPDATE bad SET v = v + 1")
            replication.await_applied(run)
            assert replication.state("public.bad") == "suspended"
        mark = run.mark
        target.execute("ALTER TABLE bad DROP CONSTRAINT small")
        run.table("public.bad", "streaming", after=mark)
        replication.await_tables(["good", "bad"], run)
        assert run.worker == worker
        assert run.stop() == 0


def test_a_reload_that_older_transactions_hold_up_says_for_whom_and_is_done_when_they_end(
    replicate: Replicate, source: Database, target: Database
) -> None:
    """Meanwhile its table streams on."""
    source.execute(TWO_TABLES)
    source.execute("INSERT INTO good SELECT g, g FROM generate_series(1, 100) g")
    replication = replicate(load={"snapshot_wait": "1s"})
    with _running(replication) as run:
        with psycopg.connect(source.dsn) as older:
            older.execute("INSERT INTO bad VALUES (1, 1)")
            target.execute("DELETE FROM good WHERE id = 100")
            assert replication.command("reload", "public.good")[0] == 0
            said = run.says("table could not be read yet")
            assert f"pid {older.info.backend_pid} (idle in transaction" in said
            source.execute("UPDATE good SET v = 0 WHERE id < 50")
            until(lambda: _updated(target) == 49, "the update", run=run)
            assert replication.state("public.good") == "streaming"
            mark = run.mark
            older.commit()
        run.table("public.good", "streaming", after=mark)
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0


def _updated(target: Database) -> int:
    return int(target.execute("SELECT count(*) FROM good WHERE v = 0")[0][0])
