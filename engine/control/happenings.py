"""Events that happen to resources, in AWS's categories, ids and words. (pure)

Sources: AWS DMS user guide, "Working with Amazon SNS events and notifications" (categories and ids
of instances and tasks) and "Working with Amazon EventBridge events and notifications" (the words of
replications, which AWS publishes no ids for: those of tasks stand for them); the lists that
`describe-event-categories` was seen to answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.control.lifecycle import Status
from engine.control.store.records import Event


class SourceType(StrEnum):
    """What an event is about; `Event.SourceType` on the wire. AWS's model names instances alone,
    its reference tasks and endpoints too; of replications it tells by EventBridge only."""

    REPLICATION = "replication"
    ENDPOINT = "endpoint"
    INSTANCE = "replication-instance"
    TASK = "replication-task"


class Category(StrEnum):
    """`EventCategories` on the wire."""

    CONFIGURATION_CHANGE = "configuration change"
    CREATION = "creation"
    DELETION = "deletion"
    FAILOVER = "failover"
    FAILURE = "failure"
    LOW_STORAGE = "low storage"
    MAINTENANCE = "maintenance"
    STATE_CHANGE = "state change"


_CHANGES: Final = (
    Category.CONFIGURATION_CHANGE,
    Category.CREATION,
    Category.DELETION,
    Category.FAILURE,
)

CATEGORIES: Final[Mapping[SourceType, tuple[Category, ...]]] = {
    SourceType.REPLICATION: (*_CHANGES, Category.STATE_CHANGE),
    SourceType.TASK: (*_CHANGES, Category.STATE_CHANGE),
    SourceType.ENDPOINT: _CHANGES,
    SourceType.INSTANCE: (
        *_CHANGES,
        Category.FAILOVER,
        Category.LOW_STORAGE,
        Category.MAINTENANCE,
    ),
}
"""`DescribeEventCategories`. What happens to an instance of ours is a part of it: there is no
storage of its own to run low."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One kind of event: AWS's number of it (empty: it has none) and its sentence."""

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


def _changing(text: str, number: str = "") -> Happening:
    return Happening(Category.STATE_CHANGE, number, text)


CREATED: Final = Happening(Category.CREATION, "0074", "DMS replication has been created.")
DELETING: Final = Happening(Category.DELETION, "", "DMS replication is being deleted.")
DELETED: Final = Happening(Category.DELETION, "0073", "DMS replication has been deleted.")
MODIFIED: Final = Happening(
    Category.CONFIGURATION_CHANGE, "0080", "DMS replication is being modified."
)
STARTED: Final = _changing("DMS replication has started.", "0069")
RUNNING: Final = _changing("DMS replication is running.")
STOPPING: Final = _changing("DMS replication is being stopped.")
STOPPED: Final = _changing("DMS replication has stopped.", "0079")
RELOADED: Final = _changing("Reload of table details has been requested.", "0081")
FAILED: Final = Happening(Category.FAILURE, "0078", "DMS replication has failed.")
LEFT_BEHIND: Final = Happening(
    Category.FAILURE, "0082", "A call to clean up what the replication made has failed."
)
PROVISIONED: Final = _changing("DMS replication has been provisioned.")
DEPROVISIONED: Final = _changing("DMS replication has been deprovisioned.")
SCALING_UP: Final = _changing("DMS replication scaling up event.")
SCALING_DOWN: Final = _changing("DMS replication scaling down event.")
SCALED: Final = _changing("DMS replication scaling event completed.")
READING_PAUSED: Final = _changing("Reading paused, disk usage limit reached.", "0092")
READING_RESUMED: Final = _changing("Reading resumed.", "0093")
KEEPS_LOG: Final = Happening(
    Category.FAILURE, "", "The source keeps log for a replication that does not run:"
)
LOG_GIVEN_UP: Final = Happening(
    Category.FAILURE, "", "The log that was kept for a replication was given up:"
)
"""Said of what AWS leaves to its users: a slot that nobody reads fills the source's disk."""

TABLES_STAND: Final = Happening(Category.FAILURE, "", "Tables have stopped, and the others go on:")
"""AWS tells of it in statistics and logs alone."""

WITHOUT_EFFECT: Final = Happening(
    Category.CONFIGURATION_CHANGE, "", "Settings of the replication have no effect."
)

OTHERWISE: Final = Happening(
    Category.CONFIGURATION_CHANGE, "", "DMS replication starts otherwise than it would on AWS:"
)
"""Said at a start of what nobody set, and has another default here than the one that is shown."""

STEPS: Final[Mapping[Status, Happening]] = {
    Status.INITIALIZING: _changing("DMS replication is initializing."),
    Status.PREPARING_METADATA_RESOURCES: _changing(
        "DMS replication is preparing the resources for metadata collection."
    ),
    Status.TESTING_CONNECTION: _changing(
        "The connections tied to DMS replication is being tested."
    ),
    Status.FETCHING_METADATA: _changing("DMS replication is fetching metadata."),
    Status.CALCULATING_CAPACITY: _changing("DMS replication is calculating capacity."),
    Status.PROVISIONING_CAPACITY: _changing("DMS replication is provisioning its capacity."),
    Status.REPLICATION_STARTING: STARTED,
    Status.RUNNING: RUNNING,
    Status.STOPPING: STOPPING,
    Status.STOPPED: STOPPED,
    Status.FAILED: FAILED,
    Status.DELETING: DELETING,
}
"""What is said when a replication comes to a status."""

TASK_CREATED: Final = Happening(Category.CREATION, "0074", "The replication task has been created.")
TASK_DELETED: Final = Happening(Category.DELETION, "0073", "The replication task has been deleted.")
TASK_MODIFIED: Final = Happening(
    Category.CONFIGURATION_CHANGE, "0080", "A replication task has been modified."
)
TASK_STARTED: Final = _changing("The replication task has started.", "0069")
TASK_STOPPED: Final = _changing("The replication task has stopped.", "0079")
TASK_FAILED: Final = Happening(Category.FAILURE, "0078", "A replication task has failed.")

INSTANCE_CREATED: Final = Happening(
    Category.CREATION, "0005", "A replication instance has been created."
)
INSTANCE_DELETED: Final = Happening(
    Category.DELETION, "0003", "The replication instance has been deleted."
)
INSTANCE_MODIFIED: Final = Happening(
    Category.CONFIGURATION_CHANGE, "0014", "The replication instance has been changed."
)

ENDPOINT_CREATED: Final = Happening(Category.CREATION, "", "The endpoint has been created.")
ENDPOINT_MODIFIED: Final = Happening(
    Category.CONFIGURATION_CHANGE, "", "The endpoint has been modified."
)
ENDPOINT_DELETED: Final = Happening(Category.DELETION, "", "The endpoint has been deleted.")
