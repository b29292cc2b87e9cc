"""Classic tasks through botocore: as scripts, Terraform and botocore's own waiters use them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from engine.control.lifecycle import STARTING, Status, StopReason
from engine.control.resources.document import decode
from engine.control.resources.replication import Replication
from engine.control.resources.table import TableFacts
from tests.integration.control.api.daemon import Daemon, serving
from tests.integration.control.api.replicating import (
    CONFIG,
    HOME,
    MAPPINGS,
    SOURCE,
    TARGET,
    ExampleFleet,
    add_endpoint,
    add_pair,
    events,
    everything,
)

INSTANCE = f"{HOME}:rep:penstock"
GONE = f"{HOME}:task:GONE"
START = "start-replication"

TASK: dict[str, Any] = {
    "ReplicationTaskIdentifier": "Orders",
    "SourceEndpointArn": SOURCE,
    "TargetEndpointArn": TARGET,
    "ReplicationInstanceArn": INSTANCE,
    "MigrationType": "full-load-and-cdc",
    "TableMappings": MAPPINGS,
}


class Task:
    """One task, and those who act on it."""

    def __init__(self, daemon: Daemon, arn: str) -> None:
        self.daemon = daemon
        self.arn = arn
        self.id = arn.rpartition(":")[2]
        self.fleet = ExampleFleet(daemon)

    async def call(self, method: str, **members: Any) -> dict[str, Any]:
        answer = await self.daemon.call(method, ReplicationTaskArn=self.arn, **members)
        task: dict[str, Any] = answer.get("ReplicationTask", answer)
        return task

    async def start(self, kind: str = START, **members: Any) -> dict[str, Any]:
        return await self.call("start_replication_task", StartReplicationTaskType=kind, **members)

    async def described(self, **members: Any) -> dict[str, Any]:
        filters = [{"Name": "replication-task-arn", "Values": [self.arn]}]
        answer = await self.daemon.call("describe_replication_tasks", Filters=filters, **members)
        (task,) = answer["ReplicationTasks"]
        found: dict[str, Any] = task
        return found

    async def stored(self) -> Replication:
        async with self.daemon.store.read() as reading:
            record = await reading.get("replication", self.id)
        assert record is not None
        return decode(Replication, record.document)

    async def wait(self, waiter: str) -> None:
        """botocore's own waiter, which asks once."""
        client = self.daemon.client()
        filters = [{"Name": "replication-task-arn", "Values": [self.arn]}]
        once = {"Delay": 0, "MaxAttempts": 1}
        found = client.get_waiter(f"replication_task_{waiter}")
        await asyncio.to_thread(found.wait, Filters=filters, WaiterConfig=once)
        client.close()


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with serving(tmp_path) as daemon:
        await add_pair(daemon)
        yield daemon


async def created(daemon: Daemon, **members: Any) -> Task:
    answer = await daemon.call("create_replication_task", **{**TASK, **members})
    return Task(daemon, answer["ReplicationTask"]["ReplicationTaskArn"])


async def refused(daemon: Daemon, method: str, **members: Any) -> tuple[str, str]:
    """The fault and its message; nothing of the store has changed, and nobody was told."""
    before, asked = await everything(daemon), list(daemon.idle.asked)
    with pytest.raises(ClientError) as error:
        await daemon.call(method, **members)
    assert await everything(daemon) == before
    assert daemon.idle.asked == asked
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


async def test_a_task_is_creating_and_then_ready(daemon: Daemon) -> None:
    settings = {"Logging": {"EnableLogging": True}}
    answer = await daemon.call(
        "create_replication_task",
        **TASK,
        ReplicationTaskSettings=json.dumps(settings),
        Tags=[{"Key": "team", "Value": "shop"}],
    )
    made = answer["ReplicationTask"]
    assert made["Status"] == "creating"
    assert made["ReplicationTaskArn"].startswith(f"{HOME}:task:")
    task = Task(daemon, made["ReplicationTaskArn"])
    await task.wait("ready")
    shown = await task.described()
    assert shown == {**made, "Status": "ready"}
    assert {name: shown[name] for name in TASK} == TASK
    assert json.loads(shown["ReplicationTaskSettings"])["Logging"]["EnableLogging"] is True
    assert "ReplicationTaskSettings" not in await task.described(WithoutSettings=True)
    assert await events(daemon) == [
        ("replication-task", "Orders", "The replication task has been created.")
    ]
    async with daemon.store.read() as reading:
        assert await reading.tags("replication", [task.id]) == {task.id: {"team": "shop"}}
    assert (await task.stored()).config.compute.units_max == 16


async def test_tasks_and_configs_have_names_and_quotas_of_their_own(daemon: Daemon) -> None:
    task = await created(daemon)
    config = await daemon.call("create_replication_config", **CONFIG)
    assert config["ReplicationConfig"]["ReplicationConfigIdentifier"] == "Orders"
    client = daemon.client()
    with pytest.raises(client.exceptions.ResourceAlreadyExistsFault) as error:
        await created(daemon, ReplicationTaskIdentifier="ORDERS")
    client.close()
    assert error.value.response["resourceArn"] == task.arn
    answer = await daemon.call("describe_account_attributes")
    used = {quota["AccountQuotaName"]: quota["Used"] for quota in answer["AccountQuotas"]}
    assert (used["ReplicationTasks"], used["ReplicationConfigs"]) == (1, 1)
    code, _ = await refused(
        daemon,
        "start_replication",
        ReplicationConfigArn=task.arn.replace(":task:", ":replication-config:"),
        StartReplicationType=START,
    )
    assert code == "ResourceNotFoundFault"


async def test_a_task_runs_stops_and_goes_on_in_the_words_of_the_waiters(daemon: Daemon) -> None:
    task = await created(daemon)
    assert (await task.start())["Status"] == "starting"
    assert daemon.idle.asked == [("wake", task.id)]
    for _ in STARTING:
        assert (await task.described())["Status"] == "starting"
        await task.fleet.step(task.id)
    await task.wait("running")
    shown = await task.described()
    assert shown["RecoveryCheckpoint"] == "checkpoint:V1#1#000004AF/B00000D0#0#0#*#0#0"
    assert shown["ReplicationTaskStartDate"] == shown["ReplicationTaskStats"]["StartDate"]
    assert (await task.call("stop_replication_task"))["Status"] == "stopping"
    await task.fleet.settle(task.id)
    await task.wait("stopped")
    assert (await task.described())["StopReason"] == "Stop Reason NORMAL"
    assert (await task.start("resume-processing"))["Status"] == "starting"
    await task.fleet.life(
        task.id,
        status=Status.FAILED,
        failures=("Test connection failed for endpoint shop.", "no route to host"),
        stop_reason=StopReason.RECOVERABLE_ERROR,
    )
    shown = await task.described()
    assert shown["Status"] == "failed"
    assert shown["LastFailureMessage"].endswith("endpoint shop. no route to host")
    assert (await task.call("delete_replication_task"))["Status"] == "deleting"
    await task.fleet.settle(task.id)
    await task.wait("deleted")
    # What AWS says of tasks and nothing of what it says of serverless replications.
    assert {kind for kind, _, _ in await events(daemon)} == {"replication-task"}
    assert not [text for _, _, text in await events(daemon) if "initializing" in text]


async def test_terraform_updates_a_running_task(daemon: Daemon) -> None:
    """The provider stops a task, waits, modifies it, waits for `ready`, `stopped` or `failed`, and
    starts it again, as a first start where it is `ready`."""
    task = await created(daemon)
    await task.start()
    await task.fleet.settle(task.id)
    await task.call("stop_replication_task")
    await task.fleet.settle(task.id)
    await task.wait("stopped")
    changed = await task.call(
        "modify_replication_task",
        TableMappings=MAPPINGS.replace("public", "shop"),
        ReplicationTaskSettings='{"FullLoadSettings": {"MaxFullLoadSubTasks": 3}}',
    )
    assert changed["Status"] == "stopped"
    assert '"shop"' in changed["TableMappings"]
    settings = json.loads(changed["ReplicationTaskSettings"])
    assert settings["FullLoadSettings"]["MaxFullLoadSubTasks"] == 3
    await task.start("resume-processing")
    await task.fleet.settle(task.id)
    await task.wait("running")


async def test_a_task_keeps_its_positions_for_its_first_start(daemon: Daemon) -> None:
    task = await created(
        daemon, MigrationType="cdc", CdcStartPosition="4AF/B0", CdcStopPosition="4AF/C0"
    )
    shown = await task.described()
    assert (shown["CdcStartPosition"], shown["CdcStopPosition"]) == ("4AF/B0", "4AF/C0")
    await task.call("modify_replication_task", CdcStartPosition="4AF/B8")
    await task.start()
    wish = (await task.stored()).life.wish
    assert wish is not None
    assert (wish.start_position, wish.stop_position) == ("4AF/B8", "4AF/C0")
    await task.fleet.settle(task.id)
    await task.call("stop_replication_task")
    await task.fleet.settle(task.id)
    code, message = await refused(
        daemon, "modify_replication_task", ReplicationTaskArn=task.arn, CdcStartPosition="4AF/B0"
    )
    assert code == "InvalidParameterCombinationException"
    assert "the stored position would be lost" in message
    await task.call("modify_replication_task", CdcStopPosition="server_time:2040-01-01T00:00:00")
    await task.start("resume-processing")
    wish = (await task.stored()).life.wish
    assert wish is not None
    assert (wish.start_position, wish.stop_position) == ("", "server_time:2040-01-01T00:00:00")


async def test_of_a_tasks_time_and_position_the_newer_counts(daemon: Daemon) -> None:
    task = await created(daemon, MigrationType="cdc", CdcStartPosition="4AF/B0")
    await task.call("modify_replication_task", CdcStartTime=1_700_000_000)
    assert "CdcStartPosition" not in await task.described()
    await task.call("modify_replication_task", CdcStopPosition="commit_time:2040-01-01T00:00:00")
    await task.start()
    wish = (await task.stored()).life.wish
    assert wish is not None
    assert (wish.start_time, wish.start_position) == (1_700_000_000.0, "")
    assert wish.stop_position == "commit_time:2040-01-01T00:00:00"
    other = await created(
        daemon, MigrationType="cdc", CdcStartTime=1_700_000_000, ReplicationTaskIdentifier="other"
    )
    await other.start(CdcStartPosition="4AF/B0")
    wish = (await other.stored()).life.wish
    assert wish is not None
    assert (wish.start_time, wish.start_position) == (None, "4AF/B0")


async def test_a_task_is_moved_to_another_instance(daemon: Daemon) -> None:
    answer = await daemon.call(
        "create_replication_instance",
        ReplicationInstanceIdentifier="large",
        ReplicationInstanceClass="dms.r5.4xlarge",
    )
    other = answer["ReplicationInstance"]["ReplicationInstanceArn"]
    task = await created(daemon)
    moved = await task.call("move_replication_task", TargetReplicationInstanceArn=other)
    assert moved["ReplicationInstanceArn"] == other
    assert (await task.stored()).config.compute.units_max == 64
    for arn, code, message in (
        (other, "InvalidParameterValueException", "is on that instance"),
        (f"{HOME}:rep:GONE", "ResourceNotFoundFault", "rep:GONE not found"),
    ):
        found = await refused(
            daemon,
            "move_replication_task",
            ReplicationTaskArn=task.arn,
            TargetReplicationInstanceArn=arn,
        )
        assert found[0] == code
        assert message in found[1]
    await task.start()
    code, message = await refused(
        daemon,
        "move_replication_task",
        ReplicationTaskArn=task.arn,
        TargetReplicationInstanceArn=INSTANCE,
    )
    assert code == "InvalidResourceStateFault"
    assert "The replication task Orders is initializing: stop it before it is moved" in message


async def test_logs_are_of_the_tasks_that_ran(daemon: Daemon) -> None:
    await created(daemon)
    ran = await created(daemon, ReplicationTaskIdentifier="ran")
    await ran.start()
    await ran.fleet.settle(ran.id)
    answer = await daemon.call(
        "describe_replication_instance_task_logs", ReplicationInstanceArn=INSTANCE
    )
    assert answer["ReplicationInstanceArn"] == INSTANCE
    assert answer["ReplicationInstanceTaskLogs"] == [
        {"ReplicationTaskName": "ran", "ReplicationTaskArn": ran.arn}
    ]


async def test_tasks_are_filtered_by_everything_that_aws_has(daemon: Daemon) -> None:
    other = await add_endpoint(daemon, "OTHER", "source")
    await created(daemon, ReplicationTaskIdentifier="a")
    await created(daemon, ReplicationTaskIdentifier="b", MigrationType="cdc")
    await created(daemon, ReplicationTaskIdentifier="c", SourceEndpointArn=other)

    async def names(**filters: list[str]) -> str:
        asked = [{"Name": name.replace("_", "-"), "Values": of} for name, of in filters.items()]
        answer = await daemon.call("describe_replication_tasks", Filters=asked)
        return "".join(each["ReplicationTaskIdentifier"] for each in answer["ReplicationTasks"])

    assert await names() == "abc"
    assert await names(replication_task_id=["B"]) == "b"
    assert await names(migration_type=["cdc"]) == "b"
    assert await names(migration_type=["full-load"]) == ""
    assert await names(endpoint_arn=[other]) == "c"
    assert await names(endpoint_arn=[other, TARGET]) == "abc"
    assert await names(endpoint_arn=[SOURCE], migration_type=["full-load-and-cdc"]) == "a"
    assert await names(replication_instance_arn=[INSTANCE]) == "abc"
    assert await names(replication_instance_arn=[f"{HOME}:rep:OTHER"]) == ""
    for name, value in (("replication-task-id", "z"), ("replication-task-arn", GONE)):
        filters = [{"Name": name, "Values": [value]}]
        code, _ = await refused(daemon, "describe_replication_tasks", Filters=filters)
        assert code == "ResourceNotFoundFault"


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"ReplicationTaskIdentifier": "-"}, "InvalidParameterValueException", "must begin"),
        ({"MigrationType": "full"}, "InvalidParameterValueException", "MigrationType"),
        (
            {"ReplicationInstanceArn": f"{HOME}:rep:GONE"},
            "ResourceNotFoundFault",
            "rep:GONE not found",
        ),
        ({"ReplicationInstanceArn": SOURCE}, "InvalidParameterValueException", "not a valid ARN"),
        (
            {"SourceEndpointArn": TARGET, "TargetEndpointArn": SOURCE},
            "InvalidParameterValueException",
            "must be of type SOURCE",
        ),
        (
            {"TableMappings": '{"hello": "world"}'},
            "InvalidParameterValueException",
            "Valid Table mappings is required",
        ),
        (
            {"ReplicationTaskSettings": '{"Logging": 1}'},
            "InvalidParameterValueException",
            "Invalid settings: Logging expected an object",
        ),
        (
            {"CdcStartTime": 1_700_000_000},
            "InvalidParameterCombinationException",
            "CdcStartTime needs MigrationType cdc",
        ),
        (
            {"MigrationType": "cdc", "CdcStartTime": 1_700_000_000, "CdcStartPosition": "4AF/B0"},
            "InvalidParameterCombinationException",
            "CdcStartTime and CdcStartPosition exclude each other",
        ),
        (
            {"CdcStartPosition": "4AF/B0"},
            "InvalidParameterCombinationException",
            "needs MigrationType cdc",
        ),
        ({"CdcStopPosition": "soon"}, "InvalidParameterValueException", "CdcStopPosition is not"),
    ],
)
async def test_what_is_not_taken_is_refused_whole(
    daemon: Daemon, members: dict[str, Any], code: str, message: str
) -> None:
    found = await refused(daemon, "create_replication_task", **{**TASK, **members})
    assert found[0] == code
    assert message in found[1]


async def test_what_is_out_of_turn_is_refused(daemon: Daemon) -> None:
    task = await created(daemon)
    arn = {"ReplicationTaskArn": task.arn}
    code, message = await refused(daemon, "stop_replication_task", **arn)
    assert (code, "nothing to stop" in message) == ("InvalidResourceStateFault", True)
    await task.start()
    for method, members in (
        ("start_replication_task", {"StartReplicationTaskType": START}),
        ("delete_replication_task", {}),
        ("modify_replication_task", {"MigrationType": "cdc"}),
    ):
        code, message = await refused(daemon, method, **arn, **members)
        assert (code, "is initializing" in message) == ("InvalidResourceStateFault", True)
    for method, members in (
        ("start_replication_task", {"StartReplicationTaskType": START}),
        ("stop_replication_task", {}),
        ("delete_replication_task", {}),
        ("modify_replication_task", {}),
        ("describe_table_statistics", {}),
    ):
        code, message = await refused(daemon, method, ReplicationTaskArn=GONE, **members)
        assert (code, message) == ("ResourceNotFoundFault", f"Replication task {GONE} not found.")
    code, _ = await refused(daemon, "describe_table_statistics", ReplicationTaskArn="M5CQ7FJE7AG3")
    assert code == "InvalidParameterValueException"


async def test_tables_of_a_task(daemon: Daemon) -> None:
    task = await created(daemon)
    empty = await task.call("describe_table_statistics")
    assert (empty["ReplicationTaskArn"], empty["TableStatistics"]) == (task.arn, [])
    await task.start()
    await task.fleet.settle(task.id)
    await task.fleet.tables(
        task.id, TableFacts(schema="public", table="a", state="streaming", loaded=3)
    )
    statistics = await task.call("describe_table_statistics", MaxRecords=20)
    assert [(each["TableName"], each["TableState"]) for each in statistics["TableStatistics"]] == [
        ("a", "Table completed")
    ]
    tables = [{"SchemaName": "public", "TableName": "a"}]
    answer = await task.call("reload_tables", TablesToReload=tables)
    assert answer["ReplicationTaskArn"] == task.arn
    assert daemon.idle.asked[-1] == ("reload", task.id, "public.a")
    code, _ = await refused(
        daemon,
        "reload_tables",
        ReplicationTaskArn=task.arn,
        TablesToReload=[{"SchemaName": "public", "TableName": "b"}],
    )
    assert code == "ResourceNotFoundFault"
