"""Snapshots of MySQL under a lock of the one table that is read.

For servers without GTIDs that do not grant the lock of everything: no set tells what is committed
there. Who has changed a table holds it until the change is visible, so while it is locked nothing
of it is on its way: the end of the log is the snapshot's exact place for this table, though not for
others.

See: MySQL manual, "LOCK TABLES and UNLOCK TABLES Statements", "Metadata Locking".
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from connectors.mysql.connecting import Link, close
from connectors.mysql.errors import DENIED, DRIVER_ERRORS, LOCK_TIMEOUT, error_number, source_error
from connectors.mysql.held_table import hold
from connectors.mysql.log_check import check_server
from connectors.mysql.position import FilePosition
from connectors.mysql.quoting import qualified
from connectors.mysql.reader import Reader, begin, described
from connectors.mysql.server import Server, read_end
from connectors.mysql.sql import asker
from engine.errors import SourceError
from engine.model.relation import Relation

LOCK_SECONDS: Final = 1
"""How long we wait for the lock, `lock_wait_timeout`: who would write to the table waits behind
us."""

ATTEMPTS: Final = 20
"""Attempts to have it, for each chunk."""

PAUSE_SECONDS: Final = 2.0
"""Time the table is left alone between two of them."""


class TableLocks:
    """Opens snapshots and places them. `open_link` opens one more session."""

    def __init__(self, open_link: Callable[[], Awaitable[Link]], server: Server) -> None:
        self._open_link = open_link
        self._server = server

    async def look(self, link: Link, relation: Relation) -> Reader:
        """Open a snapshot in this session, exact for this table.

        Raises:
            SnapshotLostError: the table is another one by now.
            SourceConnectionError, SourceError.
            The driver's errors.
        """
        lock = await self._open_link()
        try:
            for one in (link, lock):
                await check_server(asker(one), self._server)
            await lock.run(f"SET lock_wait_timeout = {LOCK_SECONDS}")
            at = await self._locked(lock, link, relation)
        finally:
            await close(lock)
        return Reader(link, described(at), await hold(link, self._server, relation))

    async def _locked(self, lock: Link, link: Link, relation: Relation) -> FilePosition:
        table = qualified(relation.schema, relation.name)
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE_SECONDS)
            try:
                await lock.run(f"LOCK TABLES {table} READ")
            except DRIVER_ERRORS as error:
                last = attempt == ATTEMPTS - 1
                if error_number(error) in DENIED or (error_number(error) == LOCK_TIMEOUT and last):
                    raise _not_locked(error, relation) from error
                if error_number(error) != LOCK_TIMEOUT:
                    raise
                continue
            try:
                await begin(link)
                return FilePosition(await read_end(asker(lock), self._server))
            finally:
                await lock.run("UNLOCK TABLES")
        raise AssertionError


def _not_locked(error: BaseException, relation: Relation) -> SourceError:
    found = source_error(error, f"locking {relation.qualified} while its snapshot is opened")
    if error_number(error) == LOCK_TIMEOUT:
        found.hint = "a transaction on the source has changed it and does not end: see"
        found.hint += " information_schema.innodb_trx"
    else:
        found.hint = "GRANT LOCK TABLES on its database to the user of the source's url, or"
        found.hint += " RELOAD ON *.*, or set gtid_mode = ON on the source"
    return found
