"""`penstock apply` of what `penstock import` made of the daemon's own resources."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tests.integration.control.api.replicating import MAPPINGS, SOURCE, TARGET, add_pair
from tests.integration.control.api.shell import Town, in_town

CANARY: Final = "s3cr3t-c4n4ry"


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    (tmp_path / "daemon").mkdir()
    async with in_town(tmp_path / "daemon", monkeypatch) as town:
        yield town


async def described(town: Town, folder: Path) -> str:
    """What `aws dms describe-...` would print of the daemon, as a file."""
    answers = [
        await town.daemon.call(operation)
        for operation in (
            "describe_endpoints",
            "describe_replication_configs",
            "describe_replication_tasks",
            "describe_certificates",
        )
    ]
    for answer in answers:
        answer.pop("ResponseMetadata")
    file = folder / "described.json"
    file.write_text("\n".join(json.dumps(answer, default=str) for answer in answers))
    return str(file)


async def test_what_is_imported_of_a_daemon_is_the_same_there(tmp_path: Path, town: Town) -> None:
    """Endpoints and replication go by the names that they have; so does one that was made without
    a file, with an ARN that was drawn."""
    source = await town.daemon.call(
        "create_endpoint",
        EndpointIdentifier="Shop",
        EndpointType="source",
        EngineName="postgres",
        ServerName="shop.example.com",
        Port=5432,
        Username="u",
        Password=CANARY,
        DatabaseName="shop",
        PostgreSQLSettings={"HeartbeatEnable": True, "SlotName": "own"},
    )
    target = await town.daemon.call(
        "create_endpoint",
        EndpointIdentifier="lake",
        EndpointType="target",
        EngineName="mysql",
        ServerName="lake.example.com",
        Port=3306,
        Username="w",
        Password=CANARY,
        SslMode="require",
    )
    await town.daemon.call(
        "create_replication_config",
        ReplicationConfigIdentifier=f"A{'r' * 35}",
        SourceEndpointArn=source["Endpoint"]["EndpointArn"],
        TargetEndpointArn=target["Endpoint"]["EndpointArn"],
        ReplicationType="full-load-and-cdc",
        ComputeConfig={"MinCapacityUnits": 2, "MaxCapacityUnits": 8},
        TableMappings=MAPPINGS,
        ReplicationSettings='{"Logging": {"EnableLogging": true}}',
    )
    file, made = await described(town, tmp_path), str(tmp_path / "made")
    said = await town.done("import", file, "--keep-slots", "--directory", made)
    assert "wants   SHOP_PASSWORD" in said
    town.environment |= {"SHOP_PASSWORD": CANARY, "LAKE_PASSWORD": CANARY}
    said = await town.done("apply", made)
    wanted = await town.told("apply", made)
    assert (said.splitlines()[-1], wanted["changes"]) == ("nothing to do: 3 as they are", [])
    orders = Path(made) / f"A{'r' * 35}.toml"
    orders.write_text(orders.read_text().replace("max = 8", "max = 4"))
    assert "capacity.max: 8 -> 4" in await town.done("apply", made, "--yes")
    assert (await town.told("apply", made))["changes"] == []


async def test_a_classic_task_is_not_changed_by_a_file(tmp_path: Path, town: Town) -> None:
    await add_pair(town.daemon)
    await town.daemon.call(
        "create_replication_task",
        ReplicationTaskIdentifier="old",
        SourceEndpointArn=SOURCE,
        TargetEndpointArn=TARGET,
        ReplicationInstanceArn="arn:aws:dms:us-east-1:000000000000:rep:penstock",
        MigrationType="cdc",
        TableMappings=MAPPINGS,
    )
    made = tmp_path / "made"
    await town.done("import", await described(town, tmp_path), "--directory", str(made))
    town.environment |= {"SHOP_PASSWORD": CANARY, "STORE_PASSWORD": CANARY}
    said = await town.refused(2, "apply", str(made / "old.toml"), "--yes")
    assert "old is a classic task at the daemon, which no file changes - use `aws dms" in said
