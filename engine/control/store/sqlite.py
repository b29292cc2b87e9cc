"""The store in one SQLite file: one connection writes, a few read, each in a thread of its own.

What is asked of a connection is done in order, whoever has given up waiting for it: a cancelled
task leaves a rollback behind, and the next transaction comes after that.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from engine.control.store import migrations, sqlite_file
from engine.control.store.errors import StoreBusyError, StoreFormatError, StoreFullError
from engine.control.store.sql import Value
from engine.control.store.transaction import Transaction, transaction
from engine.control.store.turns import READERS, TURN_SECONDS, turn
from engine.errors import StateError

NO_ROOM: Final = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,  # a quota or a limit of file sizes
    sqlite3.SQLITE_IOERR_SHMSIZE,
)

Answer = TypeVar("Answer")


class SqliteStore:
    """`engine.control.store.contract.Store` in the file `path`, which is made when it is not there.

    `now` is the store's clock (seconds since 1970).
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], float] = time.time,
        steps: migrations.Steps = migrations.STEPS,
    ) -> None:
        self._path = path
        self._now = now
        self._steps = steps
        self._writing = asyncio.Lock()
        self._reading = asyncio.Semaphore(READERS)
        self._idle: list[_Connection] = []
        self._connections: list[_Connection] = []

    async def __aenter__(self) -> Self:
        writer = _Connection(self._path, self._now)
        self._connections = [writer]
        self._idle = []
        try:
            await writer.run(lambda: sqlite_file.make_private(self._path))
            await writer.open()
            await writer.run(
                lambda: sqlite_file.prepare(writer.raw, self._path, self._now, self._steps)
            )
            for _ in range(READERS):
                reader = _Connection(self._path, self._now, reads=True)
                self._connections.append(reader)
                await reader.open()
                self._idle.append(reader)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        """The writer is closed last: that folds the log back into the file."""
        while self._connections:
            await self._connections.pop().close()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        async with turn(self._reading, self._busy):
            reader = self._idle.pop()
            try:
                async with transaction(reader) as reading:
                    yield reading
            finally:
                reader.leave()
                self._idle.append(reader)

    @asynccontextmanager
    async def write(self, *, fence: int | None = None) -> AsyncIterator[Transaction]:
        async with (
            turn(self._writing, self._busy),
            _written(self._connections[0]) as writing,
        ):
            await writing.guard(len(self._steps), fence)
            yield writing

    async def tend(self) -> None:
        """Give freed pages back, bring the planner's figures up to date, empty the log."""
        async with turn(self._writing, self._busy):
            for text in ("incremental_vacuum", "optimize", "wal_checkpoint(TRUNCATE)"):
                await self._connections[0].rows(f"PRAGMA {text}", ())

    def _busy(self) -> StoreBusyError:
        return _busy(self._path)


class _Connection:
    """A connection and the thread that it is used in. A `Link`.

    One that only reads begins a transaction with the first statement, and nobody waits for its end:
    each turn of the thread that is waited for is two more on a machine that is busy.
    """

    def __init__(self, path: Path, now: Callable[[], float], *, reads: bool = False) -> None:
        self._path = path
        self._now = now
        self._reads = reads
        self._begun = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._raw: sqlite3.Connection | None = None

    @property
    def raw(self) -> sqlite3.Connection:
        assert self._raw is not None
        return self._raw

    async def open(self) -> None:
        def connect() -> None:
            self._raw = sqlite_file.connect(self._path)
            if self._reads:
                self._raw.execute("PRAGMA query_only = ON")

        await self.run(connect)

    async def close(self) -> None:
        if self._raw is not None:
            await self.run(self._raw.close)
        self._thread.shutdown(wait=False)

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Done in the thread after all that came before, also when nobody waits for it any more."""

        def translated() -> Answer:
            with _speaking(self._path):
                return work()

        asked = asyncio.wrap_future(self._thread.submit(translated))
        asked.add_done_callback(_heard)
        # Cancelled while it waits in the thread's queue, a COMMIT would never be done or undone.
        return await asyncio.shield(asked)

    async def begin(self) -> None:
        """Begin to write."""
        await self.run(lambda: self.raw.execute("BEGIN IMMEDIATE"))

    async def rows(self, text: str, values: Sequence[Value]) -> Sequence[Sequence[Any]]:
        begins, self._begun = self._reads and not self._begun, True

        def ask() -> Sequence[Sequence[Any]]:
            if begins:
                self.raw.execute("BEGIN")
            return self.raw.execute(text, values).fetchall()

        return await self.run(ask)

    def leave(self) -> None:
        """End what it has begun to read, before anything else is read. If that cannot be done, the
        next BEGIN fails, which is told."""
        if self._begun:
            self._begun = False
            self._thread.submit(self._end, "ROLLBACK")

    async def change(self, text: str, values: Sequence[Value]) -> int:
        return await self.run(lambda: self.raw.execute(text, values).rowcount)

    async def change_many(self, text: str, values: Sequence[Sequence[Value]]) -> None:
        await self.run(lambda: self.raw.executemany(text, values))

    async def now(self) -> float:
        return self._now()

    async def end(self, how: str) -> None:
        """COMMIT or ROLLBACK; a transaction that cannot be committed is rolled back."""
        await self.run(lambda: self._end(how))

    def _end(self, how: str) -> None:
        try:
            if self.raw.in_transaction:
                self.raw.execute(how)
        except BaseException:
            if self.raw.in_transaction:
                self.raw.execute("ROLLBACK")
            raise


def _heard(asked: asyncio.Future[Any]) -> None:
    """Whoever was cancelled does not ask how it ended."""
    if not asked.cancelled():
        asked.exception()


@asynccontextmanager
async def _written(writer: _Connection) -> AsyncIterator[Transaction]:
    try:
        await writer.begin()
        async with transaction(writer) as opened:
            yield opened
    except BaseException:
        await writer.end("ROLLBACK")
        raise
    await writer.end("COMMIT")


def _busy(path: Path) -> StoreBusyError:
    return StoreBusyError(
        f"the store {path} was not free within {TURN_SECONDS:g} s",
        hint="something holds it: a backup, another program that has the file open for writing, or"
        " a very slow disk",
    )


@contextmanager
def _speaking(path: Path) -> Iterator[None]:
    """SQLite's errors as the store's."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            raise  # a mistake of ours
        raise _error(path, code, error) from error


def _error(path: Path, code: int, error: sqlite3.Error) -> StateError:
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return _busy(path)
    if code in NO_ROOM:
        return StoreFullError(
            f"the store {path} cannot grow: {error}",
            hint="free space on its file system, or raise the quota or file size limit of the"
            " daemon's account; nothing of what was asked is stored",
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StoreFormatError(
            f"{path} is not a store of Penstock, or is damaged: {error}",
            hint="name another file or directory for the store, or restore its backup; nothing was"
            " changed",
        )
    return StateError(
        f"the store {path} could not be used: {error}",
        hint="see the file system's state and whether the daemon's account may write there",
    )
