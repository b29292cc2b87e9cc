"""Which filters each operation knows, and what a request's list of them asks for. (pure)

Names: AWS's model and user guide at each operation; those of `DescribeReplicationConfigs` and
`DescribeReplicationTableStatistics` as Terraform and recorded answers of AWS use them. Names are
ANDed, the values of one are ORed. Values of identifiers are held to their rules, as AWS does.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.control.api.faults import InvalidParameterValueException
from engine.control.api.identifiers import INSTANCE_CHARACTERS_MAX, identifier

VALUES_MAX: Final = 1_000
"""Values of all filters of one request; each becomes a parameter of a query in the store."""

_ARN_OR_ID = "{0}-arn {0}-id"
_TABLE = "schema-name table-name table-state"

NAMES: Final[Mapping[str, frozenset[str]]] = {
    operation: frozenset(names.split())
    for operation, names in {
        "DescribeCertificates": "certificate-arn certificate-id",
        "DescribeConnections": "endpoint-arn replication-instance-arn",
        "DescribeEndpointTypes": "engine-name endpoint-type",
        "DescribeEndpoints": "endpoint-arn endpoint-type endpoint-id engine-name",
        "DescribeEventCategories": "",
        "DescribeEventSubscriptions": "event-subscription-arn event-subscription-id",
        "DescribeEvents": "replication-instance-id",
        "DescribePendingMaintenanceActions": "replication-instance-arn replication-instance-id",
        "DescribeRecommendationLimitations": "database-id engine-name",
        "DescribeRecommendations": "database-id engine-name",
        "DescribeReplicationConfigs": _ARN_OR_ID.format("replication-config"),
        "DescribeReplicationInstances": "replication-instance-arn replication-instance-id"
        " replication-instance-class engine-version",
        "DescribeReplicationSubnetGroups": "replication-subnet-group-id",
        "DescribeReplicationTableStatistics": _TABLE,
        "DescribeReplicationTaskAssessmentRuns": "replication-task-assessment-run-arn"
        " replication-task-arn replication-instance-arn status",
        "DescribeReplicationTaskIndividualAssessments": "replication-task-assessment-run-arn"
        " replication-task-arn status",
        "DescribeReplicationTasks": "replication-task-arn replication-task-id migration-type"
        " endpoint-arn replication-instance-arn",
        "DescribeReplications": _ARN_OR_ID.format("replication-config"),
        "DescribeTableStatistics": _TABLE,
    }.items()
}
"""The filters of each served operation that takes some."""

IDENTIFIERS: Final[Mapping[str, int]] = {
    "endpoint-id": 255,
    "replication-config-id": 255,
    "replication-task-id": 255,
    "replication-instance-id": INSTANCE_CHARACTERS_MAX,
}
"""Filters whose values are identifiers, with the longest in characters."""


def filters(operation: str, request: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What a request filters by: values by name, each once, in the order given."""
    found: dict[str, tuple[str, ...]] = {}
    for given in request.get("Filters", ()):
        name, values = given["Name"], given["Values"]
        if name not in NAMES[operation]:
            known = ", ".join(sorted(NAMES[operation])) or "none"
            raise InvalidParameterValueException(
                f"Unrecognized filter name: {_shown(name)}. {operation} has: {known}."
            )
        if not values:
            raise InvalidParameterValueException(f"The filter {name} must have a value.")
        _identifiers(name, values)
        found[name] = tuple(dict.fromkeys((*found.get(name, ()), *values)))
    if sum(map(len, found.values())) > VALUES_MAX:
        raise InvalidParameterValueException(f"Filters have more than {VALUES_MAX} values.")
    return found


def _identifiers(name: str, values: Sequence[str]) -> None:
    longest = IDENTIFIERS.get(name)
    if longest is not None:
        for value in values:
            identifier(value, f"Filter: {name}", longest=longest)


def _shown(name: str) -> str:
    """A name that somebody made up, as far as an answer and a log may repeat it."""
    return name if name.isascii() and name.isprintable() and len(name) <= 64 else "..."
