"""A session that is kept for questions, one at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """A session of a server. `broken`: it is known to have ended."""

    @property
    def broken(self) -> bool: ...

    async def close(self) -> None: ...


S = TypeVar("S", bound=Closable)


class KeptSession(Generic[S]):
    """Opened when it is first needed, and again where it broke; nothing of it has to survive."""

    def __init__(self, connect: Callable[[], Awaitable[S]]) -> None:
        self._connect = connect
        self._session: S | None = None
        self._asking = asyncio.Lock()

    @asynccontextmanager
    async def use(self, answers: Callable[[S], Awaitable[bool]] | None = None) -> AsyncIterator[S]:
        """The session, for one at a time. `answers`: asked of one that was kept, whose end nobody
        may have noticed; it is replaced when it does not.

        Raises:
            What connecting raises.
        """
        async with self._asking:
            session = self._session
            if session is not None and (
                session.broken or (answers is not None and not await answers(session))
            ):
                await self.close()
            if self._session is None:
                self._session = await self._connect()
            yield self._session

    async def close(self) -> None:
        """Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
