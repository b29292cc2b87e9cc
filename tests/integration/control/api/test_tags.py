from pathlib import Path

import pytest

from engine.control.api.arn import Kind
from engine.control.resources.kinds import ENDPOINT, OF_ARN, REPLICATION
from tests.integration.control.api.asking import arn, put, refused
from tests.integration.control.api.daemon import READER, serving

TAG = {"Key": "team", "Value": "Lager"}


@pytest.mark.parametrize("kind", OF_ARN)
async def test_every_kind_of_resource_has_tags(tmp_path: Path, kind: str) -> None:
    kept, name = OF_ARN[kind], arn(Kind(kind), "AAAA")
    async with serving(tmp_path) as daemon:
        with refused("ResourceNotFoundFault", name):
            await daemon.call("add_tags_to_resource", ResourceArn=name, Tags=[TAG])
        await put(daemon, kept.kind, "AAAA", **kept.fields)
        await daemon.call("add_tags_to_resource", ResourceArn=name, Tags=[TAG, {"Key": "a"}])
        changed = {"Key": "team", "Value": "Post"}
        await daemon.call("add_tags_to_resource", ResourceArn=name, Tags=[changed])
        answer = await daemon.call("list_tags_for_resource", READER, ResourceArn=name)
        assert answer["TagList"] == [{"Key": "a", "Value": ""}, changed]
        await daemon.call("remove_tags_from_resource", ResourceArn=name, TagKeys=["team", "none"])
        answer = await daemon.call("list_tags_for_resource", ResourceArn=name)
        assert answer["TagList"] == [{"Key": "a", "Value": ""}]


async def test_a_task_is_no_replication_config(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, REPLICATION, "AAAA", face="task")
        await daemon.call("list_tags_for_resource", ResourceArn=arn(Kind.TASK, "AAAA"))
        with refused("ResourceNotFoundFault"):
            await daemon.call("list_tags_for_resource", ResourceArn=arn(Kind.REPLICATION, "AAAA"))


async def test_tags_of_several_resources_say_whose_they_are(tmp_path: Path) -> None:
    names = [arn(Kind.ENDPOINT, name) for name in ("AAAA", "BBBB")]
    async with serving(tmp_path) as daemon:
        for name in ("AAAA", "BBBB"):
            await put(daemon, ENDPOINT, name)
        for name in names:
            await daemon.call("add_tags_to_resource", ResourceArn=name, Tags=[TAG])
        answer = await daemon.call("list_tags_for_resource", ResourceArnList=[*names, names[0]])
        assert answer["TagList"] == [{**TAG, "ResourceArn": name} for name in names]
        with refused("ResourceNotFoundFault"):
            await daemon.call(
                "list_tags_for_resource", ResourceArnList=[*names, arn(Kind.ENDPOINT, "CCCC")]
            )
        with refused("InvalidParameterCombinationException"):
            await daemon.call("list_tags_for_resource")
        with refused("InvalidParameterCombinationException"):
            await daemon.call("list_tags_for_resource", ResourceArn=names[0], ResourceArnList=names)


async def test_the_instance_that_is_the_daemon_has_no_tags(tmp_path: Path) -> None:
    name = arn(Kind.INSTANCE, "penstock")
    async with serving(tmp_path) as daemon:
        assert (await daemon.call("list_tags_for_resource", ResourceArn=name))["TagList"] == []
        await daemon.call("remove_tags_from_resource", ResourceArn=name, TagKeys=["a"])
        with refused("InvalidResourceStateFault", "this daemon"):
            await daemon.call("add_tags_to_resource", ResourceArn=name, Tags=[TAG])


async def test_a_resource_has_fifty_tags_at_most_and_keeps_those_it_had(tmp_path: Path) -> None:
    name = arn(Kind.ENDPOINT, "AAAA")
    fifty = [{"Key": f"k{number:02}", "Value": ""} for number in range(50)]
    async with serving(tmp_path) as daemon:
        await put(daemon, ENDPOINT, "AAAA")
        await daemon.call("add_tags_to_resource", ResourceArn=name, Tags=fifty)
        with refused("InvalidParameterValueException", "50"):
            await daemon.call("add_tags_to_resource", ResourceArn=name, Tags=[TAG])
        await daemon.call("add_tags_to_resource", ResourceArn=name, Tags=fifty[:1])
        answer = await daemon.call("list_tags_for_resource", ResourceArn=name)
        assert answer["TagList"] == fifty
        with refused("InvalidParameterValueException", "reserved"):
            await daemon.call("add_tags_to_resource", ResourceArn=name, Tags=[{"Key": "aws:a"}])
