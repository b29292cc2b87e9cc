"""Why operations of AWS's model are not served, as data. (pure)

A part of a name stands for every operation whose name holds it; the longest one counts.
"""

from collections.abc import Mapping
from typing import Final

_CONVERSION: Final = (
    "schema conversion of AWS's console; the tables that a replication needs are made by it, from"
    " the source's catalog"
)
_HOMOGENEOUS: Final = (
    "homogeneous data migrations run the databases' own tools on AWS's machines; a replication does"
    " the same between databases of one kind"
)
_ADVISOR: Final = "Fleet Advisor was retired by AWS in May 2026"
_ASSESSMENT: Final = (
    "premigration assessments are written to AWS's object storage; `penstock check` looks at the"
    " same things, and every start does"
)

REASONS: Final[Mapping[str, str]] = {
    "ConversionConfiguration": _CONVERSION,
    "DataProvider": _CONVERSION,
    "ExtensionPackAssociation": _CONVERSION,
    "InstanceProfile": _CONVERSION,
    "MetadataModel": _CONVERSION,
    "MigrationProject": _CONVERSION,
    "TargetSelectionRules": _CONVERSION,
    "DataMigration": _HOMOGENEOUS,
    "FleetAdvisor": _ADVISOR,
    "Recommendation": _ADVISOR,
    "IndividualAssessments": _ASSESSMENT,
    "ReplicationTaskAssessment": _ASSESSMENT,
}


def why_unserved(operation: str) -> str:
    """Why an operation is not served; empty for one that there is no reason not to serve."""
    found = [(len(part), reason) for part, reason in REASONS.items() if part in operation]
    return max(found, default=(0, ""))[1]
