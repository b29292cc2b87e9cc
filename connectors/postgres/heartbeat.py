"""The heartbeat on the source: a logical message in the log now and then, never a table.

It is a transaction of its own that changes no row. Nobody has to read it; the stream passes it by.
"""

import asyncio
from typing import Final

from connectors.postgres.sql import Sql

PREFIX: Final = "penstock-heartbeat"
"""Of the message, which is empty."""

EMIT_FUNCTION: Final = (
    "(SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.proname = 'pg_logical_emit_message'"
    " AND p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace"
    " AND p.proargtypes[2] = 'text'::pg_catalog.regtype)"
)
"""The function's OID, as SQL: its arguments differ by version."""


class Heartbeat:
    """Writes one every `interval` seconds, if it is asked often enough; 0 writes none."""

    def __init__(self, sql: Sql, interval: float) -> None:
        self._sql = sql
        self._interval = interval
        self._next = 0.0

    async def beat(self) -> None:
        """Write a heartbeat if the last one is `interval` seconds old.

        Raises:
            SourceConnectionError.
            SourceError: the role may not write logical messages.
        """
        now = asyncio.get_running_loop().time()
        if not self._interval or now < self._next:
            return
        self._next = now + self._interval
        await self._sql.fetch("writing a heartbeat to the source", _EMIT)


_EMIT: Final = f"SELECT pg_catalog.pg_logical_emit_message(true, '{PREFIX}', ''::text)"
