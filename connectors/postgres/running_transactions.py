"""Waiting for transactions of the source: for those that are older, for one to become visible."""

import asyncio
from collections.abc import Sequence
from typing import Final

from connectors.postgres.sql import Sql
from engine.contracts import Waiting
from engine.errors import SourceBusyError, SourceConnectionError

VISIBLE_POLL_SECONDS: Final = 0.005
"""Between two looks whether a transaction that was sent can be seen: mostly a matter of µs."""

VISIBLE_SECONDS_MAX: Final = 60.0

OLDER_POLL_SECONDS: Final = 0.2
"""Between two looks whether the transactions before a change have ended."""


OLDER_TOLD_SECONDS: Final = 10.0
"""Between two times that we say for whom we wait."""

NAMED_MAX: Final = 5
"""Most transactions that are named; the oldest first."""


async def older_ended(sql: Sql, seconds_max: float = 0.0, waiting: Waiting | None = None) -> None:
    """Wait until no transaction runs that began before now. `waiting` is told now and then how long
    that has taken and for whom. No limit when `seconds_max` is 0.

    Raises:
        SourceBusyError: one of them did not end in time.
        SourceConnectionError, SourceError.
    """
    clock = asyncio.get_running_loop().time
    newest = await _newest(sql)
    began = told = clock()
    while await _oldest(sql) < newest:
        await asyncio.sleep(OLDER_POLL_SECONDS)
        now = clock()
        if seconds_max and now - began >= seconds_max:
            raise _too_long(seconds_max, await _older(sql, newest))
        if waiting is not None and now - told >= OLDER_TOLD_SECONDS:
            told = now
            waiting(now - began, await _older(sql, newest))


async def _newest(sql: Sql) -> int:
    """An id past every transaction that runs now. The end of a snapshot is not: it is past the
    newest that has *ended*, and those that run without another having ended since are beyond it.
    A transaction holds the lock on its own id until others can see what it did."""
    (row,) = await sql.fetch("reading running transactions", _RUNNING)
    limit = int(row[0])
    return max([limit, *(widened(xid, limit) + 1 for xid in row[1])])


def widened(xid: int, near: int) -> int:
    """The 64-bit id with these low 32 bits that is nearest to another."""
    return near + (xid - near + (1 << 31)) % (1 << 32) - (1 << 31)


def _too_long(seconds: float, who: Sequence[str]) -> SourceBusyError:
    return SourceBusyError(
        f"a table can only be read once older transactions of the source have ended, and after"
        f" {seconds:.0f} s there are still: {', '.join(who)}",
        hint="end them there, or raise [load] snapshot_wait",
    )


async def _older(sql: Sql, newest: int) -> list[str]:
    """Who runs a transaction older than this one; never what it does."""
    rows = await sql.fetch("looking for older transactions", _OLDER, str(newest), NAMED_MAX)
    found = [
        f"pid {row[0]} ({row[1]}, for {row[2]:.0f} s)" if row[0] else f"a prepared one ({row[1]})"
        for row in rows
    ]
    return found or ["one that this role is not shown (see pg_stat_activity as a superuser)"]


async def _oldest(sql: Sql) -> int:
    return int(await sql.value("reading the snapshot", _OLDEST_XID))


async def become_visible(sql: Sql, xid: int) -> None:
    """Wait until the catalog shows what a transaction did: it is sent as soon as it is in the
    log, and seen by others when its COMMIT returns, which may wait for a standby.

    Raises:
        SourceConnectionError: also when that takes longer than VISIBLE_SECONDS_MAX.
        SourceError.
    """
    deadline = asyncio.get_running_loop().time() + VISIBLE_SECONDS_MAX
    while not await sql.value("looking for a transaction", _VISIBLE, str(xid)):
        if asyncio.get_running_loop().time() > deadline:
            raise SourceConnectionError(
                f"transaction {xid} is in the log and has not returned from its COMMIT for"
                f" {VISIBLE_SECONDS_MAX:.0f} s",
                hint="a synchronous standby of the source may be away",
            )
        await asyncio.sleep(VISIBLE_POLL_SECONDS)


_RUNNING: Final = """
SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text,
  ARRAY(SELECT transactionid::text::int8 FROM pg_catalog.pg_locks
    WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted)
"""
_OLDEST_XID: Final = "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text"
_OLDER: Final = """
SELECT pid, state, seconds::float8 FROM (
  SELECT a.pid, coalesce(a.state, 'background') AS state, backend_xid AS xid,
    extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start) AS seconds
  FROM pg_catalog.pg_stat_activity a WHERE a.backend_xid IS NOT NULL
  UNION ALL
  SELECT NULL, 'since ' || p.prepared::text, p.transaction,
    extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)
  FROM pg_catalog.pg_prepared_xacts p
) running
WHERE pg_catalog.age(xid) > pg_catalog.age($1::text::xid8::xid)
ORDER BY seconds DESC LIMIT $2
"""
_VISIBLE: Final = (
    "SELECT pg_catalog.pg_visible_in_snapshot($1::text::xid8, pg_catalog.pg_current_snapshot())"
)
