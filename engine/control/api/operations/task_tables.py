"""Tables of classic tasks: statistics and reload."""

from collections.abc import Mapping
from typing import Final

from engine.control.api.call import Call, operation
from engine.control.api.keys import Access
from engine.control.api.table_acts import reload, statistics
from engine.control.resources.replication import Face

PARTLY: Final[Mapping[str, str]] = {
    "ReloadOption": "`validate-only` is refused, rows are compared by `penstock compare`",
}


@operation("DescribeTableStatistics", access=Access.READ)
async def describe_table_statistics(call: Call) -> Mapping[str, object]:
    """A page of a task's tables; none before its first start."""
    tables, marker = await statistics(call, Face.TASK)
    return {
        "ReplicationTaskArn": call.request["ReplicationTaskArn"],
        "TableStatistics": tables,
        "Marker": marker,
    }


@operation("ReloadTables", access=Access.ADMIN)
async def reload_tables(call: Call) -> Mapping[str, object]:
    """Answered as soon as the request is noted."""
    await reload(call, Face.TASK)
    return {"ReplicationTaskArn": call.request["ReplicationTaskArn"]}
