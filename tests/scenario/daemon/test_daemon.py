"""The daemon from end to end: between real databases, by AWS's own client."""

import asyncio
import json
import os
import signal
import time
from ast import literal_eval
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from engine.config.load import load_replication
from engine.control.chores import empty
from engine.registry import connect
from engine.seams import SystemClock, SystemRandom
from tests.scenario.daemon.replicated import RULES, replicated, start
from tests.scenario.daemon.serving import Serving, workers_of
from tests.servers.postgres import Cluster, Database

STREAM = "dms-serverless-replication-orchestrator-{0}.log"

WAY = [
    "initializing",
    "preparing_metadata_resources",
    "testing_connection",
    "fetching_metadata",
    "calculating_capacity",
    "provisioning_capacity",
    "replication_starting",
    "running",
]


def filled(database: Database) -> Database:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text);"
        " INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 500) g"
    )
    return database


def said(daemon: Serving, id: str) -> list[str]:
    """The orchestrator's stream, without the times."""
    stream = daemon.state / "logs" / f"dms-serverless-replication-{id}" / STREAM.format(id)
    lines = stream.read_text().splitlines() if stream.exists() else []
    return [line.partition(" ")[2] for line in lines]


def counted(daemon: Serving, arn: str, **wanted: object) -> Callable[[], bool]:
    """Whether the statistics of its only table are these."""

    def same() -> bool:
        answer = daemon.client().describe_replication_table_statistics(ReplicationConfigArn=arn)
        tables = answer["ReplicationTableStatistics"]
        return [{name: table[name] for name in wanted} for table in tables] == [wanted]

    return same


def failed(id: str, name: str) -> str:
    """The series of a replication that has failed."""
    return f'penstock_replication_status{{name="{name}",replication="{id}",status="failed"}}'


def messages(daemon: Serving) -> list[str]:
    """What events say."""
    return [event["Message"] for event in daemon.client().describe_events()["Events"]]


def test_from_creation_to_deletion(tmp_path: Path, source: Database, target: Database) -> None:
    with Serving(tmp_path) as daemon:
        dms = daemon.client()
        it = replicated(daemon, "orders", filled(source), target, units=(1, 4))
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        assert counted(daemon, it.arn, TableName="t")(), "at once"
        daemon.until(it.rows("t"), "the load")
        (sized,) = [line for line in daemon.lines if line.get("action") == "capacity.first"]
        words = Path(f"/proc/{daemon.worker()}/cmdline").read_text().split("\0")
        (how,) = [word for word in words if word.startswith("--reckoned=")]
        assert "queue: " in how, "the log's rate is measured by who looks at the source"
        assert sized["message"].endswith(how.removeprefix("--reckoned=")), "and not again"
        source.execute("INSERT INTO t VALUES (1001, 'new'); DELETE FROM t WHERE id < 10")
        daemon.until(it.rows("t"), "the changes")
        lines = [literal_eval(line)["replication_state"] for line in said(daemon, it.id)]
        assert lines == WAY

        wanted = {"FullLoadRows": 500, "AppliedInserts": 1, "AppliedDeletes": 9}
        daemon.until(counted(daemon, it.arn, **wanted), "the statistics")
        status, text = daemon.get("/metrics")
        assert status == 200
        assert f'penstock_state{{replication="{it.id}",state="streaming"}} 1.0' in text
        assert text.count("# TYPE process_resident_memory_bytes ") == 1
        assert 'penstock_capacity_memory_bytes{part="held"} 2.147483648e+09' in text, "of 4 units"
        found = daemon.replication(it.arn)
        assert found["ProvisionData"]["ProvisionedCapacityUnits"] == 1

        dms.stop_replication(ReplicationConfigArn=it.arn)
        found = daemon.await_status(it.arn, "stopped")
        assert found["StopReason"] == "Stop Reason NORMAL"
        assert found["RecoveryCheckpoint"]
        source.execute("INSERT INTO t VALUES (1002, 'while it was stopped')")
        start(daemon, it.arn, "resume-processing")
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "what was written meanwhile")
        dms.stop_replication(ReplicationConfigArn=it.arn)
        daemon.await_status(it.arn, "stopped")
        assert it.slots()
        dms.delete_replication_config(ReplicationConfigArn=it.arn)
        daemon.until(lambda: not dms.describe_replications()["Replications"], "its end")
        assert not it.slots()
        assert target.execute("SELECT count(*) FROM t")[0][0] == 493, "the rows stay"
        assert "DMS replication has been deleted." in messages(daemon)
        assert daemon.stop() == 0


def test_a_reload_begins_with_empty_tables(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        dms = daemon.client()
        it = replicated(daemon, "again", filled(source), target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")
        dms.stop_replication(ReplicationConfigArn=it.arn)
        daemon.await_status(it.arn, "stopped")
        target.execute("DELETE FROM t WHERE id % 2 = 0; INSERT INTO t VALUES (7000, 'astray')")
        source.execute("DELETE FROM t WHERE id > 400")
        start(daemon, it.arn, "reload-target")
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the second load")
        source.execute("INSERT INTO t VALUES (1001, 'new')")
        daemon.until(it.rows("t"), "changes after it")
        daemon.until(counted(daemon, it.arn, FullLoadRows=400), "the statistics")


@pytest.mark.parametrize("kind", ["full-load-and-cdc", "full-load"])
def test_a_reload_that_was_cut_behind_its_emptying_leaves_no_empty_table(
    kind: str, tmp_path: Path, source: Database, target: Database
) -> None:
    """Somebody stops it there, and goes on as if nothing had been."""
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "cut", filled(source), target, kind=kind)
        start(daemon, it.arn)
        daemon.until(it.rows("t"), "the load")
        if kind != "full-load":
            daemon.await_status(it.arn, "running")
            daemon.client().stop_replication(ReplicationConfigArn=it.arn)
        daemon.await_status(it.arn, "stopped")
        password = {
            f"PENSTOCK_{side}_PASSWORD": "none is asked for" for side in ("SOURCE", "TARGET")
        }
        file = daemon.state / "replications" / it.id / f"{it.id}.toml"
        ends = connect(load_replication(file, password), SystemClock(), SystemRandom())
        asyncio.run(empty(*ends))
        assert target.execute("SELECT count(*) FROM t") == [(0,)]
        start(daemon, it.arn, "resume-processing")
        daemon.until(it.rows("t"), "the load of what was emptied")


def test_one_table_is_loaded_again(tmp_path: Path, source: Database, target: Database) -> None:
    with Serving(tmp_path) as daemon:
        dms = daemon.client()
        it = replicated(daemon, "table", filled(source), target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        daemon.until(counted(daemon, it.arn, FullLoadRows=500), "the load")
        target.execute("DELETE FROM t WHERE id % 2 = 0")
        dms.reload_replication_tables(
            ReplicationConfigArn=it.arn,
            TablesToReload=[{"SchemaName": "public", "TableName": "t"}],
        )
        daemon.until(it.rows("t"), "the second load")

        wanted = {"FullLoadReloaded": True, "FullLoadRows": 500}
        daemon.until(counted(daemon, it.arn, **wanted), "the statistics")


def test_a_full_load_ends_by_itself(tmp_path: Path, source: Database, target: Database) -> None:
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "once", filled(source), target, kind="full-load")
        start(daemon, it.arn)
        found = daemon.await_status(it.arn, "stopped")
        assert found["StopReason"] == "Stop Reason FULL_LOAD_ONLY_FINISHED"
        assert found["ReplicationStats"]["TablesLoaded"] == 1
        assert found["ReplicationStats"]["FullLoadProgressPercent"] == 100
        assert it.rows("t")()


def test_the_cached_changes_end_it_where_that_was_asked_for(
    tmp_path: Path, source: Database, target: Database
) -> None:
    settings = {"FullLoadSettings": {"StopTaskCachedChangesApplied": True}}
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "cached", filled(source), target, settings=settings)
        start(daemon, it.arn)
        found = daemon.await_status(it.arn, "stopped")
        assert found["StopReason"] == "Stop Reason STOPPED_AFTER_CACHED_EVENTS"
        assert it.rows("t")()
        start(daemon, it.arn, "resume-processing")
        daemon.await_status(it.arn, "running")
        source.execute("INSERT INTO t VALUES (1001, 'new')")
        daemon.until(it.rows("t"), "changes after it")


def test_an_endpoint_that_is_not_there_fails_the_start_with_awss_line(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "nowhere", filled(source), target, Port=1)
        start(daemon, it.arn)
        found = daemon.await_status(it.arn, "failed")
        first, reason = found["FailureMessages"]
        assert first == "Test connection failed for endpoint nowhere-source."
        assert "127.0.0.1:1" in reason
        assert found["StopReason"] == "Stop Reason RECOVERABLE_ERROR"
        assert daemon.metric(failed(it.id, "nowhere")) == "1.0", "what an alert looks at"
        last = literal_eval(said(daemon, it.id)[-1])
        assert last["replication_state"] == "failed"
        assert last["failure_message"].startswith(first)
        states = [literal_eval(line)["replication_state"] for line in said(daemon, it.id)]
        assert states == [*WAY[:3], "failed"]
        daemon.kill()
    with Serving(tmp_path) as daemon:
        shown = failed(it.id, "nowhere")
        daemon.until(lambda: daemon.metric(shown) == "1.0", "the next daemon to show it, too")
        assert daemon.metric("penstock_daemon_acts") == "1.0"
        daemon.client().delete_replication_config(ReplicationConfigArn=it.arn)
        daemon.until(lambda: not daemon.metric(shown), "its end")


def test_everything_that_blocks_a_start_is_told_at_once(
    tmp_path: Path, source: Database, target: Database
) -> None:
    nothing = json.loads(json.dumps(RULES))
    nothing["rules"][0]["object-locator"]["schema-name"] = "absent"
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "blocked", filled(source), target)
        dms = daemon.client()
        dms.modify_replication_config(
            ReplicationConfigArn=it.arn, TableMappings=json.dumps(nothing)
        )
        (other,) = dms.describe_endpoints(
            Filters=[{"Name": "endpoint-id", "Values": ["blocked-target"]}]
        )["Endpoints"]
        dms.modify_endpoint(EndpointArn=other["EndpointArn"], Port=1)
        start(daemon, it.arn)
        found = daemon.await_status(it.arn, "failed")
        first, reason, tables = found["FailureMessages"]
        assert first == "Test connection failed for endpoint blocked-target."
        assert "port 1" in reason
        assert tables.startswith("no table would be carried")


def test_a_rule_that_is_not_carried_yet_fails_the_start_by_awss_member(
    tmp_path: Path, source: Database, target: Database
) -> None:
    rename = {
        "rule-type": "transformation",
        "rule-id": "2",
        "rule-name": "2",
        "rule-action": "rename",
        "rule-target": "schema",
        "object-locator": {"schema-name": "public"},
        "value": "sales",
    }
    mappings = json.dumps({"rules": [*RULES["rules"], rename]})
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "renamed", filled(source), target)
        daemon.client().modify_replication_config(
            ReplicationConfigArn=it.arn, TableMappings=mappings
        )
        start(daemon, it.arn)
        (message,) = daemon.await_status(it.arn, "failed")["FailureMessages"]
        assert message.startswith('TableMappings rules[1] (rule-id "2").rule-type: "transformation')
        assert str(tmp_path) not in message
        assert daemon.stop() == 0
        assert [line.get("action") for line in daemon.lines][-1] == "serve.stopped"


def test_nothing_fits_that_is_larger_than_the_machine(
    tmp_path: Path, source: Database, target: Database
) -> None:
    config = '[serve]\nmemory = "1GiB"\n'
    with Serving(tmp_path, config=config) as daemon:
        it = replicated(daemon, "large", filled(source), target)
        start(daemon, it.arn)
        found = daemon.await_status(it.arn, "failed")
        assert "all replications together have" in found["FailureMessages"][0]
        assert found["ProvisionData"]["ProvisionState"] == "failed_provision"


def test_who_finds_no_room_waits_for_it(tmp_path: Path, source: Database, target: Database) -> None:
    config = '[serve]\nmemory = "3GiB"\n'
    filled(source)
    with Serving(tmp_path, config=config) as daemon:
        dms = daemon.client()
        first = replicated(daemon, "first", source, target, kind="cdc")
        start(daemon, first.arn)
        daemon.await_status(first.arn, "running")
        second = replicated(daemon, "second", source, target, kind="cdc")
        start(daemon, second.arn)
        daemon.until(
            lambda: "Waiting for capacity" in str(said(daemon, second.id)), "the other to wait"
        )
        assert daemon.replication(second.arn)["Status"] == "provisioning_capacity"
        assert daemon.metric("penstock_capacity_waiting") == "1.0"
        dms.stop_replication(ReplicationConfigArn=first.arn)
        daemon.await_status(first.arn, "stopped")
        daemon.await_status(second.arn, "running")


def test_a_start_is_stopped_on_its_way(tmp_path: Path, source: Database, target: Database) -> None:
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "early", filled(source), target)
        start(daemon, it.arn)
        daemon.client().stop_replication(ReplicationConfigArn=it.arn)
        daemon.await_status(it.arn, "stopped")
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")


def test_a_worker_that_dies_is_started_again(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "deadly", filled(source), target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")
        os.kill(daemon.worker(), signal.SIGKILL)
        source.execute("INSERT INTO t VALUES (1001, 'new')")
        daemon.until(it.rows("t"), "the next worker")
        daemon.await_status(it.arn, "running")
        assert any("SIGKILL" in message for message in messages(daemon))


def test_a_killed_daemon_is_followed_by_the_next(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "orphan", filled(source), target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")
        daemon.kill()
    source.execute("INSERT INTO t VALUES (1001, 'while nobody was there')")
    with Serving(tmp_path) as daemon:
        daemon.until(it.rows("t"), "the next daemon")
        daemon.await_status(it.arn, "running")
        assert daemon.stop() == 0
    with Serving(tmp_path) as daemon:
        source.execute("INSERT INTO t VALUES (1002, 'after a drain')")
        daemon.until(it.rows("t"), "the third daemon")


def test_a_daemon_killed_on_the_way_of_a_start_begins_it_anew(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "halfway", filled(source), target)
        start(daemon, it.arn)
        daemon.until(
            lambda: daemon.replication(it.arn)["Status"] != "initializing", "the start to begin"
        )
        daemon.kill()
    with Serving(tmp_path) as daemon:
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")


def test_two_daemons_do_not_share_a_directory(tmp_path: Path) -> None:
    with Serving(tmp_path) as daemon:
        assert daemon.address
        with Serving(tmp_path) as other:
            assert other.wait() == 2
            assert any("another daemon's" in str(line) for line in other.lines)
        assert daemon.get("/healthz")[0] == 200


def test_a_standby_takes_over(tmp_path: Path, source: Database, target: Database) -> None:
    """Two daemons on one store, which is the target's server."""
    config = f'[serve]\nstore = "{target.dsn}"\n'
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with Serving(first, config=config) as daemon:
        it = replicated(daemon, "shared", filled(source), target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")
        key = (first / "state" / "penstock.key").read_text().splitlines()[-1]
        with Serving(second, config=config, PENSTOCK_KEY=key) as standby:
            status, text = standby.get("/readyz")
            assert status == 503
            assert "standing by" in text
            assert standby.replication(it.arn)["Status"] == "running", "it may be asked"
            with pytest.raises(ClientError, match="stands by"):
                standby.client().stop_replication(ReplicationConfigArn=it.arn)
            daemon.kill()
            killed = time.monotonic()
            source.execute("INSERT INTO t VALUES (1001, 'new')")
            standby.until(lambda: standby.get("/readyz")[0] == 200, "the standby to act")
            assert time.monotonic() - killed < 15.0
            standby.until(it.rows("t"), "its worker")
            standby.await_status(it.arn, "running")
            assert len(it.slots()) == 1


def test_a_daemon_that_was_frozen_gives_way_to_the_next(
    tmp_path: Path, source: Database, target: Database
) -> None:
    """Its worker, which went on, is ended by the other's; what it tries to store is refused."""
    config = f'[serve]\nstore = "{target.dsn}"\nlease = "3s"\n'
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with Serving(first, config=config) as daemon:
        it = replicated(daemon, "frozen", filled(source), target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")
        worker = daemon.worker()
        key = (first / "state" / "penstock.key").read_text().splitlines()[-1]
        with Serving(second, config=config, PENSTOCK_KEY=key) as other:
            assert other.get("/readyz")[0] == 503
            os.kill(daemon.process.pid, signal.SIGSTOP)
            other.until(lambda: other.get("/readyz")[0] == 200, "the other to act")
            frozen = daemon.process.pid
            other.until(lambda: worker not in workers_of(frozen), "the first one's worker to end")
            source.execute("INSERT INTO t VALUES (1001, 'new')")
            other.until(it.rows("t"), "the other's worker")
            other.await_status(it.arn, "running")
            os.kill(daemon.process.pid, signal.SIGCONT)
            daemon.until(lambda: daemon.get("/readyz")[0] == 503, "the first to stand by")
            daemon.until(lambda: not workers_of(daemon.process.pid), "its workers to end")
            source.execute("INSERT INTO t VALUES (1002, 'newer')")
            other.until(it.rows("t"), "the other to go on")
            assert other.replication(it.arn)["Status"] == "running"


NO_TABLES = (
    "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE schema_name = 'public')"
    " THEN RAISE 'no table is made here'; END IF; END $$;"
    "CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE')"
    " EXECUTE FUNCTION refuse()"
)
"""What no look at the target tells before a load begins."""


def test_what_a_failed_start_made_goes_with_it(
    tmp_path: Path, source: Database, target: Database
) -> None:
    """A slot is there before anything moves."""
    filled(source)
    target.execute(NO_TABLES)
    with Serving(tmp_path) as daemon:
        dms = daemon.client()
        it = replicated(daemon, "refused", source, target)
        start(daemon, it.arn)
        found = daemon.await_status(it.arn, "failed")
        assert "preparing the target's tables" in str(found["FailureMessages"])
        assert it.slots()
        dms.delete_replication_config(ReplicationConfigArn=it.arn)
        daemon.until(lambda: not dms.describe_replications()["Replications"], "its end")
        assert not it.slots()
        assert not (daemon.state / "replications" / it.id).exists()
        assert not (daemon.state / "overflow" / it.id).exists()


def test_rows_in_the_target_fail_a_start_before_anything_is_made(
    tmp_path: Path, source: Database, target: Database
) -> None:
    filled(source)
    target.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'there')")
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "full", source, target)
        start(daemon, it.arn)
        found = daemon.await_status(it.arn, "failed")
        assert "the target has rows in public.t" in str(found["FailureMessages"])
        assert not it.slots()
        target.execute("TRUNCATE t")
        start(daemon, it.arn, "resume-processing")
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the rows")
        daemon.client().stop_replication(ReplicationConfigArn=it.arn)
        daemon.await_status(it.arn, "stopped")
        start(daemon, it.arn, "resume-processing")
        daemon.await_status(it.arn, "running")


def test_what_cannot_be_cleaned_up_is_left_and_told_of(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        dms = daemon.client()
        it = replicated(daemon, "left", filled(source), target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        dms.stop_replication(ReplicationConfigArn=it.arn)
        daemon.await_status(it.arn, "stopped")
        for end in dms.describe_endpoints()["Endpoints"]:
            dms.modify_endpoint(EndpointArn=end["EndpointArn"], Port=1)
        dms.delete_replication_config(ReplicationConfigArn=it.arn)
        daemon.until(lambda: not dms.describe_replications()["Replications"], "its end")
        assert it.slots()
        (left,) = [text for text in messages(daemon) if text.startswith("A call to clean up")]
        assert "127.0.0.1:1" in left
        assert f"pg_drop_replication_slot('{it.slot}')" in left


def test_a_source_that_is_away_when_the_daemon_comes_back_is_waited_for(
    private_cluster: Callable[..., Cluster], tmp_path: Path, target: Database
) -> None:
    cluster = private_cluster("15")
    cluster.start()
    source = filled(Database.create(cluster, "away"))
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "away", source, target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")
        daemon.kill()
    cluster.stop()
    with Serving(tmp_path) as daemon:
        daemon.says(lambda line: line.get("action") == "pipeline.retry", "that it tries again")
        assert daemon.replication(it.arn)["Status"] == "replication_starting"
        cluster.start()
        source.execute("INSERT INTO t VALUES (1001, 'new')")
        daemon.until(it.rows("t"), "the source's return")
        daemon.await_status(it.arn, "running")
