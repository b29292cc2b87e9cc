from pathlib import Path
from typing import Any

from engine.control.api.arn import Kind
from tests.integration.control.api.asking import arn, pages, refused
from tests.integration.control.api.daemon import READER, Daemon, serving

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"


async def create(daemon: Daemon, name: str = "Failures", **more: Any) -> dict[str, Any]:
    answer = await daemon.call(
        "create_event_subscription", SubscriptionName=name, SnsTopicArn=TOPIC, **more
    )
    made: dict[str, Any] = answer["EventSubscription"]
    return made


async def test_a_subscription_to_a_topic_of_the_file_is_kept_and_shown(tmp_path: Path) -> None:
    async with serving(tmp_path, topics=["alarms", "audit"]) as daemon:
        made = await create(
            daemon,
            SourceType="Replication-Task",
            SourceIds=["shop"],
            EventCategories=["Failure", "state change"],
            Tags=[{"Key": "a", "Value": "b"}],
        )
        made_at = made.pop("SubscriptionCreationTime")
        assert made == {
            "CustomerAwsId": "000000000000",
            "CustSubscriptionId": "Failures",
            "SnsTopicArn": TOPIC,
            "Status": "active",
            "SourceType": "replication-task",
            "SourceIdsList": ["shop"],
            "EventCategoriesList": ["failure", "state change"],
            "Enabled": True,
        }
        answer = await daemon.call("describe_event_subscriptions", READER)
        assert answer["EventSubscriptionsList"] == [{**made, "SubscriptionCreationTime": made_at}]
        name = arn(Kind.SUBSCRIPTION, "Failures")
        tags = await daemon.call("list_tags_for_resource", ResourceArn=name)
        assert tags["TagList"] == [{"Key": "a", "Value": "b"}]
        changed = await daemon.call(
            "modify_event_subscription",
            SubscriptionName="FAILURES",
            SnsTopicArn=TOPIC.replace("alarms", "audit"),
            EventCategories=[],
            Enabled=False,
        )
        assert changed["EventSubscription"]["SnsTopicArn"].endswith(":audit")
        assert changed["EventSubscription"]["EventCategoriesList"] == []
        assert changed["EventSubscription"]["SourceType"] == "replication-task"
        assert not changed["EventSubscription"]["Enabled"]
        gone = await daemon.call("delete_event_subscription", SubscriptionName="failures")
        assert gone["EventSubscription"]["Status"] == "deleting"
        answer = await daemon.call("describe_event_subscriptions")
        assert answer["EventSubscriptionsList"] == []


async def test_what_would_not_arrive_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        with refused("SNSInvalidTopicFault", "Add [topic.alarms] with the url"):
            await create(daemon)
        with refused("SNSInvalidTopicFault", "arn:aws:sns"):
            await daemon.call(
                "create_event_subscription", SubscriptionName="a", SnsTopicArn="alarms"
            )
        with refused("InvalidResourceStateFault", "no Amazon EventBridge"):
            await daemon.call("update_subscriptions_to_event_bridge", ForceMove=True)
        answer = await daemon.call("describe_event_subscriptions")
        assert answer["EventSubscriptionsList"] == []


async def test_a_topic_that_the_file_lost_is_told_and_may_be_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path, topics=["alarms"]) as daemon:
        await create(daemon)
    async with serving(tmp_path, topics=["audit"]) as daemon:
        answer = await daemon.call("describe_event_subscriptions", SubscriptionName="failures")
        assert answer["EventSubscriptionsList"][0]["Status"] == "topic-not-exist"
        with refused("SNSInvalidTopicFault"):
            await daemon.call("modify_event_subscription", SubscriptionName="failures")
        answer = await daemon.call(
            "modify_event_subscription",
            SubscriptionName="failures",
            SnsTopicArn=TOPIC.replace("alarms", "audit"),
        )
        assert answer["EventSubscription"]["Status"] == "active"


async def test_subscriptions_are_found_by_name_and_arn(tmp_path: Path) -> None:
    async with serving(tmp_path, topics=["alarms"]) as daemon:
        for number in range(21):
            await create(daemon, f"s{number:02}")

        async def found(name: str, value: str, **more: Any) -> list[str]:
            filtered = {"Name": name, "Values": [value]}
            answer = await daemon.call("describe_event_subscriptions", Filters=[filtered], **more)
            return [each["CustSubscriptionId"] for each in answer["EventSubscriptionsList"]]

        assert await found("event-subscription-id", "S03") == ["s03"]
        assert await found("event-subscription-arn", arn(Kind.SUBSCRIPTION, "s04")) == ["s04"]
        with refused("ResourceNotFoundFault"):
            await found("event-subscription-id", "s04", SubscriptionName="s05")
        with refused("ResourceNotFoundFault"):
            await daemon.call("describe_event_subscriptions", SubscriptionName="s21")
        every = await pages(
            daemon, "describe_event_subscriptions", "EventSubscriptionsList", MaxRecords=20
        )
        assert [each["CustSubscriptionId"] for each in every] == [f"s{n:02}" for n in range(21)]


async def test_what_is_wrong_with_a_subscription_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path, topics=["alarms"]) as daemon:
        await create(daemon)
        with refused("ResourceAlreadyExistsFault", "FAILURES"):
            await create(daemon, "FAILURES")
        for name in ("a" * 255, "-a", "a b", "ä"):
            with refused("InvalidParameterValueException", "SubscriptionName"):
                await create(daemon, name)
        with refused("InvalidParameterValueException", "SourceType"):
            await create(daemon, "a", SourceType="security-group")
        with refused("InvalidParameterValueException", "EventCategories"):
            await create(daemon, "a", SourceType="endpoint", EventCategories=["failover"])
        with refused("InvalidParameterCombinationException", "SourceType"):
            await create(daemon, "a", SourceIds=["shop"])
        for method in ("modify_event_subscription", "delete_event_subscription"):
            with refused("ResourceNotFoundFault", "missing"):
                await daemon.call(method, SubscriptionName="missing")
