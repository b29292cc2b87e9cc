"""What a MySQL or MariaDB server does for sessions of ours, and which tables cost it a scan a row.

See: MySQL manual, "The INFORMATION_SCHEMA PROCESSLIST Table" and "General Thread States". A wait
for a row's lock is not told there: such a session counts as one that the server works for. `System
lock` is no wait: the server says so of a statement that has its locks, until it says more.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from connectors.mysql.quoting import literal
from connectors.mysql.session import lock_name
from engine.abilities import Working
from engine.model.activity import Activity
from engine.model.relation import Relation, TableName

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession

Identity = tuple[int, str]
"""See `TargetSession.identity`."""

_FROM_US: Final = (
    "Reading from net",
    "Receiving from client",
    "Sending to client",
    "Writing to net",
)


async def activity(session: "MysqlSession", sessions: Sequence[Identity]) -> Activity:
    """See `abilities.ObservedTarget.activity`."""
    if not sessions:
        return Activity(working=0)
    (found,) = await session.run(_at_work(sessions))
    kinds = Counter(_kind(_state(row)) for row in found.rows)
    return Activity(
        working=sum(kinds.values()) - kinds["us"],
        locked=kinds["locked"],
        sleeping=kinds["sleeping"],
    )


async def inspect(
    session: "MysqlSession", sessions: Sequence[Identity]
) -> Mapping[Identity, Working]:
    """See `abilities.InspectedTarget`. The server names the state of a session and not who has the
    lock that it waits for. One round trip, whatever the number of sessions."""
    if not sessions:
        return {}
    processes, holders = await session.run(_at_work(sessions), _holders(sessions))
    states = {row[0]: _state(row) for row in processes.rows}
    return {
        identity: Working(states[number] if _kind(states[number]) == "locked" else "")
        for identity, number in zip(sessions, holders.rows[0], strict=True)
        if number == b"%d" % identity[0] and number in states
    }


async def alive(session: "MysqlSession", sessions: Sequence[Identity]) -> Sequence[Identity]:
    """Those that are still there: a number may be another session's by now, a token is not."""
    if not sessions:
        return ()
    (holders,) = await session.run(_holders(sessions))
    numbered = zip(sessions, holders.rows[0], strict=True)
    return [identity for identity, number in numbered if number == b"%d" % identity[0]]


def _at_work(sessions: Sequence[Identity]) -> bytes:
    """Asks for number and state of those that do not wait for a statement."""
    numbers = ", ".join([str(number) for number, _ in sessions])
    return (
        "SELECT ID, STATE FROM information_schema.PROCESSLIST"
        f" WHERE ID IN ({numbers}) AND COMMAND <> 'Sleep'"
    ).encode()


def _holders(sessions: Sequence[Identity]) -> bytes:
    """Asks, in the order of the sessions, which has the lock of each one's token."""
    asked = ", ".join([f"IS_USED_LOCK({literal(lock_name(token))})" for _, token in sessions])
    return f"SELECT {asked}".encode()


def _state(row: Sequence[bytes | None]) -> str:
    return (row[1] or b"").decode(errors="replace")


def _kind(state: str) -> str:
    if state.startswith(_FROM_US):
        return "us"
    if state.startswith("Waiting for") and "lock" in state:
        return "locked"
    return "sleeping" if state == "User sleep" else "working"


async def unindexed(session: "MysqlSession", relations: Sequence[Relation]) -> Sequence[TableName]:
    """See `abilities.ObservedTarget.unindexed`. One round trip, whatever the number of tables. Each
    is asked for by its name: for a list of them MariaDB opens every table it has."""
    if not relations:
        return ()
    found = await session.run(*map(_lacks_index, relations))
    answered = zip(relations, found, strict=True)
    return sorted([relation.table for relation, result in answered if result.rows])


def _lacks_index(relation: Relation) -> bytes:
    """Asks for a row where the table is there and no index leads to its key."""
    table = literal(relation.schema), literal(relation.name)
    place = "TABLE_SCHEMA = {} AND TABLE_NAME = {}".format(*table)
    key = ", ".join(literal(relation.columns[index].name) for index in relation.key)
    leads = f" AND COLUMN_NAME IN ({key})" if key else ""
    return (
        f"SELECT 1 FROM information_schema.TABLES WHERE {place} AND NOT EXISTS"
        " (SELECT 1 FROM information_schema.STATISTICS"
        f" WHERE {place} AND SEQ_IN_INDEX = 1{leads})"
    ).encode()
