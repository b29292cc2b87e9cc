"""Events to those who subscribed for them: posted to topics in their order, each at least once.

How far a subscription has what is for it is stored beside it, so a restart goes on there; what was
under way then comes a second time, under the same `MessageId`. A topic that does not take it is
tried again with growing pauses for as long as its events are kept (`event_retention`), and holds up
nobody but those who subscribed to it.

The form is that of Amazon SNS over HTTP with AWS DMS's own message inside, without SNS's signature:
whoever receives it knows the daemon by a token, or by an address that nobody else knows.
"""

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from engine.config.serve import Topic
from engine.control.resources.document import decode, encode
from engine.control.resources.subscription import DELIVERED, KIND, Delivered, Subscription
from engine.control.store.contract import Store
from engine.control.store.errors import GoneError
from engine.control.store.records import EVERY_EVENT, Event, EventFilter
from engine.control.webhook import WebhookError, post
from engine.machine import Clock
from engine.observe.log import Log

LOOK_SECONDS: Final = 2.0
"""Time between two looks for events: as late as a notice is, at most, where all is well."""

EVENTS_MAX: Final = 100
"""Events that are read at once, and posted before it is stored how far that was."""

UNSTORED_MAX: Final = 1_000
"""Events that a subscription is not for and whose number is not stored: to store each would be a
write for every event and subscription."""

AT_ONCE_MAX: Final = 16
"""Posts under way at once."""

PAUSE_SECONDS: Final = 2.0
PAUSE_SECONDS_MAX: Final = 300.0
"""Between two tries: the first pause, each of the next twice as long, and the longest."""

TOLD_MAX: Final = 100
"""Subscriptions that are counted one by one; those beyond are counted together as `OTHER`."""

OTHER: Final = "other"

SUBJECT: Final = "DMS Notification Message"

EVENT_PAGE: Final = "http://docs.aws.amazon.com/dms/latest/userguide/CHAP_Events.html#"
"""What AWS writes before the id of an event; receivers look for the id behind it."""


@dataclass(frozen=True, slots=True)
class Posts:
    """What came of a subscription's posts since the daemon began: notices that its topic took, and
    tries in vain."""

    delivered: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Follower:
    """How far one subscription is. What is not stored of it is looked at once more by whoever acts
    next, and not posted once more."""

    reached: int
    """Number of the newest event that was looked at; 0: none."""
    stored: int
    under_way: bool = False
    tries: int = 0
    """In vain, of the event that is next."""
    again: float = 0.0
    """When it is tried again, by the monotonic clock."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One subscription's turn."""

    id: str
    subscription: Subscription
    topic: Topic
    fence: int | None


class Notices:
    """Delivers them, for the daemon that acts."""

    def __init__(self, store: Store, topics: Iterable[Topic], clock: Clock, log: Log) -> None:
        self._store = store
        self._topics = {topic.name: topic for topic in topics}
        self._clock = clock
        self._log = log
        self._followers: dict[str, _Follower] = {}
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._posts: dict[str, Posts] = {}

    @property
    def posts(self) -> Mapping[str, Posts]:
        """By subscription, for as long as there is one; of a daemon that stands by, as it was."""
        return self._posts

    async def run(self, fence: Callable[[], int | None]) -> None:
        """Look again and again; without a topic, return at once. `fence`: the number of the lease
        that is acted under.

        Raises LeaseLostError, and StateError where the store cannot be used.
        """
        self._followers.clear()
        async with _one_error(), asyncio.TaskGroup() as tasks:
            while self._topics:
                await self._begin(tasks, fence())
                await asyncio.sleep(LOOK_SECONDS)

    async def look(self, fence: int | None) -> None:
        """Deliver what there is, once. Returns when each topic has it or did not take it.

        Raises LeaseLostError, and StateError where the store cannot be used.
        """
        async with _one_error(), asyncio.TaskGroup() as tasks:
            await self._begin(tasks, fence)

    async def _begin(self, tasks: asyncio.TaskGroup, fence: int | None) -> None:
        """Begin with every subscription that nobody is at."""
        async with self._store.read() as reading:
            records = await reading.find(KIND)
            for record in records:
                if record.id not in self._followers:
                    facts = await reading.facts(KIND, record.id, prefix=DELIVERED)
                    number = decode(Delivered, facts[0].document).number if facts else 0
                    self._followers[record.id] = _Follower(number, number)
        names = {record.id for record in records}
        for gone in self._followers.keys() - names:
            del self._followers[gone]
        for gone in self._posts.keys() - names - {OTHER}:
            del self._posts[gone]
        for record in records:
            subscription = decode(Subscription, record.document)
            topic = self._topics.get(subscription.topic_name)
            follower = self._followers[record.id]
            if topic is not None and subscription.enabled:
                self._count(record.id)
            rests = follower.under_way or self._clock.monotonic() < follower.again
            if topic is not None and subscription.enabled and not rests:
                follower.under_way = True
                work = _Work(record.id, subscription, topic, fence)
                tasks.create_task(self._follow(work, follower), name=f"notices of {record.id}")

    async def _follow(self, work: _Work, follower: _Follower) -> None:
        """Until there is nothing left, or the topic does not take it."""
        try:
            async with self._turns:
                while await self._deliver(work, follower):
                    pass
        finally:
            follower.under_way = False

    async def _deliver(self, work: _Work, follower: _Follower) -> bool:
        """Some events in their order; whether there may be more to deliver now."""
        # Of all kinds of sources: what is not for it moves it on too, and is not read again.
        only = EVERY_EVENT if follower.reached else EventFilter(since=work.subscription.since)
        async with self._store.read() as reading:
            events = await reading.events(only, after=follower.reached, limit=EVENTS_MAX)
        posted = False
        try:
            for event in events:
                if work.subscription.takes(event):
                    await _post(work.topic, work.subscription, event)
                    self._is_well(work, follower)
                    posted = True
                follower.reached = event.number
        except WebhookError as error:
            self._failed(work, follower, error)
        if posted or follower.reached - follower.stored >= UNSTORED_MAX:
            await self._store_reached(work, follower)
        return len(events) == EVENTS_MAX and not follower.tries

    async def _store_reached(self, work: _Work, follower: _Follower) -> None:
        document = encode(Delivered(number=follower.reached))
        async with self._store.write(fence=work.fence) as writing:
            # Deleted in the meantime, there is nothing to go on with.
            with contextlib.suppress(GoneError):
                await writing.put_facts(KIND, work.id, {DELIVERED: document})
        follower.stored = follower.reached

    def _count(self, subscription: str, *, delivered: int = 0, failed: int = 0) -> None:
        known = subscription in self._posts or len(self._posts) < TOLD_MAX
        name = subscription if known else OTHER
        before = self._posts.get(name, Posts())
        self._posts[name] = Posts(before.delivered + delivered, before.failed + failed)

    def _is_well(self, work: _Work, follower: _Follower) -> None:
        self._count(work.id, delivered=1)
        if follower.tries:
            self._log.info(
                "a topic takes events again",
                action="notices.delivered",
                subscription=work.id,
                topic=work.topic.name,
                attempt=follower.tries + 1,
            )
        follower.tries, follower.again = 0, 0.0

    def _failed(self, work: _Work, follower: _Follower, error: WebhookError) -> None:
        self._count(work.id, failed=1)
        follower.tries += 1
        pause = min(PAUSE_SECONDS * 2.0 ** min(follower.tries - 1, 16), PAUSE_SECONDS_MAX)
        follower.again = self._clock.monotonic() + pause
        self._log.warning(
            "a topic did not take an event",
            action="notices.failed",
            subscription=work.id,
            topic=work.topic.name,
            attempt=follower.tries,
            result=error.message,
            hint=f"see to the url of [topic.{work.topic.name}]; tried again in {pause:g} s",
        )


@contextlib.asynccontextmanager
async def _one_error() -> AsyncIterator[None]:
    """The first error of a group in its place: they are all of one store."""
    try:
        yield
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


async def _post(topic: Topic, subscription: Subscription, event: Event) -> None:
    body = notice(subscription, event)
    headers = {
        "Content-Type": "application/json",
        "x-amz-sns-message-type": "Notification",
        "x-amz-sns-message-id": str(body["MessageId"]),
        "x-amz-sns-topic-arn": subscription.topic,
    }
    if topic.token is not None:
        headers["Authorization"] = f"Bearer {topic.token.reveal()}"
    await post(topic.url, orjson.dumps(body), headers)


def notice(subscription: Subscription, event: Event) -> Mapping[str, object]:
    """What is posted of an event."""
    at = datetime.fromtimestamp(event.at, UTC)
    message = {
        "Event Source": event.source_type,
        "Event Time": f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}",
        "SourceId": event.source_id,
        "Event Message": event.message,
    }
    if "id" in event.document:
        message["Event ID"] = f"{EVENT_PAGE}{event.document['id']} "
    return {
        "Type": "Notification",
        "MessageId": _message_id(subscription, event),
        "TopicArn": subscription.topic,
        "Subject": SUBJECT,
        "Message": orjson.dumps(message).decode(),
        "Timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
    }


def _message_id(subscription: Subscription, event: Event) -> str:
    """The same whenever the event is posted for this subscription."""
    text = f"{subscription.name.lower()}\n{subscription.since}\n{event.number}"
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))
