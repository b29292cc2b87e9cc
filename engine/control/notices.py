"""Events to those who subscribed for them: posted to topics in their order, each at least once.

How far a subscription has what is for it is stored beside it, so a restart goes on there; what was
under way then comes a second time, under the same `MessageId`. A topic that does not take it is
tried again with growing pauses for as long as its events are kept (`event_retention`), and holds up
nobody but those who subscribed to it.

The form is that of Amazon SNS over HTTP with AWS DMS's own message inside, without SNS's signature:
whoever receives it knows the daemon by a token, or by an address that nobody else knows.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from engine.config.serve import Topic
from engine.control.resources.document import decode, encode
from engine.control.resources.subscription import DELIVERED, KIND, Delivered, Subscription
from engine.control.store.contract import Store
from engine.control.store.errors import GoneError
from engine.control.store.records import Event, EventFilter, Record
from engine.control.webhook import WebhookError, post
from engine.machine import Clock
from engine.observe.log import Log

LOOK_SECONDS: Final = 2.0
"""Time between two looks for events: as late as a notice is, at most, where all is well."""

EVENTS_MAX: Final = 100
"""Events of one look at a subscription; the next look goes on."""

AT_ONCE_MAX: Final = 16
"""Posts under way at once."""

PAUSE_SECONDS: Final = 2.0
PAUSE_SECONDS_MAX: Final = 300.0
"""Between two tries: the first pause, each of the next twice as long, and the longest."""

SUBJECT: Final = "DMS Notification Message"

EVENT_PAGE: Final = "http://docs.aws.amazon.com/dms/latest/userguide/CHAP_Events.html#"
"""What AWS writes before the id of an event; receivers look for the id behind it."""


@dataclass(slots=True)
class _Trouble:
    """A subscription whose topic did not take what was for it."""

    tries: int
    again: float
    """When it is tried again, by the monotonic clock."""


class Notices:
    """Delivers them, for the daemon that acts."""

    def __init__(self, store: Store, topics: Iterable[Topic], clock: Clock, log: Log) -> None:
        self._store = store
        self._topics = {topic.name: topic for topic in topics}
        self._clock = clock
        self._log = log
        self._troubles: dict[str, _Trouble] = {}

    async def run(self, fence: Callable[[], int | None]) -> None:
        """Look again and again; without a topic, return at once. `fence`: the number of the lease
        that is acted under.

        Raises LeaseLostError, and StateError where the store cannot be used.
        """
        while self._topics:
            await self.look(fence())
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, fence: int | None) -> None:
        """Deliver what there is, once. Returns when each topic has it or did not take it.

        Raises LeaseLostError, and StateError where the store cannot be used.
        """
        async with self._store.read() as reading:
            records = await reading.find(KIND)
        self._troubles = {
            record.id: self._troubles[record.id]
            for record in records
            if record.id in self._troubles
        }
        try:
            await self._deliver_all(records, fence)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _deliver_all(self, records: Iterable[Record], fence: int | None) -> None:
        turns = asyncio.Semaphore(AT_ONCE_MAX)
        async with asyncio.TaskGroup() as tasks:
            for record in records:
                subscription = decode(Subscription, record.document)
                topic = self._topics.get(subscription.topic_name)
                if topic is not None and subscription.enabled and self._may_try(record.id):
                    work = self._deliver(record, subscription, topic, fence, turns)
                    tasks.create_task(work, name=f"notices of {record.id}")

    def _may_try(self, id: str) -> bool:
        trouble = self._troubles.get(id)
        return trouble is None or self._clock.monotonic() >= trouble.again

    async def _deliver(
        self,
        record: Record,
        subscription: Subscription,
        topic: Topic,
        fence: int | None,
        turns: asyncio.Semaphore,
    ) -> None:
        async with turns:
            before = await self._delivered(record.id)
            only = EventFilter(source_type=subscription.source_type, since=subscription.since)
            async with self._store.read() as reading:
                events = await reading.events(only, after=before, limit=EVENTS_MAX)
            reached = before
            try:
                for event in events:
                    if subscription.takes(event):
                        await _post(topic, subscription, event)
                        self._is_well(record.id, topic)
                    reached = event.number
            except WebhookError as error:
                self._failed(record.id, topic, error)
            if reached != before:
                await self._store_reached(record.id, reached, fence)

    async def _delivered(self, id: str) -> int:
        async with self._store.read() as reading:
            facts = await reading.facts(KIND, id, prefix=DELIVERED)
        return decode(Delivered, facts[0].document).number if facts else 0

    async def _store_reached(self, id: str, number: int, fence: int | None) -> None:
        document = encode(Delivered(number=number))
        async with self._store.write(fence=fence) as writing:
            try:
                await writing.put_facts(KIND, id, {DELIVERED: document})
            except GoneError:
                self._troubles.pop(id, None)

    def _is_well(self, id: str, topic: Topic) -> None:
        trouble = self._troubles.pop(id, None)
        if trouble is not None:
            self._log.info(
                "a topic takes events again",
                action="notices.delivered",
                subscription=id,
                topic=topic.name,
                attempt=trouble.tries + 1,
            )

    def _failed(self, id: str, topic: Topic, error: WebhookError) -> None:
        tries = self._troubles[id].tries + 1 if id in self._troubles else 1
        pause = min(PAUSE_SECONDS * 2.0 ** min(tries - 1, 16), PAUSE_SECONDS_MAX)
        self._troubles[id] = _Trouble(tries, self._clock.monotonic() + pause)
        self._log.warning(
            "a topic did not take an event",
            action="notices.failed",
            subscription=id,
            topic=topic.name,
            attempt=tries,
            result=error.message,
            hint=f"see to the url of [topic.{topic.name}]; it is tried again in {pause:g} s",
        )


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
