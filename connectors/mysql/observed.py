"""What a MySQL or MariaDB server does for sessions of ours, and which tables cost it a scan a row.

See: MySQL manual, "SHOW PROCESSLIST Statement" and "General Thread States". A wait for a row's lock
is not told there: such a session counts as one that the server works for.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from connectors.mysql.quoting import literal
from engine.model.activity import Activity
from engine.model.relation import Relation, TableName

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession

PROCESSES: Final = b"SHOW PROCESSLIST"
_ID, _COMMAND, _STATE = 0, 4, 6
"""Places of its columns."""

_FROM_US: Final = (
    "Reading from net",
    "Receiving from client",
    "Sending to client",
    "Writing to net",
)


async def activity(session: "MysqlSession", sessions: Sequence[tuple[int, str]]) -> Activity:
    """See `abilities.ObservedTarget.activity`."""
    numbers = {b"%d" % number for number, _ in sessions}
    (found,) = await session.run(PROCESSES)
    rows = [row for row in found.rows if row[_ID] in numbers and row[_COMMAND] != b"Sleep"]
    kinds = Counter(_kind((row[_STATE] or b"").decode(errors="replace")) for row in rows)
    return Activity(
        working=sum(kinds.values()) - kinds["us"],
        locked=kinds["locked"],
        sleeping=kinds["sleeping"],
    )


def _kind(state: str) -> str:
    if state.startswith(_FROM_US):
        return "us"
    if state.startswith("Waiting for") and "lock" in state:
        return "locked"
    return "sleeping" if state == "User sleep" else "working"


async def unindexed(session: "MysqlSession", relations: Sequence[Relation]) -> Sequence[TableName]:
    """See `abilities.ObservedTarget.unindexed`."""
    return sorted([r.table for r in relations if not await _indexed(session, r)])


async def _indexed(session: "MysqlSession", relation: Relation) -> bool:
    table = literal(relation.schema), literal(relation.name)
    place = "TABLE_SCHEMA = {} AND TABLE_NAME = {}".format(*table)
    key = ", ".join(literal(relation.columns[index].name) for index in relation.key)
    leads = f" AND COLUMN_NAME IN ({key})" if key else ""
    (found,) = await session.run(
        "SELECT NOT EXISTS (SELECT 1 FROM information_schema.TABLES"
        f" WHERE {place}) OR EXISTS (SELECT 1 FROM information_schema.STATISTICS"
        f" WHERE {place} AND SEQ_IN_INDEX = 1{leads})".encode()
    )
    return found.rows[0][0] == b"1"
