"""A queue between capture and route, bounded by the bytes that rows hold until they are applied.

Bytes are reserved when a block enters the queue and released when its rows are durable, so the
limit covers the queue and every lane behind it. A full budget stops capture, capture stops reading
and TCP pushes back. Nothing else may wait for the budget: feedback has its own task.
"""

import asyncio
from collections import deque

from engine.errors import InvariantError
from engine.model.change import Block


class Budget:
    """Bytes in use out of `bytes_max`. One reservation larger than the whole is let through when
    nothing else is held, so a huge row passes. `used` exceeds `bytes_max` beside that only after
    a `resize` to less, until enough was released."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def reserve(self, size: int) -> None:
        """Take `size` bytes, in the order of asking; waits while they are not there."""
        if not self._waiting and self._fits(size):
            self._grant(size)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size, future)
        self._waiting.append(entry)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release(size)
            else:
                self._waiting.remove(entry)
            raise

    def release(self, size: int) -> None:
        self.used -= size
        if self.used < 0:
            raise InvariantError("more bytes released than reserved")
        self._admit()

    def resize(self, bytes_max: int) -> None:
        """Another limit. What is held stays held; who waits comes in as soon as it fits."""
        self.bytes_max = bytes_max
        self._admit()

    @property
    def full(self) -> bool:
        """Somebody waits."""
        return bool(self._waiting)

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, future = self._waiting.popleft()
            if not future.cancelled():
                self._grant(size)
                future.set_result(None)

    def _grant(self, size: int) -> None:
        self.used += size

    def _fits(self, size: int) -> bool:
        return self.used == 0 or self.used + size <= self.bytes_max


class BoundedQueue:
    """Blocks in order, each holding its size of the budget. One producer, one consumer."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._blocks: deque[Block] = deque()
        self._arrived = asyncio.Event()
        self._closed = False

    async def put(self, block: Block) -> None:
        await self.budget.reserve(block.size)
        self._blocks.append(block)
        self._arrived.set()

    def close(self) -> None:
        """No further block comes; `get` gives what is left, then None."""
        self._closed = True
        self._arrived.set()

    async def get(self) -> Block | None:
        """The next block; the taker releases its size. None when closed and empty."""
        while not self._blocks:
            if self._closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        return self._blocks.popleft()

    def __len__(self) -> int:
        return len(self._blocks)
