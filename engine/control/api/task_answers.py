"""A classic task as AWS shows it: a replication in other words. (pure)"""

from collections.abc import Mapping
from typing import Final

from engine.control.api.arn import Home, Kind
from engine.control.api.replication_answers import settings_as_shown, stats
from engine.control.lifecycle import STARTING, Status
from engine.control.resources.replication import Replication
from engine.control.translate.positions import recovery_checkpoint

STATUSES: Final[Mapping[Status, str]] = {
    Status.CREATED: "ready",
    **dict.fromkeys(STARTING, "starting"),
    Status.RUNNING: "running",
    Status.STOPPING: "stopping",
    Status.STOPPED: "stopped",
    Status.FAILED: "failed",
    Status.DELETING: "deleting",
}
"""`ReplicationTask.Status` on the wire: AWS's waiters know these words."""

CREATING: Final = "creating"
"""What a creation answers, as on AWS; a task is `ready` at once."""


def task_shown(
    home: Home, id: str, replication: Replication, now: float, *, settings: bool = True
) -> dict[str, object]:
    """`ReplicationTask`. `now`: the wall clock's time; `settings`: with them."""
    config, life = replication.config, replication.life
    wish, times = life.wish, life.times
    return {
        "ReplicationTaskIdentifier": config.name,
        "SourceEndpointArn": home.arn(Kind.ENDPOINT, config.source),
        "TargetEndpointArn": home.arn(Kind.ENDPOINT, config.target),
        "ReplicationInstanceArn": home.arn(Kind.INSTANCE, config.instance),
        "MigrationType": config.type,
        "TableMappings": config.mappings,
        "ReplicationTaskSettings": settings_as_shown(id, replication) if settings else None,
        "Status": STATUSES[life.status],
        "LastFailureMessage": " ".join(life.failures) or None,
        "StopReason": str(life.stop_reason) if life.stop_reason else None,
        "ReplicationTaskCreationDate": config.created,
        "ReplicationTaskStartDate": times.start,
        "CdcStartPosition": (wish.start_position or None) if wish else None,
        "CdcStopPosition": (wish.stop_position or None) if wish else None,
        "RecoveryCheckpoint": recovery_checkpoint(life.checkpoint) or None,
        "ReplicationTaskArn": home.arn(Kind.TASK, id),
        "ReplicationTaskStats": stats(life, now) if times.start is not None else None,
        "TaskData": config.supplemental or None,
    }
