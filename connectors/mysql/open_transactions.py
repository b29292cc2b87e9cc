"""Transactions that have written and are still open: the log tells of them when they commit.

See: MySQL manual, "The INFORMATION_SCHEMA INNODB_TRX Table" (the privilege PROCESS is needed);
MariaDB Knowledge Base, "Information Schema INNODB_TRX Table".
"""

from typing import Final

from connectors.mysql.server import Ask
from engine.errors import SourceConnectionError, SourceError


class OpenTransactions:
    """Asks for the oldest one, while that is allowed."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._allowed = True

    async def oldest(self) -> float | None:
        """Seconds since the oldest one on the server began; None when none may be seen. Raises
        SourceConnectionError."""
        if not self._allowed:
            return None
        try:
            ((age,),) = await self._ask("looking for open transactions", _OLDEST)
        except SourceConnectionError:
            raise
        except SourceError:
            self._allowed = False  # without PROCESS; asking again changes nothing
            return None
        return None if age is None else max(0.0, float(age))


_OLDEST: Final = (
    # Its times are those of the server's own zone, whatever the session's is.
    "SELECT TIMESTAMPDIFF(SECOND, MIN(trx_started), CONVERT_TZ(NOW(), @@time_zone, 'SYSTEM'))"
    " FROM information_schema.innodb_trx WHERE trx_rows_modified > 0"
)
