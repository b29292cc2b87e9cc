"""The life of a replication in AWS's names: statuses, and what is allowed in which. (pure)

Sources: the AWS DMS user guide, "AWS DMS Serverless components" (statuses, what may be modified in
which), the API's model (`StartReplicationMigrationTypeValue`, `StopReason`), and what Terraform's
provider waits for: a start that has been answered is `initializing` already, and a replication that
never ran is `created`. Where AWS's pages differ, the more permissive one holds, since scripts
written for it must go on working.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.errors import PenstockError


class Status(StrEnum):
    """`Replication.Status` on the wire."""

    CREATED = "created"
    INITIALIZING = "initializing"
    PREPARING_METADATA_RESOURCES = "preparing_metadata_resources"
    TESTING_CONNECTION = "testing_connection"
    FETCHING_METADATA = "fetching_metadata"
    CALCULATING_CAPACITY = "calculating_capacity"
    PROVISIONING_CAPACITY = "provisioning_capacity"
    REPLICATION_STARTING = "replication_starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    DELETING = "deleting"


class Provision(StrEnum):
    """`ProvisionData.ProvisionState` on the wire; a replication that never ran has none."""

    PROVISIONING = "provisioning"
    PROVISIONED = "provisioned"
    DEPROVISIONED = "deprovisioned"
    FAILED = "failed_provision"


class StartType(StrEnum):
    """`StartReplicationType` on the wire."""

    START = "start-replication"
    RESUME = "resume-processing"
    RELOAD = "reload-target"


class StopReason(StrEnum):
    """`StopReason` on the wire. AWS writes the prefix too."""

    NORMAL = "Stop Reason NORMAL"
    RECOVERABLE_ERROR = "Stop Reason RECOVERABLE_ERROR"
    FATAL_ERROR = "Stop Reason FATAL_ERROR"
    FULL_LOAD_ONLY_FINISHED = "Stop Reason FULL_LOAD_ONLY_FINISHED"
    STOPPED_AFTER_FULL_LOAD = "Stop Reason STOPPED_AFTER_FULL_LOAD"
    STOPPED_AFTER_CACHED_EVENTS = "Stop Reason STOPPED_AFTER_CACHED_EVENTS"
    STOPPED_DUE_TO_LOW_MEMORY = "Stop Reason STOPPED_DUE_TO_LOW_MEMORY"
    STOPPED_DUE_TO_LOW_DISK = "Stop Reason STOPPED_DUE_TO_LOW_DISK"
    STOPPED_AT_SERVER_TIME = "Stop Reason STOPPED_AT_SERVER_TIME"
    STOPPED_AT_COMMIT_TIME = "Stop Reason STOPPED_AT_COMMIT_TIME"


STARTING: Final = (
    Status.INITIALIZING,
    Status.PREPARING_METADATA_RESOURCES,
    Status.TESTING_CONNECTION,
    Status.FETCHING_METADATA,
    Status.CALCULATING_CAPACITY,
    Status.PROVISIONING_CAPACITY,
    Status.REPLICATION_STARTING,
)
"""What a start passes through, in this order, before it is `running`."""

AT_REST: Final = frozenset({Status.CREATED, Status.STOPPED, Status.FAILED})
"""Nothing runs, and nothing will by itself."""


def _next() -> Mapping[Status, frozenset[Status]]:
    after: dict[Status, frozenset[Status]] = {}
    for status, following in zip(STARTING, (*STARTING[1:], Status.RUNNING), strict=True):
        # A daemon that takes over begins a start anew, wherever its predecessor was.
        ways = {following, Status.INITIALIZING, Status.FAILED, Status.STOPPING}
        after[status] = frozenset(ways - {status})
    # A daemon that takes up a worker may have less room than the one before: it waits for more. And
    # a worker may be done before anything moves.
    after[Status.REPLICATION_STARTING] |= {Status.PROVISIONING_CAPACITY, Status.STOPPED}
    for status in AT_REST:
        after[status] = frozenset({Status.INITIALIZING, Status.DELETING})
    # A worker that died is started again, beginning with the connections: its capacity is its own.
    after[Status.RUNNING] = frozenset(
        {
            Status.STOPPING,
            Status.STOPPED,
            Status.FAILED,
            Status.REPLICATION_STARTING,
            Status.PROVISIONING_CAPACITY,
        }
    )
    after[Status.STOPPING] = frozenset({Status.STOPPED, Status.FAILED})
    after[Status.DELETING] = frozenset()
    return after


NEXT: Final = _next()
"""Which statuses may follow each."""

ALWAYS: Final = frozenset(
    {
        "CdcStopPosition",
        "ReplicationConfigIdentifier",
        "ReplicationSettings",
        "ReplicationTaskIdentifier",
        "ReplicationTaskSettings",
        "TableMappings",
    }
)
COMPUTE_ALWAYS: Final = frozenset(
    {
        "CdcStopPosition",
        "MinCapacityUnits",
        "MaxCapacityUnits",
        "MultiAZ",
        "PreferredMaintenanceWindow",
        "VpcSecurityGroupIds",
    }
)
"""May be modified whenever nothing runs; the other members only until something was provisioned."""


class RefusedError(PenstockError):
    """What is asked for is not allowed; nothing was changed. The text says why, and what is."""


class WrongStateError(RefusedError):
    """Not in this status (AWS: InvalidResourceStateFault)."""


class WrongCombinationError(RefusedError):
    """Never together (AWS: InvalidParameterCombinationException)."""


class Begin(StrEnum):
    """What a start does with what earlier ones left."""

    FRESH = "fresh"
    RESUME = "resume"
    RELOAD = "reload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`StartReplication` as it was asked for, with the replication's `ReplicationType`."""

    type: StartType
    replication_type: str
    has_start_time: bool = False
    has_start_position: bool = False


def follows(before: Status, after: Status) -> bool:
    """Whether a replication may go from one status to the other."""
    return after in NEXT[before]


def begin(status: Status, wish: Wish, *, ran: bool) -> Begin:
    """What a start means. `ran`: it was running once, and left something to go on from.

    Terraform sends `resume-processing` on the very first start too: it is one.

    Raises:
        WrongStateError, WrongCombinationError.
    """
    if status not in AT_REST:
        raise WrongStateError(
            f"the replication is {status}; it can be started when it is created, stopped or failed"
        )
    _check_position(wish, ran=ran)
    if wish.type is StartType.RELOAD and wish.replication_type == "cdc":
        raise WrongCombinationError(
            "reload-target has nothing to load again: ReplicationType is cdc; use resume-processing"
        )
    if not ran:
        return Begin.FRESH
    if wish.type is StartType.START:
        raise WrongCombinationError(
            "Start Type : START_REPLICATION, valid only for tasks running for the first time;"
            " use resume-processing to go on, or reload-target to load everything again"
        )
    return Begin.RELOAD if wish.type is StartType.RELOAD else Begin.RESUME


def _check_position(wish: Wish, *, ran: bool) -> None:
    if wish.has_start_time and wish.has_start_position:
        raise WrongCombinationError("CdcStartTime and CdcStartPosition exclude each other")
    if not (wish.has_start_time or wish.has_start_position):
        return
    if wish.replication_type != "cdc":
        raise WrongCombinationError(
            "CdcStartTime and CdcStartPosition need ReplicationType cdc: with a full load the"
            " changes begin at its snapshot"
        )
    if ran:
        raise WrongCombinationError(
            "CdcStartTime and CdcStartPosition are for the first start: the stored position would"
            " be lost; delete the replication and create it again to begin elsewhere"
        )


def check_stop(status: Status) -> None:
    """Raises WrongStateError where nothing can be stopped."""
    if status is not Status.RUNNING and status not in STARTING:
        raise WrongStateError(f"the replication is {status}: there is nothing to stop")


def check_delete(status: Status) -> None:
    """Raises WrongStateError unless nothing runs."""
    if status not in AT_REST:
        raise WrongStateError(f"the replication is {status}: stop it before it is deleted")


def check_reload(status: Status, replication_type: str) -> None:
    """Raises WrongStateError where no table can be loaded again by itself."""
    if replication_type == "cdc":
        raise WrongStateError("ReplicationType is cdc: no table was loaded, none is loaded again")
    if status is not Status.RUNNING:
        raise WrongStateError(
            f"the replication is {status}: tables are loaded again while it is running;"
            " start it with reload-target to load all of them"
        )


def check_modify(
    status: Status,
    provision: Provision | None,
    members: frozenset[str],
    compute: frozenset[str] = frozenset(),
) -> None:
    """`members`: those of ModifyReplicationConfig (ModifyReplicationTask) whose value changes;
    `compute`: those of its ComputeConfig that do. Raises WrongStateError, naming what may not
    change now.
    """
    if not members and not compute:
        return
    if status not in AT_REST:
        raise WrongStateError(f"the replication is {status}: stop it before it is modified")
    if status is Status.CREATED or (status is Status.FAILED and provision is None):
        return
    fixed = sorted((members - ALWAYS - {"ComputeConfig"}) | (compute - COMPUTE_ALWAYS))
    if fixed:
        raise WrongStateError(
            f"{', '.join(fixed)} cannot change once the replication was provisioned;"
            " create another replication"
        )
