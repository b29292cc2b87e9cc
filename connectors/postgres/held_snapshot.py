"""The snapshot that a new slot exports, held for the load that will read at it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from connectors.postgres.snapshot import SnapshotReader
from engine.model.snapshot import Snapshot

UNCLAIMED_SNAPSHOT_SECONDS: Final = 600.0
"""Time a new slot's snapshot is held for a load that has not asked for it. It keeps the source from
cleaning up dead rows; a load that comes later reads at a snapshot of its own, as well."""


class HeldSnapshot:
    """At most one snapshot, until it is taken, released or too old."""

    def __init__(self, reader: SnapshotReader) -> None:
        self._reader = reader
        self._held: tuple[Snapshot, AsyncExitStack, float] | None = None

    async def hold(self, exported: str) -> None:
        """Import an exported snapshot, so that its exporter is free.

        Raises:
            SnapshotLostError, SourceConnectionError, SourceError.
        """
        stack = AsyncExitStack()
        snapshot = await stack.enter_async_context(self._reader.snapshot(exported))
        until = asyncio.get_running_loop().time() + UNCLAIMED_SNAPSHOT_SECONDS
        self._held = snapshot, stack, until

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[Snapshot]:
        """The held snapshot, once; a new one when none is held.

        Raises:
            SourceConnectionError, SourceError.
        """
        held, self._held = self._held, None
        if held is None:
            async with self._reader.snapshot() as snapshot:
                yield snapshot
        else:
            snapshot, stack, _ = held
            async with stack:
                yield snapshot

    async def release(self) -> None:
        """Let it go. Idempotent."""
        held, self._held = self._held, None
        if held is not None:
            await held[1].aclose()

    async def release_unclaimed(self) -> None:
        """Let it go when nobody has asked for it for too long."""
        if self._held is not None and asyncio.get_running_loop().time() > self._held[2]:
            await self.release()
