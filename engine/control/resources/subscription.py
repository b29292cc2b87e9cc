"""A subscription to events as it is stored, and which events it is for. (pure)"""

from typing import Final

from engine.control.resources.document import Stored
from engine.control.store.records import Event

KIND: Final = "subscription"

DELIVERED: Final = "delivered"
"""Key of the fact beside its record that says how far events were delivered."""


class Subscription(Stored, frozen=True, kw_only=True):
    """What the user gave. What is empty does not restrict."""

    name: str
    topic: str
    """ARN of the topic, as it was given; its last part names a `[topic.NAME]` of the daemon's."""
    source_type: str = ""
    sources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    enabled: bool = True
    since: float = 0.0
    """When it was enabled last, by the store's clock: earlier events are not for it."""

    @property
    def topic_name(self) -> str:
        return topic_name(self.topic)

    def takes(self, event: Event) -> bool:
        """Whether an event is for it."""
        return (
            event.at >= self.since
            and self.source_type in ("", event.source_type)
            and (not self.sources or event.source_id.lower() in map(str.lower, self.sources))
            and (not self.categories or bool({*self.categories}.intersection(event.categories)))
        )


class Delivered(Stored, frozen=True, kw_only=True):
    """How far its topic has what is for it."""

    number: int
    """Of the newest event that was looked at; older ones are delivered, or not for it."""


def topic_name(arn: str) -> str:
    """`arn:aws:sns:<region>:<account>:<name>`: the name."""
    return arn.rpartition(":")[2]
