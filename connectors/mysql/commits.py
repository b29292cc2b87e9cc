"""Transactions that stand in the log and are not visible yet.

A server writes its log, and sends it, before the storage engine commits. So a change may be
received that a snapshot of now does not have: for a moment, or for as long as a semi-synchronous
replica takes to confirm it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final, TypeAlias

from connectors.mysql.connecting import Link, close
from connectors.mysql.gtid import GtidSet
from connectors.mysql.reader import begin_maria
from connectors.mysql.server import Ask, Server, read_head
from engine.contracts import Waiting
from engine.errors import SourceBusyError

POLL_SECONDS: Final = 0.02
"""Between two looks whether what was committing is visible: mostly a matter of milliseconds."""

TOLD_SECONDS: Final = 10.0
"""Between two times that we say for whom we wait."""

_DOING: Final = "waiting for transactions that are committing"

_THREAD: Final = re.compile(r"#[0-9]+|\s")
"""Behind each owned GTID the thread that owns it."""

_Left: TypeAlias = Callable[[], Awaitable[Sequence[str]]]
"""Who is left, in words."""


async def owned(ask: Ask) -> GtidSet:
    """The GTIDs that MySQL's sessions hold: of all that stands in the log and is not executed, and
    of what a replica applies. Raises what `ask` raises."""
    ((text,),) = await ask(_DOING, "SELECT @@global.gtid_owned")
    return GtidSet.parse(_THREAD.sub("", text or ""))


async def become_visible(
    ask: Ask,
    open_link: Callable[[], Awaitable[Link]],
    server: Server,
    seconds_max: float = 0.0,
    waiting: Waiting | None = None,
) -> None:
    """Wait until a snapshot has all that was sent before the call. `waiting` is told now and then
    how long that has taken. No limit when `seconds_max` is 0. Of MySQL without GTIDs nobody can
    tell; there snapshots are opened under locks, which wait by themselves.

    Raises:
        SourceBusyError: it took longer.
        SourceConnectionError, SourceError.
    """
    async with AsyncExitStack() as stack:
        if server.mariadb:
            link = await open_link()
            stack.push_async_callback(close, link)
            await _ended(await _maria(ask, link, server), seconds_max, waiting)
        elif server.gtid:
            await _ended(await _mysql(ask), seconds_max, waiting)


async def _mysql(ask: Ask) -> _Left:
    first = await owned(ask)

    async def left() -> Sequence[str]:
        still = first & await owned(ask) if first else first
        return [str(still)] if still else []

    return left


async def _maria(ask: Ask, link: Link, server: Server) -> _Left:
    end = await read_head(ask, server)

    async def left() -> Sequence[str]:
        seen = (await begin_maria(link)).until
        return [] if seen.reaches(end) else [f"what the log has between {seen} and {end}"]

    return left


async def _ended(left: _Left, seconds_max: float, waiting: Waiting | None) -> None:
    clock = asyncio.get_running_loop().time
    began = told = clock()
    while who := await left():
        await asyncio.sleep(POLL_SECONDS)
        now = clock()
        if seconds_max and now - began >= seconds_max:
            raise SourceBusyError(
                "a table can only be read once what the source's log has of it is committed, and"
                f" after {seconds_max:g} s there is still: {', '.join(who)}",
                hint="see whether the source waits for a semi-synchronous replica, or raise [load]"
                " snapshot_wait",
            )
        if waiting is not None and now - told >= TOLD_SECONDS:
            told = now
            waiting(now - began, who)
