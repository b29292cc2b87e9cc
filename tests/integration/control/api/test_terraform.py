"""The calls of Terraform's provider for `aws_dms_replication_config`, in its order.

Terraform itself does not run here. What it calls, what it waits for and what ends it with an error
are facts of the provider's source (`internal/service/dms/replication_config.go`).
"""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.integration.control.api.daemon import Daemon, serving
from tests.integration.control.api.replicating import (
    CONFIG,
    MAPPINGS,
    ExampleFleet,
    add_endpoint,
    add_pair,
)

STARTING: Final = frozenset(
    {
        "ready",
        "initializing",
        "preparing_metadata_resources",
        "testing_connection",
        "fetching_metadata",
        "calculating_capacity",
        "provisioning_capacity",
        "replication_starting",
    }
)
"""While one of these is told, the provider waits for a start to end; any other is an error."""

AT_REST: Final = frozenset({"created", "failed", "stopped"})
"""In these it stops nothing before it modifies or deletes."""

READ_BACK: Final = {
    "ReplicationConfigIdentifier",
    "SourceEndpointArn",
    "TargetEndpointArn",
    "ReplicationType",
    "TableMappings",
}


class UnexpectedStateError(Exception):
    """The provider gives up."""


class Provider:
    """Creates, reads, updates and deletes one resource. Where it would sleep, the fleet goes on by
    one status."""

    def __init__(self, daemon: Daemon, *, start: bool) -> None:
        self.daemon = daemon
        self.start_replication = start
        self.fleet = ExampleFleet(daemon)
        self.arn = ""
        self.seen: list[str] = []

    async def create(self, **members: Any) -> None:
        answer = await self.daemon.call("create_replication_config", **members)
        self.arn = answer["ReplicationConfig"]["ReplicationConfigArn"]
        if self.start_replication:
            await self.start()

    async def read(self) -> dict[str, Any] | None:
        """None: it takes the resource for gone."""
        return await self._one("describe_replication_configs", "ReplicationConfigs")

    async def update(self, **changed: Any) -> None:
        await self.stop()
        await self._call("modify_replication_config", **changed)
        if self.start_replication:
            await self.start()

    async def delete(self) -> None:
        await self.stop()
        await self._call("delete_replication_config")
        await self._wait(frozenset({"deleting", "stopped"}), frozenset(), gone=True)

    async def start(self) -> None:
        replication = await self._one("describe_replications", "Replications")
        assert replication is not None
        if replication["Status"] == "running":
            return
        # Only a replication that says `ready` is started as one for the first time.
        kind = "creating" if replication["Status"] == "ready" else "resume-processing"
        await self._call("start_replication", StartReplicationType=kind)
        await self._wait(STARTING, frozenset({"running", "stopped"}))

    async def stop(self) -> None:
        replication = await self._one("describe_replications", "Replications")
        if replication is None or replication["Status"] in AT_REST:
            return
        await self._call("stop_replication")
        await self._wait(frozenset({"stopping", "running"}), frozenset({"stopped"}))

    async def _call(self, method: str, **members: Any) -> None:
        await self.daemon.call(method, ReplicationConfigArn=self.arn, **members)

    async def _one(self, method: str, member: str) -> dict[str, Any] | None:
        filters = [{"Name": "replication-config-arn", "Values": [self.arn]}]
        client = self.daemon.client()
        try:
            answer = await self.daemon.call(method, Filters=filters)
        except client.exceptions.ResourceNotFoundFault:
            return None
        finally:
            client.close()
        (one,) = answer[member]
        found: dict[str, Any] = one
        return found

    async def _wait(
        self, pending: frozenset[str], target: frozenset[str], *, gone: bool = False
    ) -> None:
        while True:
            replication = await self._one("describe_replications", "Replications")
            if replication is None:
                if gone:
                    return
                raise UnexpectedStateError("not found")
            status = replication["Status"]
            self.seen.append(status)
            if status in target:
                return
            if status not in pending:
                raise UnexpectedStateError(status)
            await self.fleet.step(self.arn.rpartition(":")[2])


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with serving(tmp_path) as daemon:
        await add_pair(daemon)
        yield daemon


async def test_a_resource_that_is_started(daemon: Daemon) -> None:
    provider = Provider(daemon, start=True)
    await provider.create(**CONFIG)
    assert provider.seen == [
        "initializing",
        "preparing_metadata_resources",
        "testing_connection",
        "fetching_metadata",
        "calculating_capacity",
        "provisioning_capacity",
        "replication_starting",
        "running",
    ]
    assert await provider.read() is not None
    provider.seen.clear()
    await provider.update(TableMappings=MAPPINGS.replace("public", "shop"))
    assert provider.seen[:3] == ["stopping", "stopped", "initializing"]
    assert provider.seen[-1] == "running"
    provider.seen.clear()
    await provider.delete()
    assert provider.seen == ["stopping", "stopped", "deleting"]
    assert await provider.read() is None


async def test_a_resource_that_is_never_started(daemon: Daemon) -> None:
    """What was never started is stopped by nobody: `ready` instead of `created` would be."""
    provider = Provider(daemon, start=False)
    await provider.create(**CONFIG)
    await provider.update(ComputeConfig={"MaxCapacityUnits": 4})
    await provider.delete()
    assert provider.seen == ["deleting"]
    assert await provider.read() is None


async def test_endpoints_may_change_until_it_ran(daemon: Daemon) -> None:
    provider = Provider(daemon, start=False)
    await provider.create(**CONFIG)
    other = await add_endpoint(daemon, "OTHER", "target", "mysql")
    await provider.update(TargetEndpointArn=other)
    config = await provider.read()
    assert config is not None
    assert config["TargetEndpointArn"] == other


SETTINGS: Final[dict[str, Any]] = {
    "BeforeImageSettings": None,
    "ChangeProcessingTuning": {"BatchApplyTimeoutMax": 20, "MemoryKeepTime": 61},
    "ErrorBehavior": {"RecoverableErrorInterval": 10, "DataErrorPolicy": "SUSPEND_TABLE"},
    "FullLoadSettings": {"MaxFullLoadSubTasks": 9, "CommitRate": 12_000},
    "Logging": {
        "EnableLogging": True,
        "EnableLogContext": True,
        "LogComponents": [{"Id": "SORTER", "Severity": "LOGGER_SEVERITY_DEBUG"}],
    },
    "ControlTablesSettings": {"historyTimeslotInMinutes": 7},
    "TargetMetadata": {"BatchApplyEnabled": True, "LobMaxSize": 64},
    "ValidationSettings": {"EnableValidation": False, "ThreadCount": 3},
}


def holds(shown: Any, written: Any) -> bool:
    """Whether every key that was written has its value; lists of components are compared by Id."""
    if isinstance(written, Mapping):
        return isinstance(shown, Mapping) and all(
            name in shown and holds(shown[name], value) for name, value in written.items()
        )
    if isinstance(written, list) and written and "Id" in written[0]:
        by_id = {item["Id"]: item for item in shown}
        return all(holds(by_id.get(item["Id"]), item) for item in written)
    return bool(shown == written)


async def test_a_second_plan_finds_no_difference(daemon: Daemon) -> None:
    """Whatever was written comes back with the same value, before and after a start: otherwise
    every plan would want to change it."""
    provider = Provider(daemon, start=True)
    members = {
        **CONFIG,
        "ReplicationSettings": json.dumps(SETTINGS),
        "ComputeConfig": {
            "MinCapacityUnits": 2,
            "MaxCapacityUnits": 16,
            "MultiAZ": True,
            "PreferredMaintenanceWindow": "sun:23:45-mon:00:30",
            "KmsKeyId": "arn:aws:kms:us-east-1:000000000000:key/abc",
            "VpcSecurityGroupIds": ["sg-1"],
        },
    }
    provider.start_replication = False
    await provider.create(**members)
    for _ in range(2):
        config = await provider.read()
        assert config is not None
        assert {name: config[name] for name in READ_BACK} == {
            name: members[name] for name in READ_BACK
        }
        assert config["ComputeConfig"] == members["ComputeConfig"]
        assert holds(json.loads(config["ReplicationSettings"]), SETTINGS)
        await provider.start()


async def test_one_that_fails_ends_the_wait(daemon: Daemon) -> None:
    provider = Provider(daemon, start=False)
    await provider.create(**CONFIG)
    provider.fleet.fails_after = 3
    with pytest.raises(UnexpectedStateError, match="failed"):
        await provider.start()
    # The next apply deletes it, or starts it again.
    await provider.start()
    assert provider.seen[-1] == "running"
    await provider.delete()
    assert await provider.read() is None
