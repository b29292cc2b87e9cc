"""What is told of replications while no daemon may act."""

from pathlib import Path

from tests.integration.control.api.daemon import serving
from tests.integration.control.api.replicating import CONFIG, add_pair


async def test_what_nobody_looks_after_is_told_with_the_reason(tmp_path: Path) -> None:
    """Its status is of before. Where nothing is wanted of it, nobody need look."""
    async with serving(tmp_path) as daemon:
        await add_pair(daemon)
        made = await daemon.call("create_replication_config", **CONFIG)
        arn = made["ReplicationConfig"]["ReplicationConfigArn"]

        async def told() -> tuple[str, list[str]]:
            (found,) = (await daemon.call("describe_replications"))["Replications"]
            return found["Status"], found.get("FailureMessages", [])

        daemon.idle.unattended = "No daemon is known to look after it now. The disk is full"
        assert await told() == ("created", [])
        await daemon.call(
            "start_replication",
            ReplicationConfigArn=arn,
            StartReplicationType="start-replication",
        )
        assert await told() == ("initializing", [daemon.idle.unattended])
        daemon.idle.unattended = ""
        assert await told() == ("initializing", [])
