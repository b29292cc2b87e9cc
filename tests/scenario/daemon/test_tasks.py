"""A script of AWS's classic operations from end to end, with botocore's own waiters: an instance,
its connections, a task between real databases."""

import json
from pathlib import Path
from typing import Any

from tests.scenario.daemon.replicated import RULES, Replicated, endpoint
from tests.scenario.daemon.serving import Serving
from tests.servers.postgres import Database


def wait(dms: Any, waiter: str, name: str, value: str) -> None:
    """Until it is so, by a waiter that AWS's client has."""
    filters = [{"Name": name, "Values": [value]}]
    often = {"Delay": 1, "MaxAttempts": 120}
    dms.get_waiter(waiter).wait(Filters=filters, WaiterConfig=often)


def test_a_classic_task_from_creation_to_deletion(
    tmp_path: Path, source: Database, target: Database
) -> None:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text);"
        " INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 300) g"
    )
    with Serving(tmp_path) as daemon:
        dms = daemon.client()
        instance = dms.create_replication_instance(
            ReplicationInstanceIdentifier="mover", ReplicationInstanceClass="dms.t3.small"
        )["ReplicationInstance"]["ReplicationInstanceArn"]
        wait(dms, "replication_instance_available", "replication-instance-id", "mover")
        ends = {
            side: endpoint(dms, side, side, database)
            for side, database in (("source", source), ("target", target))
        }
        for end in ends.values():
            dms.test_connection(ReplicationInstanceArn=instance, EndpointArn=end)
            wait(dms, "test_connection_succeeds", "endpoint-arn", end)
        task = dms.create_replication_task(
            ReplicationTaskIdentifier="orders",
            SourceEndpointArn=ends["source"],
            TargetEndpointArn=ends["target"],
            ReplicationInstanceArn=instance,
            MigrationType="full-load-and-cdc",
            TableMappings=json.dumps(RULES),
        )["ReplicationTask"]["ReplicationTaskArn"]
        it = Replicated(task, source, target)
        wait(dms, "replication_task_ready", "replication-task-arn", task)

        dms.start_replication_task(
            ReplicationTaskArn=task, StartReplicationTaskType="start-replication"
        )
        wait(dms, "replication_task_running", "replication-task-arn", task)
        daemon.until(it.rows("t"), "the load")
        source.execute("INSERT INTO t VALUES (1001, 'new'); DELETE FROM t WHERE id < 10")
        daemon.until(it.rows("t"), "the changes")

        def counted() -> bool:
            names = ("TableState", "FullLoadRows", "AppliedInserts", "AppliedDeletes")
            tables = dms.describe_table_statistics(ReplicationTaskArn=task)["TableStatistics"]
            return [[table[name] for name in names] for table in tables] == [
                ["Table completed", 300, 1, 9]
            ]

        daemon.until(counted, "the statistics")
        (shown,) = dms.describe_replication_tasks()["ReplicationTasks"]
        assert shown["ReplicationTaskStats"]["TablesLoaded"] == 1
        assert shown["ReplicationTaskStats"]["FullLoadProgressPercent"] == 100
        target.execute("DELETE FROM t WHERE id % 2 = 0")
        tables = [{"SchemaName": "public", "TableName": "t"}]
        dms.reload_tables(ReplicationTaskArn=task, TablesToReload=tables)
        daemon.until(it.rows("t"), "the second load")

        dms.stop_replication_task(ReplicationTaskArn=task)
        wait(dms, "replication_task_stopped", "replication-task-arn", task)
        source.execute("INSERT INTO t VALUES (1002, 'while it was stopped')")
        dms.modify_replication_task(
            ReplicationTaskArn=task,
            ReplicationTaskSettings=json.dumps({"FullLoadSettings": {"MaxFullLoadSubTasks": 4}}),
        )
        dms.start_replication_task(
            ReplicationTaskArn=task, StartReplicationTaskType="resume-processing"
        )
        wait(dms, "replication_task_running", "replication-task-arn", task)
        daemon.until(it.rows("t"), "what was written meanwhile")
        dms.stop_replication_task(ReplicationTaskArn=task)
        wait(dms, "replication_task_stopped", "replication-task-arn", task)
        assert it.slots()

        dms.delete_replication_task(ReplicationTaskArn=task)
        wait(dms, "replication_task_deleted", "replication-task-arn", task)
        assert not it.slots()
        dms.delete_replication_instance(ReplicationInstanceArn=instance)
        wait(dms, "replication_instance_deleted", "replication-instance-id", "mover")
        told = [
            (event["SourceType"], event["Message"]) for event in dms.describe_events()["Events"]
        ]
        for message in ("created", "started", "stopped", "deleted"):
            assert ("replication-task", f"The replication task has been {message}.") in told or (
                "replication-task",
                f"The replication task has {message}.",
            ) in told
        assert daemon.stop() == 0
