"""Waiting for transactions of the source: for those that are older, for one to become visible."""

import asyncio
from typing import Final

from connectors.postgres.sql import Sql
from engine.errors import SourceConnectionError

VISIBLE_POLL_SECONDS: Final = 0.005
"""Between two looks whether a transaction that was sent can be seen: mostly a matter of µs."""

VISIBLE_SECONDS_MAX: Final = 60.0

OLDER_POLL_SECONDS: Final = 0.2
"""Between two looks whether the transactions before a change have ended."""


async def older_ended(sql: Sql) -> None:
    """Wait until no transaction runs that began before now. As long as it takes."""
    newest = int(await sql.value("reading the snapshot", _NEWEST_XID))
    while await _oldest(sql) < newest:  # noqa: ASYNC110 - the server has no event
        await asyncio.sleep(OLDER_POLL_SECONDS)


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


_NEWEST_XID: Final = "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text"
_OLDEST_XID: Final = "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text"
_VISIBLE: Final = (
    "SELECT pg_catalog.pg_visible_in_snapshot($1::text::xid8, pg_catalog.pg_current_snapshot())"
)
