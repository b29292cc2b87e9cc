"""The owner's sessions on the target, each on record before it is used.

A successor ends them all once it has claimed: one that hangs, with rows written and locks held,
would keep it waiting. A session that is put on record after the claim is refused there, so none is
missed.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from engine.checkpoint.ownership import record_sessions
from engine.contracts import Announcing, TargetSession, TransactionalTarget

Identity = tuple[int, str]


class Sessions:
    """`control` is the session that claimed; it goes on record with the first that is opened."""

    def __init__(self, target: TransactionalTarget, epoch: int, control: TargetSession) -> None:
        self._target = target
        self._epoch = epoch
        self._open = [control.identity]
        self._on_record: frozenset[Identity] = frozenset()
        self._recording = asyncio.Lock()
        self.opened: list[TargetSession] = [control]
        """Those that are open now, but for what the target opens by itself."""
        if isinstance(target, Announcing):
            target.announce_to(self._announced)

    @property
    def identities(self) -> Sequence[Identity]:
        """Of all that are open."""
        return self._open

    @asynccontextmanager
    async def open(self, count: int = 1) -> AsyncIterator[Sequence[TargetSession]]:
        """Sessions on record. Raises FencedError when a newer owner is there."""
        async with AsyncExitStack() as stack:
            opened = [await stack.enter_async_context(self._target.session()) for _ in range(count)]
            identities = [session.identity for session in opened]
            self.opened += opened
            stack.callback(self._forget, opened)
            async with self._recorded(identities, opened[0]):
                yield opened

    def _forget(self, sessions: Sequence[TargetSession]) -> None:
        self.opened = [session for session in self.opened if session not in sessions]

    @asynccontextmanager
    async def _announced(self, identity: Identity) -> AsyncIterator[None]:
        async with self._target.session() as clerk, self._recorded([identity], clerk):
            yield

    @asynccontextmanager
    async def _recorded(
        self, identities: Sequence[Identity], clerk: TargetSession
    ) -> AsyncIterator[None]:
        self._open += identities
        try:
            await self._record(identities, clerk)
            yield
        finally:
            self._open = [identity for identity in self._open if identity not in identities]

    async def _record(self, identities: Sequence[Identity], clerk: TargetSession) -> None:
        """One at a time, as each writes the whole list; who waited may be on it already."""
        async with self._recording:
            if not self._on_record.issuperset(identities):
                listed = tuple(self._open)
                await record_sessions(clerk, self._epoch, listed)
                self._on_record = frozenset(listed)
