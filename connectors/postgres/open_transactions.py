"""Transactions that have written and are still open: the log tells of them when they commit.

See: PostgreSQL manual, `pg_stat_activity` (`backend_xid` is set once a transaction has written;
`xact_start` of another role's session is shown to members of `pg_read_all_stats`),
`pg_prepared_xacts`.
"""

from typing import Final

from connectors.postgres.sql import Sql


async def oldest_open(sql: Sql) -> float | None:
    """Seconds since the oldest one in this database began, or was prepared; None when none may be
    seen. Raises SourceConnectionError, SourceError."""
    found = await sql.value("looking for open transactions", _OLDEST)
    return None if found is None else max(0.0, float(found))


_OLDEST: Final = """
SELECT extract(epoch FROM pg_catalog.clock_timestamp() - min(began))::float8 FROM (
  SELECT xact_start AS began FROM pg_catalog.pg_stat_activity
  WHERE datname = pg_catalog.current_database() AND backend_xid IS NOT NULL
  UNION ALL
  SELECT prepared FROM pg_catalog.pg_prepared_xacts
  WHERE database = pg_catalog.current_database()
) open
"""
