"""Transactions that have written and are still open: the log tells of them when they commit.

See: PostgreSQL manual, `pg_stat_activity` (`backend_xid` is set once a transaction has written;
`xact_start` of another role's session is shown to members of `pg_read_all_stats`),
`pg_prepared_xacts`.
"""

from collections.abc import Callable
from typing import Final

from connectors._sql.quoting import identifier
from connectors.postgres.sql import Sql
from engine.errors import SourceError


class OpenTransactions:
    """Asks for the oldest one, while that is allowed. `notice` is told once when it is not."""

    def __init__(self, sql: Sql, notice: Callable[[str], None]) -> None:
        self._sql = sql
        self._notice = notice
        self._allowed = True

    async def oldest(self) -> float | None:
        """Seconds since the oldest one in this database began, or was prepared; None when none may
        be seen. Raises SourceConnectionError, SourceError."""
        if not self._allowed:
            return None
        try:
            found = await self._sql.value("looking for open transactions", _OLDEST)
        except SourceError as error:
            if error.context.get("sqlstate") != _DENIED:
                raise
            await self._refused(error)
            return None
        return None if found is None else max(0.0, float(found))

    async def _refused(self, error: SourceError) -> None:
        role = await self._sql.value("asking who we are", "SELECT current_user")
        self._allowed = False  # asking again would fill the server's log
        self._notice(
            f"{error.message}: the lag leaves out transactions of the source that are still open;"
            f" to have them in: GRANT SELECT ON {', '.join(_VIEWS)} TO {identifier(role)}, then"
            " restart the replication"
        )


_DENIED: Final = "42501"

_VIEWS: Final = "pg_catalog.pg_stat_activity", "pg_catalog.pg_prepared_xacts"

_OLDEST: Final = """
SELECT extract(epoch FROM pg_catalog.clock_timestamp() - min(began))::float8 FROM (
  SELECT xact_start AS began FROM pg_catalog.pg_stat_activity
  WHERE datname = pg_catalog.current_database() AND backend_xid IS NOT NULL
  UNION ALL
  SELECT prepared FROM pg_catalog.pg_prepared_xacts
  WHERE database = pg_catalog.current_database()
) open
"""
