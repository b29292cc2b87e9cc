from pathlib import Path
from typing import Any

from engine.control.api.arn import Kind
from engine.control.lifecycle import Status
from engine.control.resources.document import encode
from engine.control.resources.replication import KIND, Compute, Config, Replication
from engine.control.store.records import Record
from tests.integration.control.api.asking import arn, pages, refused
from tests.integration.control.api.daemon import READER, Daemon, serving

ZONE = {"Name": "us-east-1a"}


async def create(daemon: Daemon, name: str = "My group", **more: Any) -> dict[str, Any]:
    params = {"ReplicationSubnetGroupDescription": "Two of them", "SubnetIds": ["a", "b"], **more}
    answer = await daemon.call(
        "create_replication_subnet_group", ReplicationSubnetGroupIdentifier=name, **params
    )
    made: dict[str, Any] = answer["ReplicationSubnetGroup"]
    return made


async def test_a_group_is_kept_and_shown_and_changed(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        made = await create(daemon, Tags=[{"Key": "a", "Value": "b"}])
        assert made["ReplicationSubnetGroupIdentifier"] == "my group"
        assert made["SubnetGroupStatus"] == "Complete"
        assert made["Subnets"][1] == {
            "SubnetIdentifier": "b",
            "SubnetAvailabilityZone": ZONE,
            "SubnetStatus": "Active",
        }
        name = arn(Kind.SUBNET_GROUP, "my group")
        tags = await daemon.call("list_tags_for_resource", ResourceArn=name)
        assert tags["TagList"] == [{"Key": "a", "Value": "b"}]
        answer = await daemon.call(
            "modify_replication_subnet_group",
            ReplicationSubnetGroupIdentifier="MY GROUP",
            SubnetIds=["c", "d", "c"],
        )
        changed = answer["ReplicationSubnetGroup"]
        assert [each["SubnetIdentifier"] for each in changed["Subnets"]] == ["c", "d"]
        assert changed["ReplicationSubnetGroupDescription"] == "Two of them"
        answer = await daemon.call("describe_replication_subnet_groups", READER)
        assert answer["ReplicationSubnetGroups"] == [changed]
        await daemon.call(
            "delete_replication_subnet_group", ReplicationSubnetGroupIdentifier="my group"
        )
        assert (await daemon.call("describe_replication_subnet_groups"))[
            "ReplicationSubnetGroups"
        ] == []


async def test_a_group_that_a_replication_names_stays(tmp_path: Path) -> None:
    config = Config(
        name="shop",
        source="A",
        target="B",
        type="cdc",
        compute=Compute(units_max=1, subnet_group="Mine"),
        mappings="{}",
    )
    replication = Replication(config=config)
    assert replication.life.status is Status.CREATED
    async with serving(tmp_path) as daemon:
        await create(daemon, "mine")
        async with daemon.store.write() as writing:
            await writing.insert(Record(KIND, "AAAA", "shop", encode(replication)))
        with refused("InvalidResourceStateFault", "replication shop"):
            await daemon.call(
                "delete_replication_subnet_group", ReplicationSubnetGroupIdentifier="mine"
            )


async def test_groups_are_found_by_name_and_by_pages(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        for number in range(21):
            await create(daemon, f"g{number:02}")
        filtered = {"Name": "replication-subnet-group-id", "Values": ["G02", "g30"]}
        answer = await daemon.call("describe_replication_subnet_groups", Filters=[filtered])
        (group,) = answer["ReplicationSubnetGroups"]
        assert group["ReplicationSubnetGroupIdentifier"] == "g02"
        with refused("ResourceNotFoundFault", "g30"):
            filtered["Values"] = ["g30"]
            await daemon.call("describe_replication_subnet_groups", Filters=[filtered])
        every = await pages(
            daemon, "describe_replication_subnet_groups", "ReplicationSubnetGroups", MaxRecords=20
        )
        assert len(every) == 21


async def test_what_is_wrong_with_a_group_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await create(daemon, "mine")
        with refused("ResourceAlreadyExistsFault", "mine"):
            await create(daemon, "Mine")
        with refused("ReplicationSubnetGroupDoesNotCoverEnoughAZs", "at least 2"):
            await create(daemon, "a", SubnetIds=["a", "a"])
        with refused("InvalidParameterValueException", "SubnetIds"):
            await create(daemon, "a", SubnetIds=[f"s{number}" for number in range(61)])
        with refused("InvalidParameterValueException", "Description"):
            await create(daemon, "a", ReplicationSubnetGroupDescription="a\nb")
        with refused("InvalidParameterValueException", "default"):
            await create(daemon, "Default")
        with refused("ResourceNotFoundFault"):
            await daemon.call(
                "modify_replication_subnet_group",
                ReplicationSubnetGroupIdentifier="other",
                SubnetIds=["a", "b"],
            )
        with refused("ResourceNotFoundFault"):
            await daemon.call(
                "delete_replication_subnet_group", ReplicationSubnetGroupIdentifier="other"
            )
