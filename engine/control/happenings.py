"""Events that happen to resources, in AWS's categories and ids. (pure)

Source: AWS DMS user guide, "Working with Amazon SNS events and notifications" (categories and ids
of replication tasks, which hold for replications too).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.control.store.records import Event


class SourceType(StrEnum):
    """What an event is about; `Event.SourceType` on the wire."""

    REPLICATION = "replication"
    ENDPOINT = "endpoint"
    INSTANCE = "replication-instance"
    TASK = "replication-task"


class Category(StrEnum):
    """`EventCategories` on the wire."""

    CONFIGURATION_CHANGE = "configuration change"
    CREATION = "creation"
    DELETION = "deletion"
    FAILURE = "failure"
    STATE_CHANGE = "state change"


@dataclass(frozen=True, slots=True)
class Happening:
    """One kind of event: AWS's number of it (empty: ours) and its sentence."""

    category: Category
    number: str
    text: str

    def event(self, source_type: SourceType, source_id: str, detail: str = "") -> Event:
        """The event; `source_id` is the resource's identifier as the user gave it. `detail` holds
        no secret and no row value."""
        message = f"{self.text} {detail}".rstrip()
        return Event(
            source_type,
            source_id,
            message,
            (self.category,),
            {"id": f"DMS-EVENT-{self.number}"} if self.number else {},
        )


CREATED: Final = Happening(Category.CREATION, "0074", "The replication was created.")
DELETED: Final = Happening(Category.DELETION, "0073", "The replication was deleted.")
MODIFIED: Final = Happening(Category.CONFIGURATION_CHANGE, "0080", "The replication was modified.")
STARTED: Final = Happening(Category.STATE_CHANGE, "0069", "The replication has started.")
STOPPED: Final = Happening(Category.STATE_CHANGE, "0079", "The replication has stopped.")
RELOADED: Final = Happening(Category.STATE_CHANGE, "0081", "A reload of tables was asked for.")
FAILED: Final = Happening(Category.FAILURE, "0078", "The replication has failed.")
LEFT_BEHIND: Final = Happening(
    Category.FAILURE, "0082", "The replication was deleted, and left something behind."
)
