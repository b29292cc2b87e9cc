"""Transactions that have written and are still open: the log tells of them when they commit.

See: MySQL manual, "The INFORMATION_SCHEMA INNODB_TRX Table" (the privilege PROCESS is needed);
MariaDB Knowledge Base, "Information Schema INNODB_TRX Table".
"""

from collections.abc import Callable
from typing import Final

from connectors.mysql.preflight_grants import denied, grantee
from connectors.mysql.server import Ask
from engine.errors import SourceError


class OpenTransactions:
    """Asks for the oldest one, while that is allowed. `notice` is told once when it is not."""

    def __init__(self, ask: Ask, notice: Callable[[str], None]) -> None:
        self._ask = ask
        self._notice = notice
        self._allowed = True

    async def oldest(self) -> float | None:
        """Seconds since the oldest one on the server began; None when none may be seen. Raises
        SourceConnectionError, SourceError."""
        if not self._allowed:
            return None
        try:
            ((age,),) = await self._ask("looking for open transactions", _OLDEST)
        except SourceError as error:
            if not denied(error):
                raise
            await self._refused()
            return None
        return None if age is None else max(0.0, float(age))

    async def _refused(self) -> None:
        account = await grantee(self._ask)
        self._allowed = False
        self._notice(
            "open transactions of the source may not be seen, and the lag leaves them out; to have"
            f" them in: GRANT PROCESS ON *.* TO {account}, then restart the replication"
        )


_OLDEST: Final = (
    # Its times are those of the server's own zone, whatever the session's is.
    "SELECT TIMESTAMPDIFF(SECOND, MIN(trx_started), CONVERT_TZ(NOW(), @@time_zone, 'SYSTEM'))"
    " FROM information_schema.innodb_trx WHERE trx_rows_modified > 0"
)
