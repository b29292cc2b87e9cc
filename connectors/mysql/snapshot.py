"""Consistent views of the source, for the full load.

MariaDB tells, inside a snapshot, how far its binary log was when that was taken: exact, without any
lock. So every reader takes a snapshot of its own, and each chunk carries that of its reader. MySQL
has no such word: all readers open theirs under one lock that keeps writers off for a moment, and
share it.

See: MariaDB Knowledge Base, "START TRANSACTION ... WITH CONSISTENT SNAPSHOT" (`binlog_snapshot_*`);
MySQL manual, "FLUSH TABLES WITH READ LOCK".
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from connectors.mysql.connecting import Link, close
from connectors.mysql.errors import DRIVER_ERRORS, error_number, source_error
from connectors.mysql.maria_gtid import MariaGtids
from connectors.mysql.position import AnyPosition, GtidPosition, LogPlace
from connectors.mysql.server import Ask, Server, read_head
from engine.errors import SnapshotLostError, SourceConnectionError, SourceError
from engine.model.snapshot import Snapshot

LOCK_SECONDS: Final = 1
"""How long we wait for the lock, `lock_wait_timeout`: while we wait for a statement that runs long,
every writer waits behind us."""

LOCK_ATTEMPTS: Final = 5
"""Attempts to have it, before the load says who is in the way."""

LOCK_PAUSE_SECONDS: Final = 2.0
"""Time the source is left alone between two attempts."""

_BEGIN: Final = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
_LOCK_TIMEOUT: Final = 1205
_DENIED: Final = 1227


@dataclass(slots=True)
class Reader:
    """A session inside a transaction that sees the database as it was at `at`."""

    link: Link
    at: Snapshot


class Snapshots:
    """Gives readers. `open_link` opens one more session; `readers_max`: how many read at once."""

    def __init__(
        self, open_link: Callable[[], Awaitable[Link]], server: Server, readers_max: int
    ) -> None:
        self._open_link = open_link
        self.server = server
        self._readers_max = readers_max
        self._shared: asyncio.Queue[Reader] | None = None
        self._number = 0

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """A view of now, alive inside the context. In MariaDB it only begins the load: readers
        have later ones.

        Raises:
            SourceConnectionError, SourceError.
        """
        async with AsyncExitStack() as stack:
            if self.server.mariadb:
                link = await self._opened(stack)
                yield await _begin_maria(link)
                return
            readers = await self._begin_shared(stack)
            self._shared = asyncio.Queue()
            for reader in readers:
                self._shared.put_nowait(reader)
            try:
                yield readers[0].at
            finally:
                self._shared = None

    @asynccontextmanager
    async def reader(self, doing: str) -> AsyncIterator[Reader]:
        """A reader for one chunk.

        Raises:
            SnapshotLostError: the snapshot's context has ended, or its session was cut off.
            SourceConnectionError, SourceError.
        """
        try:
            if self.server.mariadb:
                async with AsyncExitStack() as stack:
                    link = await self._opened(stack)
                    yield Reader(link, await _begin_maria(link))
                return
            async with self._borrowed(doing) as reader:
                yield reader
        except DRIVER_ERRORS as error:
            raise source_error(error, doing) from error

    @asynccontextmanager
    async def _borrowed(self, doing: str) -> AsyncIterator[Reader]:
        shared = self._shared
        if shared is None:
            raise SnapshotLostError(f"{doing}: the snapshot has ended")
        reader = await shared.get()
        if reader.link.closed:
            shared.put_nowait(reader)
            raise SnapshotLostError(f"{doing}: the session that held the snapshot is gone")
        try:
            yield reader
        finally:
            shared.put_nowait(reader)

    async def _opened(self, stack: AsyncExitStack) -> Link:
        link = await self._open_link()
        stack.push_async_callback(close, link)
        return link

    # --- MySQL ------------------------------------------------------------------------------------

    async def _begin_shared(self, stack: AsyncExitStack) -> Sequence[Reader]:
        links = [await self._opened(stack) for _ in range(self._readers_max)]
        async with AsyncExitStack() as locking:
            lock = await self._opened(locking)
            for attempt in range(LOCK_ATTEMPTS):
                try:
                    return await self._under_lock(lock, links)
                except DRIVER_ERRORS as error:
                    if error_number(error) != _LOCK_TIMEOUT or attempt == LOCK_ATTEMPTS - 1:
                        raise _not_locked(error) from error
                await asyncio.sleep(LOCK_PAUSE_SECONDS)
        raise AssertionError

    async def _under_lock(self, lock: Link, links: Sequence[Link]) -> Sequence[Reader]:
        """Raises the driver's errors. The lock is held for two round trips."""
        await lock.run(f"SET lock_wait_timeout = {LOCK_SECONDS}")
        await lock.run("FLUSH TABLES WITH READ LOCK")
        try:
            await asyncio.gather(*(_begin(link) for link in links))
            at = await read_head(asker(lock), self.server)
        finally:
            await lock.run("UNLOCK TABLES")
        snapshot = _described(at)
        return [Reader(link, snapshot) for link in links]


async def _begin(link: Link) -> None:
    for statement in _BEGIN:
        await link.run(statement)


async def _begin_maria(link: Link) -> Snapshot:
    """Raises the driver's errors as SourceError."""
    doing = "opening a snapshot"
    try:
        await _begin(link)
        rows = await link.run("SHOW STATUS LIKE 'binlog_snapshot_%'")
        told = {(name or b"").lower(): (value or b"").decode() for name, value in rows}
        file, offset = told[b"binlog_snapshot_file"], told[b"binlog_snapshot_position"]
        place = LogPlace(file, int(offset))
        gtids = await link.value(f"SELECT BINLOG_GTID_POS('{place.file}', {place.offset})")
    except DRIVER_ERRORS as error:
        raise source_error(error, doing) from error
    if gtids is None:
        raise SourceConnectionError(f"{doing}: its place in the binary log is gone already")
    return _described(GtidPosition(MariaGtids.parse(gtids.decode()), log=place))


def _described(at: AnyPosition) -> Snapshot:
    return Snapshot(text=str(at), until=at, token=str(at))


def asker(link: Link) -> Ask:
    """Questions over one session. They raise the driver's errors."""

    async def ask(_doing: str, query: str) -> Sequence[Sequence[str | None]]:
        rows = await link.run(query)
        return [[None if v is None else v.decode("utf-8", "replace") for v in row] for row in rows]

    return ask


def _not_locked(error: BaseException) -> SourceError:
    doing = "taking the lock under which the snapshot is opened"
    found = source_error(error, doing)
    if error_number(error) == _LOCK_TIMEOUT:
        found.hint = "a statement on the source has run longer than that: see SHOW PROCESSLIST"
    if error_number(error) == _DENIED:
        found.hint = "GRANT RELOAD ON *.* TO the user of the source's url"
    return found
