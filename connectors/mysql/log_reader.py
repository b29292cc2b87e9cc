"""Who reads a server's binary log for a replication.

Any number of replicas may read a log, and a list of them needs a right of its own. So who
reads has a second session, which holds a lock named after the replication: the server keeps it as
long as that session, whose end it sees at once, and everybody may ask who has it. It keeps nobody
out. Of two readers of one number the server ends the older one's stream, with the reason; its lock
goes with it.

See: MySQL manual and MariaDB Knowledge Base, "GET_LOCK", "IS_USED_LOCK", "KILL".
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from pymysql.err import MySQLError

from connectors.mysql.connecting import Link, close
from connectors.mysql.errors import DRIVER_ERRORS, source_error
from connectors.mysql.quoting import literal
from connectors.mysql.server import Ask
from engine.errors import ReaderUnknownError, SlotBusyError, SourceConnectionError, SourceError
from engine.machine import Clock

ATTEMPTS: Final = 5
WAIT_SECONDS: Final = 1
"""For who read before and has lost the stream. Who still has the lock then is out of reach: its
machine is gone, or the network between."""

NO_SUCH_SESSION: Final = 1094

IDLE_SECONDS_MAX: Final = 300
"""`wait_timeout` of the session with the lock. So long a reader is told whose machine is gone and
could not say goodbye; one whose target makes it wait for longer is not told any more."""

KEEP_SECONDS: Final = 20.0
"""Between two signs of life of that session."""


ANSWER_SECONDS: Final = 5.0
"""Longest time for its answer, as the stream waits for it: events go on arriving meanwhile."""


class ReaderLock:
    """Held while the stream is read, by a session that has to be kept alive."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._due = clock.monotonic() + KEEP_SECONDS

    async def keep(self) -> None:
        """Give a sign of life when it is time. Where the session was ended another one reads, and
        what that means the stream itself tells."""
        now = self._clock.monotonic()
        if now < self._due:
            return
        self._due = now + KEEP_SECONDS
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._link.run("DO 0")
        except DRIVER_ERRORS:
            self._due = math.inf


@asynccontextmanager
async def reading(link: Link, replication: str, clock: Clock) -> AsyncIterator[ReaderLock]:
    """Be the one who reads, once the stream has begun. A server without such locks is read without.
    Takes the link over.

    Raises:
        SlotBusyError: the session of before cannot be ended.
        SourceConnectionError, SourceError.
    """
    try:
        try:
            await link.run(f"SET SESSION wait_timeout = {IDLE_SECONDS_MAX}")
            await _take_lock(link, replication)
        except DRIVER_ERRORS as error:
            raise source_error(error, "taking the lock of who reads the binary log") from error
        yield ReaderLock(link, clock)
    finally:
        await close(link)


async def _take_lock(link: Link, replication: str) -> None:
    name = _name(replication)
    holder: bytes | None = None
    for _ in range(ATTEMPTS):
        try:
            if await link.value(f"SELECT GET_LOCK({name}, {WAIT_SECONDS})") == b"1":
                return
        except MySQLError:
            if link.closed:
                raise
            return
        holder = await link.value(f"SELECT IS_USED_LOCK({name})")
        if holder is not None:
            await _end(link, int(holder))
    raise SlotBusyError(f"{_session(holder)} reads the log for this replication, and does not end")


async def _end(link: Link, session: int) -> None:
    try:
        await link.run(f"KILL {session}")
    except MySQLError as error:
        if link.closed:
            raise
        if error.args[0] != NO_SUCH_SESSION:
            busy = f"{_session(b'%d' % session)} reads the log for this replication"
            hint = "it is another user's: end it there, or give this replication another id"
            raise SlotBusyError(busy, hint=hint) from error


async def lock_holder(ask: Ask, replication: str) -> str | None:
    """Who reads, in words for people. Raises ReaderUnknownError, SourceConnectionError."""
    doing = "asking who reads the binary log"
    try:
        # Tells a server without such locks from one whose lock nobody has.
        await ask(doing, f"SELECT GET_LOCK({_name('')}, 0), RELEASE_LOCK({_name('')})")
        ((holder,),) = await ask(doing, f"SELECT IS_USED_LOCK({_name(replication)})")
    except SourceConnectionError:
        raise
    except SourceError as error:
        raise ReaderUnknownError(
            "who reads the source's binary log cannot be told: it has no locks by name (GET_LOCK)"
        ) from error
    return None if holder is None else _session(holder.encode())


def _name(replication: str) -> str:
    return literal(f"penstock reads {replication}")


def _session(number: bytes | None) -> str:
    return f"session {(number or b'?').decode()} of the source"
