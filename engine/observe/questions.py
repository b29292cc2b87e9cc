"""What a source was asked beside its log and its rows, and has not answered yet.

Tables are described, and their chunks planned, by questions that a server at work answers soon. One
that says nothing for long is frozen, behind a lock, or out of reach: no byte tells which.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from engine.errors import SourceConnectionError, SourceError

ASK_SECONDS: Final = 3.0
"""Time between two small questions beside work of the source that may take long. With the time
after which silence is told, less than half a minute."""


class Questions:
    """Of one replication. `now` gives seconds that only grow."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._open: dict[int, str] = {}
        self._asked = 0
        self._silent_since: float | None = None

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """The source is asked for this, in words, and answers before the context ends. A lost link
        is no answer: what is asked next has been waited for since then."""
        self._asked += 1
        number = self._asked
        self._open[number] = what
        if self._silent_since is None:
            self._silent_since = self._now()
        try:
            yield
        except (SourceConnectionError, TimeoutError, asyncio.CancelledError):
            raise
        except BaseException:
            self.answered()
            raise
        else:
            self.answered()
        finally:
            del self._open[number]

    def answered(self) -> None:
        """It has given a sign of life."""
        self._silent_since = self._now() if len(self._open) > 1 else None

    def heard(self) -> None:
        """It has given a sign of life beside what it was asked."""
        if self._silent_since is not None:
            self._silent_since = self._now() if self._open else None

    def silent(self) -> tuple[float, str]:
        """For how many seconds it has answered nothing, and what it is asked for; (0, "") when
        nobody asks."""
        if not self._open:
            return 0.0, ""
        return self.unanswered(), next(iter(self._open.values()))

    def unanswered(self) -> float:
        """For how many seconds it has answered nothing, also while nobody asks again yet."""
        return 0.0 if self._silent_since is None else self._now() - self._silent_since

    def leave_out(self, seconds: float) -> None:
        """In this time nothing could be heard."""
        if self._silent_since is not None:
            self._silent_since = min(self._silent_since + seconds, self._now())

    @asynccontextmanager
    async def meanwhile(self, ask: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
        """Work of the source that may rightly take long, because it waits for others: a small
        question beside it, again and again, tells whether its server lives."""
        failed: BaseException | None = None
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(self._ask(ask), name="source-asked")
            try:
                yield
            except BaseException as error:  # noqa: BLE001 - raised below, in no group
                failed = error
            asking.cancel()
        if failed is not None:
            raise failed
        self.answered()

    async def _ask(self, ask: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(ASK_SECONDS)
            try:
                with self.asking("how far its log is"):
                    await ask()
            except SourceError:
                pass  # what it is asked for beside this says so
