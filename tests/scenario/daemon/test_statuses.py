"""Statuses that tell what is, where the way to them is not the usual one."""

from pathlib import Path

from tests.scenario.daemon.replicated import Replicated, replicated, start
from tests.scenario.daemon.serving import Serving
from tests.servers.postgres import Database


def filled(database: Database) -> Database:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text);"
        " INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 500) g"
    )
    return database


def test_who_has_no_room_any_more_after_a_restart_waits_and_says_so(
    tmp_path: Path, source: Database, target: Database
) -> None:
    filled(source)
    with Serving(tmp_path, config='[serve]\nmemory = "5GiB"\n') as daemon:
        both = [replicated(daemon, name, source, target, kind="cdc") for name in ("a", "b")]
        for it in both:
            start(daemon, it.arn)
            daemon.await_status(it.arn, "running")
        assert daemon.stop() == 0
    with Serving(tmp_path, config='[serve]\nmemory = "3GiB"\n') as daemon:

        def waiting() -> list[Replicated]:
            status = "provisioning_capacity"
            return [it for it in both if daemon.replication(it.arn)["Status"] == status]

        daemon.until(lambda: len(waiting()) == 1, "one to wait")
        (second,) = waiting()
        (first,) = [it for it in both if it is not second]
        assert daemon.worker()
        daemon.await_status(first.arn, "running")
        assert waiting() == [second]
        daemon.client().stop_replication(ReplicationConfigArn=first.arn)
        daemon.await_status(first.arn, "stopped")
        daemon.await_status(second.arn, "running")
        assert not [line for line in daemon.lines if line.get("action") == "replication.defect"]


def test_a_moment_to_stop_at_that_comes_before_anything_moves_stops_it(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "past", filled(source), target, kind="cdc")
        start(daemon, it.arn, CdcStopPosition="server_time:2020-01-01T00:00:00")
        found = daemon.await_status(it.arn, "stopped", "failed")
        assert found["Status"] == "stopped"
        assert found["StopReason"] == "Stop Reason STOPPED_AT_SERVER_TIME"
        assert not [line for line in daemon.lines if line.get("action") == "replication.defect"]


def test_a_full_load_that_has_nothing_left_to_do_ends_again(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "once", filled(source), target, kind="full-load")
        start(daemon, it.arn)
        daemon.await_status(it.arn, "stopped")
        before = daemon.replication(it.arn)["ReplicationStats"]
        start(daemon, it.arn, "resume-processing")
        found = daemon.await_status(it.arn, "stopped", "failed")
        assert found["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
        assert found["ReplicationStats"]["FullLoadFinishDate"] == before["FullLoadFinishDate"]


def test_a_reload_tells_the_times_of_its_own_load(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "again", filled(source), target, kind="full-load")
        start(daemon, it.arn)
        first = daemon.await_status(it.arn, "stopped")["ReplicationStats"]
        start(daemon, it.arn, "reload-target")
        second = daemon.await_status(it.arn, "stopped")["ReplicationStats"]
        assert second["FullLoadStartDate"] > first["FullLoadFinishDate"]
        assert second["FullLoadFinishDate"] > second["FullLoadStartDate"]
