"""The source's own SQL session: catalog questions, one at a time.

It is opened when first needed and again after it broke; nothing of it has to survive.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from connectors.mysql.connecting import Link, close, connect
from connectors.mysql.errors import DRIVER_ERRORS, source_error
from connectors.mysql.flavour import Flavour
from connectors.mysql.server import Ask
from engine.config.endpoint_settings import EXECUTE_TIMEOUT_SECONDS
from engine.config.url import ConnectionUrl
from engine.errors import SourceConnectionError

NOBODY_ANSWERS: Final = "see that the server runs, and mend host and port in the url if need be"

PINNED: Final = {
    "time_zone": "'+00:00'",
    "sql_mode": "''",
    "autocommit": "1",
    # Nothing that ends slow or idle sessions may apply: a load runs for hours.
    "wait_timeout": "2592000",
    "net_read_timeout": "3600",
    "net_write_timeout": "3600",
    "group_concat_max_len": "1048576",
    # A reader that queues behind DDL holds nothing up, but it must not wait for ever.
    "lock_wait_timeout": "30",
}
"""Session settings that change a text, or would end a long read. Some hold on one flavour alone."""


MARIADB_PINNED: Final = {"max_statement_time": "0"}
MYSQL_PINNED: Final = {"max_execution_time": "0", "information_schema_stats_expiry": "0"}


async def prepare(link: Link) -> None:
    """Pin the settings above. One round trip. Raises the driver's errors."""
    flavour = Flavour.of(link.server_version or "")
    settings = PINNED | (MARIADB_PINNED if flavour.mariadb else MYSQL_PINNED)
    await link.run("SET " + ", ".join(f"{name} = {value}" for name, value in settings.items()))


def place(url: ConnectionUrl) -> str:
    """Where a URL leads, for messages."""
    return f"{url.host}:{url.port}"


class Sql:
    """A session that takes one question at a time and connects again by itself.

    `command_seconds`: a question that takes longer has met a hung server or a lock; it is given up.
    `side`: the table of the replication file, for messages."""

    def __init__(
        self,
        url: ConnectionUrl,
        program: str,
        command_seconds: float = EXECUTE_TIMEOUT_SECONDS,
        side: str = "source",
    ) -> None:
        self._url = url
        self._program = program
        self._command_seconds = command_seconds
        self._side = side
        self._lock = asyncio.Lock()
        self._link: Link | None = None
        self._closed = False

    def reopen(self) -> None:
        """Allow connecting again after `close`."""
        self._closed = False

    async def ask(self, doing: str, query: str) -> Sequence[Sequence[str | None]]:
        """Rows of a query that may be asked twice, values as texts. `doing` words the error.

        A session that ended unnoticed (server restart, idle limit) is replaced once, silently.

        Raises:
            SourceConnectionError, SourceError.
        """
        async with self._lock:
            old = self._link
            try:
                try:
                    return await self._ask(query)
                except DRIVER_ERRORS:
                    if old is None or self._link is not old or not old.closed:
                        raise
                    return await self._ask(query)
            except TimeoutError as error:
                seconds = f"{self._command_seconds:g} s"
                raise SourceConnectionError(
                    f"{doing}: the {self._side} has not answered within {seconds}",
                    hint="look there for what it waits for, or raise ExecuteTimeout in"
                    f" [{self._side}.mysql]",
                ) from error
            except DRIVER_ERRORS as error:
                raise source_error(error, doing) from error

    async def _ask(self, query: str) -> Sequence[Sequence[str | None]]:
        link = await self._opened()
        try:
            async with asyncio.timeout(self._command_seconds):
                rows = await link.run(query)
        except (OSError, RuntimeError, asyncio.CancelledError):
            link.close()  # the rest of the answer would be taken for that of the next question
            raise
        return [[None if v is None else v.decode("utf-8", "replace") for v in row] for row in rows]

    async def close(self) -> None:
        """Close the session; nothing is asked any more. Idempotent."""
        self._closed = True
        link, self._link = self._link, None
        if link is not None:
            await close(link)

    async def _opened(self) -> Link:
        if self._closed:
            raise SourceConnectionError(f"the {self._side} was closed")
        if self._link is None or self._link.closed:
            self._link = await open_session(self._url, self._program, self._side)
        return self._link


async def open_session(url: ConnectionUrl, program: str, side: str = "source") -> Link:
    """A session with its settings pinned. Raises SourceConnectionError, SourceError."""
    try:
        link = await connect(url, program)
        try:
            await prepare(link)
        except BaseException:
            link.close()
            raise
    except DRIVER_ERRORS as error:
        refused = source_error(error, f"connecting to the {side} at {place(url)}")
        refused.hint = refused.hint or NOBODY_ANSWERS
        raise refused from error
    return link


def asker(link: Link) -> Ask:
    """Questions over one session. They raise the driver's errors."""

    async def ask(_doing: str, query: str) -> Sequence[Sequence[str | None]]:
        rows = await link.run(query)
        return [[None if v is None else v.decode("utf-8", "replace") for v in row] for row in rows]

    return ask
