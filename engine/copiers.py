"""The copiers of a load: as many as are provisioned, each over a session of its own.

One that is too many leaves between two chunks. What is in its place is opened beside those that
copy, and joins when its session is on record; nothing waits for either.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

from engine.contracts import TargetSession
from engine.errors import Retry, TargetError
from engine.load.loader import Loader, LoaderLane, Work
from engine.observe.log import Log
from engine.provision import Provision

AGAIN_SECONDS: Final = 10.0
"""Time until a session that the target did not give is asked for again."""


class Opening(Protocol):
    """`engine.checkpoint.sessions.Sessions`."""

    def open(self) -> AbstractAsyncContextManager[Sequence[TargetSession]]: ...


class Copiers:
    """A `Crew`. Keeps their number at what the provision says; `lanes` are as many as there may
    ever be. `idle` is told how many are missing: they find nothing to do, or have no session."""

    def __init__(
        self,
        sessions: Opening,
        lanes: Sequence[LoaderLane],
        provision: Provision,
        log: Log,
        idle: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._sessions = sessions
        self._most = len(lanes)
        self._free = list(lanes)
        self._provision = provision
        self._log = log
        self._idle = idle
        self._opening = 0
        self._refused = False
        self._first: Loader | None = None
        self._changed = asyncio.Event()
        self.serving = 0
        """Copiers with a session, and something to do."""

    @property
    def wanted(self) -> int:
        """How many there should be, where there is enough to do."""
        return min(self._provision.budget.copiers, self._most)

    def is_surplus(self, loader: Loader) -> bool:
        """See `Crew`; the first one stays to the end."""
        return self.serving > self.wanted and loader is not self._first

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Loader]:
        """A session on record, with a lane of its own."""
        lane = self._free.pop(0)
        try:
            async with self._sessions.open() as (session,):
                yield session, lane
        finally:
            self._free.insert(0, lane)

    async def run(self, work: Work, more: Callable[[], bool], first: Loader) -> None:
        """See `Crew`."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._first = first
                self.serving += 1
                tasks.create_task(self._serve(work, first), name="loader-0")
                with self._provision.told(lambda _: self._changed.set()):
                    while self.serving or self._opening or more():
                        self._changed.clear()
                        if more():
                            self._fill(tasks, work)
                        self._idle(max(0, self.wanted - self.serving))
                        await self._look_again()
        finally:
            self._idle(0)

    def _fill(self, tasks: asyncio.TaskGroup, work: Work) -> None:
        for _ in range(self.wanted - self.serving - self._opening):
            self._opening += 1
            number = self._most - len(self._free) + self._opening - 1
            tasks.create_task(self._join(work), name=f"loader-{number}")

    async def _look_again(self) -> None:
        """Wait for another size or for a copier's end, or until what was refused may be given."""
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _serve(self, work: Work, loader: Loader) -> None:
        try:
            await work(loader)
        finally:
            self.serving -= 1
            self._changed.set()

    async def _join(self, work: Work) -> None:
        """One copier, from its session to its leave."""
        opening = True
        try:
            async with self.opened() as loader:
                opening = self._refused = False
                self._opening -= 1
                self.serving += 1
                await self._serve(work, loader)
        except TargetError as error:
            if not opening:
                raise
            self._opening -= 1
            others = self.serving + self._opening
            if not others or error.retry not in (Retry.BACKOFF, Retry.WAIT):
                raise
            self._tell_refused(error)

    def _tell_refused(self, error: TargetError) -> None:
        """Once, until it gave one again."""
        if self._refused:
            return
        self._refused = True
        self._log.warning(
            "the target gives no further session; the copiers that are there go on",
            action="copiers.refused",
            error=error,
            copiers=self.serving,
            hint="raise its limit of connections, or set [load] parallel_tables to what it bears",
        )
