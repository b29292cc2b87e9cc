"""`TableStatistics`: what is known of a replication's tables, in AWS's words. (pure)

Source: AWS DMS user guide, "Monitoring AWS DMS tasks" (table states). A count of rows that were
refused for a target's conditions is DynamoDB's alone, and always 0 here.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from engine.control.resources.table import ERRORED, LOADED, LOADING, TableFacts

BEFORE_LOAD: Final = "Before load"
FULL_LOAD: Final = "Full load"
COMPLETED: Final = "Table completed"
ERROR: Final = "Table error"
RELOADED: Final = "Table is being reloaded"

STATES: Final = (
    "Table does not exist",
    BEFORE_LOAD,
    FULL_LOAD,
    COMPLETED,
    "Table cancelled",
    ERROR,
    RELOADED,
)
"""Those of AWS's `TableState`."""

NOT_ENABLED: Final = "Not enabled"
"""Of `ValidationState` and `ResyncState`: both are not done while rows are carried."""


def state(facts: TableFacts) -> str:
    """`TableState`."""
    if facts.state in LOADED:
        return COMPLETED
    if facts.state in ERRORED:
        return ERROR
    if facts.reloaded:
        return RELOADED
    return FULL_LOAD if facts.state in LOADING else BEFORE_LOAD


def matching(
    tables: Iterable[TableFacts], filters: Mapping[str, Collection[str]]
) -> Iterable[TableFacts]:
    """Those that every filter lets through: `schema-name`, `table-name`, `table-state`."""
    states = {text.lower() for text in filters.get("table-state", ())}
    for facts in tables:
        if "schema-name" in filters and facts.schema not in filters["schema-name"]:
            continue
        if "table-name" in filters and facts.table not in filters["table-name"]:
            continue
        if not states or state(facts).lower() in states:
            yield facts


def table_shown(facts: TableFacts) -> dict[str, object]:
    """One table. What was captured is what was applied: both are counted where rows are durable."""
    return {
        "SchemaName": facts.schema,
        "TableName": facts.table,
        "Inserts": facts.inserts,
        "Deletes": facts.deletes,
        "Updates": facts.updates,
        "Ddls": facts.truncations,
        "AppliedInserts": facts.inserts,
        "AppliedDeletes": facts.deletes,
        "AppliedUpdates": facts.updates,
        "AppliedDdls": facts.truncations,
        "FullLoadRows": facts.loaded,
        "FullLoadCondtnlChkFailedRows": 0,
        "FullLoadErrorRows": 0,
        "FullLoadStartTime": facts.load_start,
        "FullLoadEndTime": facts.load_end,
        "FullLoadReloaded": facts.reloaded,
        "LastUpdateTime": facts.changed,
        "TableState": state(facts),
        "ValidationPendingRecords": 0,
        "ValidationFailedRecords": 0,
        "ValidationSuspendedRecords": 0,
        "ValidationState": NOT_ENABLED,
        "ValidationStateDetails": _details(facts) or None,
    }


def _details(facts: TableFacts) -> str:
    """What there is no member for: why a table stands still, and how many of its rows were set
    aside."""
    rows = f"{facts.rejected:,} rows were not applied, and are kept in the quarantine table"
    return "; ".join(text for text in (facts.error, rows if facts.rejected else "") if text)
