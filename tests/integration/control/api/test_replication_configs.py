"""Serverless replications as they are configured, through botocore."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from engine.control.api.quotas import RESOURCES_MAX
from engine.control.lifecycle import STARTING, Provision, Status
from engine.control.resources.replication import Provisioned
from engine.control.store.records import Record
from tests.integration.control.api.daemon import READER, Daemon, serving
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

GONE = f"{HOME}:replication-config:GONE"


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with serving(tmp_path) as daemon:
        await add_pair(daemon)
        yield daemon


async def create(daemon: Daemon, **members: Any) -> dict[str, Any]:
    answer = await daemon.call("create_replication_config", **{**CONFIG, **members})
    config: dict[str, Any] = answer["ReplicationConfig"]
    return config


async def described(daemon: Daemon, **members: Any) -> list[dict[str, Any]]:
    answer = await daemon.call("describe_replication_configs", READER, **members)
    configs: list[dict[str, Any]] = answer["ReplicationConfigs"]
    return configs


async def refused(daemon: Daemon, method: str, **members: Any) -> tuple[str, str]:
    """The fault and its message; nothing of the store has changed, and nobody was told."""
    before, asked = await everything(daemon), list(daemon.idle.asked)
    with pytest.raises(ClientError) as error:
        await daemon.call(method, **members)
    assert await everything(daemon) == before
    assert daemon.idle.asked == asked
    answer = error.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    return answer["Error"]["Code"], answer["Error"]["Message"]


async def test_a_config_is_answered_whole_and_described_so(daemon: Daemon) -> None:
    settings = {"Logging": {"EnableLogging": True}, "FullLoadSettings": {"MaxFullLoadSubTasks": 3}}
    tags = [{"Key": "team", "Value": "shop"}]
    config = await create(daemon, ReplicationSettings=json.dumps(settings), Tags=tags)
    arn = config["ReplicationConfigArn"]
    assert arn.startswith(f"{HOME}:replication-config:")
    assert config["ReplicationConfigIdentifier"] == "Orders"
    assert (config["SourceEndpointArn"], config["TargetEndpointArn"]) == (SOURCE, TARGET)
    assert config["ReplicationType"] == "full-load-and-cdc"
    assert config["TableMappings"] == MAPPINGS
    assert config["IsReadOnly"] is False
    compute = config["ComputeConfig"]
    assert (compute["MinCapacityUnits"], compute["MaxCapacityUnits"]) == (1, 8)
    assert compute["PreferredMaintenanceWindow"]
    shown = json.loads(config["ReplicationSettings"])
    assert shown["Logging"]["EnableLogging"] is True
    assert shown["FullLoadSettings"]["MaxFullLoadSubTasks"] == 3
    assert shown["FullLoadSettings"]["TargetTablePrepMode"] == "DROP_AND_CREATE"
    assert config.pop("ReplicationConfigUpdateTime") == config["ReplicationConfigCreateTime"]
    assert await described(daemon) == [config]
    assert await events(daemon) == [("replication", "Orders", "DMS replication has been created.")]
    async with daemon.store.read() as reading:
        name = arn.rpartition(":")[2]
        assert await reading.tags("replication", [name]) == {name: {"team": "shop"}}
        record = await reading.get("replication", name)
    assert record is not None
    assert (record.fields["source"], record.fields["target"]) == ("SHOP", "STORE")


async def test_the_users_name_of_the_resource_ends_its_arn(daemon: Daemon) -> None:
    config = await create(daemon, ResourceIdentifier="Orders-1")
    assert config["ReplicationConfigArn"] == f"{HOME}:replication-config:Orders-1"
    other = {**CONFIG, "ReplicationConfigIdentifier": "other", "ResourceIdentifier": "ORDERS-1"}
    code, message = await refused(daemon, "create_replication_config", **other)
    assert code == "ResourceAlreadyExistsFault"
    assert "ORDERS-1 is in use, by the replication config Orders" in message


async def test_an_identifier_is_unique_whatever_its_case(daemon: Daemon) -> None:
    config = await create(daemon)
    client = daemon.client()
    with pytest.raises(client.exceptions.ResourceAlreadyExistsFault) as error:
        await create(daemon, ReplicationConfigIdentifier="ORDERS")
    client.close()
    assert error.value.response["resourceArn"] == config["ReplicationConfigArn"]
    code, message = await refused(daemon, "create_replication_config", **CONFIG)
    assert code == "ResourceAlreadyExistsFault"
    assert "ReplicationConfigIdentifier Orders is in use" in message


async def test_every_database_of_a_mysql_server_is_one(daemon: Daemon) -> None:
    place = {"ServerName": "db.example", "Port": 3306}
    source = await add_endpoint(daemon, "MS", "source", "mysql", **place, DatabaseName="a")
    target = await add_endpoint(daemon, "MT", "target", "mariadb", **place, DatabaseName="b")
    code, message = await refused(
        daemon,
        "create_replication_config",
        **{**CONFIG, "SourceEndpointArn": source, "TargetEndpointArn": target},
    )
    assert code == "InvalidParameterCombinationException"
    assert "one database, db.example:3306: its tables would be carried into themselves" in message


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"ReplicationConfigIdentifier": "9lives"}, "InvalidParameterValueException", "must begin"),
    ({"ReplicationConfigIdentifier": "a" * 256}, "InvalidParameterValueException", "length"),
    ({"ResourceIdentifier": "a" * 32}, "InvalidParameterValueException", "length"),
    ({"ResourceIdentifier": "penstock"}, "InvalidParameterValueException", "meaning of its own"),
    ({"ResourceIdentifier": "a-inserts"}, "InvalidParameterValueException", "meaning of its own"),
    ({"ReplicationType": "full"}, "InvalidParameterValueException", "ReplicationType"),
    ({"ComputeConfig": {}}, "InvalidParameterValueException", "MaxCapacityUnits must be provided"),
    (
        {"ComputeConfig": {"MinCapacityUnits": 8, "MaxCapacityUnits": 4}},
        "InvalidParameterValueException",
        "must not be greater than MaxCapacityUnits",
    ),
    (
        {"ComputeConfig": {"MaxCapacityUnits": 5}},
        "InvalidParameterValueException",
        "Must be one of: 1, 2, 4, 8",
    ),
    (
        {"ComputeConfig": {"MaxCapacityUnits": 4, "ReplicationSubnetGroupId": "nowhere"}},
        "ResourceNotFoundFault",
        "Replication subnet group nowhere not found",
    ),
    (
        {"SourceEndpointArn": f"{HOME}:endpoint:NONE"},
        "ResourceNotFoundFault",
        "endpoint:NONE not found",
    ),
    (
        {"TargetEndpointArn": f"{HOME}:endpoint:NONE"},
        "ResourceNotFoundFault",
        "endpoint:NONE not found",
    ),
    (
        {"SourceEndpointArn": "arn:aws:dms:us-east-1:999999999999:endpoint:SHOP"},
        "ResourceNotFoundFault",
        "not found",
    ),
    ({"SourceEndpointArn": "shop"}, "InvalidParameterValueException", "not a valid ARN"),
    (
        {"SourceEndpointArn": TARGET, "TargetEndpointArn": SOURCE},
        "InvalidParameterValueException",
        "must be of type SOURCE",
    ),
    (
        {"TargetEndpointArn": SOURCE},
        "InvalidParameterValueException",
        "must be of type TARGET",
    ),
    (
        {"TableMappings": MAPPINGS.replace("selection", "something")},
        "InvalidParameterValueException",
        "Error in mapping rules. Rule with ruleId = 1 failed validation.",
    ),
    (
        {"ReplicationSettings": '{"FullLoadSettings": {"CommitRate": 99999}}'},
        "InvalidParameterValueException",
        "FullLoadSettings.CommitRate must be a whole number from 1 to 50,000",
    ),
    (
        {"Tags": [{"Key": "aws:x", "Value": "y"}]},
        "InvalidParameterValueException",
        "reserved prefixes",
    ),
]


@pytest.mark.parametrize(("members", "code", "message"), BAD)
async def test_what_is_not_taken_is_refused_whole(
    daemon: Daemon, members: dict[str, Any], code: str, message: str
) -> None:
    found = await refused(daemon, "create_replication_config", **{**CONFIG, **members})
    assert found[0] == code
    assert message in found[1]


@pytest.mark.parametrize(("engine", "name"), [("oracle", "Oracle"), ("s3", "S3"), ("kafka", "K")])
async def test_endpoints_of_systems_that_are_not_run_are_refused_by_name(
    daemon: Daemon, engine: str, name: str
) -> None:
    arn = await add_endpoint(daemon, "OTHER", "target", engine)
    code, message = await refused(
        daemon, "create_replication_config", **{**CONFIG, "TargetEndpointArn": arn}
    )
    assert code == "InvalidParameterValueException"
    assert "TargetEndpointArn" in message
    assert f"({engine}) is not run by Penstock" in message
    assert name in message


async def test_the_quota_is_held(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.control.api.quotas.RESOURCES_MAX", 1)
    await create(daemon)
    code, message = await refused(
        daemon, "create_replication_config", **{**CONFIG, "ReplicationConfigIdentifier": "b"}
    )
    assert code == "ResourceQuotaExceededFault"
    assert "ReplicationConfigs" in message
    assert RESOURCES_MAX == 10_000


async def test_a_modification_replaces_what_is_given(daemon: Daemon) -> None:
    config = await create(daemon, ReplicationSettings='{"Logging": {"EnableLogging": true}}')
    window = config["ComputeConfig"]["PreferredMaintenanceWindow"]
    mysql = await add_endpoint(daemon, "CHANGED", "source", "mysql")
    answer = await daemon.call(
        "modify_replication_config",
        ReplicationConfigArn=config["ReplicationConfigArn"],
        ReplicationConfigIdentifier="orders-2",
        ReplicationType="cdc",
        SourceEndpointArn=mysql,
        TableMappings=MAPPINGS.replace("public", "shop"),
        ReplicationSettings='{"ControlTablesSettings": {"StatusTableEnabled": true}}',
        ComputeConfig={"MaxCapacityUnits": 16, "MultiAZ": True},
    )
    changed = answer["ReplicationConfig"]
    assert changed["ReplicationConfigIdentifier"] == "orders-2"
    assert changed["ReplicationType"] == "cdc"
    assert changed["SourceEndpointArn"] == mysql
    assert '"shop"' in changed["TableMappings"]
    settings = json.loads(changed["ReplicationSettings"])
    assert settings["Logging"]["EnableLogging"] is True
    assert settings["ControlTablesSettings"]["StatusTableEnabled"] is True
    assert settings["FullLoadSettings"]["TargetTablePrepMode"] == "DO_NOTHING"
    assert changed["ComputeConfig"] == {
        "MinCapacityUnits": 1,
        "MaxCapacityUnits": 16,
        "MultiAZ": True,
        "PreferredMaintenanceWindow": window,
    }
    assert changed["ReplicationConfigUpdateTime"] > changed["ReplicationConfigCreateTime"]
    filters = [{"Name": "replication-config-id", "Values": ["Orders-2"]}]
    assert [each["SourceEndpointArn"] for each in await described(daemon, Filters=filters)] == [
        mysql
    ]
    text = (await events(daemon))[-1][2]
    assert text.startswith("DMS replication is being modified. (MaxCapacityUnits, MultiAZ, ")
    assert "SourceEndpointArn, TableMappings)" in text


async def test_a_modification_that_changes_nothing_says_nothing(daemon: Daemon) -> None:
    config = await create(daemon)
    before = await everything(daemon)
    answer = await daemon.call(
        "modify_replication_config",
        ReplicationConfigArn=config["ReplicationConfigArn"],
        TableMappings=MAPPINGS,
        ComputeConfig={"MaxCapacityUnits": 8},
    )
    assert answer["ReplicationConfig"] == config
    assert await everything(daemon) == before


async def test_what_may_be_modified_depends_on_the_status(daemon: Daemon) -> None:
    arn = (await create(daemon))["ReplicationConfigArn"]
    fleet, name = ExampleFleet(daemon), arn.rpartition(":")[2]
    change: dict[str, Any] = {"ReplicationConfigArn": arn, "TableMappings": MAPPINGS + " "}
    await daemon.call(
        "start_replication", ReplicationConfigArn=arn, StartReplicationType="start-replication"
    )
    other = MAPPINGS.replace("public", "shop")
    status: Status | None = Status.INITIALIZING
    passed = []
    while status is not None:
        passed.append(status)
        code, message = await refused(
            daemon, "modify_replication_config", ReplicationConfigArn=arn, TableMappings=other
        )
        assert code == "InvalidResourceStateFault"
        assert f"replication is {status}: stop it before it is modified" in message
        status = await fleet.step(name)
    assert passed == [*STARTING, Status.RUNNING]
    await daemon.call("modify_replication_config", **change)  # it changes nothing
    await daemon.call("stop_replication", ReplicationConfigArn=arn)
    await fleet.settle(name)
    change = {"TableMappings": other, "ComputeConfig": {"MaxCapacityUnits": 4}}
    await daemon.call("modify_replication_config", ReplicationConfigArn=arn, **change)
    code, message = await refused(
        daemon,
        "modify_replication_config",
        ReplicationConfigArn=arn,
        ReplicationSettings='{"TargetMetadata": {"BatchApplyEnabled": false}}',
    )
    assert code == "InvalidResourceStateFault"
    assert "TargetMetadata.BatchApplyEnabled cannot change once the replication ran" in message
    code, message = await refused(
        daemon,
        "modify_replication_config",
        ReplicationConfigArn=arn,
        ReplicationType="cdc",
        ComputeConfig={"KmsKeyId": "other"},
    )
    assert code == "InvalidResourceStateFault"
    assert "KmsKeyId, ReplicationType cannot change once the replication was provisioned" in message


async def test_one_that_failed_before_it_had_anything_may_be_modified_wholly(
    daemon: Daemon,
) -> None:
    arn = (await create(daemon))["ReplicationConfigArn"]
    fleet, name = ExampleFleet(daemon), arn.rpartition(":")[2]
    await daemon.call(
        "start_replication", ReplicationConfigArn=arn, StartReplicationType="start-replication"
    )
    await fleet.life(name, status=Status.FAILED)
    change: dict[str, Any] = {"ReplicationConfigArn": arn, "ReplicationType": "cdc"}
    await daemon.call("modify_replication_config", **change)
    provisioned = Provisioned(state=Provision.FAILED, units=1, at=1.0)
    await fleet.life(name, provisioned=provisioned)
    change["ReplicationType"] = "full-load"
    code, _ = await refused(daemon, "modify_replication_config", **change)
    assert code == "InvalidResourceStateFault"


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"ReplicationConfigArn": GONE}, "ResourceNotFoundFault", f"{GONE} not found"),
        ({"ReplicationConfigArn": SOURCE}, "InvalidParameterValueException", "not a valid ARN"),
        ({"ReplicationConfigIdentifier": "Taken"}, "ResourceAlreadyExistsFault", "Taken is in use"),
        ({"ReplicationConfigIdentifier": "a--b"}, "InvalidParameterValueException", "consecutive"),
        ({"ReplicationType": "all"}, "InvalidParameterValueException", "ReplicationType"),
        ({"SourceEndpointArn": TARGET}, "InvalidParameterValueException", "type SOURCE"),
        ({"TableMappings": "{}"}, "InvalidParameterValueException", "Valid Table mappings"),
        ({"ReplicationSettings": "{"}, "InvalidParameterValueException", "Invalid json"),
        (
            {"ComputeConfig": {"MinCapacityUnits": 16}},
            "InvalidParameterValueException",
            "must not be greater",
        ),
    ],
)
async def test_a_modification_that_is_not_taken_changes_nothing(
    daemon: Daemon, members: dict[str, Any], code: str, message: str
) -> None:
    config = await create(daemon)
    await create(daemon, ReplicationConfigIdentifier="taken")
    given = {"ReplicationConfigArn": config["ReplicationConfigArn"], **members}
    found = await refused(daemon, "modify_replication_config", **given)
    assert found[0] == code
    assert message in found[1]


async def test_a_deleted_one_is_deleting_until_the_fleet_has_cleaned_up(daemon: Daemon) -> None:
    arn = (await create(daemon))["ReplicationConfigArn"]
    name = arn.rpartition(":")[2]
    answer = await daemon.call("delete_replication_config", ReplicationConfigArn=arn)
    assert answer["ReplicationConfig"]["ReplicationConfigArn"] == arn
    assert daemon.idle.asked == [("wake", name)]
    code, message = await refused(daemon, "delete_replication_config", ReplicationConfigArn=arn)
    assert (code, "is deleting" in message) == ("InvalidResourceStateFault", True)
    assert await ExampleFleet(daemon).settle(name) == []
    code, _ = await refused(daemon, "delete_replication_config", ReplicationConfigArn=arn)
    assert code == "ResourceNotFoundFault"
    assert (await events(daemon))[-1][2] == "DMS replication is being deleted."


async def test_pages_and_filters(daemon: Daemon) -> None:
    names = ["a", "B", "c", "D", "e"]
    arns = {}
    for name in names:
        config = await create(daemon, ReplicationConfigIdentifier=name)
        arns[name] = config["ReplicationConfigArn"]
    pages: list[list[str]] = []
    more: dict[str, Any] = {}
    while True:
        answer = await daemon.call("describe_replication_configs", MaxRecords=2, **more)
        found = answer["ReplicationConfigs"]
        pages.append([each["ReplicationConfigIdentifier"] for each in found])
        if "Marker" not in answer:
            break
        more = {"Marker": answer["Marker"]}
    assert pages == [["a", "B"], ["c", "D"], ["e"]]
    by_arn = [{"Name": "replication-config-arn", "Values": [arns["e"], arns["B"], GONE]}]
    found = await described(daemon, Filters=by_arn)
    assert [each["ReplicationConfigArn"] for each in found] == [arns["B"], arns["e"]]
    both = [*by_arn, {"Name": "replication-config-id", "Values": ["E"]}]
    assert [each["ReplicationConfigArn"] for each in await described(daemon, Filters=both)] == [
        arns["e"]
    ]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("replication-config-arn", GONE, "ResourceNotFoundFault"),
        ("replication-config-arn", "nonsense", "InvalidParameterValueException"),
        ("replication-config-id", "nobody", "ResourceNotFoundFault"),
        ("replication-config-id", "no_body", "InvalidParameterValueException"),
        ("migration-type", "cdc", "InvalidParameterValueException"),
    ],
)
@pytest.mark.parametrize("method", ["describe_replication_configs", "describe_replications"])
async def test_what_is_asked_for_and_not_there_is_a_fault(
    daemon: Daemon, method: str, name: str, value: str, code: str
) -> None:
    await create(daemon)
    filters = [{"Name": name, "Values": [value]}]
    assert (await refused(daemon, method, Filters=filters))[0] == code


async def test_a_task_is_no_config(daemon: Daemon) -> None:
    async with daemon.store.write() as writing:
        fields = {"source": "SHOP", "target": "STORE", "face": "task", "instance": "penstock"}
        await writing.insert(Record("replication", "TASK", "task:orders", {}, fields))
    await create(daemon)
    assert len(await described(daemon)) == 1
    arn = f"{HOME}:replication-config:TASK"
    code, _ = await refused(daemon, "delete_replication_config", ReplicationConfigArn=arn)
    assert code == "ResourceNotFoundFault"
