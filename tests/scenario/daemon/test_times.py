"""Starts and stops by time, with AWS's own client."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from engine.model.moment import moment_text
from tests.conftest import MysqlServers
from tests.scenario.daemon.replicated import endpoint, replicated, start
from tests.scenario.daemon.serving import Serving
from tests.scenario.running import until
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import Database

SHOP = {
    "rules": [
        {
            "rule-type": "selection",
            "rule-id": "1",
            "rule-name": "shop",
            "object-locator": {"schema-name": "times", "table-name": "t"},
            "rule-action": "include",
        }
    ]
}


USER = "times"
PASSWORD = "of no use elsewhere"


@pytest.fixture
def mariadb(mysql_servers: MysqlServers) -> Iterator[MysqlServer]:
    """A server with an empty table `times.t`, and a user for whom an endpoint has a password."""
    server = mysql_servers.need("mariadb-10.11")
    server.drop_database("times")
    server.create_database("times")
    server.execute("CREATE TABLE t (id int PRIMARY KEY)", database="times")
    server.execute(f"GRANT ALL ON *.* TO {USER}@'%' IDENTIFIED BY '{PASSWORD}'")
    yield server
    server.execute(f"DROP USER {USER}@'%'")
    server.drop_database("times")


def next_second(server: MysqlServer) -> int:
    """Wait for the server's next second; which one that is."""
    sql = "SELECT FLOOR(UNIX_TIMESTAMP(SYSDATE(6)))"
    before = int(server.execute(sql)[0][0])
    until(lambda: int(server.execute(sql)[0][0]) > before, "the next second")
    return before + 1


def task(daemon: Serving, server: MysqlServer, target: Database, **members: Any) -> str:
    """A task of changes between a MariaDB and a PostgreSQL; its ARN."""
    dms, url = daemon.client(), urlsplit(server.url())
    source = dms.create_endpoint(
        EndpointIdentifier="mariadb",
        EndpointType="source",
        EngineName="mariadb",
        ServerName=url.hostname,
        Port=url.port,
        Username=USER,
        Password=PASSWORD,
        SslMode="none",
    )
    instance = dms.create_replication_instance(
        ReplicationInstanceIdentifier="small", ReplicationInstanceClass="dms.t3.medium"
    )
    made = dms.create_replication_task(
        ReplicationTaskIdentifier="times",
        SourceEndpointArn=source["Endpoint"]["EndpointArn"],
        TargetEndpointArn=endpoint(dms, "postgres", "target", target),
        ReplicationInstanceArn=instance["ReplicationInstance"]["ReplicationInstanceArn"],
        MigrationType="cdc",
        TableMappings=json.dumps(SHOP),
        **members,
    )
    return str(made["ReplicationTask"]["ReplicationTaskArn"])


def test_a_task_has_what_was_committed_between_its_times(
    tmp_path: Path, mariadb: MysqlServer, target: Database
) -> None:
    target.execute("CREATE SCHEMA times; CREATE TABLE times.t (id int PRIMARY KEY)")

    def insert(number: int) -> None:
        mariadb.execute(f"INSERT INTO t VALUES ({number})", database="times")

    insert(1)
    first = next_second(mariadb)
    insert(2)
    mariadb.execute("FLUSH BINARY LOGS")
    insert(3)
    last = next_second(mariadb)
    insert(4)
    end = moment_text(last * 1_000_000)
    with Serving(tmp_path) as daemon:
        dms = daemon.client()
        arn = task(daemon, mariadb, target, CdcStartTime=datetime.fromtimestamp(first, UTC))

        def status() -> dict[str, Any]:
            filters = [{"Name": "replication-task-arn", "Values": [arn]}]
            (found,) = dms.describe_replication_tasks(Filters=filters)["ReplicationTasks"]
            return dict(found)

        dms.start_replication_task(
            ReplicationTaskArn=arn,
            StartReplicationTaskType="start-replication",
            CdcStopPosition=f"commit_time:{end}",
        )
        daemon.until(lambda: status()["Status"] in ("stopped", "failed"), "the end")
        found = status()
        assert (found["Status"], found["StopReason"]) == (
            "stopped",
            "Stop Reason STOPPED_AT_COMMIT_TIME",
        ), found
        assert target.execute("SELECT id FROM times.t ORDER BY 1") == [(2,), (3,)]
        assert found["CdcStopPosition"] == f"commit_time:{end}"
        dms.start_replication_task(
            ReplicationTaskArn=arn,
            StartReplicationTaskType="resume-processing",
            CdcStopPosition="commit_time:2999-01-01T00:00:00",
        )
        daemon.until(
            lambda: target.execute("SELECT id FROM times.t ORDER BY 1") == [(2,), (3,), (4,)],
            "the rest",
        )
        assert daemon.stop() == 0


def test_a_slot_of_our_own_cannot_go_back_and_says_what_can(
    tmp_path: Path, source: Database, target: Database
) -> None:
    for database in (source, target):
        database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "past", source, target, kind="cdc")
        start(daemon, it.arn, CdcStartPosition="2020-01-01T00:00:00")
        found = daemon.await_status(it.arn, "failed", "running")
        assert found["Status"] == "failed"
        said = " ".join(found["FailureMessages"])
        assert "what was committed between may be gone" in said
        assert "SlotName" in said
        assert it.slots() == []
        # What was refused has begun nothing.
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        source.execute("INSERT INTO t VALUES (1)")
        daemon.until(it.rows("t"), "the row")
        assert daemon.stop() == 0
