"""Which of several daemons on one store acts: this one, as long as it holds the lease."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from engine.control.fenced import FencedStore
from engine.control.lease import acquire, release, renew
from engine.control.store.contract import Store
from engine.control.store.errors import LeaseLostError
from engine.control.store.records import LeaseRow
from engine.errors import StateError
from engine.machine import Clock
from engine.observe.log import Log

LOOK_SECONDS: Final = 1.0
"""How often a standby looks whether the lease is free: with the lease's 10 s, and what the first
workers take to start, that is within 15 s of a kill -9."""

PAUSE_SECONDS: Final = 5.0
"""Before work that failed is begun again."""

RENEWALS: Final = 3.0
"""Renewals within the time of a lease."""

STANDING_BY: Final = "standing by: another daemon acts"

LEAVE_SECONDS: Final = 15.0
"""For an end in good order: workers drain for 10 s, and what came of it is stored. A store that
cannot be written to now must not keep a daemon from ending."""


class Acting(Protocol):
    """Something that only the daemon that acts does."""

    async def begin(self) -> None:
        """Do it from now on, beginning with what the store says."""
        ...

    async def leave(self) -> None:
        """Bring it to an end in good order."""
        ...

    async def drop(self) -> None:
        """End it at once: another daemon acts."""
        ...


class Work:
    """A task that runs as long as this daemon acts (implements `Acting`)."""

    def __init__(self, name: str, run: Callable[[], Awaitable[None]], log: Log) -> None:
        """`run`: goes on until cancelled, or has nothing to do; begun again after a StateError."""
        self._name = name
        self._run = run
        self._log = log
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """See `Acting.begin`."""
        self._task = asyncio.create_task(self._keep_on(), name=self._name)

    async def leave(self) -> None:
        """See `Acting.leave`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def drop(self) -> None:
        """See `Acting.drop`."""
        await self.leave()

    async def _keep_on(self) -> None:
        while not await self._ran():  # noqa: ASYNC110  # a pause, no poll
            await asyncio.sleep(PAUSE_SECONDS)

    async def _ran(self) -> bool:
        """Run it; False where it failed."""
        try:
            await self._run()
        except LeaseLostError:
            return True  # whoever holds the lease finds out by itself
        except Exception as error:  # noqa: BLE001  # logged, and no other work is touched
            self._log.exception(
                f"{self._name} failed; trying again",
                action="work.failed",
                error=error,
                delay_seconds=PAUSE_SECONDS,
            )
            return False
        return True


@dataclass(frozen=True, slots=True)
class Election:
    """`holder` names this daemon and no other one that lives. `alone`: no other daemon can open
    this store, so that a lease which cannot be renewed (a full disk, a backup that holds the file)
    is nobody else's, and nothing that flows need stop for it."""

    store: Store
    holder: str
    seconds: float
    alone: bool = False


class Leadership:
    """Acts while it holds the lease, and stands by while another daemon does."""

    def __init__(
        self,
        election: Election,
        fenced: FencedStore,
        parts: Sequence[Acting],
        lost: asyncio.Event,
        clock: Clock,
        log: Log,
    ) -> None:
        """`lost`: set by whoever finds that another daemon acts by now."""
        self._election = election
        self._fenced = fenced
        self._parts = parts
        self._lost = lost
        self._clock = clock
        self._log = log
        self._told = ""
        self.decided = asyncio.Event()
        """Set once it is known whether this daemon acts or stands by."""

    @property
    def acts(self) -> bool:
        """Whether this daemon acts."""
        return self._fenced.lease is not None

    @property
    def idle(self) -> str:
        """Why it does not act; empty while it does."""
        if self.acts:
            return ""
        trouble = self._fenced.trouble
        return f"the store cannot be used: {trouble}" if trouble else STANDING_BY

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then what is done is brought to its end, and the lease given back.

        Raises StateError where the store cannot be used from the beginning: a daemon that has never
        acted or stood by would answer with statuses that nobody looks after.
        """
        while not stop.is_set():
            try:
                acted = await self._turn(stop)
            except LeaseLostError:  # another daemon was faster: the next look tells
                acted = False
            except StateError as error:
                if not self.decided.is_set():
                    raise
                self._fenced.trouble = error
                self._say("the store cannot be used: nothing is done until it can", error)
                acted = False
            if not acted:
                await _within(LOOK_SECONDS, stop)

    async def _turn(self, stop: asyncio.Event) -> bool:
        """Act where nobody else does; whether it came to that. Raises StateError."""
        election = self._election
        lease = await acquire(election.store, election.holder, seconds=election.seconds)
        if lease is not None:
            await self._act(lease, stop)
            return True
        self._fenced.trouble = None
        self.decided.set()
        self._say("another daemon acts on this store; this one stands by")
        return False

    async def _act(self, lease: LeaseRow, stop: asyncio.Event) -> None:
        self._lost.clear()
        self._fenced.lease = lease
        self._say(f"this daemon acts, under lease {lease.number}")
        waiting = {
            asyncio.create_task(self._hold(lease), name="lease"),
            asyncio.create_task(stop.wait(), name="stop"),
            asyncio.create_task(self._lost.wait(), name="lease lost"),
        }
        try:
            await self._begin()
            self._fenced.trouble = None
            self.decided.set()
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            await self._end(in_order=stop.is_set() and not self._lost.is_set())
        finally:
            self._fenced.lease = None
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            with contextlib.suppress(StateError):  # it runs out by itself
                await release(self._election.store, lease)

    async def _begin(self) -> None:
        """Begin with every part. Raises StateError, with none of them begun."""
        try:
            for part in self._parts:
                await part.begin()
        except StateError:
            await asyncio.gather(*(part.drop() for part in self._parts))
            raise

    async def _end(self, *, in_order: bool) -> None:
        if in_order and await self._left():
            return
        self._fenced.lease = None
        if not in_order:
            self._say("another daemon may act by now: everything is ended here")
        await asyncio.gather(*(part.drop() for part in self._parts))

    async def _left(self) -> bool:
        """Whether all parts came to an end in good order, in time and under the lease."""
        leaving = asyncio.gather(*(part.leave() for part in self._parts))
        lost = asyncio.create_task(self._lost.wait(), name="lease lost at the end")
        try:
            await asyncio.wait(
                (leaving, lost), timeout=LEAVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if leaving.done():
                await leaving
                return True
            self._say("not everything came to its end in good order: what is left is ended now")
            return False
        finally:
            leaving.cancel()
            lost.cancel()
            await asyncio.wait((leaving, lost))

    async def _hold(self, lease: LeaseRow) -> None:
        """Renew it until that is not possible any more."""
        pause = self._election.seconds / RENEWALS
        until = self._clock.monotonic() + lease.seconds
        while True:
            await asyncio.sleep(pause)
            asked = self._clock.monotonic()
            try:
                async with asyncio.timeout(self._answer_seconds(until - asked)):
                    await renew(self._election.store, lease)
            except LeaseLostError:
                break
            except (StateError, TimeoutError) as error:
                self._log.warning(
                    "the lease could not be renewed", action="lease.renew", error=error
                )
            else:
                until = asked + lease.seconds
            if self._clock.monotonic() >= until and not self._election.alone:
                break
        self._lost.set()

    def _answer_seconds(self, left: float) -> float:
        """How long a renewal may take: where others wait for the lease, what is left of it."""
        return self._election.seconds if self._election.alone else max(0.1, left)

    def _say(self, text: str, error: StateError | None = None) -> None:
        """Once, until there is something else to say."""
        if text == self._told:
            return
        self._told = text
        if error is None:
            self._log.info(text, action="lease")
        else:
            self._log.error(text, action="lease", error=error)


async def _within(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
