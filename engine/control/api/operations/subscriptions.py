"""Event subscriptions. There is no Amazon SNS here: a topic is a `[topic.NAME]` of the daemon's
file, which says where its events are posted to (`engine.control.notices`). A subscription to a
topic that the file does not have is refused, since nothing of it would arrive."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from engine.control.api.arn import Kind
from engine.control.api.call import Call, operation
from engine.control.api.faults import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    InvalidResourceStateFault,
    ResourceAlreadyExistsFault,
    ResourceNotFoundFault,
    SNSInvalidTopicFault,
)
from engine.control.api.filters import filters
from engine.control.api.identifiers import tags
from engine.control.api.keys import Access
from engine.control.api.operations.events import categories, source_type
from engine.control.api.quotas import check_room
from engine.control.resources.document import decode, encode
from engine.control.resources.subscription import KIND, Subscription, topic_name
from engine.control.store.contract import Reading
from engine.control.store.records import Record

REFUSED: Final[Mapping[str, str]] = {
    "UpdateSubscriptionsToEventBridge": "there is no Amazon EventBridge here: subscriptions go on"
    " as they are",
}

SOURCES_MAX: Final = 1_000

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,253})")
_TOPIC: Final = re.compile(r"arn:[a-z-]+:sns:[a-z0-9-]*:[0-9]*:[A-Za-z0-9_-]{1,256}")


@operation("CreateEventSubscription", access=Access.ADMIN)
async def create_event_subscription(call: Call) -> Mapping[str, object]:
    """A subscription, which is for what happens from now on."""
    request = call.request
    given = tags(request.get("Tags", ()))
    wanted = _checked(
        Subscription(
            name=_name(request["SubscriptionName"]),
            topic=_topic(call, request["SnsTopicArn"]),
            source_type=request.get("SourceType", ""),
            sources=tuple(dict.fromkeys(request.get("SourceIds", ()))),
            categories=tuple(request.get("EventCategories", ())),
            enabled=request.get("Enabled", True),
        )
    )
    async with call.services.store.write() as writing:
        existing = await writing.named(KIND, wanted.name.lower())
        if existing is not None:
            raise ResourceAlreadyExistsFault(
                f"Event subscription {wanted.name} already exists.",
                resource_arn=call.services.home.arn(Kind.SUBSCRIPTION, existing.id),
            )
        await check_room(writing, "EventSubscriptions")
        made = _with(wanted, since=await writing.now())
        record = Record(KIND, made.name, made.name.lower(), encode(made))
        record = await writing.insert(record)
        await writing.tag(KIND, record.id, given)
    return {"EventSubscription": _shown(call, record)}


@operation("ModifyEventSubscription", access=Access.ADMIN)
async def modify_event_subscription(call: Call) -> Mapping[str, object]:
    """What is given replaces what was there. Enabled again, it is for what happens from now on."""
    request = call.request
    async with call.services.store.write() as writing:
        record = await _existing(call, writing)
        before = decode(Subscription, record.document)
        enabled = request.get("Enabled", before.enabled)
        begins = enabled and not before.enabled
        after = _checked(
            _with(
                before,
                topic=_topic(call, request.get("SnsTopicArn", before.topic)),
                source_type=request.get("SourceType", before.source_type),
                categories=tuple(request.get("EventCategories", before.categories)),
                enabled=enabled,
                since=await writing.now() if begins else before.since,
            )
        )
        changed = Record(KIND, record.id, record.name, encode(after), revision=record.revision)
        record = await writing.update(changed)
    return {"EventSubscription": _shown(call, record)}


@operation("DeleteEventSubscription", access=Access.ADMIN)
async def delete_event_subscription(call: Call) -> Mapping[str, object]:
    """The subscription as it was."""
    async with call.services.store.write() as writing:
        record = await _existing(call, writing)
        await writing.delete(KIND, record.id)
    return {"EventSubscription": {**_shown(call, record), "Status": "deleting"}}


@operation("DescribeEventSubscriptions", access=Access.READ)
async def describe_event_subscriptions(call: Call) -> Mapping[str, object]:
    """Subscriptions by name. One that is asked for and is not there is a ResourceNotFoundFault."""
    page = call.services.pages.asked(call.operation, call.request)
    asked = filters(call.operation, call.request)
    where: dict[str, Sequence[str]] = {}
    if "event-subscription-arn" in asked:
        where["id"] = [
            call.services.home.name(arn, Kind.SUBSCRIPTION, parameter="event-subscription-arn")
            for arn in asked["event-subscription-arn"]
        ]
    if "event-subscription-id" in asked:
        where["name"] = [name.lower() for name in asked["event-subscription-id"]]
    if call.request.get("SubscriptionName"):
        one = call.request["SubscriptionName"].lower()
        where["name"] = [name for name in where.get("name", [one]) if name == one]
    async with call.services.store.read() as reading:
        found = await reading.find(KIND, where, after=page.after, limit=page.limit + 1)
    if where and not found and not page.after:
        raise ResourceNotFoundFault("No event subscription of that name was found.")
    shown, marker = call.services.pages.cut(page, found, lambda record: record.name)
    return {
        "Marker": marker,
        "EventSubscriptionsList": [_shown(call, record) for record in shown],
    }


@operation("UpdateSubscriptionsToEventBridge", access=Access.ADMIN)
async def update_subscriptions_to_event_bridge(_call: Call) -> Mapping[str, object]:
    """Always an InvalidResourceStateFault."""
    raise InvalidResourceStateFault(
        "There is no Amazon EventBridge to move subscriptions to: they go on posting to their"
        " topics, which are [topic.NAME] tables of the daemon's file."
    )


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise InvalidParameterValueException(
            "The parameter SubscriptionName is not valid. It must have 1 to 254 letters, digits,"
            " periods, underscores, or hyphens, and begin with a letter or a digit."
        )
    return text


def _topic(call: Call, arn: str) -> str:
    """The ARN of a topic of ours, whatever its region and account."""
    if _TOPIC.fullmatch(arn) is None:
        raise SNSInvalidTopicFault(
            "SnsTopicArn is not valid: it must be arn:aws:sns:REGION:ACCOUNT:NAME."
        )
    name = topic_name(arn)
    if name not in call.services.topics:
        raise SNSInvalidTopicFault(
            f"The daemon has no topic {name}: there is no Amazon SNS here. Add [topic.{name}] with"
            " the url that its events are to be posted to, and start the daemon again."
        )
    return arn


def _checked(wanted: Subscription) -> Subscription:
    """With its words as AWS spells them. Raises a fault where they do not go together."""
    source = source_type(wanted.source_type) if wanted.source_type else None
    if wanted.sources and source is None:
        raise InvalidParameterCombinationException("SourceIds need a SourceType.")
    if len(wanted.sources) > SOURCES_MAX or not all(wanted.sources):
        raise InvalidParameterValueException(
            f"SourceIds must have at most {SOURCES_MAX:,} values, none of them blank."
        )
    return _with(
        wanted,
        source_type=source or "",
        categories=tuple(map(str, categories(wanted.categories, source))),
    )


def _with(subscription: Subscription, **changes: Any) -> Subscription:
    return msgspec.structs.replace(subscription, **changes)


async def _existing(call: Call, reading: Reading) -> Record:
    name = call.request["SubscriptionName"]
    record = await reading.named(KIND, name.lower())
    if record is None:
        raise ResourceNotFoundFault(f"Event subscription {name} not found.")
    return record


def _shown(call: Call, record: Record) -> Mapping[str, object]:
    subscription = decode(Subscription, record.document)
    known = subscription.topic_name in call.services.topics
    return {
        "CustomerAwsId": call.services.home.account,
        "CustSubscriptionId": subscription.name,
        "SnsTopicArn": subscription.topic,
        "Status": "active" if known else "topic-not-exist",
        "SubscriptionCreationTime": _time(record.created),
        "SourceType": subscription.source_type or None,
        "SourceIdsList": list(subscription.sources),
        "EventCategoriesList": list(subscription.categories),
        "Enabled": subscription.enabled,
    }


def _time(seconds: float) -> str:
    return (
        f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{int(seconds * 1000) % 1000:03}"
    )
