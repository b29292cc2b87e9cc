"""Consistent views of the source, for the full load.

MariaDB tells, inside a snapshot, how far its binary log was when that was taken: exact, without any
lock. So every reader takes a snapshot of its own, and each chunk carries that of its reader. MySQL
has no such word: all readers open theirs under one lock that keeps writers off for a moment, and
share it; so do MariaDB's where no stream follows. Where that lock is not granted or not to be had,
each of MySQL's has one of its own there too, and finds out where in the log it is (`watermarks.py`,
`table_lock.py`).

MariaDB's word is not exact for XA COMMIT, which is in its log a moment before its rows are seen.
Where one may be under way, its snapshot is opened under the lock too.

See: MariaDB Knowledge Base, "START TRANSACTION ... WITH CONSISTENT SNAPSHOT" (`binlog_snapshot_*`);
MySQL manual, "FLUSH TABLES WITH READ LOCK".
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from connectors.mysql.connecting import Link, close
from connectors.mysql.errors import (
    DENIED,
    DRIVER_ERRORS,
    LOCK_TIMEOUT,
    NO_SUCH_TABLE,
    error_number,
    source_error,
)
from connectors.mysql.held_table import changed, hold
from connectors.mysql.places import Places
from connectors.mysql.reader import Reader, begin, begin_maria, described
from connectors.mysql.server import Server, read_head
from connectors.mysql.sql import asker
from engine.config.endpoint import LoadSnapshot
from engine.errors import SnapshotLostError, SourceError
from engine.model.relation import Relation
from engine.model.snapshot import Snapshot

LOCK_SECONDS: Final = 1
"""How long we wait for the lock, `lock_wait_timeout`: while we wait for a statement that runs long,
every writer waits behind us."""

LOCK_ATTEMPTS: Final = 5
"""Attempts to have it, before the load says who is in the way or does without."""

LOCK_PAUSE_SECONDS: Final = 2.0
"""Time the source is left alone between two attempts."""

QUIET_ATTEMPTS: Final = 5
QUIET_PAUSE_SECONDS: Final = 0.02
"""Attempts to open a snapshot of MariaDB while no distributed transaction is prepared, and the time
between two of them: most end within milliseconds. Then it is opened under the lock."""

T = TypeVar("T")


@dataclass(slots=True)
class _Shared:
    """A session whose snapshot serves many chunks."""

    link: Link
    at: Snapshot


class Snapshots:
    """Gives readers. `open_link` opens one more session; `readers_max`: how many read at once.
    `places`: how readers place their own snapshots; None where no log is read, so that a place
    means nothing. `notice` is told what an operator should know."""

    def __init__(
        self,
        open_link: Callable[[], Awaitable[Link]],
        server: Server,
        readers_max: int,
        choice: LoadSnapshot = LoadSnapshot.AUTO,
        places: Places | None = None,
        notice: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._open_link = open_link
        self.server = server
        self.readers_max = readers_max
        self._choice = choice
        self._places = places
        self._notice = notice
        self._shared: asyncio.Queue[_Shared] | None = None
        self._apart = False
        """Readers have snapshots of their own, in MySQL."""

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """A view of now, alive inside the context. Where readers have later ones it only begins
        the load.

        Raises:
            SourceConnectionError, SourceError.
        """
        async with AsyncExitStack() as stack:
            if self._tells:
                link = await self._opened(stack)
                yield await self._begin_maria(link)
                return
            shared = await self._begin_shared(stack)
            if not shared:
                self._apart = True
                yield await self._now(stack)
                return
            self._apart = False
            self._shared = asyncio.Queue()
            for one in shared:
                self._shared.put_nowait(one)
            try:
                yield shared[0].at
            finally:
                self._shared = None

    @asynccontextmanager
    async def reader(self, relation: Relation, doing: str) -> AsyncIterator[Reader]:
        """A reader for one chunk of a table.

        Raises:
            SnapshotLostError: the snapshot's context has ended, or its session was cut off; with
                `table` in its context, the table cannot be read at it any more.
            SourceConnectionError, SourceError.
        """
        try:
            async with self._given(relation, doing) as reader:
                yield reader
        except DRIVER_ERRORS as error:
            if error_number(error) in NO_SUCH_TABLE:
                raise changed(relation) from error
            raise source_error(error, doing) from error

    @asynccontextmanager
    async def _given(self, relation: Relation, doing: str) -> AsyncIterator[Reader]:
        """Raises the driver's errors too."""
        async with AsyncExitStack() as stack:
            if self._apart and self._places is not None:
                yield await self._places.look(await self._opened(stack), relation)
                return
            if self._tells:
                link = await self._opened(stack)
                at = await self._begin_maria(link)
            else:
                shared = await stack.enter_async_context(self._borrowed(doing))
                link, at = shared.link, shared.at
            yield Reader(link, at, await hold(link, self.server, relation))

    @asynccontextmanager
    async def _borrowed(self, doing: str) -> AsyncIterator[_Shared]:
        waiting = self._shared
        if waiting is None:
            raise SnapshotLostError(f"{doing}: the snapshot has ended")
        shared = await waiting.get()
        if shared.link.closed:
            waiting.put_nowait(shared)
            raise SnapshotLostError(f"{doing}: the session that held the snapshot is gone")
        try:
            yield shared
        finally:
            waiting.put_nowait(shared)

    async def _opened(self, stack: AsyncExitStack) -> Link:
        link = await self._open_link()
        stack.push_async_callback(close, link)
        return link

    @property
    def _tells(self) -> bool:
        """Whether each reader has a snapshot that tells its place. Without a stream that brings
        chunks to one moment, they have to be read at one."""
        return self.server.mariadb and self._places is not None

    # --- MariaDB ----------------------------------------------------------------------------------

    async def _begin_maria(self, link: Link) -> Snapshot:
        """Raises SourceConnectionError, SourceError."""
        for _ in range(QUIET_ATTEMPTS):
            snapshot = await _begin_quiet(link)
            if snapshot is not None:
                return snapshot
            await asyncio.sleep(QUIET_PAUSE_SECONDS)
        try:
            return await self._under_lock(lambda _: begin_maria(link))
        except DRIVER_ERRORS as error:
            raise _not_locked(error) from error

    # --- shared -----------------------------------------------------------------------------------

    async def _begin_shared(self, stack: AsyncExitStack) -> Sequence[_Shared]:
        """Readers that share a snapshot; none where each is to have its own."""
        if self._choice is LoadSnapshot.WATERMARK:
            return await self._alone(stack)
        async with AsyncExitStack() as opening:
            links = [await self._opened(opening) for _ in range(self.readers_max)]
            try:
                shared = await self._under_lock(partial(self._begin_all, links))
            except DRIVER_ERRORS as error:
                lacking = error_number(error) in (*DENIED, LOCK_TIMEOUT)
                if not lacking or self._choice is LoadSnapshot.LOCK:
                    raise _not_locked(error) from error
                self._notice(_without_lock(error))
            else:
                stack.push_async_exit(opening.pop_all())
                return shared
        return await self._alone(stack)

    async def _begin_all(self, links: Sequence[Link], lock: Link) -> Sequence[_Shared]:
        await asyncio.gather(*(begin(link) for link in links))
        at = await read_head(asker(lock), self.server)
        return [_Shared(link, described(at)) for link in links]

    async def _under_lock(self, do: Callable[[Link], Awaitable[T]]) -> T:
        """Do something of a few round trips while nobody commits; it is given the session that
        holds the lock. Raises the driver's errors, that of the last attempt, and what it raises."""
        async with AsyncExitStack() as locking:
            lock = await self._opened(locking)
            for attempt in range(1, LOCK_ATTEMPTS + 1):
                try:
                    return await _locked(lock, do)
                except DRIVER_ERRORS as error:
                    if error_number(error) != LOCK_TIMEOUT or attempt == LOCK_ATTEMPTS:
                        raise
                await asyncio.sleep(LOCK_PAUSE_SECONDS)
        raise AssertionError

    async def _alone(self, stack: AsyncExitStack) -> Sequence[_Shared]:
        """Without a stream one session reads everything at one moment; nobody asks where that is in
        the log."""
        if self._places is not None:
            return ()
        link = await self._opened(stack)
        try:
            at = await read_head(asker(link), self.server)
            await begin(link)
        except DRIVER_ERRORS as error:
            raise source_error(error, "opening a snapshot") from error
        return [_Shared(link, described(at))]

    async def _now(self, stack: AsyncExitStack) -> Snapshot:
        link = await self._opened(stack)
        try:
            return described(await read_head(asker(link), self.server))
        except DRIVER_ERRORS as error:
            raise source_error(error, "beginning a load") from error


async def _locked(lock: Link, do: Callable[[Link], Awaitable[T]]) -> T:
    await lock.run(f"SET lock_wait_timeout = {LOCK_SECONDS}")
    await lock.run("FLUSH TABLES WITH READ LOCK")
    try:
        return await do(lock)
    finally:
        await lock.run("UNLOCK TABLES")


async def _begin_quiet(link: Link) -> Snapshot | None:
    """A snapshot of MariaDB; None where an XA COMMIT may have been under way when it was opened.

    One that began before the first look at their number had ended before the snapshot, or its
    transaction was still among the prepared ones; one that began later shows in the second look.
    """
    try:
        before = await _xa_commits(link)
        if await link.run("XA RECOVER"):
            return None
        snapshot = await begin_maria(link)
        if await _xa_commits(link) == before:
            return snapshot
        await link.run("ROLLBACK")
    except DRIVER_ERRORS as error:
        raise source_error(error, "looking for distributed transactions") from error
    return None


async def _xa_commits(link: Link) -> bytes | None:
    """How many were begun, in words of the server's."""
    ((_, count),) = await link.run("SHOW GLOBAL STATUS LIKE 'Com_xa_commit'")
    return count


def _without_lock(error: BaseException) -> str:
    why = "is not granted" if error_number(error) in DENIED else "could not be had"
    return (
        f"the lock under which all readers of the full load share a snapshot {why}: each chunk is"
        ' read at a snapshot of its own (source.snapshot = "lock" refuses to load so)'
    )


def _not_locked(error: BaseException) -> SourceError:
    doing = "taking the lock under which the snapshot is opened"
    found = source_error(error, doing)
    if error_number(error) == LOCK_TIMEOUT:
        found.hint = "a statement on the source has run longer than that: see SHOW PROCESSLIST"
    if error_number(error) in DENIED:
        found.hint = "GRANT RELOAD ON *.* TO the user of the source's url, or leave source.snapshot"
        found.hint += " at auto"
    return found
