"""The ledger of the machine's memory for those who wait for it: a turn comes as an event."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from engine.control.ledger import Ledger


class Room:
    """Memory of the machine, by replication."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._turns: dict[str, asyncio.Event] = {}

    async def hold(self, id: str, size: int, waiting: Callable[[], Awaitable[None]]) -> None:
        """Hold `size` bytes; where they are not free, call `waiting` and wait in line. Cancelled,
        nothing is held.

        Raises:
            TooLargeError: it would wait for ever.
        """
        if self.ledger.reserve(id, size):
            return
        turn = self._turns[id] = asyncio.Event()
        try:
            await waiting()
            await turn.wait()
        except BaseException:
            self.release(id)
            raise
        finally:
            self._turns.pop(id, None)

    def grow(self, id: str, size: int) -> bool:
        """Hold `size` in the place of what is held; False where that cannot be now."""
        with self._turning():
            return self.ledger.grow(id, size)

    def release(self, id: str) -> None:
        """Hold nothing and wait for nothing."""
        with self._turning():
            self.ledger.release(id)

    @contextmanager
    def _turning(self) -> Iterator[None]:
        """Whoever got theirs by what is done within is told."""
        waited = self.ledger.line
        yield
        for name in waited:
            if name in self.ledger.held and name in self._turns:
                self._turns[name].set()
