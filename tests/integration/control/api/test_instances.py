"""Classic replication instances through botocore."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from engine.control.resources.document import encode
from engine.control.resources.subnet_group import SubnetGroup
from engine.control.store.records import Record
from engine.version import VERSION
from tests.integration.control.api.daemon import Daemon, serving
from tests.integration.control.api.replicating import HOME, MAPPINGS, add_pair, events, everything

DEFAULT = f"{HOME}:rep:penstock"
GONE = f"{HOME}:rep:GONE"

INSTANCE: dict[str, Any] = {
    "ReplicationInstanceIdentifier": "Mover",
    "ReplicationInstanceClass": "dms.t3.medium",
}


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with serving(tmp_path) as daemon:
        yield daemon


async def create(daemon: Daemon, **members: Any) -> dict[str, Any]:
    answer = await daemon.call("create_replication_instance", **{**INSTANCE, **members})
    instance: dict[str, Any] = answer["ReplicationInstance"]
    return instance


async def described(daemon: Daemon, **filters: str) -> list[dict[str, Any]]:
    asked = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
    answer = await daemon.call("describe_replication_instances", Filters=asked)
    instances: list[dict[str, Any]] = answer["ReplicationInstances"]
    return instances


async def refused(daemon: Daemon, method: str, **members: Any) -> tuple[str, str]:
    """The fault and its message; nothing of the store has changed."""
    before = await everything(daemon)
    with pytest.raises(ClientError) as error:
        await daemon.call(method, **members)
    assert await everything(daemon) == before
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


async def wait(daemon: Daemon, waiter: str, identifier: str) -> None:
    """botocore's own waiter, which asks once."""
    client = daemon.client()
    filters = [{"Name": "replication-instance-id", "Values": [identifier]}]
    once = {"Delay": 0, "MaxAttempts": 1}
    await asyncio.to_thread(client.get_waiter(waiter).wait, Filters=filters, WaiterConfig=once)
    client.close()


async def test_the_daemon_is_an_instance_that_is_always_there(daemon: Daemon) -> None:
    (instance,) = await described(daemon)
    assert instance["ReplicationInstanceArn"] == DEFAULT
    assert instance["ReplicationInstanceIdentifier"] == "penstock"
    assert instance["ReplicationInstanceStatus"] == "available"
    assert instance["EngineVersion"] == VERSION
    for method in ("modify_replication_instance", "delete_replication_instance"):
        code, message = await refused(daemon, method, ReplicationInstanceArn=DEFAULT)
        assert code == "InvalidResourceStateFault"
        assert "penstock is this daemon" in message
    code, _ = await refused(
        daemon,
        "create_replication_instance",
        **{**INSTANCE, "ReplicationInstanceIdentifier": "Penstock"},
    )
    assert code == "ResourceAlreadyExistsFault"


async def test_an_instance_from_its_creation_to_its_deletion(daemon: Daemon) -> None:
    async with daemon.store.write() as writing:
        group = SubnetGroup(name="apart", description="d", subnets=("a", "b"))
        await writing.insert(Record("subnet_group", "apart", "apart", encode(group)))
    members: dict[str, Any] = {
        "AllocatedStorage": 50,
        "VpcSecurityGroupIds": ["sg-1"],
        "ReplicationSubnetGroupIdentifier": "apart",
        "PreferredMaintenanceWindow": "sun:10:30-sun:14:30",
        "MultiAZ": True,
        "EngineVersion": "3.5.4",
        "AutoMinorVersionUpgrade": False,
        "PubliclyAccessible": False,
        "KmsKeyId": "key",
        "Tags": [{"Key": "team", "Value": "shop"}],
    }
    created = await create(daemon, **members)
    assert created["ReplicationInstanceIdentifier"] == "mover"
    assert created["ReplicationInstanceStatus"] == "creating"
    await wait(daemon, "replication_instance_available", "mover")
    (instance,) = await described(daemon, replication_instance_id="MOVER")
    assert instance == {**created, "ReplicationInstanceStatus": "available"}
    assert instance["ReplicationInstanceClass"] == "dms.t3.medium"
    assert instance["VpcSecurityGroups"] == [{"VpcSecurityGroupId": "sg-1", "Status": "active"}]
    group_shown = instance["ReplicationSubnetGroup"]
    assert group_shown["ReplicationSubnetGroupIdentifier"] == "apart"
    for name in ("PreferredMaintenanceWindow", "MultiAZ", "EngineVersion", "AllocatedStorage"):
        assert instance[name] == members[name]
    arn = instance["ReplicationInstanceArn"]
    rebooted = await daemon.call("reboot_replication_instance", ReplicationInstanceArn=arn)
    assert rebooted["ReplicationInstance"]["ReplicationInstanceStatus"] == "rebooting"
    deleted = await daemon.call("delete_replication_instance", ReplicationInstanceArn=arn)
    assert deleted["ReplicationInstance"]["ReplicationInstanceStatus"] == "deleting"
    await wait(daemon, "replication_instance_deleted", "mover")
    assert [text for _, _, text in await events(daemon)] == [
        "A replication instance has been created.",
        "The replication instance has been deleted.",
    ]


async def test_what_is_modified_replaces_and_the_rest_stays(daemon: Daemon) -> None:
    before = await create(daemon)
    answer = await daemon.call(
        "modify_replication_instance",
        ReplicationInstanceArn=before["ReplicationInstanceArn"],
        ReplicationInstanceIdentifier="other",
        ReplicationInstanceClass="DMS.R5.LARGE",
        AllocatedStorage=200,
        ApplyImmediately=True,
    )
    changed = {
        "ReplicationInstanceIdentifier": "other",
        "ReplicationInstanceClass": "dms.r5.large",
        "AllocatedStorage": 200,
        "ReplicationInstanceStatus": "available",
    }
    assert answer["ReplicationInstance"] == {**before, **changed}
    assert [each["ReplicationInstanceIdentifier"] for each in await described(daemon)] == [
        "other",
        "penstock",
    ]


async def test_instances_are_filtered_and_come_by_pages(daemon: Daemon) -> None:
    for number in range(40):
        await create(daemon, ReplicationInstanceIdentifier=f"i-{number:02}")
    await create(daemon, ReplicationInstanceIdentifier="z", ReplicationInstanceClass="dms.c5.large")
    names: list[str] = []
    more: dict[str, Any] = {}
    while True:
        answer = await daemon.call("describe_replication_instances", MaxRecords=20, **more)
        names += [each["ReplicationInstanceIdentifier"] for each in answer["ReplicationInstances"]]
        if "Marker" not in answer:
            break
        more = {"Marker": answer["Marker"]}
    assert names == [*(f"i-{number:02}" for number in range(40)), "penstock", "z"]
    by_class = await described(daemon, replication_instance_class="dms.c5.large")
    assert [each["ReplicationInstanceIdentifier"] for each in by_class] == ["z"]
    by_arn = await described(daemon, replication_instance_arn=DEFAULT, engine_version=VERSION)
    assert [each["ReplicationInstanceArn"] for each in by_arn] == [DEFAULT]
    assert await described(daemon, engine_version="2.0.0") == []


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"ReplicationInstanceIdentifier": "a--b"}, "InvalidParameterValueException", "two consec"),
        ({"ReplicationInstanceIdentifier": "a" * 64}, "InvalidParameterValueException", "length"),
        ({"ReplicationInstanceIdentifier": "TAKEN"}, "ResourceAlreadyExistsFault", "taken is in"),
        ({"ResourceIdentifier": "taken"}, "ResourceAlreadyExistsFault", "taken is in use"),
        ({"ResourceIdentifier": "penstock"}, "ResourceAlreadyExistsFault", "penstock is in use"),
        ({"ReplicationInstanceClass": "dms.x"}, "InvalidParameterValueException", "dms.t3.medium"),
        ({"AllocatedStorage": 4}, "InvalidParameterValueException", "between 5 and 6144"),
        ({"EngineVersion": "newest"}, "InvalidParameterValueException", f"runs is {VERSION}"),
        ({"NetworkType": "IPX"}, "InvalidParameterValueException", "IPV4, IPV6, DUAL"),
        ({"DnsNameServers": "ns"}, "InvalidParameterValueException", "up to 4 addresses"),
        ({"PreferredMaintenanceWindow": "x"}, "InvalidParameterValueException", "ddd:hh24:mi"),
        (
            {"MultiAZ": True, "AvailabilityZone": "a"},
            "InvalidParameterCombinationException",
            "two zones",
        ),
        (
            {"ReplicationSubnetGroupIdentifier": "nowhere"},
            "ResourceNotFoundFault",
            "subnet group nowhere not found",
        ),
        (
            {"KerberosAuthenticationSettings": {"Krb5FileContents": "x"}},
            "InvalidParameterValueException",
            "for Oracle and SQL Server",
        ),
        ({"Tags": [{"Key": "dms:x"}]}, "InvalidParameterValueException", "reserved"),
    ],
)
async def test_what_is_not_taken_is_refused_whole(
    daemon: Daemon, members: dict[str, Any], code: str, message: str
) -> None:
    await create(daemon, ReplicationInstanceIdentifier="taken", ResourceIdentifier="taken")
    found = await refused(daemon, "create_replication_instance", **{**INSTANCE, **members})
    assert found[0] == code
    assert message in found[1]


async def test_an_instance_that_is_not_there_is_not_found(daemon: Daemon) -> None:
    for method in (
        "modify_replication_instance",
        "delete_replication_instance",
        "reboot_replication_instance",
        "describe_replication_instance_task_logs",
    ):
        code, message = await refused(daemon, method, ReplicationInstanceArn=GONE)
        assert (code, message) == (
            "ResourceNotFoundFault",
            f"Replication instance {GONE} not found.",
        )
    for name, value in (("replication-instance-arn", GONE), ("replication-instance-id", "gone")):
        filters = [{"Name": name, "Values": [value]}]
        code, _ = await refused(daemon, "describe_replication_instances", Filters=filters)
        assert code == "ResourceNotFoundFault"


async def test_a_reboot_is_of_one_kind(daemon: Daemon) -> None:
    code, message = await refused(
        daemon,
        "reboot_replication_instance",
        ReplicationInstanceArn=DEFAULT,
        ForceFailover=True,
        ForcePlannedFailover=True,
    )
    assert code == "InvalidParameterCombinationException"
    assert "exclude each other" in message


async def test_an_instance_with_tasks_stays_and_its_class_is_their_limit(daemon: Daemon) -> None:
    await add_pair(daemon)
    arn = (await create(daemon))["ReplicationInstanceArn"]
    task = await daemon.call(
        "create_replication_task",
        ReplicationTaskIdentifier="t",
        SourceEndpointArn=f"{HOME}:endpoint:SHOP",
        TargetEndpointArn=f"{HOME}:endpoint:STORE",
        ReplicationInstanceArn=arn,
        MigrationType="cdc",
        TableMappings=MAPPINGS,
    )
    task_arn = task["ReplicationTask"]["ReplicationTaskArn"]

    async def units() -> int:
        async with daemon.store.read() as reading:
            record = await reading.get("replication", task_arn.rpartition(":")[2])
        assert record is not None
        size: int = record.document["config"]["compute"]["units_max"]
        return size

    assert await units() == 2
    larger = {"ReplicationInstanceArn": arn, "ReplicationInstanceClass": "dms.r5.large"}
    await daemon.call("modify_replication_instance", **larger)
    assert await units() == 8
    code, message = await refused(daemon, "delete_replication_instance", ReplicationInstanceArn=arn)
    assert code == "InvalidResourceStateFault"
    assert "has tasks (1)" in message
    await daemon.call(
        "start_replication_task",
        ReplicationTaskArn=task_arn,
        StartReplicationTaskType="start-replication",
    )
    larger["ReplicationInstanceClass"] = "dms.t3.large"
    code, message = await refused(daemon, "modify_replication_instance", **larger)
    assert code == "InvalidResourceStateFault"
    assert "cannot change while the task t of the instance is initializing" in message
