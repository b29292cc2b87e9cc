"""Who reads a server's binary log for a replication.

Any number of replicas may read a log, and a list of them needs a right of its own. So a session of
ours takes a lock, named after the replication, before it begins to read: the server keeps it as
long as the session, and everybody may ask who has it. It keeps nobody out: who reads later ends the
session of who read before, as the server does with replicas of one number.

See: MySQL manual and MariaDB Knowledge Base, "GET_LOCK", "IS_USED_LOCK", "KILL".
"""

import asyncio
from contextlib import suppress
from typing import Final

from pymysql.err import MySQLError

from connectors.mysql.connecting import Link
from connectors.mysql.quoting import literal
from connectors.mysql.server import Ask
from engine.errors import SlotBusyError, SourceConnectionError, SourceError

ATTEMPTS: Final = 5
WAIT_SECONDS: Final = 1
"""For the session of before, which was ended: one that waits for changes ends at once."""

END_SECONDS: Final = 1.0
"""For a server that does not answer: then nobody else waits for the session either."""

NO_SUCH_SESSION: Final = 1094

UNKNOWN: Final = "whoever it is: this server has no locks by name (GET_LOCK)"


async def take_lock(link: Link, replication: str) -> None:
    """Be the one who reads. A server without such locks is read without.

    Raises:
        SlotBusyError: the session of before cannot be ended.
        The driver's errors, when the link broke.
    """
    name = _name(replication)
    wait = 0
    holder: bytes | None = None
    for _ in range(ATTEMPTS):
        try:
            if await link.value(f"SELECT GET_LOCK({name}, {wait})") == b"1":
                return
        except MySQLError:
            if link.closed:
                raise
            return
        wait = WAIT_SECONDS
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
    """Who reads, in words for people. Raises SourceConnectionError."""
    doing = "asking who reads the binary log"
    try:
        # Tells a server without such locks from one whose lock nobody has.
        await ask(doing, f"SELECT GET_LOCK({_name('')}, 0), RELEASE_LOCK({_name('')})")
        ((holder,),) = await ask(doing, f"SELECT IS_USED_LOCK({_name(replication)})")
    except SourceConnectionError:
        raise
    except SourceError:
        return UNKNOWN
    return None if holder is None else _session(holder.encode())


async def end_reader(ask: Ask, replication: str, session: int) -> None:
    """End a session of ours that has read: closed, the server misses it only when it next has
    something to send. Nothing when it is gone, or the server, in good time."""
    doing = "ending the session that read the binary log"
    with suppress(SourceError, TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            ((holder,),) = await ask(doing, f"SELECT IS_USED_LOCK({_name(replication)})")
            if holder == str(session):
                await ask(doing, f"KILL {session}")


def _name(replication: str) -> str:
    return literal(f"penstock reads {replication}")


def _session(number: bytes | None) -> str:
    return f"session {(number or b'?').decode()} of the source"
