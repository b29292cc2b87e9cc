"""Operations of AWS's on replications: serverless ones, and classic tasks, have names of their own
for the same thing. (pure)"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.control.happenings import SourceType


@dataclass(frozen=True, kw_only=True)
class Face:
    """Names of operations and their members. `arn` is the member that says which one; `tables`
    that of `statistics` which lists them; `source_type` is what events call it."""

    arn: str
    start: str
    start_type: str
    stop: str
    delete: str
    statistics: str
    tables: str
    reload: str
    source_type: SourceType


SERVERLESS: Final = Face(
    arn="ReplicationConfigArn",
    start="StartReplication",
    start_type="StartReplicationType",
    stop="StopReplication",
    delete="DeleteReplicationConfig",
    statistics="DescribeReplicationTableStatistics",
    tables="ReplicationTableStatistics",
    reload="ReloadReplicationTables",
    source_type=SourceType.REPLICATION,
)

CLASSIC: Final = Face(
    arn="ReplicationTaskArn",
    start="StartReplicationTask",
    start_type="StartReplicationTaskType",
    stop="StopReplicationTask",
    delete="DeleteReplicationTask",
    statistics="DescribeTableStatistics",
    tables="TableStatistics",
    reload="ReloadTables",
    source_type=SourceType.TASK,
)


def is_task(found: Mapping[str, Any]) -> bool:
    """Whether what the daemon tells of is a classic task."""
    return ":task:" in str(found["arn"])


def face(found: Mapping[str, Any]) -> Face:
    """By which operations it is driven."""
    return CLASSIC if is_task(found) else SERVERLESS


def which(found: Mapping[str, Any]) -> dict[str, str]:
    """The member that names it in a request."""
    return {face(found).arn: str(found["arn"])}
